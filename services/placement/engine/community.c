#include "engine/community_level.h"
#include "engine/contract.h"
#include "engine/scale.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Measured on web, social, road and planted graphs (docs/reference/benchmarks.md). */
enum {
    LEVELS_MAX = 48,
    BATCH_MIN = 16,
    BATCH_OF = 64,      /* a batch is at most this part of the vertices */
    BATCH_PLAIN = 1024, /* until this part of them is larger: */
    BATCH_OF_LARGE = 1024,
    /* On the finest level a community may not grow beyond this part of all
     * strength: else the order in which vertices come, more than the graph,
     * decides which large ones are joined for good. */
    SHARE_OF_ALL = 70,
    WATCH_ARCS = 1 << 18,
    SCANS = 8, /* the rows are gone through about so often, all told */
    VERTEX_GRAIN = 8192,
};
static const double STILL_DOWN = .03; /* of vertices moved in a round; the way back up */
static const double STILL_UP = .003;  /* tells what is left to be gained */

uint32_t placement_community_batch(const struct placement_graph *g)
{
    if (g->arcs < COMMUNITY_SMALL_ARCS)
        return 1;
    uint32_t batch = g->n / BATCH_OF < BATCH_PLAIN ? g->n / BATCH_OF : BATCH_PLAIN;
    if (g->n / BATCH_OF_LARGE > batch)
        batch = g->n / BATCH_OF_LARGE;
    if (batch > COMMUNITY_BATCH_MAX)
        batch = COMMUNITY_BATCH_MAX;
    return batch < BATCH_MIN ? BATCH_MIN : batch;
}

static double done_of(const struct community_work *w)
{
    const double done = (double)w->scanned / (double)w->scanned_all;
    return done < .99 ? done : .99;
}

bool placement_community_go_on(struct community_work *w, uint64_t scanned)
{
    w->scanned += scanned;
    w->unwatched += scanned;
    if (w->canceled || w->unwatched < WATCH_ARCS || w->watch.go_on == NULL)
        return !w->canceled;
    w->unwatched = 0;
    w->canceled = !w->watch.go_on(w->watch.ctx, done_of(w));
    return !w->canceled;
}

void placement_community_totals(struct community_work *w, const struct community_level *l)
{
    const uint32_t n = l->g->n;
    memset(w->total, 0, (size_t)n * sizeof *w->total);
    for (uint32_t v = 0; v < n; v++)
        w->total[l->label[v]] += l->strength[v];
    if (w->weight == NULL)
        return;
    memset(w->weight, 0, (size_t)n * sizeof *w->weight);
    for (uint32_t v = 0; v < n; v++)
        w->weight[l->label[v]] += placement_vertex_weight(l->g, v);
}

/* --- memory ---------------------------------------------------------------- */

static void close_level(struct community_level *l)
{
    placement_graph_done(&l->made);
    free(l->strength);
    free(l->label);
    free(l->parent);
    *l = (struct community_level){ 0 };
}

static bool open_level(struct community_level *l, const struct placement_graph *g)
{
    const size_t n = (size_t)g->n + 1;
    l->g = g;
    l->strength = calloc(n, sizeof *l->strength);
    l->label = malloc(n * sizeof *l->label);
    l->parent = malloc(n * sizeof *l->parent);
    return l->strength != NULL && l->label != NULL && l->parent != NULL;
}

static void close_work(struct community_work *w)
{
    for (unsigned i = 0; w->worker != NULL && i < w->threads; i++) {
        free(w->worker[i].count);
        free(w->worker[i].sum);
        free(w->worker[i].touched);
        free(w->worker[i].scratch);
    }
    free(w->worker);
    free(w->total);
    free(w->weight);
    free((void *)w->state);
    free(w->want);
    free(w->batch);
    free(w->order);
    free(w->yield);
    free(w->group_total);
}

/* Memory that is never touched is never real: sum, by graphs without weights
 * on their smaller levels only. */
static bool open_workers(struct community_work *w, const struct placement_graph *g)
{
    const size_t n = (size_t)g->n + 1;
    w->worker = calloc(w->threads, sizeof *w->worker);
    if (w->worker == NULL)
        return false;
    for (unsigned i = 0; i < w->threads; i++) {
        struct community_worker *k = &w->worker[i];
        k->count = g->weight == NULL ? calloc(n, sizeof *k->count) : NULL;
        k->sum = calloc(n, sizeof *k->sum);
        k->touched = malloc(n * sizeof *k->touched);
        k->scratch =
            g->coded == NULL ? NULL : malloc(((size_t)g->degree_max + 1) * sizeof *k->scratch);
        if ((g->weight == NULL && k->count == NULL) || k->sum == NULL || k->touched == NULL ||
            (g->coded != NULL && k->scratch == NULL))
            return false;
    }
    return true;
}

