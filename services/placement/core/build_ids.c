/* Numbering vertices by ascending id. */
#include "core/build_internal.h"

#include "prism/rng.h"

#include <stdlib.h>
#include <string.h>

#define NO_SLOT UINT32_MAX

/* --- ids of 64 bits ---------------------------------------------------------- */

static enum pr_code no_memory(struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "out of memory numbering vertices");
}

static enum pr_code grow_slots(struct id_map *m, struct pr_err *err)
{
    const size_t cap = m->cap == 0 ? 1 << 12 : m->cap * 2;
    uint32_t *slot = malloc(cap * sizeof *slot);
    if (slot == NULL)
        return no_memory(err);
    memset(slot, 0xff, cap * sizeof *slot);
    for (size_t i = 0; i < m->n; i++) {
        size_t at = pr_mix64(m->id[i]) & (cap - 1);
        while (slot[at] != NO_SLOT)
            at = (at + 1) & (cap - 1);
        slot[at] = (uint32_t)i;
    }
    free(m->slot);
    m->slot = slot;
    m->cap = cap;
    return PR_OK;
}

static enum pr_code grow_ids(struct id_map *m, struct pr_err *err)
{
    const size_t cap = m->id_cap == 0 ? 1 << 12 : m->id_cap + m->id_cap / 2;
    uint64_t *id = realloc(m->id, cap * sizeof *id);
    if (id == NULL)
        return no_memory(err);
    m->id = id;
    m->id_cap = cap;
    return PR_OK;
}

enum pr_code id_map_number(struct id_map *m, uint64_t id, uint32_t *number, struct pr_err *err)
{
    enum pr_code rc;
    if (m->n >= m->cap / 4 * 3 && (rc = grow_slots(m, err)) != PR_OK)
        return rc;
    size_t at = pr_mix64(id) & (m->cap - 1);
    while (m->slot[at] != NO_SLOT) {
        if (m->id[m->slot[at]] == id) {
            *number = m->slot[at];
            return PR_OK;
        }
        at = (at + 1) & (m->cap - 1);
    }
    if (m->n >= UINT32_MAX - 1)
        return pr_fail(err, PR_EFULL, "more than %u vertices", UINT32_MAX - 1);
    if (m->n == m->id_cap && (rc = grow_ids(m, err)) != PR_OK)
        return rc;
    *number = m->slot[at] = (uint32_t)m->n;
    m->id[m->n++] = id;
    return PR_OK;
}

void id_map_done(struct id_map *m)
{
    free(m->id);
    free(m->slot);
    *m = (struct id_map){ 0 };
}

/* From ids held as such to numbers in the map. */
enum pr_code builder_translate(struct placement_builder *b, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (size_t r = 0; r < b->runs; r++)
        for (size_t i = 0; i < 2 * b->run[r].n && rc == PR_OK; i++)
            rc = id_map_number(&b->map, b->run[r].pair[i], &b->run[r].pair[i], err);
    for (size_t i = 0; i < b->vertices && rc == PR_OK; i++)
        rc = id_map_number(&b->map, b->vertex[i], &b->vertex[i], err);
    b->mapped = true;
    return rc;
}

struct numbered {
    uint64_t id;
    uint32_t number;
};

/* Least significant byte first; bytes that are the same everywhere are skipped. */
static struct numbered *sort_ids(struct numbered *v, struct numbered *other, size_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t at[256] = { 0 }, sum = 0;
        for (size_t i = 0; i < n; i++)
            at[v[i].id >> shift & 0xff]++;
        if (at[v[0].id >> shift & 0xff] == n)
            continue;
        for (unsigned k = 0; k < 256; k++) {
            const size_t count = at[k];
            at[k] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            other[at[v[i].id >> shift & 0xff]++] = v[i];
        struct numbered *const swap = v;
        v = other;
        other = swap;
    }
    return v;
}

