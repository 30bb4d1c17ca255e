/* Batches of which nobody knows what became of them when their giver failed over: whether clients
 * were sent to the taker for their keys. That shows in when the copies were used last, so it is
 * asked of both sides, once, before anything reads a copy and thereby uses it. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"

#include <stdlib.h>
#include <string.h>

/* OBJECT IDLETIME uses nothing. */
static enum pr_code ask(struct pr_redis *conn, bool asking, const char *key, size_t key_len,
                        struct pr_err *err)
{
    static const char *const ASKING[] = { "ASKING" };
    const char *const argv[] = { "OBJECT", "IDLETIME", key };
    const size_t len[] = { 6, 8, key_len };
    const enum pr_code rc = asking ? pr_redis_append(conn, 1, ASKING, NULL, err) : PR_OK;
    return rc == PR_OK ? pr_redis_append(conn, 3, argv, len, err) : rc;
}

/* Of a key that it lacks the giver of an open slot says ASK, the taker nil. Whatever else it
 * says: the key is there, for all we know, and when it was used is unknown. */
static enum pr_code hear(struct pr_redis *conn, bool asking, bool *there, int64_t *idle_s,
                         struct pr_err *err)
{
    redisReply *got = NULL;
    enum pr_code rc = asking ? pr_redis_reply(conn, &got, err) : PR_OK;
    if (got != NULL)
        freeReplyObject(got);
    got = NULL;
    if (rc == PR_OK)
        rc = pr_redis_reply(conn, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *r = got;
    const bool elsewhere = r->type == REDIS_REPLY_ERROR && strncmp(r->str, "ASK ", 4) == 0;
    *there = r->type != REDIS_REPLY_NIL && !elsewhere;
    *idle_s = r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
    return PR_OK;
}

static enum pr_code read_keys(struct rebalance_in_flight *keys, struct pr_redis *giver,
                              struct pr_redis *taker, struct rebalance_cut_key *k,
                              struct pr_err *err)
{
    const char *key;
    size_t len;
    enum pr_code rc = PR_OK;
    while (rc == PR_OK && rebalance_in_flight_next(keys, &key, &len)) {
        rc = ask(giver, false, key, len, err);
        if (rc == PR_OK)
            rc = ask(taker, true, key, len, err);
    }
    for (size_t i = 0; i < keys->keys && rc == PR_OK; i++) {
        rc = hear(giver, false, &k[i].on_source, &k[i].source_idle_s, err);
        if (rc == PR_OK)
            rc = hear(taker, true, &k[i].on_target, &k[i].target_idle_s, err);
    }
    return rc;
}

static enum pr_code judge(struct rebalance_pair *p, int lane, struct pr_redis *giver,
                          struct pr_redis *taker, struct pr_err *err)
{
    struct rebalance_cut *c = &p->cut[lane];
    const int side = rebalance_pair_giver(p);
    struct rebalance_in_flight keys;
    enum pr_code rc =
        rebalance_in_flight_open(p->recent[lane].data, p->recent[lane].len, &keys, err);
    if (rc != PR_OK || keys.keys == 0)
        return rc;
    struct rebalance_cut_key *k = calloc(keys.keys, sizeof *k);
    if (k == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu keys of a batch", keys.keys);
    rc = read_keys(&keys, giver, taker, k, err);
    if (rc == PR_OK && !rebalance_shard_noted(rebalance_giver(p), giver, p->over[side].first_us))
        for (size_t i = 0; i < keys.keys; i++)
            k[i].source_idle_s = -1;
    if (rc == PR_OK && !rebalance_shard_noted(rebalance_taker(p), taker, c->sent_us))
        for (size_t i = 0; i < keys.keys; i++)
            k[i].target_idle_s = -1;
    const int64_t now_us = pr_mono_us();
    if (rc == PR_OK) {
        c->judged = true;
        c->keys = keys.keys;
        c->kept = rebalance_cut_kept(k, keys.keys, (now_us - c->sent_us) / 1000 + 1,
                                     (now_us - p->over[side].first_us) / 1000 + 1);
    }
    free(k);
    return rc;
}

/* --- all of them --------------------------------------------------------------------------- */

enum pr_code rebalance_pair_judge_cuts(struct rebalance_pair *p, struct pr_redis *giver,
                                       struct pr_redis *taker, struct pr_err *err)
{
    const int side = rebalance_pair_giver(p);
    enum pr_code rc = PR_OK;
    for (int i = 0; i < REBALANCE_LANES && rc == PR_OK; i++) /* of a second one before nobody knows
                                                                 what it inherited */
        if (p->over[side].n == 1 && !p->resumed && p->over[side].first_us > 0 &&
            p->cut[i].sent_us > 0 && !p->cut[i].judged)
            rc = judge(p, i, giver, taker, err);
    return rc;
}

void rebalance_pair_cuts_over(struct rebalance_pair *p)
{
    for (int i = 0; i < REBALANCE_LANES; i++)
        p->cut[i].judged = true; /* what was not judged keeps nothing */
}

/* Place of the key in lane i's last batch; -1: it is not in it, or MIGRATE said OK. */
static long place(const struct rebalance_pair *p, int lane, const char *key, size_t len)
{
    struct rebalance_in_flight r;
    const char *at;
    size_t n;
    if (p->cut[lane].sent_us == 0 ||
        rebalance_in_flight_open(p->recent[lane].data, p->recent[lane].len, &r, NULL) != PR_OK)
        return -1;
    for (long k = 0; rebalance_in_flight_next(&r, &at, &n); k++)
        if (n == len && memcmp(at, key, len) == 0)
            return k;
    return -1;
}

bool rebalance_pair_unanswered(const struct rebalance_pair *p, const char *key, size_t len)
{
    for (int i = 0; i < REBALANCE_LANES; i++)
        if (place(p, i, key, len) >= 0)
            return true;
    return false;
}

bool rebalance_pair_kept(const struct rebalance_pair *p, const char *key, size_t len)
{
    for (int i = 0; i < REBALANCE_LANES && p->over[rebalance_pair_giver(p)].n == 1; i++) {
        const struct rebalance_cut *c = &p->cut[i];
        const long at = c->judged ? place(p, i, key, len) : -1;
        if (at > (long)c->kept && at < (long)c->keys)
            return true;
    }
    return false;
}
