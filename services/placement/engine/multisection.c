#include "engine/multisection.h"

#include "engine/multilevel.h"
#include "engine/refine.h"
#include "engine/subgraph.h"
#include "prism/rng.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    DIRECT = 128, /* blocks that one multilevel cut makes well */
    LAST_STALE = 4,
};

/* Groups of consecutive blocks. */
struct sections {
    const struct placement_partition_input *in;
    uint64_t seed;
    bool quick;
    uint32_t groups, a_group; /* blocks a group; the last may have fewer */
    uint64_t *capacity;       /* [groups] */
    uint16_t *group;          /* [n] */
    struct placement_members members;
    uint16_t *block; /* [n] */
    atomic_bool stop;
    atomic_int failed; /* enum pr_code, 0 while none has */
    atomic_uint solved;
};

static uint32_t first_block(const struct sections *s, uint32_t group)
{
    const uint32_t first = group * s->a_group;
    return first < s->in->blocks ? first : s->in->blocks;
}

static uint16_t group_of(const struct sections *s, uint16_t fixed)
{
    if (fixed == PLACEMENT_FREE)
        return PLACEMENT_FREE;
    return (uint16_t)(fixed / s->a_group);
}

static uint16_t within_group(uint32_t first, uint16_t fixed)
{
    if (fixed == PLACEMENT_FREE)
        return PLACEMENT_FREE;
    return (uint16_t)(fixed - first);
}

/* Groups share what room there is to spare with the cuts inside them. */
static void set_capacities(struct sections *s)
{
    const double levels = ceil(log((double)s->in->blocks) / log(DIRECT));
    double room = 0;
    for (uint32_t b = 0; b < s->in->blocks; b++)
        room += (double)s->in->capacity[b];
    const double total = (double)s->in->graph->vertex_weight_sum;
    const double slack = total > 0 ? pow(room / total, 1 / levels) : 1;
    for (uint32_t i = 0; i < s->groups; i++) {
        double sum = 0;
        for (uint32_t b = first_block(s, i); b < first_block(s, i + 1); b++)
            sum += (double)s->in->capacity[b];
        const double part = room > 0 ? ceil(sum / room * total * slack) : 0;
        s->capacity[i] = (uint64_t)fmin(fmin(part, sum), total);
    }
}

static enum pr_code cut_groups(struct sections *s, struct pr_err *err)
{
    const uint32_t n = s->in->graph->n;
    struct placement_partition_input in = *s->in;
    uint16_t *fixed = NULL;
    bool balanced;
    if (s->in->fixed != NULL) {
        fixed = malloc(((size_t)n + 1) * sizeof *fixed);
        if (fixed == NULL)
            return pr_fail(err, PR_ENOMEM, "out of memory cutting %u vertices", n);
        for (uint32_t v = 0; v < n; v++)
            fixed[v] = group_of(s, s->in->fixed[v]);
    }
    in.blocks = s->groups;
    in.capacity = s->capacity;
    in.fixed = fixed;
    enum pr_code rc = placement_multisection(&in, s->seed, s->quick, s->group, &balanced, err);
    free(fixed);
    return rc;
}

/* --- within groups, several at a time ------------------------------------- */

static bool not_stopped(void *ctx, double done)
{
    const struct sections *s = ctx;
    (void)done;
    return !atomic_load_explicit(&s->stop, memory_order_relaxed);
}

/* Only the caller's thread may ask whether to go on; it tells the others. */
static bool ask(void *ctx, double done)
{
    struct sections *s = ctx;
    const struct placement_watch *w = &s->in->watch;
    (void)done;
    if (w->go_on != NULL && !w->go_on(w->ctx, (double)atomic_load(&s->solved) / s->groups))
        atomic_store(&s->stop, true);
    return not_stopped(ctx, done);
}