static enum pr_code rank_mapped(struct placement_builder *b, struct numbering *nb,
                                struct pr_err *err)
{
    const size_t n = b->map.n;
    struct numbered *both = malloc(2 * n * sizeof *both);
    nb->rank = malloc(n * sizeof *nb->rank);
    free(b->map.slot);
    b->map.slot = NULL;
    if (both == NULL || nb->rank == NULL) {
        free(both);
        return no_memory(err);
    }
    for (size_t i = 0; i < n; i++)
        both[i] = (struct numbered){ b->map.id[i], (uint32_t)i };
    const struct numbered *sorted = sort_ids(both, both + n, n);
    nb->id = b->map.id; /* all of them are in both */
    b->map.id = NULL;
    for (size_t i = 0; i < n; i++) {
        nb->id[i] = sorted[i].id;
        nb->rank[sorted[i].number] = (uint32_t)i;
    }
    free(both);
    nb->n = (uint32_t)n;
    if (nb->id[n - 1] == n - 1) { /* no gap after all */
        free(nb->id);
        nb->id = NULL;
    }
    return PR_OK;
}

/* --- ids of 32 bits ---------------------------------------------------------- */

struct marking {
    const struct edge_pieces *list;
    struct id_word *word;
    bool shared;
};

static inline void mark_id(const struct marking *m, uint32_t id)
{
    uint64_t *const word = &m->word[id / 64].bits, one = UINT64_C(1) << id % 64;
    if (!m->shared)
        *word |= one;
    else if ((__atomic_load_n(word, __ATOMIC_RELAXED) & one) == 0)
        __atomic_fetch_or(word, one, __ATOMIC_RELAXED);
}

static void mark_pieces(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct marking *m = ctx;
    (void)worker;
    for (uint64_t p = begin; p < end; p++) {
        const struct edge_piece *const e = &m->list->piece[p];
        for (size_t i = 0; i < 2 * e->n; i++)
            mark_id(m, e->pair[i]);
    }
}

/* Numbers the marked ids, and lists them when there are gaps. */
static enum pr_code number_marked(struct numbering *nb, uint32_t max_id, struct pr_err *err)
{
    const size_t words = (size_t)max_id / 64 + 1;
    for (size_t w = 0; w < words; w++) {
        nb->word[w].before = nb->n;
        nb->n += count_bits(nb->word[w].bits);
    }
    if (nb->n - 1 == max_id) {
        free(nb->word);
        nb->word = NULL;
        return PR_OK;
    }
    nb->id = malloc(nb->n * sizeof *nb->id);
    if (nb->id == NULL)
        return no_memory(err);
    size_t at = 0;
    for (size_t w = 0; w < words; w++)
        for (uint64_t left = nb->word[w].bits; left != 0; left &= left - 1)
            nb->id[at++] = w * 64 + (unsigned)__builtin_ctzll(left);
    return PR_OK;
}

static enum pr_code rank_dense(struct placement_builder *b, const struct edge_pieces *list,
                               struct numbering *nb, struct pr_err *err)
{
    nb->word = calloc((size_t)b->max_id / 64 + 1, sizeof *nb->word);
    if (nb->word == NULL)
        return no_memory(err);
    struct marking m = { list, nb->word, pr_pool_threads(b->opts.pool) > 1 };
    pr_pool_for(b->opts.pool, list->n, 1, mark_pieces, &m);
    for (size_t i = 0; i < b->vertices; i++)
        mark_id(&m, b->vertex[i]);
    return number_marked(nb, b->max_id, err);
}

/* Two bits an id are less than a map, unless nearly all of them are missing. */
static bool too_sparse(const struct placement_builder *b)
{
    return b->max_id / 16 > b->edges + b->vertices + (1 << 16);
}

enum pr_code builder_number(struct placement_builder *b, const struct edge_pieces *list,
                            struct numbering *out, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (!b->mapped && too_sparse(b))
        rc = builder_translate(b, err);
    if (rc == PR_OK)
        rc = b->mapped ? rank_mapped(b, out, err) : rank_dense(b, list, out, err);
    return rc;
}

void numbering_done(struct numbering *nb)
{
    free(nb->id);
    free(nb->word);
    free(nb->rank);
    *nb = (struct numbering){ 0 };
}
