/* What the machine asks for, as commands to the two primaries. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_US = 30000 };

/* --- SETSLOT -------------------------------------------------------------------------- */

struct words {             /* one CLUSTER command */
    const char *verb, *id; /* id "": none */
};
enum { MAX_WORDS = 4 };

/* All of them or none is seen by a client; and nothing happens when the node runs it
 * too late: one that was paused, and voted out meanwhile, first does what is in its
 * sockets. */
static const char SCRIPT[] =
    "local t = redis.call('TIME') "
    "if t[1] * 1000 + math.floor(t[2] / 1000) > tonumber(ARGV[1]) then "
    "return redis.error_reply('ERR it is too late for this') end "
    "for i = 3, #ARGV, 2 do "
    "if ARGV[i] == 'DELSLOTS' then redis.call('CLUSTER', 'DELSLOTS', ARGV[2]) "
    "elseif ARGV[i + 1] == '' then redis.call('CLUSTER', 'SETSLOT', ARGV[2], ARGV[i]) "
    "else redis.call('CLUSTER', 'SETSLOT', ARGV[2], ARGV[i], ARGV[i + 1]) end end "
    "return 'OK'";

/* How far the clock of the primary of shard k is ahead of our monotonic one. */
static enum pr_code learn_clock(struct rebalance_pair *p, struct pr_redis *conn, int k,
                                struct pr_err *err)
{
    redisReply *got = NULL;
    if (p->clock_known[k])
        return PR_OK;
    const int64_t asked_us = pr_mono_us();
    const enum pr_code rc = pr_redis_command(conn, &got, err, "TIME");
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *r = got;
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2)
        return pr_fail(err, PR_EDATA, "TIME answered nonsense");
    p->clock_us[k] = strtoll(r->element[0]->str, NULL, 10) * 1000000 +
                     strtoll(r->element[1]->str, NULL, 10) - asked_us;
    const int64_t took_us = pr_mono_us() - asked_us;
    if (k == rebalance_pair_giver(p) && (p->round_trip_us == 0 || took_us < p->round_trip_us))
        p->round_trip_us = took_us;
    p->clock_known[k] = true;
    return PR_OK;
}

static enum pr_code setslot(struct rebalance_pair *p, struct pr_redis *conn, int k, bool stable,
                            const struct words *w, size_t n, struct pr_err *err)
{
    char slot[8], deadline[24];
    const char *argv[5 + 2 * (MAX_WORDS + 1)] = { "EVAL", SCRIPT, "0", deadline, slot };
    int argc = 5;
    const int patience_ms = rebalance_pair_patience_ms(p->run);
    for (size_t i = 0; i < n; i++)
        if (!rebalance_slot_named(w[i].verb, w[i].id))
            return pr_fail(err, PR_EUNAVAIL,
                           "shard %.64s cannot be told %s: the primary of the other shard never "
                           "said its id",
                           p->shard[k].id, w[i].verb);
    enum pr_code rc = learn_clock(p, conn, k, err);
    if (rc == PR_OK)
        rc = rebalance_pair_may_send(p, patience_ms, err);
    if (rc != PR_OK)
        return rc;
    snprintf(slot, sizeof slot, "%d", p->step->slot);
    snprintf(deadline, sizeof deadline, "%lld",
             (long long)((pr_mono_us() + p->clock_us[k]) / 1000 + patience_ms));
    if (stable) {
        argv[argc++] = "STABLE";
        argv[argc++] = "";
    }
    for (size_t i = 0; i < n; i++) {
        argv[argc++] = w[i].verb;
        argv[argc++] = w[i].id;
    }
    redisReply *got = NULL;
    pr_redis_set_timeout(conn, patience_ms);
    rc = pr_redis_append(conn, argc, argv, NULL, err);
    if (rc == PR_OK)
        rc = pr_redis_reply(conn, &got, err);
    if (rc == PR_OK)
        rc = pr_redis_reply_code(got, err);
    if (pr_redis_broken(conn))
        p->view.stray = true; /* it may be carried out yet */
    if (got != NULL)
        freeReplyObject(got);
    return rc;
}

static bool migrates(const struct rebalance_slot_side *s)
{
    return s->open == REBALANCE_SLOT_MIGRATES || s->open == REBALANCE_SLOT_MIGRATES_STALE;
}

