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
    return json_pack("{s:I, s:f, s:f, s:f, s:o, s:o, s:o}", "cut_weight", (json_int_t)f->cut,
                     "cross_share", f->cross_share, "usd_per_month",
                     placement_dollars_per_month(f->cross_share, &price), "modularity",
                     f->modularity, "imbalance", finite_or_null(f->imbalance), "vertices",
                     by_zone(in->store, f->vertices), "matrix", matrix);
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

char *placement_report_json(const struct placement_report_input *in)
{
    const struct placement_graph *g = in->graph;
    const struct placement_result *r = in->result;
    json_t *zones = json_array();
    for (uint32_t z = 0; z < in->store->zones; z++)
        (void)json_array_append_new(zones, json_string(in->store->zone[z].id));

    json_t *o = json_pack(
        "{s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:o, s:I, s:o}", "engine", "metis", "seed",
        (json_int_t)r->seed, "seeds", (json_int_t)in->params->seeds, "imbalance_limit",
        in->params->imbalance, "vertices", (json_int_t)g->n, "edges", (json_int_t)(g->arcs / 2),
        "edge_weight", (json_int_t)g->weight_sum, "zones", zones, "partitions",
        (json_int_t)in->store->partitions, "capacity", by_zone(in->store, r->capacity));
    json_t *rest = json_pack(
        "{s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:I, s:o, s:I, s:o, s:b}", "before",
        figures(in, &r->before), "after", figures(in, &r->after), "moves", (json_int_t)r->moves,
        "zone_moves", (json_int_t)r->zone_moves, "carried_routes", (json_int_t)r->targets.carried,
        "balanced", (json_int_t)r->balanced, "kept_today", r->kept_today ? 1 : 0, "new_cut_weight",
        (json_int_t)r->new_cut, "seconds", seconds(in), "peak_memory_bytes",
        (json_int_t)in->peak_memory_bytes, "price", price(in->cfg), "targets_kept", 1);
    char *text = NULL;
    if (o != NULL && rest != NULL && json_object_update(o, rest) == 0)
        text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(o);
    json_decref(rest);
    return text;
}
