/* Moving the keys of the open slot. One MIGRATE carries a batch; with the last one
 * goes the question what is left. Two lanes take turns: when the giver is far away the
 * next batch is sent while one is carried out, so that it need not wait for us; and a
 * lane's replicas answer WAIT before the lane is used again; so what no replica has
 * seen is two batches at most. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BATCH = 1000, FIXED_ARGS = 10, LATE_KEYS = 8192 };

struct batch {
    const struct rebalance_keys *keys;
    size_t from, n;
    bool last;       /* of its list: ask what is left */
    bool replicated; /* a replica may be promoted: ask how far the deletions are */
    double predicted_ms;
    uint64_t bytes;
    unsigned lane;
    int64_t sent_us;
};

/* --- what MIGRATE answered ------------------------------------------------------------- */

static bool says(const redisReply *r, const char *text)
{
    return r->str != NULL && strstr(r->str, text) != NULL;
}

/* PR_OK also when the taker refuses for good: the view then says so, and the machine
 * goes back. */
static enum pr_code heed(struct rebalance_pair *p, unsigned lane, const redisReply *r,
                         struct pr_err *err)
{
    static const char *const AUTH[] = { "NOAUTH", "WRONGPASS", "NOPERM" };
    if (r->type == REDIS_REPLY_STATUS)
        return PR_OK; /* OK, or NOKEY: all of them are gone */
    if (r->type != REDIS_REPLY_ERROR)
        return pr_fail(err, PR_EDATA, "MIGRATE answered nonsense");
    p->known = false;
    /* Keys stay that were to go: what its WAIT says is not about them. */
    p->lane[lane].waits = false;
    /* The taker's error may hide that the giver then gave up; what it had sent may reach
     * the taker yet. */
    if (says(r, "IOERR") || says(r, "Target instance"))
        p->view.conflict = p->view.stray = true;
    if (says(r, "OOM")) {
        p->view.refused[rebalance_pair_giver(p)] = REBALANCE_SLOT_OOM;
        snprintf(p->step->error, sizeof p->step->error, "shard %.60s: %.150s",
                 rebalance_taker(p)->id, r->str);
        p->calm = false;
        return PR_OK;
    }
    for (size_t i = 0; i < PR_COUNT(AUTH); i++)
        if (says(r, AUTH[i]) && says(r, "Target instance") &&
            rebalance_pair_carrier(p, false, err) != PR_OK)
            return err->code;
    if (!says(r, "Target instance") && !says(r, "IOERR"))
        rebalance_pair_landed(p, lane); /* refused by the giver itself: nothing was sent */
    return pr_fail(err, PR_EUNAVAIL, "MIGRATE: %.200s", r->str);
}

/* --- one batch ---------------------------------------------------------------------------- */

static enum pr_code append_migrate(struct rebalance_pair *p, struct pr_redis *conn,
                                   const struct batch *b, int timeout_ms, struct pr_err *err)
{
    const struct rebalance_shard_member *to = rebalance_shard_primary(rebalance_taker(p));
    char port[8], timeout[16];
    const char *argv[FIXED_ARGS + MAX_BATCH] = {
        "MIGRATE",           to->host, port, "", "0", timeout, "AUTH2", p->carrier.name,
        p->carrier.password, "KEYS"
    };
    size_t len[FIXED_ARGS + MAX_BATCH];
    snprintf(port, sizeof port, "%d", to->port);
    snprintf(timeout, sizeof timeout, "%d", timeout_ms);
    for (size_t i = 0; i < FIXED_ARGS; i++)
        len[i] = strlen(argv[i]);
    for (size_t i = 0; i < b->n; i++)
        argv[FIXED_ARGS + i] = rebalance_key_at(b->keys, b->from + i, &len[FIXED_ARGS + i]);
    return pr_redis_append(conn, (int)(FIXED_ARGS + b->n), argv, len, err);
}

static enum pr_code append_what_is_left(struct rebalance_pair *p, struct pr_redis *conn,
                                        struct pr_err *err)
{
    char slot[8], count[16];
    const char *argv[] = { "CLUSTER", "GETKEYSINSLOT", slot, count };
    snprintf(slot, sizeof slot, "%d", p->step->slot);
    snprintf(count, sizeof count, "%d", LATE_KEYS);
    return pr_redis_append(conn, 4, argv, NULL, err);
}

/* In memory: which deletions a replica may not know. */
static void remember(struct rebalance_pair *p, unsigned lane, const struct batch *b)
{
    rebalance_pair_landed(p, lane);
    p->deleted[lane] = (struct rebalance_written){ .history = "" };
    p->cut[lane] = (struct rebalance_cut){ .sent_us = pr_mono_us() };
    rebalance_keys_record(b->keys, b->from, b->n, &p->recent[lane]);
}

