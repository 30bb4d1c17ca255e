#include "io/fleet/retention.h"

struct forget { /* one plan */
    const struct pr_lease *lease;
    int64_t plan_id, rows;
};

static enum pr_code forget(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct forget *f = ctx;
    PGresult *got = NULL;
    f->rows = 0; /* of an attempt before */
    enum pr_code rc = pr_lease_check(db, f->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "WITH gone AS (DELETE FROM steps WHERE plan_id = $1 RETURNING 1) "
                        "SELECT count(*) FROM gone",
                        PR_ARGS(pr_i64(f->plan_id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    f->rows = pr_cell_i64(res, 0, 0);
    return PR_OK;
}

enum pr_code rebalance_steps_forget(struct pr_db *db, const struct pr_lease *lease,
                                    int64_t keep_days, int64_t *deleted, struct pr_err *err)
{
    PGresult *got = NULL;
    *deleted = 0;
    if (keep_days <= 0)
        return PR_OK;
    /* A plan that was canceled before it ran has no end of its own. */
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT id FROM plans p WHERE kind = 'fleet' AND state IN ('done', 'failed', "
                   "'canceled') AND coalesce(finished_at, created_at) < now() - "
                   "make_interval(days => $1::int) AND EXISTS (SELECT FROM steps s WHERE "
                   "s.plan_id = p.id) ORDER BY id LIMIT $2::int",
                   PR_ARGS(pr_i64(keep_days), pr_i64(REBALANCE_RETENTION_PLANS)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++) {
        struct forget f = { .lease = lease, .plan_id = pr_cell_i64(res, i, 0) };
        rc = pr_db_tx(db, forget, &f, err);
        *deleted += rc == PR_OK ? f.rows : 0;
    }
    return rc;
}
