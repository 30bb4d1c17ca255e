#include "io/carry_private.h"

#include "io/actuators/retry.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- the provider ------------------------------------------------------------------------ */

bool carry_may_call(const struct carry_look_io *k, struct pr_err *err)
{
    const struct autoscale_carrier *c = k->one->c;
    const int64_t left_ms = pr_tenure_left_ms(c->o.tenure, k->lease->epoch);
    if (left_ms >= c->o.cfg->call_ms)
        return true;
    (void)pr_fail(err, PR_EUNAVAIL, "%lld ms of the lease are left, a call may take %lld",
                  (long long)left_ms, (long long)c->o.cfg->call_ms);
    return false;
}

static void ask_provider(struct carry_look_io *k)
{
    struct autoscale_actuator *a = k->one->actuator;
    struct pr_err why = { 0 };
    const int64_t since = k->one->id != 0 ? k->one->record->begun_ms : 0;
    enum pr_code rc = PR_EUNAVAIL;
    if (carry_may_call(k, &why))
        rc = a->describe(a, since, &k->report, &why);
    else if (autoscale_report_init(&k->report, a->targets, &why) == PR_OK)
        autoscale_report_fail(&k->report, rc, why.text);
    if (rc != PR_OK)
        pr_metrics_add(k->one->c->o.svc->metrics, M_ORDER_ERRORS, a->provider, 1);
}

/* --- members ----------------------------------------------------------------------------- */

static int zone_index(const struct autoscale_fleet *f, const char *zone)
{
    int z = 0;
    while (z < f->zones && strcmp(f->zone[z], zone) != 0)
        z++;
    return z < f->zones ? z : -1;
}

/* The group of the provider's in which a node of that place would be. */
static int target_of(const struct carry_look_io *k, const struct autoscale_node_row *r)
{
    const struct autoscale_setup *s = k->one->of->setup;
    const int zone = zone_index(&s->fleet, r->zone);
    int any = -1;
    for (size_t t = 0; zone >= 0 && t < s->targets; t++) {
        if (s->target[t].zone != zone)
            continue;
        const int g = s->target[t].group;
        if (g >= 0 ? strcmp(s->fleet.group[g].name, r->group) == 0 : r->group[0] == '\0')
            return (int)t;
        if (any < 0 || g < 0)
            any = (int)t;
    }
    return any;
}

static enum autoscale_presence presence(const struct autoscale_instance *i)
{
    switch (i->life) {
    case AUTOSCALE_COMING:
        return AUTOSCALE_ARRIVING;
    case AUTOSCALE_IN_SERVICE:
        return i->healthy ? AUTOSCALE_HERE : AUTOSCALE_AILING;
    case AUTOSCALE_LEAVING:
        return AUTOSCALE_GOING;
    case AUTOSCALE_STANDBY:
        return AUTOSCALE_ASIDE;
    case AUTOSCALE_GONE:
        break;
    }
    return AUTOSCALE_ABSENT;
}

/* "{id}.hot.example:6379" for that member. */
static const char *address_of(struct carry_look_io *k, const struct autoscale_instance *i)
{
    const char *how = k->one->of->setup->address, *at = strstr(how, "{id}");
    if (i->address[0] != '\0' || how[0] == '\0')
        return pr_arena_strdup(&k->arena, i->address);
    if (at == NULL)
        return how;
    return pr_arena_printf(&k->arena, "%.*s%s%s", (int)(at - how), how, i->id, at + 4);
}

struct joined { /* a member, while both sides are put together */
    struct autoscale_carry_member m;
    const char *address;
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct joined *)a)->m.id, ((const struct joined *)b)->m.id);
}

static int by_id_of_row(const void *key, const void *row)
{
    return strcmp(key, ((const struct autoscale_node_row *)row)->id);
}

static void from_row(struct joined *j, const struct autoscale_node_row *r)
{
    j->m.registered = true;
    j->m.member = r->member;
    j->m.up = r->up;
    j->m.useful = r->useful;
}

static bool reported(const struct autoscale_report *r, const char *id)
{
    for (size_t i = 0; i < r->instances; i++)
        if (strcmp(r->instance[i].id, id) == 0)
            return true;
    return false;
}

