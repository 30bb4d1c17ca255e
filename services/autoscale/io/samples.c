#include "io/samples.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AT(ms)  "timestamptz 'epoch' + " ms " * interval '1 millisecond'"
#define MS(col) "(extract(epoch FROM " col ") * 1000)::bigint"

/* --- partitions ---------------------------------------------------------- */

static enum pr_code keep_table(struct pr_db *db, const char *table, int64_t now_ms, int ahead,
                               int64_t keep_hours, int *dropped, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT autoscale_partitions($1, " AT("$2::bigint") ", $3::int, "
                                                            "make_interval(hours => $4::int))",
        PR_ARGS(pr_text(table), pr_i64(now_ms), pr_i64(ahead), pr_i64(keep_hours)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "partitions of %s", table);
    PR_AUTO(PGresult) *res = got;
    *dropped += (int)pr_cell_i64(res, 0, 0);
    return PR_OK;
}

enum pr_code autoscale_partitions_keep(struct pr_db *db, int64_t now_ms,
                                       const struct autoscale_retention *keep, int *dropped,
                                       struct pr_err *err)
{
    *dropped = 0;
    enum pr_code rc =
        keep_table(db, "autoscale_samples", now_ms, 1, keep->samples_days * 24, dropped, err);
    return rc != PR_OK ? rc
                       : keep_table(db, "autoscale_readings", now_ms, 6, keep->readings_hours,
                                    dropped, err);
}

/* --- numbers ------------------------------------------------------------- */

/* JSON has no infinity; PostgreSQL takes its name. NAN: null. */
static json_t *number(double v)
{
    if (isnan(v))
        return json_null();
    return isinf(v) ? json_string(v > 0 ? "Infinity" : "-Infinity") : json_real(v);
}

/* The array as text, or NULL when it lacks one of n. */
static char *dump(json_t *list, size_t n)
{
    char *text = json_array_size(list) == n ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

/* --- samples ------------------------------------------------------------- */

static json_t *oddities(const struct autoscale_merged *m)
{
    json_t *odd = json_object();
    for (int o = 0; o < AUTOSCALE_ODDITIES; o++)
        if (m->odd[o] > 0)
            (void)json_object_set_new(odd, autoscale_oddity_name((enum autoscale_oddity)o),
                                      json_integer((json_int_t)m->odd[o]));
    return odd;
}

static json_t *sample_json(const struct autoscale_merged *m)
{
    const struct autoscale_sample *s = &m->sample;
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:o}", "at_ms", (json_int_t)s->at_ms,
                     "cpu_pct", number(s->cpu_pct), "memory_pct", number(s->memory_pct),
                     "network_bps", number(s->network_bps), "backlog", number(s->backlog), "load",
                     number(s->load), "serving", s->serving, "silent", s->silent, "odd",
                     oddities(m));
}

struct put {
    const struct pr_lease *lease;
    const char *fleet, *text;
    int64_t merged_ms;
};

static const char PUT_SAMPLES[] =
    "INSERT INTO autoscale_samples AS s (fleet, at, cpu_pct, memory_pct, network_bps, backlog, "
    "load, serving, silent, odd, merged_at) SELECT $1, " AT(
        "r.at_ms") ", r.cpu_pct, r.memory_pct, "
                   "r.network_bps, r.backlog, r.load, r.serving, r.silent, r.odd, " AT(
                       "$2::bigint") " "
                                     "FROM jsonb_to_recordset($3::jsonb) AS r(at_ms bigint, "
                                     "cpu_pct double precision, "
                                     "memory_pct double precision, network_bps double precision, "
                                     "backlog double precision, "
                                     "load double precision, serving int, silent int, odd jsonb) "
                                     "ON CONFLICT (fleet, at) DO UPDATE SET cpu_pct = "
                                     "excluded.cpu_pct, "
                                     "memory_pct = excluded.memory_pct, network_bps = "
                                     "excluded.network_bps, "
                                     "backlog = excluded.backlog, load = excluded.load, serving = "
                                     "excluded.serving, "
                                     "silent = excluded.silent, odd = excluded.odd, merged_at = "
                                     "excluded.merged_at "
                                     "WHERE s.merged_at < excluded.merged_at";

static enum pr_code put_samples(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct put *p = ctx;
    enum pr_code rc = pr_lease_check(db, p->lease, err);
    return rc != PR_OK
               ? rc
               : pr_db_exec(db, PUT_SAMPLES,
                            PR_ARGS(pr_text(p->fleet), pr_i64(p->merged_ms), pr_text(p->text)),
                            NULL, err);
}

