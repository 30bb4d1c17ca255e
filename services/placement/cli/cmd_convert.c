/* convert: the same graph in another file format. */
#include "cli/cli.h"

#include "io/memory.h"
#include "prism/graph_write.h"

#include <stdlib.h>

static const struct cli_option options[] = {
    CLI_OPTION("--graph", "FILE", CLI_TEXT, graph, 0, 0, true, "what to read"),
    CLI_OPTION("--out", "FILE", CLI_TEXT, out, 0, 0, true,
               "what to write; .xz, .gz, .zst compress"),
    CLI_OPTION("--from", "NAME", CLI_TEXT, format, 0, 0, false,
               "format read: auto, snap, metis, bin32 or bin64 (default auto: by name)"),
    CLI_OPTION("--format", "NAME", CLI_TEXT, to_format, 0, 0, false,
               "format written (default auto: by name)"),
    CLI_OPTION("--threads", "T", CLI_WHOLE, threads, 1, PR_POOL_MAX, false,
               "default: as many as processors"),
    CLI_OPTION("--memory", "MIB", CLI_WHOLE, memory_mib, 1, 1e9, false,
               "refuse what needs more (default: nine tenths of what is free)"),
    CLI_OPTIONS_TALK,
};

enum { BATCH = 4096, CHECK_EVERY = 1 << 16 };

struct convert {
    struct cli_work w;
    struct placement_graph graph;
    struct graph_writer *writer;
    struct graph_edge batch[BATCH];
    size_t batched;
    uint64_t peak_bytes;
};

static enum pr_code check(const struct cli_args *args, struct pr_err *err)
{
    enum graph_format format;
    enum pr_code rc = cli_format(args->format, &format, err);
    return rc == PR_OK ? cli_format(args->to_format, &format, err) : rc;
}

static enum pr_code flush(struct convert *x, struct pr_err *err)
{
    const size_t n = x->batched;
    x->batched = 0;
    return n == 0 ? PR_OK : graph_writer_edges(x->writer, x->batch, n, err);
}

/* Every edge once; a vertex without edges as a loop, which readers drop while
 * they keep the vertex. */
static enum pr_code write_edges(struct convert *x, uint32_t v, struct pr_err *err)
{
    const struct placement_graph *g = &x->graph;
    const struct placement_row row = placement_row(g, v, NULL);
    enum pr_code rc = PR_OK;
    if (row.n == 0)
        x->batch[x->batched++] = (struct graph_edge){ placement_id(g, v), placement_id(g, v), 1 };
    for (uint32_t i = 0; i < row.n && rc == PR_OK; i++) {
        if (row.to[i] <= v)
            continue;
        x->batch[x->batched++] =
            (struct graph_edge){ placement_id(g, v), placement_id(g, row.to[i]),
                                 placement_arc_weight(&row, i) };
        if (x->batched == BATCH)
            rc = flush(x, err);
    }
    if (rc == PR_OK && x->batched == BATCH)
        rc = flush(x, err);
    return rc;
}

static enum pr_code write_all(struct convert *x, bool metis, struct pr_err *err)
{
    const struct placement_graph *g = &x->graph;
    enum pr_code rc = PR_OK;
    for (uint32_t v = 0; v < g->n && rc == PR_OK; v++) {
        if (v % CHECK_EVERY == 0)
            rc = cli_check(&x->w, (double)v / g->n, err);
        if (rc == PR_OK && metis) {
            const struct placement_row row = placement_row(g, v, NULL);
            rc = graph_writer_row(x->writer, placement_vertex_weight(g, v), row.to, row.weight,
                                  row.n, err);
        } else if (rc == PR_OK) {
            rc = write_edges(x, v, err);
        }
    }
    return rc == PR_OK ? flush(x, err) : rc;
}

static enum pr_code carry_out(struct convert *x, struct pr_err *err)
{
    const struct cli_args *args = x->w.args;
    struct graph_write_opts opts = { .format = GRAPH_AUTO };
    enum pr_code rc = cli_format(args->to_format, &opts.format, err);
    if (rc == PR_OK)
        rc = cli_load(&x->w, &x->graph, err);
    if (rc != PR_OK)
        return rc;
    if (opts.format == GRAPH_AUTO)
        opts.format = graph_format_of(args->out);
    opts.weighted = x->graph.weight != NULL;
    opts.vertex_weighted = x->graph.vertex_weight != NULL;
    opts.vertices = x->graph.n;
    opts.edges = x->graph.arcs / 2;
    cli_enter(&x->w, CLI_WRITE);
    rc = graph_writer_open(args->out, &opts, &x->writer, err);
    if (rc != PR_OK)
        return rc;
    rc = write_all(x, opts.format == GRAPH_METIS, err);
    if (rc == PR_OK)
        return graph_writer_close(x->writer, err);
    graph_writer_abort(x->writer);
    return rc;
}

static json_t *report(const struct convert *x)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:I}", "vertices", (json_int_t)x->graph.n, "edges",
                     (json_int_t)(x->graph.arcs / 2), "edge_weight",
                     (json_int_t)x->graph.weight_sum, "seconds", cli_seconds(&x->w), "peak_bytes",
                     (json_int_t)x->peak_bytes);
}

static enum pr_code run(const struct cli_args *args, struct pr_err *err)
{
    struct convert *x = calloc(1, sizeof *x); /* its batch is large */
    if (x == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory");
    enum pr_code rc = cli_begin(&x->w, args, err);
    if (rc == PR_OK)
        rc = carry_out(x, err);
    x->peak_bytes = placement_peak_bytes();
    cli_end(&x->w);
    if (rc == PR_OK)
        rc = cli_print(args, report(x), err);
    placement_graph_done(&x->graph);
    free(x);
    return rc;
}

const struct cli_command cli_convert = {
    .name = "convert",
    .about =
        "Writes a graph in another format: undirected, duplicates merged.\n"
        "A vertex without edges becomes a loop, which readers drop while they keep the vertex.\n"
        "METIS numbers vertices 1.. in the order of their ids, and alone keeps their weights.",
    .option = options,
    .options = PR_COUNT(options),
    .check = check,
    .run = run,
};
