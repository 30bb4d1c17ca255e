#include "io/survey_private.h"

#include "io/digest.h"
#include "io/each.h"
#include "io/shard.h"

#include "prism/slot.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 1000, BEAT = sizeof DR_BEAT_KEY - 1 };

struct part { /* what one thread finds on one shard */
    const struct dr_survey_of *of;
    const struct dr_survey *all; /* of the first pass; NULL in it */
    struct dr_survey s;
    uint32_t shard;
};

static enum pr_code no_memory(struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "no memory for the vertices that are away from home");
}

/* --- keys ---------------------------------------------------------------------------------------
 */

/* The id points into the key. False: no key of a vertex, by its name. */
static bool parse(const char *key, size_t n, uint32_t partitions, struct dr_found *f,
                  const char **id)
{
    size_t id_len;
    *f = (struct dr_found){ .hash = 0 };
    if (pr_key_parse_staging(key, n, &f->copy.partition, id, &id_len, &f->copy.name))
        f->copy.kind = DR_COPY_STAGED;
    else if (!pr_key_parse_vertex(key, n, &f->copy.partition, id, &id_len))
        return false;
    f->id_len = (uint8_t)id_len;
    f->hash = pr_vertex_hash(*id, id_len);
    f->home = partitions > 0 ? pr_home_partition(f->hash, partitions) : 0;
    return true;
}

static uint64_t number(const redisReply *r)
{
    return r->str != NULL ? strtoull(r->str, NULL, 10) : 0;
}

/* What HMGET _m _v _e says of it. False: it is something else under that name. */
static bool understand(const redisReply *r, struct dr_found *f)
{
    const bool staged = f->copy.kind == DR_COPY_STAGED;
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 3)
        return false;
    const redisReply *m = r->element[0];
    if (r->element[1]->str != NULL) {
        f->copy.kind = staged ? DR_COPY_STAGED : DR_COPY_LIVE;
        f->copy.v = number(r->element[1]);
        f->copy.e = number(r->element[2]);
        return true;
    }
    const char *colon = m->str != NULL ? strchr(m->str, ':') : NULL;
    if (colon == NULL || staged)
        return false;
    f->copy.kind = DR_COPY_STUB;
    f->copy.to = (uint32_t)strtoul(m->str, NULL, 10);
    f->copy.e = strtoull(colon + 1, NULL, 10);
    return true;
}

static enum pr_code ask(struct pr_redis *c, const char *key, size_t n, struct pr_err *err)
{
    const char *argv[] = { "HMGET", key, "_m", "_v", "_e" };
    const size_t len[] = { 5, n, 2, 2, 2 };
    return pr_redis_append(c, 5, argv, len, err);
}

static enum pr_code beyond(const struct part *p, const struct dr_found *f, struct pr_err *err)
{
    const uint32_t most = p->of->partitions;
    if (most == 0)
        return pr_fail(err, PR_EDATA,
                       "there are vertices, and nobody said how many partitions "
                       "their store has");
    return pr_fail(err, PR_EDATA, "a vertex is in partition %u of a store of %u",
                   f->copy.partition >= most ? f->copy.partition : f->copy.to, most);
}

/* Which of what was found is worth keeping in this pass. */
static bool wanted(const struct part *p, const struct dr_found *f, const char *key, size_t n)
{
    const bool plain = f->copy.kind == DR_COPY_LIVE && f->copy.partition == f->home;
    if (p->all == NULL)
        return !plain;
    return plain && dr_survey_shared(p->all, pr_slot_of_key(key, n));
}

static enum pr_code take(struct part *p, const char *key, size_t n, const redisReply *r,
                         struct pr_err *err)
{
    struct dr_found f;
    const char *id = NULL;
    const bool vertex = parse(key, n, p->of->partitions, &f, &id) && understand(r, &f);
    const struct dr_stray t = { .key_len = n, .shard = p->shard };
    if (!vertex)
        return p->all != NULL && dr_survey_shared(p->all, pr_slot_of_key(key, n))
                   ? dr_survey_keep_stray(&p->s, &t, key, err)
                   : PR_OK;
    if (f.copy.partition >= p->of->partitions ||
        (f.copy.kind == DR_COPY_STUB && f.copy.to >= p->of->partitions))
        return beyond(p, &f, err);
    f.copy.shard = p->shard;
    p->s.newest = f.copy.e > p->s.newest ? f.copy.e : p->s.newest;
    p->s.newest = f.copy.name > p->s.newest ? f.copy.name : p->s.newest;
    return wanted(p, &f, key, n) ? dr_survey_keep_found(&p->s, &f, id, err) : PR_OK;
}

