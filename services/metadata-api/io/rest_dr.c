/* /v1/dr: how far the other region is, from the rows of the dr service. */
#include "api_check.h"
#include "change.h"

/* Whoever leads writes its rows once a second: what is older is no longer true. */
enum { STALE_S = 10 };

#define MS_SINCE(t) "(extract(epoch FROM now() - " t ") * 1000)::bigint"
#define STALE(t)    "now() - " t " > $1::bigint * interval '1 second'"

#define GROUP_JSON                                                                                 \
    "json_build_object('id', g.id, 'holder', g.holder, 'epoch', g.epoch, 'containers', g.seq + "   \
    "1, "                                                                                          \
    "'alarms', array_remove(ARRAY[CASE WHEN g.error <> '' THEN 'bucket' END, CASE WHEN " STALE(    \
        "g.updated_at") " THEN 'stale' END], NULL), 'error', g.error, 'updatedAt', g.updated_at)"

#define SHARD_JSON                                                                                 \
    "json_build_object('id', s.id, 'group', d.group_id, 'state', CASE WHEN d.shard_id IS NULL "    \
    "THEN 'missing' WHEN d.streaming THEN 'streaming' WHEN d.base_bytes > 0 THEN 'base' "          \
    "ELSE 'detached' END, 'source', nullif(d.source, ''), 'generation', CASE WHEN "                \
    "d.generation_epoch > 0 THEN lpad(to_hex(d.generation_epoch), 16, '0') || '-' || "             \
    "lpad(to_hex(d.generation_n), 4, '0') END, 'lagMs', " MS_SINCE(                                \
        "d.beat_at") ", 'lagBytes', "                                                              \
                     "greatest(d.seen_offset - d.durable_offset, 0), 'durableOffset', "            \
                     "d.durable_offset, "                                                          \
                     "'durableAt', d.durable_at, 'heartbeatAt', d.beat_at, 'since', d.since, "     \
                     "'spoolBytes', "                                                              \
                     "d.spool_bytes, 'baseBytes', d.base_bytes, 'basesFailed', d.bases_failed, "   \
                     "'bytesPerSecond', "                                                          \
                     "d.rate_bps, 'backlogBytes', nullif(d.backlog_bytes, 0), 'alarms', CASE "     \
                     "WHEN d.shard_id IS "                                                         \
                     "NULL THEN ARRAY['missing'] WHEN " STALE(                                     \
                         "d.updated_at") " THEN d.alarms || 'stale'::text "                        \
                                         "ELSE d.alarms END, 'error', coalesce(d.error, ''), "     \
                                         "'updatedAt', d.updated_at)"

void api_dr_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const struct pr_arg stale = pr_i64(STALE_S);
    api_get_row(ctx,
                "SELECT json_build_object('groups', coalesce((SELECT json_agg(" GROUP_JSON
                " ORDER BY g.id) FROM dr_groups g), '[]'), 'shards', coalesce((SELECT "
                "json_agg(" SHARD_JSON " ORDER BY s.id) FROM shards s LEFT JOIN dr_shards d "
                "ON d.shard_id = s.id WHERE s.slots > 0 OR d.shard_id IS NOT NULL), '[]'), "
                "'lagMs', (SELECT max(" MS_SINCE("beat_at") ") FROM dr_shards))",
                &stale, "dr", req, res);
}
