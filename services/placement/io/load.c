#include "io/load.h"

#include "core/build.h"
#include "engine/partition.h"
#include "io/memory.h"

#include <unistd.h>

struct reading {
    const struct placement_read *in;
    struct placement_builder *builder;
};

static enum pr_code sink(void *ctx, const struct graph_batch *batch, struct pr_err *err)
{
    const struct reading *r = ctx;
    const struct placement_watch *w = &r->in->read;
    const double done =
        batch->file_bytes == 0 ? 0 : (double)batch->read_bytes / (double)batch->file_bytes;
    if (w->go_on != NULL && !w->go_on(w->ctx, done))
        return pr_fail(err, PR_ECANCELED, "canceled while the graph was read");
    return placement_builder_sink(r->builder, batch, err);
}

enum pr_code placement_graph_read(const struct placement_read *in, struct placement_graph *out,
                                  struct pr_err *err)
{
    struct reading r = { .in = in };
    const struct placement_build_opts opts = {
        .pool = in->pool, .budget_bytes = in->budget_bytes, .coded = in->coded, .watch = in->build
    };
    enum pr_code rc = placement_builder_new(&opts, &r.builder, err);
    if (rc != PR_OK)
        return rc;
    rc = graph_read_each(in->path, in->format, sink, &r, err);
    if (rc == PR_OK && (in->build.go_on == NULL || in->build.go_on(in->build.ctx, 0)))
        rc = placement_builder_finish(r.builder, out, err);
    else if (rc == PR_OK)
        rc = pr_fail(err, PR_ECANCELED, "canceled before the graph was built");
    placement_builder_free(r.builder);
    return rc;
}

uint64_t placement_graph_bytes(const struct placement_graph *g)
{
    uint64_t bytes = ((uint64_t)g->n + 1) * sizeof *g->start;
    bytes += g->id == NULL ? 0 : g->n * sizeof *g->id;
    bytes += g->vertex_weight == NULL ? 0 : g->n * sizeof *g->vertex_weight;
    bytes += g->coded != NULL ? g->start[g->n] : g->arcs * sizeof *g->to;
    bytes += g->weight == NULL ? 0 : g->arcs * sizeof *g->weight;
    return bytes;
}

enum pr_code placement_afford(const struct placement_graph *g, uint64_t more_bytes,
                              uint64_t budget_bytes, uint64_t *estimate, struct pr_err *err)
{
    *estimate = placement_graph_bytes(g) + more_bytes;
    if (budget_bytes == 0 || *estimate <= budget_bytes)
        return PR_OK;
    return pr_fail(err, PR_EFULL,
                   "this needs about %llu MiB for %u vertices and %llu edges, the budget is %llu "
                   "MiB",
                   (unsigned long long)(*estimate >> 20) + 1, g->n,
                   (unsigned long long)(g->arcs / 2), (unsigned long long)(budget_bytes >> 20));
}

uint64_t placement_budget(uint64_t setting_mib)
{
    return setting_mib > 0 ? setting_mib << 20 : placement_memory_free() / 10 * 9;
}

enum pr_code placement_pool_open(uint64_t setting, struct pr_pool **out, struct pr_err *err)
{
    long threads = setting > 0 ? (long)setting : sysconf(_SC_NPROCESSORS_ONLN);
    threads = threads < 1 ? 1 : threads > PR_POOL_MAX ? PR_POOL_MAX : threads;
    return pr_pool_new((unsigned)threads, out, err);
}
