#include "io/life_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One statement under the lease. */
struct write {
    const struct pr_lease *lease;
    const char *sql;
    const struct pr_arg *args;
    size_t n;
    PGresult *res;
};

static enum pr_code body(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct write *w = ctx;
    PQclear(w->res);
    w->res = NULL;
    const enum pr_code rc = pr_lease_check(db, w->lease, err);
    return rc == PR_OK ? pr_db_exec(db, w->sql, w->args, w->n, &w->res, err) : rc;
}

enum pr_code dr_life_run(const struct dr_life_db *l, const char *sql, const struct pr_arg *args,
                         size_t n, PGresult **res, struct pr_err *err)
{
    struct write w = { .lease = l->lease, .sql = sql, .args = args, .n = n };
    const enum pr_code rc = pr_db_tx(l->db, body, &w, err);
    if (rc == PR_OK && res != NULL)
        *res = w.res;
    else
        PQclear(w.res);
    return rc;
}

#define MS(column) "(extract(epoch FROM " column ") * 1000)::bigint"

enum pr_code dr_life_load(const struct dr_life_db *l, struct dr_life_row *out, struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = dr_life_run(l, "INSERT INTO dr_life (id) VALUES ($1) ON CONFLICT DO NOTHING",
                                  PR_ARGS(pr_text(l->cluster)), NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            l->db,
            "SELECT " MS("drills_at") ", " MS("retained_at") ", " MS("scrub_begun_at") ", " MS(
                "scrub_ended_at") ", scrub_objects, scrub_bytes, "
                                  "scrub_object, " MS("greatest(created_"
                                                      "at, (SELECT "
                                                      "max(finished_at) "
                                                      "FROM dr_drills "
                                                      "WHERE outcome = "
                                                      "'good'))") ", "
                                                                  "(SELEC"
                                                                  "T "
                                                                  "count("
                                                                  "*) "
                                                                  "FROM "
                                                                  "dr_"
                                                                  "genera"
                                                                  "tions "
                                                                  "WHERE "
                                                                  "damage"
                                                                  "d_at "
                                                                  "IS "
                                                                  "NOT "
                                                                  "NULL) "
                                                                  "FROM "
                                                                  "dr_"
                                                                  "life "
                                                                  "WHERE "
                                                                  "id = "
                                                                  "$1",
            PR_ARGS(pr_text(l->cluster)), &row, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(row) != 1)
        return pr_fail(err, PR_EDATA, "dr_life: no row of %s", l->cluster);
    *out = (struct dr_life_row){ .drills_ms = pr_cell_i64(row, 0, 0),
                                 .retained_ms = pr_cell_i64(row, 0, 1),
                                 .scrub_begun_ms = pr_cell_i64(row, 0, 2),
                                 .scrub_ended_ms = pr_cell_i64(row, 0, 3),
                                 .scrub_objects = pr_cell_i64(row, 0, 4),
                                 .scrub_bytes = pr_cell_i64(row, 0, 5),
                                 .good_drill_ms = pr_cell_i64(row, 0, 7),
                                 .damaged = pr_cell_i64(row, 0, 8) };
    (void)snprintf(out->scrub_object, sizeof out->scrub_object, "%s", pr_cell(row, 0, 6));
    return PR_OK;
}

/* --- drills ------------------------------------------------------------------------------------
 */

enum pr_code dr_life_requeue(const struct dr_life_db *l, struct pr_err *err)
{
    const enum pr_code rc =
        dr_life_run(l,
                    "UPDATE dr_drills SET state = 'done', outcome = 'failed', finished_at = now(), "
                    "reason = 'its replica ended within it, three times' WHERE state = 'running' "
                    "AND attempts >= 3",
                    NULL, 0, NULL, err);
    return rc == PR_OK
               ? dr_life_run(l, "UPDATE dr_drills SET state = 'queued' WHERE state = 'running'",
                             NULL, 0, NULL, err)
               : rc;
}