/* Where the owner is not sure it matters whether all have the same. What cannot be compared is
 * different; heartbeats are no matter. */
static enum pr_code weigh(struct part *p, size_t from, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t i = from; i < p->s.strays && p->of->unsure != NULL && rc == PR_OK; i++) {
        struct dr_stray *t = &p->s.stray[i];
        const char *key = p->s.text.data + t->key;
        const int slot = pr_slot_of_key(key, t->key_len);
        if ((p->of->unsure[slot / 8] >> slot % 8 & 1) == 0 ||
            (t->key_len > BEAT && memcmp(key, DR_BEAT_KEY, BEAT) == 0))
            continue;
        rc = dr_digest_value(p->of->conn[p->shard], key, t->key_len, &t->value, err);
        if (rc == PR_EINVAL) {
            t->value = p->shard;
            rc = PR_OK;
        }
    }
    return rc;
}

static const redisReply none = { .type = REDIS_REPLY_NIL };

static enum pr_code page(void *ctx, const redisReply *keys, struct pr_err *err)
{
    struct part *p = ctx;
    struct pr_redis *c = p->of->conn[p->shard];
    const size_t strays = p->s.strays;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < keys->elements && rc == PR_OK; i++) {
        const redisReply *k = keys->element[i];
        struct dr_found f;
        const char *id;
        p->s.total++;
        p->s.keys[0][pr_slot_of_key(k->str, k->len)]++;
        if (parse(k->str, k->len, p->of->partitions, &f, &id))
            rc = ask(c, k->str, k->len, err);
    }
    for (size_t i = 0; i < keys->elements && rc == PR_OK; i++) {
        const redisReply *k = keys->element[i];
        struct dr_found f;
        const char *id;
        PR_AUTO(redisReply) *reply = NULL;
        if (parse(k->str, k->len, p->of->partitions, &f, &id))
            rc = pr_redis_reply(c, &reply, err);
        if (rc == PR_OK)
            rc = take(p, k->str, k->len, reply != NULL ? reply : &none, err);
    }
    return rc == PR_OK ? weigh(p, strays, err) : rc;
}

enum pr_code dr_scan(struct pr_redis *c, const atomic_bool *cancel, dr_page_fn *fn, void *ctx,
                     struct pr_err *err)
{
    char cursor[32] = "0";
    do {
        PR_AUTO(redisReply) *reply = NULL;
        if (cancel != NULL && atomic_load(cancel))
            return pr_fail(err, PR_ECANCELED, "told to stop");
        enum pr_code rc = pr_redis_command(c, &reply, err, "SCAN %s COUNT %d", cursor, (int)PAGE);
        if (rc != PR_OK)
            return rc;
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
            reply->element[0]->str == NULL || reply->element[0]->len >= sizeof cursor)
            return pr_fail(err, PR_EDATA, "SCAN answers something else");
        memcpy(cursor, reply->element[0]->str, reply->element[0]->len + 1);
        rc = fn(ctx, reply->element[1], err);
        if (rc != PR_OK)
            return rc;
    } while (strcmp(cursor, "0") != 0);
    return PR_OK;
}

/* --- passes -------------------------------------------------------------------------------------
 */

static enum pr_code look_at_all(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct part *p = (struct part *)ctx + i;
    (void)s3;
    p->s.keys = calloc(1, sizeof *p->s.keys);
    return p->s.keys != NULL ? dr_scan(p->of->conn[p->shard], p->of->cancel, page, p, err)
                             : no_memory(err);
}

/* The home keys of vertices found elsewhere: LIVE there, they were not kept. */
static enum pr_code look_at_homes(struct part *p, struct pr_err *err)
{
    const struct dr_survey *all = p->all;
    struct pr_redis *c = p->of->conn[p->shard];
    char key[PR_MAX_KEY_BYTES];
    for (size_t from = 0, end; from < all->n; from = end) {
        size_t asked[PAGE], n = 0;
        for (end = from; end < all->n && n < PAGE; end = dr_survey_group(all, end)) {
            const struct dr_found *f = &all->found[end];
            const uint32_t slot = pr_partition_slot(f->home);
            if (all->keys[p->shard][slot] == 0 || dr_survey_shared(all, slot))
                continue; /* not here; or all of the slot is looked at */
            const size_t len = pr_key_vertex(key, f->home, all->text.data + f->id, f->id_len);
            const enum pr_code rc = ask(c, key, len, err);
            if (rc != PR_OK)
                return rc;
            asked[n++] = end;
        }
        for (size_t i = 0; i < n; i++) {
            PR_AUTO(redisReply) *reply = NULL;
            const struct dr_found *of = &all->found[asked[i]];
            struct dr_found f = *of;
            enum pr_code rc = pr_redis_reply(c, &reply, err);
            f.copy = (struct dr_copy){ .shard = p->shard, .partition = f.home };
            if (rc == PR_OK && understand(reply, &f) && f.copy.kind == DR_COPY_LIVE)
                rc = dr_survey_keep_found(&p->s, &f, all->text.data + of->id, err);
            if (rc != PR_OK)
                return rc;
        }
    }
    return PR_OK;
}

