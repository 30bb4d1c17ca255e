/* Shippers that lose their lease at any moment, go on for a while without knowing it, and have
 * uploads arrive in any order and as late as can be: whatever the holder of the lease has
 * acknowledged as durable lies on the route from then on. argv[1] sets the seed. */
#include "t.h"

#include "dr_make.h"

#include "core/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3000, STEPS = 60, MOST = 64, SHIPPERS = 8, NOBODY = -1 };

static uint64_t seed = 20261121;

struct sent {
    struct dr_located l;
    int by;
    bool arrived, acknowledged;
};

struct world {
    struct dr_generation g;
    struct sent sent[MOST];
    size_t n;
    struct {        /* each has the epoch of its number */
        bool ready; /* has looked where to go on */
        uint64_t to;
        uint8_t chain[DR_HASH];
    } shipper[SHIPPERS];
    int holder;
    uint64_t forks; /* pieces that began where another one had */
};

static struct dr_route route(const struct world *w, size_t given[MOST])
{
    struct dr_located there[MOST];
    struct dr_route r;
    struct pr_err err;
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        if (w->sent[i].arrived) {
            given[n] = i;
            there[n++] = w->sent[i].l;
        }
    assert_ok(dr_chain_route(&w->g, there, n, INT64_MAX, &r, &err), &err);
    return r;
}

static void take_over(struct world *w)
{
    size_t given[MOST];
    struct dr_route r = route(w, given);
    w->shipper[w->holder].ready = true;
    w->shipper[w->holder].to = r.to;
    memcpy(w->shipper[w->holder].chain, r.chain, DR_HASH);
    free(r.take);
}

/* Some shipper, the holder or one that was, sends what comes next. Half of the pieces are cut
 * alike by all, the others in their own way. */
static void send(struct pr_rng *rng, struct world *w)
{
    const int by = (int)pr_rng_below(rng, (uint64_t)w->holder + 1);
    if (!w->shipper[by].ready || w->n == MOST)
        return;
    struct dr_piece p = { .generation = w->g.id, .replid = DR_REPLID_A };
    const bool own = pr_rng_below(rng, 2) == 0;
    (void)strcpy(p.shard, w->g.shard);
    p.from = w->shipper[by].to;
    p.to = p.from + (own ? 1 + pr_rng_below(rng, 3) : 2);
    p.sha256[0] = own ? (uint8_t)(by + 1) : 0;
    dr_chain_hash(w->shipper[by].chain, &p, p.chain);
    for (size_t i = 0; i < w->n; i++)
        w->forks += w->sent[i].l.piece.from == p.from;
    w->sent[w->n] =
        (struct sent){ .l = { .piece = p, .epoch = (uint64_t)by, .seq = w->n }, .by = by };
    w->n++;
    w->shipper[by].to = p.to;
    memcpy(w->shipper[by].chain, p.chain, DR_HASH);
}

static void arrive(struct pr_rng *rng, struct world *w)
{
    if (w->n > 0)
        w->sent[pr_rng_below(rng, w->n)].arrived = true;
}

/* The holder acknowledges what has arrived of its own, in order, up to the first that has not. */
static void acknowledge(struct world *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->sent[i].by != w->holder)
            continue;
        if (!w->sent[i].arrived)
            return;
        w->sent[i].acknowledged = true;
    }
}

static void check(const struct world *w)
{
    size_t given[MOST];
    struct dr_route r = route(w, given);
    for (size_t i = 0; i < w->n; i++) {
        bool there = !w->sent[i].acknowledged;
        for (size_t k = 0; k < r.n && !there; k++)
            there = memcmp(w->sent[given[r.take[k]]].l.piece.chain, w->sent[i].l.piece.chain,
                           DR_HASH) == 0;
        if (!there)
            fail_msg("piece %zu of epoch %d was acknowledged and is not on the route to %llu", i,
                     w->sent[i].by, (unsigned long long)r.to);
    }
    free(r.take);
}

static void what_was_acknowledged_stays_on_the_route(void **state)
{
    (void)state;
    struct pr_rng rng;
    uint64_t acknowledged = 0, forks = 0;
    pr_rng_init(&rng, seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct world w = { .g = { .cluster = "c", .shard = "s", .id = { 1, 1 } },
                           .holder = NOBODY };
        (void)strcpy(w.g.replid, DR_REPLID_A);
        dr_generation_seal(&w.g);
        for (int step = 0; step < STEPS; step++) {
            const uint64_t dice = pr_rng_below(&rng, 20);
            if (w.holder == NOBODY || (dice == 0 && w.holder + 1 < SHIPPERS))
                w.holder++; /* the lease is another's; it looks at the bucket later */
            else if (dice < 3 && !w.shipper[w.holder].ready)
                take_over(&w);
            else if (dice < 10)
                send(&rng, &w);
            else if (dice < 17)
                arrive(&rng, &w);
            else
                acknowledge(&w);
            check(&w);
        }
        for (size_t i = 0; i < w.n; i++) { /* and when all the rest comes at last */
            w.sent[i].arrived = true;
            check(&w);
            acknowledged += w.sent[i].acknowledged;
        }
        forks += w.forks;
    }
    assert_true(acknowledged > ROUNDS && forks > ROUNDS); /* else nothing was tested */
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    (void)printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_stays_on_the_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
