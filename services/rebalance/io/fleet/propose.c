#include "io/fleet/propose.h"

#include "core/fleet/cost.h"
#include "core/fleet/progress.h"
#include "core/policy/verdict.h"
#include "io/cluster_facts.h"
#include "io/fleet/goal.h"
#include "io/fleet/preflight.h"
#include "io/fleet/traffic.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NOTES = 200 }; /* in a summary; the rest is counted */

struct gain { /* shares and $ a month of cross-zone traffic; 0 when nobody has seen it */
    struct rebalance_fleet_cost *cost;
    double share_before, share_after, usd_before, usd_after;
};

struct proposing {
    struct rebalance_planner *p;
    struct rebalance_proposal *out;
    struct rebalance_order_in in;
    struct pr_cluster *cluster;
    const char *goal, *params;
    double bytes_per_s; /* of the last plan, or as set */
    struct rebalance_seen_traffic seen;
    struct gain gain;
};

/* --- what is wanted, and what is ---------------------------------------------------- */

static enum pr_code load_row(struct proposing *x, int64_t plan_id, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        x->p->db,
        "SELECT goal, params, (SELECT (result->>'bytes')::float8 / (result->>'seconds')::float8 "
        "FROM plans WHERE kind = 'fleet' AND state = 'done' "
        "AND (result->>'bytes')::float8 >= 1e8 AND (result->>'seconds')::float8 > 0 "
        "ORDER BY finished_at DESC LIMIT 1) FROM plans WHERE id = $1 AND kind = 'fleet'",
        PR_ARGS(pr_i64(plan_id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) != 1)
        return pr_fail(err, PR_ENOTFOUND, "fleet plan %lld does not exist", (long long)plan_id);
    x->goal = pr_arena_strdup(&x->out->arena, pr_cell(res, 0, 0));
    x->params = pr_arena_strdup(&x->out->arena, pr_cell(res, 0, 1));
    x->bytes_per_s = pr_cell(res, 0, 2) == NULL
                         ? x->p->cfg->move_bytes_per_s * (double)x->p->cfg->pairs
                         : pr_cell_real(res, 0, 2);
    return x->goal != NULL && x->params != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "a goal");
}

static enum pr_code load_fleet(struct proposing *x, struct pr_err *err)
{
    char *seeds = NULL;
    enum pr_code rc = rebalance_seeds(x->p->db, x->p->cfg, &seeds, err);
    if (rc == PR_OK && seeds[0] == '\0')
        rc = pr_fail(err, PR_ECONFLICT, "no Redis node is registered");
    if (rc == PR_OK)
        rc = rebalance_cluster_open(&x->cluster, seeds, x->p->cfg, err);
    free(seeds);
    if (rc == PR_OK)
        rc = rebalance_fleet_load(x->p->db, x->cluster, x->p->cfg, &x->out->arena, &x->out->facts,
                                  err);
    return rc;
}

/* Who is to join is asked now, so that the plan is refused and not its execution. */
static enum pr_code preflight(struct proposing *x, struct pr_err *err)
{
    const struct rebalance_fleet *f = &x->out->facts.fleet;
    const struct rebalance_goal *g = &x->in.goal;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; g->kind == REBALANCE_JOIN && i < g->n && rc == PR_OK; i++)
        rc = rebalance_preflight_join(x->p->db, x->cluster, x->p->cfg, f->node[g->node[i]].id, err);
    if (rc == PR_OK && g->with >= 0)
        rc = rebalance_preflight_join(x->p->db, x->cluster, x->p->cfg, f->node[g->with].id, err);
    return rc;
}

struct rebalance_limits rebalance_limits_of(const struct rebalance_config *cfg,
                                            const struct rebalance_limits *params)
{
    struct rebalance_limits l = *params;
    l.enter_ratio = cfg->enter_ratio;
    l.leave_ratio = cfg->leave_ratio;
    l.memory_ratio = cfg->memory_ratio;
    l.cooldown_ms = cfg->cooldown_s > 0 ? cfg->cooldown_s * 1000 : 1; /* 0: the default */
    l.reversal_ms = cfg->reversal_s > 0 ? cfg->reversal_s * 1000 : 1;
    return l;
}

