/* run: from a graph file to a zone, and a partition, for every vertex. */
#include "cli/cli.h"

#include "cli/run_report.h"
#include "core/solve.h"
#include "io/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    CLI_OPTION(
        "--graph", "FILE", CLI_TEXT, graph, 0, 0, true,
        "SNAP text, METIS (.metis, .graph) or binary (.bin32, .bin64); plain, xz, gzip or zstd"),
    CLI_OPTION("--format", "NAME", CLI_TEXT, format, 0, 0, false,
               "auto, snap, metis, bin32 or bin64 (default auto: by name)"),
    CLI_OPTION("--zones", "K", CLI_WHOLE, zones, 1, PLACEMENT_MAX_ZONES, false,
               "zones (default: as --capacity names, else 3)"),
    CLI_OPTION("--capacity", "LIST", CLI_TEXT, capacity, 0, 0, false,
               "a=1,b=1,c=0.5: zones in their order, how much each may hold against the others"),
    CLI_OPTION("--imbalance", "R", CLI_REAL, imbalance, 0.001, 1, false,
               "how far above its share a zone may be filled (default 0.05)"),
    CLI_OPTION("--parts", "P", CLI_WHOLE, parts, 1, PLACEMENT_MAX_BLOCKS, false,
               "partitions within the zones too (default: zones only)"),
    CLI_OPTION("--fixed", "FILE", CLI_TEXT, fixed, 0, 0, false,
               "\"vertex zone\" lines: vertices that must be in a zone, by its name or number"),
    CLI_OPTION("--fixed-parts", "FILE", CLI_TEXT, fixed_parts, 0, 0, false,
               "\"partition zone\" lines: --warm's partitions that must be in a zone, whole"),
    CLI_OPTION("--warm", "FILE", CLI_TEXT, warm, 0, 0, false,
               "today's placement (as --out writes it): improve it, move little"),
    CLI_OPTION("--move-price", "X", CLI_REAL, move_price, 0, 1e18, false,
               "edge weight that moving a unit of vertex weight must save (default 0)"),
    CLI_OPTION("--move-cap", "N", CLI_WHOLE, move_cap, 0, 18446744073709551615.0, false,
               "most vertices moved for the cut's sake (default: no limit)"),
    CLI_OPTION("--reference", "R", CLI_REAL, reference_ratio, 0, 1, false,
               "cut ratio of the last full run: past it by --lost, cut anew (default: never)"),
    CLI_OPTION("--lost", "R", CLI_REAL, lost_ratio, 0, 100, false,
               "how much of the reference may be lost (default 0.2)"),
    CLI_OPTION("--keep", "R", CLI_REAL, keep_ratio, 0, 100, false,
               "a new cut must be better than today by more than this (default 0.02)"),
    CLI_OPTION("--seed", "S", CLI_WHOLE, seed, 0, 18446744073709551615.0, false, "default 1"),
    CLI_OPTION("--seeds", "N", CLI_WHOLE, seeds, 1, 1000, false,
               "tries with consecutive seeds; the best is kept (default 3)"),
    CLI_OPTIONS_WORK,
    CLI_OPTION("--out", "FILE", CLI_TEXT, out, 0, 0, false,
               "a \"vertex partition zone\" line each, all numbers; .xz, .gz, .zst compress"),
    CLI_OPTIONS_TALK,
};

struct run {
    struct cli_work w;
    struct cli_run_result r;
    struct placement_graph graph;
    struct cli_places warm;
    bool warm_parts;         /* its partitions are more than its zones' numbers */
    uint16_t *fixed, *today; /* [n] or NULL */
    struct graph_out *out;
};

static enum pr_code check(const struct cli_args *args, struct pr_err *err)
{
    struct cli_fleet fleet;
    enum graph_format format;
    enum pr_code rc = cli_format(args->format, &format, err);
    if (rc == PR_OK)
        rc = cli_fleet(args, &fleet, err);
    if (rc == PR_OK && args->warm == NULL && args->reference_ratio >= 0)
        rc = pr_fail(err, PR_EINVAL, "--reference needs --warm");
    if (rc == PR_OK && args->fixed_parts != NULL && (args->warm == NULL || args->parts == 0))
        rc = pr_fail(err, PR_EINVAL, "--fixed-parts needs --warm and --parts");
    return rc;
}

static enum pr_code no_memory(const struct run *x, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory placing %u vertices", x->graph.n);
}

