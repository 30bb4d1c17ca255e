/* Waiting for replicas. WAIT speaks of the last write of its own connection (since
 * Redis 7.2 of nothing else). The giver's lane wrote the deletions itself. At the
 * taker MIGRATE wrote, over the giver's connection; so we write a mark of our own
 * behind it, into the slot that it imports, and take it away in the same breath: it
 * lives for microseconds, and for a minute at most should we die between the two. */
#include "io/slot/copies.h"
#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/slot.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { MARK_REPLIES = 4, POLL_US = 20000 };

/* --- tags ------------------------------------------------------------------------------- */

static uint32_t tags[PR_SLOTS];
static pthread_once_t tags_made = PTHREAD_ONCE_INIT;

static void make_tags(void)
{
    size_t found = 0;
    for (uint32_t n = 1; found < PR_SLOTS; n++) {
        char text[16];
        const int len = snprintf(text, sizeof text, "%u", n);
        uint32_t *tag = &tags[pr_crc16(text, (size_t)len) % PR_SLOTS];
        found += *tag == 0;
        *tag = *tag == 0 ? n : *tag;
    }
}

unsigned rebalance_tag_of_slot(unsigned slot)
{
    pthread_once(&tags_made, make_tags);
    return tags[slot % PR_SLOTS];
}

/* --- WAIT -------------------------------------------------------------------------------- */

static int wait_reply_ms(const struct rebalance_pair *p)
{
    return (int)rebalance_pair_wait_ms(p) + rebalance_pair_patience_ms(p->run);
}

/* Short: between two of them the order to stop is looked at. */
int64_t rebalance_pair_wait_ms(const struct rebalance_pair *p)
{
    enum { TURN_MS = 200 };
    return p->run->cfg->wait_ms < TURN_MS ? p->run->cfg->wait_ms : TURN_MS;
}

enum pr_code rebalance_append_wait(struct pr_redis *conn, int replicas, int64_t ms,
                                   struct pr_err *err)
{
    char n[16], t[24];
    const char *argv[] = { "WAIT", n, t };
    snprintf(n, sizeof n, "%d", replicas);
    snprintf(t, sizeof t, "%lld", (long long)ms);
    return pr_redis_append(conn, 3, argv, NULL, err);
}

/* Replicas that are there now: one that was lost since must not be waited for. */
static enum pr_code recount(struct rebalance_pair *p, int k, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    redisReply *got = NULL;
    enum pr_code rc = rebalance_pair_service(p, k, &conn, err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &got, err, "INFO replication");
    if (rc != PR_OK)
        return rc;
    const int live = rebalance_replicas_in_step(got->str == NULL ? "" : got->str);
    freeReplyObject(got);
    if (live < 0)
        return pr_fail(err, PR_EUNAVAIL, "the primary of shard %s is no primary any more",
                       p->shard[k].id);
    pthread_mutex_lock(&p->lock);
    struct rebalance_shard_member *m = rebalance_shard_primary(&p->shard[k]);
    if (m != NULL)
        m->replicas = live;
    pthread_mutex_unlock(&p->lock);
    return rebalance_pair_replicas(p, err);
}

/* Reads a WAIT's answer; as long as replicas are missing that are there, asks again. */
static enum pr_code await(struct rebalance_pair *p, struct pr_redis *conn, int k,
                          struct pr_err *err)
{
    for (;;) {
        redisReply *got = NULL;
        pr_redis_set_timeout(conn, wait_reply_ms(p));
        enum pr_code rc = pr_redis_reply(conn, &got, err);
        if (rc != PR_OK)
            return rc;
        PR_AUTO(redisReply) *r = got;
        rc = pr_redis_reply_code(r, err);
        if (rc != PR_OK || r->integer >= p->live[k])
            return rc;
        char why[160];
        snprintf(why, sizeof why, "shard %.60s: %lld of %d replicas acknowledged", p->shard[k].id,
                 r->integer, p->live[k]);
        rebalance_slot_run_waits(p->run, why);
        if (rebalance_pair_leaves(p))
            return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", p->step->slot);
        rc = recount(p, k, err);
        if (rc != PR_OK)
            return rc;
        rebalance_slot_run_waits(p->run, NULL);
        if (r->integer >= p->live[k])
            return PR_OK;
        rc = rebalance_append_wait(conn, p->live[k], rebalance_pair_wait_ms(p), err);
        if (rc != PR_OK)
            return rc;
    }
}

enum pr_code rebalance_pair_await_lane(struct rebalance_pair *p, unsigned i, struct pr_err *err)
{
    if (!p->lane[i].waits)
        return PR_OK;
    p->lane[i].waits = false;
    const enum pr_code rc = await(p, p->lane[i].conn, rebalance_pair_giver(p), err);
    if (rc == PR_OK && p->live[rebalance_pair_giver(p)] > 0)
        rebalance_pair_landed(p, i); /* every replica knows that these are gone */
    return rc;
}

