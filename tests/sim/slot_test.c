/* The state machine of a slot's move over a model cluster: every fault at every
 * step for small cases, random ones for the rest. The first argument is the
 * first seed, the second how many. */
#include "slot_world.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct world w;
static uint64_t first_seed = 1, seeds = 60000;

static void describe(const struct slot_config *c)
{
    print_message("types %d %d %d, keys %u, ops %u, faults %u%s%s%s%s%s%s%s%s%s, holds %u\n",
                  c->type[0], c->type[1], c->type[2], c->keys, c->ops, c->faults,
                  c->fail_overs ? ", fail-overs" : "", c->cancel ? ", cancel" : "",
                  c->copy_first ? ", copy first" : "", c->prompt ? ", prompt" : "",
                  c->slow ? ", slow" : "", c->source_full ? ", source full" : "",
                  c->cut_first ? ", cut first" : "", c->forks ? ", forks" : "",
                  c->replicas ? ", replicas" : "", c->target_holds);
}

static struct slot_config config_of(uint64_t seed)
{
    struct slot_config c = { .keys = (uint32_t)(seed % 4),
                             .ops = (uint32_t)(1 + seed / 4 % 4),
                             .faults = (uint32_t)(seed / 16 % 5),
                             .fail_overs = true,
                             .cancel = seed / 80 % 3 == 0,
                             .target_holds =
                                 seed / 240 % 4 == 0 ? 1 + (uint32_t)(seed / 960 % 2) : 0,
                             .slow = seed / 7 % 3 == 0,
                             .copy_first = seed / 11 % 2 == 0,
                             .strings_are_set = false };
    c.prompt = !c.copy_first;
    c.cut_first = c.prompt && c.target_holds == 0 && seed / 23 % 3 == 0;
    c.forks = seed / 29 % 4 == 0;
    c.replicas = seed / 31 % 3 == 0;
    c.source_full = c.target_holds > 0 && seed / 13 % 4 == 0;
    for (int k = 0; k < KEYS; k++)
        c.type[k] = (enum key_type)(seed / (17 + 2 * (unsigned)k) % KEY_TYPES);
    return c;
}

static void holds_whatever_fails_in_random_order(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        const struct slot_config c = config_of(seed);
        const char *bad = slot_run(&w, &c, seed);
        if (bad != NULL) {
            describe(&c);
            w.trace = true;
            (void)slot_run(&w, &c, seed);
            fail_msg("seed %llu: %s", (unsigned long long)seed, bad);
        }
    }
}

/* No third shard moves slots here, none is dissolved, nobody else leaves marks;
 * and who settles before the handoff leaves nothing over. */
static bool never(enum rebalance_slot_event e)
{
    return e == REBALANCE_SLOT_EV_GONE || e == REBALANCE_SLOT_EV_FOREIGN ||
           e == REBALANCE_SLOT_EV_LEFTOVERS || e == REBALANCE_SLOT_EV_TAKER_OPEN;
}

