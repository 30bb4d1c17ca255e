#include "io/view.h"

#include "io/decisions.h"
#include "io/samples.h"
#include "json/carry.h"
#include "json/json.h"

#include <math.h>
#include <string.h>

#define AT(ms) "timestamptz 'epoch' + " ms " * interval '1 millisecond'"

enum {
    MINUTE = AUTOSCALE_MINUTE_MS,
    LOOK_BACK_MS = 60 * MINUTE,       /* what rules and guards look at */
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

/* Somebody who was asked to leave, and has not been asked back. */
static bool leaves(const struct autoscale_known *k, const char *id)
{
    return k->carry != NULL && autoscale_carry_leaves(k->carry, id);
}

static int zone_of(const struct autoscale_fleet *f, const char *zone)
{
    for (int z = 0; z < f->zones; z++)
        if (strcmp(f->zone[z], zone) == 0)
            return z;
    return -1;
}

static int group_of(const struct autoscale_fleet *f, const char *group, int zone)
{
    for (int g = 0; g < f->groups; g++)
        if (strcmp(f->group[g].name, group) == 0 && f->group[g].zone == zone)
            return g;
    return -1;
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
        if (k->row[i].useful && zone_of(&fleet->setup->fleet, k->row[i].zone) >= 0)
            (*id)[(*n)++] = k->row[i].id;
    for (size_t i = 0;
         fleet->setup->kind == AUTOSCALE_SINGLE && k->provider && i < k->sight.report.instances;
         i++)
        if (k->sight.report.instance[i].life == AUTOSCALE_IN_SERVICE &&
            k->sight.report.instance[i].healthy)
            (*id)[(*n)++] = k->sight.report.instance[i].id;
    return PR_OK;
}

/* --- members ----------------------------------------------------------------------------- */

struct filling {
    struct autoscale_known *k;
    struct pr_db *db;
    const struct autoscale_fleet_row *fleet;
    int64_t at_ms;
    struct autoscale_input *in;
    struct autoscale_node *node;
    struct autoscale_member *member;
    size_t members;
    int actual; /* members that stay; -1 unknown */
};

static void add_member(struct filling *f, const char *id, bool ready, bool leaving, bool failed)
{
    f->member[f->members++] = (struct autoscale_member){
        .id = id,
        .cpu_pct = NAN,
        .memory_pct = NAN,
        .network_bps = NAN,
        .ready = ready,
        .leaving = leaving,
        .failed = failed,
    };
}

static void of_cluster(struct filling *f)
{
    const struct autoscale_known *k = f->k;
    const struct autoscale_fleet *fleet = &f->fleet->setup->fleet;
    f->actual = 0;
    for (size_t i = 0; i < k->rows; i++) {
        const struct autoscale_node_row *r = &k->row[i];
        const int zone = zone_of(fleet, r->zone);
        const bool leaving = leaves(k, r->id);
        if (zone < 0 || (!r->member && !leaving))
            continue;
        f->node[f->in->nodes++] = (struct autoscale_node){
            .id = r->id,
            .shard = r->member ? r->shard : "",
            .zone = zone,
            .group = group_of(fleet, r->group, zone),
            .primary = r->primary && r->useful,
            .bytes = r->member ? (uint64_t)r->slots : 0,
            .leaving = leaving,
            .failed = r->member && !r->up,
        };
        f->actual += r->member && !leaving;
        f->in->view.serving += r->useful;
        if (r->member)
            add_member(f, r->id, r->useful, leaving, !r->up);
    }
}

/* Who cannot be named at the provider cannot be chosen either: it goes by numbers there. */
static void of_provider(struct filling *f)
{
    const struct autoscale_known *k = f->k;
    const struct autoscale_report *r = &k->sight.report;
    bool named = true, known = true;
    int leaving = 0;
    f->actual = 0;
    for (size_t t = 0; t < r->targets; t++) {
        named = named && k->sight.names[t];
        known = known && r->target[t].code == PR_OK;
        f->actual += r->target[t].desired;
        f->in->view.serving += r->target[t].in_service;
    }
    for (size_t i = 0; i < r->instances; i++) {
        const struct autoscale_instance *m = &r->instance[i];
        const bool goes = m->life == AUTOSCALE_LEAVING || leaves(k, m->id);
        if (m->life == AUTOSCALE_STANDBY || m->life == AUTOSCALE_GONE)
            continue;
        leaving += m->life != AUTOSCALE_LEAVING && goes;
        const bool failed = m->life == AUTOSCALE_IN_SERVICE && !m->healthy;
        add_member(f, m->id, m->life == AUTOSCALE_IN_SERVICE && m->healthy, goes, failed);
        if (named)
            f->node[f->in->nodes++] = (struct autoscale_node){
                .id = m->id,
                .shard = "",
                .zone = k->sight.zone[m->target],
                .group = k->sight.group[m->target],
                .leaving = goes,
                .failed = failed,
            };
    }
    f->actual = known ? f->actual - leaving : -1;
}

/* Means of the minute; a figure that no member can have is none. */
static const char MEMBERS_SQL[] =
    "SELECT member, avg(cpu_pct) FILTER (WHERE cpu_pct BETWEEN 0 AND 110), "
    "avg(memory_pct) FILTER (WHERE memory_pct BETWEEN 0 AND 110), "
    "avg(network_bps) FILTER (WHERE network_bps >= 0 AND network_bps < 'Infinity'), "
    "(extract(epoch FROM max(at) FILTER (WHERE cpu_pct BETWEEN 0 AND 110 OR memory_pct BETWEEN 0 "
    "AND 110 OR network_bps BETWEEN 0 AND 1e15)) * 1000)::bigint, "
    "max(zone) FROM autoscale_readings WHERE fleet = $1 AND member <> '' "
    "AND at > " AT("$2::bigint") " AND at <= " AT("$3::bigint") " GROUP BY member ORDER BY member "
                                                                "COLLATE \"C\"";

static double cell_or_nan(const PGresult *r, int row, int col)
{
    return pr_cell(r, row, col) == NULL ? NAN : pr_cell_real(r, row, col);
}

static struct autoscale_member *find_member(struct filling *f, const char *id)
{
    for (size_t i = 0; i < f->members; i++)
        if (strcmp(f->member[i].id, id) == 0)
            return &f->member[i];
    return NULL;
}

/* Where the traffic is, of single nodes: what members of each zone carry. */
static enum pr_code add_figures(struct filling *f, struct pr_err *err)
{
    PGresult *got = NULL;
    double sum = 0;
    const struct autoscale_fleet *fleet = &f->fleet->setup->fleet;
    enum pr_code rc = pr_db_exec(
        f->db, MEMBERS_SQL,
        PR_ARGS(pr_text(f->fleet->name), pr_i64(f->at_ms - MINUTE), pr_i64(f->at_ms)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "readings of fleet %s", f->fleet->name);
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res); i++) {
        struct autoscale_member *m = find_member(f, pr_cell(res, i, 0));
        const double bps = cell_or_nan(res, i, 3);
        const char *zone = pr_cell(res, i, 5);
        const int z = zone_of(fleet, zone == NULL ? "" : zone);
        if (z >= 0 && bps > 0 && fleet->unit == 1) {
            f->in->zone_traffic[z] += bps;
            sum += bps;
        }
        if (m == NULL)
            continue;
        const double cpu = cell_or_nan(res, i, 1), memory = cell_or_nan(res, i, 2);
        m->cpu_pct = cpu > 100 ? 100 : cpu;
        m->memory_pct = memory > 100 ? 100 : memory;
        m->network_bps = bps;
        m->metric_at_ms = pr_cell(res, i, 4) == NULL ? 0 : pr_cell_i64(res, i, 4);
        m->metric_window_ms = MINUTE;
    }
    for (int z = 0; z < fleet->zones && sum > 0; z++)
        f->in->zone_traffic[z] /= sum;
    return PR_OK;
}

