/* Bytes that no choice of slots undercuts: from the amounts alone, whatever the
 * flow and its rounding chose. */
#include "core/fleet/spread.h"

#include <math.h>
#include <stdlib.h>

struct pool { /* slots that could go, lightest first */
    int16_t *slot;
    size_t n;
};

/* A whole number of slots must go: as many as the heaviest ones need at least. */
static size_t fewest(const struct draft *d, const struct pool *p, double need)
{
    size_t k = 0;
    while (k < p->n && need > 1e-6) {
        need -= d->weight[p->slot[p->n - 1 - k]];
        k++;
    }
    return k;
}

/* Lightest slots have the fewest bytes for their weight: taken by fractions. */
static double bytes_of_weight(const struct draft *d, const struct pool *p, double need)
{
    double bytes = 0;
    for (size_t k = 0; k < p->n && need > 0; k++) {
        const double w = d->weight[p->slot[k]];
        const double part = need < w ? need / w : 1;
        bytes += part * d->fleet->slot[p->slot[k]].bytes;
        need -= w;
    }
    return bytes;
}

static double bytes_of_count(const struct draft *d, const struct pool *p, size_t count)
{
    double bytes = 0;
    for (size_t k = 0; k < count && k < p->n; k++)
        bytes += d->fleet->slot[p->slot[k]].bytes;
    return bytes;
}

static void add_shard(const struct spread *z, size_t i, struct pool *p)
{
    size_t n;
    const int16_t *slot = spread_slots(z, i, &n);
    for (size_t k = n; k-- > 0;)
        p->slot[p->n++] = slot[k];
}

struct weighed {
    double weight;
    int16_t slot;
};

static int by_weight(const void *va, const void *vb)
{
    const struct weighed *a = va, *b = vb;
    if (a->weight != b->weight)
        return a->weight < b->weight ? -1 : 1;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

static void sort_pool(const struct draft *d, struct pool *p)
{
    struct weighed *w = malloc((p->n + 1) * sizeof *w);
    if (w == NULL) { /* an unsorted pool bounds nothing */
        p->n = 0;
        return;
    }
    for (size_t k = 0; k < p->n; k++)
        w[k] = (struct weighed){ d->weight[p->slot[k]], p->slot[k] };
    qsort(w, p->n, sizeof *w, by_weight);
    for (size_t k = 0; k < p->n; k++)
        p->slot[k] = w[k].slot;
    free(w);
}

double spread_bound(const struct spread *z)
{
    struct pool p = { pr_arena_alloc(z->d->arena, REBALANCE_SLOTS * sizeof *p.slot), 0 };
    double give = 0, need = 0;
    size_t count = 0;
    if (p.slot == NULL)
        return 0;
    const bool only_new = z->d->goal->kind == REBALANCE_JOIN;
    for (size_t i = 0; i < z->n && !only_new; i++) {
        const double over = z->held[i] - z->high[i];
        if (!z->gives[i] || over <= 0)
            continue;
        p.n = 0;
        add_shard(z, i, &p);
        give +=
            fmax(bytes_of_weight(z->d, &p, over), bytes_of_count(z->d, &p, fewest(z->d, &p, over)));
    }
    p.n = 0;
    for (size_t i = 0; i < z->n; i++)
        if (z->gives[i])
            add_shard(z, i, &p);
    sort_pool(z->d, &p);
    for (size_t i = 0; i < z->n; i++) {
        const double under = z->low[i] - z->held[i];
        if (!z->takes[i])
            continue;
        need += only_new ? z->take[i] : fmax(0, under);
        count += fewest(z->d, &p, under);
    }
    const double take = fmax(bytes_of_weight(z->d, &p, need), bytes_of_count(z->d, &p, count));
    return fmax(give, take);
}