static bool imports(const struct rebalance_slot_side *s)
{
    return s->open == REBALANCE_SLOT_IMPORTS || s->open == REBALANCE_SLOT_IMPORTS_STALE;
}

static struct rebalance_slot_side *side_of(struct rebalance_pair *p, int k)
{
    return k == 0 ? &p->view.source : &p->view.target;
}

static enum pr_code on_giver(struct rebalance_pair *p, const struct words *w, size_t n,
                             struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    const int k = rebalance_pair_giver(p);
    /* A mark of the other kind hides this one: it goes first. */
    const bool stable = w == NULL || (strcmp(w->verb, "IMPORTING") == 0 ? migrates(side_of(p, k))
                                                                        : imports(side_of(p, k)));
    enum pr_code rc = rebalance_pair_lane(p, 0, &conn, err);
    if (rc == PR_OK) /* its answer comes first */
        rc = rebalance_pair_await_lane(p, 0, err);
    return rc == PR_OK ? setslot(p, conn, k, stable, w, n, err) : rc;
}

static enum pr_code on_taker(struct rebalance_pair *p, const struct words *w, size_t n,
                             struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    const int k = !rebalance_pair_giver(p);
    const bool stable = w == NULL || migrates(side_of(p, k));
    enum pr_code rc = rebalance_pair_taker(p, &conn, err);
    if (rc == PR_OK)
        rc = rebalance_pair_await_taker(p, err);
    return rc == PR_OK ? setslot(p, conn, k, stable, w, n, err) : rc;
}

static const char *giver_id(struct rebalance_pair *p)
{
    const struct rebalance_shard_member *m = rebalance_shard_primary(rebalance_giver(p));
    return m == NULL ? "" : m->id;
}

static const char *taker_id(struct rebalance_pair *p)
{
    const struct rebalance_shard_member *m = rebalance_shard_primary(rebalance_taker(p));
    return m == NULL ? "" : m->id;
}

/* A promoted giver is open again: what was written there meanwhile nobody can have
 * had acknowledged by a replica, if none is in step even now, and this was the only
 * fail-over. */
static void look_for_replicas(struct rebalance_pair *p)
{
    redisReply *got = NULL;
    if (!p->giver_failed || p->reopened)
        return;
    p->reopened = true;
    if (pr_redis_command(p->lane[0].conn, &got, NULL, "INFO replication") == PR_OK)
        p->gap_unacknowledged = p->over[rebalance_pair_giver(p)].n == 1 && !p->resumed &&
                                got->str != NULL && rebalance_replicas_in_step(got->str) == 0;
    if (got != NULL)
        freeReplyObject(got);
}

static enum pr_code open_slot(struct rebalance_pair *p, enum rebalance_slot_effect effect,
                              struct pr_err *err)
{
    const struct words import[] = { { "NODE", giver_id(p) }, { "IMPORTING", giver_id(p) } };
    const struct words migrate[] = { { "MIGRATING", taker_id(p) } };
    struct rebalance_slot_side *giver = p->step->at.back ? &p->view.target : &p->view.source,
                               *taker = p->step->at.back ? &p->view.source : &p->view.target;
    enum pr_code rc;
    switch (effect) {
    case REBALANCE_SLOT_DO_IMPORT:
        rc = on_taker(p, import + 1, 1, err);
        break;
    case REBALANCE_SLOT_DO_CURE:
        rc = on_taker(p, import, 2, err);
        break;
    default:
        rc = on_giver(p, migrate, 1, err);
        if (rc == PR_OK) {
            look_for_replicas(p);
            giver->open = REBALANCE_SLOT_MIGRATES;
            /* Until it was seen empty while open, it is not. */
            giver->keys = giver->keys > 0 ? giver->keys : 1;
        }
        return rc;
    }
    if (rc == PR_OK) {
        taker->open = REBALANCE_SLOT_IMPORTS;
        taker->map = REBALANCE_SLOT_TO_OTHER;
    }
    return rc;
}

