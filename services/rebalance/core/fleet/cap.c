/* A plan's limit on slots and bytes: the most useful moves first. */
#include "core/fleet/draft.h"

#include <stdlib.h>

struct capped { /* moves by pair, heaviest first in each */
    int16_t slot, from, to;
    double weight;
};

static int by_pair(const void *va, const void *vb)
{
    const struct capped *a = va, *b = vb;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

struct run { /* of one pair */
    size_t next, end;
};

static bool within(const struct draft *d, size_t slots, double bytes)
{
    return (d->lim.max_slots == 0 || slots <= d->lim.max_slots) &&
           (d->lim.max_bytes <= 0 || bytes <= d->lim.max_bytes);
}

/* The pair whose shards differ most; with named groups the heaviest move. */
static size_t most_useful(const struct draft *d, const struct capped *m, const struct run *run,
                          size_t runs, const double *held)
{
    size_t best = runs;
    double most = 0;
    for (size_t r = 0; r < runs; r++) {
        if (run[r].next == run[r].end)
            continue;
        const struct capped *c = &m[run[r].next];
        const double use =
            d->goal->kind == REBALANCE_ASSIGN ? c->weight : held[c->from] - held[c->to];
        if (best == runs || use > most) {
            best = r;
            most = use;
        }
    }
    return best;
}

static size_t find_runs(const struct capped *m, size_t n, struct run *run)
{
    size_t runs = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || m[i].from != m[i - 1].from || m[i].to != m[i - 1].to)
            run[runs++].next = i;
        run[runs - 1].end = i + 1;
    }
    return runs;
}

static enum pr_code take_most_useful(struct draft *d, struct capped *m, size_t n)
{
    struct run *run = pr_arena_alloc(d->arena, (n + 1) * sizeof *run);
    double *held = pr_arena_alloc(d->arena, (d->now->shards + 1) * sizeof *held);
    if (run == NULL || held == NULL)
        return pr_fail(d->err, PR_ENOMEM, "cap on %zu moves", n);
    qsort(m, n, sizeof *m, by_pair);
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        held[d->fleet->slot[s].shard] += d->weight[s];
        d->to[s] = d->fleet->slot[s].shard;
    }
    const size_t runs = find_runs(m, n, run);
    size_t slots = 0, r;
    double bytes = 0, cut = 0;
    while ((r = most_useful(d, m, run, runs, held)) < runs) {
        const struct capped *c = &m[run[r].next++];
        const double b = d->fleet->slot[c->slot].bytes;
        if (!within(d, slots + 1, bytes + b)) {
            cut += b;
            continue; /* a smaller one may fit */
        }
        slots++;
        bytes += b;
        d->to[c->slot] = c->to;
        held[c->from] -= c->weight;
        held[c->to] += c->weight;
    }
    draft_note(d, REBALANCE_NONE, REBALANCE_NONE, REBALANCE_NONE,
               draft_text(d,
                          "the cap leaves out %zu of %zu slots, %.1f MB: the same goal again goes "
                          "on from there",
                          n - slots, n, cut / 1e6));
    return PR_OK;
}

enum pr_code draft_cap(struct draft *d)
{
    struct capped *m = pr_arena_alloc(d->arena, REBALANCE_SLOTS * sizeof *m);
    size_t n = 0;
    double bytes = 0;
    if (m == NULL)
        return pr_fail(d->err, PR_ENOMEM, "cap");
    for (int s = 0; s < REBALANCE_SLOTS; s++) {
        const struct rebalance_slot_facts *f = &d->fleet->slot[s];
        if (d->to[s] == f->shard)
            continue;
        m[n++] = (struct capped){ (int16_t)s, f->shard, d->to[s], d->weight[s] };
        bytes += f->bytes;
    }
    if (within(d, n, bytes))
        return PR_OK;
    if (d->goal->kind == REBALANCE_DRAIN)
        return pr_fail(
            d->err, PR_ECONFLICT,
            "the nodes hold %zu slots of %.1f MB, more than the cap of the plan: raise it "
            "or drain fewer nodes",
            n, bytes / 1e6);
    return take_most_useful(d, m, n);
}