static bool open_work(struct community_work *w, const struct placement_graph *g)
{
    const size_t n = (size_t)g->n + 1;
    w->total = malloc(n * sizeof *w->total);
    w->weight = w->max_weight == UINT64_MAX ? NULL : malloc(n * sizeof *w->weight);
    w->state = malloc(n * sizeof *w->state);
    w->want = malloc(n * sizeof *w->want);
    w->batch = malloc(COMMUNITY_BATCH_MAX * sizeof *w->batch);
    w->order = malloc(n * sizeof *w->order);
    w->yield = malloc(COMMUNITY_BATCH_MAX * sizeof *w->yield);
    w->group_total = malloc(n * sizeof *w->group_total);
    return w->total != NULL && (w->max_weight == UINT64_MAX || w->weight != NULL) &&
           w->state != NULL && w->want != NULL && w->batch != NULL && w->order != NULL &&
           w->yield != NULL && w->group_total != NULL && open_workers(w, g);
}

/* --- levels ---------------------------------------------------------------- */

static void find_strength(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    void **arg = ctx;
    struct community_level *l = arg[0];
    const struct community_work *w = arg[1];
    for (uint32_t v = (uint32_t)begin; v < end; v++) {
        if (l->g->coded == NULL && l->g->weight == NULL) {
            l->strength[v] = l->g->start[v + 1] - l->g->start[v];
            continue;
        }
        const struct placement_row row = placement_row(l->g, v, w->worker[worker].scratch);
        for (uint32_t i = 0; i < row.n; i++)
            l->strength[v] += placement_arc_weight(&row, i);
    }
}

static void set_singletons(struct community_level *l)
{
    for (uint32_t v = 0; v < l->g->n; v++)
        l->label[v] = v;
}

/* A vertex of the next level starts in the community its group lies in, called
 * by the first such group. */
static void carry_labels(struct community_work *w, const struct community_level *l,
                         struct community_level *next)
{
    uint32_t *name = w->want; /* of a community */
    memset(name, 0xff, (size_t)l->g->n * sizeof *name);
    for (uint32_t v = 0; v < l->g->n; v++) {
        uint32_t *called = &name[l->label[v]];
        if (*called == UINT32_MAX)
            *called = l->parent[v];
        next->label[l->parent[v]] = *called;
    }
}

/* PR_OK also when nothing could be joined: then next->g has as many vertices. */
static enum pr_code contract(struct community_work *w, struct community_level *l,
                             struct community_level *next, bool refined, struct pr_err *err)
{
    const uint32_t n = l->g->n;
    if (!refined)
        memcpy(l->parent, l->label, (size_t)n * sizeof *l->parent);
    const enum pr_code rc =
        placement_contract(l->g, l->parent, w->pool, &next->made, NULL, &w->watch, done_of(w), err);
    if (rc != PR_OK)
        return rc;
    if (!open_level(next, &next->made))
        return pr_fail(err, PR_ENOMEM, "out of memory for %u communities", next->made.n);
    for (uint32_t v = 0; v < n; v++)
        next->strength[l->parent[v]] += l->strength[v];
    (void)placement_community_go_on(w, n);
    if (refined)
        carry_labels(w, l, next);
    else
        set_singletons(next);
    (void)placement_community_go_on(w, l->g->arcs);
    return PR_OK;
}

static bool is_worth_going_on(const struct community_level *l, const struct community_level *next)
{
    return next->g->n < l->g->n - l->g->n / 64 && next->g->arcs > 0;
}

/* From the finest level down to one on which nothing joins any more, then back
 * up, moving again on each level: what was joined too early comes apart. */
static enum pr_code go_through_levels(struct community_work *w, struct community_level *level,
                                      bool refined, uint32_t *levels, struct pr_err *err)
{
    uint32_t i = 0;
    for (; i + 1 < LEVELS_MAX && !w->canceled; i++) {
        placement_community_totals(w, &level[i]);
        placement_community_move(w, &level[i], STILL_DOWN);
        w->max_total = UINT64_MAX;
        if (refined)
            placement_community_refine(w, &level[i]);
        const enum pr_code rc = contract(w, &level[i], &level[i + 1], refined, err);
        if (rc != PR_OK)
            return rc;
        if (!is_worth_going_on(&level[i], &level[i + 1]))
            break;
    }
    *levels = i;
    close_level(&level[i + 1]);
    while (i-- > 0 && !w->canceled) {
        struct community_level *l = &level[i];
        for (uint32_t v = 0; v < l->g->n; v++)
            l->label[v] = level[i + 1].label[l->parent[v]];
        close_level(&level[i + 1]);
        (void)placement_community_go_on(w, l->g->n);
        placement_community_totals(w, l);
        (void)placement_community_go_on(w, l->g->n);
        placement_community_move(w, l, STILL_UP);
    }
    return PR_OK;
}

/* --- all together ---------------------------------------------------------- */

