/* Measures the peers that were found when this was configured. */
#include "bench.h"
#include "input.h"
#ifdef HAVE_METIS
#include "metis_peer.h"
#endif
#ifdef HAVE_IGRAPH
#include "igraph_peer.h"
#endif

#include <stdio.h>
#include <stdlib.h>

static enum pr_code measure_cut(const struct bench_task *t, struct placement_graph *g,
                                struct bench_outcome *o, struct pr_err *err)
{
#ifdef HAVE_METIS
    struct bench_terms terms;
    uint16_t *block = malloc((size_t)g->n * sizeof *block);
    enum pr_code rc = bench_terms_init(t, g, &terms, err);
    const struct metis_peer_input in = {
        .graph = g, .blocks = t->blocks, .capacity = terms.capacity, .seed = t->seed
    };
    if (rc == PR_OK && terms.fixed != NULL)
        rc = pr_fail(err, PR_EINVAL, "METIS cannot keep vertices fixed");
    if (rc == PR_OK && block == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory for blocks");
    if (rc == PR_OK)
        rc = metis_peer(&in, block, &o->work_s, err);
    if (rc == PR_OK)
        rc = bench_score_cut(t, g, &terms, block, o, err);
    bench_terms_done(&terms);
    free(block);
    return rc;
#else
    (void)t, (void)g, (void)o;
    return pr_fail(err, PR_EUNAVAIL, "built without METIS");
#endif
}

static enum pr_code measure_communities(const struct bench_task *t, const struct placement_graph *g,
                                        struct bench_outcome *o, struct pr_err *err)
{
#ifdef HAVE_IGRAPH
    uint32_t *label = malloc((size_t)g->n * sizeof *label);
    if (label == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for communities");
    enum pr_code rc = igraph_peer(g, t->kind == BENCH_LEIDEN, t->seed, label, &o->work_s, err);
    if (rc == PR_OK)
        rc = bench_score_communities(g, label, o, err);
    free(label);
    return rc;
#else
    (void)t, (void)g, (void)o;
    return pr_fail(err, PR_EUNAVAIL, "built without igraph");
#endif
}

static void tell_versions(struct bench_outcome *o)
{
    const char *metis = "no METIS", *igraph = "no igraph";
#ifdef HAVE_METIS
    metis = metis_peer_version();
#endif
#ifdef HAVE_IGRAPH
    igraph = igraph_peer_version();
#endif
    snprintf(o->text, sizeof o->text, "%s, %s", metis, igraph);
}

static enum pr_code work(const struct bench_task *t, struct bench_outcome *o, struct pr_err *err)
{
    struct placement_graph g = { 0 };
    if (t->kind == BENCH_VERSIONS) {
        tell_versions(o);
        return PR_OK;
    }
    if (t->kind != BENCH_CUT && t->kind != BENCH_LOUVAIN && t->kind != BENCH_LEIDEN)
        return pr_fail(err, PR_EINVAL, "no peer does %s", bench_kind_name[t->kind]);
    const double from = bench_wall_s();
    enum pr_code rc = bench_load(t, NULL, &g, err);
    o->load_s = bench_wall_s() - from;
    o->vertices = g.n;
    o->edges = g.arcs / 2;
    if (rc == PR_OK)
        rc = t->kind == BENCH_CUT ? measure_cut(t, &g, o, err) : measure_communities(t, &g, o, err);
    o->cpu_s = o->work_s; /* one thread */
    placement_graph_done(&g);
    return rc;
}

int main(int argc, char **argv)
{
    return bench_worker(argc, argv, work);
}
