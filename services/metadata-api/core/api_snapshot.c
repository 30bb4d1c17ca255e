#include "api_snapshot.h"

#include "prism/routes.h"
#include "prism/slot.h"

#include <stdlib.h>
#include <string.h>

/* The last reader frees: its decrement must see every other reader's reads. */
static bool last_ref(int *refs)
{
    return __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) == 0;
}

static void add_ref(int *refs)
{
    __atomic_add_fetch(refs, 1, __ATOMIC_RELAXED);
}

struct api_topo *api_topo_new(void)
{
    struct api_topo *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->refs_ = 1;
    pr_arena_init(&t->arena, 0);
    t->slot = pr_arena_alloc(&t->arena, PR_SLOTS * sizeof *t->slot);
    if (t->slot == NULL) {
        api_topo_unref(t);
        return NULL;
    }
    for (int i = 0; i < PR_SLOTS; i++)
        t->slot[i] = (struct api_slot){ API_NONE, API_NONE, API_NONE };
    return t;
}

enum pr_code api_topo_size(struct api_topo *t, uint32_t partitions, struct pr_err *err)
{
    t->partition_slot = pr_arena_alloc(&t->arena, partitions * sizeof *t->partition_slot);
    t->load = pr_arena_alloc(&t->arena, partitions * sizeof *t->load);
    if (t->partition_slot == NULL || t->load == NULL)
        return pr_fail(err, PR_ENOMEM, "%u partitions", partitions);
    t->partitions = partitions;
    for (uint32_t p = 0; p < partitions; p++)
        t->partition_slot[p] = pr_partition_slot(p);
    return PR_OK;
}

void api_topo_unref(struct api_topo *t)
{
    if (t == NULL || !last_ref(&t->refs_))
        return;
    pr_arena_done(&t->arena);
    free(t);
}

struct api_deltas *api_deltas_new(void)
{
    struct api_deltas *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->refs_ = 1;
    pr_buf_init(&d->routes, 0);
    return d;
}

void api_deltas_unref(struct api_deltas *d)
{
    if (d == NULL || !last_ref(&d->refs_))
        return;
    pr_buf_done(&d->routes);
    free(d->id);
    free(d);
}

struct api_tokens *api_tokens_new(size_t n)
{
    struct api_tokens *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->refs_ = 1;
    t->token = calloc(n + 1, sizeof *t->token);
    if (t->token == NULL) {
        free(t);
        return NULL;
    }
    t->n = n;
    return t;
}

void api_tokens_unref(struct api_tokens *t)
{
    if (t == NULL || !last_ref(&t->refs_))
        return;
    free(t->token);
    free(t);
}

struct api_snapshot *api_snapshot_new(struct api_topo *t, struct api_deltas *d,
                                      struct api_tokens *k)
{
    struct api_snapshot *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    add_ref(&t->refs_);
    add_ref(&d->refs_);
    add_ref(&k->refs_);
    *s = (struct api_snapshot){ .refs_ = 1, .topo = t, .deltas = d, .tokens = k };
    return s;
}

struct api_snapshot *api_snapshot_ref(struct api_snapshot *s)
{
    add_ref(&s->refs_);
    return s;
}

void api_snapshot_unref(struct api_snapshot *s)
{
    if (s == NULL || !last_ref(&s->refs_))
        return;
    api_topo_unref(s->topo);
    api_deltas_unref(s->deltas);
    api_tokens_unref(s->tokens);
    free(s);
}

/* All three kinds of row start with their id, so one search serves them. */
static int find(const void *rows, size_t n, size_t size, const char *id)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp((const char *)rows + mid * size, id);
        if (c == 0)
            return (int)mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return API_NONE;
}

int api_topo_zone(const struct api_topo *t, const char *id)
{
    return find(t->zone, t->zones, sizeof *t->zone, id);
}

int api_topo_node(const struct api_topo *t, const char *id)
{
    return find(t->node, t->nodes, sizeof *t->node, id);
}

int api_topo_shard(const struct api_topo *t, const char *id)
{
    return find(t->shard, t->shards, sizeof *t->shard, id);
}

enum pr_code api_deltas_merge(const struct pr_buf *older, const void *newer, size_t newer_bytes,
                              struct pr_buf *out)
{
    const size_t no = pr_routes_count(older->len), nn = pr_routes_count(newer_bytes);
    size_t o = 0, n = 0;
    while (o < no || n < nn) {
        struct pr_route ro = { 0, 0 }, rn = { 0, 0 };
        if (o < no)
            ro = pr_routes_at(older->data, o);
        if (n < nn)
            rn = pr_routes_at(newer, n);
        bool take_newer = o == no || (n < nn && rn.hash <= ro.hash);
        if (take_newer && o < no && ro.hash == rn.hash)
            o++;
        if (take_newer) {
            pr_routes_add(out, rn.hash, rn.partition);
            n++;
        } else {
            pr_routes_add(out, ro.hash, ro.partition);
            o++;
        }
    }
    return out->failed ? PR_ENOMEM : PR_OK;
}

struct api_delta_step api_deltas_step(const struct api_deltas *have, const int64_t *now, size_t n,
                                      int64_t heard)
{
    struct api_delta_step step = { 0 };
    size_t kept = 0, older = 0; /* older: rows that appeared below our highest id */
    const int64_t top = have->n > 0 ? have->id[have->n - 1] : 0;
    for (size_t h = 0, i = 0; i < n; i++) {
        while (h < have->n && have->id[h] < now[i])
            h++;
        if (h < have->n && have->id[h] == now[i])
            kept++;
        else if (now[i] < top)
            older++;
    }
    const bool unseen = heard > have->newest && (n == 0 || now[n - 1] < heard);
    step.folded = kept < have->n || unseen;
    step.rebuild = kept < have->n || older > 0;
    step.first = step.rebuild ? 0 : kept;
    step.same = !step.folded && !step.rebuild && kept == n;
    return step;
}

struct api_place api_place_of(const struct api_topo *t, uint32_t partition)
{
    struct api_place p = { .partition = partition, .slot = t->partition_slot[partition] };
    const struct api_slot *s = &t->slot[p.slot];
    if (s->node != API_NONE)
        p.node = &t->node[s->node];
    if (s->zone != API_NONE)
        p.zone = &t->zone[s->zone];
    if (s->shard != API_NONE)
        p.shard = &t->shard[s->shard];
    return p;
}

const struct api_token *api_token_find(const struct api_tokens *t,
                                       const unsigned char hash[API_HASH_BYTES])
{
    const struct api_token *found = NULL;
    for (size_t i = 0; i < t->n; i++) {
        unsigned differs = 0;
        for (int b = 0; b < API_HASH_BYTES; b++)
            differs |= (unsigned)(t->token[i].hash[b] ^ hash[b]);
        if (differs == 0)
            found = &t->token[i];
    }
    return found;
}
