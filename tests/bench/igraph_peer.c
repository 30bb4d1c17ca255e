#include "igraph_peer.h"

#include "bench.h"

#include <stdlib.h>

/* igraph's headers are not written for our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <igraph/igraph.h>
#pragma GCC diagnostic pop

const char *igraph_peer_version(void)
{
    return "igraph " IGRAPH_VERSION;
}

struct peer {
    igraph_t graph;
    igraph_vector_t weight, strength;
    bool weighted;
    double weight_sum;
};

static igraph_error_t fill(struct peer *p, const struct placement_graph *g)
{
    igraph_vector_int_t ends;
    igraph_error_t rc = igraph_vector_int_init(&ends, (igraph_integer_t)g->arcs);
    if (rc != IGRAPH_SUCCESS)
        return rc;
    igraph_integer_t at = 0, edge = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row row = placement_row(g, v, NULL);
        for (uint32_t i = 0; i < row.n; i++) {
            VECTOR(p->strength)[v] += placement_arc_weight(&row, i);
            if (row.to[i] < v)
                continue;
            if (p->weighted)
                VECTOR(p->weight)[edge++] = placement_arc_weight(&row, i);
            VECTOR(ends)[at++] = v;
            VECTOR(ends)[at++] = row.to[i];
        }
    }
    rc = igraph_create(&p->graph, &ends, (igraph_integer_t)g->n, IGRAPH_UNDIRECTED);
    igraph_vector_int_destroy(&ends);
    return rc;
}

static igraph_error_t detect(const struct peer *p, bool leiden, igraph_vector_int_t *member,
                             double *seconds)
{
    const igraph_vector_t *weight = p->weighted ? &p->weight : NULL;
    const double from = bench_wall_s();
    igraph_error_t rc;
    if (leiden)
        rc = igraph_community_leiden(&p->graph, weight, &p->strength, 1 / (2 * p->weight_sum), 0.01,
                                     false, 2, member, NULL, NULL);
    else
        rc = igraph_community_multilevel(&p->graph, weight, 1, member, NULL, NULL);
    *seconds = bench_wall_s() - from;
    return rc;
}

enum pr_code igraph_peer(const struct placement_graph *g, bool leiden, uint64_t seed,
                         uint32_t *community, double *seconds, struct pr_err *err)
{
    struct peer p = { .weighted = g->weight != NULL, .weight_sum = (double)g->weight_sum };
    igraph_vector_int_t member;
    const igraph_integer_t edges = p.weighted ? (igraph_integer_t)(g->arcs / 2) : 0;
    if (g->coded != NULL)
        return pr_fail(err, PR_EINVAL, "igraph wants plain rows");

    igraph_set_error_handler(igraph_error_handler_ignore);
    igraph_rng_seed(igraph_rng_default(), (igraph_uint_t)seed);
    igraph_error_t rc = igraph_vector_init(&p.weight, edges);
    if (rc != IGRAPH_SUCCESS)
        return pr_fail(err, PR_ENOMEM, "igraph: %s", igraph_strerror(rc));
    rc = igraph_vector_init(&p.strength, (igraph_integer_t)g->n);
    if (rc == IGRAPH_SUCCESS)
        rc = igraph_vector_int_init(&member, 0);
    if (rc == IGRAPH_SUCCESS)
        rc = fill(&p, g);
    if (rc == IGRAPH_SUCCESS)
        rc = detect(&p, leiden, &member, seconds);
    if (rc != IGRAPH_SUCCESS) /* the process ends: what is held goes with it */
        return pr_fail(err, PR_EINTERNAL, "igraph: %s", igraph_strerror(rc));
    for (uint32_t v = 0; v < g->n; v++)
        community[v] = (uint32_t)VECTOR(member)[v];
    igraph_vector_int_destroy(&member);
    igraph_vector_destroy(&p.weight);
    igraph_vector_destroy(&p.strength);
    igraph_destroy(&p.graph);
    return PR_OK;
}