static enum pr_code change_owner(struct rebalance_pair *p, enum rebalance_slot_effect effect,
                                 struct pr_err *err)
{
    const char *g = giver_id(p), *t = taker_id(p);
    struct rebalance_slot_side *giver = p->step->at.back ? &p->view.target : &p->view.source,
                               *taker = p->step->at.back ? &p->view.source : &p->view.target;
    const struct words claim[] = { { "IMPORTING", g }, { "NODE", t } };
    const struct words turn[] = { { "DELSLOTS", "" }, { "NODE", g }, { "IMPORTING", g } };
    const struct words reclaim[] = { { "IMPORTING", t }, { "NODE", g }, { "MIGRATING", t } };
    enum pr_code rc;
    switch (effect) {
    case REBALANCE_SLOT_DO_CLAIM:
        rc = on_taker(p, claim, 2, err);
        if (rc == PR_OK) {
            taker->open = REBALANCE_SLOT_CLOSED;
            taker->map = REBALANCE_SLOT_TO_SELF;
        }
        return rc;
    case REBALANCE_SLOT_DO_RELEASE: {
        const struct words release[] = { { "NODE", t } };
        rc = on_giver(p, release, 1, err);
        if (rc == PR_OK) {
            giver->open = REBALANCE_SLOT_CLOSED;
            giver->map = REBALANCE_SLOT_TO_OTHER;
        }
        return rc;
    }
    case REBALANCE_SLOT_DO_TURN:
        p->known = false;
        return on_taker(p, turn, 3, err);
    default:
        p->known = false;
        return on_giver(p, reclaim, 3, err);
    }
}

/* --- the others ------------------------------------------------------------------------ */

/* Whatever was sent and not answered can come to nothing from here on: connections of
 * ours are closed by the nodes, and MIGRATE's name at the taker is withdrawn. A
 * former primary that does not answer cannot be told; its MIGRATE needs that name. */
static enum pr_code fence(struct rebalance_pair *p, struct pr_err *err)
{
    enum pr_code rc = rebalance_pair_carrier(p, true, err);
    for (int k = 0; k < 2 && rc == PR_OK; k++) {
        struct pr_redis *conn = NULL;
        redisReply *got = NULL;
        rc = rebalance_pair_service(p, k, &conn, err);
        if (rc == PR_OK)
            rc = rebalance_pair_may_send(p, rebalance_pair_patience_ms(p->run), err);
        if (rc == PR_OK)
            rc = pr_redis_command(conn, &got, err, "CLIENT KILL USER %s", p->run->mover.user);
        if (got != NULL)
            freeReplyObject(got);
    }
    rebalance_pair_unlink(p);
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < rebalance_pair_members(p, k); i++) {
            pr_redis_close(p->shard[k].member[i].eye);
            p->shard[k].member[i].eye = NULL;
        }
    p->known = false;
    if (rc == PR_OK)
        p->view.stray = false;
    return rc;
}

/* Whoever owns it now: a canceled move is known once all agree on the source. */
static enum pr_code verify(struct rebalance_pair *p, struct pr_err *err)
{
    bool ok = false;
    struct rebalance_slot_step *one[] = { p->step };
    const struct rebalance_shard_member *source = rebalance_shard_primary(&p->shard[0]),
                                        *target = rebalance_shard_primary(&p->shard[1]);
    const bool back = p->view.source.map == REBALANCE_SLOT_TO_SELF;
    const char *s = source == NULL ? "" : source->id, *t = target == NULL ? "" : target->id;
    const enum pr_code rc =
        rebalance_verify(&p->verifier, p->run, one, 1, back ? s : t, back ? t : s, &ok, err);
    p->known = false;
    if (rc != PR_OK)
        return rc;
    p->view.agreed = ok;
    /* In trouble sooner than the scout asks. */
    if (!ok && !rebalance_pair_pause(p, rebalance_verify_every_us(&p->verifier) / 3))
        return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", p->step->slot);
    return PR_OK;
}

static enum pr_code bump(struct rebalance_pair *p, struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    redisReply *got = NULL;
    p->known = false;
    enum pr_code rc = rebalance_pair_taker(p, &conn, err);
    if (rc == PR_OK)
        rc = rebalance_pair_await_taker(p, err);
    if (rc == PR_OK)
        rc = rebalance_pair_may_send(p, rebalance_pair_patience_ms(p->run), err);
    if (rc == PR_OK) {
        pr_redis_set_timeout(conn, rebalance_pair_patience_ms(p->run));
        rc = pr_redis_command(conn, &got, err, "CLUSTER BUMPEPOCH");
    }
    if (got != NULL)
        freeReplyObject(got);
    return rc;
}