static void the_random_runs_have_seen_everything(void **state)
{
    (void)state;
    static const char *const name[SLOT_COUNTS] = {
        [SAW_VERIFIED] = "moves verified",
        [SAW_ROLLED_BACK] = "rolled back",
        [SAW_STUCK] = "stuck",
        [SAW_CRASH] = "crashes of the scheduler",
        [SAW_STALE] = "late commands stopped with their user",
        [SAW_KILL] = "primaries killed",
        [SAW_PAUSE] = "primaries paused",
        [SAW_MANUAL] = "fail-overs by hand",
        [SAW_PROMOTED_SOURCE] = "elections in the source's shard",
        [SAW_PROMOTED_TARGET] = "elections in the target's shard",
        [SAW_LATE] = "late commands",
        [SAW_LATE_REFUSED] = "that refused themselves",
        [SAW_CUT_MIGRATE] = "MIGRATEs cut between RESTORE and DEL",
        [SAW_CUT_SHORT] = "never answered",
        [SAW_CUT_KEPT] = "keys of those that count at the giver",
        [SAW_PRINT_SOURCE] = "that were not written at the giver, by their prints",
        [SAW_PRINT_TARGET] = "at the taker",
        [SAW_CONFLICT] = "keys compared",
        [SAW_TURN] = "turns",
        [SAW_ACKED] = "writes acknowledged",
        [SAW_UNKNOWN] = "writes of unknown fate",
        [SAW_ASK] = "ASK",
    };

    for (int i = 0; i < SLOT_COUNTS; i++) {
        if (name[i] == NULL)
            continue;
        print_message("  %llu %s\n", (unsigned long long)w.saw[i], name[i]);
        assert_true(w.saw[i] > 0);
    }
    for (int e = 0; e < REBALANCE_SLOT_EVENTS; e++) {
        const enum rebalance_slot_event event = (enum rebalance_slot_event)e;
        print_message("  %llu %s\n", (unsigned long long)w.events[e],
                      rebalance_slot_event_name(event));
        if (!never(event))
            assert_true(w.events[e] > 0);
    }
}

#define SMALL .keys = 2, .ops = 1, .faults = 2, .fail_overs = true, .prompt = true

static void explores(const struct slot_config *row, size_t n, uint32_t depth)
{
    uint64_t runs = 0;

    for (size_t i = 0; i < n; i++) {
        const char *bad = slot_explore(&w, &row[i], depth, &runs);
        if (bad != NULL) {
            describe(&row[i]);
            for (uint32_t f = 0; f < w.choose.n_forced; f++)
                print_message("choice %u: %u\n", w.choose.forced_at[f], w.choose.forced[f]);
            fail_msg("case %zu, after %llu runs: %s", i, (unsigned long long)runs, bad);
        }
    }
    print_message("  %llu runs\n", (unsigned long long)runs);
}

static void holds_for_every_single_disturbance(void **state)
{
    (void)state;
    static const struct slot_config row[] = {
        { SMALL },
        { SMALL, .slow = true },
        { SMALL, .cancel = true },
        { SMALL, .target_holds = 1 },
        { SMALL, .target_holds = 1, .source_full = true },
        { SMALL, .type = { TYPE_STRING, TYPE_STRING, TYPE_STRING } },
        { SMALL, .type = { TYPE_HASH, TYPE_HASH, TYPE_HASH } },
        { .keys = 3, .ops = 4, .faults = 2, .fail_overs = true, .copy_first = true },
        { .keys = 0, .ops = 4, .faults = 2, .fail_overs = true, .copy_first = true },
        { .keys = 3, .ops = 4, .faults = 2, .fail_overs = true, .prompt = true },
    };

    explores(row, sizeof row / sizeof row[0], 1);
}

static void holds_for_every_pair_of_disturbances(void **state)
{
    (void)state;
    static const struct slot_config row[] = {
        { SMALL },
        { SMALL, .cancel = true },
        { SMALL, .target_holds = 1 },
        { .keys = 2, .ops = 1, .faults = 2, .fail_overs = true, .copy_first = true },
    };

    explores(row, sizeof row / sizeof row[0], 2);
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
        cmocka_unit_test(holds_for_every_single_disturbance),
        cmocka_unit_test(holds_for_every_pair_of_disturbances),
    };
    const struct CMUnitTest without_pairs[] = {
        cmocka_unit_test(holds_whatever_fails_in_random_order),
        cmocka_unit_test(the_random_runs_have_seen_everything),
        cmocka_unit_test(holds_for_every_single_disturbance),
    };
    if (argc > 3 && strcmp(argv[3], "no-pairs") == 0)
        return cmocka_run_group_tests_name("sim/slot", without_pairs, NULL, NULL);
    return cmocka_run_group_tests_name("sim/slot", tests, NULL, NULL);
}
