#include "core/assign.h"

#include "prism/routes.h"
#include "prism/slot.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Partitions grouped by zone, each group a heap with the least loaded first. */
struct groups {
    uint32_t start[PLACEMENT_MAX_ZONES + 1];
    uint32_t *partition; /* [partitions]; owned */
    uint32_t *load;      /* [partitions]; borrowed */
};

static bool lighter(const struct groups *g, uint32_t a, uint32_t b)
{
    return g->load[a] != g->load[b] ? g->load[a] < g->load[b] : a < b;
}

static void sift_down(const struct groups *g, uint32_t *heap, uint32_t n, uint32_t at)
{
    const uint32_t p = heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= n)
            break;
        if (child + 1 < n && lighter(g, heap[child + 1], heap[child]))
            child++;
        if (!lighter(g, heap[child], p))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = p;
}

static bool group_by_zone(const struct placement_store *s, struct groups *g)
{
    g->partition = malloc(s->partitions * sizeof *g->partition);
    if (g->partition == NULL)
        return false;
    uint32_t at = 0;
    for (uint32_t z = 0; z < s->zones; z++) {
        g->start[z] = at;
        for (uint32_t p = 0; p < s->partitions; p++)
            if (s->zone_of[p] == z)
                g->partition[at++] = p;
    }
    g->start[s->zones] = at;
    return true;
}

static void heapify(const struct groups *g, uint32_t zones)
{
    for (uint32_t z = 0; z < zones; z++) {
        const uint32_t n = g->start[z + 1] - g->start[z];
        for (uint32_t i = n / 2; i-- > 0;)
            sift_down(g, g->partition + g->start[z], n, i);
    }
}

static bool stays(const struct placement_assign_input *in, uint32_t v, uint32_t *partition)
{
    const uint32_t home = pr_home_partition(in->hash[v], in->store->partitions);
    if (in->store->zone_of[in->current[v]] == in->zone[v])
        *partition = in->current[v];
    else if (in->store->zone_of[home] == in->zone[v])
        *partition = home;
    else
        return false;
    return true;
}

enum pr_code placement_assign(const struct placement_assign_input *in, uint32_t *partition,
                              uint32_t *load, struct pr_err *err)
{
    struct groups g = { .load = load };
    if (!group_by_zone(in->store, &g))
        return pr_fail(err, PR_ENOMEM, "out of memory for %u partitions", in->store->partitions);

    memset(load, 0, in->store->partitions * sizeof *load);
    for (uint32_t v = 0; v < in->n; v++)
        if (stays(in, v, &partition[v]))
            load[partition[v]]++;
    heapify(&g, in->store->zones);

    enum pr_code rc = PR_OK;
    for (uint32_t v = 0; v < in->n && rc == PR_OK; v++) {
        if (stays(in, v, &partition[v]))
            continue;
        const uint16_t z = in->zone[v];
        uint32_t *heap = g.partition + g.start[z];
        const uint32_t n = g.start[z + 1] - g.start[z];
        if (n == 0) {
            rc = pr_fail(err, PR_EINVAL, "zone %s has no partition", in->store->zone[z].id);
            break;
        }
        partition[v] = heap[0];
        load[heap[0]]++;
        sift_down(&g, heap, n, 0);
    }
    free(g.partition);
    return rc;
}

/* Vertices by home: order[start[h] .. start[h + 1]) are those of home h. */
static bool order_by_home(const struct placement_assign_input *in, uint32_t **order,
                          uint32_t **start)
{
    const uint32_t partitions = in->store->partitions;
    *order = malloc(((size_t)in->n + 1) * sizeof **order);
    *start = calloc((size_t)partitions + 2, sizeof **start);
    if (*order == NULL || *start == NULL)
        return false;
    uint32_t *at = *start + 1; /* shifted by one, so that filling leaves the starts */
    for (uint32_t v = 0; v < in->n; v++)
        at[pr_home_partition(in->hash[v], partitions) + 1]++;
    for (uint32_t h = 0; h < partitions; h++)
        at[h + 1] += at[h];
    for (uint32_t v = 0; v < in->n; v++)
        (*order)[at[pr_home_partition(in->hash[v], partitions)]++] = v;
    return true;
}

