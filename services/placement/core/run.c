#include "core/run.h"

#include "core/capacity.h"
#include "core/locality.h"

#include <stdlib.h>

static const struct {
    const char *name;
    double weight; /* part of a run's time, measured on graphs of millions of edges */
} phases[PLACEMENT_PHASES] = {
    [PLACEMENT_READ] = { "read", 0.20 },     [PLACEMENT_BUILD] = { "build", 0.10 },
    [PLACEMENT_CUT] = { "cut", 0.50 },       [PLACEMENT_ASSIGN] = { "assign", 0.05 },
    [PLACEMENT_REPORT] = { "report", 0.05 }, [PLACEMENT_WRITE] = { "write", 0.10 },
};

const char *placement_phase_name(enum placement_phase p)
{
    return phases[p].name;
}

double placement_progress(enum placement_phase p, double done)
{
    double at = phases[p].weight * done;
    for (unsigned i = 0; i < (unsigned)p; i++)
        at += phases[i].weight;
    return at > 1 ? 1 : at;
}

/* Everything a run needs while it is computed. */
struct work {
    const struct placement_input *in;
    uint64_t *hash;    /* [n] */
    uint32_t *current; /* [n] partition today; the result's */
    uint16_t *today;   /* [n] zone today */
};

static bool go_on(const struct work *w, enum placement_phase phase, double done)
{
    return w->in->go_on == NULL || w->in->go_on(w->in->ctx, phase, done);
}

static bool go_on_cutting(void *ctx, double done)
{
    return go_on(ctx, PLACEMENT_CUT, done);
}

static bool go_on_assigning(void *ctx, double done)
{
    return go_on(ctx, PLACEMENT_ASSIGN, done);
}

static enum pr_code no_memory(const struct work *w, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory placing %u vertices", w->in->graph->n);
}

/* What the service allows; core/solve.h checks the rest. */
static enum pr_code check(const struct placement_input *in, struct pr_err *err)
{
    const struct placement_params *p = &in->params;
    double share[PLACEMENT_MAX_ZONES];
    uint64_t capacity[PLACEMENT_MAX_ZONES];
    if (p->seeds == 0 || p->seeds > PLACEMENT_MAX_SEEDS)
        return pr_fail(err, PR_EINVAL, "%u seeds, 1 to %d are supported", p->seeds,
                       PLACEMENT_MAX_SEEDS);
    if (!(p->keep_ratio >= 0 && p->keep_ratio <= 1))
        return pr_fail(err, PR_EINVAL, "keep ratio %g is outside 0..1", p->keep_ratio);
    return placement_capacity(in->store, in->graph->n, p->imbalance, share, capacity, err);
}

static enum pr_code prepare(struct work *w, struct placement_result *r, struct pr_err *err)
{
    const uint32_t n = w->in->graph->n;
    const struct placement_store *s = w->in->store;
    enum pr_code rc = check(w->in, err);
    if (rc != PR_OK)
        return rc;
    w->hash = malloc(n * sizeof *w->hash);
    w->current = r->current = malloc(n * sizeof *w->current);
    w->today = malloc(n * sizeof *w->today);
    r->zone = malloc(n * sizeof *r->zone);
    r->partition = malloc(n * sizeof *r->partition);
    r->load = malloc(s->partitions * sizeof *r->load);
    if (w->hash == NULL || w->current == NULL || w->today == NULL || r->zone == NULL ||
        r->partition == NULL || r->load == NULL)
        return no_memory(w, err);
    for (uint32_t v = 0; v < n; v++) {
        w->hash[v] = placement_vertex_hash(placement_id(w->in->graph, v));
        w->current[v] = placement_today_find(w->in->today, w->hash[v]);
        w->today[v] = s->zone_of[w->current[v]];
    }
    return PR_OK;
}

static enum pr_code solve(struct work *w, struct placement_result *r, struct pr_err *err)
{
    const struct placement_params *p = &w->in->params;
    double ratio[PLACEMENT_MAX_ZONES];
    for (uint32_t z = 0; z < w->in->store->zones; z++)
        ratio[z] = w->in->store->zone[z].capacity_ratio;
    const struct placement_solve_input in = {
        .graph = w->in->graph,
        .zones = w->in->store->zones,
        .ratio = ratio,
        .imbalance = p->imbalance,
        .seed = p->seed,
        .seeds = p->seeds,
        .today = w->today,
        .fixed = w->in->fixed,
        .mode = p->mode,
        .move_price = p->move_price,
        .move_cap = p->move_cap,
        .keep_ratio = p->keep_ratio,
        .reference_ratio = p->reference_ratio,
        .lost_ratio = p->lost_ratio,
        .pool = w->in->pool,
        .watch = { go_on_cutting, w },
    };
    if (!go_on(w, PLACEMENT_CUT, 0))
        return pr_fail(err, PR_ECANCELED, "canceled before the cut");
    return placement_solve(&in, r->zone, &r->solved, err);
}