static enum pr_code check(const struct placement_communities_input *in, struct pr_err *err)
{
    if (!(in->resolution > 0) || isinf(in->resolution))
        return pr_fail(err, PR_EINVAL, "resolution %g, it must be above 0", in->resolution);
    if (in->max_weight > 0 && in->min_weight > in->max_weight)
        return pr_fail(err, PR_EINVAL,
                       "communities of at least %llu and at most %llu contradict each other",
                       (unsigned long long)in->min_weight, (unsigned long long)in->max_weight);
    for (uint32_t v = 0; in->max_weight > 0 && v < in->graph->n; v++) {
        const uint64_t weight = placement_vertex_weight(in->graph, v);
        if (weight > in->max_weight)
            return pr_fail(err, PR_EFULL, "vertex %llu weighs %llu, a community at most %llu",
                           (unsigned long long)placement_id(in->graph, v),
                           (unsigned long long)weight, (unsigned long long)in->max_weight);
    }
    return PR_OK;
}

static void limit_finest(struct community_work *w, const struct community_level *finest)
{
    uint64_t heaviest = 0;
    w->max_total = UINT64_MAX;
    if (finest->g->arcs < COMMUNITY_SMALL_ARCS)
        return;
    for (uint32_t v = 0; v < finest->g->n; v++)
        if (finest->strength[v] > heaviest)
            heaviest = finest->strength[v];
    w->max_total = 2 * finest->g->weight_sum / SHARE_OF_ALL;
    if (heaviest > w->max_total / 4)
        w->max_total = heaviest * 4; /* a hub must be able to have a community */
}

static enum pr_code find(const struct placement_communities_input *in, struct community_work *w,
                         struct community_level *level, struct placement_communities *out,
                         struct pr_err *err)
{
    const struct placement_graph *g = in->graph;
    if (!open_work(w, g) || !open_level(&level[0], g))
        return pr_fail(err, PR_ENOMEM, "out of memory for communities of %u vertices", g->n);
    set_singletons(&level[0]);
    void *arg[] = { &level[0], w };
    pr_pool_for(w->pool, g->n, VERTEX_GRAIN, find_strength, arg);
    (void)placement_community_go_on(w, g->arcs);

    enum pr_code rc = PR_OK;
    if (g->weight_sum > 0) {
        w->per = in->resolution / (2 * (double)g->weight_sum);
        limit_finest(w, &level[0]);
        rc = go_through_levels(w, level, in->method == PLACEMENT_LEIDEN, &out->levels, err);
    }
    if (rc == PR_OK && !w->canceled) {
        uint32_t *community = level[0].parent;
        out->count =
            placement_community_number(w, &level[0], in->method == PLACEMENT_LEIDEN, community);
        if (in->min_weight > 1 && !w->canceled)
            rc = placement_community_join_small(w, g, in->min_weight, community, &out->count,
                                                &out->below_min, err);
    }
    if (rc == PR_OK && w->canceled)
        return pr_fail(err, PR_ECANCELED, "canceled");
    return rc;
}

enum pr_code placement_communities(const struct placement_communities_input *in,
                                   uint32_t *community, struct placement_communities *out,
                                   struct pr_err *err)
{
    enum pr_code rc = check(in, err);
    if (rc != PR_OK)
        return rc;
    struct placement_graph scaled;
    rc = placement_scaled(in->graph, &scaled, err); /* contraction adds weights in 32 bits */
    if (rc != PR_OK)
        return rc;
    const struct placement_graph *g = &scaled;
    struct placement_communities_input on_scaled = *in;
    on_scaled.graph = g;
    struct community_work w = {
        .pool = in->pool,
        .watch = in->watch,
        .max_weight = in->max_weight == 0 ? UINT64_MAX : in->max_weight,
        .scanned_all = SCANS * g->arcs + 1,
        .threads = pr_pool_threads(in->pool),
    };
    struct community_level level[LEVELS_MAX + 1] = { { 0 } };
    struct placement_communities found = { 0 };
    pr_rng_init(&w.rng, in->seed);
    rc = find(&on_scaled, &w, level, &found, err);
    if (rc == PR_OK) {
        found.modularity = placement_community_modularity(&w, in->graph, level[0].parent,
                                                          in->resolution, in->pool);
        if (w.canceled)
            rc = pr_fail(err, PR_ECANCELED, "canceled");
        else if (isnan(found.modularity))
            rc = pr_fail(err, PR_ENOMEM, "out of memory for modularity of %u vertices", g->n);
    }
    if (rc == PR_OK) {
        memcpy(community, level[0].parent, (size_t)g->n * sizeof *community);
        *out = found;
    }
    for (unsigned i = 0; i <= LEVELS_MAX; i++)
        close_level(&level[i]);
    close_work(&w);
    placement_scaled_done(in->graph, &scaled);
    return rc;
}

uint64_t placement_communities_bytes(uint32_t n, uint64_t arcs, bool weighted, unsigned threads)
{
    /* The second level has most of the entries, in plain rows with weights: on
     * graphs without structure nearly as many as the first. */
    return (uint64_t)n * (64 + 16 * (uint64_t)threads) + 10 * arcs + (weighted ? 4 * arcs : 0);
}
