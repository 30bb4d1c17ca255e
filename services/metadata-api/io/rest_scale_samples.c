/* /v1/autoscale/fleets/{id}/samples: what was measured and wanted, for charts. */
#include "prism/io/clock.h"
#include "rest_scale.h"

/* A sample's time is the end of its minute, so a step is (end - width, end]. Of a step in
 * which nobody measured there is no item: a gap in the chart, not a zero. The first of the
 * actions is the one that held when the range began. */
static const char SERIES[] =
    "WITH r AS (SELECT $1::text AS fleet, timestamptz 'epoch' + $2::bigint * interval '1 ms' AS "
    "since, timestamptz 'epoch' + $3::bigint * interval '1 ms' AS until, "
    "$4::bigint * interval '1 ms' AS step), "
    "b AS (SELECT date_bin(r.step, s.at - interval '1 us', timestamptz '2000-01-01 00:00Z') + "
    "r.step AS at, count(*) AS minutes, avg(cpu_pct) AS cpu, max(cpu_pct) AS cpu_most, "
    "avg(memory_pct) AS memory, max(memory_pct) AS memory_most, avg(network_bps) AS network, "
    "max(network_bps) AS network_most, avg(backlog) AS backlog, max(backlog) AS backlog_most, "
    "avg(load) AS load, max(load) AS load_most, min(nullif(serving, 0)) AS serving, "
    "max(silent) AS silent FROM r, autoscale_samples s WHERE s.fleet = r.fleet "
    "AND s.at > r.since AND s.at <= r.until GROUP BY 1) "
    "SELECT json_build_object('fleet', r.fleet, 'from', r.since, 'to', r.until, "
    "'stepS', extract(epoch FROM r.step)::bigint, 'items', (SELECT coalesce(json_agg("
    "json_build_object('at', b.at, 'minutes', b.minutes, 'cpuPct', b.cpu, 'cpuPctMost', "
    "b.cpu_most, 'memoryPct', b.memory, 'memoryPctMost', b.memory_most, 'networkBps', b.network, "
    "'networkBpsMost', b.network_most, 'backlog', b.backlog, 'backlogMost', b.backlog_most, "
    "'load', b.load, 'loadMost', b.load_most, 'serving', b.serving, 'silent', b.silent) "
    "ORDER BY b.at), '[]') FROM b), 'actions', (SELECT coalesce(json_agg(json_build_object("
    "'at', a.at, 'from', a.from_instances, 'to', a.to_instances, 'decisionId', a.decision_id) "
    "ORDER BY a.at), '[]') FROM autoscale_actions a WHERE a.fleet = r.fleet AND a.at <= r.until "
    "AND a.at >= coalesce((SELECT max(o.at) FROM autoscale_actions o WHERE o.fleet = r.fleet "
    "AND o.at <= r.since), r.since))) FROM r";

void api_fleet_samples(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const struct api_series_in in = { pr_http_query(req, "from"), pr_http_query(req, "to"),
                                      pr_http_query(req, "points") };
    struct api_series s = { 0 };
    struct api_errors errs = { 0 };
    if (!api_fleet_name(req, res))
        return;
    api_check_series(&in, pr_now_ms(), &s, &errs);
    if (errs.n > 0) {
        api_refuse(res, 400, "Bad request", &errs);
        return;
    }
    if (!api_fleet_exists(ctx, req->param[0], res))
        return;
    PR_AUTO(PGresult) *row = api_one_row(
        ctx, SERIES,
        PR_ARGS(pr_text(req->param[0]), pr_i64(s.from_ms), pr_i64(s.to_ms), pr_i64(s.step_ms)),
        "the fleet", res);
    if (row != NULL)
        api_reply_text(res, pr_cell(row, 0, 0));
}
