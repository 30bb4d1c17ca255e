#include "io/decisions.h"

#include "prism/io/outbox.h"
#include "prism/v1/autoscale.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define AT(ms)  "timestamptz 'epoch' + " ms " * interval '1 millisecond'"
#define MS(col) "(extract(epoch FROM " col ") * 1000)::bigint"

static const char *const STATE[AUTOSCALE_DECISION_STATES] = {
    [AUTOSCALE_DECISION_DECIDED] = "decided",
    [AUTOSCALE_DECISION_ACTING] = "acting",
    [AUTOSCALE_DECISION_DONE] = "done",
    [AUTOSCALE_DECISION_FAILED] = "failed",
    [AUTOSCALE_DECISION_SUPERSEDED] = "superseded",
};

/* From which states a step leads to each, as an array of PostgreSQL. Its own is among them:
 * the same step again does no harm. */
static const char *const FROM[AUTOSCALE_DECISION_STATES] = {
    [AUTOSCALE_DECISION_DECIDED] = "{decided}",
    [AUTOSCALE_DECISION_ACTING] = "{decided,acting}",
    [AUTOSCALE_DECISION_DONE] = "{acting,done}",
    [AUTOSCALE_DECISION_FAILED] = "{decided,acting,failed}",
    [AUTOSCALE_DECISION_SUPERSEDED] = "{decided,acting,superseded}",
};

const char *autoscale_decision_state_name(enum autoscale_decision_state s)
{
    return (unsigned)s < AUTOSCALE_DECISION_STATES ? STATE[s] : "?";
}

enum pr_code autoscale_decision_state_parse(const char *name, enum autoscale_decision_state *out,
                                            struct pr_err *err)
{
    for (int s = 0; s < AUTOSCALE_DECISION_STATES; s++)
        if (strcmp(STATE[s], name) == 0) {
            *out = (enum autoscale_decision_state)s;
            return PR_OK;
        }
    return pr_fail(err, PR_EINVAL,
                   "state '%.40s': want decided, acting, done, failed or superseded", name);
}

/* --- storing ------------------------------------------------------------- */

struct put {
    const struct pr_lease *lease;
    struct autoscale_decision_row *row;
    bool moves;
};

/* Also what a commit of unknown outcome left: the same again. */
static enum pr_code find_same(struct pr_db *db, struct put *p, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT id, input::text = $3 AND decision::text = $4, state FROM autoscale_decisions "
        "WHERE fleet = $1 AND at = " AT("$2::bigint"),
        PR_ARGS(pr_text(p->row->fleet), pr_i64(p->row->at_ms), pr_text(p->row->input),
                pr_text(p->row->decision)),
        &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_ECONFLICT, "a decision of that time came and went");
    p->row->id = pr_cell_i64(res, 0, 0);
    return pr_cell_bool(res, 0, 1)
               ? autoscale_decision_state_parse(pr_cell(res, 0, 2), &p->row->state, err)
               : pr_fail(err, PR_EEXISTS, "decision %lld is another one for the same time",
                         (long long)p->row->id);
}

/* Rows of id, revision, fleet, move, state, alarm. */
static enum pr_code tell(struct pr_db *db, const PGresult *r, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (int i = 0; i < PQntuples(r) && rc == PR_OK; i++) {
        Prism__V1__AutoscaleDecisionEvent e = PRISM__V1__AUTOSCALE_DECISION_EVENT__INIT;
        uint8_t packed[256];
        e.decision_id = (uint64_t)pr_cell_i64(r, i, 0);
        e.revision = (uint64_t)pr_cell_i64(r, i, 1);
        e.fleet = (char *)(uintptr_t)pr_cell(r, i, 2);
        e.move = (char *)(uintptr_t)pr_cell(r, i, 3);
        e.state = (char *)(uintptr_t)pr_cell(r, i, 4);
        e.alarm = pr_cell_bool(r, i, 5);
        rc = pr_outbox_add(db, "prism.evt.autoscale.decision", packed,
                           prism__v1__autoscale_decision_event__pack(&e, packed), err);
    }
    return rc;
}