static enum pr_code assign(struct work *w, struct placement_result *r, struct pr_err *err)
{
    if (!go_on(w, PLACEMENT_ASSIGN, 0))
        return pr_fail(err, PR_ECANCELED, "canceled before partitions were chosen");
    const struct placement_assign_input a = { .store = w->in->store,
                                              .n = w->in->graph->n,
                                              .hash = w->hash,
                                              .current = w->current,
                                              .zone = r->zone };
    const struct placement_locality_input l = { .graph = w->in->graph,
                                                .store = w->in->store,
                                                .zone = r->zone,
                                                .current = w->current,
                                                .imbalance = w->in->params.imbalance,
                                                .seed = w->in->params.seed,
                                                .pool = w->in->pool,
                                                .watch = { go_on_assigning, w } };
    enum pr_code rc = w->in->params.by_locality ? placement_locality(&l, r->partition, r->load, err)
                                                : placement_assign(&a, r->partition, r->load, err);
    if (rc == PR_OK)
        rc = placement_targets_build(&a, r->partition, w->in->today, &r->targets, err);
    return rc;
}

static enum pr_code report(struct work *w, struct placement_result *r, struct pr_err *err)
{
    const struct placement_graph *g = w->in->graph;
    const uint32_t zones = w->in->store->zones;
    if (!go_on(w, PLACEMENT_REPORT, 0))
        return pr_fail(err, PR_ECANCELED, "canceled before the report");
    for (uint32_t v = 0; v < g->n; v++) {
        const bool moved = r->partition[v] != w->current[v];
        r->moves += moved;
        r->moved_weight += moved ? placement_vertex_weight(g, v) : 0;
        r->zone_moves += r->zone[v] != w->today[v];
    }
    const double *share = r->solved.share;
    enum pr_code rc = placement_figures(g, w->today, zones, share, w->in->pool, &r->before, err);
    if (rc == PR_OK)
        rc = placement_figures(g, r->zone, zones, share, w->in->pool, &r->after, err);
    return rc;
}

/* Hands the result over, or frees it. */
static enum pr_code settle(struct work *w, struct placement_result *r, enum pr_code rc,
                           struct placement_result *out)
{
    free(w->hash);
    free(w->today);
    if (rc == PR_OK)
        *out = *r;
    else
        placement_result_done(r);
    free(r);
    return rc;
}

enum pr_code placement_compute(const struct placement_input *in, struct placement_result *out,
                               struct pr_err *err)
{
    struct work w = { .in = in };
    struct placement_result *r = calloc(1, sizeof *r); /* figures are large */
    if (r == NULL)
        return no_memory(&w, err);
    enum pr_code rc = prepare(&w, r, err);
    if (rc == PR_OK)
        rc = solve(&w, r, err);
    if (rc == PR_OK)
        rc = assign(&w, r, err);
    if (rc == PR_OK)
        rc = report(&w, r, err);
    return settle(&w, r, rc, out);
}

static enum pr_code weigh_capacities(const struct placement_input *in, struct placement_result *r,
                                     struct pr_err *err)
{
    double ratio[PLACEMENT_MAX_ZONES];
    for (uint32_t z = 0; z < in->store->zones; z++)
        ratio[z] = in->store->zone[z].capacity_ratio;
    return placement_capacities(ratio, in->store->zones, in->graph->vertex_weight_sum,
                                in->params.imbalance, r->solved.share, r->solved.capacity, err);
}

enum pr_code placement_measure(const struct placement_input *in, struct placement_result *out,
                               struct pr_err *err)
{
    struct work w = { .in = in };
    struct placement_result *r = calloc(1, sizeof *r);
    if (r == NULL)
        return no_memory(&w, err);
    enum pr_code rc = prepare(&w, r, err);
    if (rc == PR_OK)
        rc = weigh_capacities(in, r, err);
    if (rc == PR_OK && !go_on(&w, PLACEMENT_REPORT, 0))
        rc = pr_fail(err, PR_ECANCELED, "canceled before the report");
    if (rc == PR_OK)
        rc = placement_figures(in->graph, w.today, in->store->zones, r->solved.share, in->pool,
                               &r->before, err);
    if (rc == PR_OK)
        r->after = r->before;
    return settle(&w, r, rc, out);
}

void placement_result_done(struct placement_result *r)
{
    free(r->zone);
    free(r->partition);
    free(r->current);
    free(r->load);
    placement_targets_done(&r->targets);
    r->zone = NULL;
    r->partition = NULL;
    r->current = NULL;
    r->load = NULL;
}
