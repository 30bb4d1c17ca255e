/* Gap-coded rows. A row: its degree, seven bits a byte, the low ones first, the
 * top bit set on all bytes but the last; then its neighbours in groups of four:
 * a byte that tells the length of each (two bits, 1 to 4 bytes), and each one's
 * distance from the one before, the low byte first. The last group may hold
 * fewer. Lengths apart from values let rows be read without a branch a value. */
#include "core/code.h"

#include <endian.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PAD_BYTES = 16 }; /* behind the last row: it is read in words */

/* Rows are coded a round at a time, into memory of their own, which then
 * replaces plain rows that have all been read. */
enum { ROUND_ARCS = 1 << 21, ROWS_GRAIN = 1 << 10 };

struct coding {
    struct placement_graph *g;
    uint64_t *at;       /* [n + 1] where each coded row begins */
    const uint32_t *to; /* plain rows */
    uint8_t *round;     /* coded rows from first on */
    uint32_t first;
};

/* --- one row ----------------------------------------------------------------- */

static inline unsigned bytes_of(uint32_t gap)
{
    return gap == 0 ? 1 : (39 - (unsigned)__builtin_clz(gap)) / 8;
}

static uint64_t row_bytes(const uint32_t *to, uint32_t n)
{
    uint64_t sum = 1 + (n + UINT64_C(3)) / 4;
    uint32_t before = 0;
    for (uint32_t left = n; left >= 0x80; left >>= 7)
        sum++;
    for (uint32_t i = 0; i < n; before = to[i++])
        sum += bytes_of(to[i] - before);
    return sum;
}

static void code_row(const uint32_t *to, uint32_t n, uint8_t *p)
{
    uint32_t before = 0, left = n;
    for (; left >= 0x80; left >>= 7)
        *p++ = (uint8_t)(left | 0x80);
    *p++ = (uint8_t)left;
    for (uint32_t i = 0; i < n; i += 4) {
        uint8_t *const lengths = p++;
        *lengths = 0;
        for (unsigned k = 0; k < 4 && i + k < n; before = to[i + k++]) {
            uint32_t gap = to[i + k] - before;
            const unsigned bytes = bytes_of(gap);
            *lengths |= (uint8_t)((bytes - 1) << 2 * k);
            for (unsigned b = 0; b < bytes; b++, gap >>= 8)
                *p++ = (uint8_t)gap;
        }
    }
}

/* Of each byte of lengths: where the second, third, fourth value begin, and where
 * the four end, a byte each. */
#define L(c, k) (((c) >> 2 * (k)&3) + 1)
#define AT(c)                                                                                      \
    (uint32_t)(L(c, 0) | (L(c, 0) + L(c, 1)) << 8 | (L(c, 0) + L(c, 1) + L(c, 2)) << 16 |          \
               (L(c, 0) + L(c, 1) + L(c, 2) + L(c, 3)) << 24)
#define AT4(c)  AT(c), AT((c) + 1), AT((c) + 2), AT((c) + 3)
#define AT16(c) AT4(c), AT4((c) + 4), AT4((c) + 8), AT4((c) + 12)
#define AT64(c) AT16(c), AT16((c) + 16), AT16((c) + 32), AT16((c) + 48)
static const uint32_t group_at[256] = { AT64(0u), AT64(64u), AT64(128u), AT64(192u) };

static inline uint32_t value(const uint8_t *p, unsigned code)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v) & UINT32_MAX >> (24 - 8 * code);
}

uint32_t placement_row_decode(const struct placement_graph *g, uint32_t v, uint32_t *to)
{
    const uint8_t *p = g->coded + g->start[v];
    uint32_t n = *p & 0x7f, at = 0, i = 0;
    for (unsigned shift = 7; *p++ & 0x80; shift += 7)
        n |= (uint32_t)(*p & 0x7f) << shift;
    for (; i + 4 <= n; i += 4) {
        const unsigned c = *p++;
        const uint32_t where = group_at[c];
        to[i] = at += value(p, c & 3);
        to[i + 1] = at += value(p + (where & 0xff), c >> 2 & 3);
        to[i + 2] = at += value(p + (where >> 8 & 0xff), c >> 4 & 3);
        to[i + 3] = at += value(p + (where >> 16 & 0xff), c >> 6);
        p += where >> 24;
    }
    if (i < n)
        for (unsigned c = *p++; i < n; i++, c >>= 2) {
            to[i] = at += value(p, c & 3);
            p += (c & 3) + 1;
        }
    return n;
}

