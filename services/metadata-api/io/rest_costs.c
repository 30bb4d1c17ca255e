/* /v1/costs: what the cross-zone share of the last run means in money. */
#include "api.h"
#include "api_health.h"

static json_t *side(const struct api_cost_in *in, double share)
{
    return json_pack("{s:f,s:f}", "crossShare", share, "usdPerMonth",
                     api_cost_usd_per_month(in, share));
}

void api_cost_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)req;
    struct api *api = ctx;
    struct pr_err err = { 0 };
    struct pr_db *db = NULL;
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = api_pool_take(api->pool, &db, &err);
    if (rc == PR_OK) {
        rc = pr_db_exec(db,
                        "SELECT id, report#>>'{before,cross_share}', "
                        "report#>>'{after,cross_share}' FROM placement_runs "
                        "WHERE id = " API_NEWEST_RUN,
                        NULL, 0, &row, &err);
        api_pool_give(api->pool, db);
    }
    if (rc != PR_OK) {
        pr_http_fail(res, rc, &err);
        return;
    }
    const struct api_cost_in in = { api->config.traffic_bytes_per_s, api->config.usd_per_gb,
                                    (double)api->config.billed_sides };
    json_t *run = json_null(), *before = json_null(), *after = json_null(), *saved = json_null();
    if (PQntuples(row) > 0 && pr_cell(row, 0, 1) != NULL && pr_cell(row, 0, 2) != NULL) {
        const double was = pr_cell_real(row, 0, 1), is = pr_cell_real(row, 0, 2);
        run = json_integer(pr_cell_i64(row, 0, 0));
        before = side(&in, was);
        after = side(&in, is);
        saved = json_real(api_cost_usd_per_month(&in, was) - api_cost_usd_per_month(&in, is));
    }
    api_reply(res, 200,
              json_pack("{s:o,s:o,s:o,s:o,s:{s:f,s:f,s:I,s:i}}", "runId", run, "before", before,
                        "after", after, "savedUsdPerMonth", saved, "price", "trafficBytesPerS",
                        in.traffic_bytes_per_s, "usdPerGb", in.usd_per_gb, "billedSides",
                        (json_int_t)api->config.billed_sides, "secondsPerMonth", (int)API_MONTH_S));
}
