#include "core/fleet/flow.h"

#include <string.h>

static const int64_t FAR = INT64_MAX / 4;

/* Edge 2k is arc k, edge 2k+1 its way back. */
struct net {
    int nodes;
    struct flow_arc *arc;
    size_t arcs;
    int *first, *edge; /* edges leaving each node: edge[first[v]..first[v+1]-1] */
    int64_t *potential, *distance;
    int *came_by; /* edge of the shortest path */
    int *heap, *place;
    int heaped;
};

static int head(const struct net *n, int e)
{
    return e & 1 ? n->arc[e / 2].from : n->arc[e / 2].to;
}

static int64_t left(const struct net *n, int e)
{
    const struct flow_arc *a = &n->arc[e / 2];
    return e & 1 ? a->flow : a->cap - a->flow;
}

/* --- a binary heap of nodes by distance, then by number -------------------------- */

static bool nearer(const struct net *n, int a, int b)
{
    return n->distance[a] != n->distance[b] ? n->distance[a] < n->distance[b] : a < b;
}

static void put(struct net *n, int at, int v)
{
    n->heap[at] = v;
    n->place[v] = at;
}

static void sift_up(struct net *n, int at)
{
    const int v = n->heap[at];
    while (at > 0 && nearer(n, v, n->heap[(at - 1) / 2])) {
        put(n, at, n->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(n, at, v);
}

static void reach(struct net *n, int v, int64_t distance, int edge)
{
    n->distance[v] = distance;
    n->came_by[v] = edge;
    if (n->place[v] < 0)
        put(n, n->heaped++, v);
    sift_up(n, n->place[v]);
}

static int take_nearest(struct net *n)
{
    const int best = n->heap[0], last = n->heap[--n->heaped];
    n->place[best] = -1;
    if (n->heaped == 0)
        return best;
    int at = 0;
    for (int child = 1; child < n->heaped; child = 2 * at + 1) {
        if (child + 1 < n->heaped && nearer(n, n->heap[child + 1], n->heap[child]))
            child++;
        if (!nearer(n, n->heap[child], last))
            break;
        put(n, at, n->heap[child]);
        at = child;
    }
    put(n, at, last);
    return best;
}

/* --- shortest path, augmentation --------------------------------------------------- */

static bool shortest_path(struct net *n)
{
    const int sink = n->nodes - 1;
    for (int v = 0; v < n->nodes; v++) {
        n->distance[v] = FAR;
        n->place[v] = -1;
    }
    n->heaped = 0;
    reach(n, 0, 0, -1);
    while (n->heaped > 0) {
        const int v = take_nearest(n);
        if (v == sink)
            break;
        for (int k = n->first[v]; k < n->first[v + 1]; k++) {
            const int e = n->edge[k], w = head(n, e);
            if (left(n, e) <= 0)
                continue;
            const int64_t cost = e & 1 ? -n->arc[e / 2].cost : n->arc[e / 2].cost;
            const int64_t far = n->distance[v] + cost + n->potential[v] - n->potential[w];
            if (far < n->distance[w])
                reach(n, w, far, e);
        }
    }
    if (n->distance[sink] == FAR)
        return false;
    /* Nodes that were not settled are at least as far as the sink. */
    for (int v = 0; v < n->nodes; v++)
        n->potential[v] += n->distance[v] < n->distance[sink] ? n->distance[v] : n->distance[sink];
    return true;
}

static int64_t augment(struct net *n)
{
    int64_t most = INT64_MAX;
    for (int v = n->nodes - 1; v != 0; v = head(n, n->came_by[v] ^ 1)) {
        const int64_t l = left(n, n->came_by[v]);
        most = l < most ? l : most;
    }
    for (int v = n->nodes - 1; v != 0; v = head(n, n->came_by[v] ^ 1)) {
        const int e = n->came_by[v];
        n->arc[e / 2].flow += e & 1 ? -most : most;
    }
    return most;
}

static void index_edges(struct net *n)
{
    for (size_t e = 0; e < 2 * n->arcs; e++)
        n->first[head(n, (int)e ^ 1) + 1]++;
    for (int v = 0; v < n->nodes; v++)
        n->first[v + 1] += n->first[v];
    for (size_t e = 2 * n->arcs; e-- > 0;) /* backwards: first[v + 1] ends as first[v] */
        n->edge[--n->first[head(n, (int)e ^ 1) + 1]] = (int)e;
    memmove(n->first, n->first + 1, (size_t)n->nodes * sizeof *n->first);
    n->first[n->nodes] = (int)(2 * n->arcs);
}

enum pr_code flow_solve(int nodes, struct flow_arc *arc, size_t arcs, struct pr_arena *arena,
                        int64_t *sent, struct pr_err *err)
{
    struct net n = { .nodes = nodes, .arc = arc, .arcs = arcs };
    const size_t v = (size_t)nodes;
    n.first = pr_arena_alloc(arena, (v + 2) * sizeof *n.first);
    n.edge = pr_arena_alloc(arena, (2 * arcs + 1) * sizeof *n.edge);
    n.potential = pr_arena_alloc(arena, v * sizeof *n.potential);
    n.distance = pr_arena_alloc(arena, v * sizeof *n.distance);
    n.came_by = pr_arena_alloc(arena, v * sizeof *n.came_by);
    n.heap = pr_arena_alloc(arena, v * sizeof *n.heap);
    n.place = pr_arena_alloc(arena, v * sizeof *n.place);
    if (n.first == NULL || n.edge == NULL || n.potential == NULL || n.distance == NULL ||
        n.came_by == NULL || n.heap == NULL || n.place == NULL)
        return pr_fail(err, PR_ENOMEM, "flow of %d nodes and %zu arcs", nodes, arcs);
    for (size_t k = 0; k < arcs; k++)
        arc[k].flow = 0;
    index_edges(&n);
    *sent = 0;
    while (shortest_path(&n))
        *sent += augment(&n);
    return PR_OK;
}
