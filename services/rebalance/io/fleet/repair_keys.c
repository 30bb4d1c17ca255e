/* Moving the keys of one slot, few at a time and with care: nothing is known of who
 * left them there, so no copy is ever overwritten, and one is deleted only when the
 * other side holds the same. */
#include "core/slot/flight.h"
#include "io/fleet/repair_private.h"
#include "io/slot/copies.h"
#include "io/slot/keys.h"

#include "prism/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 100, MOST_STUCK = 1000, TRIES = 5 };

struct drain {
    struct repair *r;
    int slot;
    struct repair_side_of from, to;
    struct rebalance_drain_limits limits;
    struct pr_buf stuck; /* keys that stay, as core/slot/flight.h packs them */
    size_t n_stuck;
    char *left;
    size_t left_size;
    const char *key[BATCH]; /* of list */
    size_t len[BATCH];
    size_t at[BATCH]; /* in list and in weighed */
    struct rebalance_key_size size[BATCH];
    size_t n;
    redisReply *list;
    struct rebalance_keys weighed;
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

static enum pr_code compare_values(struct drain *d, size_t i, bool *same, struct pr_err *err)
{
    struct rebalance_copy_at at[2] = { { .asking = d->from.asking }, { .asking = d->to.asking } };
    redisReply *type = NULL;
    enum pr_code rc = one(d, d->from, "TYPE", d->key[i], d->len[i], &type, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *t = type;
    rc = repair_conn(d->r, d->from.node, &at[0].conn, err);
    if (rc == PR_OK)
        rc = repair_conn(d->r, d->to.node, &at[1].conn, err);
    return rc == PR_OK ? rebalance_copies_same(&at[0], &at[1], d->key[i], d->len[i],
                                               rebalance_key_type(t->str, t->len), same, err)
                       : rc;
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
    return *both && !*same ? compare_values(d, i, same, err) : PR_OK;
}

/* --- a key on both sides ------------------------------------------------------------------ */

static enum pr_code simple(struct pr_redis *conn, const char *command, redisReply **out,
                           struct pr_err *err)
{
    const char *const argv[] = { command };
    enum pr_code rc = pr_redis_append(conn, 1, argv, NULL, err);
    return rc == PR_OK ? pr_redis_reply(conn, out, err) : rc;
}

/* The other side's copy is the only one then. */
static enum pr_code delete_watched(struct drain *d, size_t i, bool *gone, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    bool changed = false;
    enum pr_code rc = duty_lease(d->r->ctx, d->r->ctx->cfg->redis_timeout_ms, err);
    if (rc == PR_OK)
        rc = repair_conn(d->r, d->from.node, &conn, err);
    if (rc == PR_OK)
        rc = rebalance_copy_unlink(conn, d->from.asking, d->key[i], d->len[i], &changed, err);
    *gone = rc == PR_OK && !changed;
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
        d->at[d->n] = i;
        d->key[d->n] = k->str;
        d->len[d->n++] = k->len;
    }
    return rc;
}

static enum pr_code size_keys(struct drain *d, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    rebalance_keys_reset(&d->weighed);
    enum pr_code rc = repair_conn(d->r, d->from.node, &conn, err);
    if (rc == PR_OK)
        rc = rebalance_keys_add(&d->weighed, d->list, err);
    if (rc == PR_OK)
        rc = rebalance_keys_size(&d->weighed, 0, conn, err);
    if (rc != PR_OK) /* answers may be under way */
        repair_cut(d->from.node);
    for (size_t i = 0; i < d->n && rc == PR_OK; i++)
        d->size[i] = d->weighed.size[d->at[i]];
    return rc;
}

/* Keys that would block their node for too long stay. */
static void set_big_aside(struct drain *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->n; i++) {
        struct rebalance_key_judgement j;
        rebalance_key_judge(d->key[i], d->len[i], &d->size[i], &d->limits, &j);
        if (j.verdict == REBALANCE_KEY_REFUSED ||
            (j.verdict == REBALANCE_KEY_NEEDS_APPROVAL && !d->r->ctx->allow_big_keys)) {
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
    const int ms =
        rebalance_migrate_timeout_ms(rebalance_batch_block_ms(d->size, n, 1), &d->limits);
    snprintf(port, sizeof port, "%d", d->to.node->port);
    snprintf(timeout, sizeof timeout, "%d", ms);
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
    enum pr_code rc = duty_lease(ctx, 2 * ms, err);
    if (rc == PR_OK)
        rc = repair_conn(d->r, d->from.node, &conn, err);
    if (rc != PR_OK)
        return rc;
    pr_redis_set_timeout(conn, 2 * ms);
    /* a slot that is open may always be asked to MIGRATE */
    rc = pr_redis_append(conn, (int)(FIXED + n), argv, len, err);
    if (rc == PR_OK)
        rc = pr_redis_reply(conn, out, err);
    pr_redis_set_timeout(conn, (int)ctx->cfg->redis_timeout_ms);
    return rc;
}

/* The target first: while its replicas lack a key, the source's may have it still. */
static enum pr_code settle(struct drain *d, struct pr_err *err)
{
    enum pr_code rc = repair_settle(d->r, d->to.node, true, err);
    return rc == PR_OK ? repair_settle(d->r, d->from.node, false, err) : rc;
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
    if (busy) /* a copy that is deleted leaves the target's alone */
        rc = repair_settle(d->r, d->to.node, true, err);
    for (size_t i = 0; busy && i < n && rc == PR_OK; i++)
        rc = resolve(d, i, err);
    return rc == PR_OK ? settle(d, err) : rc;
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

static enum pr_code node_timeout(struct drain *d, struct repair_primary *at, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    PR_AUTO(redisReply) *r = NULL;
    enum pr_code rc = repair_conn(d->r, at, &conn, err); /* makes our user there, for MIGRATE */
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &r, err, "CONFIG GET cluster-node-timeout");
    if (rc != PR_OK || r->elements != 2 || r->element[1]->str == NULL)
        return rc;
    const int64_t ms = strtoll(r->element[1]->str, NULL, 10);
    if (d->limits.node_timeout_ms == 0 || ms < d->limits.node_timeout_ms)
        d->limits.node_timeout_ms = ms;
    return PR_OK;
}

/* Before the first key: that nobody could wait for is known before anything moves. Others
 * may have moved some of them, too. */
static enum pr_code equip(struct drain *d, struct pr_err *err)
{
    enum pr_code rc = node_timeout(d, d->to.node, err);
    if (rc == PR_OK)
        rc = node_timeout(d, d->from.node, err);
    return rc == PR_OK ? settle(d, err) : rc;
}

static enum pr_code drain_all(struct drain *d, struct pr_err *err)
{
    bool empty = false;
    enum pr_code rc = equip(d, err);
    for (int failed = 0; rc == PR_OK && !empty && d->n_stuck < MOST_STUCK;) {
        if ((rc = duty_nap(d->r->ctx, 0, err)) != PR_OK)
            break;
        rc = next_batch(d, &empty, err);
        if (rc == PR_ETIMEOUT && ++failed < TRIES)
            rc = PR_OK;
    }
    return rc == PR_OK ? settle(d, err) : rc;
}

enum pr_code repair_drain(struct repair *r, int slot, struct repair_side_of from,
                          struct repair_side_of to, char *left, size_t size, struct pr_err *err)
{
    const struct rebalance_config *cfg = r->ctx->cfg;
    const int64_t lease_ms = cfg->lease_ttl_ms - REBALANCE_LEASE_MARGIN_MS;
    struct drain d = { .r = r,
                       .slot = slot,
                       .from = from,
                       .to = to,
                       .limits = { .max_keys = BATCH,
                                   .block_budget_ms = cfg->slot_block_budget_ms,
                                   .patience_ms = cfg->redis_timeout_ms / 2,
                                   .lease_ms = lease_ms > 0 ? lease_ms : 0 },
                       .weighed = { .asking = from.asking },
                       .left = left,
                       .left_size = size };
    pr_buf_init(&d.stuck, 0);
    pr_buf_init(&d.weighed.text, 0);
    enum pr_code rc = drain_all(&d, err);
    pr_buf_done(&d.stuck);
    rebalance_keys_done(&d.weighed);
    if (rc == PR_EINVAL && elsewhere(err->text))
        rc = PR_EUNAVAIL;
    return rc == PR_OK ? rc : pr_wrap(err, rc, "slot %d", slot);
}
