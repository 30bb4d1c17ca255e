#include "io/state.h"

#include "core/alarm.h"

#include "prism/io/clock.h"
#include "prism/io/json_text.h"

static const char SAVE_GROUP[] =
    "UPDATE dr_groups SET epoch = $2, seq = $3, holder = $4, error = $5, updated_at = now() "
    "WHERE id = $1";

static const char SAVE_SHARDS[] =
    "INSERT INTO dr_shards (shard_id, group_id, generation_epoch, generation_n, replid, "
    "durable_offset, chain, durable_at, beat_at, since, seen_offset, spool_bytes, streaming, "
    "base_bytes, bases_failed, rate_bps, backlog_bytes, alarms, source, error) "
    "SELECT r.shard, $2, r.epoch, r.n, r.replid, r.durable, decode(r.chain, 'hex'), "
    "to_timestamp(nullif(r.durable_ms, 0) / 1000.0), to_timestamp(nullif(r.beat_ms, 0) / 1000.0), "
    "to_timestamp(r.since_ms / 1000.0), r.seen, r.spool, r.streaming, r.base, r.failed, r.rate, "
    "r.backlog, r.alarms, r.source, r.error "
    "FROM jsonb_to_recordset($1::jsonb) AS r(shard text, epoch bigint, n int, replid text, "
    "durable bigint, chain text, durable_ms float8, beat_ms float8, since_ms float8, seen bigint, "
    "spool bigint, streaming boolean, base bigint, failed int, rate bigint, backlog bigint, "
    "alarms text[], source text, error text) "
    "ON CONFLICT (shard_id) DO UPDATE SET group_id = excluded.group_id, "
    "generation_epoch = excluded.generation_epoch, generation_n = excluded.generation_n, "
    "replid = excluded.replid, durable_offset = excluded.durable_offset, chain = excluded.chain, "
    "durable_at = coalesce(excluded.durable_at, dr_shards.durable_at), "
    "beat_at = coalesce(excluded.beat_at, dr_shards.beat_at), since = excluded.since, "
    "seen_offset = excluded.seen_offset, spool_bytes = excluded.spool_bytes, "
    "streaming = excluded.streaming, base_bytes = excluded.base_bytes, "
    "bases_failed = excluded.bases_failed, rate_bps = excluded.rate_bps, "
    "backlog_bytes = excluded.backlog_bytes, alarms = excluded.alarms, source = excluded.source, "
    "error = excluded.error, "
    "updated_at = now()";

/* How old each shard's copy was, at its most in these ten minutes. Only what is worse than that is
 * written: once a second nothing is. */
#define RPO_AT "date_bin('10 minutes', now(), 'epoch')"
static const char KEEP_RPO[] =
    "INSERT INTO dr_rpo AS kept (shard_id, at, worst_ms) SELECT r.shard, " RPO_AT ", r.worst "
    "FROM jsonb_to_recordset($1::jsonb) AS r(shard text, worst bigint) "
    "WHERE NOT EXISTS (SELECT FROM dr_rpo h "
    "WHERE h.shard_id = r.shard AND h.at = " RPO_AT " AND h.worst_ms >= r.worst) "
    "ON CONFLICT (shard_id, at) DO UPDATE SET "
    "worst_ms = greatest(kept.worst_ms, excluded.worst_ms)";
/* Other groups do the same at the same time: what one has at hand, the rest leaves alone. */
static const char DROP_RPO[] =
    "DELETE FROM dr_rpo WHERE (shard_id, at) IN (SELECT shard_id, at FROM dr_rpo "
    "WHERE at < now() - interval '25 hours' LIMIT 5000 FOR UPDATE SKIP LOCKED)";

/* Of shards that are no longer of any group: they own no slot. */
static const char DROP_SHARDS[] =
    "DELETE FROM dr_shards WHERE group_id = $2 AND shard_id NOT IN "
    "(SELECT r.shard FROM jsonb_to_recordset($1::jsonb) AS r(shard text)) AND "
    "updated_at < now() - interval '1 minute'";

struct saving {
    const struct pr_lease *lease;
    const struct dr_report *r;
    const char *json;
};

static enum pr_code save(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct saving *s = ctx;
    enum pr_code rc = pr_lease_check(db, s->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, SAVE_GROUP,
                        PR_ARGS(pr_text(s->r->group), pr_i64((int64_t)s->r->epoch),
                                pr_i64((int64_t)s->r->seq), pr_text(s->lease->holder),
                                pr_text(s->r->trouble)),
                        NULL, err);
    if (rc == PR_OK)
        rc =
            pr_db_exec(db, SAVE_SHARDS, PR_ARGS(pr_text(s->json), pr_text(s->r->group)), NULL, err);
    return rc == PR_OK ? pr_db_exec(db, DROP_SHARDS,
                                    PR_ARGS(pr_text(s->json), pr_text(s->r->group)), NULL, err)
                       : rc;
}

