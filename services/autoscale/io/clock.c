#include "io/clock.h"

#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>

static const char LOOK[] =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, "
    "(extract(epoch FROM coalesce(greatest("
    "(SELECT max(at) FROM autoscale_samples WHERE fleet = $1), "
    "(SELECT evaluated_at FROM autoscale_state WHERE fleet = $1)), 'epoch')) * 1000)::bigint";

static enum pr_code read_facts(struct pr_db *db, const char *fleet, int64_t machine_ms,
                               struct autoscale_clock_facts *f, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db, LOOK, PR_ARGS(pr_text(fleet)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "the clock of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    f->ahead_ms = machine_ms - pr_cell_i64(res, 0, 0);
    f->stored_ms = pr_cell_i64(res, 0, 1);
    return PR_OK;
}

struct aside {
    const struct pr_lease *lease;
    const char *fleet;
    int64_t now_ms;
    long rows;
};

/* $2: now; a clock that is right is not so far ahead of it as BEHIND. Decisions and actions get
 * times of their own, in their order, for which no decision is made. When they were carried out by
 * the clock that was ahead is not known any more: nothing is learned from them. */
_Static_assert(AUTOSCALE_CLOCK_APART_MS == 60000, "BEHIND");
#define NOW    "to_timestamp($2::bigint / 1000.0)"
#define BEHIND NOW " + interval '1 minute'"
#define REDATE(table, key)                                                                         \
    "UPDATE " table " t SET at = date_trunc('minute', " NOW ") - x.n * interval '1 millisecond' "  \
    "FROM (SELECT " key " AS k, row_number() OVER (ORDER BY at DESC) AS n FROM " table             \
    " WHERE fleet = $1 AND at > " NOW ") x WHERE t.fleet = $1 AND t." key " = x.k"
static const char *const SET_ASIDE[] = {
    "DELETE FROM autoscale_samples WHERE fleet = $1 AND (at > " NOW " OR merged_at > " BEHIND ")",
    "DELETE FROM autoscale_readings WHERE fleet = $1 AND received_at > " BEHIND,
    "UPDATE autoscale_state SET memory = '[]', evaluated_at = 'epoch' WHERE fleet = $1 AND "
    "evaluated_at > " NOW,
    "UPDATE autoscale_decisions SET report = jsonb_set(report, '{carry,ended_ms}', '0') WHERE "
    "fleet = $1 AND report #> '{carry,ended_ms}' IS NOT NULL AND (at > " NOW
    " OR (report #>> '{carry,ended_ms}')::bigint > $2)",
    REDATE("autoscale_decisions", "id"),
    REDATE("autoscale_actions", "at"),
};

static enum pr_code set_aside(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct aside *a = ctx;
    enum pr_code rc = pr_lease_check(db, a->lease, err);
    a->rows = 0;
    for (size_t i = 0; rc == PR_OK && i < PR_COUNT(SET_ASIDE); i++) {
        PGresult *got = NULL;
        rc = pr_db_exec(db, SET_ASIDE[i], PR_ARGS(pr_text(a->fleet), pr_i64(a->now_ms)), &got, err);
        if (rc == PR_OK)
            a->rows += strtol(PQcmdTuples(got), NULL, 10);
        PQclear(got);
    }
    return rc;
}

static void say(const struct autoscale_clock_watch *w, const char *fleet, const char *why)
{
    if ((w->why[0] != '\0') == (why[0] != '\0'))
        return;
    if (why[0] != '\0')
        pr_warn(PR_EV("fleet.clock"), PR_S("fleet", fleet), PR_S("why", why));
    else
        pr_info(PR_EV("fleet.clock_is_right"), PR_S("fleet", fleet));
}

enum pr_code autoscale_clock_look(struct autoscale_clock_watch *w, struct pr_db *db,
                                  const struct pr_lease *lease, const char *fleet, int64_t now_ms,
                                  int64_t machine_ms, enum autoscale_clock *out, struct pr_err *err)
{
    struct autoscale_clock_facts f = { .now_ms = now_ms, .behind_since_ms = w->behind_since_ms };
    char why[sizeof w->why];
    enum pr_code rc = read_facts(db, fleet, machine_ms, &f, err);
    if (rc != PR_OK)
        return rc;
    *out = autoscale_clock_judge(&f, why);
    if (*out == AUTOSCALE_CLOCK_ASIDE) {
        struct aside a = { .lease = lease, .fleet = fleet, .now_ms = now_ms };
        rc = pr_db_tx(db, set_aside, &a, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "what is stored of the future of fleet %s", fleet);
        pr_warn(PR_EV("fleet.future_set_aside"), PR_S("fleet", fleet),
                PR_I("ahead_ms", f.stored_ms - now_ms), PR_I("rows", a.rows));
        why[0] = '\0';
    }
    say(w, fleet, why);
    if (f.stored_ms <= now_ms || *out == AUTOSCALE_CLOCK_ASIDE)
        w->behind_since_ms = 0;
    else if (w->behind_since_ms == 0 || w->behind_since_ms > now_ms)
        w->behind_since_ms = now_ms;
    memcpy(w->why, why, sizeof why);
    return PR_OK;
}