/* --- the summary ---------------------------------------------------------------------- */

static json_t *counts_json(const struct rebalance_fleet_plan *plan)
{
    json_int_t n[REBALANCE_FORGET + 1] = { 0 };
    for (size_t i = 0; i < plan->steps; i++)
        n[plan->step[i].kind]++;
    json_t *o = json_object();
    for (int k = REBALANCE_MEET; k <= REBALANCE_FORGET; k++)
        if (n[k] > 0)
            (void)json_object_set_new(o,
                                      rebalance_fleet_step_name((enum rebalance_fleet_step_kind)k),
                                      json_integer(n[k]));
    return o;
}

static json_t *zone_json(const struct rebalance_zone_load *z)
{
    return json_pack("{s:i, s:f, s:f, s:f}", "primaries", z->primaries, "mean_bytes", z->mean_bytes,
                     "min_bytes", z->min_bytes, "max_bytes", z->max_bytes);
}

static json_t *zones_json(const struct rebalance_fleet *f, const struct rebalance_fleet_plan *plan)
{
    json_t *o = json_object();
    for (size_t z = 0; z < f->zones && plan->before != NULL && plan->after != NULL; z++)
        (void)json_object_set_new(o, f->zone[z],
                                  json_pack("{s:o, s:o}", "before", zone_json(&plan->before[z]),
                                            "after", zone_json(&plan->after[z])));
    return o;
}

static json_t *notes_json(const struct rebalance_fleet *f, const struct rebalance_fleet_plan *plan)
{
    json_t *list = json_array();
    for (size_t i = 0; i < plan->notes && i < MAX_NOTES; i++) {
        const struct rebalance_note *n = &plan->note[i];
        json_t *o = json_pack("{s:s}", "text", n->text);
        if (n->slot >= 0)
            (void)json_object_set_new(o, "slot", json_integer(n->slot));
        if (n->node >= 0 && (size_t)n->node < f->nodes)
            (void)json_object_set_new(o, "node", json_string(f->node[n->node].id));
        if (n->shard >= 0 && (size_t)n->shard < f->shards)
            (void)json_object_set_new(o, "shard", json_string(f->shard[n->shard].id));
        (void)json_array_append_new(list, o);
    }
    return list;
}

/* Node pairs that exchange slots. */
static json_t *pairs_json(const struct rebalance_fleet *f, const struct rebalance_fleet_plan *plan)
{
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < plan->steps; i++) {
        const struct rebalance_fleet_step *s = &plan->step[i];
        if (s->kind != REBALANCE_SLOT)
            continue;
        char key[160];
        snprintf(key, sizeof key, "%s %s", f->node[s->src].id, f->node[s->dst].id);
        json_t *pair = json_object_get(o, key);
        if (pair == NULL) {
            pair = json_pack("{s:s, s:s, s:i, s:f}", "from", f->node[s->src].id, "to",
                             f->node[s->dst].id, "slots", 0, "bytes", 0.0);
            (void)json_object_set_new(o, key, pair);
            (void)json_array_append(list, pair);
        }
        (void)json_object_set_new(
            pair, "slots", json_integer(json_integer_value(json_object_get(pair, "slots")) + 1));
        (void)json_object_set_new(
            pair, "bytes", json_real(json_real_value(json_object_get(pair, "bytes")) + s->bytes));
    }
    json_decref(o);
    return list;
}

/* Pairs of nodes that move slots at once in the wave that has most of them. */
static size_t widest(const struct rebalance_fleet_plan *plan, size_t most)
{
    size_t best = 1, n = 0;
    int wave = 0;
    int16_t src = REBALANCE_NONE, dst = REBALANCE_NONE;
    for (size_t i = 0; i < plan->steps; i++) {
        const struct rebalance_fleet_step *s = &plan->step[i];
        if (s->kind != REBALANCE_SLOT)
            continue;
        if (s->wave != wave)
            n = 0;
        if (s->wave != wave || s->src != src || s->dst != dst)
            n++;
        wave = s->wave;
        src = s->src;
        dst = s->dst;
        best = n > best ? n : best;
    }
    return best < most ? best : most;
}

/* --- what it costs and brings ------------------------------------------------------------ */

