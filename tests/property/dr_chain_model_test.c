/* Random trees of pieces with holes, damage, copies and strangers among them: the route is the
 * one that a plain recursion over all pieces finds, in whatever order they are given, and that of
 * a point in time is its beginning. argv[1] sets the seed. */
#include "t.h"

#include "dr_make.h"

#include "core/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 400, MOST = 20 };

static uint64_t seed = 20261121;

struct world {
    struct dr_generation g;
    struct dr_located piece[MOST];
    size_t n;
};

static void make(struct pr_rng *rng, struct world *w)
{
    const uint64_t epochs = 1 + pr_rng_below(rng, 5);
    *w = (struct world){ .g = { .cluster = "c", .shard = "s", .id = { 1, 1 }, .ended_ms = 50 } };
    (void)strcpy(w->g.replid, DR_REPLID_A);
    w->g.offset = 100;
    dr_generation_seal(&w->g);
    w->n = pr_rng_below(rng, MOST + 1);
    for (size_t i = 0; i < w->n; i++) {
        struct dr_located *l = &w->piece[i];
        const size_t after = pr_rng_below(rng, i + 1); /* i: the base */
        const struct dr_piece *b = after < i ? &w->piece[after].piece : NULL;
        l->epoch = pr_rng_below(rng, epochs);
        l->seq = pr_rng_below(rng, 4);
        if (b != NULL && pr_rng_below(rng, 8) == 0) { /* the same again, perhaps newer */
            l->piece = *b;
            continue;
        }
        struct dr_piece p = { .generation = w->g.id, .replid = DR_REPLID_B };
        (void)strcpy(p.shard, "s");
        p.from = b != NULL ? b->to : w->g.offset;
        p.to = p.from + 1 + pr_rng_below(rng, 3);
        p.sha256[0] = (uint8_t)pr_rng_below(rng, 3);
        p.last_ms = (int64_t)(p.to + (p.from + p.sha256[0]) % 3); /* clocks go back, too */
        p.first_ms = p.last_ms - 1;
        dr_chain_hash(b != NULL ? b->chain : w->g.chain, &p, p.chain);
        if (pr_rng_below(rng, 20) == 0)
            p.chain[pr_rng_below(rng, DR_HASH)] ^= 1;
        if (pr_rng_below(rng, 20) == 0)
            p.generation.n++;
        if (pr_rng_below(rng, 20) == 0)
            (void)strcpy(p.shard, "t");
        l->piece = p;
    }
    for (size_t gone = pr_rng_below(rng, 3); gone > 0 && w->n > 0; gone--)
        w->piece[pr_rng_below(rng, w->n)] = w->piece[w->n - 1], w->n--;
}

static bool ours(const struct world *w, const struct dr_piece *p)
{
    return strcmp(p->shard, "s") == 0 && p->generation.n == w->g.id.n;
}

static bool follows(const struct world *w, const uint8_t *chain, uint64_t to,
                    const struct dr_piece *p)
{
    uint8_t want[DR_HASH];
    dr_chain_hash(chain, p, want);
    return ours(w, p) && p->from == to && memcmp(want, p->chain, DR_HASH) == 0;
}

struct best {
    uint64_t epoch, to;
    const struct dr_piece *take[MOST];
    size_t n;
};

/* The best way on from (chain, to), by trying all of them; equal pieces are one, of the newest
 * epoch among them. */
static struct best best_from(const struct world *w, const uint8_t *chain, uint64_t to)
{
    struct best best = { .to = to };
    uint8_t best_chain[DR_HASH] = { 0 };
    uint64_t best_first = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct dr_piece *p = &w->piece[i].piece;
        if (!follows(w, chain, to, p))
            continue;
        struct best on = best_from(w, p->chain, p->to);
        uint64_t epoch = 0;
        for (size_t k = 0; k < w->n; k++)
            if (ours(w, &w->piece[k].piece) &&
                memcmp(w->piece[k].piece.chain, p->chain, DR_HASH) == 0 &&
                w->piece[k].epoch > epoch)
                epoch = w->piece[k].epoch;
        on.epoch = on.epoch > epoch ? on.epoch : epoch;
        const int by_chain = memcmp(p->chain, best_chain, DR_HASH);
        const bool better = best.n == 0              ? true
                            : on.epoch != best.epoch ? on.epoch > best.epoch
                            : on.to != best.to       ? on.to > best.to
                            : epoch != best_first    ? epoch > best_first
                                                     : by_chain < 0;
        if (!better)
            continue;
        for (size_t k = on.n; k > 0; k--)
            on.take[k] = on.take[k - 1];
        on.take[0] = p;
        on.n++;
        best = on;
        best_first = epoch;
        memcpy(best_chain, p->chain, DR_HASH);
    }
    return best;
}

