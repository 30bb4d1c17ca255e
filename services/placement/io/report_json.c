#include "io/report_json.h"

#include <jansson.h>
#include <math.h>

/* JSON has no infinity: null where vertices are in a zone that may hold none. */
static json_t *finite_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *by_zone(const struct placement_store *s, const uint64_t *value)
{
    json_t *o = json_object();
    for (uint32_t z = 0; z < s->zones; z++)
        (void)json_object_set_new(o, s->zone[z].id, json_integer((json_int_t)value[z]));
    return o;
}

static json_t *figures(const struct placement_report_input *in, const struct placement_figures *f)
{
    const struct placement_price price = {
        .traffic_bytes_per_s = in->cfg->traffic_bytes_per_s,
        .dollars_per_gb = in->cfg->price_usd_per_gb,
        .billed_sides = (int)in->cfg->price_billed_sides,
    };
    json_t *matrix = json_object();
    for (uint32_t z = 0; z < in->store->zones; z++)
        (void)json_object_set_new(matrix, in->store->zone[z].id, by_zone(in->store, f->matrix[z]));
    return json_pack(
        "{s:I, s:f, s:f, s:f, s:o, s:o, s:o, s:o}", "cut_weight", (json_int_t)f->cut, "cross_share",
        f->cross_share, "usd_per_month", placement_dollars_per_month(f->cross_share, &price),
        "modularity", f->modularity, "imbalance", finite_or_null(f->imbalance), "vertices",
        by_zone(in->store, f->vertices), "weight", by_zone(in->store, f->weight), "matrix", matrix);
}

static json_t *seconds(const struct placement_report_input *in)
{
    json_t *o = json_object();
    double total = 0;
    for (unsigned p = 0; p < PLACEMENT_WRITE; p++) {
        (void)json_object_set_new(o, placement_phase_name((enum placement_phase)p),
                                  json_real(in->phase_s[p]));
        total += in->phase_s[p];
    }
    (void)json_object_set_new(o, "total", json_real(total));
    return o;
}

static json_t *price(const struct placement_config *cfg)
{
    return json_pack("{s:f, s:f, s:I, s:s}", "traffic_bytes_per_s", cfg->traffic_bytes_per_s,
                     "usd_per_gb", cfg->price_usd_per_gb, "billed_sides",
                     (json_int_t)cfg->price_billed_sides, "formula",
                     "traffic x cross_share x 2592000 s x price / 1e9 x billed sides");
}

static json_t *zone_ids(const struct placement_store *s)
{
    json_t *zones = json_array();
    for (uint32_t z = 0; z < s->zones; z++)
        (void)json_array_append_new(zones, json_string(s->zone[z].id));
    return zones;
}

static json_t *cut_or_null(uint64_t cut)
{
    return cut == UINT64_MAX ? json_null() : json_integer((json_int_t)cut);
}

/* What every kind of run tells. */
static json_t *common(const struct placement_report_input *in)
{
    const struct placement_graph *g = in->graph;
    const struct placement_figures *f = &in->result->after;
    const double random = placement_random_ratio(in->result->solved.share, in->store->zones);
    char verdict[PLACEMENT_VERDICT_BYTES];
    placement_verdict(f->cross_share, random, verdict);
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:f, s:s, s:o, s:I, s:o, s:o, s:I, s:I, "
        "s:I, s:I, s:o}",
        "engine", "prism", "kind", placement_kind_name(in->kind), "vertices", (json_int_t)g->n,
        "edges", (json_int_t)(g->arcs / 2), "edge_weight", (json_int_t)g->weight_sum,
        "imbalance_limit", in->params->imbalance, "cut_ratio", f->cross_share, "random_ratio",
        random, "times_less_than_random",
        finite_or_null(f->cut == 0 ? INFINITY : random / f->cross_share), "modularity",
        f->modularity, "verdict", verdict, "imbalance", finite_or_null(f->imbalance), "partitions",
        (json_int_t)in->store->partitions, "zones", zone_ids(in->store), "capacity",
        by_zone(in->store, in->result->solved.capacity), "threads", (json_int_t)in->threads,
        "peak_memory_bytes", (json_int_t)in->peak_memory_bytes, "estimate_bytes",
        (json_int_t)in->estimate_bytes, "budget_bytes", (json_int_t)in->budget_bytes, "seconds",
        seconds(in));
}

/* What a run with targets tells beside it. */
static json_t *wanted(const struct placement_report_input *in)
{
    const struct placement_result *r = in->result;
    const struct placement_solve_result *s = &r->solved;
    const bool full = s->mode == PLACEMENT_FULL;
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:o, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:b, s:b, s:o, s:f, "
        "s:o, "
        "s:o, s:b}",
        "mode", placement_mode_name(s->mode), "why", s->why, "parts",
        in->params->by_locality ? "locality" : "keep", "seed",
        (json_int_t)(full ? s->seed : in->params->seed), "seeds", (json_int_t)in->params->seeds,
        "after", figures(in, &r->after), "moves", (json_int_t)r->moves, "zone_moves",
        (json_int_t)r->zone_moves, "moved_weight", (json_int_t)r->moved_weight, "moved_ratio",
        (double)r->moves / in->graph->n, "carried_routes", (json_int_t)r->targets.carried,
        "balanced", (json_int_t)s->forced, "move_cap", (json_int_t)in->params->move_cap,
        "move_cap_reached", s->capped ? 1 : 0, "kept_today", full ? 0 : 1, "new_cut_weight",
        cut_or_null(s->cut_full), "move_price", in->params->move_price, "reference_ratio",
        in->params->reference_ratio < 0 ? json_null() : json_real(in->params->reference_ratio),
        "price", price(in->cfg), "targets_kept", 1);
}

static json_t *communities(const struct placement_report_input *in)
{
    const struct placement_communities *c = in->communities;
    return json_pack("{s:{s:I, s:f, s:I}, s:b}", "communities", "count", (json_int_t)c->count,
                     "modularity", c->modularity, "levels", (json_int_t)c->levels, "targets_kept",
                     0);
}

static json_t *of_kind(const struct placement_report_input *in)
{
    switch (in->kind) {
    case PLACEMENT_RUN:
        return wanted(in);
    case PLACEMENT_COMMUNITIES:
        return communities(in);
    case PLACEMENT_EVALUATE:
        break;
    }
    return json_pack("{s:o, s:b}", "price", price(in->cfg), "targets_kept", 0);
}

char *placement_report_json(const struct placement_report_input *in)
{
    json_t *o = common(in),
           *before = json_pack("{s:o}", "before", figures(in, &in->result->before));
    json_t *rest = of_kind(in);
    char *text = NULL;
    if (o != NULL && before != NULL && rest != NULL && json_object_update(o, before) == 0 &&
        json_object_update(o, rest) == 0)
        text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(o);
    json_decref(before);
    json_decref(rest);
    return text;
}