/* The machine has become slower since the keys were judged: no lease covers them now. */
static enum pr_code refuse(struct rebalance_pair *p, const struct batch *b,
                           const struct pr_err *why)
{
    p->view.refused[rebalance_pair_giver(p)] = REBALANCE_SLOT_OVERSIZED;
    snprintf(p->step->error, sizeof p->step->error, "a MIGRATE of %zu keys %.150s", b->n,
             why->text);
    p->known = p->calm = false;
    return PR_OK;
}

/* Nothing was sent when p->known is unset on PR_OK. */
static enum pr_code send_batch(struct rebalance_pair *p, struct batch *b, struct pr_err *err)
{
    static const char *const INFO[] = { "INFO", "replication" };
    const unsigned lane = b->lane = p->turn % REBALANCE_LANES;
    const int timeout_ms = rebalance_migrate_timeout_ms(b->predicted_ms, &p->limits);
    struct pr_redis *conn = NULL;
    enum pr_code rc = rebalance_pair_lane(p, lane, &conn, err);
    if (rc == PR_OK)
        rc = rebalance_pair_await_lane(p, lane, err);
    if (rc != PR_OK)
        return rc;
    if (b->n > 0 && !rebalance_pair_gives_still(p)) {
        rebalance_pair_repay(p, (double)b->bytes);
        p->known = false; /* the slot is looked at again, and dr is waited for before it goes on */
        return PR_OK;
    }
    rc = rebalance_pair_may_send(p, 2 * timeout_ms, err); /* last: the lease goes on ending */
    if (rc == PR_EINVAL)
        return refuse(p, b, err);
    if (rc != PR_OK)
        return rc;
    if (b->n > 0 && p->recent[lane].len > 0 && p->live[rebalance_pair_giver(p)] > 0)
        rc = rebalance_pair_catch_up(p, rebalance_pair_giver(p), err); /* nobody heard its WAIT */
    if (rc != PR_OK)
        return rc;
    if (b->n > 0)
        remember(p, lane, b);
    pr_redis_set_timeout(conn, 2 * timeout_ms);
    if (b->n > 0)
        rc = append_migrate(p, conn, b, timeout_ms, err);
    b->replicated = b->n > 0 && p->live[rebalance_pair_giver(p)] > 0;
    if (rc == PR_OK && b->replicated)
        rc = pr_redis_append(conn, 2, INFO, NULL, err);
    if (rc == PR_OK && b->last)
        rc = append_what_is_left(p, conn, err);
    if (rc == PR_OK && b->replicated) {
        rc = rebalance_append_wait(conn, p->live[rebalance_pair_giver(p)],
                                   rebalance_pair_wait_ms(p), err);
        p->lane[lane].waits = rc == PR_OK;
    }
    p->turn += b->n > 0;
    p->last_sent_us = b->sent_us = pr_mono_us();
    return rc == PR_OK ? pr_redis_flush(conn, err) : rc;
}

/* A batch takes its time from when it was sent, or the one before it was done. */
static void note_time(struct rebalance_pair *p, const struct batch *b)
{
    const int64_t now_us = pr_mono_us();
    p->busy_us = (uint64_t)(now_us - (b->sent_us > p->answered_us ? b->sent_us : p->answered_us));
    p->answered_us = now_us;
}

/* A giver that led, gave that away and leads again has lost its mark, and yet serves MIGRATE: it
 * shows in its history alone. */
static void hear_of_deletions(struct rebalance_pair *p, unsigned lane, const char *info)
{
    p->deleted[lane] = rebalance_copies_point(info);
    if (strcmp(p->deleted[lane].history, rebalance_giver(p)->reign.history) != 0)
        p->known = p->calm = false; /* it is looked at */
}

static enum pr_code read_batch(struct rebalance_pair *p, const struct batch *b, redisReply **left,
                               struct pr_err *err)
{
    const unsigned lane = b->lane;
    struct pr_redis *conn = p->lane[lane].conn;
    enum pr_code rc = PR_OK;
    if (b->n > 0) {
        redisReply *got = NULL;
        rc = pr_redis_reply(conn, &got, err);
        if (rc != PR_OK) /* keys may be on both sides, and more may follow */
            p->view.conflict = p->view.stray = true;
        PR_AUTO(redisReply) *r = got;
        if (rc == PR_OK && r->type == REDIS_REPLY_STATUS)
            p->cut[lane].sent_us = 0;
        if (rc == PR_OK)
            rc = heed(p, lane, r, err);
        note_time(p, b);
    }
    if (b->replicated && !pr_redis_broken(conn)) {
        redisReply *got = NULL;
        struct pr_err late = { 0 };
        const enum pr_code asked = pr_redis_reply(conn, &got, &late);
        if (asked != PR_OK && rc == PR_OK)
            rc = pr_fail(err, asked, "%s", late.text);
        if (asked == PR_OK && got->str != NULL && rc == PR_OK && p->known)
            hear_of_deletions(p, lane, got->str);
        if (got != NULL)
            freeReplyObject(got);
    }
    if (pr_redis_broken(conn) || !b->last)
        return rc;
    struct pr_err late = { 0 };
    enum pr_code next = pr_redis_reply(conn, left, &late);
    if (next == PR_OK)
        next = pr_redis_reply_code(*left, &late);
    return rc == PR_OK && next != PR_OK ? pr_fail(err, next, "%s", late.text) : rc;
}