static enum pr_code wait(struct rebalance_pair *p, const struct rebalance_slot_next *next,
                         struct pr_err *err)
{
    char why[300];
    const bool source = p->view.source.there || p->view.source.gone, target = p->view.target.there;
    snprintf(why, sizeof why, "slot %d: %s%s%.60s", p->step->slot, next->why,
             source && target ? "" : ": shard ", source && target ? "" : p->shard[source].id);
    rebalance_slot_run_waits(p->run, why);
    rebalance_pair_unlink(p);
    p->known = p->calm = false;
    if (!rebalance_slot_run_pause(p->run, POLL_US))
        return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", p->step->slot);
    return PR_OK;
}

static enum pr_code resolve(struct rebalance_pair *p, struct pr_err *err)
{
    const struct rebalance_slot_view *v = &p->view;
    const enum rebalance_slot_map map = p->step->at.back ? v->source.map : v->target.map;
    enum pr_code rc = rebalance_pair_gives(p, rebalance_pair_giver(p), err);
    if (rc == PR_OK)
        rc = rebalance_pair_resolve(p, map == REBALANCE_SLOT_TO_SELF, err);
    p->known = false;
    if (rc == PR_ECONFLICT) {
        snprintf(p->step->error, sizeof p->step->error, "%.250s", err->text);
        p->view.diverged = true;
        return PR_OK;
    }
    if (rc != PR_OK)
        return rc;
    p->calm = false;
    rc = rebalance_pair_settle(p, err); /* what was judged must not be undone by a fail-over */
    if (rc != PR_OK)
        return rc;
    p->restarted[rebalance_pair_giver(p)] = false;
    p->view.settled = false; /* keys may go before it is found empty */
    p->view.conflict = p->giver_failed = p->step->served_on = p->step->failed_over = false;
    if (!p->step->at.back) /* a turn may be undone, and what the source did before counts again */
        p->resumed = false;
    for (unsigned i = 0; i < REBALANCE_LANES; i++)
        rebalance_pair_landed(p, i);
    pr_buf_reset(&p->step->in_flight);
    return rebalance_pair_intend(p, p->step, err);
}

static enum pr_code close_side(struct rebalance_pair *p, bool giver, struct pr_err *err)
{
    p->known = false;
    return giver ? on_giver(p, NULL, 0, err) : on_taker(p, NULL, 0, err); /* STABLE alone */
}

enum pr_code rebalance_pair_effect(struct rebalance_pair *p, const struct rebalance_slot_next *next,
                                   struct pr_err *err)
{
    if (!p->calm && next->effect != REBALANCE_SLOT_DO_WAIT)
        rebalance_slot_run_waits(p->run, NULL);
    if (!p->calm)
        p->known = false; /* in trouble nothing is taken for granted */
    switch (next->effect) {
    case REBALANCE_SLOT_DO_NOTHING:
    case REBALANCE_SLOT_DO_STOP:
        return PR_OK;
    case REBALANCE_SLOT_DO_LOOK:
        p->known = false;
        return PR_OK;
    case REBALANCE_SLOT_DO_WAIT:
        return wait(p, next, err);
    case REBALANCE_SLOT_DO_FENCE:
        return fence(p, err);
    case REBALANCE_SLOT_DO_IMPORT:
    case REBALANCE_SLOT_DO_CURE:
    case REBALANCE_SLOT_DO_MIGRATE:
        return open_slot(p, next->effect, err);
    case REBALANCE_SLOT_DO_RESOLVE:
        return resolve(p, err);
    case REBALANCE_SLOT_DO_DRAIN:
        return rebalance_pair_drain(p, err);
    case REBALANCE_SLOT_DO_SETTLE:
        return rebalance_pair_settle(p, err);
    case REBALANCE_SLOT_DO_CLAIM:
    case REBALANCE_SLOT_DO_RELEASE:
    case REBALANCE_SLOT_DO_TURN:
    case REBALANCE_SLOT_DO_RECLAIM:
        return change_owner(p, next->effect, err);
    case REBALANCE_SLOT_DO_CLOSE_G:
        return close_side(p, true, err);
    case REBALANCE_SLOT_DO_CLOSE_T:
        return close_side(p, false, err);
    case REBALANCE_SLOT_DO_BUMP:
        return bump(p, err);
    case REBALANCE_SLOT_DO_VERIFY:
        return verify(p, err);
    case REBALANCE_SLOT_EFFECTS:
        break;
    }
    return pr_fail(err, PR_EINTERNAL, "no such effect");
}
