#include "core/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = -1 };

/* A piece of the generation; sorted by `from`, so that one lies behind all that lead to it. */
struct node {
    const struct dr_piece *piece;
    size_t given; /* its index among those given */
    uint64_t epoch, seq;
    bool connected;      /* with the base */
    uint64_t best_epoch; /* newest from here on, and */
    uint64_t best_to;    /* how far the route through it leads */
    ptrdiff_t next;      /* the node to go on to, or NONE */
};

struct end { /* sorted by `to` */
    uint64_t to;
    size_t node;
};

struct tree {
    const struct dr_generation *g;
    struct node *node; /* [n] */
    struct end *end;   /* [n] */
    size_t n;
    struct node root; /* the base */
};

/* Newer containers first among equal pieces; else any order that does not depend on the one
 * given. */
static int by_from(const void *left, const void *right)
{
    const struct node *a = left, *b = right;
    if (a->piece->from != b->piece->from)
        return a->piece->from < b->piece->from ? -1 : 1;
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch ? -1 : 1;
    if (a->seq != b->seq)
        return a->seq > b->seq ? -1 : 1;
    return memcmp(a->piece->chain, b->piece->chain, DR_HASH);
}

/* Nodes' order among equal ends: that of their epochs again. */
static int by_to(const void *left, const void *right)
{
    const struct end *a = left, *b = right;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

static enum pr_code tree_make(struct tree *t, const struct dr_generation *g,
                              const struct dr_located *piece, size_t n, struct pr_err *err)
{
    *t = (struct tree){ .g = g };
    t->node = malloc((n + 1) * sizeof *t->node);
    t->end = malloc((n + 1) * sizeof *t->end);
    if (t->node == NULL || t->end == NULL)
        return pr_fail(err, PR_ENOMEM, "chain: no memory for %zu pieces", n);
    for (size_t i = 0; i < n; i++) {
        const struct dr_piece *p = &piece[i].piece;
        if (strcmp(p->shard, g->shard) != 0 || dr_generation_compare(&p->generation, &g->id) != 0 ||
            p->to <= p->from)
            continue;
        t->node[t->n++] = (struct node){ .piece = p,
                                         .given = i,
                                         .epoch = piece[i].epoch,
                                         .seq = piece[i].seq,
                                         .best_epoch = piece[i].epoch,
                                         .best_to = p->to,
                                         .next = NONE };
    }
    qsort(t->node, t->n, sizeof *t->node, by_from);
    for (size_t i = 0; i < t->n; i++)
        t->end[i] = (struct end){ t->node[i].piece->to, i };
    qsort(t->end, t->n, sizeof *t->end, by_to);
    t->root = (struct node){ .connected = true, .best_to = g->offset, .next = NONE };
    return PR_OK;
}

static void tree_done(struct tree *t)
{
    free(t->node);
    free(t->end);
}

static bool follows(const uint8_t chain[DR_HASH], const struct dr_piece *p)
{
    uint8_t want[DR_HASH];
    dr_chain_hash(chain, p, want);
    return memcmp(want, p->chain, DR_HASH) == 0;
}

static size_t first_end(const struct tree *t, uint64_t to)
{
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (t->end[mid].to < to)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* What p follows and is connected with the base; NULL: nothing. */
static struct node *before(struct tree *t, const struct dr_piece *p)
{
    if (p->from == t->g->offset && follows(t->g->chain, p))
        return &t->root;
    const uint8_t *tried = NULL;
    for (size_t i = first_end(t, p->from); i < t->n && t->end[i].to == p->from; i++) {
        struct node *b = &t->node[t->end[i].node];
        if (!b->connected || (tried != NULL && memcmp(tried, b->piece->chain, DR_HASH) == 0))
            continue;
        tried = b->piece->chain;
        if (follows(tried, p))
            return b;
    }
    return NULL;
}

/* Whether the route should go through a rather than b; not both alike. */
static bool better(const struct node *a, const struct node *b)
{
    if (a->best_epoch != b->best_epoch)
        return a->best_epoch > b->best_epoch;
    if (a->best_to != b->best_to)
        return a->best_to > b->best_to;
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch;
    return memcmp(a->piece->chain, b->piece->chain, DR_HASH) < 0;
}

static enum pr_code connect_all(struct tree *t, struct pr_err *err)
{
    struct node **from = calloc(t->n + 1, sizeof(struct node *)); /* what each one follows */
    if (from == NULL)
        return pr_fail(err, PR_ENOMEM, "chain: no memory for %zu pieces", t->n);
    for (size_t i = 0; i < t->n; i++) {
        from[i] = before(t, t->node[i].piece);
        t->node[i].connected = from[i] != NULL;
    }
    for (size_t i = t->n; i-- > 0;) { /* from the ends back: a node's own route is known by then */
        const struct node *p = &t->node[i];
        if (from[i] == NULL)
            continue;
        struct node *b = from[i];
        if (b->next == NONE || better(p, &t->node[b->next])) {
            b->next = (ptrdiff_t)i;
            b->best_to = p->best_to;
        }
        if (p->best_epoch > b->best_epoch)
            b->best_epoch = p->best_epoch;
    }
    free(from);
    return PR_OK;
}

/* The first piece beyond `to` that nothing leads to; NULL: none. Those of epochs that a newer one
 * has left behind are no loss. */
static const struct dr_piece *loose(const struct tree *t, uint64_t to)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct node *p = &t->node[i];
        if (!p->connected && p->piece->to > to && p->epoch >= t->root.best_epoch)
            return p->piece;
    }
    return NULL;
}