/* --- a graph ----------------------------------------------------------------- */

static void measure_rows(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct coding *c = ctx;
    (void)worker;
    for (uint64_t v = begin; v < end; v++) {
        const uint64_t at = c->g->start[v];
        c->at[v] = row_bytes(c->to + at, (uint32_t)(c->g->start[v + 1] - at));
    }
}

static void code_rows(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    const struct coding *c = ctx;
    (void)worker;
    for (uint64_t v = c->first + begin; v < c->first + end; v++) {
        const uint64_t at = c->g->start[v];
        code_row(c->to + at, (uint32_t)(c->g->start[v + 1] - at),
                 c->round + (c->at[v] - c->at[c->first]));
    }
}

/* Sizes to places; returns by how many bytes the coded rows run ahead of the
 * plain ones at most: so much higher must those lie. */
static uint64_t lay_out(struct coding *c)
{
    uint64_t sum = 0, ahead = 0;
    for (uint32_t v = 0; v < c->g->n; v++) {
        const uint64_t size = c->at[v], read = c->g->start[v + 1] * sizeof *c->to;
        c->at[v] = sum;
        sum += size;
        if (sum > read && sum - read > ahead)
            ahead = sum - read;
    }
    c->at[c->g->n] = sum;
    return ahead;
}

/* The rows of the round that begins with first: up to which, and how many bytes. */
static uint32_t end_round(const struct coding *c, uint32_t first, uint64_t *bytes)
{
    const struct placement_graph *const g = c->g;
    uint32_t stop = first + 1;
    while (stop < g->n && g->start[stop + 1] - g->start[first] <= ROUND_ARCS &&
           c->at[stop + 1] - c->at[first] <= UINT64_C(4) * ROUND_ARCS)
        stop++;
    *bytes = c->at[stop] - c->at[first];
    return stop;
}

static uint64_t longest_round(const struct coding *c)
{
    uint64_t most = 0, bytes;
    for (uint32_t v = 0; v<c->g->n; most = bytes> most ? bytes : most)
        v = end_round(c, v, &bytes);
    return most;
}

static enum pr_code code(struct coding *c, struct pr_pool *pool, struct pr_err *err)
{
    struct placement_graph *const g = c->g;
    const uint64_t higher = (lay_out(c) + 3) / 4;
    const uint64_t room = (g->arcs + higher) * sizeof *g->to + PAD_BYTES;
    c->round = malloc(longest_round(c) + 1);
    uint32_t *const grown = c->round == NULL ? NULL : realloc(g->to, room);
    if (grown == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory coding the graph");
    g->to = grown;
    memmove(grown + higher, grown, g->arcs * sizeof *grown);
    c->to = grown + higher;
    uint64_t bytes;
    for (uint32_t v = 0, stop; v < g->n; v = stop) {
        stop = end_round(c, v, &bytes);
        c->first = v;
        pr_pool_for(pool, stop - v, ROWS_GRAIN, code_rows, c);
        memcpy((uint8_t *)grown + c->at[v], c->round, bytes);
    }
    bytes = c->at[g->n];
    memset((uint8_t *)grown + bytes, 0, PAD_BYTES);
    uint8_t *const fit = realloc(grown, bytes + PAD_BYTES);
    g->coded = fit == NULL ? (uint8_t *)grown : fit;
    g->to = NULL;
    free(g->start);
    g->start = c->at;
    c->at = NULL;
    return PR_OK;
}

enum pr_code placement_graph_code(struct placement_graph *g, struct pr_pool *pool,
                                  struct pr_err *err)
{
    if (g->coded != NULL)
        return PR_OK;
    if (g->weight != NULL)
        return pr_fail(err, PR_EINVAL, "a graph with edge weights cannot be gap-coded");
    struct coding c = { .g = g, .to = g->to };
    c.at = malloc(((size_t)g->n + 1) * sizeof *c.at);
    if (c.at == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory coding the graph");
    pr_pool_for(pool, g->n, ROWS_GRAIN, measure_rows, &c);
    const enum pr_code rc = code(&c, pool, err);
    free(c.at);
    free(c.round);
    return rc;
}