static enum pr_code join_members(struct carry_look_io *k, const struct autoscale_node_row *row,
                                 size_t rows, struct pr_err *err)
{
    const struct autoscale_report *r = &k->report;
    const bool cluster = k->facts.cluster;
    const size_t most = r->instances + rows + 1;
    struct joined *j = pr_arena_alloc(&k->arena, most * sizeof *j);
    struct autoscale_carry_member *m = pr_arena_alloc(&k->arena, most * sizeof *m);
    size_t n = 0;
    k->address = pr_arena_alloc(&k->arena, most * sizeof(const char *));
    if (j == NULL || m == NULL || k->address == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu members", most);
    for (size_t i = 0; i < r->instances; i++) {
        const struct autoscale_instance *one = &r->instance[i];
        const struct autoscale_node_row *is =
            rows == 0 ? NULL : bsearch(one->id, row, rows, sizeof *row, by_id_of_row);
        j[n] = (struct joined){
            .m = { .id = one->id, .target = (int)one->target, .presence = presence(one) },
            .address = address_of(k, one)
        };
        if (j[n].address == NULL)
            return pr_fail(err, PR_ENOMEM, "%zu members", most);
        j[n].m.addressed = j[n].address[0] != '\0';
        if (is != NULL)
            from_row(&j[n], is);
        else if (!cluster)
            j[n].m.useful = j[n].m.presence == AUTOSCALE_HERE;
        n++;
    }
    for (size_t i = 0; i < rows; i++) {
        if (reported(r, row[i].id) || zone_index(&k->one->of->setup->fleet, row[i].zone) < 0)
            continue;
        j[n] = (struct joined){ .m = { .id = row[i].id, .target = target_of(k, &row[i]) },
                                .address = "" };
        from_row(&j[n++], &row[i]);
    }
    qsort(j, n, sizeof *j, by_id);
    for (size_t i = 0; i < n; i++) {
        m[i] = j[i].m;
        k->address[i] = j[i].address;
    }
    k->facts.member = m;
    k->facts.members = n;
    return PR_OK;
}

enum pr_code carry_look_open(struct carry_look_io *k, struct carried *one,
                             const struct pr_lease *lease, struct pr_err *err)
{
    const struct autoscale_setup *s = one->of->setup;
    struct autoscale_node_row *row = NULL;
    size_t rows = 0;
    *k = (struct carry_look_io){ .one = one, .lease = lease };
    pr_arena_init(&k->arena, 0);
    ask_provider(k);
    k->now_ms = autoscale_fleet_time(one->c->o.cfg, one->of, pr_now_ms());
    k->names = pr_arena_alloc(&k->arena, (s->targets + 1) * sizeof *k->names);
    if (k->names == NULL || k->report.target == NULL)
        return pr_fail(err, PR_ENOMEM, "what runs");
    for (size_t t = 0; t < s->targets; t++) {
        k->zone[t] = s->target[t].zone;
        k->group[t] = s->target[t].group;
        k->names[t] = (one->actuator->can(one->actuator, t) & AUTOSCALE_CAN_TERMINATE) != 0;
    }
    k->facts = (struct autoscale_carry_facts){
        .now_ms = k->now_ms,
        .cluster = s->kind == AUTOSCALE_REDIS,
        .unit = s->fleet.unit,
        .reported = k->report.target,
        .names = k->names,
        .targets = s->targets,
        .busy = "",
        .trouble = one->trouble,
    };
    enum pr_code rc =
        k->facts.cluster ? autoscale_nodes_load(one->c->db, &k->arena, &row, &rows, err) : PR_OK;
    return rc == PR_OK ? join_members(k, row, rows, err) : rc;
}

void carry_look_done(struct carry_look_io *k)
{
    autoscale_report_done(&k->report);
    pr_arena_done(&k->arena);
}

void carry_tell_seen(const struct carry_look_io *k)
{
    const struct autoscale_report *r = &k->report;
    struct autoscale_sight s = { .at_us = pr_mono_us() };
    s.report.target = calloc(r->targets + 1, sizeof *r->target);
    s.report.instance = calloc(r->instances + 1, sizeof *r->instance);
    if (s.report.target == NULL || s.report.instance == NULL) {
        autoscale_sight_done(&s);
        return; /* what was seen before is still there */
    }
    memcpy(s.report.target, r->target, r->targets * sizeof *r->target);
    if (r->instances > 0)
        memcpy(s.report.instance, r->instance, r->instances * sizeof *r->instance);
    s.report.targets = r->targets;
    s.report.instances = s.report.room = r->instances;
    for (size_t t = 0; t < r->targets; t++) {
        s.zone[t] = k->zone[t];
        s.group[t] = k->group[t];
        s.names[t] = k->names[t];
    }
    autoscale_seen_put(k->one->c->o.seen, k->one->of->name, &s);
    autoscale_sight_done(&s);
}

/* --- plans ------------------------------------------------------------------------------- */

static enum autoscale_plan_state plan_state(const char *state)
{
    static const struct {
        const char *name;
        enum autoscale_plan_state is;
    } row[] = {
        { "running", AUTOSCALE_PLAN_RUNS },      { "paused", AUTOSCALE_PLAN_PAUSED },
        { "done", AUTOSCALE_PLAN_DONE },         { "failed", AUTOSCALE_PLAN_FAILED },
        { "canceled", AUTOSCALE_PLAN_CANCELED },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (strcmp(row[i].name, state) == 0)
            return row[i].is;
    return AUTOSCALE_PLAN_WAITS;
}

static enum pr_code read_nodes(struct carry_look_io *k, const char *text, struct pr_err *err)
{
    json_t *list = json_loads(text == NULL ? "[]" : text, 0, NULL);
    const size_t n = json_array_size(list);
    const char **node = pr_arena_alloc(&k->arena, (n + 1) * sizeof(const char *));
    bool room = node != NULL;
    for (size_t i = 0; i < n && room; i++) {
        const char *id = json_string_value(json_array_get(list, i));
        node[i] = pr_arena_strdup(&k->arena, id == NULL ? "" : id);
        room = node[i] != NULL;
    }
    json_decref(list);
    k->plan.node = node;
    k->plan.nodes = n;
    return room ? PR_OK : pr_fail(err, PR_ENOMEM, "%zu nodes of a plan", n);
}

static enum pr_code look_at_plan(struct carry_look_io *k, int64_t plan_id, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        k->one->c->db,
        "SELECT p.state, p.goal->>'kind' = 'drain', p.goal->'nodes', coalesce(CASE WHEN "
        "(SELECT halted FROM policies WHERE name = 'rebalance') AND p.state NOT IN ('done', "
        "'failed', 'canceled') THEN 'rebalance was told to stop' END, p.error, o.phase, "
        "CASE p.state WHEN 'pending' THEN 'rebalance has not planned it yet' WHEN 'proposed' THEN "
        "'rebalance has not begun it yet' ELSE '' END) "
        "FROM plans p LEFT JOIN operations o ON o.id = p.execute_operation_id WHERE p.id = $1",
        PR_ARGS(pr_i64(plan_id)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "plan %lld", (long long)plan_id);
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return PR_OK;
    k->plan = (struct autoscale_carry_plan){
        .id = plan_id,
        .state = plan_state(pr_cell(res, 0, 0)),
        .drains = pr_cell_bool(res, 0, 1),
        .why = pr_arena_strdup(&k->arena, pr_cell(res, 0, 3)),
    };
    if (k->plan.why == NULL)
        return pr_fail(err, PR_ENOMEM, "plan %lld", (long long)plan_id);
    k->facts.plan = &k->plan;
    return read_nodes(k, pr_cell(res, 0, 2), err);
}

/* One plan at a time: another that is in hand comes first. */
static enum pr_code look_at_others(struct carry_look_io *k, int64_t plan_id, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        k->one->c->db,
        "SELECT CASE WHEN (SELECT halted FROM policies WHERE name = 'rebalance') THEN "
        "'rebalance was told to stop' ELSE (SELECT 'plan ' || id || ' of ' || created_by || ' is ' "
        "|| state || ': one plan at a time' FROM plans WHERE id <> $1 AND (state IN ('running', "
        "'paused') OR (state = 'approved' AND execute_operation_id IS NOT NULL) OR (state IN "
        "('pending', 'proposed') AND created_by = 'policy autoscale')) ORDER BY id LIMIT 1) END",
        PR_ARGS(pr_i64(plan_id)), &got, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "plans");
    PR_AUTO(PGresult) *res = got;
    const char *busy = pr_cell(res, 0, 0);
    k->facts.busy = pr_arena_strdup(&k->arena, busy == NULL ? "" : busy);
    return k->facts.busy != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "plans");
}

enum pr_code carry_look_plans(struct carry_look_io *k, int64_t plan_id, struct pr_err *err)
{
    k->facts.plan = NULL;
    if (!k->facts.cluster)
        return PR_OK;
    enum pr_code rc = plan_id != 0 ? look_at_plan(k, plan_id, err) : PR_OK;
    return rc == PR_OK ? look_at_others(k, plan_id, err) : rc;
}
