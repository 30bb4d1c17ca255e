#include "core/solve.h"

#include "core/capacity.h"
#include "core/match.h"
#include "engine/warm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Part of a run's time that the warm start takes when a full run may follow. */
#define WARM_PART 0.1

struct solve {
    const struct placement_solve_input *in;
    struct placement_solve_result *out;
    double from, part; /* of the whole, that the engine's progress stands for */
};

const char *placement_mode_name(enum placement_mode mode)
{
    static const char *const name[] = { "auto", "warm", "full" };
    return name[mode];
}

double placement_random_ratio(const double *share, uint32_t zones)
{
    double together = 0;
    for (uint32_t z = 0; z < zones; z++)
        together += share[z] * share[z];
    return 1 - together;
}

static bool go_on(void *ctx, double done)
{
    const struct solve *s = ctx;
    const struct placement_watch *w = &s->in->watch;
    return w->go_on == NULL || w->go_on(w->ctx, s->from + s->part * done);
}

static struct placement_watch watch_part(struct solve *s, double from, double part)
{
    s->from = from;
    s->part = part;
    return (struct placement_watch){ go_on, s };
}

/* --- what is refused ------------------------------------------------------ */

static enum pr_code check_params(const struct placement_solve_input *in, struct pr_err *err)
{
    if (in->graph->n == 0)
        return pr_fail(err, PR_EINVAL, "empty graph: no vertex");
    if (in->zones == 0 || in->zones > PLACEMENT_MAX_ZONES)
        return pr_fail(err, PR_EINVAL, "%u zones, 1 to %d are supported", in->zones,
                       PLACEMENT_MAX_ZONES);
    if (in->seeds == 0)
        return pr_fail(err, PR_EINVAL, "0 seeds, at least 1 is needed");
    if (!(in->keep_ratio >= 0) || !(in->move_price >= 0))
        return pr_fail(err, PR_EINVAL, "keep ratio %g, move price %g: both must be 0 or more",
                       in->keep_ratio, in->move_price);
    if (in->mode == PLACEMENT_WARM && in->today == NULL)
        return pr_fail(err, PR_EINVAL, "a warm start needs a placement to start from");
    return PR_OK;
}

static enum pr_code check_weights(const struct solve *s, struct pr_err *err)
{
    const struct placement_graph *g = s->in->graph;
    uint64_t most = 0;
    uint32_t with_capacity = 0, heaviest = 0;
    for (uint32_t z = 0; z < s->in->zones; z++) {
        with_capacity += s->out->capacity[z] > 0;
        most = s->out->capacity[z] > most ? s->out->capacity[z] : most;
    }
    if (with_capacity > g->n)
        return pr_fail(err, PR_EINVAL, "more zones (%u) than vertices (%u)", with_capacity, g->n);
    for (uint32_t v = 0; g->vertex_weight != NULL && v < g->n; v++)
        if (g->vertex_weight[v] > g->vertex_weight[heaviest])
            heaviest = v;
    if (placement_vertex_weight(g, heaviest) > most)
        return pr_fail(
            err, PR_EFULL, "vertex %llu weighs %llu, more than the largest zone may hold (%llu)",
            (unsigned long long)placement_id(g, heaviest),
            (unsigned long long)placement_vertex_weight(g, heaviest), (unsigned long long)most);
    return PR_OK;
}

static enum pr_code check_fixed(const struct solve *s, struct pr_err *err)
{
    const struct placement_graph *g = s->in->graph;
    uint64_t held[PLACEMENT_MAX_ZONES] = { 0 };
    for (uint32_t v = 0; s->in->fixed != NULL && v < g->n; v++) {
        const uint16_t z = s->in->fixed[v];
        if (z == PLACEMENT_FREE)
            continue;
        if (z >= s->in->zones)
            return pr_fail(err, PR_EINVAL, "vertex %llu is fixed to zone %u, there are %u",
                           (unsigned long long)placement_id(g, v), z, s->in->zones);
        if (s->out->capacity[z] == 0)
            return pr_fail(err, PR_EINVAL, "vertex %llu is fixed to zone %u, which has no capacity",
                           (unsigned long long)placement_id(g, v), z);
        held[z] += placement_vertex_weight(g, v);
        if (held[z] > s->out->capacity[z])
            return pr_fail(err, PR_EFULL,
                           "the vertices fixed to zone %u do not fit: it may hold %llu", z,
                           (unsigned long long)s->out->capacity[z]);
    }
    return PR_OK;
}