enum pr_code dr_life_schedule(const struct dr_life_db *l, int64_t n, struct pr_err *err)
{
    return dr_life_run(l,
                       "WITH due AS (UPDATE dr_life SET drills_at = now() WHERE id = $2) "
                       "INSERT INTO dr_drills (shard_id, asked_by) "
                       "SELECT s.id, 'schedule' FROM shards s WHERE s.slots > 0 ORDER BY "
                       "(SELECT max(d.finished_at) FROM dr_drills d WHERE d.shard_id = s.id "
                       "AND d.state = 'done') NULLS FIRST, s.id LIMIT nullif($1::bigint, 0) "
                       "ON CONFLICT DO NOTHING",
                       PR_ARGS(pr_i64(n), pr_text(l->cluster)), NULL, err);
}

enum pr_code dr_life_next_drill(const struct dr_life_db *l, int64_t *id, char shard[DR_NAME],
                                struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    const enum pr_code rc =
        dr_life_run(l,
                    "UPDATE dr_drills SET state = 'running', holder = $1, started_at = now(), "
                    "attempts = attempts + 1 WHERE id = "
                    "(SELECT min(id) FROM dr_drills WHERE state = 'queued') RETURNING id, shard_id",
                    PR_ARGS(pr_text(l->lease->holder)), &row, err);
    *id = 0;
    if (rc != PR_OK || PQntuples(row) == 0)
        return rc;
    *id = pr_cell_i64(row, 0, 0);
    (void)snprintf(shard, DR_NAME, "%s", pr_cell(row, 0, 1));
    return PR_OK;
}

enum pr_code dr_life_drilled(const struct dr_life_db *l, int64_t id, const struct dr_drilled *d,
                             struct pr_err *err)
{
    const struct dr_restored *r = &d->restored;
    char generation[DR_GENERATION] = "";
    if (r->generation.n != 0)
        dr_generation_print(&r->generation, generation);
    return dr_life_run(
        l,
        "UPDATE dr_drills SET state = 'done', outcome = $2, reason = $3, "
        "finished_at = now(), generation = nullif($4, ''), skipped = $5, list_ms = $6, "
        "fetch_ms = $7, load_ms = $8, rto_ms = $9, rpo_ms = nullif($10::bigint, -1), "
        "beat_at = to_timestamp(nullif($11::bigint, 0) / 1000.0), base_bytes = $12, "
        "stream_bytes = $13, keys = $14 WHERE id = $1 AND state = 'running'",
        PR_ARGS(pr_i64(id), pr_text(dr_drill_outcome_name(d->verdict.outcome)),
                pr_text(d->verdict.reason), pr_text(generation), pr_i64((int64_t)r->skipped),
                pr_i64(r->list_ms), pr_i64(r->fetch_ms), pr_i64(d->load_ms), pr_i64(d->took_ms),
                pr_i64(d->verdict.age_ms), pr_i64(d->beat_ms), pr_i64((int64_t)r->base_bytes),
                pr_i64((int64_t)r->stream_bytes), pr_i64((int64_t)d->keys)),
        NULL, err);
}

/* --- generations ----------------------------------------------------------------------------- */

/* Damage that was found since reading began stays. */
enum pr_code dr_life_verified(const struct dr_life_db *l, const char *shard,
                              const struct dr_generation_id *id, int64_t begun_ms,
                              struct pr_err *err)
{
    return dr_life_run(
        l,
        "INSERT INTO dr_generations AS g (shard_id, epoch, n, verified_at) "
        "VALUES ($1, $2, $3, to_timestamp($4::bigint / 1000.0)) "
        "ON CONFLICT (shard_id, epoch, n) DO UPDATE SET verified_at = excluded.verified_at, "
        "damaged_at = NULL, reason = '', updated_at = now() "
        "WHERE g.damaged_at IS NULL OR g.damaged_at < excluded.verified_at",
        PR_ARGS(pr_text(shard), pr_i64((int64_t)id->epoch), pr_i64(id->n), pr_i64(begun_ms)), NULL,
        err);
}

