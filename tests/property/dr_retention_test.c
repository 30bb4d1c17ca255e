/* Random histories of shards, groups, leases that are lost, damage and scrubs: whatever retention
 * deletes, every time within the window restores from the very same pieces as before, also when
 * any generation that is not verified turns out damaged; and it does delete. argv[1] sets the
 * seed. */
#include "t.h"

#include "dr_make.h"

#include "core/chain.h"
#include "core/retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 400, SHARDS = 4, GENERATIONS = 64, HELD = 600, PIECES = 1200 };
#define H INT64_C(3600000)

static uint64_t seed = 20261121;

struct container { /* pieces [first, first + n) */
    size_t first, n;
    uint64_t epoch, seq;
    int64_t modified_ms;
    unsigned group;
    bool gone;
};

struct shard {
    size_t gen; /* now; SIZE_MAX: none */
    uint64_t to;
    uint8_t chain[DR_HASH];
    bool left; /* no longer in the cluster */
};

struct world {
    struct pr_rng rng;
    int64_t now_ms;
    uint64_t epoch, seq;
    struct dr_generation g[GENERATIONS];
    struct dr_kept kept[GENERATIONS]; /* of the same */
    bool gone[GENERATIONS];
    size_t gens;
    struct dr_located piece[PIECES];
    size_t pieces;
    struct container held[HELD];
    size_t containers;
    struct shard shard[SHARDS];
};

static uint64_t below(struct world *w, uint64_t n)
{
    return pr_rng_below(&w->rng, n);
}

static void new_base(struct world *w, size_t s)
{
    if (w->gens == GENERATIONS)
        return;
    struct dr_generation *g = &w->g[w->gens];
    *g = (struct dr_generation){ .cluster = "c",
                                 .id = { w->epoch, (uint32_t)w->gens + 1 },
                                 .replid = DR_REPLID_A,
                                 .offset = w->shard[s].to + below(w, 3),
                                 .begun_ms = w->now_ms };
    (void)snprintf(g->shard, DR_NAME, "s%zu", s);
    w->now_ms += (int64_t)below(w, 3 * H);
    g->ended_ms = w->now_ms;
    dr_generation_seal(g);
    w->kept[w->gens] =
        (struct dr_kept){ .id = g->id, .begun_ms = g->begun_ms, .ended_ms = g->ended_ms };
    memcpy(w->kept[w->gens].shard, g->shard, DR_NAME);
    w->shard[s].gen = w->gens++;
    w->shard[s].to = g->offset;
    memcpy(w->shard[s].chain, g->chain, DR_HASH);
}

/* epoch: of the writer; keep: the shards go on from it (else a lease was lost meanwhile). */
static void flush(struct world *w, unsigned group, uint64_t epoch, bool keep)
{
    if (w->containers == HELD || w->pieces + SHARDS > PIECES)
        return;
    struct container *c = &w->held[w->containers++];
    *c = (struct container){ .first = w->pieces,
                             .epoch = epoch,
                             .seq = w->seq++,
                             .modified_ms = w->now_ms + (int64_t)below(w, H / 2),
                             .group = group };
    for (size_t s = group; s < SHARDS; s += 2) {
        struct shard *is = &w->shard[s];
        if (is->gen == SIZE_MAX || is->left || below(w, 4) == 0)
            continue;
        struct dr_piece p = { .generation = w->g[is->gen].id,
                              .replid = DR_REPLID_A,
                              .from = is->to,
                              .to = is->to + 1 + below(w, 9),
                              .first_ms = w->now_ms - 1000,
                              .last_ms = w->now_ms };
        memcpy(p.shard, w->g[is->gen].shard, DR_NAME);
        p.sha256[0] = (uint8_t)below(w, 256);
        dr_chain_hash(is->chain, &p, p.chain);
        w->piece[w->pieces++] =
            (struct dr_located){ .piece = p, .epoch = epoch, .seq = c->seq, .index = c->n++ };
        if (!keep)
            continue;
        is->to = p.to;
        memcpy(is->chain, p.chain, DR_HASH);
    }
}

static void scrub(struct world *w)
{
    for (size_t i = 0; i < w->gens; i++) {
        if (w->kept[i].damaged || below(w, 3) == 0)
            continue;
        w->kept[i].damaged = below(w, 12) == 0;
        w->kept[i].verified_ms = w->kept[i].damaged ? 0 : w->now_ms;
    }
}

static void live(struct world *w, uint64_t from)
{
    *w = (struct world){ .epoch = 1, .now_ms = 1000LL * H };
    pr_rng_init(&w->rng, from);
    for (size_t s = 0; s < SHARDS; s++)
        w->shard[s] = (struct shard){ .gen = SIZE_MAX, .to = 100 };
    for (int step = 0; step < 150; step++) {
        w->now_ms += (int64_t)below(w, 4 * H);
        switch (below(w, 12)) {
        case 0:
        case 1:
            new_base(w, below(w, SHARDS));
            break;
        case 2:
            flush(w, (unsigned)below(w, 2), w->epoch, false); /* late, by one that lost its lease */
            w->epoch++;
            w->seq = 0;
            break;
        case 3:
            scrub(w);
            break;
        case 4:
            w->shard[below(w, SHARDS)].left |= below(w, 8) == 0;
            break;
        default:
            flush(w, (unsigned)below(w, 2), w->epoch, true);
        }
    }
}

static bool newest(const struct world *w, size_t i)
{
    for (size_t k = i + 1; k < w->containers; k++)
        if (w->held[k].group == w->held[i].group)
            return false;
    return true;
}