static enum pr_code supersede(struct pr_db *db, const struct put *p, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "UPDATE autoscale_decisions SET state = 'superseded', updated_at = now() "
        "WHERE fleet = $1 AND id <> $2::bigint AND at < " AT(
            "$3::bigint") " "
                          "AND state IN ('decided', 'acting') RETURNING id, revision, fleet, move, "
                          "state, alarm",
        PR_ARGS(pr_text(p->row->fleet), pr_i64(p->row->id), pr_i64(p->row->at_ms)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    return tell(db, res, err);
}

/* What is wanted changes with the decision: the next one is made of that. */
static enum pr_code act(struct pr_db *db, const struct put *p, struct pr_err *err)
{
    const struct autoscale_decision_row *d = p->row;
    const struct autoscale_action action = { .at_ms = d->at_ms, .from = d->from, .to = d->to };
    enum pr_code rc = supersede(db, p, err);
    return rc == PR_OK ? autoscale_action_put_in(db, p->lease, d->fleet, &action, d->id, err) : rc;
}

static enum pr_code put(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct put *p = ctx;
    struct autoscale_decision_row *d = p->row;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, p->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "INSERT INTO autoscale_decisions (fleet, at, settings_version, from_instances, "
            "to_instances, move, why, alarm, alarm_why, input, decision, state, lease_epoch) "
            "VALUES ($1, " AT(
                "$2::bigint") ", $3, $4, $5, $6, $7, $8, $9, $10::json, $11::json, "
                              "$12, $13) ON CONFLICT (fleet, at) DO NOTHING RETURNING id, "
                              "revision, fleet, move, state, alarm",
            PR_ARGS(pr_text(d->fleet), pr_i64(d->at_ms), pr_i64(d->settings_version),
                    pr_i64(d->from), pr_i64(d->to), pr_text(d->move), pr_text(d->why),
                    pr_bool(d->alarm), pr_text(d->alarm_why), pr_text(d->input),
                    pr_text(d->decision), pr_text(p->moves ? "decided" : "done"),
                    pr_i64((int64_t)p->lease->epoch)),
            &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return find_same(db, p, err);
    d->id = pr_cell_i64(res, 0, 0);
    d->state = p->moves ? AUTOSCALE_DECISION_DECIDED : AUTOSCALE_DECISION_DONE;
    rc = tell(db, res, err);
    if (rc == PR_OK && p->moves)
        rc = act(db, p, err);
    if (rc == PR_OK && d->after != NULL)
        rc = autoscale_state_put_in(db, p->lease, d->fleet, d->after, err);
    return rc;
}

enum pr_code autoscale_decision_put(struct pr_db *db, const struct pr_lease *lease,
                                    struct autoscale_decision_row *row, struct pr_err *err)
{
    const bool moves = strcmp(row->move, "out") == 0 || strcmp(row->move, "in") == 0;
    struct put p = { lease, row, moves && !row->advice };
    enum pr_code rc = PR_EINVAL;
    if (!moves && strcmp(row->move, "hold") != 0 && strcmp(row->move, "unknown") != 0)
        pr_fail(err, rc, "move '%.20s': want hold, out, in or unknown", row->move);
    else
        rc = pr_db_tx(db, put, &p, err);
    return rc == PR_OK ? rc
                       : pr_wrap(err, rc, "decision of fleet %s at %lld", row->fleet,
                                 (long long)row->at_ms);
}

struct advance {
    const struct pr_lease *lease;
    int64_t id, plan_id;
    enum autoscale_decision_state to;
    const char *report;
};

static enum pr_code refuse(struct pr_db *db, const struct advance *a, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT state FROM autoscale_decisions WHERE id = $1::bigint",
                                 PR_ARGS(pr_i64(a->id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_ENOTFOUND, "no decision %lld", (long long)a->id);
    return pr_fail(err, PR_ECONFLICT, "decision %lld is %s: it cannot become %s", (long long)a->id,
                   pr_cell(res, 0, 0), STATE[a->to]);
}

static enum pr_code advance(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct advance *a = ctx;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, a->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "WITH was AS (SELECT id, state FROM autoscale_decisions WHERE id = "
                        "$1::bigint AND state = ANY($6::text[]) FOR UPDATE) "
                        "UPDATE autoscale_decisions d SET state = $2, report = coalesce($3::jsonb, "
                        "report), plan_id = coalesce(nullif($4::bigint, 0), plan_id), "
                        "lease_epoch = $5, updated_at = now() FROM was WHERE d.id = was.id "
                        "RETURNING d.id, revision, fleet, move, d.state, alarm, was.state <> $2",
                        PR_ARGS(pr_i64(a->id), pr_text(STATE[a->to]), pr_text(a->report),
                                pr_i64(a->plan_id), pr_i64((int64_t)a->lease->epoch),
                                pr_text(FROM[a->to])),
                        &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) != 1)
        return refuse(db, a, err);
    return pr_cell_bool(res, 0, 6) ? tell(db, res, err) : PR_OK;
}

