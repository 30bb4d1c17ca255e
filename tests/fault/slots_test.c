/* Slots of a real cluster with two replicas a shard move, by the real service,
 * while clients read and write them and something is struck in the middle of a
 * slot. Every strike ends with: all slots served and closed, every key in one
 * shard, no acknowledged write lost, the plan finished.
 *
 *   test_fault_slots [seed=N] [kills=N] [strikes=N] [only=PATTERN] [but=PATTERN]
 *
 * kills: of the scheduler; strikes: of each other kind. A strike is repeatable by
 * its seed as far as the point is concerned; what processes do at that moment is
 * their own. */
#include "slots_cases.h"

#include "t.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slots_counts slots_counts = { .seed = 20261121, .kills = 3, .strikes = 1 };

struct pr_rng slots_rng(const char *name, long strike)
{
    struct pr_rng rng;
    uint64_t x = slots_counts.seed;
    for (const char *p = name; *p != '\0'; p++)
        x = pr_mix64(x ^ (uint64_t)(unsigned char)*p);
    pr_rng_init(&rng, pr_mix64(x ^ (uint64_t)strike));
    return rng;
}

static void usage(const char *word)
{
    fprintf(stderr, "%s: want seed=N, kills=N, strikes=N, only=PATTERN or but=PATTERN\n", word);
    exit(2);
}

static void read_word(const char *word)
{
    const char *value = strchr(word, '=');
    if (value == NULL)
        usage(word);
    value++;
    if (strncmp(word, "seed=", 5) == 0)
        slots_counts.seed = strtoull(value, NULL, 10);
    else if (strncmp(word, "kills=", 6) == 0)
        slots_counts.kills = strtol(value, NULL, 10);
    else if (strncmp(word, "strikes=", 8) == 0)
        slots_counts.strikes = strtol(value, NULL, 10);
    else if (strncmp(word, "only=", 5) == 0)
        cmocka_set_test_filter(value);
    else if (strncmp(word, "but=", 4) == 0) {
        print_message("SKIPPED here, struck by ./dev test slow: %s\n", value);
        cmocka_set_skip_filter(value);
    } else
        usage(word);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, slots_case_begin, slots_case_end)

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        read_word(argv[i]);
    print_message("seed %llu\n", (unsigned long long)slots_counts.seed);
    const struct CMUnitTest tests[] = {
        CASE(slots_canceled_plan_closes_its_slot),
        CASE(slots_scheduler_is_killed),
        CASE(slots_other_scheduler_takes_over),
        CASE(slots_scheduler_is_stopped_past_its_lease),
        CASE(slots_scheduler_is_cut_off_from_a_node),
        CASE(slots_source_is_killed),
        CASE(slots_target_is_killed),
        CASE(slots_source_and_scheduler_are_killed),
        CASE(slots_source_fails_over),
        CASE(slots_target_fails_over),
        CASE(slots_source_is_stopped),
        CASE(slots_target_is_stopped),
        CASE(slots_source_is_killed_while_paused),
        CASE(slots_target_is_killed_while_paused),
        CASE(slots_source_is_killed_while_paused_and_taken_over),
        CASE(slots_nats_is_restarted),
        CASE(slots_postgres_is_restarted),
        CASE(slots_big_key_needs_approval),
        CASE(slots_too_big_key_is_refused),
        CASE(slots_target_is_rather_full),
        CASE(slots_target_gets_full),
    };
    return cmocka_run_group_tests_name("fault/slots", tests, slots_scene_open, slots_scene_close);
}