enum pr_code dr_life_damaged(const struct dr_life_db *l, const char *shard,
                             const struct dr_generation_id *id, const char *why, bool ask,
                             struct pr_err *err)
{
    enum pr_code rc = dr_life_run(
        l,
        "INSERT INTO dr_generations (shard_id, epoch, n, damaged_at, reason) "
        "VALUES ($1, $2, $3, now(), $4) ON CONFLICT (shard_id, epoch, n) DO UPDATE SET "
        "damaged_at = now(), reason = excluded.reason, updated_at = now()",
        PR_ARGS(pr_text(shard), pr_i64((int64_t)id->epoch), pr_i64(id->n), pr_text(why)), NULL,
        err);
    if (rc == PR_OK && ask)
        rc = dr_life_run(
            l,
            "INSERT INTO dr_bases_wanted AS w (shard_id, epoch, n, reason) "
            "VALUES ($1, $2, $3, $4) ON CONFLICT (shard_id) DO UPDATE SET "
            "epoch = excluded.epoch, n = excluded.n, reason = excluded.reason, "
            "created_at = now() WHERE (w.epoch, w.n) < (excluded.epoch, excluded.n)",
            PR_ARGS(pr_text(shard), pr_i64((int64_t)id->epoch), pr_i64(id->n), pr_text(why)), NULL,
            err);
    return rc;
}

enum pr_code dr_life_marks(struct pr_db *db, struct dr_mark **out, size_t *n, struct pr_err *err)
{
    PR_AUTO(PGresult) *rows = NULL;
    const enum pr_code rc =
        pr_db_exec(db,
                   "SELECT shard_id, epoch, n, " MS("verified_at") ", damaged_at IS NOT NULL "
                                                                   "FROM dr_generations",
                   NULL, 0, &rows, err);
    if (rc != PR_OK)
        return rc;
    *n = (size_t)PQntuples(rows);
    *out = calloc(*n + 1, sizeof **out);
    if (*out == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu generations", *n);
    for (size_t i = 0; i < *n; i++) {
        struct dr_mark *m = &(*out)[i];
        (void)snprintf(m->shard, DR_NAME, "%s", pr_cell(rows, (int)i, 0));
        m->id.epoch = (uint64_t)pr_cell_i64(rows, (int)i, 1);
        m->id.n = (uint32_t)pr_cell_i64(rows, (int)i, 2);
        m->verified_ms = pr_cell_i64(rows, (int)i, 3);
        m->damaged = pr_cell_bool(rows, (int)i, 4);
    }
    return PR_OK;
}

/* --- what was done -----------------------------------------------------------------------------
 */

/* Rows of what is long gone go with it; a generation that is there is read again and again. */
enum pr_code dr_life_retained(const struct dr_life_db *l, const struct dr_retained *r,
                              const char *why, struct pr_err *err)
{
    char done[300];
    (void)snprintf(done, sizeof done,
                   "{\"generations\":%zu,\"parts\":%zu,\"orphans\":%zu,\"containers\":%zu,"
                   "\"uploads\":%zu,\"earlier\":%zu,\"stay\":%zu,\"looked\":%zu,\"bytes\":%llu}",
                   r->manifests, r->parts, r->orphans, r->containers, r->uploads, r->earlier,
                   r->stay, r->looked, (unsigned long long)r->bytes);
    enum pr_code rc =
        dr_life_run(l,
                    "UPDATE dr_life SET retained_at = now(), retained = $2::jsonb, "
                    "retain_error = $3 WHERE id = $1",
                    PR_ARGS(pr_text(l->cluster), pr_text(done), pr_text(why)), NULL, err);
    if (rc == PR_OK)
        rc = dr_life_run(
            l, "DELETE FROM dr_generations WHERE updated_at < now() - interval '400 days'", NULL, 0,
            NULL, err);
    return rc == PR_OK ? dr_life_run(l,
                                     "DELETE FROM dr_drills WHERE state = 'done' "
                                     "AND finished_at < now() - interval '400 days'",
                                     NULL, 0, NULL, err)
                       : rc;
}

enum pr_code dr_life_scrubbed(const struct dr_life_db *l, const struct dr_life_row *row,
                              const char *why, struct pr_err *err)
{
    return dr_life_run(l,
                       "UPDATE dr_life SET scrub_begun_at = to_timestamp($2::bigint / 1000.0), "
                       "scrub_ended_at = to_timestamp(nullif($3::bigint, 0) / 1000.0), "
                       "scrub_object = $4, scrub_objects = $5, scrub_bytes = $6, scrub_error = $7 "
                       "WHERE id = $1",
                       PR_ARGS(pr_text(l->cluster), pr_i64(row->scrub_begun_ms),
                               pr_i64(row->scrub_ended_ms), pr_text(row->scrub_object),
                               pr_i64(row->scrub_objects), pr_i64(row->scrub_bytes), pr_text(why)),
                       NULL, err);
}