static bool shares(const struct dr_survey *s, size_t shard)
{
    for (uint32_t slot = 0; slot < DR_SLOTS; slot++)
        if (s->keys[shard][slot] > 0 && dr_survey_shared(s, slot))
            return true;
    return false;
}

static enum pr_code look_again(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct part *p = (struct part *)ctx + i;
    enum pr_code rc = look_at_homes(p, err);
    if (rc == PR_OK && shares(p->all, p->shard))
        rc = look_at_all(ctx, s3, i, err);
    return rc;
}

/* --- putting together ---------------------------------------------------------------------------
 */

static enum pr_code join(struct dr_survey *to, const struct part *p, struct pr_err *err)
{
    const struct dr_survey *s = &p->s;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < s->n && rc == PR_OK; i++)
        rc = dr_survey_keep_found(to, &s->found[i], s->text.data + s->found[i].id, err);
    for (size_t i = 0; i < s->strays && rc == PR_OK; i++)
        rc = dr_survey_keep_stray(to, &s->stray[i], s->text.data + s->stray[i].key, err);
    to->newest = s->newest > to->newest ? s->newest : to->newest;
    if (p->all == NULL) {
        to->total += s->total;
        memcpy(to->keys[p->shard], s->keys, sizeof *s->keys);
    }
    return rc;
}

static enum pr_code pass(const struct dr_survey_of *of, const struct dr_survey *all,
                         dr_each_fn *look, struct dr_survey *out, pthread_mutex_t *joining,
                         struct pr_err *err)
{
    const size_t n = of->to - of->from;
    struct part *part = calloc(n + 1, sizeof *part);
    if (part == NULL)
        return no_memory(err);
    for (size_t i = 0; i < n; i++)
        part[i] = (struct part){ .of = of, .all = all, .shard = (uint32_t)(of->from + i) };
    enum pr_code rc = dr_each(NULL, NULL, of->threads, n, look, part, err);
    if (joining != NULL)
        pthread_mutex_lock(joining);
    for (size_t i = 0; i < n; i++) {
        if (rc == PR_OK)
            rc = join(out, &part[i], err);
        dr_survey_done(&part[i].s);
    }
    if (joining != NULL)
        pthread_mutex_unlock(joining);
    free(part);
    return rc;
}

enum pr_code dr_survey_look(const struct dr_survey_of *of, struct dr_survey *s,
                            pthread_mutex_t *joining, struct pr_err *err)
{
    return pass(of, NULL, look_at_all, s, joining, err);
}

bool dr_survey_asks(const struct dr_survey *s, size_t shard)
{
    if (shares(s, shard))
        return true;
    for (size_t i = 0; i < s->n; i++) {
        const uint32_t slot = pr_partition_slot(s->found[i].home);
        if (s->keys[shard][slot] > 0 && !dr_survey_shared(s, slot))
            return true;
    }
    return false;
}

enum pr_code dr_survey_look_again(const struct dr_survey_of *of, const struct dr_survey *s,
                                  struct dr_survey *more, struct pr_err *err)
{
    const enum pr_code rc = pass(of, s, look_again, more, NULL, err);
    if (rc == PR_OK)
        dr_survey_sort(more);
    return rc;
}

enum pr_code dr_survey_join(struct dr_survey *s, const struct dr_survey *more, struct pr_err *err)
{
    const struct part p = { .all = s, .s = *more };
    const enum pr_code rc = join(s, &p, err);
    if (rc == PR_OK)
        dr_survey_sort(s);
    return rc;
}

enum pr_code dr_survey(const struct dr_survey_of *of, struct dr_survey *out, struct pr_err *err)
{
    struct dr_survey more; /* of its own: the second pass reads the first one's */
    enum pr_code rc = dr_survey_init(out, of->to, err);
    if (rc == PR_OK)
        rc = dr_survey_look(of, out, NULL, err);
    if (rc != PR_OK)
        return rc;
    dr_survey_sort(out);
    rc = dr_survey_init(&more, of->to, err);
    if (rc == PR_OK)
        rc = dr_survey_look_again(of, out, &more, err);
    if (rc == PR_OK)
        rc = dr_survey_join(out, &more, err);
    dr_survey_done(&more);
    return rc;
}