static enum pr_code read_warm(struct run *x, struct pr_err *err)
{
    const uint32_t n = x->graph.n, zones = x->r.fleet.zones;
    enum pr_code rc = cli_places_read(x->w.args->warm, &x->graph, &x->warm, err);
    if (rc != PR_OK)
        return rc;
    if (x->warm.zones > zones)
        return pr_fail(err, PR_EINVAL, "%.160s names zone %u, there are %u", x->w.args->warm,
                       x->warm.zones - 1, zones);
    if (x->w.args->parts > 0 && x->warm.partitions > x->w.args->parts)
        return pr_fail(err, PR_EINVAL, "%.160s names partition %u, --parts is %llu",
                       x->w.args->warm, x->warm.partitions - 1,
                       (unsigned long long)x->w.args->parts);
    x->today = malloc(((size_t)n + 1) * sizeof *x->today);
    if (x->today == NULL)
        return no_memory(x, err);
    for (uint32_t v = 0; v < n; v++) {
        x->today[v] = x->warm.zone[v] == GRAPH_NONE ? PLACEMENT_FREE : (uint16_t)x->warm.zone[v];
        x->warm_parts |=
            x->warm.partition[v] != GRAPH_NONE && x->warm.partition[v] != x->warm.zone[v];
    }
    return PR_OK;
}

static enum pr_code read_fixed(struct run *x, struct pr_err *err)
{
    const struct cli_args *args = x->w.args;
    const uint32_t n = x->graph.n;
    enum pr_code rc = PR_OK;
    if (args->fixed == NULL && args->fixed_parts == NULL)
        return PR_OK;
    x->fixed = malloc(((size_t)n + 1) * sizeof *x->fixed);
    if (x->fixed == NULL)
        return no_memory(x, err);
    for (uint32_t v = 0; v < n; v++)
        x->fixed[v] = PLACEMENT_FREE;
    if (args->fixed != NULL)
        rc = cli_fixed_read(args->fixed, &x->r.fleet, &x->graph, x->fixed, err);
    if (rc == PR_OK && args->fixed_parts != NULL && !x->warm_parts)
        rc = pr_fail(err, PR_EINVAL, "%.160s has no partitions to be fixed", args->warm);
    if (rc == PR_OK && args->fixed_parts != NULL)
        rc = cli_fixed_parts_read(args->fixed_parts, &x->r.fleet, &x->warm, n, x->fixed, err);
    return rc;
}

static enum pr_code read_all(struct run *x, struct pr_err *err)
{
    const struct cli_args *args = x->w.args;
    enum pr_code rc = cli_load(&x->w, &x->graph, err);
    if (rc != PR_OK)
        return rc;
    x->r.zone = malloc(((size_t)x->graph.n + 1) * sizeof *x->r.zone);
    if (x->r.zone == NULL)
        return no_memory(x, err);
    if (args->warm != NULL)
        rc = read_warm(x, err);
    return rc == PR_OK ? read_fixed(x, err) : rc;
}

/* Before anything long begins. */
static enum pr_code afford(struct run *x, struct pr_err *err)
{
    const struct placement_graph *g = &x->graph;
    const struct cli_fleet *fleet = &x->r.fleet;
    const uint64_t lists = (x->today == NULL ? 16 : 24) * (uint64_t)g->n;
    uint64_t most =
        placement_partition_bytes(g->n, g->arcs, g->weight != NULL, fleet->zones, x->w.threads);
    double sum = 0, largest = 0;
    for (uint32_t z = 0; z < fleet->zones; z++) {
        sum += fleet->ratio[z];
        largest = fleet->ratio[z] > largest ? fleet->ratio[z] : largest;
    }
    if (x->w.args->parts > 0 && sum > 0) { /* one after the other: the larger counts */
        const uint64_t parts = placement_parts_bytes(g, largest / sum * (1 + x->w.args->imbalance),
                                                     (uint32_t)x->w.args->parts, x->w.threads);
        most = parts > most ? parts : most;
    }
    return cli_afford(&x->w, g, most + lists, err);
}

static enum pr_code solve(struct run *x, struct pr_err *err)
{
    const struct cli_args *args = x->w.args;
    const struct placement_solve_input in = {
        .graph = &x->graph,
        .zones = x->r.fleet.zones,
        .ratio = x->r.fleet.ratio,
        .imbalance = args->imbalance,
        .seed = args->seed,
        .seeds = (uint32_t)args->seeds,
        .today = x->today,
        .fixed = x->fixed,
        .mode = args->warm != NULL && args->reference_ratio < 0 ? PLACEMENT_WARM : PLACEMENT_AUTO,
        .move_price = args->move_price,
        .move_cap = args->move_cap,
        .keep_ratio = args->keep_ratio,
        .reference_ratio = args->reference_ratio,
        .lost_ratio = args->lost_ratio,
        .pool = x->w.pool,
        .watch = cli_watch(&x->w),
    };
    cli_enter(&x->w, CLI_PARTITION);
    return placement_solve(&in, x->r.zone, &x->r.solved, err);
}

