/* While the dr service ships this cluster it holds the giver's stream back until the taker's is
 * durable: shards are cut at different offsets there, and a cut with a key's deletion and without
 * its copy would lose it. So it has to know of a pair before the first key moves, and until the
 * last one did. It ships from when dr_groups has rows, which may be in the middle of a pair: only a
 * yes is remembered, a no is asked for again before every batch. Nothing turns that off but
 * PRISM_REBALANCE_DR. */
#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/slot.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_US = 50000, SAY_US = 1000000, SLOT_BYTES = PR_SLOTS / 8 };

struct asking {
    struct rebalance_pair *p;
    int giver; /* 0 or 1 */
    int64_t id;
};

static enum pr_code ships(struct rebalance_pair *p, bool *yes, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc =
        pr_db_exec(p->db, "SELECT EXISTS (SELECT 1 FROM dr_groups)", NULL, 0, &got, err);
    PR_AUTO(PGresult) *res = got;
    *yes = rc == PR_OK && pr_cell_bool(res, 0, 0);
    return rc;
}

/* What an executor left that was killed, or that PostgreSQL was away for: of a plan that is over,
 * that nobody winds up any more, and that has no slot open. */
#define STALE                                                                                      \
    "plan_id IN (SELECT p.id FROM plans p WHERE p.state IN ('done', 'failed', 'canceled') AND "    \
    "NOT EXISTS (SELECT FROM operations o WHERE o.id = p.execute_operation_id "                    \
    "AND o.state IN ('pending', 'running')) AND NOT EXISTS (SELECT FROM steps s WHERE "            \
    "s.plan_id = p.id AND s.kind = 'slot' AND "                                                    \
    "s.state IN " REBALANCE_SLOT_OPEN_STATES "))"

enum pr_code rebalance_gives_sweep(struct pr_db *db, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc = pr_db_exec(
        db, "UPDATE dr_gives SET ended = true WHERE NOT ended AND " STALE " RETURNING giver, taker",
        NULL, 0, &got, err);
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; rc == PR_OK && i < PQntuples(res); i++)
        pr_info(PR_EV("slot.gave_long_ago"), PR_S("from", pr_cell(res, i, 0)),
                PR_S("to", pr_cell(res, i, 1)));
    return rc;
}

/* The other way round is over: a slot turns back only when nothing is sent any more. */
static enum pr_code insert(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct asking *a = ctx;
    const struct rebalance_pair *p = a->p;
    const char *giver = p->shard[a->giver].id, *taker = p->shard[!a->giver].id;
    uint8_t slots[SLOT_BYTES] = { 0 };
    PGresult *got = NULL;
    for (size_t i = 0; i < p->n_steps; i++)
        slots[p->steps[i].slot / 8] |= (uint8_t)(1u << p->steps[i].slot % 8);
    enum pr_code rc = pr_lease_check(db, &p->run->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE dr_gives SET ended = true WHERE NOT ended AND "
                        "((giver = $2 AND taker = $1) OR " STALE ")",
                        PR_ARGS(pr_text(giver), pr_text(taker)), NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "INSERT INTO dr_gives (plan_id, giver, taker, slots) "
                        "VALUES ($1, $2, $3, $4) RETURNING id",
                        PR_ARGS(pr_i64(p->run->plan_id), pr_text(giver), pr_text(taker),
                                pr_bytes(slots, sizeof slots)),
                        &got, err);
    PR_AUTO(PGresult) *res = got;
    if (rc == PR_OK)
        a->id = pr_cell_i64(res, 0, 0);
    return rc;
}

static enum pr_code known(struct rebalance_pair *p, int64_t id, bool *yes, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc = pr_db_exec(p->db, "SELECT known FROM dr_gives WHERE id = $1",
                                       PR_ARGS(pr_i64(id)), &got, err);
    PR_AUTO(PGresult) *res = got;
    *yes = rc == PR_OK && PQntuples(res) == 1 && pr_cell_bool(res, 0, 0);
    return rc;
}

/* False: told to stop before any slot was opened, or long enough ago. */
static bool may_wait(struct rebalance_pair *p)
{
    const bool fresh = p->step == NULL && p->begun == 0;
    return rebalance_pair_pause(p, LOOK_US) &&
           !(fresh && rebalance_slot_run_order(p->run) != REBALANCE_RUN_ON);
}

static enum pr_code step(struct asking *a, bool *done, struct pr_err *err)
{
    bool yes = true;
    enum pr_code rc = PR_OK;
    if (a->id == 0 && (rc = ships(a->p, &yes, err)) == PR_OK && yes)
        rc = pr_db_tx(a->p->db, insert, a, err);
    a->p->gives_asked = a->p->gives_asked || yes; /* also when it is not known whether it was */
    *done = rc == PR_OK && !yes;
    return rc == PR_OK && yes ? known(a->p, a->id, done, err) : rc;
}

enum pr_code rebalance_pair_gives(struct rebalance_pair *p, int giver, struct pr_err *err)
{
    struct asking a = { .p = p, .giver = giver };
    const int64_t begun_us = pr_mono_us();
    bool done = false, said = false;
    if (!p->run->cfg->dr || (p->gives_known && p->gives == giver))
        return PR_OK;
    while (!done) {
        char why[256];
        struct pr_err what = { 0 };
        const enum pr_code rc = step(&a, &done, &what);
        if (rc == PR_EFENCED || rc == PR_ENOMEM)
            return pr_fail(err, rc, "%s", what.text);
        if (done)
            break;
        if (pr_mono_us() - begun_us > SAY_US) {
            (void)snprintf(why, sizeof why,
                           "dr: shard %.60s is not known to give slots to %.60s%s%.60s",
                           p->shard[giver].id, p->shard[!giver].id, rc == PR_OK ? "" : ": ",
                           rc == PR_OK ? "" : what.text);
            rebalance_slot_run_waits(p->run, why);
            said = true;
        }
        if (!may_wait(p))
            return pr_fail(err, PR_ECANCELED, "nothing is moved before dr knows of it");
    }
    if (said)
        rebalance_slot_run_waits(p->run, NULL);
    p->gives = giver;
    p->gives_known = a.id != 0; /* "does not ship" holds for this moment only */
    return PR_OK;
}

bool rebalance_pair_gives_still(struct rebalance_pair *p)
{
    bool yes = false;
    struct pr_err err = { 0 };
    if (!p->run->cfg->dr || (p->gives_known && p->gives == rebalance_pair_giver(p)))
        return true;
    return ships(p, &yes, &err) == PR_OK && !yes;
}

static bool over(const struct rebalance_slot_step *s)
{
    return s->at.state == REBALANCE_SLOT_PLANNED || rebalance_slot_final(s->at.state);
}

/* Of a slot that is open still, whoever goes on with it says so. */
void rebalance_pair_gave(struct rebalance_pair *p)
{
    struct pr_err err = { 0 };
    for (size_t i = 0; i < p->n_steps; i++)
        if (!over(&p->steps[i]))
            return;
    if (!p->gives_asked || rebalance_slot_run_order(p->run) == REBALANCE_ABANDON)
        return;
    if (pr_db_exec(p->db,
                   "UPDATE dr_gives SET ended = true WHERE NOT ended AND (giver, taker) IN "
                   "(($1, $2), ($2, $1))",
                   PR_ARGS(pr_text(p->shard[0].id), pr_text(p->shard[1].id)), NULL, &err) != PR_OK)
        pr_warn(PR_EV("slot.gave_not_recorded"), PR_S("from", p->shard[0].id),
                PR_S("to", p->shard[1].id), PR_E(&err));
}
