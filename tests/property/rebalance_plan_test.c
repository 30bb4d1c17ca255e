/* Whatever the routes are now and wherever a run wants vertices: after the moves
 * of the plan, folded in any number of batches, the current routes are the
 * target's. The seed is printed; argv[1] sets it. */
#include "t.h"

#include "core/vertex/batch.h"
#include "core/vertex/diff.h"

#include "prism/rng.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 300, MAX_VERTICES = 400 };

static uint64_t seed = 20261121;

struct plan {
    struct pr_buf delta;    /* routes of one batch */
    struct pr_buf *current; /* [partitions] */
    uint32_t partitions, home;
    size_t moves;
    struct pr_rng *rng;
};

/* Folds a batch into the current routes, as the executor does with a delta row. */
static void fold(struct plan *p)
{
    struct pr_buf merged;
    struct pr_buf *c = &p->current[p->home];
    if (p->delta.len == 0)
        return;
    assert_int_equal(pr_routes_sort(p->delta.data, p->delta.len, &p->delta.len), PR_OK);
    pr_buf_init(&merged, 0);
    assert_int_equal(
        pr_routes_merge(c->data, c->len, p->delta.data, p->delta.len, p->partitions, &merged),
        PR_OK);
    pr_buf_done(c);
    *c = merged;
    pr_buf_reset(&p->delta);
}

static void move(void *ctx, uint64_t hash, uint32_t from, uint32_t to, enum rebalance_reason why)
{
    struct plan *p = ctx;
    assert_int_not_equal(from, to);
    assert_int_equal(why == REBALANCE_TO_HOME, to == p->home);
    assert_int_equal(why == REBALANCE_TO_NEIGHBOURS, from == p->home);
    pr_routes_add(&p->delta, hash, to);
    p->moves++;
}

static void random_table(struct pr_rng *rng, struct pr_buf *table, uint32_t partitions,
                         const uint64_t *hash, size_t n)
{
    const double away = pr_rng_unit(rng);
    for (uint32_t h = 0; h < partitions; h++)
        pr_buf_init(&table[h], 0);
    for (size_t i = 0; i < n; i++) {
        const uint32_t home = pr_home_partition(hash[i], partitions);
        const uint32_t to = (uint32_t)pr_rng_below(rng, partitions);
        if (to != home && pr_rng_unit(rng) < away)
            pr_routes_add(&table[home], hash[i], to);
    }
    for (uint32_t h = 0; h < partitions; h++)
        if (table[h].len > 0)
            assert_int_equal(pr_routes_sort(table[h].data, table[h].len, &table[h].len), PR_OK);
}

static uint32_t where(const struct pr_buf *table, uint64_t hash, uint32_t partitions)
{
    uint32_t p = pr_home_partition(hash, partitions);
    const struct pr_buf *b = &table[p];
    (void)pr_routes_find(b->data, b->len, hash, &p);
    return p;
}

static void one_round(struct pr_rng *rng)
{
    const uint32_t partitions = 1 + (uint32_t)pr_rng_below(rng, 32);
    const size_t n = pr_rng_below(rng, MAX_VERTICES);
    uint64_t hash[MAX_VERTICES] = { 0 };
    struct pr_buf current[32], target[32];
    size_t differ = 0, moves = 0;
    for (size_t i = 0; i < n; i++)
        hash[i] = pr_rng_next(rng);
    random_table(rng, current, partitions, hash, n);
    random_table(rng, target, partitions, hash, n);
    for (size_t i = 0; i < n; i++)
        differ += where(current, hash[i], partitions) != where(target, hash[i], partitions);

    for (uint32_t h = 0; h < partitions; h++) {
        struct plan p = { .current = current, .partitions = partitions, .home = h, .rng = rng };
        struct pr_buf before; /* what the plan was made from stays as it was */
        pr_buf_init(&p.delta, 0);
        pr_buf_init(&before, 0);
        pr_buf_add(&before, current[h].data == NULL ? "" : current[h].data, current[h].len);
        rebalance_diff((struct rebalance_blob){ before.data, before.len },
                       (struct rebalance_blob){ target[h].data, target[h].len }, h, move, &p);
        fold(&p);
        moves += p.moves;
        assert_int_equal(current[h].len, target[h].len);
        if (target[h].len > 0)
            assert_memory_equal(current[h].data, target[h].data, target[h].len);
        pr_buf_done(&p.delta);
        pr_buf_done(&before);
    }
    assert_int_equal(moves, differ);
    for (uint32_t h = 0; h < partitions; h++) {
        pr_buf_done(&current[h]);
        pr_buf_done(&target[h]);
    }
}

static void moves_of_a_plan_turn_current_routes_into_the_target(void **state)
{
    (void)state;
    struct pr_rng rng;
    print_message("seed %llu\n", (unsigned long long)seed);
    pr_rng_init(&rng, seed);
    for (int i = 0; i < ROUNDS; i++)
        one_round(&rng);
}

/* Any bytes are either unpacked within bounds or refused. */
static void batches_of_random_bytes_never_mislead(void **state)
{
    (void)state;
    struct pr_rng rng;
    struct rebalance_vertex v[64];
    print_message("seed %llu\n", (unsigned long long)seed);
    pr_rng_init(&rng, seed);
    for (int i = 0; i < 20000; i++) {
        char bytes[64];
        const size_t len = pr_rng_below(&rng, sizeof bytes);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (char)(pr_rng_below(&rng, 3) == 0 ? pr_rng_below(&rng, 4)
                                                         : 0x20 + pr_rng_below(&rng, 0x60));
        char *exact = malloc(len + 1); /* so that a sanitizer sees a read beyond */
        assert_non_null(exact);
        memcpy(exact, bytes, len);
        size_t n = 0;
        if (rebalance_batch_unpack(exact, len, 1000, v, PR_COUNT(v), &n, NULL) == PR_OK)
            for (size_t k = 0; k < n; k++) {
                assert_true(v[k].from < 1000 && v[k].to < 1000 && v[k].from != v[k].to);
                assert_true(v[k].id > exact && v[k].id + v[k].id_len + 8 <= exact + len);
            }
        free(exact);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_of_a_plan_turn_current_routes_into_the_target),
        cmocka_unit_test(batches_of_random_bytes_never_mislead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
