/* evaluate: what any assignment of a graph's vertices is worth. */
#include "cli/cli.h"

#include "cli/run_report.h"
#include "core/capacity.h"
#include "io/memory.h"

#include <math.h>
#include <stdlib.h>

static const struct cli_option options[] = {
    CLI_OPTION("--graph", "FILE", CLI_TEXT, graph, 0, 0, true,
               "SNAP text, METIS (.metis, .graph) or binary (.bin32, .bin64); plain, xz, gzip or "
               "zstd"),
    CLI_OPTION("--format", "NAME", CLI_TEXT, format, 0, 0, false,
               "auto, snap, metis, bin32 or bin64 (default auto: by name)"),
    CLI_OPTION("--assignment", "FILE", CLI_TEXT, assignment, 0, 0, true,
               "\"vertex partition zone\" lines; - where there is none; every vertex once"),
    CLI_OPTION("--before", "FILE", CLI_TEXT, before, 0, 0, false,
               "another assignment: how many vertices move from it"),
    CLI_OPTION("--zones", "K", CLI_WHOLE, zones, 1, 65536, false,
               "zones (default: as --capacity or the assignment names)"),
    CLI_OPTION("--capacity", "LIST", CLI_TEXT, capacity, 0, 0, false,
               "a=1,b=1,c=0.5: what imbalance is measured against (default: equal)"),
    CLI_OPTION("--threads", "T", CLI_WHOLE, threads, 1, PR_POOL_MAX, false,
               "default: as many as processors"),
    CLI_OPTION("--memory", "MIB", CLI_WHOLE, memory_mib, 1, 1e9, false,
               "refuse what needs more (default: nine tenths of what is free)"),
    CLI_OPTION("--coded", NULL, CLI_FLAG, coded, 0, 0, false,
               "keep the graph gap-coded: less memory, more time; without edge weights only"),
    CLI_OPTIONS_TALK,
};

struct evaluate {
    struct cli_work w;
    struct placement_graph graph;
    struct cli_places now, before;
    uint32_t *zone, zones; /* [n] borrowed from now: its zones, or else its partitions */
    struct placement_figures *figures; /* NULL: too many zones for them */
    struct placement_label_figures by_zone, by_part;
    struct cli_fleet fleet;
    double share[PLACEMENT_MAX_ZONES];
    uint64_t capacity[PLACEMENT_MAX_ZONES];
    double imbalance;
    uint64_t part_heaviest, peak_bytes;
};

static enum pr_code check(const struct cli_args *args, struct pr_err *err)
{
    struct cli_fleet fleet;
    enum graph_format format;
    enum pr_code rc = cli_format(args->format, &format, err);
    return rc == PR_OK && args->capacity != NULL ? cli_fleet(args, &fleet, err) : rc;
}

/* Every vertex must have a label in one column; zones are preferred. */
static enum pr_code choose_column(struct evaluate *x, struct pr_err *err)
{
    const char *path = x->w.args->assignment;
    if (x->now.absent > 0)
        return pr_fail(err, PR_EINVAL,
                       "%.100s names %u of %u vertices: vertex %llu is among the missing", path,
                       x->graph.n - (uint32_t)x->now.absent, x->graph.n,
                       (unsigned long long)x->now.first_absent);
    x->zone = x->now.zones > 0 ? x->now.zone : x->now.partition;
    x->zones = x->now.zones > 0 ? x->now.zones : x->now.partitions;
    for (uint32_t v = 0; v < x->graph.n; v++)
        if (x->zone[v] == GRAPH_NONE)
            return pr_fail(err, PR_EINVAL, "%.100s gives vertex %llu no %s", path,
                           (unsigned long long)placement_id(&x->graph, v),
                           x->now.zones > 0 ? "zone" : "partition");
    struct cli_args args = *x->w.args;
    struct cli_fleet named = { .zones = 0 };
    if (args.capacity != NULL && cli_fleet(&args, &named, err) != PR_OK)
        return PR_EINVAL;
    const uint32_t wanted = named.zones > 0 ? named.zones : (uint32_t)args.zones;
    if (wanted > 0 && wanted < x->zones)
        return pr_fail(err, PR_EINVAL, "%.100s names zone %u, there are %u", path, x->zones - 1,
                       wanted);
    x->zones = wanted > 0 ? wanted : x->zones;
    args.zones = x->zones;
    return x->zones <= PLACEMENT_MAX_ZONES ? cli_fleet(&args, &x->fleet, err) : PR_OK;
}

