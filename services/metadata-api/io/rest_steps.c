/* /v1/rebalance/plans/{id}/steps: what a fleet plan does, in its order; .../moves: the batches of
 * vertices of a plan towards a run. */
#include "rest_plans.h"

#include <inttypes.h>

static bool plan_exists(struct api *api, int64_t id, struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    struct pr_db *db = NULL;
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = api_pool_take(api->pool, &db, &err);
    if (rc == PR_OK) {
        rc = pr_db_exec(db, "SELECT 1 FROM plans WHERE id = $1", PR_ARGS(pr_i64(id)), &row, &err);
        api_pool_give(api->pool, db);
    }
    if (rc == PR_OK && PQntuples(row) == 0)
        rc = pr_fail(&err, PR_ENOTFOUND, "plan %" PRId64 " does not exist", id);
    if (rc != PR_OK)
        pr_http_fail(res, rc, &err);
    return rc == PR_OK;
}

static void list_of_plan(struct api *api, const struct api_list *list,
                         const struct pr_http_req *req, struct pr_http_res *res)
{
    int64_t id;
    if (api_plan_id(req, res, &id) && plan_exists(api, id, res))
        api_list_rows_of(api, list, pr_arena_printf(req->arena, "%" PRId64, id), req, res);
}

void api_step_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "wave", "state", "kind", "slot", "node" };
    static const struct api_list list = {
        "steps",
        "SELECT step::text, " API_STEP_JSON " FROM steps WHERE plan_id = $3::text::bigint "
        "AND ($1::text IS NULL OR step > $1::text::int) "
        "AND ($4::text IS NULL OR wave::text = $4) AND ($5::text IS NULL OR state = $5) "
        "AND ($6::text IS NULL OR kind = $6) AND ($7::text IS NULL OR slot::text = $7) "
        "AND ($8::text IS NULL OR src_node = $8 OR dst_node = $8) "
        "ORDER BY steps.step LIMIT $2::bigint",
        filters, 5
    };
    list_of_plan(ctx, &list, req, res);
}

void api_move_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "state", "node" };
    static const struct api_list list = {
        "moves",
        "SELECT batch::text, json_build_object('batch', batch, 'from', src_node, 'to', dst_node, "
        "'state', state, 'attempt', attempt, 'vertices', vertices, 'moved', moved, 'bytes', bytes, "
        "'error', error, 'updatedAt', updated_at) FROM moves WHERE plan_id = $3::text::bigint "
        "AND ($1::text IS NULL OR batch > $1::text::bigint) "
        "AND ($4::text IS NULL OR state = $4) "
        "AND ($5::text IS NULL OR src_node = $5 OR dst_node = $5) "
        "ORDER BY moves.batch LIMIT $2::bigint",
        filters, 2
    };
    list_of_plan(ctx, &list, req, res);
}
