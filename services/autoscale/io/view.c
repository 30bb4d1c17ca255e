#include "io/view_private.h"

#include "io/decisions.h"
#include "io/samples.h"
#include "json/carry.h"
#include "json/json.h"
#include "json/since.h"

#include <math.h>
#include <string.h>

enum {
    MINUTE = AUTOSCALE_MINUTE_MS,
    LOOK_BACK_MS = 60 * MINUTE,       /* what guards look at, and most policies */
    MARGIN_MS = 5 * MINUTE,           /* a sample before a window shows that it is whole */
    LEARN_MS = 14 * 24 * 60 * MINUTE, /* for policies that remember nothing yet */
    ACTIONS_MS = 26 * 60 * MINUTE,    /* budgets are of a day */
    LEARN_DECISIONS = 15,
};

/* --- what is known ----------------------------------------------------------------------- */

enum pr_code autoscale_carry_load(struct pr_db *db, struct pr_arena *arena, const char *fleet,
                                  int64_t *id, struct autoscale_carry **out, struct pr_err *err)
{
    PGresult *got = NULL;
    json_t *o = NULL;
    *out = NULL;
    *id = 0;
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT id, report->'carry' FROM autoscale_decisions WHERE fleet "
                                 "= $1 AND report IS NOT NULL ORDER BY id DESC LIMIT 1",
                                 PR_ARGS(pr_text(fleet)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "decisions of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    const char *text = PQntuples(res) == 0 ? NULL : pr_cell(res, 0, 1);
    if (text == NULL)
        return PR_OK;
    *id = pr_cell_i64(res, 0, 0);
    *out = pr_arena_alloc(arena, sizeof **out);
    rc = *out == NULL ? pr_fail(err, PR_ENOMEM, "the record of a decision")
                      : autoscale_json_parse(text, strlen(text), &o, err);
    if (rc == PR_OK)
        rc = autoscale_json_carry_read(o, *out, err);
    json_decref(o);
    return rc == PR_OK || rc == PR_ENOMEM ? rc
                                          : pr_wrap(err, PR_EDATA, "decision %lld", (long long)*id);
}

static enum pr_code load_open(struct autoscale_known *k, struct pr_db *db, const char *fleet,
                              struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT id, to_instances FROM autoscale_decisions WHERE fleet = "
                                 "$1 AND state IN ('decided', 'acting') ORDER BY id DESC LIMIT 1",
                                 PR_ARGS(pr_text(fleet)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "decisions of fleet %s", fleet);
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) > 0) {
        k->open_id = pr_cell_i64(res, 0, 0);
        k->open_to = (int)pr_cell_i64(res, 0, 1);
    }
    return PR_OK;
}

/* Of another version, or by another hand: as if nobody had looked. */
static enum pr_code load_since(struct autoscale_known *k, const char *text, const char *fleet,
                               struct pr_err *err)
{
    json_t *o = NULL;
    enum pr_code rc = text == NULL ? PR_EINVAL : autoscale_json_parse(text, strlen(text), &o, err);
    if (rc == PR_OK)
        rc = autoscale_json_sinces_read(o, &k->arena, &k->since, err);
    json_decref(o);
    if (rc != PR_ENOMEM && rc != PR_OK)
        k->since = (struct autoscale_sinces){ 0 };
    return rc == PR_ENOMEM ? pr_wrap(err, rc, "members of fleet %s", fleet) : PR_OK;
}

