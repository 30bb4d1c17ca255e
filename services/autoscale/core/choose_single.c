/* Single nodes: failed ones, then each zone gives of what it has over its ideal part. */
#include "core/choose_private.h"

#include <stdlib.h>

static int cheapest_first(const void *a, const void *b)
{
    const struct choose_shard *x = a, *y = b;
    if ((x->failed > 0) != (y->failed > 0))
        return x->failed > 0 ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    if (x->traffic < y->traffic || x->traffic > y->traffic)
        return x->traffic < y->traffic ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static bool gives_rather(const struct choose *c, int a, int b, const int *cheapest)
{
    const struct choose_zone *x = &c->zone[a], *y = &c->zone[b];
    const bool x_least = x->stay <= x->least, y_least = y->stay <= y->least;
    if (x_least != y_least)
        return y_least;
    const bool x_over = x->stay > x->most, y_over = y->stay > y->most;
    if (x_over != y_over)
        return x_over;
    const double x_has = x->stay - x->ideal, y_has = y->stay - y->ideal;
    if (x_has > y_has || x_has < y_has)
        return x_has > y_has;
    return cheapest[a] < cheapest[b]; /* places in the order of cost */
}

static void take(struct choose *c, const struct choose_table *t, int s)
{
    t->shard[s].taken = true;
    choose_leave(c, t->node[t->shard[s].first]);
}

/* The next of a zone that may go, in the order of cost; shards: none is left. */
static int next_of(const struct choose *c, const struct choose_table *t, int zone, int from)
{
    for (; from < t->shards; from++) {
        const struct choose_shard *s = &t->shard[from];
        if (!s->taken && s->staying > 0 && c->in->node[t->node[s->first]].zone == zone)
            break;
    }
    return from;
}

enum pr_code choose_singles(struct choose *c, int members, int *gone, struct pr_err *err)
{
    struct choose_table t;
    *gone = 0;
    const enum pr_code rc = choose_table(c, &t, err);
    if (rc != PR_OK)
        return rc;
    qsort(t.shard, (size_t)t.shards, sizeof *t.shard, cheapest_first);
    for (int s = 0; s < t.shards && *gone < members; s++)
        if (t.shard[s].failed > 0 && t.shard[s].staying > 0) {
            take(c, &t, s);
            ++*gone;
        }
    int next[AUTOSCALE_ZONES];
    for (int z = 0; z < c->fleet->zones; z++)
        next[z] = next_of(c, &t, z, 0);
    while (*gone < members) {
        int best = -1;
        for (int z = 0; z < c->fleet->zones; z++)
            if (next[z] < t.shards && (best < 0 || gives_rather(c, z, best, next)))
                best = z;
        if (best < 0)
            break;
        take(c, &t, next[best]);
        next[best] = next_of(c, &t, best, next[best]);
        ++*gone;
    }
    choose_table_done(&t);
    return PR_OK;
}