static enum pr_code few_zones(struct evaluate *x, struct pr_err *err)
{
    const uint32_t n = x->graph.n;
    uint16_t *zone = malloc(((size_t)n + 1) * sizeof *zone);
    x->figures = calloc(1, sizeof *x->figures);
    enum pr_code rc =
        zone == NULL || x->figures == NULL
            ? pr_fail(err, PR_ENOMEM, "out of memory for %u vertices", n)
            : placement_capacities(x->fleet.ratio, x->zones, x->graph.vertex_weight_sum, 0,
                                   x->share, x->capacity, err);
    for (uint32_t v = 0; rc == PR_OK && v < n; v++)
        zone[v] = (uint16_t)x->zone[v];
    if (rc == PR_OK)
        rc = placement_figures(&x->graph, zone, x->zones, x->share, x->w.pool, x->figures, err);
    free(zone);
    if (rc != PR_OK)
        return rc;
    x->by_zone = (struct placement_label_figures){ x->figures->cut, x->figures->cross_share,
                                                   x->figures->modularity };
    x->imbalance = x->figures->imbalance;
    return PR_OK;
}

/* *used: different labels, whatever numbers they are. */
static enum pr_code labels(struct evaluate *x, const uint32_t *label, uint32_t *used,
                           struct placement_label_figures *out, uint64_t *heaviest,
                           struct pr_err *err)
{
    uint32_t *dense = malloc(((size_t)x->graph.n + 1) * sizeof *dense);
    uint64_t *weight = NULL;
    enum pr_code rc = dense == NULL
                          ? pr_fail(err, PR_ENOMEM, "out of memory for %u labels", x->graph.n)
                          : placement_labels_dense(label, x->graph.n, dense, used, err);
    if (rc == PR_OK && (weight = calloc((size_t)*used + 1, sizeof *weight)) == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory for %u labels", *used);
    if (rc == PR_OK)
        rc = placement_label_figures(&x->graph, dense, *used, weight, out, err);
    for (uint32_t l = 0; rc == PR_OK && l < *used; l++)
        *heaviest = weight[l] > *heaviest ? weight[l] : *heaviest;
    free(weight);
    free(dense);
    return rc;
}

static enum pr_code measure(struct evaluate *x, struct pr_err *err)
{
    uint64_t heaviest = 0;
    enum pr_code rc;
    cli_enter(&x->w, CLI_REPORT);
    if (x->zones <= PLACEMENT_MAX_ZONES) {
        rc = few_zones(x, err);
    } else {
        uint32_t used = 0;
        rc = labels(x, x->zone, &used, &x->by_zone, &heaviest, err);
        if (x->w.args->zones == 0)
            x->zones = used;
        x->imbalance = (double)heaviest * x->zones / (double)x->graph.vertex_weight_sum - 1;
    }
    bool parts = x->zone != x->now.partition && x->now.partitions > 0, other = false;
    for (uint32_t v = 0; v < x->graph.n && parts; v++) {
        parts = x->now.partition[v] != GRAPH_NONE;
        other |= x->now.partition[v] != x->zone[v];
    }
    parts = parts && other; /* zones only: the partition is the zone's number */
    if (!parts)
        x->now.partitions = 0;
    if (rc == PR_OK && parts)
        rc = labels(x, x->now.partition, &x->now.partitions, &x->by_part, &x->part_heaviest, err);
    return rc;
}

static enum pr_code carry_out(struct evaluate *x, struct pr_err *err)
{
    enum pr_code rc = cli_load(&x->w, &x->graph, err);
    if (rc == PR_OK)
        rc = cli_places_read(x->w.args->assignment, &x->graph, &x->now, err);
    if (rc == PR_OK)
        rc = choose_column(x, err);
    if (rc == PR_OK && x->w.args->before != NULL)
        rc = cli_places_read(x->w.args->before, &x->graph, &x->before, err);
    if (rc == PR_OK)
        rc = cli_check(&x->w, 1, err);
    if (rc == PR_OK)
        rc = measure(x, err);
    return rc;
}

/* --- the report ----------------------------------------------------------- */

static void add_moves(const struct evaluate *x, json_t *o)
{
    uint64_t known = 0, zone_moves = 0, moves = 0, weight = 0;
    if (x->before.zone == NULL)
        return;
    for (uint32_t v = 0; v < x->graph.n; v++) {
        const uint32_t p = x->before.partition[v], z = x->before.zone[v];
        if (p == GRAPH_NONE && z == GRAPH_NONE)
            continue;
        known++;
        /* What only one of the files gives is not compared. */
        const bool zone = z != GRAPH_NONE && x->now.zone[v] != GRAPH_NONE && z != x->now.zone[v];
        const bool part =
            p != GRAPH_NONE && x->now.partition[v] != GRAPH_NONE && p != x->now.partition[v];
        zone_moves += zone;
        moves += zone || part;
        weight += zone || part ? placement_vertex_weight(&x->graph, v) : 0;
    }
    (void)json_object_set_new(
        o, "moves",
        json_pack("{s:I, s:I, s:f, s:I, s:I, s:I}", "vertices", (json_int_t)moves, "weight",
                  (json_int_t)weight, "moved_ratio",
                  known == 0 ? 0.0 : (double)moves / (double)known, "between_zones",
                  (json_int_t)zone_moves, "new", (json_int_t)(x->graph.n - known), "gone",
                  (json_int_t)x->before.strange));
}

static json_t *report(const struct evaluate *x)
{
    char verdict[PLACEMENT_VERDICT_BYTES];
    const double random =
        x->figures != NULL ? placement_random_ratio(x->share, x->zones) : 1 - 1.0 / x->zones;
    placement_verdict(x->by_zone.cross_share, random, verdict);
    json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:s, s:I}", "vertices",
                          (json_int_t)x->graph.n, "edges", (json_int_t)(x->graph.arcs / 2),
                          "edge_weight", (json_int_t)x->graph.weight_sum, "zone_count",
                          (json_int_t)x->zones, "cut_weight", (json_int_t)x->by_zone.cut,
                          "cut_ratio", x->by_zone.cross_share, "random_ratio", random, "modularity",
                          x->by_zone.modularity, "imbalance", cli_finite(x->imbalance), "verdict",
                          verdict, "unknown_vertices", (json_int_t)x->now.strange);
    if (o == NULL)
        return NULL;
    if (x->now.partitions > 0 && x->zone != x->now.partition)
        (void)json_object_set_new(
            o, "parts",
            json_pack("{s:I, s:I, s:f, s:I, s:o}", "count", (json_int_t)x->now.partitions,
                      "cut_weight", (json_int_t)x->by_part.cut, "cut_ratio", x->by_part.cross_share,
                      "heaviest", (json_int_t)x->part_heaviest, "imbalance",
                      cli_finite((double)x->part_heaviest * x->now.partitions /
                                     (double)x->graph.vertex_weight_sum -
                                 1)));
    add_moves(x, o);
    if (x->figures != NULL) {
        (void)json_object_set_new(o, "zones",
                                  cli_zone_rows(&x->fleet, x->figures, x->share, x->capacity));
        (void)json_object_set_new(o, "matrix", cli_matrix(x->figures, x->zones));
    }
    (void)json_object_set_new(o, "seconds", cli_seconds(&x->w));
    (void)json_object_set_new(o, "peak_bytes", json_integer((json_int_t)x->peak_bytes));
    return o;
}

static enum pr_code run(const struct cli_args *args, struct pr_err *err)
{
    struct evaluate x = { .zones = 0 };
    enum pr_code rc = cli_begin(&x.w, args, err);
    if (rc == PR_OK)
        rc = carry_out(&x, err);
    x.peak_bytes = placement_peak_bytes();
    cli_end(&x.w);
    if (rc == PR_OK)
        rc = cli_print(args, report(&x), err);
    placement_graph_done(&x.graph);
    cli_places_done(&x.now);
    cli_places_done(&x.before);
    free(x.figures);
    return rc;
}

const struct cli_command cli_evaluate = {
    .name = "evaluate",
    .about = "Measures any assignment: cut, imbalance, zone matrix, modularity, moves.",
    .option = options,
    .options = PR_COUNT(options),
    .check = check,
    .run = run,
};