static bool has_hpa(const struct autoscale_settings *s)
{
    for (size_t i = 0; i < s->policies; i++)
        if (s->policy[i].kind == AUTOSCALE_HPA)
            return true;
    return false;
}

static enum pr_code fill_members(struct filling *f, struct pr_err *err)
{
    const struct autoscale_setup *setup = f->fleet->setup;
    const size_t most = f->k->rows + (f->k->provider ? f->k->sight.report.instances : 0) + 1;
    f->node = pr_arena_alloc(&f->k->arena, most * sizeof *f->node);
    f->member = pr_arena_alloc(&f->k->arena, most * sizeof *f->member);
    if (f->node == NULL || f->member == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu members", most);
    f->in->node = f->node;
    if (setup->kind == AUTOSCALE_REDIS)
        of_cluster(f);
    else if (f->k->provider)
        of_provider(f);
    const enum pr_code rc = add_figures(f, err);
    if (has_hpa(&setup->settings)) { /* nobody else asks about single ones */
        f->in->view.member = f->member;
        f->in->view.members = f->members;
    }
    return rc;
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

static enum pr_code fill_past(struct filling *f, struct pr_err *err)
{
    struct autoscale_view *v = &f->in->view;
    const struct autoscale_known *k = f->k;
    struct autoscale_sample *sample = NULL;
    struct autoscale_action *action = NULL;
    int64_t from = f->at_ms - LOOK_BACK_MS;
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
    struct filling f = { k, db, fleet, at_ms, in, NULL, NULL, 0, -1 };
    in->fleet = fleet->setup->fleet;
    in->settings = fleet->setup->settings;
    in->view.now_ms = at_ms;
    in->decided_ms = k->evaluated ? k->evaluated_ms : 0;
    enum pr_code rc = fill_members(&f, err);
    if (rc == PR_OK)
        rc = fill_past(&f, err);
    return rc == PR_OK ? count(&f, err) : rc;
}