static bool connected(const struct world *w, const struct dr_piece *p)
{
    if (follows(w, w->g.chain, w->g.offset, p))
        return true;
    for (size_t i = 0; i < w->n; i++) {
        const struct dr_piece *b = &w->piece[i].piece;
        if (ours(w, b) && follows(w, b->chain, b->to, p) && connected(w, b))
            return true;
    }
    return false;
}

static void expect(const struct world *w, const struct best *best, int64_t until)
{
    struct dr_route r;
    struct pr_err err;
    size_t n = 0;
    bool gap = false;
    while (n < best->n && w->g.ended_ms <= until && best->take[n]->last_ms <= until)
        n++;
    const uint64_t to = n > 0 ? best->take[n - 1]->to : w->g.offset;
    const int64_t last_ms = n > 0 ? best->take[n - 1]->last_ms : w->g.ended_ms;
    const bool reached =
        w->g.ended_ms <= until && (n < best->n || (until != INT64_MAX && last_ms == until));
    for (size_t i = 0; i < w->n; i++)
        if (ours(w, &w->piece[i].piece) && !connected(w, &w->piece[i].piece) &&
            w->piece[i].piece.to > to && w->piece[i].epoch >= best->epoch)
            gap = !reached && w->g.ended_ms <= until;

    assert_ok(dr_chain_route(&w->g, w->piece, w->n, until, &r, &err), &err);
    assert_int_equal(r.n, n);
    for (size_t i = 0; i < n; i++) {
        const struct dr_located *l = &w->piece[r.take[i]];
        assert_memory_equal(l->piece.chain, best->take[i]->chain, DR_HASH);
        for (size_t k = 0; k < w->n; k++) /* no newer copy */
            if (ours(w, &w->piece[k].piece) &&
                memcmp(w->piece[k].piece.chain, l->piece.chain, DR_HASH) == 0)
                assert_true(w->piece[k].epoch <= l->epoch);
    }
    assert_int_equal(r.to, to);
    assert_int_equal(r.last_ms, last_ms);
    assert_memory_equal(r.chain, n > 0 ? best->take[n - 1]->chain : w->g.chain, DR_HASH);
    assert_string_equal(r.replid, n > 0 ? DR_REPLID_B : DR_REPLID_A);
    assert_int_equal(r.reached, reached);
    assert_int_equal(r.gap, gap);
    assert_int_equal(r.why[0] == '\0', reached);
    free(r.take);
}

static void shuffle(struct pr_rng *rng, struct world *w)
{
    for (size_t i = w->n; i > 1; i--) {
        const size_t k = pr_rng_below(rng, i);
        const struct dr_located t = w->piece[k];
        w->piece[k] = w->piece[i - 1];
        w->piece[i - 1] = t;
    }
}

static void routes_are_the_models(void **state)
{
    (void)state;
    struct pr_rng rng;
    size_t longest = 0;
    pr_rng_init(&rng, seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct world w;
        make(&rng, &w);
        for (int again = 0; again < 2; again++) {
            const struct best best = best_from(&w, w.g.chain, w.g.offset);
            longest = best.n > longest ? best.n : longest;
            expect(&w, &best, INT64_MAX);
            for (int64_t until = 48; until < 52; until++)
                expect(&w, &best, until);
            for (int64_t until = 99; until < 125; until++)
                expect(&w, &best, until);
            shuffle(&rng, &w);
        }
    }
    assert_true(longest >= 6);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    (void)printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = { cmocka_unit_test(routes_are_the_models) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
