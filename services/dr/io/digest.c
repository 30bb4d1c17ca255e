#include "io/digest.h"

#include "io/each.h"
#include "io/quarantine.h"
#include "io/survey.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Answers wait in the server's memory: so much of them at once, as far as can be told beforehand.
 */
enum { CHUNK = 100, IN_FLIGHT = 4 << 20, UNKNOWN = IN_FLIGHT / 16 };

struct type;

struct work {
    struct pr_redis *c;
    bool mortal;              /* it has keys with a time to live */
    const struct type *guess; /* of the last key whose type was asked; NULL: none yet */
    size_t big;               /* bytes that a value may well have, by those that were read last */
    struct dr_digest sum;
    const atomic_bool *cancel;
};

/* How the value of a type is read whole, and what of it belongs together: `group` elements of the
 * reply, in any order unless `ordered`. */
static const struct type {
    const char *name;
    int argc;
    const char *command, *more[3];
    size_t group;
    bool ordered;
} types[] = {
    { "string", 2, "GET", { NULL }, 1, true },
    { "hash", 2, "HGETALL", { NULL }, 2, false },
    { "set", 2, "SMEMBERS", { NULL }, 1, false },
    { "zset", 5, "ZRANGE", { "0", "-1", "WITHSCORES" }, 2, true },
    { "list", 4, "LRANGE", { "0", "-1" }, 1, true },
    { "stream", 4, "XRANGE", { "-", "+" }, 1, true },
};

static const struct type *type_of(const char *name)
{
    for (size_t i = 0; i < PR_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

static void feed(XXH3_state_t *h, const redisReply *r)
{
    const uint64_t n = r->type == REDIS_REPLY_ARRAY ? r->elements : r->len;
    (void)XXH3_128bits_update(h, &n, sizeof n);
    if (r->type == REDIS_REPLY_ARRAY)
        for (size_t i = 0; i < r->elements; i++)
            feed(h, r->element[i]);
    else
        (void)XXH3_128bits_update(h, r->str, r->len);
}

static void add(struct dr_digest *d, XXH128_hash_t h)
{
    d->sum[0] += h.low64;
    d->sum[1] += h.high64;
}

static void add_elements(struct dr_digest *d, XXH3_state_t *h, const struct type *t,
                         redisReply *const *element, size_t n)
{
    for (size_t i = 0; i < n; i += t->group) {
        (void)XXH3_128bits_reset_withSeed(h, t->ordered ? i + 1 : 0);
        for (size_t k = i; k < i + t->group && k < n; k++)
            feed(h, element[k]);
        add(d, XXH3_128bits_digest(h));
    }
}

static void add_key(struct work *w, XXH3_state_t *h, const redisReply *key, const struct type *t,
                    redisReply *value)
{
    struct dr_digest d = { .keys = 0 };
    if (value->type == REDIS_REPLY_ARRAY)
        add_elements(&d, h, t, value->element, value->elements);
    else
        add_elements(&d, h, t, &value, 1);
    (void)XXH3_128bits_reset(h);
    feed(h, key);
    (void)XXH3_128bits_update(h, t->name, strlen(t->name));
    (void)XXH3_128bits_update(h, d.sum, sizeof d.sum);
    add(&w->sum, XXH3_128bits_digest(h));
    w->sum.keys++;
}

static size_t bytes_of(const redisReply *r)
{
    size_t n = r->len;
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        n += bytes_of(r->element[i]);
    return n;
}

static void learn(struct work *w, const redisReply *value)
{
    const size_t n = bytes_of(value);
    w->big = n > w->big ? n : w->big - w->big / 8;
}

/* How many values may be asked for before the first is read. */
static size_t at_once(const struct work *w, size_t most)
{
    const size_t n = IN_FLIGHT / (w->big + 1);
    return n < 1 ? 1 : n < most ? n : most;
}

static enum pr_code ask(struct work *w, const char *command, const redisReply *key,
                        const struct type *t, struct pr_err *err)
{
    const char *argv[5] = { command, key->str };
    size_t len[5] = { strlen(command), key->len };
    const int argc = t != NULL ? t->argc : 2;
    for (int i = 2; i < argc; i++) {
        argv[i] = t->more[i - 2];
        len[i] = strlen(argv[i]);
    }
    return pr_redis_append(w->c, argc, argv, len, err);
}

static enum pr_code type_reply(struct work *w, const redisReply *key, const struct type **out,
                               struct pr_err *err)
{
    PR_AUTO(redisReply) *type = NULL, *expires = NULL;
    enum pr_code rc = pr_redis_reply(w->c, &type, err);
    if (rc == PR_OK && w->mortal)
        rc = pr_redis_reply(w->c, &expires, err);
    if (rc == PR_OK)
        rc = pr_redis_reply_code(type, err);
    if (rc != PR_OK)
        return rc;
    const bool here = type->str != NULL && strcmp(type->str, "none") != 0;
    *out = here ? type_of(type->str) : NULL;
    if (here && *out == NULL)
        return pr_fail(err, PR_EINVAL, "key %.80s is a %.40s: that cannot be compared", key->str,
                       type->str);
    if (expires != NULL && expires->integer >= 0)
        *out = NULL;
    return PR_OK;
}

static enum pr_code chunk(struct work *w, redisReply *const *key, size_t n, XXH3_state_t *h,
                          struct pr_err *err)
{
    const struct type *type[CHUNK] = { NULL };
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        rc = ask(w, "TYPE", key[i], NULL, err);
        if (rc == PR_OK && w->mortal)
            rc = ask(w, "PEXPIRETIME", key[i], NULL, err);
    }
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        rc = type_reply(w, key[i], &type[i], err);
    for (size_t i = 0; i < n; i++)
        w->guess = type[i] != NULL ? type[i] : w->guess;
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        if (type[i] != NULL)
            rc = ask(w, type[i]->command, key[i], type[i], err);
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        PR_AUTO(redisReply) *value = NULL;
        if (type[i] == NULL)
            continue;
        rc = pr_redis_reply(w->c, &value, err);
        if (rc == PR_OK)
            rc = pr_redis_reply_code(value, err);
        if (rc == PR_OK) {
            learn(w, value);
            add_key(w, h, key[i], type[i], value);
        }
    }
    return rc;
}

