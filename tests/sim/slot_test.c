/* The state machine of a slot's move over a model cluster: every fault at every
 * step for small cases, random ones for the rest. The first argument is the
 * first seed, the second how many. */
#include "slot_world.h"

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
    print_message("types %d %d %d, keys %u, ops %u, faults %u%s%s%s%s%s%s, holds %u\n", c->type[0],
                  c->type[1], c->type[2], c->keys, c->ops, c->faults,
                  c->fail_overs ? ", fail-overs" : "", c->cancel ? ", cancel" : "",
                  c->copy_first ? ", copy first" : "", c->prompt ? ", prompt" : "",
                  c->slow ? ", slow" : "", c->source_full ? ", source full" : "", c->target_holds);
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

int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seeds = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_whatever_fails_in_random_order),
    };
    return cmocka_run_group_tests_name("sim/slot", tests, NULL, NULL);
}