enum pr_code autoscale_known_open(struct autoscale_known *k, struct pr_db *db,
                                  struct autoscale_seen *seen,
                                  const struct autoscale_fleet_row *fleet, struct pr_err *err)
{
    struct autoscale_state state;
    int64_t id = 0;
    *k = (struct autoscale_known){ 0 };
    pr_arena_init(&k->arena, 0);
    enum pr_code rc = autoscale_state_load(db, &k->arena, fleet->name, &state, err);
    if (rc == PR_OK) {
        k->evaluated = true;
        k->evaluated_ms = state.evaluated_ms;
        k->memory = state.memory;
        k->stored_desired = state.desired;
        rc = load_since(k, state.members, fleet->name, err);
    } else if (rc == PR_ENOTFOUND) {
        rc = PR_OK;
    }
    if (rc == PR_OK)
        rc = load_open(k, db, fleet->name, err);
    if (rc == PR_OK)
        rc = autoscale_carry_load(db, &k->arena, fleet->name, &id, &k->carry, err);
    if (rc == PR_EDATA) { /* of another version: nobody is known to leave */
        k->carry = NULL;
        rc = PR_OK;
    }
    if (rc == PR_OK && fleet->setup->kind == AUTOSCALE_REDIS)
        rc = autoscale_nodes_load(db, &k->arena, &k->row, &k->rows, err);
    if (rc == PR_OK)
        k->provider = autoscale_seen_get(seen, fleet->name, &k->sight);
    return rc;
}

void autoscale_known_done(struct autoscale_known *k)
{
    if (k->provider)
        autoscale_sight_done(&k->sight);
    pr_arena_done(&k->arena);
    *k = (struct autoscale_known){ 0 };
}

enum pr_code autoscale_known_expected(struct autoscale_known *k,
                                      const struct autoscale_fleet_row *fleet, const char ***id,
                                      size_t *n, struct pr_err *err)
{
    const size_t most = k->rows + (k->provider ? k->sight.report.instances : 0);
    *n = 0;
    *id = pr_arena_alloc(&k->arena, (most + 1) * sizeof(const char *));
    if (*id == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu members", most);
    for (size_t i = 0; i < k->rows; i++)
        if (k->row[i].useful && view_zone(&fleet->setup->fleet, k->row[i].zone) >= 0)
            (*id)[(*n)++] = k->row[i].id;
    for (size_t i = 0;
         fleet->setup->kind == AUTOSCALE_SINGLE && k->provider && i < k->sight.report.instances;
         i++)
        if (k->sight.report.instance[i].life == AUTOSCALE_IN_SERVICE &&
            k->sight.report.instance[i].healthy)
            (*id)[(*n)++] = k->sight.report.instance[i].id;
    return PR_OK;
}

/* --- the past ---------------------------------------------------------------------------- */

/* From an order to a useful member: the median of those that were carried out. */
static enum pr_code learn(struct filling *f, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        f->db,
        "SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY took), 0) FROM (SELECT "
        "(report #>> '{carry,ended_ms}')::bigint - (extract(epoch FROM at) * 1000)::bigint AS took "
        "FROM autoscale_decisions WHERE fleet = $1 AND report IS NOT NULL AND state = 'done' AND "
        "move = 'out' ORDER BY id DESC LIMIT $2::int) d WHERE took > 0",
        PR_ARGS(pr_text(f->fleet->name), pr_i64(LEARN_DECISIONS)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "decisions of fleet %s", f->fleet->name);
    PR_AUTO(PGresult) *res = got;
    const int64_t day_ms = 24 * 60 * (int64_t)MINUTE, took = pr_cell_i64(res, 0, 0);
    f->in->view.useful_after_ms = took < day_ms ? took : day_ms;
    return PR_OK;
}

/* Coarse and long, beside what is fine and short: for advice on types. */
static enum pr_code fill_longer(struct filling *f, struct pr_err *err)
{
    struct autoscale_means *l = &f->in->view.longer;
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        f->db,
        "SELECT count(*), CASE WHEN count(cpu_pct) * 2 >= $4::int THEN avg(cpu_pct) END, "
        "CASE WHEN count(memory_pct) * 2 >= $4::int THEN avg(memory_pct) END, "
        "CASE WHEN count(network_bps) * 2 >= $4::int THEN avg(network_bps) END "
        "FROM autoscale_samples WHERE fleet = $1 AND at > " VIEW_AT(
            "$2::bigint") " AND at <= " VIEW_AT("$3::bigint"),
        PR_ARGS(pr_text(f->fleet->name), pr_i64(f->at_ms - AUTOSCALE_LONG_MS), pr_i64(f->at_ms),
                pr_i64(AUTOSCALE_LONG_MS / MINUTE)),
        &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "samples of fleet %s", f->fleet->name);
    PR_AUTO(PGresult) *res = got;
    *l = (struct autoscale_means){ .minutes = (int)pr_cell_i64(res, 0, 0),
                                   .cpu_pct = autoscale_cell_real(res, 0, 1),
                                   .memory_pct = autoscale_cell_real(res, 0, 2),
                                   .network_bps = autoscale_cell_real(res, 0, 3) };
    return PR_OK;
}