static enum pr_code find_parts(struct run *x, struct pr_err *err)
{
    const struct cli_args *args = x->w.args;
    x->r.parts = (uint32_t)args->parts;
    x->r.partition = malloc(((size_t)x->graph.n + 1) * sizeof *x->r.partition);
    if (x->r.partition == NULL)
        return no_memory(x, err);
    const struct placement_parts_input in = {
        .graph = &x->graph,
        .zone = x->r.zone,
        .zones = x->r.fleet.zones,
        .parts = x->r.parts,
        .imbalance = args->imbalance,
        /* A new cut has little to do with today's partitions. */
        .today = x->warm_parts && x->r.solved.mode == PLACEMENT_WARM ? x->warm.partition : NULL,
        .seed = args->seed,
        .seeds = 1, /* thousands of cuts: tries gain nothing over all of them */
        .pool = x->w.pool,
        .watch = cli_watch(&x->w),
    };
    cli_enter(&x->w, CLI_PARTS);
    return placement_parts(&in, x->r.partition, &x->r.divided, err);
}

static enum pr_code report(struct run *x, struct pr_err *err)
{
    cli_enter(&x->w, CLI_REPORT);
    enum pr_code rc = cli_check(&x->w, 0, err);
    if (rc == PR_OK)
        rc = placement_figures(&x->graph, x->r.zone, x->r.fleet.zones, x->r.solved.share, x->w.pool,
                               &x->r.figures, err);
    for (uint32_t v = 0; rc == PR_OK && x->today != NULL && v < x->graph.n; v++) {
        const bool known = x->today[v] != PLACEMENT_FREE;
        const bool moved =
            x->today[v] != x->r.zone[v] ||
            (x->r.partition != NULL && x->warm_parts && x->warm.partition[v] != GRAPH_NONE &&
             x->warm.partition[v] != x->r.partition[v]);
        x->r.known += known;
        x->r.moved += known && moved;
        x->r.moved_weight += known && moved ? placement_vertex_weight(&x->graph, v) : 0;
    }
    return rc;
}

static enum pr_code carry_out(struct run *x, struct pr_err *err)
{
    const struct cli_args *args = x->w.args;
    enum pr_code rc = cli_fleet(args, &x->r.fleet, err);
    if (rc == PR_OK && args->out != NULL) /* what cannot be written is not computed */
        rc = graph_out_open(args->out, &x->out, err);
    if (rc == PR_OK)
        rc = read_all(x, err);
    if (rc == PR_OK)
        rc = afford(x, err);
    if (rc == PR_OK)
        rc = solve(x, err);
    if (rc == PR_OK && args->parts > 0)
        rc = find_parts(x, err);
    if (rc == PR_OK)
        rc = report(x, err);
    if (rc == PR_OK && x->out != NULL) {
        struct graph_out *out = x->out;
        x->out = NULL;
        rc = cli_assign_write(&x->w, out, &x->graph, x->r.partition, x->r.zone, err);
    }
    return rc;
}

static enum pr_code run(const struct cli_args *args, struct pr_err *err)
{
    struct run *x = calloc(1, sizeof *x); /* figures are large */
    if (x == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory");
    enum pr_code rc = cli_begin(&x->w, args, err);
    if (rc == PR_OK)
        rc = carry_out(x, err);
    graph_out_abort(x->out);
    x->r.peak_bytes = placement_peak_bytes();
    cli_end(&x->w);
    if (rc == PR_OK)
        rc = cli_print(args, cli_run_report(&x->w, &x->graph, &x->r), err);
    placement_graph_done(&x->graph);
    cli_places_done(&x->warm);
    free(x->today);
    free(x->fixed);
    free(x->r.zone);
    free(x->r.partition);
    free(x);
    return rc;
}

const struct cli_command cli_run = {
    .name = "run",
    .about = "Gives every vertex of a graph a zone, and a partition when asked to.\n"
             "Little edge weight lies between zones, no zone is overfull, and with --warm little\n"
             "moves. Needs no server.",
    .option = options,
    .options = PR_COUNT(options),
    .check = check,
    .run = run,
};
