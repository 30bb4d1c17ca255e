/* /v1/dr: how far the other region is, from the rows of the dr service. */
#include "api_check.h"
#include "change.h"

/* Whoever leads writes its rows once a second: what is older is no longer true. */
enum { STALE_S = 10 };

/* The worst of 24 h: of the ten minutes that began within them or just before. dr keeps an hour
 * more. */
#define DAY_AGO "now() - interval '24 hours 10 minutes'"

#define LAG_MS   "(extract(epoch FROM now() - beat_at) * 1000)::bigint"
#define STALE(t) "now() - " t " > $1::bigint * interval '1 second'"

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
    "lpad(to_hex(d.generation_n), 4, '0') END, 'lagMs', d.lag_ms, 'worstLagMs', "                  \
    "greatest(h.ms, d.lag_ms), 'watchedSince', h.first, 'lagBytes', "                              \
    "greatest(d.seen_offset - d.durable_offset, 0), "                                              \
    "'durableOffset', d.durable_offset, 'durableAt', d.durable_at, 'heartbeatAt', d.beat_at, "     \
    "'since', d.since, 'spoolBytes', d.spool_bytes, 'baseBytes', d.base_bytes, 'basesFailed', "    \
    "d.bases_failed, 'bytesPerSecond', d.rate_bps, 'backlogBytes', nullif(d.backlog_bytes, 0), "   \
    "'alarms', CASE WHEN d.shard_id IS NULL THEN ARRAY['missing'] WHEN " STALE(                    \
        "d.updated_at") " THEN d.alarms || 'stale'::text ELSE d.alarms END, 'error', "             \
                        "coalesce(d.error, ''), 'updatedAt', d.updated_at)"

static const char DR[] =
    "WITH d AS (SELECT *, " LAG_MS " AS lag_ms FROM dr_shards), "
    "o AS (SELECT * FROM dr_rpo WHERE at > " DAY_AGO "), "
    "h AS (SELECT shard_id, max(worst_ms) AS ms, min(at) AS first FROM o GROUP BY shard_id), "
    "u AS (SELECT count(*) AS n FROM shards s LEFT JOIN d ON d.shard_id = s.id "
    "WHERE s.slots > 0 AND d.beat_at IS NULL), "
    "n AS (SELECT max(lag_ms) AS ms FROM d) "
    "SELECT json_build_object('groups', coalesce((SELECT json_agg(" GROUP_JSON
    " ORDER BY g.id) FROM dr_groups g), '[]'), 'shards', coalesce((SELECT json_agg(" SHARD_JSON
    " ORDER BY s.id) FROM shards s LEFT JOIN d ON d.shard_id = s.id LEFT JOIN h ON "
    "h.shard_id = s.id WHERE s.slots > 0 OR d.shard_id IS NOT NULL), '[]'), 'lagMs', "
    "CASE WHEN u.n = 0 THEN n.ms END, 'unknownShards', u.n, "
    "'worstLagMs', greatest(n.ms, (SELECT max(ms) FROM h)), "
    "'watchedSince', (SELECT min(at) FROM o)) FROM n, u";

void api_dr_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const struct pr_arg stale = pr_i64(STALE_S);
    api_get_row(ctx, DR, &stale, "dr", req, res);
}

/* Of each ten minutes the shard that was furthest behind, or the one that is asked for. */
static const char LAG[] =
    "SELECT json_build_object('items', coalesce(json_agg(json_build_object('at', w.at, "
    "'shard', w.shard_id, 'worstLagMs', w.worst_ms) ORDER BY w.at), '[]')) FROM ("
    "SELECT DISTINCT ON (o.at) o.at, o.shard_id, o.worst_ms FROM dr_rpo o WHERE o.at > " DAY_AGO
    " AND ($1::text IS NULL OR o.shard_id = $1) ORDER BY o.at, o.worst_ms DESC, o.shard_id) w";

void api_dr_lag(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const struct pr_arg shard = pr_text(pr_http_query(req, "shard"));
    api_get_row(ctx, LAG, &shard, "dr", req, res);
}
