/* What the machine asks for, as commands to the two primaries. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

enum { POLL_US = 30000, DISSENT_US = 1000000 };

/* --- SETSLOT -------------------------------------------------------------------------- */

struct words { /* one CLUSTER command */
    const char *verb, *id; /* NULL verb: DELSLOTS; NULL id: none */
};

static enum pr_code append_setslot(struct pr_redis *conn, const char *slot, const struct words *w,
                                   struct pr_err *err)
{
    const char *argv[] = { "CLUSTER", "SETSLOT", slot, w->verb, w->id };
    const char *del[] = { "CLUSTER", "DELSLOTS", slot };
    if (w->verb == NULL)
        return pr_redis_append(conn, 3, del, NULL, err);
    return pr_redis_append(conn, w->id == NULL ? 4 : 5, argv, NULL, err);
}

static enum pr_code read_ok(struct pr_redis *conn, struct pr_err *err)
{
    redisReply *got = NULL;
    enum pr_code rc = pr_redis_reply(conn, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *r = got;
    rc = pr_redis_reply_code(r, err);
    for (size_t i = 0; rc == PR_OK && r->type == REDIS_REPLY_ARRAY && i < r->elements; i++)
        rc = pr_redis_reply_code(r->element[i], err);
    return rc;
}

/* In one transaction, which begins with STABLE: a mark of the other kind would hide. */
static enum pr_code setslot(struct rebalance_pair *p, struct pr_redis *conn, const struct words *w,
                            size_t n, struct pr_err *err)
{
    static const char *const MULTI[] = { "MULTI" }, *const EXEC[] = { "EXEC" };
    static const struct words STABLE = { "STABLE", NULL };
    char slot[8];
    snprintf(slot, sizeof slot, "%d", p->step->slot);
    pr_redis_set_timeout(conn, rebalance_pair_patience_ms(p->run));
    enum pr_code rc = rebalance_pair_may_send(p, rebalance_pair_patience_ms(p->run), err);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 1, MULTI, NULL, err);
    if (rc == PR_OK)
        rc = append_setslot(conn, slot, &STABLE, err);
    for (size_t i = 0; i < n && rc == PR_OK; i++)
        rc = append_setslot(conn, slot, &w[i], err);
    if (rc == PR_OK)
        rc = pr_redis_append(conn, 1, EXEC, NULL, err);
    if (rc != PR_OK)
        return rc;
    struct pr_err first = { 0 };
    for (size_t i = 0; i < n + 3 && !pr_redis_broken(conn); i++) {
        struct pr_err why = { 0 };
        const enum pr_code one = read_ok(conn, &why);
        if (one != PR_OK && first.code == PR_OK)
            first = why;
    }
    if (pr_redis_broken(conn))
        p->view.stray = true; /* it may be carried out yet */
    return first.code == PR_OK ? PR_OK : pr_fail(err, first.code, "%s", first.text);
}

static enum pr_code on_giver(struct rebalance_pair *p, const struct words *w, size_t n,
                             struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    enum pr_code rc = rebalance_pair_lane(p, 0, &conn, err);
    if (rc == PR_OK && p->lane[0].waits) /* its answer comes first */
        rc = rebalance_pair_settle(p, err);
    return rc == PR_OK ? setslot(p, conn, w, n, err) : rc;
}

static enum pr_code on_taker(struct rebalance_pair *p, const struct words *w, size_t n,
                             struct pr_err *err)
{
    struct pr_redis *conn = NULL;
    enum pr_code rc = rebalance_pair_taker(p, &conn, err);
    if (rc == PR_OK && p->taker_waits)
        rc = rebalance_pair_settle(p, err);
    return rc == PR_OK ? setslot(p, conn, w, n, err) : rc;
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
    const struct words turn[] = { { NULL, NULL }, { "NODE", g }, { "IMPORTING", g } };
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
            rc = pr_redis_command(conn, &got, err, "CLIENT KILL USER %s", p->run->mover.user);
        if (got != NULL)
            freeReplyObject(got);
    }
    rebalance_pair_unlink(p);
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < p->shard[k].members; i++) {
            pr_redis_close(p->shard[k].member[i].eye);
            p->shard[k].member[i].eye = NULL;
        }
    p->known = false;
    if (rc == PR_OK)
        p->view.stray = false;
    return rc;
}

static enum pr_code verify(struct rebalance_pair *p, struct pr_err *err)
{
    const int64_t now_us = pr_mono_us();
    bool ok = false;
    struct rebalance_slot_step *one[] = { p->step };
    enum pr_code rc =
        rebalance_verify(&p->verifier, p->run, one, 1, taker_id(p), giver_id(p), &ok, err);
    if (rc != PR_OK)
        return rc;
    p->view.agreed = ok;
    if (ok)
        return PR_OK;
    p->known = false;
    if (p->dissent_us == 0)
        p->dissent_us = now_us;
    if (now_us - p->dissent_us > DISSENT_US) {
        struct pr_redis *conn = NULL;
        redisReply *got = NULL;
        p->dissent_us = now_us;
        rc = rebalance_pair_taker(p, &conn, err);
        if (rc == PR_OK)
            rc = pr_redis_command(conn, &got, err, "CLUSTER BUMPEPOCH");
        if (got != NULL)
            freeReplyObject(got);
    }
    if (rc == PR_OK && !rebalance_slot_run_pause(p->run, POLL_US))
        return pr_fail(err, PR_ECANCELED, "slot %d is left as it is", p->step->slot);
    return rc;
}

static enum pr_code wait(struct rebalance_pair *p, const struct rebalance_slot_next *next,
                         struct pr_err *err)
{
    char why[300];
    const struct rebalance_shard *missing =
        p->view.source.there || p->view.source.gone ? &p->shard[1] : &p->shard[0];
    snprintf(why, sizeof why, "slot %d: %s (shard %.60s)", p->step->slot, next->why, missing->id);
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
    enum pr_code rc = rebalance_pair_resolve(p, map == REBALANCE_SLOT_TO_SELF, err);
    p->known = false;
    if (rc == PR_ECONFLICT) {
        snprintf(p->step->error, sizeof p->step->error, "%.250s", err->text);
        p->view.diverged = true;
        return PR_OK;
    }
    if (rc != PR_OK)
        return rc;
    p->view.conflict = false;
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
    if (!p->calm && next->effect != REBALANCE_SLOT_DO_VERIFY)
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
    case REBALANCE_SLOT_DO_VERIFY:
        return verify(p, err);
    case REBALANCE_SLOT_EFFECTS:
        break;
    }
    return pr_fail(err, PR_EINTERNAL, "no such effect");
}