static void tally(struct rebalance_pair *p, const struct batch *b)
{
    p->step->keys += b->n;
    p->step->bytes += b->bytes;
    atomic_fetch_add(&p->run->keys, b->n);
    atomic_fetch_add(&p->run->bytes, b->bytes);
    pr_metrics_add(p->run->metrics, M_SLOT_KEYS, NULL, (double)b->n);
    pr_metrics_add(p->run->metrics, M_SLOT_BYTES, NULL, (double)b->bytes);
    pr_metrics_observe(p->run->metrics, M_MIGRATE_SECONDS, NULL, (double)p->busy_us / 1e6);
    p->limits.slowness = rebalance_slowness(
        p->limits.slowness, b->predicted_ms / (p->limits.slowness > 0 ? p->limits.slowness : 1),
        (double)p->busy_us / 1e3);
}

/* *left: what the giver still holds of the slot, after the last batch of a list. */
static enum pr_code finish_batch(struct rebalance_pair *p, const struct batch *b, redisReply **left,
                                 struct pr_err *err)
{
    const bool known = p->known;
    p->known = true;
    const enum pr_code rc = read_batch(p, b, left, err);
    const bool moved = rc == PR_OK && p->known && b->n > 0;
    p->known = p->known && known;
    if (!moved)
        return rc;
    tally(p, b);
    return rebalance_pair_mark(p, err);
}

static struct batch cut(struct rebalance_pair *p, const struct rebalance_keys *keys, size_t from,
                        double factor)
{
    struct batch b = { .keys = keys, .from = from };
    struct rebalance_drain_limits limits = p->limits;
    const size_t left = keys->n - from;
    if (left <= limits.max_keys + limits.max_keys / 3) /* a tail costs as much as a batch */
        limits.max_keys = left < MAX_BATCH ? (uint32_t)left : MAX_BATCH;
    b.n = rebalance_batch_cut(keys->size + from, left, factor, &limits);
    b.n = b.n < MAX_BATCH ? b.n : MAX_BATCH;
    b.last = from + b.n == keys->n;
    b.predicted_ms = rebalance_batch_block_ms(keys->size + from, b.n, p->limits.slowness);
    for (size_t i = from; i < from + b.n; i++)
        b.bytes += keys->size[i].bytes;
    return b;
}

/* --- lists ----------------------------------------------------------------------------------- */

/* Sent before the first is answered the second spares the giver a round trip to us, and
 * makes its clients wait for two batches at a time: worth it when we are far away. It
 * must not outlive the lease even so; a key that moves alone, or a throttle, wants the
 * giver to breathe in between. */
static bool may_queue(const struct rebalance_pair *p, const struct batch *first,
                      const struct batch *second, double factor)
{
    const struct rebalance_slot_run *run = p->run;
    const int64_t ms = 2 * (int64_t)rebalance_migrate_timeout_ms(first->predicted_ms, &p->limits) +
                       2 * (int64_t)rebalance_migrate_timeout_ms(second->predicted_ms, &p->limits);
    return !second->last && factor >= 1 && 2 * p->round_trip_us > (int64_t)p->busy_us &&
           first->predicted_ms <= run->cfg->slot_batch_block_ms &&
           second->predicted_ms <= run->cfg->slot_batch_block_ms &&
           (run->lease_left_ms == NULL || run->lease_left_ms(run->lease_ctx) > ms);
}

struct going {          /* a list on its way */
    struct batch batch; /* sent, not answered */
    bool any;
};

/* Reads what is outstanding; a failure before counts, not the one that follows it. */
static enum pr_code settle_batch(struct rebalance_pair *p, struct going *g, enum pr_code before,
                                 redisReply **left, struct pr_err *err)
{
    struct pr_err late = { 0 };
    if (!g->any)
        return before;
    g->any = false;
    const enum pr_code rc = finish_batch(p, &g->batch, left, before == PR_OK ? err : &late);
    return before == PR_OK ? rc : before;
}

/* Sends the batch when it may; the one before is answered at the latest then. */
static enum pr_code next_batch(struct rebalance_pair *p, struct going *g, struct batch *b,
                               double factor, redisReply **left, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (g->any && !may_queue(p, &g->batch, b, factor))
        rc = settle_batch(p, g, rc, left, err);
    if (rc == PR_OK && p->known)
        rc = send_batch(p, b, err);
    const bool sent = rc == PR_OK && p->known;
    rc = settle_batch(p, g, rc, left, err);
    if (sent)
        *g = (struct going){ *b, true };
    return rc;
}