/* --- pages --------------------------------------------------------------------------------------
 */

/* Keys next to one another are mostly of one type: then nothing but the values is asked for, and
 * the server works on the next while these are added up. Those that are of another type, or seem
 * empty, or gone, are left. */
static enum pr_code by_guess(struct work *w, const redisReply *keys, XXH3_state_t *h,
                             redisReply **left, size_t *n_left, struct pr_err *err)
{
    const struct type *t = w->guess;
    size_t asked = 0;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < keys->elements && rc == PR_OK; i++) {
        PR_AUTO(redisReply) *value = NULL;
        const size_t flight = at_once(w, 2 * CHUNK);
        if (asked < keys->elements && asked - i <= flight / 2) {
            for (; asked < keys->elements && asked < i + flight && rc == PR_OK; asked++)
                rc = ask(w, t->command, keys->element[asked], t, err);
            if (rc == PR_OK)
                rc = pr_redis_flush(w->c, err);
        }
        if (rc == PR_OK)
            rc = pr_redis_reply(w->c, &value, err);
        if (rc != PR_OK)
            return rc;
        learn(w, value);
        const bool other =
            value->type == REDIS_REPLY_ERROR && strncmp(value->str, "WRONGTYPE", 9) == 0;
        const bool none = value->type == REDIS_REPLY_NIL ||
                          (value->type == REDIS_REPLY_ARRAY && value->elements == 0);
        if (other || none)
            left[(*n_left)++] = keys->element[i];
        else if ((rc = pr_redis_reply_code(value, err)) == PR_OK)
            add_key(w, h, keys->element[i], t, value);
    }
    return rc;
}

static enum pr_code by_type(struct work *w, redisReply *const *key, size_t n, XXH3_state_t *h,
                            struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t at = 0, some; at < n && rc == PR_OK; at += some) {
        some = at_once(w, n - at < CHUNK ? n - at : CHUNK);
        rc = chunk(w, key + at, some, h, err);
    }
    return rc;
}

static enum pr_code page(void *ctx, const redisReply *keys, struct pr_err *err)
{
    struct work *w = ctx;
    XXH3_state_t *h = XXH3_createState();
    redisReply **left = malloc((keys->elements + 1) * sizeof(redisReply *));
    size_t n_left = 0;
    enum pr_code rc =
        h != NULL && left != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory for a digest");
    if (rc == PR_OK && (w->guess == NULL || w->mortal)) {
        rc = by_type(w, keys->element, keys->elements, h, err);
    } else if (rc == PR_OK) {
        rc = by_guess(w, keys, h, left, &n_left, err);
        if (rc == PR_OK)
            rc = by_type(w, left, n_left, h, err);
    }
    free(left);
    (void)XXH3_freeState(h);
    return rc;
}

static enum pr_code digest_one(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct work *w = (struct work *)ctx + i;
    (void)s3;
    w->big = UNKNOWN;
    const enum pr_code rc = dr_quarantine_mortal(w->c, &w->mortal, err);
    return rc == PR_OK ? dr_scan(w->c, w->cancel, page, w, err) : rc;
}

static void add_up(const struct work *w, size_t n, struct dr_digest *out)
{
    *out = (struct dr_digest){ .keys = 0 };
    for (size_t i = 0; i < n; i++) {
        out->keys += w[i].sum.keys;
        out->sum[0] += w[i].sum.sum[0];
        out->sum[1] += w[i].sum.sum[1];
    }
}

enum pr_code dr_digest_both(const struct dr_digest_side *a, const struct dr_digest_side *b,
                            unsigned threads, const atomic_bool *cancel, struct dr_digest *of_a,
                            struct dr_digest *of_b, struct pr_err *err)
{
    struct work *w = calloc(a->n + b->n + 1, sizeof *w);
    if (w == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for a digest");
    for (size_t i = 0; i < a->n + b->n; i++) {
        w[i].c = i < a->n ? a->conn[i] : b->conn[i - a->n];
        w[i].cancel = cancel;
    }
    const enum pr_code rc = dr_each(NULL, NULL, threads, a->n + b->n, digest_one, w, err);
    add_up(w, a->n, of_a);
    add_up(w + a->n, b->n, of_b);
    free(w);
    return rc;
}

enum pr_code dr_digest_value(struct pr_redis *c, const char *key, size_t n, uint64_t *out,
                             struct pr_err *err)
{
    struct work w = { .c = c };
    redisReply k = { .type = REDIS_REPLY_STRING, .str = (char *)key, .len = n }, *one = &k;
    const redisReply all = { .type = REDIS_REPLY_ARRAY, .elements = 1, .element = &one };
    const enum pr_code rc = page(&w, &all, err);
    *out = w.sum.sum[0];
    return rc;
}