static enum pr_code weigh(struct proposing *x, struct pr_err *err)
{
    const struct rebalance_config *cfg = x->p->cfg;
    const struct rebalance_fleet *f = &x->out->facts.fleet;
    struct pr_arena *arena = &x->out->arena;
    struct gain *g = &x->gain;
    *g = (struct gain){ .cost = pr_arena_alloc(arena, sizeof *g->cost) };
    if (g->cost == NULL)
        return pr_fail(err, PR_ENOMEM, "the cost of a plan");
    enum pr_code rc = rebalance_fleet_cost(f, &x->out->plan, arena, g->cost, err);
    if (rc == PR_OK)
        rc = rebalance_seen_traffic(x->p->db, &x->seen, err);
    if (rc != PR_OK || !x->seen.known)
        return rc;
    rc = rebalance_cross_share(&x->seen.traffic, g->cost->zone_before, f->zones, arena,
                               &g->share_before, err);
    g->share_after = g->share_before;
    if (rc == PR_OK && g->cost->rezoned > 0)
        rc = rebalance_cross_share(&x->seen.traffic, g->cost->zone_after, f->zones, arena,
                                   &g->share_after, err);
    g->usd_before = rebalance_traffic_usd(x->seen.bytes_per_s, g->share_before,
                                          cfg->price_usd_per_gb, (int)cfg->billed_sides);
    g->usd_after = rebalance_traffic_usd(x->seen.bytes_per_s, g->share_after, cfg->price_usd_per_gb,
                                         (int)cfg->billed_sides);
    return rc;
}

static json_t *known_real(bool known, double v)
{
    return known ? json_real(v) : json_null();
}

/* saved: in a month; known when no slot changes its zone, whatever is seen. */
static json_t *gain_json(const struct proposing *x, double saved_usd)
{
    const struct gain *g = &x->gain;
    const bool seen = x->seen.known, known = seen || g->cost->rezoned == 0;
    const double saved = g->usd_before - g->usd_after;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "cross_share_before",
        known_real(seen, g->share_before), "cross_share_after", known_real(seen, g->share_after),
        "usd_per_month_before", known_real(seen, g->usd_before), "usd_per_month_after",
        known_real(seen, g->usd_after), "saved_usd_per_month", known_real(known, saved),
        "saved_usd", known_real(known, saved_usd), "rezoned_slots", (json_int_t)g->cost->rezoned,
        "run_id", seen ? json_integer((json_int_t)x->seen.run_id) : json_null(), "unknown",
        known ? json_null() : json_string(x->seen.why));
}

static void add_verdict(const struct proposing *x, json_t *summary)
{
    const struct rebalance_config *cfg = x->p->cfg;
    const struct rebalance_fleet_plan *plan = &x->out->plan;
    const struct rebalance_fleet_cost *cost = x->gain.cost;
    const bool rezones = cost->rezoned > 0;
    const struct rebalance_fleet_economics e = {
        .goal = rebalance_goal_name(x->in.goal.kind),
        .bytes = cost->bytes,
        .cross_zone_bytes = cost->cross_zone_bytes,
        .price_usd_per_gb = cfg->price_usd_per_gb,
        .billed_sides = (int)cfg->billed_sides,
        .steps = plan->steps,
        .bytes_per_s = x->bytes_per_s,
        .uneven_before = plan->uneven_before,
        .uneven_after = plan->uneven_after,
        .enter_ratio = cfg->enter_ratio,
        .hot_before = plan->hot_before,
        .hot_after = plan->hot_after,
        .hot_enter_ratio = cfg->enter_ratio * REBALANCE_HEAT_COARSER,
        .rezones = rezones,
        .saved_usd_per_month = x->gain.usd_before - x->gain.usd_after,
        .saved_unknown = rezones && !x->seen.known ? x->seen.why : NULL,
        .horizon_days = cfg->horizon_days,
    };
    struct rebalance_verdict v;
    rebalance_judge_fleet(&e, &v);
    (void)json_object_set_new(summary, "copied_bytes", json_real(cost->bytes));
    (void)json_object_set_new(summary, "cross_zone_bytes", json_real(cost->cross_zone_bytes));
    const struct rebalance_fleet_work w = { .bytes = cost->bytes,
                                            .slots = plan->slots,
                                            .others = plan->steps - plan->slots,
                                            .pairs = widest(plan, (size_t)cfg->pairs),
                                            .bytes_per_s = x->bytes_per_s };
    (void)json_object_set_new(summary, "duration_s", json_real(rebalance_fleet_duration_s(&w)));
    (void)json_object_set_new(summary, "hot_before",
                              known_real(plan->hot_before >= 0, plan->hot_before));
    (void)json_object_set_new(summary, "hot_after",
                              known_real(plan->hot_after >= 0, plan->hot_after));
    (void)json_object_set_new(summary, "gain", gain_json(x, v.saved_usd));
    (void)json_object_set_new(summary, "verdict",
                              json_pack("{s:b, s:s, s:f, s:f}", "worth_it", v.worth ? 1 : 0, "why",
                                        v.why, "move_usd", v.move_usd, "horizon_days",
                                        cfg->horizon_days));
}

