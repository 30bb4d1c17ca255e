/* communities: groups of vertices that are tied among themselves. */
#include "cli/cli.h"

#include "engine/community.h"
#include "io/load.h"
#include "io/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct cli_option options[] = {
    CLI_OPTION("--graph", "FILE", CLI_TEXT, graph, 0, 0, true,
               "SNAP text, METIS (.metis, .graph) or binary (.bin32, .bin64); plain, xz, gzip or "
               "zstd"),
    CLI_OPTION("--format", "NAME", CLI_TEXT, format, 0, 0, false,
               "auto, snap, metis, bin32 or bin64 (default auto: by name)"),
    CLI_OPTION("--method", "NAME", CLI_TEXT, method, 0, 0, false, "leiden or louvain (leiden)"),
    CLI_OPTION("--resolution", "R", CLI_REAL, resolution, 1e-9, 1e9, false,
               "above 1: smaller communities (default 1)"),
    CLI_OPTION("--max-size", "N", CLI_WHOLE, max_size, 1, 18446744073709551615.0, false,
               "most vertex weight of a community (default: no limit)"),
    CLI_OPTION("--min-size", "N", CLI_WHOLE, min_size, 1, 18446744073709551615.0, false,
               "smaller ones join a neighbour, where --max-size allows"),
    CLI_OPTION("--seed", "S", CLI_WHOLE, seed, 0, 18446744073709551615.0, false, "default 1"),
    CLI_OPTIONS_WORK,
    CLI_OPTION("--out", "FILE", CLI_TEXT, out, 0, 0, false,
               "a \"vertex community -\" line each; .xz, .gz, .zst compress"),
    CLI_OPTIONS_TALK,
};

struct communities {
    struct cli_work w;
    struct placement_graph graph;
    struct placement_communities found;
    uint32_t *community; /* [n] owned */
    uint64_t largest, peak_bytes;
    struct graph_out *out;
};

static enum pr_code check(const struct cli_args *args, struct pr_err *err)
{
    enum graph_format format;
    if (strcmp(args->method, "leiden") != 0 && strcmp(args->method, "louvain") != 0)
        return pr_fail(err, PR_EINVAL, "--method takes leiden or louvain, not %.40s", args->method);
    if (args->max_size > 0 && args->min_size > args->max_size)
        return pr_fail(err, PR_EINVAL, "--min-size is above --max-size");
    return cli_format(args->format, &format, err);
}

static enum pr_code find(struct communities *x, struct pr_err *err)
{
    const struct cli_args *args = x->w.args;
    const struct placement_communities_input in = {
        .graph = &x->graph,
        .method = strcmp(args->method, "leiden") == 0 ? PLACEMENT_LEIDEN : PLACEMENT_LOUVAIN,
        .resolution = args->resolution,
        .max_weight = args->max_size,
        .min_weight = args->min_size,
        .seed = args->seed,
        .pool = x->w.pool,
        .watch = cli_watch(&x->w),
    };
    x->community = malloc(((size_t)x->graph.n + 1) * sizeof *x->community);
    if (x->community == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u vertices", x->graph.n);
    cli_enter(&x->w, CLI_PARTITION);
    return placement_communities(&in, x->community, &x->found, err);
}

static enum pr_code measure(struct communities *x, struct pr_err *err)
{
    cli_enter(&x->w, CLI_REPORT);
    uint64_t *weight = calloc((size_t)x->found.count + 1, sizeof *weight);
    if (weight == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u communities", x->found.count);
    for (uint32_t v = 0; v < x->graph.n; v++)
        weight[x->community[v]] += placement_vertex_weight(&x->graph, v);
    for (uint32_t c = 0; c < x->found.count; c++)
        x->largest = weight[c] > x->largest ? weight[c] : x->largest;
    free(weight);
    return cli_check(&x->w, 1, err);
}

static enum pr_code carry_out(struct communities *x, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (x->w.args->out != NULL) /* what cannot be written is not computed */
        rc = graph_out_open(x->w.args->out, &x->out, err);
    if (rc == PR_OK)
        rc = cli_load(&x->w, &x->graph, err);
    if (rc == PR_OK)
        rc = cli_afford(&x->w, &x->graph,
                        placement_communities_bytes(x->graph.n, x->graph.arcs,
                                                    x->graph.weight != NULL, x->w.threads) +
                            16 * (uint64_t)x->graph.n, /* the communities, their weights */
                        err);
    if (rc == PR_OK)
        rc = find(x, err);
    if (rc == PR_OK)
        rc = measure(x, err);
    if (rc == PR_OK && x->out != NULL) {
        struct graph_out *out = x->out;
        x->out = NULL;
        rc = cli_assign_write(&x->w, out, &x->graph, x->community, NULL, err);
    }
    return rc;
}

static json_t *report(const struct communities *x)
{
    return json_pack(
        "{s:I, s:I, s:I, s:s, s:f, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I}",
        "vertices", (json_int_t)x->graph.n, "edges", (json_int_t)(x->graph.arcs / 2), "edge_weight",
        (json_int_t)x->graph.weight_sum, "method", x->w.args->method, "resolution",
        x->w.args->resolution, "communities", (json_int_t)x->found.count, "modularity",
        x->found.modularity, "largest", (json_int_t)x->largest, "levels",
        (json_int_t)x->found.levels, "below_min", (json_int_t)x->found.below_min, "threads",
        (json_int_t)x->w.threads, "seed", (json_int_t)x->w.args->seed, "seconds",
        cli_seconds(&x->w), "peak_bytes", (json_int_t)x->peak_bytes, "estimate_bytes",
        (json_int_t)x->w.estimate_bytes, "budget_bytes", (json_int_t)x->w.budget_bytes);
}

static enum pr_code run(const struct cli_args *args, struct pr_err *err)
{
    struct communities x = { .out = NULL };
    enum pr_code rc = cli_begin(&x.w, args, err);
    if (rc == PR_OK)
        rc = carry_out(&x, err);
    graph_out_abort(x.out);
    x.peak_bytes = placement_peak_bytes();
    cli_end(&x.w);
    if (rc == PR_OK)
        rc = cli_print(args, report(&x), err);
    placement_graph_done(&x.graph);
    free(x.community);
    return rc;
}

const struct cli_command cli_communities = {
    .name = "communities",
    .about = "Finds groups of vertices that are tied more among themselves than to others.",
    .option = options,
    .options = PR_COUNT(options),
    .check = check,
    .run = run,
};
