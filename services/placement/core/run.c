#include "core/run.h"

#include "core/balance.h"
#include "core/match.h"

#include <stdlib.h>
#include <string.h>

enum { REFINE_PASSES = 8 };

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

/* Everything a run needs while it is computed. Blocks are zones with capacity. */
struct work {
    const struct placement_input *in;
    uint32_t blocks;
    uint16_t zone_of_block[PLACEMENT_MAX_ZONES];
    uint16_t block_of_zone[PLACEMENT_MAX_ZONES]; /* PLACEMENT_FREE: none */
    double share[PLACEMENT_MAX_ZONES];           /* by block */
    uint64_t capacity[PLACEMENT_MAX_ZONES];      /* by block */
    uint64_t *hash;                              /* [n] */
    uint32_t *current;                           /* [n] partition today */
    uint16_t *trial, *best;                      /* [n] */
    uint64_t best_cut, best_balanced;
};

static bool go_on(const struct work *w, enum placement_phase phase, double done)
{
    return w->in->go_on == NULL || w->in->go_on(w->in->ctx, phase, done);
}

static enum pr_code no_memory(const struct work *w, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory placing %u vertices", w->in->graph->n);
}

static enum pr_code check(const struct placement_params *p, struct pr_err *err)
{
    if (p->seeds == 0 || p->seeds > PLACEMENT_MAX_SEEDS)
        return pr_fail(err, PR_EINVAL, "%u seeds, 1 to %d are supported", p->seeds,
                       PLACEMENT_MAX_SEEDS);
    if (!(p->keep_ratio >= 0 && p->keep_ratio <= 1))
        return pr_fail(err, PR_EINVAL, "keep ratio %g is outside 0..1", p->keep_ratio);
    return PR_OK;
}

static enum pr_code prepare(struct work *w, struct placement_result *r, struct pr_err *err)
{
    const struct placement_graph *g = w->in->graph;
    const struct placement_store *s = w->in->store;
    enum pr_code rc = check(&w->in->params, err);
    if (rc == PR_OK)
        rc = placement_capacity(s, g->n, w->in->params.imbalance, r->share, r->capacity, err);
    if (rc != PR_OK)
        return rc;
    for (uint16_t z = 0; z < s->zones; z++) {
        w->block_of_zone[z] = PLACEMENT_FREE;
        if (r->capacity[z] == 0)
            continue;
        w->block_of_zone[z] = (uint16_t)w->blocks;
        w->zone_of_block[w->blocks] = z;
        w->share[w->blocks] = r->share[z];
        w->capacity[w->blocks++] = r->capacity[z];
    }

    w->hash = malloc(g->n * sizeof *w->hash);
    w->current = malloc(g->n * sizeof *w->current);
    w->trial = malloc(g->n * sizeof *w->trial);
    w->best = malloc(g->n * sizeof *w->best);
    r->zone = malloc(g->n * sizeof *r->zone);
    r->partition = malloc(g->n * sizeof *r->partition);
    r->load = malloc(s->partitions * sizeof *r->load);
    if (w->hash == NULL || w->current == NULL || w->trial == NULL || w->best == NULL ||
        r->zone == NULL || r->partition == NULL || r->load == NULL)
        return no_memory(w, err);
    for (uint32_t v = 0; v < g->n; v++) {
        w->hash[v] = placement_vertex_hash(g->id[v]);
        w->current[v] = placement_today_find(w->in->today, w->hash[v]);
    }
    return PR_OK;
}

static uint16_t zone_today(const struct work *w, uint32_t v)
{
    return w->in->store->zone_of[w->current[v]];
}

/* Balances and improves the trial; *cut: what it then cuts. */
static enum pr_code polish(struct work *w, uint64_t *cut, uint64_t *balanced, struct pr_err *err)
{
    const struct placement_graph *g = w->in->graph;
    enum pr_code rc = placement_balance(g, w->blocks, w->capacity, w->trial, balanced, err);
    if (rc != PR_OK)
        return rc;
    placement_refine(g, w->blocks, w->capacity, w->trial, REFINE_PASSES);
    *cut = placement_cut(g, w->trial);
    return PR_OK;
}

static void keep_trial(struct work *w, uint64_t cut, uint64_t balanced)
{
    uint16_t *swap = w->best;
    w->best = w->trial;
    w->trial = swap;
    w->best_cut = cut;
    w->best_balanced = balanced;
}

static enum pr_code cut_anew(struct work *w, struct placement_result *r, struct pr_err *err)
{
    const struct placement_params *p = &w->in->params;
    struct placement_engine_input e = {
        .graph = w->in->graph, .blocks = w->blocks, .share = w->share, .imbalance = p->imbalance
    };
    for (uint32_t i = 0; i < p->seeds; i++) {
        uint64_t cut, balanced;
        if (!go_on(w, PLACEMENT_CUT, (double)i / (p->seeds + 1)))
            return pr_fail(err, PR_ECANCELED, "canceled while cutting");
        e.seed = p->seed + i;
        enum pr_code rc = w->in->engine(&e, w->trial, err);
        if (rc == PR_OK)
            rc = polish(w, &cut, &balanced, err);
        if (rc != PR_OK)
            return rc;
        if (i == 0 || cut < w->best_cut) {
            keep_trial(w, cut, balanced);
            r->seed = e.seed;
        }
    }
    r->new_cut = w->best_cut;
    return PR_OK;
}

