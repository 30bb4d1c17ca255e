#include "core/choose_private.h"

#include <stdlib.h>

/* The drain that has moved least is the best one to call off. */
static int most_bytes_first(const void *a, const void *b)
{
    const struct choose_shard *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static void call_back(struct choose *c, const struct choose_table *t, const struct choose_shard *s)
{
    for (int i = s->first; i < s->first + s->count; i++) {
        const struct autoscale_node *n = &c->in->node[t->node[i]];
        if (!n->leaving)
            continue;
        c->out->returns[c->out->n_returns++] = t->node[i];
        choose_site_of(c, n)->back++;
        c->zone[n->zone].stay++;
    }
}

enum pr_code choose_back(struct choose *c, int members, int *taken, struct pr_err *err)
{
    struct choose_table t;
    *taken = 0;
    const enum pr_code rc = choose_table(c, &t, err);
    if (rc != PR_OK)
        return rc;
    qsort(t.shard, (size_t)t.shards, sizeof *t.shard, most_bytes_first);
    for (int s = 0; s < t.shards; s++) {
        const struct choose_shard *p = &t.shard[s];
        if (p->leaving == 0 || p->failed > 0 || *taken + p->leaving > members ||
            c->out->n_returns + (size_t)p->leaving > AUTOSCALE_CHOSEN)
            continue;
        call_back(c, &t, p);
        *taken += p->leaving;
    }
    choose_table_done(&t);
    return PR_OK;
}
