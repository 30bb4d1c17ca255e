/* Takes the rules of a slot's move out one by one and sees the simulator find
 * what then goes wrong; with every rule in place the same seeds find nothing. */
#include "slot_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world w;

enum { SEEDS = 400000, CLEAN_SEEDS = 3000 };

struct rule {
    enum slot_rule off;
    const char *name, *want; /* want: the violation; NULL: any */
    struct slot_config cfg;
};

#define PLAIN .keys = 2, .ops = 3, .faults = 2, .fail_overs = true, .prompt = true
#define LONG  .keys = 2, .ops = 6, .faults = 6, .fail_overs = true, .prompt = true, .replicas = true
#define BUSY  .keys = 2, .ops = 4, .faults = 4, .fail_overs = true, .prompt = true

#define RULE_ROW(rule, want, ...)                                                                  \
    {                                                                                              \
        SLOT_##rule, #rule, want,                                                                  \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

#define LOST "an acknowledged write is lost"

static const struct rule rules[] = {
    RULE_ROW(CLAIM_EMPTY, LOST, PLAIN),
    RULE_ROW(CLAIM_BUMPS, NULL, PLAIN),
    RULE_ROW(OUTBID, NULL, BUSY, .target_holds = 1),
    RULE_ROW(CURE, "the move does not end", PLAIN),
    RULE_ROW(REOPEN, NULL, PLAIN),
    RULE_ROW(SETTLE, "keys where nobody finds them", LONG),
    RULE_ROW(WAIT_BATCH, LOST, .keys = 2, .ops = 3, .faults = 2, .fail_overs = true,
             .copy_first = true),
    RULE_ROW(RESOLVE, "the move does not end", PLAIN),
    RULE_ROW(GIVER_RECORDED, LOST, BUSY),
    RULE_ROW(GIVER_EPOCH, LOST, .keys = 1, .ops = 4, .faults = 5, .fail_overs = true,
             .prompt = true, .slow = true),
    RULE_ROW(FIRST_PROMOTED, LOST, BUSY, .slow = true),
    RULE_ROW(FLIGHT_RECORDED, NULL, BUSY),
    RULE_ROW(UNCERTAIN, LOST, BUSY),
    RULE_ROW(REIGNS, LOST, BUSY, .slow = true, .forks = true,
             .type = { TYPE_HASH, TYPE_HASH, TYPE_HASH }),
    RULE_ROW(GAP_WATCHED, LOST, BUSY, .slow = true, .type = { TYPE_STRING, TYPE_STRING }),
    RULE_ROW(GAP_AT_DECISION, LOST, BUSY, .slow = true, .type = { TYPE_STRING, TYPE_STRING }),
    RULE_ROW(CUT_KEPT, LOST, BUSY, .slow = true, .cut_first = true,
             .type = { TYPE_HASH, TYPE_HASH, TYPE_HASH }),
    RULE_ROW(CUT_ORDER, LOST, BUSY, .slow = true, .cut_first = true,
             .type = { TYPE_HASH, TYPE_HASH, TYPE_HASH }),
    RULE_ROW(CUT_UNUSED, LOST, LONG, .cut_first = true,
             .type = { TYPE_STRING, TYPE_HASH, TYPE_HASH }),
    RULE_ROW(CUT_FRESH, LOST, BUSY, .slow = true, .cut_first = true,
             .type = { TYPE_HASH, TYPE_HASH, TYPE_HASH }),
    RULE_ROW(IDLE_NOTED, LOST, BUSY, .slow = true, .forks = true,
             .type = { TYPE_HASH, TYPE_HASH, TYPE_HASH }),
    RULE_ROW(PRINT_INHERITED, LOST, BUSY, .slow = true,
             .type = { TYPE_VERTEX, TYPE_VERTEX, TYPE_VERTEX }),
    RULE_ROW(PRINT_COVERS, LOST, BUSY, .slow = true,
             .type = { TYPE_VERTEX, TYPE_VERTEX, TYPE_VERTEX }),
    RULE_ROW(CLIENTS_CUT, LOST, BUSY, .type = { TYPE_STRING, TYPE_STRING, TYPE_STRING }),
    RULE_ROW(WAIT_UNION, LOST, BUSY, .slow = true),
    RULE_ROW(WAIT_RESOLVED, LOST, .keys = 2, .ops = 4, .faults = 6, .fail_overs = true,
             .prompt = true, .target_holds = 1),
    RULE_ROW(DEADLINE, LOST, BUSY),
    RULE_ROW(TURN, NULL, PLAIN, .target_holds = 1),
    RULE_ROW(UNTURNED, LOST, BUSY, .target_holds = 1),
    RULE_ROW(TARGET_CLOSED_FIRST, NULL, BUSY, .cancel = true),
    RULE_ROW(AGREED, "done, and not everybody knows", PLAIN),
    RULE_ROW(REPLICAS_AGREE, "done, and not everybody knows", PLAIN),
};

static void finds_what_goes_wrong_without_the_rule(void **state)
{
    const struct rule *r = *state;
    const char *bad = NULL;
    uint64_t seed = 0;

    slot_off[r->off] = true;
    while (seed < SEEDS) {
        bad = slot_run(&w, &r->cfg, ++seed);
        if (bad != NULL && (r->want == NULL || strcmp(bad, r->want) == 0))
            break;
        bad = NULL;
    }
    slot_off[r->off] = false;
    if (bad == NULL)
        fail_msg("%s: nothing in %d seeds", r->name, SEEDS);
    print_message("  seed %llu: %s\n", (unsigned long long)seed, bad);
}

static void finds_nothing_with_every_rule_in_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        for (uint64_t seed = 1; seed <= CLEAN_SEEDS; seed++) {
            const char *bad = slot_run(&w, &rules[i].cfg, seed);
            if (bad != NULL)
                fail_msg("%s: seed %llu: %s", rules[i].name, (unsigned long long)seed, bad);
        }
    }
}

/* The argument: one rule's name. */
int main(int argc, char **argv)
{
    enum { N = sizeof(rules) / sizeof(rules[0]) };
    struct CMUnitTest tests[N + 1];

    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){ .name = rules[i].name,
                                        .test_func = finds_what_goes_wrong_without_the_rule,
                                        .initial_state = (void *)(uintptr_t)&rules[i] };
    tests[N] = (struct CMUnitTest)cmocka_unit_test(finds_nothing_with_every_rule_in_place);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("sim/slot_rules", tests, NULL, NULL);
}
