/* /v1/dr/zones: how each zone is, the last times that one failed, and who took over, from rows of
 * the topology watcher of rebalance. */
#include "api_check.h"
#include "change.h"

enum { INCIDENTS = 20, FAILOVERS = 50 };

#define MS_BETWEEN(a, b) "(extract(epoch FROM " b " - " a ") * 1000)::bigint"

#define ZONE_JSON                                                                                  \
    "json_build_object('id', z.zone_id, 'state', z.state, 'nodes', z.nodes, 'failed', z.failed, "  \
    "'primaries', z.primaries, 'allPrimaries', z.all_primaries, 'primariesAway', (SELECT "         \
    "count(*) FROM shards s JOIN nodes p ON p.id = s.primary_id WHERE s.home_zone = z.zone_id "    \
    "AND p.zone_id <> s.home_zone), 'alarms', z.alarms, 'updatedAt', z.updated_at)"

#define INCIDENT_JSON                                                                              \
    "json_build_object('id', i.id, 'zone', i.zone_id, 'whole', i.whole, 'quorum', i.quorum, "      \
    "'nodes', i.nodes, 'failed', i.failed, 'primaries', i.primaries, 'allPrimaries', "             \
    "i.all_primaries, 'uncoveredSlots', i.uncovered, 'seenAt', i.seen_at, 'failedAt', "            \
    "i.failed_at, 'coveredAt', i.covered_at, 'backAt', i.back_at, 'endedAt', i.ended_at, "         \
    "'coveredMs', " MS_BETWEEN("i.seen_at", "i.covered_at") ")"

#define FAILOVER_JSON                                                                              \
    "json_build_object('id', f.id, 'shard', f.shard_id, 'zone', f.zone_id, 'from', f.from_node, "  \
    "'to', f.to_node, 'outcome', f.outcome, 'forced', f.forced, 'incident', f.incident_id, "       \
    "'seenAt', f.seen_at, 'failedAt', f.failed_at, 'endedAt', f.ended_at, 'ms', " MS_BETWEEN(      \
        "f.seen_at", "f.ended_at") ")"

void api_dr_zones(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *sql = pr_arena_printf(
        req->arena,
        "SELECT json_build_object('zones', coalesce((SELECT json_agg(" ZONE_JSON
        " ORDER BY z.zone_id) FROM zone_states z), '[]'), 'uncoveredSlots', (SELECT "
        "max(uncovered) FROM zone_states), 'incidents', coalesce((SELECT json_agg(" INCIDENT_JSON
        " ORDER BY i.id DESC) FROM (SELECT * FROM zone_incidents ORDER BY id DESC LIMIT %d) i), "
        "'[]'), 'failovers', coalesce((SELECT json_agg(" FAILOVER_JSON
        " ORDER BY f.id DESC) FROM (SELECT * FROM failovers ORDER BY id DESC LIMIT $1::int) f), "
        "'[]'))",
        INCIDENTS);
    const struct pr_arg most = pr_i64(FAILOVERS);
    if (sql == NULL)
        pr_http_problem(res, 500, "No memory", "the zones", NULL);
    else
        api_get_row(ctx, sql, &most, "zones", req, res);
}