static char *summary_json(const struct proposing *x)
{
    const struct rebalance_fleet *f = &x->out->facts.fleet;
    const struct rebalance_fleet_plan *plan = &x->out->plan;
    json_t *o = json_pack("{s:s, s:I, s:i, s:I, s:f, s:f, s:f, s:f, s:I, s:o, s:o, s:o, s:o, s:I}",
                          "goal", x->in.repair ? "repair" : rebalance_goal_name(x->in.goal.kind),
                          "steps", (json_int_t)plan->steps, "waves", plan->waves, "slots",
                          (json_int_t)plan->slots, "bytes", plan->bytes, "bound_bytes",
                          plan->bound_bytes, "uneven_before", plan->uneven_before, "uneven_after",
                          plan->uneven_after, "open_slots", (json_int_t)x->out->facts.open_slots,
                          "kinds", counts_json(plan), "zones", zones_json(f, plan), "pairs",
                          pairs_json(f, plan), "notes", notes_json(f, plan), "more_notes",
                          (json_int_t)(plan->notes > MAX_NOTES ? plan->notes - MAX_NOTES : 0));
    if (o != NULL && !x->in.repair)
        add_verdict(x, o);
    else if (o != NULL) { /* without it no window would ever be long enough */
        const struct rebalance_fleet_work w = { .slots = x->out->facts.open_slots, .others = 1 };
        (void)json_object_set_new(o, "duration_s", json_real(rebalance_fleet_duration_s(&w)));
    }
    char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(o);
    return text;
}

/* --- all of it --------------------------------------------------------------------------- */

static enum pr_code propose(struct proposing *x, int64_t plan_id, struct pr_err *err)
{
    struct rebalance_proposal *out = x->out;
    enum pr_code rc = load_row(x, plan_id, err);
    if (rc == PR_OK)
        rc = load_fleet(x, err);
    if (rc == PR_OK)
        rc = rebalance_goal_read(x->goal, x->params, &out->facts.fleet, &out->arena, &x->in, err);
    if (rc == PR_OK && !x->in.repair) {
        const struct rebalance_limits limits = rebalance_limits_of(x->p->cfg, &x->in.limits);
        rc = preflight(x, err);
        if (rc == PR_OK)
            rc = rebalance_fleet_plan(&out->facts.fleet, &x->in.goal, &limits, &out->arena,
                                      &out->plan, err);
        if (rc == PR_OK)
            rc = weigh(x, err);
    }
    if (rc == PR_OK && (out->summary = summary_json(x)) == NULL)
        rc = pr_fail(err, PR_ENOMEM, "the summary of a plan");
    return rc;
}

enum pr_code rebalance_propose(struct rebalance_planner *p, int64_t plan_id,
                               struct rebalance_proposal *out, struct pr_err *err)
{
    struct proposing x = { .p = p, .out = out };
    pr_arena_init(&out->arena, 0);
    const enum pr_code rc = propose(&x, plan_id, err);
    pr_cluster_close(x.cluster);
    rebalance_seen_traffic_done(&x.seen);
    return rc;
}

void rebalance_proposal_done(struct rebalance_proposal *p)
{
    free(p->summary);
    pr_arena_done(&p->arena);
}