static enum pr_code fill_past(struct filling *f, struct pr_err *err)
{
    struct autoscale_view *v = &f->in->view;
    const struct autoscale_known *k = f->k;
    struct autoscale_sample *sample = NULL;
    struct autoscale_action *action = NULL;
    const int64_t asked = autoscale_settings_look_back_ms(&f->in->settings) + MARGIN_MS;
    int64_t from = f->at_ms - (asked > LOOK_BACK_MS ? asked : LOOK_BACK_MS);
    if (!k->evaluated)
        from = f->at_ms - LEARN_MS;
    else if (k->evaluated_ms - MINUTE < from)
        from = k->evaluated_ms - MINUTE > f->at_ms - LEARN_MS ? k->evaluated_ms - MINUTE
                                                              : f->at_ms - LEARN_MS;
    enum pr_code rc = autoscale_samples_load(f->db, &f->k->arena, f->fleet->name, from, f->at_ms,
                                             &sample, &v->samples, err);
    if (rc == PR_OK)
        rc = autoscale_actions_load(f->db, &f->k->arena, f->fleet->name, f->at_ms - ACTIONS_MS,
                                    f->at_ms, &action, &v->actions, err);
    v->sample = sample;
    v->action = action;
    if (rc == PR_OK)
        rc = fill_longer(f, err);
    return rc == PR_OK ? learn(f, err) : rc;
}

/* --- how many ---------------------------------------------------------------------------- */

/* What is being carried out counts as there; otherwise what there is, whoever changed it. */
static enum pr_code count(struct filling *f, struct pr_err *err)
{
    const struct autoscale_known *k = f->k;
    struct autoscale_view *v = &f->in->view;
    const int measured = v->samples > 0 ? v->sample[v->samples - 1].serving : 0;
    const struct autoscale_setup *setup = f->fleet->setup;
    const bool cluster = setup->kind == AUTOSCALE_REDIS, asked = cluster || k->provider;
    const enum autoscale_provider_kind by =
        setup->provider == AUTOSCALE_BY_DRY_RUN ? setup->beneath : setup->provider;
    if (!cluster && by == AUTOSCALE_BY_NOBODY) {
        f->actual = measured > 0 ? measured : -1; /* there is nobody else to ask */
        v->serving = measured;
    } else if (!asked || f->actual < 0) {
        v->serving = measured;
    }
    v->desired = f->actual;
    if (k->open_id != 0 && autoscale_setup_acts(setup))
        v->desired = k->open_to;
    else if (f->actual < 0 && k->evaluated)
        v->desired = k->stored_desired;
    if (v->desired < 0 || (v->desired == 0 && cluster))
        return pr_fail(err, PR_ENOTFOUND, "fleet %s: nobody knows yet how many members there are",
                       f->fleet->name);
    return PR_OK;
}

enum pr_code autoscale_view_fill(struct autoscale_known *k, struct pr_db *db,
                                 const struct autoscale_fleet_row *fleet, int64_t at_ms,
                                 struct autoscale_input *in, struct pr_err *err)
{
    struct filling f = { .k = k, .db = db, .fleet = fleet, .at_ms = at_ms, .in = in, .actual = -1 };
    in->fleet = fleet->setup->fleet;
    in->settings = fleet->setup->settings;
    in->view.now_ms = at_ms;
    in->decided_ms = k->evaluated ? k->evaluated_ms : 0;
    enum pr_code rc = view_members(&f, err);
    if (rc == PR_OK)
        rc = view_traffic(&f, err);
    if (rc == PR_OK)
        rc = fill_past(&f, err);
    return rc == PR_OK ? count(&f, err) : rc;
}
