#include "core/choose_private.h"

#include <stdlib.h>
#include <string.h>

struct key {
    const char *shard; /* "" in none */
    int node;
};

static int by_shard(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    const int order = strcmp(x->shard, y->shard);
    return order != 0 ? order : (x->node > y->node) - (x->node < y->node);
}

static void add(struct choose_shard *s, const struct autoscale_node *n)
{
    s->count++;
    s->staying += !n->leaving;
    s->leaving += n->leaving;
    s->failed += n->failed;
    if (n->primary && !n->failed)
        s->primary_zone = n->zone;
    if (!n->unsized && n->bytes > s->bytes)
        s->bytes = n->bytes;
    s->sized = s->sized || !n->unsized;
    if (n->slots > s->slots)
        s->slots = n->slots;
    s->traffic += n->traffic;
}

/* Shards that nobody has measured hold what their slots do elsewhere. */
static void size_up(struct choose_table *t)
{
    double bytes = 0, slots = 0, all = 0;
    int sized = 0, staying = 0;
    for (int s = 0; s < t->shards; s++) {
        const struct choose_shard *x = &t->shard[s];
        t->unsized += !x->sized;
        sized += x->sized && x->slots > 0;
        if (x->sized && x->slots > 0) {
            bytes += (double)x->bytes;
            slots += x->slots;
        }
    }
    t->by_slots = t->unsized > 0 && sized == 0;
    for (int s = 0; s < t->shards; s++) {
        struct choose_shard *x = &t->shard[s];
        if (t->by_slots) /* all of them: they are compared with each other */
            x->bytes = (uint64_t)x->slots;
        else if (!x->sized)
            x->bytes = (uint64_t)(x->slots * (bytes / slots));
        staying += !x->free_node && x->staying > 0;
        all += !x->free_node && x->staying > 0 ? (double)x->bytes : 0;
    }
    t->mean = staying == 0 ? 0 : (uint64_t)(all / staying);
}

enum pr_code choose_table(const struct choose *c, struct choose_table *out, struct pr_err *err)
{
    const size_t n = c->in->nodes;
    *out = (struct choose_table){ 0 };
    struct key *key = malloc((n + 1) * sizeof *key);
    out->node = malloc((n + 1) * sizeof *out->node);
    out->shard = malloc((n + 1) * sizeof *out->shard);
    if (key == NULL || out->node == NULL || out->shard == NULL) {
        free(key);
        choose_table_done(out);
        return pr_fail(err, PR_ENOMEM, "%zu nodes of fleet %s", n, c->fleet->name);
    }
    for (size_t i = 0; i < n; i++) {
        const bool unit = c->fleet->unit > 1 && c->in->node[i].shard != NULL;
        key[i] = (struct key){ unit ? c->in->node[i].shard : "", (int)i };
    }
    qsort(key, n, sizeof *key, by_shard);
    for (size_t i = 0; i < n; i++) {
        const bool free_node = key[i].shard[0] == '\0';
        if (i == 0 || free_node || strcmp(key[i].shard, key[i - 1].shard) != 0)
            out->shard[out->shards++] = (struct choose_shard){
                .first = (int)i,
                .primary_zone = -1,
                .free_node = free_node,
            };
        out->node[i] = key[i].node;
        add(&out->shard[out->shards - 1], &c->in->node[key[i].node]);
    }
    free(key);
    size_up(out);
    return PR_OK;
}

void choose_table_done(struct choose_table *t)
{
    free(t->node);
    free(t->shard);
    *t = (struct choose_table){ 0 };
}