/* Returns how much went. */
static size_t retain(struct world *w, const struct dr_retention *r)
{
    struct dr_kept kept[GENERATIONS];
    struct dr_floor floor[GENERATIONS];
    struct dr_piece piece[SHARDS];
    size_t floors, went = 0;
    memcpy(kept, w->kept, sizeof kept);
    dr_retention_floors(r, kept, w->gens, floor, &floors);
    for (size_t i = 0; i < w->gens; i++) {
        w->gone[i] = dr_retention_drops(floor, floors, w->g[i].shard, &w->g[i].id);
        went += w->gone[i];
    }
    for (size_t i = 0; i < w->containers; i++) {
        struct container *c = &w->held[i];
        struct dr_held h = { .modified_ms = c->modified_ms, .newest = newest(w, i) };
        enum dr_verdict v = dr_retention_container(r, floor, floors, &h);
        if (v == DR_LOOK) {
            for (size_t k = 0; k < c->n; k++)
                piece[k] = w->piece[c->first + k].piece;
            h.piece = piece;
            h.pieces = c->n;
            v = dr_retention_container(r, floor, floors, &h);
            assert_int_not_equal(v, DR_LOOK);
        }
        c->gone = v == DR_GOES;
        went += c->gone;
    }
    return went;
}

/* The generation to restore to a time, and its pieces, by their chain hashes. */
struct outcome {
    size_t gen;
    size_t n;
    uint8_t chain[DR_HASH];
    uint64_t to;
};

static struct outcome restore(const struct world *w, const char *shard, const bool *skip,
                              int64_t at_ms, bool after)
{
    static struct dr_generation g[GENERATIONS];
    static struct dr_located piece[PIECES];
    size_t index[GENERATIONS], n = 0, pieces = 0;
    bool skipped[GENERATIONS];
    struct outcome out = { .gen = SIZE_MAX };
    for (size_t i = 0; i < w->gens; i++)
        if (strcmp(w->g[i].shard, shard) == 0 && !(after && w->gone[i])) {
            g[n] = w->g[i];
            skipped[n] = skip[i];
            index[n++] = i;
        }
    for (size_t c = 0; c < w->containers; c++)
        for (size_t k = 0; k < w->held[c].n && !(after && w->held[c].gone); k++)
            piece[pieces++] = w->piece[w->held[c].first + k];
    const size_t i = dr_generation_choose(g, n, skipped, at_ms);
    if (i == SIZE_MAX)
        return out;
    struct dr_route r = { .n = 0 };
    struct pr_err err;
    assert_ok(dr_chain_route(&g[i], piece, pieces, at_ms, &r, &err), &err);
    out = (struct outcome){ .gen = index[i], .n = r.n, .to = r.to };
    memcpy(out.chain, r.chain, DR_HASH);
    free(r.take);
    return out;
}

static void check(struct world *w, const struct dr_retention *r, uint64_t of)
{
    bool skip[GENERATIONS];
    for (int try = 0; try < 20; try++) {
        const int64_t at = try == 0 ? r->now_ms - r->keep_ms
                                    : r->now_ms - (int64_t)below(w, (uint64_t)r->keep_ms + 1);
        char shard[DR_NAME];
        (void)snprintf(shard, sizeof shard, "s%d", try % SHARDS);
        for (size_t i = 0; i < w->gens; i++) /* what a restore finds damaged */
            skip[i] = w->kept[i].damaged || (w->kept[i].verified_ms == 0 && below(w, 3) == 0);
        const struct outcome before = restore(w, shard, skip, at, false),
                             after = restore(w, shard, skip, at, true);
        if (before.gen != after.gen || before.n != after.n || before.to != after.to ||
            memcmp(before.chain, after.chain, DR_HASH) != 0)
            fail_msg("seed %llu: shard %s at %lld: generation %zu, %zu pieces; then %zu, %zu",
                     (unsigned long long)of, shard, (long long)at, before.gen, before.n, after.gen,
                     after.n);
    }
}

static void every_promised_time_restores_as_before(void **state)
{
    (void)state;
    static struct world w;
    size_t went = 0, there = 0;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        live(&w, seed + i);
        const struct dr_retention r = { .now_ms = w.now_ms,
                                        .keep_ms = (int64_t)(1 + below(&w, 150)) * H };
        went += retain(&w, &r);
        there += w.gens + w.containers;
        check(&w, &r, seed + i);
    }
    print_message("%zu of %zu objects went\n", went, there);
    assert_true(went > there / 20); /* or nothing was tried */
}

/* The last verified one of a shard stays, however old, and so does all that is newer. */
static void the_last_good_one_stays(void **state)
{
    (void)state;
    static struct world w;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        live(&w, seed + i);
        const struct dr_retention r = { .now_ms = w.now_ms + 100000LL * H, .keep_ms = H };
        (void)retain(&w, &r);
        for (size_t s = 0; s < SHARDS; s++) {
            size_t last_verified = SIZE_MAX, last_whole = SIZE_MAX, newest_one = SIZE_MAX;
            char shard[DR_NAME];
            (void)snprintf(shard, sizeof shard, "s%zu", s);
            for (size_t g = 0; g < w.gens; g++) { /* in the order of their ids */
                if (strcmp(w.g[g].shard, shard) != 0)
                    continue;
                newest_one = g;
                last_verified = w.kept[g].verified_ms > 0 ? g : last_verified;
                last_whole = !w.kept[g].damaged ? g : last_whole;
            }
            const size_t stays[] = { last_verified, last_whole, newest_one };
            for (size_t k = 0; k < PR_COUNT(stays); k++)
                if (stays[k] != SIZE_MAX && w.gone[stays[k]])
                    fail_msg("seed %llu: generation %zu of shard %s went",
                             (unsigned long long)(seed + i), stays[k], shard);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_promised_time_restores_as_before),
        cmocka_unit_test(the_last_good_one_stays),
    };
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests_name("dr retention", tests, NULL, NULL);
}
