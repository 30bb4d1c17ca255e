#include "io/fleet/traffic.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

/* A plan that is over without a time (canceled by hand in the tables) counts as after
 * every run. */
static enum pr_code load_facts(struct pr_db *db, struct rebalance_traffic_facts *out,
                               struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT coalesce(r.id, 0), coalesce(p.id, 0), coalesce(p.run_id, 0), "
        "coalesce(p.state IN ('done', 'failed', 'canceled'), false), "
        "coalesce(p.state = 'done', false), coalesce(r.started_at >= p.finished_at, false) "
        "FROM (SELECT id, started_at FROM placement_runs WHERE state = 'done' "
        "AND coalesce(params ->> 'kind', 'placement') IN ('placement', 'evaluate') "
        "ORDER BY id DESC LIMIT 1) r FULL JOIN (SELECT id, run_id, state, finished_at FROM plans "
        "WHERE kind = 'vertices' AND started_at IS NOT NULL ORDER BY started_at DESC LIMIT 1) p "
        "ON true",
        NULL, 0, &res, err);
    if (rc != PR_OK || PQntuples(res) == 0)
        return rc;
    *out = (struct rebalance_traffic_facts){ .run_id = pr_cell_i64(res, 0, 0),
                                             .plan_id = pr_cell_i64(res, 0, 1),
                                             .plan_run_id = pr_cell_i64(res, 0, 2),
                                             .plan_over = pr_cell_bool(res, 0, 3),
                                             .plan_done = pr_cell_bool(res, 0, 4),
                                             .run_since = pr_cell_bool(res, 0, 5) };
    return PR_OK;
}

static double real_at(const PGresult *res, int col)
{
    uint64_t bits;
    double v;
    memcpy(&bits, PQgetvalue(res, 0, col), sizeof bits);
    bits = be64toh(bits);
    memcpy(&v, &bits, sizeof v);
    return v;
}

static enum pr_code load_record(struct pr_db *db, const struct rebalance_traffic_choice *choice,
                                struct rebalance_seen_traffic *out, struct pr_err *err)
{
    enum pr_code rc = pr_db_exec_binary(
        db,
        "SELECT t.blob, (r.report #>> '{price,traffic_bytes_per_s}')::float8 FROM slot_traffic t "
        "JOIN placement_runs r ON r.id = t.run_id WHERE t.run_id = $1 AND t.kind = $2",
        PR_ARGS(pr_i64(choice->run_id),
                pr_text(choice->kind == REBALANCE_AFTER ? "after" : "before")),
        &out->row, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(out->row) == 0 || PQgetisnull(out->row, 0, 1)) {
        snprintf(out->why, sizeof out->why,
                 "placement run %lld left no record of the traffic between slots",
                 (long long)choice->run_id);
        return PR_OK;
    }
    struct pr_err bad; /* keeps nobody from draining a node */
    if (pr_traffic_open(PQgetvalue(out->row, 0, 0), (size_t)PQgetlength(out->row, 0, 0),
                        &out->traffic, &bad) != PR_OK) {
        snprintf(out->why, sizeof out->why, "placement run %lld: %.100s", (long long)choice->run_id,
                 bad.text);
        return PR_OK;
    }
    out->bytes_per_s = real_at(out->row, 1);
    out->run_id = choice->run_id;
    out->known = true;
    return PR_OK;
}

enum pr_code rebalance_seen_traffic(struct pr_db *db, struct rebalance_seen_traffic *out,
                                    struct pr_err *err)
{
    struct rebalance_traffic_facts facts = { 0 };
    struct rebalance_traffic_choice choice;
    *out = (struct rebalance_seen_traffic){ 0 };
    const enum pr_code rc = load_facts(db, &facts, err);
    if (rc != PR_OK)
        return rc;
    rebalance_choose_traffic(&facts, &choice);
    if (choice.kind != REBALANCE_TRAFFIC_NONE)
        return load_record(db, &choice, out, err);
    snprintf(out->why, sizeof out->why, "%s", choice.why);
    return PR_OK;
}

void rebalance_seen_traffic_done(struct rebalance_seen_traffic *t)
{
    PQclear(t->row);
    t->row = NULL;
}