static enum pr_code prepare(const struct solve *s, struct pr_err *err)
{
    enum pr_code rc = check_params(s->in, err);
    if (rc == PR_OK && s->in->graph->vertex_weight_sum == 0)
        rc = pr_fail(err, PR_EINVAL, "every vertex weighs 0: there is nothing to balance");
    if (rc == PR_OK)
        rc = placement_capacities(s->in->ratio, s->in->zones, s->in->graph->vertex_weight_sum,
                                  s->in->imbalance, s->out->share, s->out->capacity, err);
    if (rc == PR_OK)
        rc = check_weights(s, err);
    if (rc == PR_OK)
        rc = check_fixed(s, err);
    return rc;
}

/* --- the two ways --------------------------------------------------------- */

static bool anything_placed(const struct placement_solve_input *in)
{
    for (uint32_t v = 0; in->today != NULL && v < in->graph->n; v++)
        if (in->today[v] != PLACEMENT_FREE)
            return true;
    return false;
}

static enum pr_code solve_warm(struct solve *s, double part, uint16_t *zone, struct pr_err *err)
{
    const struct placement_warm_input w = {
        .graph = s->in->graph,
        .blocks = s->in->zones,
        .capacity = s->out->capacity,
        .today = s->in->today,
        .fixed = s->in->fixed,
        .price = s->in->move_price,
        .moves = s->in->move_cap,
        .pool = s->in->pool,
        .watch = watch_part(s, 0, part),
    };
    struct placement_warm_result r;
    enum pr_code rc = placement_warm(&w, zone, &r, err);
    if (rc != PR_OK)
        return rc;
    s->out->cut = s->out->cut_warm = r.cut;
    s->out->placed = r.placed;
    s->out->forced = r.forced;
    s->out->capped = r.capped;
    return PR_OK;
}

/* Zones that hold fixed vertices keep their blocks; the other blocks get the
 * names that leave most vertex weight where it is. */
struct naming {
    uint32_t k; /* blocks that are free to be named */
    uint16_t zone[PLACEMENT_MAX_ZONES], of_zone[PLACEMENT_MAX_ZONES]; /* of_zone: 0..k-1, or FREE */
    uint64_t size[PLACEMENT_MAX_ZONES], capacity[PLACEMENT_MAX_ZONES];
};

static void find_free(const struct solve *s, struct naming *nm)
{
    bool taken[PLACEMENT_MAX_ZONES] = { false };
    for (uint32_t v = 0; s->in->fixed != NULL && v < s->in->graph->n; v++)
        if (s->in->fixed[v] != PLACEMENT_FREE)
            taken[s->in->fixed[v]] = true;
    for (uint16_t z = 0; z < s->in->zones; z++) {
        nm->of_zone[z] = PLACEMENT_FREE;
        if (taken[z] || s->out->capacity[z] == 0)
            continue;
        nm->of_zone[z] = (uint16_t)nm->k;
        nm->zone[nm->k] = z;
        nm->capacity[nm->k++] = s->out->capacity[z];
    }
}