/* Something went wrong: what the replicas have answered already still counts. */
void rebalance_pair_hear_lanes(struct rebalance_pair *p)
{
    enum { MOMENT_MS = 20 };
    for (int i = 0; i < REBALANCE_LANES; i++) {
        struct rebalance_lane *l = &p->lane[i];
        redisReply *got = NULL;
        if (!l->waits || l->conn == NULL || pr_redis_broken(l->conn))
            continue;
        l->waits = false;
        pr_redis_set_timeout(l->conn, MOMENT_MS);
        if (pr_redis_reply(l->conn, &got, NULL) != PR_OK)
            continue;
        if (got->type == REDIS_REPLY_INTEGER && got->integer > 0 &&
            got->integer >= p->live[rebalance_pair_giver(p)])
            rebalance_pair_landed(p, (unsigned)i);
        freeReplyObject(got);
    }
}

enum pr_code rebalance_pair_await_taker(struct rebalance_pair *p, struct pr_err *err)
{
    if (!p->taker_waits)
        return PR_OK;
    p->taker_waits = false;
    for (int i = 0; i < MARK_REPLIES; i++) {
        redisReply *got = NULL;
        enum pr_code rc = pr_redis_reply(p->taker, &got, err);
        if (rc != PR_OK)
            return rc;
        PR_AUTO(redisReply) *r = got;
        rc = pr_redis_reply_code(r, err);
        if (rc != PR_OK) { /* its other answers are in the way now; a lane may have a batch out */
            pr_redis_close(p->taker);
            p->taker = NULL;
            return rc == PR_EFULL ? pr_fail(err, PR_EUNAVAIL, "%.200s", r->str) : rc;
        }
    }
    return await(p, p->taker, !rebalance_pair_giver(p), err);
}

enum pr_code rebalance_pair_mark(struct rebalance_pair *p, struct pr_err *err)
{
    static const char *const ASKING[] = { "ASKING" };
    char key[40];
    struct pr_redis *conn = NULL;
    const int live = p->live[!rebalance_pair_giver(p)];
    if (live == 0)
        return PR_OK;
    enum pr_code rc = rebalance_pair_taker(p, &conn, err);
    if (rc == PR_OK)
        rc = rebalance_pair_await_taker(p, err);
    if (rc == PR_OK)
        rc = rebalance_pair_may_send(p, wait_reply_ms(p), err);
    snprintf(key, sizeof key, "prism-mark:{%u}", rebalance_tag_of_slot((unsigned)p->step->slot));
    const char *set[] = { "SET", key, "1", "PX", "60000" };
    const char *unlink[] = { "UNLINK", key };
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 1, ASKING, NULL, err);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 5, set, NULL, err);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 1, ASKING, NULL, err);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 2, unlink, NULL, err);
    if (rc == PR_OK)
        rc = rebalance_append_wait(conn, live, rebalance_pair_wait_ms(p), err);
    if (rc == PR_OK)
        rc = pr_redis_flush(conn, err);
    p->taker_waits = rc == PR_OK;
    return rc;
}

/* --- settling --------------------------------------------------------------------------- */

/* By offsets: what an earlier connection wrote no WAIT of ours speaks of. A replica
 * says once a second how far it is. */
enum pr_code rebalance_pair_catch_up(struct rebalance_pair *p, int k, struct pr_err *err)
{
    long long want = -1;
    for (;;) {
        struct pr_redis *conn = NULL;
        redisReply *got = NULL;
        enum pr_code rc = rebalance_pair_service(p, k, &conn, err);
        if (rc == PR_OK)
            rc = pr_redis_command(conn, &got, err, "INFO replication");
        if (rc != PR_OK)
            return rc;
        PR_AUTO(redisReply) *r = got;
        const char *info = r->str == NULL ? "" : r->str;
        if (rebalance_replicas_in_step(info) < 0)
            return pr_fail(err, PR_EUNAVAIL, "the primary of shard %s is none any more",
                           p->shard[k].id);
        if (want < 0)
            want = rebalance_copies_written(info);
        const long long least = rebalance_copies_acked(info);
        if (least >= want || (least < 0 && p->run->allow_no_replicas))
            return PR_OK;
        char why[120];
        snprintf(why, sizeof why, "shard %.60s: its replicas are to catch up", p->shard[k].id);
        rebalance_slot_run_waits(p->run, why);
        if (!rebalance_pair_pause(p, POLL_US))
            return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", p->step->slot);
    }
}

enum pr_code rebalance_pair_settle(struct rebalance_pair *p, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (unsigned i = 0; i < REBALANCE_LANES && rc == PR_OK; i++)
        rc = rebalance_pair_await_lane(p, i, err);
    if (rc == PR_OK)
        rc = rebalance_pair_await_taker(p, err);
    for (int k = 0; k < 2 && rc == PR_OK && !p->calm; k++)
        rc = rebalance_pair_catch_up(p, k, err);
    if (rc == PR_OK)
        p->view.settled = true;
    else
        rebalance_pair_unlink(p);
    return rc;
}