static enum pr_code cut_group(struct sections *s, unsigned worker, uint32_t i)
{
    const uint32_t first = first_block(s, i), *member = s->members.member + s->members.begin[i];
    struct placement_graph sub;
    enum pr_code rc =
        placement_subgraph(s->in->graph, s->group, &s->members, (uint16_t)i, &sub, NULL);
    if (rc != PR_OK)
        return rc;
    uint16_t *block = malloc(((size_t)sub.n + 1) * sizeof *block);
    uint16_t *fixed = s->in->fixed == NULL ? NULL : malloc(((size_t)sub.n + 1) * sizeof *fixed);
    const struct placement_partition_input in = {
        .graph = &sub,
        .blocks = first_block(s, i + 1) - first,
        .capacity = s->in->capacity + first,
        .fixed = fixed,
        .watch = { worker == 0 ? ask : not_stopped, s },
    };
    bool balanced;
    if (block == NULL || (s->in->fixed != NULL && fixed == NULL))
        rc = PR_ENOMEM;
    for (uint32_t v = 0; v < sub.n && fixed != NULL && rc == PR_OK; v++)
        fixed[v] = within_group(first, s->in->fixed[member[v]]);
    if (rc == PR_OK)
        rc = placement_multisection(&in, pr_mix64(s->seed + i + 1), true, block, &balanced, NULL);
    for (uint32_t v = 0; v < sub.n && rc == PR_OK; v++)
        s->block[member[v]] = (uint16_t)(first + block[v]);
    free(block);
    free(fixed);
    placement_graph_done(&sub);
    return rc;
}

static void cut_some(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct sections *s = ctx;
    for (uint64_t i = begin; i < end; i++) {
        int none = 0;
        if (atomic_load(&s->failed) != 0)
            return;
        const enum pr_code rc = cut_group(s, worker, (uint32_t)i);
        if (rc != PR_OK)
            atomic_compare_exchange_strong(&s->failed, &none, (int)rc);
        atomic_fetch_add(&s->solved, 1);
        if (worker == 0)
            ask(s, 0);
    }
}

static enum pr_code cut_within(struct sections *s, struct pr_err *err)
{
    enum pr_code rc =
        placement_members_init(s->group, s->in->graph->n, s->groups, &s->members, err);
    if (rc != PR_OK)
        return rc;
    pr_pool_for(s->in->pool, s->groups, 1, cut_some, s);
    rc = (enum pr_code)atomic_load(&s->failed);
    if (rc == PR_OK && atomic_load(&s->stop))
        rc = PR_ECANCELED;
    return rc == PR_OK ? rc
                       : pr_fail(err, rc, "%s cutting %u groups of blocks",
                                 rc == PR_ECANCELED ? "canceled" : "out of memory", s->groups);
}

static enum pr_code refine_all(const struct sections *s, bool *balanced, struct pr_err *err)
{
    const struct placement_refine_input in = {
        .graph = s->in->graph,
        .blocks = s->in->blocks,
        .capacity = s->in->capacity,
        .fixed = s->in->fixed,
        .patience = 0.25,
        .stale = LAST_STALE,
        .pool = s->in->pool,
        .watch = &s->in->watch,
        .done = 1,
    };
    uint64_t cut;
    return placement_refine_level(&in, s->block, &cut, balanced, err);
}

enum pr_code placement_multisection(const struct placement_partition_input *in, uint64_t seed,
                                    bool quick, uint16_t *block, bool *balanced, struct pr_err *err)
{
    if (in->blocks <= DIRECT)
        return placement_multilevel(in, seed, quick, block, balanced, err);
    struct sections s = { .in = in, .seed = seed, .quick = quick, .block = block };
    const uint32_t root = (uint32_t)ceil(sqrt((double)in->blocks));
    s.groups = root < DIRECT ? root : DIRECT;
    s.a_group = (in->blocks + s.groups - 1) / s.groups;
    s.groups = (in->blocks + s.a_group - 1) / s.a_group;
    s.capacity = malloc(s.groups * sizeof *s.capacity);
    s.group = malloc(((size_t)in->graph->n + 1) * sizeof *s.group);
    enum pr_code rc = PR_OK;
    if (s.capacity == NULL || s.group == NULL)
        rc = pr_fail(err, PR_ENOMEM, "out of memory cutting %u vertices", in->graph->n);
    if (rc == PR_OK) {
        set_capacities(&s);
        rc = cut_groups(&s, err);
    }
    if (rc == PR_OK)
        rc = cut_within(&s, err);
    if (rc == PR_OK)
        rc = refine_all(&s, balanced, err);
    placement_members_done(&s.members);
    free(s.capacity);
    free(s.group);
    return rc;
}