enum pr_code autoscale_decision_advance(struct pr_db *db, const struct pr_lease *lease, int64_t id,
                                        enum autoscale_decision_state to, const char *report,
                                        int64_t plan_id, struct pr_err *err)
{
    struct advance a = { lease, id, plan_id, to, report };
    return pr_db_tx(db, advance, &a, err);
}

enum pr_code autoscale_decision_advance_in(struct pr_db *db, const struct pr_lease *lease,
                                           int64_t id, enum autoscale_decision_state to,
                                           const char *report, int64_t plan_id, struct pr_err *err)
{
    struct advance a = { lease, id, plan_id, to, report };
    return advance(db, &a, err);
}

/* --- loading ------------------------------------------------------------- */

#define COLUMNS                                                                                    \
    "id, fleet, " MS("at") ", settings_version, from_instances, to_instances, move, why, alarm, "  \
                           "alarm_why, state, report, coalesce(plan_id, 0), " MS(                  \
                               "updated_at") ", revision"

/* "" stays "", NULL stays NULL; *room is false once there is no memory. */
static const char *keep(struct pr_arena *arena, const PGresult *r, int row, int col, bool *room)
{
    const char *s = pr_cell(r, row, col);
    const char *copy = s == NULL ? NULL : pr_arena_strdup(arena, s);
    *room = *room && (s == NULL || copy != NULL);
    return copy;
}

static enum pr_code read_row(struct pr_arena *arena, const PGresult *r, int i, bool whole,
                             struct autoscale_decision_row *out, struct pr_err *err)
{
    bool room = true;
    *out = (struct autoscale_decision_row){
        .id = pr_cell_i64(r, i, 0),
        .fleet = keep(arena, r, i, 1, &room),
        .at_ms = pr_cell_i64(r, i, 2),
        .settings_version = pr_cell_i64(r, i, 3),
        .from = (int)pr_cell_i64(r, i, 4),
        .to = (int)pr_cell_i64(r, i, 5),
        .move = keep(arena, r, i, 6, &room),
        .why = keep(arena, r, i, 7, &room),
        .alarm = pr_cell_bool(r, i, 8),
        .alarm_why = keep(arena, r, i, 9, &room),
        .report = keep(arena, r, i, 11, &room),
        .plan_id = pr_cell_i64(r, i, 12),
        .updated_ms = pr_cell_i64(r, i, 13),
        .revision = pr_cell_i64(r, i, 14),
        .input = whole ? keep(arena, r, i, 15, &room) : NULL,
        .decision = whole ? keep(arena, r, i, 16, &room) : NULL,
    };
    return room ? autoscale_decision_state_parse(pr_cell(r, i, 10), &out->state, err)
                : pr_fail(err, PR_ENOMEM, "no memory for decision %lld", (long long)out->id);
}