/* A fresh cut moves many vertices for little gain when only a little changed,
 * so today's placement, repaired, competes. Vertices in a zone that may hold
 * none start in the block they are tied to most. */
static enum pr_code try_today(struct work *w, struct placement_result *r, struct pr_err *err)
{
    const struct placement_graph *g = w->in->graph;
    uint64_t tie[PLACEMENT_MAX_ZONES], cut, balanced;
    bool homeless = false;
    for (uint32_t v = 0; v < g->n; v++) {
        w->trial[v] = w->block_of_zone[zone_today(w, v)];
        if (w->trial[v] == PLACEMENT_FREE) {
            w->trial[v] = 0;
            homeless = true;
        }
    }
    for (uint32_t v = 0; v < g->n && homeless; v++) {
        if (w->block_of_zone[zone_today(w, v)] != PLACEMENT_FREE)
            continue;
        placement_ties(g, w->trial, w->blocks, v, tie);
        for (uint16_t b = 1; b < w->blocks; b++)
            if (tie[b] > tie[w->trial[v]])
                w->trial[v] = b;
    }
    enum pr_code rc = polish(w, &cut, &balanced, err);
    if (rc != PR_OK)
        return rc;
    if ((double)cut <= (double)w->best_cut * (1 + w->in->params.keep_ratio)) {
        keep_trial(w, cut, balanced);
        r->kept_today = true;
    }
    return PR_OK;
}

/* Blocks of a new cut are unnamed; those kept from today have their zone. */
static enum pr_code name_blocks(struct work *w, const struct placement_result *r,
                                struct pr_err *err)
{
    if (r->kept_today)
        return PR_OK;
    uint64_t *overlap = calloc((size_t)w->blocks * w->blocks, sizeof *overlap);
    uint64_t size[PLACEMENT_MAX_ZONES] = { 0 };
    uint16_t named[PLACEMENT_MAX_ZONES], zone[PLACEMENT_MAX_ZONES];
    if (overlap == NULL)
        return no_memory(w, err);
    for (uint32_t v = 0; v < w->in->graph->n; v++) {
        const uint16_t today = w->block_of_zone[zone_today(w, v)];
        size[w->best[v]]++;
        if (today != PLACEMENT_FREE)
            overlap[(size_t)w->best[v] * w->blocks + today]++;
    }
    const struct placement_match_input m = {
        .k = w->blocks, .overlap = overlap, .size = size, .capacity = w->capacity
    };
    enum pr_code rc = placement_match(&m, named, err);
    free(overlap);
    if (rc != PR_OK)
        return rc;
    for (uint32_t b = 0; b < w->blocks; b++)
        zone[b] = w->zone_of_block[named[b]];
    memcpy(w->zone_of_block, zone, w->blocks * sizeof *zone);
    return PR_OK;
}

static enum pr_code assign(struct work *w, struct placement_result *r, struct pr_err *err)
{
    const struct placement_graph *g = w->in->graph;
    if (!go_on(w, PLACEMENT_ASSIGN, 0))
        return pr_fail(err, PR_ECANCELED, "canceled before partitions were chosen");
    for (uint32_t v = 0; v < g->n; v++)
        r->zone[v] = w->zone_of_block[w->best[v]];
    const struct placement_assign_input a = {
        .store = w->in->store, .n = g->n, .hash = w->hash, .current = w->current, .zone = r->zone
    };
    enum pr_code rc = placement_assign(&a, r->partition, r->load, err);
    if (rc == PR_OK)
        rc = placement_targets_build(&a, r->partition, w->in->today, &r->targets, err);
    return rc;
}

static enum pr_code report(struct work *w, struct placement_result *r, struct pr_err *err)
{
    const struct placement_graph *g = w->in->graph;
    const struct placement_store *s = w->in->store;
    if (!go_on(w, PLACEMENT_REPORT, 0))
        return pr_fail(err, PR_ECANCELED, "canceled before the report");
    for (uint32_t v = 0; v < g->n; v++) {
        w->trial[v] = zone_today(w, v);
        r->moves += r->partition[v] != w->current[v];
        r->zone_moves += r->zone[v] != w->trial[v];
    }
    placement_figures(g, w->trial, s->zones, r->share, &r->before);
    placement_figures(g, r->zone, s->zones, r->share, &r->after);
    r->balanced = w->best_balanced;
    return PR_OK;
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
        rc = cut_anew(&w, r, err);
    if (rc == PR_OK && !go_on(&w, PLACEMENT_CUT, (double)in->params.seeds / (in->params.seeds + 1)))
        rc = pr_fail(err, PR_ECANCELED, "canceled while cutting");
    if (rc == PR_OK)
        rc = try_today(&w, r, err);
    if (rc == PR_OK)
        rc = name_blocks(&w, r, err);
    if (rc == PR_OK)
        rc = assign(&w, r, err);
    if (rc == PR_OK)
        rc = report(&w, r, err);

    free(w.hash);
    free(w.current);
    free(w.trial);
    free(w.best);
    if (rc == PR_OK)
        *out = *r;
    else
        placement_result_done(r);
    free(r);
    return rc;
}

void placement_result_done(struct placement_result *r)
{
    free(r->zone);
    free(r->partition);
    free(r->load);
    placement_targets_done(&r->targets);
    r->zone = NULL;
    r->partition = NULL;
    r->load = NULL;
}
