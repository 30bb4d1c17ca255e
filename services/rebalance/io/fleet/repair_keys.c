/* Moving the keys of one slot, few at a time and with care: nothing is known of who
 * left them there, so no copy is ever overwritten, and one is deleted only when the
 * other side holds the same. */
#include "core/slot/drain.h"
#include "io/fleet/repair_private.h"

#include "prism/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 100, MOST_STUCK = 1000, TRIES = 5, WAIT_MS = 1000 };

struct drain {
    struct repair *r;
    int slot;
    struct repair_side_of from, to;
    struct rebalance_drain_limits limits;
    struct pr_buf stuck; /* keys that stay, as core/slot/drain.h packs them */
    size_t n_stuck;
    char *left;
    size_t left_size;
    const char *key[BATCH]; /* of list */
    size_t len[BATCH];
    struct rebalance_key_size size[BATCH];
    size_t n;
    redisReply *list;
};

/* --- commands about keys ------------------------------------------------------------- */

static enum pr_code put(struct pr_redis *conn, bool asking, int argc, const char *const *argv,
                        const size_t *len, struct pr_err *err)
{
    static const char *const ask[] = { "ASKING" };
    enum pr_code rc = asking ? pr_redis_append(conn, 1, ask, NULL, err) : PR_OK;
    return rc == PR_OK ? pr_redis_append(conn, argc, argv, len, err) : rc;
}

/* Errors of the server stay in the reply. */
static enum pr_code get(struct pr_redis *conn, bool asking, redisReply **out, struct pr_err *err)
{
    redisReply *got = NULL;
    enum pr_code rc = asking ? pr_redis_reply(conn, &got, err) : PR_OK;
    if (got != NULL)
        freeReplyObject(got);
    return rc == PR_OK ? pr_redis_reply(conn, out, err) : rc;
}

/* One command with one key. */
static enum pr_code one(struct drain *d, struct repair_side_of at, const char *command,
                        const char *key, size_t len, redisReply **out, struct pr_err *err)
{
    const char *const argv[] = { command, key };
    const size_t lens[] = { strlen(command), len };
    struct pr_redis *conn = NULL;
    enum pr_code rc = repair_conn(d->r, at.node, &conn, err);
    if (rc == PR_OK)
        rc = put(conn, at.asking, 2, argv, lens, err);
    if (rc == PR_OK)
        rc = get(conn, at.asking, out, err);
    if (rc == PR_OK && (rc = pr_redis_reply_code(*out, err)) != PR_OK) {
        freeReplyObject(*out);
        *out = NULL;
    }
    return rc;
}

static void name_key(char *out, size_t size, const char *key, size_t len)
{
    size_t n = 0;
    for (; n < len && n + 4 < size && n < 80; n++)
        out[n] = (char)(key[n] < ' ' || key[n] > '~' ? '?' : key[n]);
    snprintf(out + n, size - n, "%s", n < len ? "..." : "");
}

static void stays(struct drain *d, size_t i, const char *why)
{
    char name[96];
    rebalance_in_flight_add(&d->stuck, d->key[i], d->len[i]);
    d->n_stuck++;
    if (d->left[0] != '\0')
        return;
    name_key(name, sizeof name, d->key[i], d->len[i]);
    snprintf(d->left, d->left_size, "slot %d, key %s on %s:%d and %s:%d: %s", d->slot, name,
             d->from.node->host, d->from.node->port, d->to.node->host, d->to.node->port, why);
}

static bool is_stuck(const struct drain *d, const char *key, size_t len)
{
    struct rebalance_in_flight in;
    return d->n_stuck > 0 &&
           rebalance_in_flight_open(d->stuck.data, d->stuck.len, &in, NULL) == PR_OK &&
           rebalance_in_flight_has(&in, key, len);
}

/* --- are two copies the same ------------------------------------------------------------ */

struct pair {
    const redisReply *field, *value; /* value NULL: of a set */
};

