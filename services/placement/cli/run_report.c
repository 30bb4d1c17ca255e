#include "cli/run_report.h"

#include <math.h>

json_t *cli_finite(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *cli_matrix(const struct placement_figures *f, uint32_t zones)
{
    json_t *rows = json_array();
    for (uint32_t z = 0; z < zones; z++) {
        json_t *row = json_array();
        for (uint32_t y = 0; y < zones; y++)
            (void)json_array_append_new(row, json_integer((json_int_t)f->matrix[z][y]));
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

json_t *cli_zone_rows(const struct cli_fleet *fleet, const struct placement_figures *f,
                      const double *share, const uint64_t *capacity)
{
    json_t *rows = json_array();
    for (uint32_t z = 0; z < fleet->zones; z++)
        (void)json_array_append_new(rows, json_pack("{s:i, s:s, s:f, s:I, s:I, s:I}", "zone",
                                                    (int)z, "name", fleet->name[z], "share",
                                                    share[z], "capacity", (json_int_t)capacity[z],
                                                    "vertices", (json_int_t)f->vertices[z],
                                                    "weight", (json_int_t)f->weight[z]));
    return rows;
}

static json_t *cut_or_null(uint64_t cut)
{
    return cut == UINT64_MAX ? json_null() : json_integer((json_int_t)cut);
}

static json_t *how(const struct cli_work *w, const struct cli_run_result *r)
{
    const struct placement_solve_result *s = &r->solved;
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:o, s:o, s:I, s:I, s:b}", "mode",
                     placement_mode_name(s->mode), "why", s->why, "threads", (json_int_t)w->threads,
                     "seed", (json_int_t)(s->mode == PLACEMENT_FULL ? s->seed : w->args->seed),
                     "seeds", (json_int_t)w->args->seeds, "imbalance_limit", w->args->imbalance,
                     "warm_cut_weight", cut_or_null(s->cut_warm), "full_cut_weight",
                     cut_or_null(s->cut_full), "placed", (json_int_t)s->placed, "forced",
                     (json_int_t)s->forced, "move_cap_reached", s->capped ? 1 : 0);
}

static json_t *worth(const struct placement_graph *g, const struct cli_run_result *r)
{
    const double random = placement_random_ratio(r->solved.share, r->fleet.zones);
    char verdict[PLACEMENT_VERDICT_BYTES];
    placement_verdict(r->figures.cross_share, random, verdict);
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:f, s:s, s:o, s:f, s:I, s:f, s:I}", "vertices",
        (json_int_t)g->n, "edges", (json_int_t)(g->arcs / 2), "edge_weight",
        (json_int_t)g->weight_sum, "vertex_weight", (json_int_t)g->vertex_weight_sum, "cut_weight",
        (json_int_t)r->figures.cut, "cut_ratio", r->figures.cross_share, "random_ratio", random,
        "times_less_than_random",
        cli_finite(r->figures.cut == 0 ? INFINITY : random / r->figures.cross_share), "modularity",
        r->figures.modularity, "verdict", verdict, "imbalance", cli_finite(r->figures.imbalance),
        "moved_ratio", r->known == 0 ? 0.0 : (double)r->moved / (double)r->known, "moved",
        (json_int_t)r->moved, "moved_weight_ratio",
        g->vertex_weight_sum == 0 ? 0.0 : (double)r->moved_weight / (double)g->vertex_weight_sum,
        "moved_weight", (json_int_t)r->moved_weight);
}

json_t *cli_run_report(const struct cli_work *w, const struct placement_graph *g,
                       const struct cli_run_result *r)
{
    json_t *o = worth(g, r), *from = how(w, r);
    json_t *rest =
        json_pack("{s:o, s:o, s:o, s:I, s:I, s:I}", "zones",
                  cli_zone_rows(&r->fleet, &r->figures, r->solved.share, r->solved.capacity),
                  "matrix", cli_matrix(&r->figures, r->fleet.zones), "seconds", cli_seconds(w),
                  "peak_bytes", (json_int_t)r->peak_bytes, "estimate_bytes",
                  (json_int_t)w->estimate_bytes, "budget_bytes", (json_int_t)w->budget_bytes);
    if (r->partition != NULL && o != NULL)
        (void)json_object_set_new(
            o, "parts",
            json_pack("{s:I, s:I, s:f, s:I, s:f, s:b, s:b}", "count", (json_int_t)r->parts,
                      "cut_weight", (json_int_t)r->divided.cut, "cut_ratio",
                      g->weight_sum == 0 ? 0.0 : (double)r->divided.cut / (double)g->weight_sum,
                      "heaviest", (json_int_t)r->divided.heaviest, "imbalance",
                      r->divided.imbalance, "stretched", r->divided.stretched ? 1 : 0, "kept",
                      r->divided.kept ? 1 : 0));
    const bool ok =
        o != NULL && json_object_update(o, from) == 0 && json_object_update(o, rest) == 0;
    json_decref(from);
    json_decref(rest);
    if (!ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}