enum pr_code autoscale_samples_put(struct pr_db *db, const struct pr_lease *lease,
                                   const char *fleet, int64_t merged_ms,
                                   const struct autoscale_merged *minute, size_t n,
                                   struct pr_err *err)
{
    json_t *list = json_array();
    size_t measured = 0;
    for (size_t i = 0; i < n; i++)
        if (minute[i].measured) {
            measured++;
            (void)json_array_append_new(list, sample_json(&minute[i]));
        }
    char *text = dump(list, measured);
    if (text == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu samples of fleet %s", measured, fleet);
    struct put p = { lease, fleet, text, merged_ms };
    enum pr_code rc = measured == 0 ? PR_OK : pr_db_tx(db, put_samples, &p, err);
    free(text);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "samples of fleet %s", fleet);
}

enum pr_code autoscale_samples_load(struct pr_db *db, struct pr_arena *arena, const char *fleet,
                                    int64_t from_ms, int64_t to_ms,
                                    struct autoscale_sample **sample, size_t *n, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT " MS("at") ", cpu_pct, memory_pct, network_bps, backlog, load, serving, silent "
                           "FROM autoscale_samples WHERE fleet = $1 AND at > " AT(
                               "$2::bigint") " AND at <= " AT("$3::bigint") " ORDER BY at",
        PR_ARGS(pr_text(fleet), pr_i64(from_ms), pr_i64(to_ms)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "samples of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    const int rows = PQntuples(res);
    struct autoscale_sample *s = pr_arena_alloc(arena, ((size_t)rows + 1) * sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "%d samples of fleet %s", rows, fleet);
    for (int i = 0; i < rows; i++)
        s[i] = (struct autoscale_sample){ .at_ms = pr_cell_i64(res, i, 0),
                                          .cpu_pct = autoscale_cell_real(res, i, 1),
                                          .memory_pct = autoscale_cell_real(res, i, 2),
                                          .network_bps = autoscale_cell_real(res, i, 3),
                                          .backlog = autoscale_cell_real(res, i, 4),
                                          .load = autoscale_cell_real(res, i, 5),
                                          .serving = (int)pr_cell_i64(res, i, 6),
                                          .silent = (int)pr_cell_i64(res, i, 7) };
    *sample = s;
    *n = (size_t)rows;
    return PR_OK;
}

enum pr_code autoscale_samples_range(struct pr_db *db, const char *fleet, int64_t from_ms,
                                     int64_t to_ms, int64_t *oldest_ms, int64_t *newest_ms,
                                     struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT " MS("coalesce(min(at), 'epoch')") ", " MS(
            "coalesce(max(at), 'epoch')") " FROM autoscale_samples WHERE fleet = $1 AND at "
                                          "> " AT("$2::bigint") " AND at <= " AT("$3::bigint"),
        PR_ARGS(pr_text(fleet), pr_i64(from_ms), pr_i64(to_ms)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "samples of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    *oldest_ms = pr_cell_i64(res, 0, 0);
    *newest_ms = pr_cell_i64(res, 0, 1);
    return PR_OK;
}

enum pr_code autoscale_samples_newest(struct pr_db *db, const char *fleet, int64_t *at_ms,
                                      struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT " MS("coalesce(max(at), 'epoch')") " "
                                                   "FROM autoscale_samples WHERE fleet = $1",
        PR_ARGS(pr_text(fleet)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "samples of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    *at_ms = pr_cell_i64(res, 0, 0);
    return PR_OK;
}

/* --- readings ------------------------------------------------------------ */

static json_t *reading_json(const struct autoscale_reading *r)
{
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "member", r->member, "zone",
        r->zone, "source", r->source, "at_ms", (json_int_t)r->at_ms, "received_ms",
        (json_int_t)r->received_ms, "cpu_pct", number(r->value[AUTOSCALE_CPU]), "memory_pct",
        number(r->value[AUTOSCALE_MEMORY]), "network_bps", number(r->value[AUTOSCALE_NETWORK]),
        "backlog", number(r->value[AUTOSCALE_BACKLOG]), "load", number(r->value[AUTOSCALE_LOAD]),
        "data_bytes", number(r->data_bytes), "why", r->why);
}

static const char PUT_READINGS[] =
    "WITH fleet AS (SELECT count(*) AS known FROM autoscale_fleets WHERE name = $1), "
    "put AS (INSERT INTO autoscale_readings (fleet, member, zone, source, at, received_at, "
    "cpu_pct, memory_pct, network_bps, backlog, load, data_bytes, why) SELECT $1, r.member, "
    "r.zone, "
    "r.source, " AT("r.at_ms") ", " AT(
        "r.received_ms") ", r.cpu_pct, r.memory_pct, r.network_bps, r.backlog, "
                         "r.load, r.data_bytes, r.why FROM fleet, jsonb_to_recordset($2::jsonb) AS "
                         "r(member "
                         "text, zone text, "
                         "source text, at_ms bigint, received_ms bigint, cpu_pct double precision, "
                         "memory_pct double precision, network_bps double precision, backlog "
                         "double precision, "
                         "load double precision, data_bytes double precision, why text) WHERE "
                         "fleet.known > 0 ON CONFLICT DO "
                         "NOTHING RETURNING 1) "
                         "SELECT (SELECT known FROM fleet), (SELECT count(*) FROM put)";

enum pr_code autoscale_readings_put(struct pr_db *db, const char *fleet, int64_t now_ms,
                                    const struct autoscale_reading *reading, size_t n,
                                    struct autoscale_put *out, struct pr_err *err)
{
    PGresult *got = NULL;
    json_t *list = json_array();
    size_t fit = 0;
    *out = (struct autoscale_put){ 0 };
    for (size_t i = 0; i < n; i++) {
        if (reading[i].at_ms <= now_ms - AUTOSCALE_READING_PAST_MS ||
            reading[i].at_ms > now_ms + AUTOSCALE_READING_AHEAD_MS)
            continue;
        fit++;
        (void)json_array_append_new(list, reading_json(&reading[i]));
    }
    out->refused = n - fit;
    char *text = dump(list, fit);
    if (text == NULL)
        return pr_fail(err, PR_EDATA, "a reading of fleet %s is not UTF-8 text", fleet);
    enum pr_code rc =
        pr_db_exec(db, PUT_READINGS, PR_ARGS(pr_text(fleet), pr_text(text)), &got, err);
    free(text);
    if (rc == PR_ECONFLICT) /* no row of a partitioned table breaks a check but for this */
        return pr_fail(err, PR_EUNAVAIL, "readings of fleet %s: no partition for their time",
                       fleet);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "readings of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    if (pr_cell_i64(res, 0, 0) == 0)
        return pr_fail(err, PR_ENOTFOUND, "no fleet %s", fleet);
    out->stored = (size_t)pr_cell_i64(res, 0, 1);
    out->again = fit - out->stored;
    return PR_OK;
}

static const char *keep(struct pr_arena *arena, const PGresult *r, int row, int col)
{
    return pr_arena_strdup(arena, pr_cell(r, row, col));
}

enum pr_code autoscale_readings_load(struct pr_db *db, struct pr_arena *arena, const char *fleet,
                                     int64_t from_ms, int64_t to_ms,
                                     struct autoscale_reading **reading, size_t *n,
                                     struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "SELECT member, zone, source, why, " MS("at") ", " MS(
                       "received_at") ", cpu_pct, "
                                      "memory_pct, network_bps, backlog, load, data_bytes FROM "
                                      "autoscale_readings WHERE fleet = $1 "
                                      "AND at > " AT("$2::bigint") " AND at <= " AT(
                                          "$3::bigint") " "
                                                        "ORDER BY at, member, source",
                   PR_ARGS(pr_text(fleet), pr_i64(from_ms), pr_i64(to_ms)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "readings of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    const int rows = PQntuples(res);
    struct autoscale_reading *list = pr_arena_alloc(arena, ((size_t)rows + 1) * sizeof *list);
    bool room = list != NULL;
    for (int i = 0; i < rows && room; i++) {
        struct autoscale_reading *r = &list[i];
        *r = autoscale_reading_unknown();
        r->member = keep(arena, res, i, 0);
        r->zone = keep(arena, res, i, 1);
        r->source = keep(arena, res, i, 2);
        r->why = keep(arena, res, i, 3);
        r->at_ms = pr_cell_i64(res, i, 4);
        r->received_ms = pr_cell_i64(res, i, 5);
        r->value[AUTOSCALE_CPU] = autoscale_cell_real(res, i, 6);
        r->value[AUTOSCALE_MEMORY] = autoscale_cell_real(res, i, 7);
        r->value[AUTOSCALE_NETWORK] = autoscale_cell_real(res, i, 8);
        r->value[AUTOSCALE_BACKLOG] = autoscale_cell_real(res, i, 9);
        r->value[AUTOSCALE_LOAD] = autoscale_cell_real(res, i, 10);
        r->data_bytes = autoscale_cell_real(res, i, 11);
        room = r->member != NULL && r->zone != NULL && r->source != NULL && r->why != NULL;
    }
    if (!room)
        return pr_fail(err, PR_ENOMEM, "%d readings of fleet %s", rows, fleet);
    *reading = list;
    *n = (size_t)rows;
    return PR_OK;
}
