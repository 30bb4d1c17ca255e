/* The protocol as shipped, under faults: no run may end in a violation. Usage:
 * protocol_test [first seed] [seeds]; a violation prints its seed and scenario. */
#include "world.h"

#include "t.h"

#include <stdio.h>
#include <stdlib.h>

static struct world w;
static uint64_t first_seed = 1, seeds = T_ROUNDS(500000);

/* Every combination of what a scenario can contain comes up, by the seed. */
static struct sim_config drawn(uint64_t seed)
{
    struct pr_rng rng;
    struct sim_config c = { .to = { ANY_PART, ANY_PART, ANY_PART }, .writes = true };

    pr_rng_init(&rng, seed ^ 0x5ce7a210);
    c.home = (uint32_t)pr_rng_below(&rng, 3); /* source, (often) target, neither */
    c.rows = 1 + (uint32_t)pr_rng_below(&rng, MAX_ROWS);
    c.replicas = 1 + (uint32_t)pr_rng_below(&rng, SHARD_REPLICAS);
    c.clients = 1 + (uint32_t)pr_rng_below(&rng, MAX_CLIENTS);
    c.ops = 2 + (uint32_t)pr_rng_below(&rng, 4);
    c.faults = (uint32_t)pr_rng_below(&rng, 9);
    c.absent = pr_rng_below(&rng, 3) == 0;
    c.creates = c.absent || pr_rng_below(&rng, 2) == 0;
    c.deletes = pr_rng_below(&rng, 2) == 0;
    c.cancel = pr_rng_below(&rng, 2) == 0;
    c.zombie = !c.creates && pr_rng_below(&rng, 2) == 0;
    c.long_sweep = pr_rng_below(&rng, 8) == 0;
    return c;
}

static void describe(const struct sim_config *c)
{
    print_message("  home %u, moves %u to %u %u %u, %u replicas, %u clients x %u operations, "
                  "%u faults%s%s%s%s%s%s\n",
                  c->home, c->rows, c->to[0], c->to[1], c->to[2], c->replicas, c->clients, c->ops,
                  c->faults, c->absent ? ", absent at first" : "", c->creates ? ", creates" : "",
                  c->deletes ? ", deletes" : "", c->cancel ? ", cancel" : "",
                  c->zombie ? ", zombie" : "", c->long_sweep ? ", long sweep" : "");
}

static void holds_whatever_fails_in_random_order(void **state)
{
    (void)state;
    print_message("seeds %llu to %llu\n", (unsigned long long)first_seed,
                  (unsigned long long)(first_seed + seeds - 1));
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        struct sim_config c = drawn(seed);
        const char *bad = sim_run(&w, &c, seed);
        if (bad != NULL) {
            describe(&c);
            fail_msg("seed %llu: %s", (unsigned long long)seed, bad);
        }
    }
}

static void the_random_runs_have_seen_everything(void **state)
{
    (void)state;
    static const char *const name[SIM_COUNTS] = {
        [SAW_MOVED] = "moves",
        [SAW_NOT_THERE] = "nothing to move",
        [SAW_FENCED_OFF] = "movers refused by take",
        [SAW_CANCELED] = "canceled",
        [SAW_CANCEL_WENT_ON] = "cancels that had to go forward",
        [SAW_TRIM] = "sweeps on the way",
        [SAW_CRASH] = "crashes",
        [SAW_STOLEN_LEASE] = "stolen leases",
        [SAW_STALE_REFUSED] = "stale movers refused",
        [SAW_FAIL_OVER] = "fail-overs",
        [SAW_LOST_EFFECTS] = "effects lost by them",
        [SAW_BROKEN_WAIT] = "broken waits",
        [SAW_LATE] = "late commands",
        [SAW_ACKED] = "changes acknowledged",
        [SAW_UNKNOWN] = "changes of unknown fate",
        [SAW_BACKOFF] = "clients backing off",
        [SAW_DELETED] = "deletions",
        [SAW_CLAIM_FOUND] = "claims found",
    };

    for (int i = 0; i < SIM_COUNTS; i++) {
        print_message("  %llu %s\n", (unsigned long long)w.saw[i], name[i]);
        assert_true(w.saw[i] > 0);
    }
}

/* Back, onward, onward to home; with one client that writes and reads, or one
 * that creates. */
static void holds_for_every_pair_of_disturbances(void **state)
{
    (void)state;
    static const struct sim_config row[] = {
        { .home = 0, .rows = 1, .to = { 1 }, .writes = true },
        { .home = 1, .rows = 1, .to = { 1 }, .writes = true },
        { .home = 2, .rows = 1, .to = { 1 }, .writes = true },
        { .home = 2, .rows = 1, .to = { 1 }, .deletes = true },
        { .home = 0, .rows = 1, .to = { 1 }, .absent = true, .creates = true },
        { .home = 2, .rows = 1, .to = { 1 }, .absent = true, .creates = true },
    };
    uint64_t runs = 0;

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i += T_SLOWER) {
        struct sim_config c = row[i];
        c.replicas = c.clients = 1;
        c.ops = 2;
        c.faults = 2;
        c.cancel = true;
        const char *bad = sim_explore(&w, &c, 2, &runs);
        if (bad != NULL) {
            describe(&c);
            fail_msg("after %llu runs: %s", (unsigned long long)runs, bad);
        }
    }
    print_message("%llu runs\n", (unsigned long long)runs);
}

static void holds_for_every_single_disturbance_of_longer_journeys(void **state)
{
    (void)state;
    static const uint8_t to[][MAX_ROWS] = { { 1, 0, 1 }, { 1, 3, 0 }, { 1, 2, 1 }, { 1, 3, 2 } };
    uint64_t runs = 0;

    for (uint32_t i = 0; i < 3 * 4 * 4; i += T_SLOWER) {
        struct sim_config c = { .home = i % 3,
                                .rows = 3,
                                .replicas = 2,
                                .clients = 2,
                                .ops = 4,
                                .writes = true,
                                .cancel = true,
                                .creates = i / 12 % 2 == 1,
                                .deletes = i / 24 % 2 == 1,
                                .zombie = i / 12 % 2 == 0,
                                .faults = 2 };
        for (int k = 0; k < MAX_ROWS; k++)
            c.to[k] = to[i / 3 % 4][k];
        const char *bad = sim_explore(&w, &c, 1, &runs);
        if (bad != NULL) {
            describe(&c);
            fail_msg("after %llu runs: %s", (unsigned long long)runs, bad);
        }
    }
    print_message("%llu runs\n", (unsigned long long)runs);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seeds = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_whatever_fails_in_random_order),
        cmocka_unit_test(the_random_runs_have_seen_everything),
        cmocka_unit_test(holds_for_every_pair_of_disturbances),
        cmocka_unit_test(holds_for_every_single_disturbance_of_longer_journeys),
    };
    return cmocka_run_group_tests_name("sim/protocol", tests, NULL, NULL);
}