enum pr_code autoscale_decision_load(struct pr_db *db, struct pr_arena *arena, int64_t id,
                                     struct autoscale_decision_row *out, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT " COLUMNS ", input, decision FROM autoscale_decisions "
                                 "WHERE id = $1::bigint",
                                 PR_ARGS(pr_i64(id)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "decision %lld", (long long)id);
    PR_AUTO(PGresult) *res = got;
    return PQntuples(res) == 0 ? pr_fail(err, PR_ENOTFOUND, "no decision %lld", (long long)id)
                               : read_row(arena, res, 0, true, out, err);
}

enum pr_code autoscale_decision_list(struct pr_db *db, struct pr_arena *arena,
                                     const struct autoscale_decision_page *page,
                                     struct autoscale_decision_row **row, size_t *n,
                                     struct pr_err *err)
{
    PGresult *got = NULL;
    *n = 0;
    if (page->limit < 1 || page->limit > 1000)
        return pr_fail(err, PR_EINVAL, "a page of %d decisions: want 1 to 1000", page->limit);
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT " COLUMNS " FROM autoscale_decisions WHERE ($1::text IS NULL OR fleet = $1) "
        "AND ($2::bigint = 0 OR id < $2) AND (NOT $3::boolean OR move IN ('out', 'in')) "
        "AND (NOT $4::boolean OR state IN ('decided', 'acting')) ORDER BY id DESC LIMIT $5::int",
        PR_ARGS(pr_text(page->fleet), pr_i64(page->before_id), pr_bool(page->moves_only),
                pr_bool(page->open_only), pr_i64(page->limit)),
        &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "decisions");
    PR_AUTO(PGresult) *res = got;
    const int rows = PQntuples(res);
    *row = pr_arena_alloc(arena, ((size_t)rows + 1) * sizeof **row);
    if (*row == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %d decisions", rows);
    for (int i = 0; i < rows && rc == PR_OK; i++)
        rc = read_row(arena, res, i, false, &(*row)[i], err);
    *n = rc == PR_OK ? (size_t)rows : 0;
    return rc;
}

/* --- forgetting ---------------------------------------------------------- */

struct forget {
    const struct pr_lease *lease;
    int64_t now_ms, keep_days, deleted;
};

/* By the database's clock, should ours be ahead of it. */
#define OLD "at < least(" AT("$1::bigint") ", clock_timestamp()) - $2::bigint * interval '1 day'"

static enum pr_code forget(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct forget *f = ctx;
    PGresult *got = NULL;
    enum pr_code rc = pr_lease_check(db, f->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db,
            "WITH d AS (DELETE FROM autoscale_decisions WHERE id IN (SELECT id FROM "
            "autoscale_decisions WHERE " OLD " AND state NOT IN ('decided', 'acting') ORDER BY id "
            "LIMIT $3::int) RETURNING 1), a AS (DELETE FROM autoscale_actions WHERE (fleet, at) IN "
            "(SELECT fleet, at FROM autoscale_actions WHERE " OLD " ORDER BY at LIMIT $3::int) "
            "RETURNING 1) SELECT (SELECT count(*) FROM d) + (SELECT count(*) FROM a)",
            PR_ARGS(pr_i64(f->now_ms), pr_i64(f->keep_days), pr_i64(AUTOSCALE_FORGET_ROWS)), &got,
            err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    f->deleted = pr_cell_i64(res, 0, 0);
    return PR_OK;
}

enum pr_code autoscale_decisions_forget(struct pr_db *db, const struct pr_lease *lease,
                                        int64_t now_ms, int64_t keep_days, int64_t *deleted,
                                        struct pr_err *err)
{
    struct forget f = { lease, now_ms, keep_days, 0 };
    enum pr_code rc = keep_days <= 0 ? PR_OK : pr_db_tx(db, forget, &f, err);
    *deleted = rc == PR_OK ? f.deleted : 0;
    return rc;
}