/* Deltas are few and may be of any home: sorts them into blobs per home, once. */
static bool deltas_by_home(const struct placement_today *today, struct pr_buf *delta)
{
    size_t pos = 0;
    uint64_t hash, partition;
    while (pr_map_each(&today->moved, &pos, &hash, &partition))
        pr_routes_add(&delta[pr_home_partition(hash, today->partitions)], hash,
                      (uint32_t)partition);
    for (uint32_t h = 0; h < today->partitions; h++) {
        if (delta[h].failed)
            return false;
        if (delta[h].len > 0 && pr_routes_sort(delta[h].data, delta[h].len, &delta[h].len) != PR_OK)
            return false;
    }
    return true;
}

struct home_job {
    const struct placement_assign_input *in;
    const uint32_t *partition, *order, *start;
    const struct placement_today *today;
    const struct pr_buf *delta; /* [partitions] */
    struct pr_buf now, wanted;
};

static uint64_t away(const struct home_job *j, uint32_t home)
{
    uint64_t n = 0;
    for (uint32_t i = j->start[home]; i < j->start[home + 1]; i++)
        n += j->partition[j->order[i]] != home;
    return n;
}

static bool build_home(struct home_job *j, uint32_t home, struct placement_targets *out)
{
    const uint32_t partitions = j->in->store->partitions;
    const struct placement_blob *base = &j->today->base[home];
    pr_buf_reset(&j->now);
    pr_buf_reset(&j->wanted);
    if (pr_routes_merge(base->data, base->bytes, j->delta[home].data, j->delta[home].len,
                        partitions, &j->now) != PR_OK)
        return false;
    for (uint32_t i = j->start[home]; i < j->start[home + 1]; i++)
        pr_routes_add(&j->wanted, j->in->hash[j->order[i]], j->partition[j->order[i]]);
    if (j->wanted.failed || (j->wanted.len > 0 && pr_routes_sort(j->wanted.data, j->wanted.len,
                                                                 &j->wanted.len) != PR_OK))
        return false;

    out->start[home] = out->blob.len;
    if (pr_routes_merge(j->now.data, j->now.len, j->wanted.data, j->wanted.len, partitions,
                        &out->blob) != PR_OK)
        return false;
    const uint64_t entries = pr_routes_count(out->blob.len - out->start[home]);
    const uint64_t own = away(j, home); /* more only when two ids share a hash */
    out->carried += entries > own ? entries - own : 0;
    return true;
}

enum pr_code placement_targets_build(const struct placement_assign_input *in,
                                     const uint32_t *partition, const struct placement_today *today,
                                     struct placement_targets *out, struct pr_err *err)
{
    const uint32_t partitions = in->store->partitions;
    uint32_t *order = NULL, *start = NULL;
    struct pr_buf *delta = calloc(partitions, sizeof *delta);
    *out =
        (struct placement_targets){ .start = calloc((size_t)partitions + 1, sizeof *out->start) };
    pr_buf_init(&out->blob, 0);

    bool ok = delta != NULL && out->start != NULL && order_by_home(in, &order, &start) &&
              deltas_by_home(today, delta);
    struct home_job job = { .in = in,
                            .partition = partition,
                            .order = order,
                            .start = start,
                            .today = today,
                            .delta = delta };
    pr_buf_init(&job.now, 0);
    pr_buf_init(&job.wanted, 0);
    for (uint32_t h = 0; h < partitions && ok; h++)
        ok = build_home(&job, h, out);
    if (ok)
        out->start[partitions] = out->blob.len;

    pr_buf_done(&job.now);
    pr_buf_done(&job.wanted);
    for (uint32_t h = 0; delta != NULL && h < partitions; h++)
        pr_buf_done(&delta[h]);
    free(delta);
    free(order);
    free(start);
    if (ok)
        return PR_OK;
    placement_targets_done(out);
    return pr_fail(err, PR_ENOMEM, "out of memory for the target routes of %u vertices", in->n);
}

void placement_targets_done(struct placement_targets *t)
{
    pr_buf_done(&t->blob);
    free(t->start);
    t->start = NULL;
}