static int compare_text(const redisReply *x, const redisReply *y)
{
    const size_t n = x->len < y->len ? x->len : y->len;
    const int c = memcmp(x->str, y->str, n);
    return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

static int by_field(const void *a, const void *b)
{
    return compare_text(((const struct pair *)a)->field, ((const struct pair *)b)->field);
}

static struct pair *sorted(const redisReply *r, size_t step)
{
    const size_t n = r->elements / step;
    struct pair *p = calloc(n + 1, sizeof *p);
    for (size_t i = 0; p != NULL && i < n; i++)
        p[i] = (struct pair){ r->element[i * step], step == 2 ? r->element[i * 2 + 1] : NULL };
    if (p != NULL)
        qsort(p, n, sizeof *p, by_field);
    return p;
}

/* Members of a set, or fields and values of a hash, in any order. */
static bool same_members(const redisReply *a, const redisReply *b, size_t step)
{
    if (a->elements != b->elements)
        return false;
    struct pair *x = sorted(a, step), *y = sorted(b, step);
    bool same = x != NULL && y != NULL;
    for (size_t i = 0; same && i < a->elements / step; i++)
        same = compare_text(x[i].field, y[i].field) == 0 &&
               (step == 1 || compare_text(x[i].value, y[i].value) == 0);
    free(x);
    free(y);
    return same;
}

/* Large hashes and sets DUMP in an order of their own at each node. */
static enum pr_code compare_members(struct drain *d, size_t i, bool *same, struct pr_err *err)
{
    redisReply *type = NULL, *a = NULL, *b = NULL;
    enum pr_code rc = one(d, d->from, "TYPE", d->key[i], d->len[i], &type, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *t = type;
    const bool hash = strcmp(t->str, "hash") == 0, set = strcmp(t->str, "set") == 0;
    const char *command = hash ? "HGETALL" : "SMEMBERS";
    *same = false;
    if (!hash && !set)
        return PR_OK;
    rc = one(d, d->from, command, d->key[i], d->len[i], &a, err);
    if (rc == PR_OK)
        rc = one(d, d->to, command, d->key[i], d->len[i], &b, err);
    PR_AUTO(redisReply) *x = a;
    PR_AUTO(redisReply) *y = b;
    if (rc == PR_EINVAL && strncmp(err->text, "WRONGTYPE", 9) == 0)
        return PR_OK; /* another type there */
    if (rc == PR_OK)
        *same = same_members(x, y, hash ? 2 : 1);
    return rc;
}

static enum pr_code compare(struct drain *d, size_t i, bool *both, bool *same, struct pr_err *err)
{
    redisReply *got[2] = { NULL, NULL };
    enum pr_code rc = one(d, d->from, "DUMP", d->key[i], d->len[i], &got[0], err);
    if (rc == PR_OK)
        rc = one(d, d->to, "DUMP", d->key[i], d->len[i], &got[1], err);
    PR_AUTO(redisReply) *a = got[0];
    PR_AUTO(redisReply) *b = got[1];
    if (rc != PR_OK)
        return rc;
    *both = a->type == REDIS_REPLY_STRING && b->type == REDIS_REPLY_STRING;
    *same = *both && a->len == b->len && memcmp(a->str, b->str, a->len) == 0;
    return *both && !*same ? compare_members(d, i, same, err) : PR_OK;
}

/* --- a key on both sides ------------------------------------------------------------------ */

static enum pr_code simple(struct pr_redis *conn, const char *command, redisReply **out,
                           struct pr_err *err)
{
    const char *const argv[] = { command };
    enum pr_code rc = pr_redis_append(conn, 1, argv, NULL, err);
    return rc == PR_OK ? pr_redis_reply(conn, out, err) : rc;
}

/* Under WATCH: deleted unless somebody wrote to it since. ASKING before MULTI holds
 * for everything up to EXEC. */
static enum pr_code delete_watched(struct drain *d, size_t i, bool *gone, struct pr_err *err)
{
    const char *const command[] = { "ASKING", "MULTI", "UNLINK", "EXEC" };
    const char *const unlink[] = { "UNLINK", d->key[i] };
    const size_t len[] = { 6, d->len[i] };
    struct pr_redis *conn = NULL;
    enum pr_code rc = duty_lease(d->r->ctx, d->r->ctx->cfg->redis_timeout_ms, err);
    if (rc == PR_OK)
        rc = repair_conn(d->r, d->from.node, &conn, err);
    for (size_t k = d->from.asking ? 0 : 1; k < PR_COUNT(command) && rc == PR_OK; k++) {
        redisReply *got = NULL;
        rc = k == 2 ? pr_redis_append(conn, 2, unlink, len, err)
                    : pr_redis_append(conn, 1, &command[k], NULL, err);
        if (rc == PR_OK)
            rc = pr_redis_reply(conn, &got, err);
        if (rc != PR_OK)
            break;
        PR_AUTO(redisReply) *r = got;
        rc = pr_redis_reply_code(r, err);
        *gone = rc == PR_OK && r->type == REDIS_REPLY_ARRAY && k == PR_COUNT(command) - 1;
    }
    return rc;
}

static enum pr_code resolve(struct drain *d, size_t i, struct pr_err *err)
{
    bool both = false, same = false, gone = false;
    redisReply *watch = NULL, *unwatch = NULL;
    struct pr_redis *conn = NULL;
    enum pr_code rc = one(d, d->from, "WATCH", d->key[i], d->len[i], &watch, err);
    PR_AUTO(redisReply) *w = watch;
    (void)w;
    if (rc == PR_OK)
        rc = compare(d, i, &both, &same, err);
    if (rc == PR_OK && same) {
        rc = delete_watched(d, i, &gone, err);
        d->r->report->deleted_copies += gone;
        return rc;
    }
    if (rc == PR_OK && both) {
        stays(d, i, "the copies differ, a person has to say which one counts");
        d->r->report->conflicts++;
    }
    if (rc == PR_OK)
        rc = repair_conn(d->r, d->from.node, &conn, err);
    if (rc == PR_OK)
        rc = simple(conn, "UNWATCH", &unwatch, err);
    PR_AUTO(redisReply) *u = unwatch;
    (void)u;
    return rc;
}

/* --- a batch -------------------------------------------------------------------------------- */

static enum pr_code list_keys(struct drain *d, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    d->n = 0;
    enum pr_code rc = repair_conn(d->r, d->from.node, &conn, err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &d->list, err, "CLUSTER GETKEYSINSLOT %d %d", d->slot,
                              (int)(BATCH + d->n_stuck));
    for (size_t i = 0; rc == PR_OK && i < d->list->elements && d->n < BATCH; i++) {
        const redisReply *k = d->list->element[i];
        if (is_stuck(d, k->str, k->len))
            continue;
        d->key[d->n] = k->str;
        d->len[d->n++] = k->len;
    }
    return rc;
}

static enum pr_code size_keys(struct drain *d, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    enum pr_code rc = repair_conn(d->r, d->from.node, &conn, err);
    for (size_t i = 0; i < d->n && rc == PR_OK; i++) {
        const char *const argv[] = { "MEMORY", "USAGE", d->key[i] };
        const size_t len[] = { 6, 5, d->len[i] };
        rc = put(conn, d->from.asking, 3, argv, len, err);
    }
    for (size_t i = 0; i < d->n && rc == PR_OK; i++) {
        redisReply *got = NULL;
        rc = get(conn, d->from.asking, &got, err);
        if (rc != PR_OK)
            break;
        d->size[i] = (struct rebalance_key_size){ .bytes = got->type == REDIS_REPLY_INTEGER
                                                               ? (uint64_t)got->integer
                                                               : 0 };
        freeReplyObject(got);
    }
    return rc;
}

/* Keys that would block their node for too long stay. */
static void set_big_aside(struct drain *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->n; i++) {
        struct rebalance_key_judgement j;
        rebalance_key_judge(d->key[i], d->len[i], &d->size[i], &d->limits, &j);
        if (j.verdict == REBALANCE_KEY_NEEDS_APPROVAL || j.verdict == REBALANCE_KEY_REFUSED) {
            stays(d, i, j.why);
            continue;
        }
        d->key[kept] = d->key[i];
        d->len[kept] = d->len[i];
        d->size[kept++] = d->size[i];
    }
    d->n = kept;
}

static enum pr_code migrate(struct drain *d, size_t n, redisReply **out, struct pr_err *err)
{
    enum { FIXED = 10 };
    const struct rebalance_duty_ctx *ctx = d->r->ctx;
    const char *argv[FIXED + BATCH];
    size_t len[FIXED + BATCH];
    char port[16], timeout[24];
    snprintf(port, sizeof port, "%d", d->to.node->port);
    snprintf(timeout, sizeof timeout, "%lld", (long long)ctx->cfg->redis_timeout_ms / 2);
    const char *const fixed[FIXED] = {
        "MIGRATE",       d->to.node->host,    port,  "", "0", timeout, "AUTH2",
        ctx->user->name, ctx->user->password, "KEYS"
    };
    for (size_t i = 0; i < FIXED; i++) {
        argv[i] = fixed[i];
        len[i] = strlen(fixed[i]);
    }
    for (size_t i = 0; i < n; i++) {
        argv[FIXED + i] = d->key[i];
        len[FIXED + i] = d->len[i];
    }
    struct pr_redis *conn = NULL;
    enum pr_code rc = duty_lease(ctx, ctx->cfg->redis_timeout_ms, err);
    if (rc == PR_OK)
        rc = repair_conn(d->r, d->from.node, &conn, err);
    if (rc == PR_OK) /* a slot that is open may always be asked to MIGRATE */
        rc = pr_redis_append(conn, (int)(FIXED + n), argv, len, err);
    return rc == PR_OK ? pr_redis_reply(conn, out, err) : rc;
}

/* Moved keys are on one node only until its replicas have them. */
static enum pr_code wait_replicas(struct drain *d, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    enum pr_code rc = repair_conn(d->r, d->to.node, &conn, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *info = NULL;
    PR_AUTO(redisReply) *acked = NULL;
    rc = pr_redis_command(conn, &info, err, "INFO replication");
    int live = 0;
    for (const char *p = rc == PR_OK ? strstr(info->str, "state=online") : NULL; p != NULL;
         p = strstr(p + 1, "state=online"))
        live++;
    return rc == PR_OK && live > 0
               ? pr_redis_command(conn, &acked, err, "WAIT %d %d", live, WAIT_MS)
               : rc;
}

static enum pr_code count(struct drain *d, long *keys, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    PR_AUTO(redisReply) *r = NULL;
    enum pr_code rc = repair_conn(d->r, d->from.node, &conn, err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &r, err, "CLUSTER COUNTKEYSINSLOT %d", d->slot);
    if (rc == PR_OK)
        *keys = (long)r->integer;
    return rc;
}

static enum pr_code move_batch(struct drain *d, size_t n, struct pr_err *err)
{
    redisReply *got = NULL;
    long before = 0, after = 0;
    enum pr_code rc = count(d, &before, err);
    if (rc == PR_OK)
        rc = migrate(d, n, &got, err);
    PR_AUTO(redisReply) *r = got;
    if (rc == PR_OK)
        rc = pr_redis_reply_code(r, err);
    const bool busy = rc == PR_EINVAL && strstr(err->text, "BUSYKEY") != NULL;
    if (rc == PR_EINVAL && strncmp(err->text, "IOERR", 5) == 0)
        rc = PR_ETIMEOUT; /* a key may be on both sides now: the next try finds out */
    if (rc != PR_OK && !busy)
        return rc;
    if ((rc = count(d, &after, err)) != PR_OK)
        return rc;
    d->r->report->moved_keys += before > after ? before - after : 0;
    for (size_t i = 0; busy && i < n && rc == PR_OK; i++)
        rc = resolve(d, i, err);
    return rc == PR_OK ? wait_replicas(d, err) : rc;
}

static enum pr_code next_batch(struct drain *d, bool *empty, struct pr_err *err)
{
    enum pr_code rc = list_keys(d, err);
    *empty = rc == PR_OK && d->n == 0;
    if (rc == PR_OK && d->n > 0)
        rc = size_keys(d, err);
    if (rc == PR_OK)
        set_big_aside(d);
    if (rc == PR_OK && d->n > 0)
        rc = move_batch(d, rebalance_batch_cut(d->size, d->n, 1, &d->limits), err);
    if (d->list != NULL)
        freeReplyObject(d->list);
    d->list = NULL;
    return rc;
}

/* There was a fail-over since we looked. */
static bool elsewhere(const char *error)
{
    return strstr(error, "MOVED ") != NULL || strstr(error, "ASK ") != NULL;
}

enum pr_code repair_drain(struct repair *r, int slot, struct repair_side_of from,
                          struct repair_side_of to, char *left, size_t size, struct pr_err *err)
{
    struct drain d = { .r = r,
                       .slot = slot,
                       .from = from,
                       .to = to,
                       .limits = { .max_keys = BATCH },
                       .left = left,
                       .left_size = size };
    struct pr_redis *conn = NULL;
    bool empty = false;
    pr_buf_init(&d.stuck, 0);
    enum pr_code rc = repair_conn(r, to.node, &conn, err); /* makes our user there, for MIGRATE */
    for (int failed = 0; rc == PR_OK && !empty && d.n_stuck < MOST_STUCK;) {
        if ((rc = duty_nap(r->ctx, 0, err)) != PR_OK)
            break;
        rc = next_batch(&d, &empty, err);
        if (rc == PR_ETIMEOUT && ++failed < TRIES)
            rc = PR_OK;
    }
    pr_buf_done(&d.stuck);
    if (rc == PR_EINVAL && elsewhere(err->text))
        rc = PR_EUNAVAIL;
    return rc == PR_OK ? rc : pr_wrap(err, rc, "slot %d", slot);
}