static enum pr_code name_zones(const struct solve *s, uint16_t *zone, struct pr_err *err)
{
    const struct placement_graph *g = s->in->graph;
    struct naming nm = { .k = 0 };
    uint16_t named[PLACEMENT_MAX_ZONES];
    find_free(s, &nm);
    if (nm.k == 0)
        return PR_OK;
    uint64_t *overlap = calloc((size_t)nm.k * nm.k, sizeof *overlap);
    if (overlap == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory placing %u vertices", g->n);
    for (uint32_t v = 0; v < g->n; v++) {
        const uint16_t b = nm.of_zone[zone[v]], today = s->in->today[v];
        if (b == PLACEMENT_FREE)
            continue;
        nm.size[b] += placement_vertex_weight(g, v);
        if (today != PLACEMENT_FREE && nm.of_zone[today] != PLACEMENT_FREE)
            overlap[(size_t)b * nm.k + nm.of_zone[today]] += placement_vertex_weight(g, v);
    }
    const struct placement_match_input m = {
        .k = nm.k, .overlap = overlap, .size = nm.size, .capacity = nm.capacity
    };
    enum pr_code rc = placement_match(&m, named, err);
    free(overlap);
    for (uint32_t v = 0; rc == PR_OK && v < g->n; v++)
        if (nm.of_zone[zone[v]] != PLACEMENT_FREE)
            zone[v] = nm.zone[named[nm.of_zone[zone[v]]]];
    return rc;
}

static enum pr_code solve_full(struct solve *s, double from, uint16_t *zone, struct pr_err *err)
{
    const struct placement_partition_input p = {
        .graph = s->in->graph,
        .blocks = s->in->zones,
        .capacity = s->out->capacity,
        .fixed = s->in->fixed,
        .seed = s->in->seed,
        .seeds = s->in->seeds,
        .pool = s->in->pool,
        .watch = watch_part(s, from, 1 - from),
    };
    struct placement_partition_result r;
    if (!go_on(s, 0)) /* small graphs are cut without asking */
        return pr_fail(err, PR_ECANCELED, "canceled before the cut");
    enum pr_code rc = placement_partition(&p, zone, &r, err);
    if (rc != PR_OK)
        return rc;
    s->out->cut_full = r.cut;
    s->out->seed = r.seed;
    return s->in->today == NULL ? PR_OK : name_zones(s, zone, err);
}

static enum pr_code solve_anew(struct solve *s, double from, const char *why, uint16_t *zone,
                               struct pr_err *err)
{
    enum pr_code rc = solve_full(s, from, zone, err);
    s->out->cut = s->out->cut_full;
    s->out->mode = PLACEMENT_FULL;
    s->out->why = why;
    return rc;
}

/* --- which of them -------------------------------------------------------- */

/* Whether a full run is due after the warm start, and why (or why not). */
static bool full_is_due(const struct solve *s, const char **why)
{
    const struct placement_solve_input *in = s->in;
    if (in->mode != PLACEMENT_AUTO) {
        *why = "asked for";
        return in->mode == PLACEMENT_FULL;
    }
    if (in->reference_ratio < 0) {
        *why = "no full run to compare with";
        return true;
    }
    if (placement_warm_spent(s->out->cut_warm, in->graph->weight_sum, in->reference_ratio,
                             in->lost_ratio)) {
        *why = "locality was lost since the last full run";
        return true;
    }
    *why = "locality holds against the last full run";
    return false;
}

struct moved {
    uint64_t vertices, weight;
};

static struct moved moved_by(const struct placement_solve_input *in, const uint16_t *zone)
{
    struct moved m = { 0, 0 };
    for (uint32_t v = 0; v < in->graph->n; v++)
        if (in->today[v] != PLACEMENT_FREE && in->today[v] != zone[v]) {
            m.vertices++;
            m.weight += placement_vertex_weight(in->graph, v);
        }
    return m;
}

/* Whether the new cut saves more than its moves cost beyond the warm start's. */
static bool full_pays(const struct solve *s, const uint16_t *warm, const uint16_t *full,
                      const char **why)
{
    const struct placement_solve_input *in = s->in;
    const double saved = (double)s->out->cut_warm - (double)s->out->cut_full;
    const struct moved w = moved_by(in, warm), f = moved_by(in, full);
    const double price = in->move_price * ((double)f.weight - (double)w.weight);
    if (saved <= (double)s->out->cut_full * in->keep_ratio) {
        *why = "a new cut is hardly better";
        return false;
    }
    if (saved <= price) {
        *why = "a new cut does not save what its moves cost";
        return false;
    }
    if (f.vertices > in->move_cap && f.vertices - in->move_cap > s->out->forced) {
        *why = "a new cut would move more vertices than allowed";
        return false;
    }
    return true;
}

static enum pr_code choose(struct solve *s, uint16_t *zone, struct pr_err *err)
{
    const uint32_t n = s->in->graph->n;
    const char *why;
    enum pr_code rc = solve_warm(s, s->in->mode == PLACEMENT_WARM ? 1 : WARM_PART, zone, err);
    if (rc == PR_EFULL && s->in->mode != PLACEMENT_WARM)
        return solve_anew(s, WARM_PART, "today's placement cannot be made to fit", zone, err);
    if (rc != PR_OK)
        return rc;
    s->out->mode = PLACEMENT_WARM;
    const bool due = full_is_due(s, &why);
    s->out->why = why;
    if (!due)
        return PR_OK;
    uint16_t *full = malloc(n * sizeof *full);
    if (full == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory placing %u vertices", n);
    rc = solve_full(s, WARM_PART, full, err);
    if (rc == PR_EFULL) { /* what is improved does fit */
        s->out->why = "a new cut cannot be made to fit";
        rc = PR_OK;
    } else if (rc == PR_OK && full_pays(s, zone, full, &s->out->why)) {
        memcpy(zone, full, n * sizeof *full);
        s->out->cut = s->out->cut_full;
        s->out->mode = PLACEMENT_FULL;
    }
    free(full);
    return rc;
}

enum pr_code placement_solve(const struct placement_solve_input *in, uint16_t *zone,
                             struct placement_solve_result *out, struct pr_err *err)
{
    struct placement_solve_result r = { .cut_warm = UINT64_MAX, .cut_full = UINT64_MAX };
    struct solve s = { .in = in, .out = &r };
    enum pr_code rc = prepare(&s, err);
    if (rc != PR_OK)
        return rc;
    rc = anything_placed(in) ? choose(&s, zone, err)
                             : solve_anew(&s, 0, "there is no placement yet", zone, err);
    if (rc == PR_OK)
        *out = r;
    return rc;
}
