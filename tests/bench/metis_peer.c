#include "metis_peer.h"

#include <math.h>
#include <metis.h>
#include <stdlib.h>
#include <time.h>

_Static_assert(sizeof(idx_t) == sizeof(uint32_t), "METIS built with 64-bit numbers: "
                                                  "give it arrays of its own type");
#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)
#define METIS_TEXT TEXT(METIS_VER_MAJOR) "." TEXT(METIS_VER_MINOR) "." TEXT(METIS_VER_SUBMINOR)

const char *metis_peer_version(void)
{
    return "METIS " METIS_TEXT;
}

static enum pr_code check(const struct metis_peer_input *in, struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    if (g->n == 0 || g->coded != NULL || in->blocks == 0)
        return pr_fail(err, PR_EINVAL, "METIS wants vertices, plain rows and blocks");
    if (g->n >= INT32_MAX || g->arcs > INT32_MAX)
        return pr_fail(err, PR_EFULL, "%u vertices and %llu arcs: METIS's 32-bit numbers end at %d",
                       g->n, (unsigned long long)g->arcs, INT32_MAX);
    if (g->weight_sum > INT32_MAX / 2 || g->vertex_weight_sum > INT32_MAX)
        return pr_fail(err, PR_EFULL,
                       "weights sum to %llu (edges), %llu (vertices): METIS's "
                       "32-bit numbers end at %d",
                       (unsigned long long)g->weight_sum, (unsigned long long)g->vertex_weight_sum,
                       INT32_MAX);
    return PR_OK;
}

/* In METIS's types. */
struct input {
    idx_t *xadj, *vertex_weight, *part;
    real_t *share;
    double imbalance;
};

static enum pr_code convert(const struct metis_peer_input *in, struct input *m, struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    double sum = 0;
    m->xadj = malloc(((size_t)g->n + 1) * sizeof *m->xadj);
    m->part = calloc(g->n, sizeof *m->part);
    m->share = malloc(in->blocks * sizeof *m->share);
    if (g->vertex_weight != NULL)
        m->vertex_weight = malloc(g->n * sizeof *m->vertex_weight);
    if (m->xadj == NULL || m->part == NULL || m->share == NULL ||
        (m->vertex_weight == NULL && g->vertex_weight != NULL))
        return pr_fail(err, PR_ENOMEM, "out of memory for METIS's input");
    for (uint32_t b = 0; b < in->blocks; b++)
        sum += (double)in->capacity[b];
    for (uint32_t b = 0; b < in->blocks; b++)
        m->share[b] = (real_t)((double)in->capacity[b] / sum);
    m->imbalance = fmax(sum / (double)g->vertex_weight_sum - 1, 0);
    for (uint32_t v = 0; v <= g->n; v++)
        m->xadj[v] = (idx_t)g->start[v];
    for (uint32_t v = 0; m->vertex_weight != NULL && v < g->n; v++)
        m->vertex_weight[v] = (idx_t)g->vertex_weight[v];
    return PR_OK;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum pr_code kway(const struct metis_peer_input *in, struct input *m, double *seconds,
                         struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    idx_t options[METIS_NOPTIONS], n = (idx_t)g->n, constraints = 1, k = (idx_t)in->blocks, cut;
    METIS_SetDefaultOptions(options);
    options[METIS_OPTION_SEED] = (idx_t)(in->seed & INT32_MAX);
    options[METIS_OPTION_UFACTOR] = (idx_t)fmax(m->imbalance * 1000 + 0.5, 1); /* thousandths */
    options[METIS_OPTION_NUMBERING] = 0;

    const double from = now_s();
    /* METIS reads to and weight as int32 (signed and unsigned may alias) and
     * changes neither; without weights it takes a faster path. */
    const int rc =
        METIS_PartGraphKway(&n, &constraints, m->xadj, (idx_t *)g->to, m->vertex_weight, NULL,
                            (idx_t *)g->weight, &k, m->share, NULL, options, &cut, m->part);
    if (seconds != NULL)
        *seconds = now_s() - from;
    if (rc == METIS_ERROR_MEMORY)
        return pr_fail(err, PR_ENOMEM, "METIS ran out of memory");
    if (rc != METIS_OK)
        return pr_fail(err, PR_EINTERNAL, "METIS failed on %u vertices, %u blocks", g->n,
                       in->blocks);
    return PR_OK;
}

enum pr_code metis_peer(const struct metis_peer_input *in, uint16_t *block, double *seconds,
                        struct pr_err *err)
{
    struct input m = { 0 };
    enum pr_code rc = check(in, err);
    if (rc == PR_OK)
        rc = convert(in, &m, err);
    if (rc == PR_OK && in->blocks > 1) /* of one block METIS 5.1 makes a division by zero */
        rc = kway(in, &m, seconds, err);
    for (uint32_t v = 0; v < in->graph->n && rc == PR_OK; v++)
        block[v] = (uint16_t)m.part[v];
    free(m.xadj);
    free(m.vertex_weight);
    free(m.part);
    free(m.share);
    return rc;
}