static enum pr_code keep_ages(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct saving *s = ctx;
    enum pr_code rc = pr_db_exec(db, "SET LOCAL statement_timeout = '2s'", NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = pr_lease_check(db, s->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, KEEP_RPO, PR_ARGS(pr_text(s->json)), NULL, err);
    return rc == PR_OK ? pr_db_exec(db, DROP_RPO, NULL, 0, NULL, err) : rc;
}

enum pr_code dr_state_keep_ages(struct pr_db *db, const struct pr_lease *lease, const char *json,
                                struct pr_err *err)
{
    struct saving s = { .lease = lease, .json = json };
    return pr_db_tx(db, keep_ages, &s, err);
}

void dr_state_print(struct pr_buf *json, struct dr_shard *s)
{
    struct dr_shard_status is;
    dr_shard_status(s, &is);
    const int64_t age_ms = pr_now_ms() - dr_shard_as_of(&is);
    const int64_t worst_ms = age_ms > is.worst_ms ? age_ms : is.worst_ms;
    pr_buf_printf(
        json,
        "%s{\"shard\":\"%s\",\"epoch\":%llu,\"n\":%u,\"replid\":\"%s\",\"durable\":%llu,"
        "\"durable_ms\":%lld,\"beat_ms\":%lld,\"since_ms\":%lld,\"seen\":%llu,\"spool\":%zu,"
        "\"streaming\":%s,\"base\":%llu,\"failed\":%u,\"rate\":%llu,\"backlog\":%llu,"
        "\"worst\":%lld,\"chain\":\"",
        json->len > 1 ? "," : "", dr_shard_name(s), (unsigned long long)is.durable.generation.epoch,
        is.durable.generation.n, is.durable.replid, (unsigned long long)is.durable.offset,
        (long long)is.durable_ms, (long long)is.beat_ms, (long long)is.since_ms,
        (unsigned long long)is.seen, is.spool_bytes, is.streaming ? "true" : "false",
        (unsigned long long)is.base_bytes, is.bases_failed, (unsigned long long)is.rate_bps,
        (unsigned long long)is.backlog_bytes, (long long)(worst_ms > 0 ? worst_ms : 0));
    for (size_t i = 0; i < DR_HASH; i++)
        pr_buf_printf(json, "%02x", is.durable.chain[i]);
    pr_buf_str(json, "\",\"alarms\":[");
    for (unsigned i = 0, n = 0; i < DR_ALARMS; i++)
        if ((is.alarms >> i & 1) != 0)
            pr_buf_printf(json, "%s\"%s\"", n++ > 0 ? "," : "", dr_alarm_name((enum dr_alarm)i));
    pr_buf_str(json, "],\"source\":");
    pr_json_add(json, is.source);
    pr_buf_str(json, ",\"error\":");
    pr_json_add(json, is.error);
    pr_buf_str(json, "}");
}

enum pr_code dr_state_save(struct pr_db *db, const struct pr_lease *lease,
                           const struct dr_report *r, const char *json, struct pr_err *err)
{
    struct saving s = { .lease = lease, .r = r, .json = json };
    return pr_db_tx(db, save, &s, err);
}

struct complaint {
    const struct pr_lease *lease;
    const char *group, *why;
    uint32_t groups;
};

static enum pr_code complain(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct complaint *c = ctx;
    const enum pr_code rc = pr_lease_check(db, c->lease, err);
    return rc == PR_OK
               ? pr_db_exec(db,
                            "INSERT INTO dr_groups (id, groups, epoch, seq, holder, error) "
                            "VALUES ($1, $2::int, 0, -1, $3, $4) ON CONFLICT (id) DO UPDATE "
                            "SET error = excluded.error, holder = excluded.holder",
                            PR_ARGS(pr_text(c->group), pr_i64(c->groups), pr_text(c->lease->holder),
                                    pr_text(c->why)),
                            NULL, err)
               : rc;
}

enum pr_code dr_state_complain(struct pr_db *db, const struct pr_lease *lease, const char *group,
                               uint32_t groups, const char *why, struct pr_err *err)
{
    struct complaint c = { lease, group, why, groups };
    return pr_db_tx(db, complain, &c, err);
}