static enum pr_code move_list(struct rebalance_pair *p, const struct rebalance_keys *keys,
                              redisReply **left, struct pr_err *err)
{
    struct going g = { .any = false };
    enum pr_code rc = PR_OK;
    size_t from = 0;
    do {
        struct batch b = { .keys = keys, .last = true };
        double factor = 1;
        if (rebalance_pair_leaves(p)) {
            p->known = false;
            break;
        }
        if (keys->n > 0) {
            factor = rebalance_pair_pace(p);
            b = cut(p, keys, from, factor);
            if (!rebalance_pair_pay(p, (double)b.bytes)) {
                p->known = false;
                break;
            }
        }
        rc = next_batch(p, &g, &b, factor, left, err);
        from += b.n;
    } while (from < keys->n && rc == PR_OK && p->known);
    return settle_batch(p, &g, rc, left, err);
}

/* Keys that came after the scan, or that nobody has read yet: weighed, recorded. */
static enum pr_code prepare_late(struct rebalance_pair *p, const redisReply *left,
                                 struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    struct rebalance_slot_step *s = p->step;
    rebalance_keys_reset(&p->late);
    /* Not on a lane: its WAIT may not be answered yet. */
    enum pr_code rc = rebalance_keys_add(&p->late, left, err);
    if (rc == PR_OK)
        rc = rebalance_pair_reader(p, &conn, err);
    if (rc == PR_OK)
        rc = rebalance_keys_size(&p->late, 0, conn, err);
    if (rc != PR_OK)
        return rc;
    if (rebalance_keys_judge(&p->late, 0, &p->limits, p->run->allow_big_keys, err) != PR_OK) {
        p->view.refused[rebalance_pair_giver(p)] = REBALANCE_SLOT_OVERSIZED;
        snprintf(s->error, sizeof s->error, "%.250s", err->text);
        p->known = p->calm = false;
        return PR_OK;
    }
    pr_buf_reset(&s->in_flight);
    for (int i = 0; i < REBALANCE_LANES; i++) /* those before are not settled yet */
        pr_buf_add(&s->in_flight, p->recent[i].data, p->recent[i].len);
    rebalance_keys_record(&p->late, 0, p->late.n, &s->in_flight);
    if (s->in_flight.failed)
        return pr_fail(err, PR_ENOMEM, "keys of slot %d", s->slot);
    return rebalance_pair_intend(p, s, err);
}

static void set_giver_keys(struct rebalance_pair *p, int64_t keys)
{
    (p->step->at.back ? &p->view.target : &p->view.source)->keys = keys;
}

static enum pr_code drain(struct rebalance_pair *p, struct pr_err *err)
{
    static const struct rebalance_keys NONE = { 0 };
    enum pr_code rc_settled;
    const struct rebalance_keys *list = &NONE;
    if (p->piece != NULL && !p->step->at.back && p->calm)
        list = &p->piece->keys;
    p->piece = NULL; /* what it said is used up, or not to be trusted */
    p->known = true;
    for (;;) {
        redisReply *got = NULL;
        enum pr_code rc = move_list(p, list, &got, err);
        PR_AUTO(redisReply) *left = got;
        if (rc != PR_OK || !p->known)
            return rc;
        if (left == NULL || left->type != REDIS_REPLY_ARRAY)
            return pr_fail(err, PR_EDATA, "GETKEYSINSLOT answered nonsense");
        if (left->elements == 0)
            break;
        rc = prepare_late(p, left, err);
        if (rc != PR_OK || !p->known)
            return rc;
        list = &p->late;
    }
    set_giver_keys(p, 0);
    rc_settled = rebalance_pair_settle(p, err);
    p->known = p->calm;
    return rc_settled;
}

enum pr_code rebalance_pair_drain(struct rebalance_pair *p, struct pr_err *err)
{
    enum pr_code rc = rebalance_pair_gives(p, rebalance_pair_giver(p), err);
    if (rc == PR_OK)
        rc = rebalance_pair_replicas(p, err);
    if (rc == PR_EINVAL) { /* waiting would not help: say so once, and end the wave */
        rebalance_slot_run_fail(p->run, err);
        return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", p->step->slot);
    }
    if (rc != PR_OK)
        return rc;
    rebalance_pair_compression(p, rebalance_pair_giver(p), true);
    rc = drain(p, err);
    if (rc != PR_OK || !p->known || !p->calm) { /* answers may be outstanding */
        rebalance_pair_hear_lanes(p);
        rebalance_pair_unlink(p);
    }
    return rc;
}