static void explain_end(const struct tree *t, const struct node *next, int64_t until_ms,
                        struct dr_route *out)
{
    if (until_ms < t->g->ended_ms) {
        (void)snprintf(out->why, sizeof out->why, "the base ended at %lld, after %lld",
                       (long long)t->g->ended_ms, (long long)until_ms);
        return;
    }
    out->reached = next != NULL || (until_ms != INT64_MAX && out->last_ms == until_ms);
    if (out->reached)
        return;
    const struct dr_piece *p = loose(t, out->to);
    out->gap = p != NULL;
    if (p == NULL)
        (void)snprintf(out->why, sizeof out->why, "no more pieces behind offset %llu",
                       (unsigned long long)out->to);
    else if (p->from > out->to)
        (void)snprintf(out->why, sizeof out->why, "a gap at offset %llu: the next piece is of %llu",
                       (unsigned long long)out->to, (unsigned long long)p->from);
    else
        (void)snprintf(out->why, sizeof out->why,
                       "the chain breaks at offset %llu: a piece of %llu to %llu follows others",
                       (unsigned long long)out->to, (unsigned long long)p->from,
                       (unsigned long long)p->to);
}

static void walk(const struct tree *t, int64_t until_ms, struct dr_route *out)
{
    const struct node *at = &t->root;
    memcpy(out->chain, t->g->chain, DR_HASH);
    memcpy(out->replid, t->g->replid, DR_REPLID);
    out->to = t->g->offset;
    out->last_ms = t->g->ended_ms;
    while (at->next != NONE) {
        at = &t->node[at->next];
        if (until_ms < t->g->ended_ms || at->piece->last_ms > until_ms) {
            explain_end(t, at, until_ms, out);
            return;
        }
        out->take[out->n++] = at->given;
        memcpy(out->chain, at->piece->chain, DR_HASH);
        memcpy(out->replid, at->piece->replid, DR_REPLID);
        out->to = at->piece->to;
        out->last_ms = at->piece->last_ms;
    }
    explain_end(t, NULL, until_ms, out);
}

enum pr_code dr_chain_route(const struct dr_generation *g, const struct dr_located *piece, size_t n,
                            int64_t until_ms, struct dr_route *out, struct pr_err *err)
{
    struct tree t;
    struct dr_route route = { .n = 0 };
    enum pr_code rc = tree_make(&t, g, piece, n, err);
    if (rc == PR_OK)
        rc = connect_all(&t, err);
    if (rc == PR_OK && (route.take = malloc((t.n + 1) * sizeof *route.take)) == NULL)
        rc = pr_fail(err, PR_ENOMEM, "chain: no memory for %zu pieces", n);
    if (rc == PR_OK) {
        walk(&t, until_ms, &route);
        *out = route;
    }
    tree_done(&t);
    return rc;
}

bool dr_chain_newer(const struct dr_generation *g, const struct dr_located *piece, size_t n,
                    uint64_t to)
{
    for (size_t i = 0; i < n; i++) {
        const struct dr_piece *p = &piece[i].piece;
        if (p->to > to && dr_generation_compare(&p->generation, &g->id) > 0 &&
            strcmp(p->shard, g->shard) == 0)
            return true;
    }
    return false;
}

size_t dr_generation_choose(const struct dr_generation *g, size_t n, const bool *skip,
                            int64_t until_ms)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        if ((skip != NULL && skip[i]) || g[i].ended_ms > until_ms)
            continue;
        if (best == SIZE_MAX || dr_generation_compare(&g[i].id, &g[best].id) > 0)
            best = i;
    }
    return best;
}
