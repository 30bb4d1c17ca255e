/* /v1/dr/generations: what is known of each generation of a shard in the bucket; /v1/dr/restores:
 * each time that something was brought back from there. From rows of the dr service. */
#include "api_check.h"
#include "change.h"

#include <string.h>

/* A generation is known by having been read (dr_generations) or by being the one that is written
 * (dr_shards); the offset up to which it is durable is known of the latter alone. */
#define NAME(epoch, n) "lpad(to_hex(" epoch "), 16, '0') || '-' || lpad(to_hex(" n "), 4, '0')"
#define GENERATIONS                                                                                \
    "(SELECT shard_id AS shard, " NAME(                                                            \
        "epoch", "n") " AS generation, g.verified_at, g.damaged_at, g.reason, "                    \
                      "s.shard_id IS NOT NULL AS current, s.durable_offset, s.seen_offset, "       \
                      "s.durable_at, s.beat_at, s.streaming, w.reason AS wanted, "                 \
                      "greatest(g.updated_at, s.updated_at) AS updated_at FROM dr_generations g "  \
                      "FULL JOIN (SELECT *, generation_epoch AS epoch, generation_n AS n "         \
                      "FROM dr_shards WHERE generation_epoch > 0) s USING (shard_id, epoch, n) "   \
                      "LEFT JOIN dr_bases_wanted w USING (shard_id, epoch, n)) g "
#define STATE                                                                                      \
    "CASE WHEN g.damaged_at IS NOT NULL THEN 'damaged' WHEN g.verified_at IS NOT NULL "            \
    "THEN 'verified' ELSE 'unread' END"
#define GENERATION_JSON                                                                            \
    "json_build_object('shard', g.shard, 'generation', g.generation, 'current', g.current, "       \
    "'state', " STATE ", 'verifiedAt', g.verified_at, 'damagedAt', g.damaged_at, 'reason', "       \
    "coalesce(g.reason, ''), 'durableOffset', g.durable_offset, 'lagBytes', "                      \
    "CASE WHEN g.current THEN greatest(g.seen_offset - g.durable_offset, 0) END, 'durableAt', "    \
    "g.durable_at, 'heartbeatAt', "                                                                \
    "g.beat_at, 'streaming', coalesce(g.streaming, false), 'newBaseWanted', g.wanted, "            \
    "'drill', (SELECT json_build_object('id', d.id, 'outcome', d.outcome, 'finishedAt', "          \
    "d.finished_at) FROM dr_drills d WHERE d.shard_id = g.shard AND d.state = 'done' AND "         \
    "d.generation = g.generation ORDER BY d.finished_at DESC LIMIT 1), 'updatedAt', g.updated_at)"

void api_generation_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "shard", "state" };
    static const struct api_list list = {
        "generations",
        "SELECT g.shard || ',' || g.generation, " GENERATION_JSON " FROM " GENERATIONS
        "WHERE ($1::text IS NULL OR g.shard COLLATE \"C\" > split_part($1::text, ',', 1) OR "
        "(g.shard = split_part($1::text, ',', 1) AND g.generation COLLATE \"C\" < "
        "split_part($1::text, ',', 2))) AND ($3::text IS NULL OR g.shard = $3) "
        "AND ($4::text IS NULL OR " STATE " = $4) "
        "ORDER BY g.shard COLLATE \"C\", g.generation COLLATE \"C\" DESC LIMIT $2::bigint",
        filters, PR_COUNT(filters)
    };
    api_list_rows(ctx, &list, req, res);
}

/* 16 and 4 hex digits, as objects in the bucket are named. */
static bool is_generation(const char *text)
{
    static const char hex[] = "0123456789abcdef";
    return strspn(text, hex) == 16 && text[16] == '-' && strspn(text + 17, hex) == 4 &&
           text[21] == '\0';
}

void api_generation_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *shard = req->param[0], *name = req->param[1];
    if (!is_generation(name)) {
        pr_http_problem(res, 400, "Bad generation",
                        "16 hex digits, a dash and 4 hex digits: 0000000000000012-0002",
                        "generation");
        return;
    }
    const char *both = pr_arena_printf(req->arena, "%s,%s", shard, name);
    const struct pr_arg arg = pr_text(both);
    api_get_row(
        ctx,
        "SELECT " GENERATION_JSON " FROM " GENERATIONS "WHERE g.shard || ',' || g.generation = $1",
        &arg, pr_arena_printf(req->arena, "generation %s of shard %s", name, shard), req, res);
}

/* A drill brings one shard back to scratch, a fail-over everything to another site, a restore of a
 * cluster everything to where somebody said. */
#define RESTORES                                                                                   \
    "(SELECT 'drill' AS kind, d.id, d.shard_id AS shard, NULL AS site, d.outcome, d.reason, "      \
    "d.asked_by AS by_whom, coalesce(d.started_at, d.created_at) AS at, d.finished_at, "           \
    "d.generation, d.skipped, d.base_bytes + d.stream_bytes AS bytes, d.keys, d.rto_ms, "          \
    "d.rpo_ms FROM dr_drills d WHERE d.state = 'done' UNION ALL "                                  \
    "SELECT 'failover', f.id, NULL, f.to_site, 'good', '', f.by_whom, f.begun_at, "                \
    "f.verified_at, NULL, NULL, NULL, NULL, f.rto_ms, f.rpo_ms FROM dr_failovers f UNION ALL "     \
    "SELECT 'cluster', c.id, NULL, NULL, c.outcome, c.reason, c.asked_by, coalesce(c.started_at, " \
    "c.created_at), c.finished_at, NULL, NULL, NULL, c.copied, (extract(epoch FROM c.finished_at " \
    "- c.started_at) * 1000)::bigint, NULL FROM dr_cluster_restores c WHERE c.outcome IN "         \
    "('good', 'failed')) r "
#define RESTORE_KEY "to_json(r.at)#>>'{}' || ',' || r.kind || ',' || r.id"

void api_restore_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "kind", "shard", "outcome" };
    static const struct api_list list = {
        "restores",
        "SELECT " RESTORE_KEY ", json_build_object('kind', r.kind, 'id', r.id, 'shard', r.shard, "
        "'site', r.site, 'outcome', r.outcome, 'reason', r.reason, 'by', r.by_whom, 'startedAt', "
        "r.at, 'finishedAt', r.finished_at, 'generation', r.generation, 'skippedGenerations', "
        "r.skipped, 'bytes', r.bytes, 'keys', r.keys, 'rtoMs', r.rto_ms, 'rpoMs', r.rpo_ms) "
        "FROM " RESTORES "WHERE ($1::text IS NULL OR (r.at, r.kind, r.id) < "
        "(split_part($1::text, ',', 1)::timestamptz, split_part($1::text, ',', 2), "
        "split_part($1::text, ',', 3)::bigint)) AND ($3::text IS NULL OR r.kind = $3) "
        "AND ($4::text IS NULL OR r.shard = $4) AND ($5::text IS NULL OR r.outcome = $5) "
        "ORDER BY r.at DESC, r.kind DESC, r.id DESC LIMIT $2::bigint",
        filters, PR_COUNT(filters)
    };
    api_list_rows(ctx, &list, req, res);
}
