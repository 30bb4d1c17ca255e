/* What goes wrong around the dr service, against a real cluster with two replicas a shard and a
 * real S3 server behind a proxy that breaks what it carries. After every fault: it went on, or
 * refused and said so, or used what was whole before; what was said to be durable is in a restore,
 * without a hole; and nothing half restored looks whole.
 *
 *   test_fault_dr [seed=N] [strikes=N] [only=PATTERN]
 *
 * strikes: 1 each case once, 10 the long run. A strike is repeatable by its seed as far as what is
 * struck and when is concerned; what processes do at that moment is their own. */
#include "dr_cases.h"
#include "dr_scene.h"

#define CASE(f)                                                                                    \
    {                                                                                              \
        "dr_" #f, dr_##f, dr_case_begin, dr_case_end, (void *)(uintptr_t) #f                       \
    }

int main(int argc, char **argv)
{
    dr_read_words(argc, argv);
    const struct CMUnitTest tests[] = {
        CASE(bucket_fails_at_any_call),
        CASE(bucket_stays_away),
        CASE(bucket_refuses),
        CASE(restore_from_a_bad_bucket),
        CASE(killed_between_any_two_calls),
        CASE(killed_between_steps_of_a_new_base),
        CASE(older_shipper_comes_back),
        CASE(clock_jumps),
        CASE(another_key_begins_anew),
        CASE(source_is_promoted),
        CASE(source_is_killed),
        CASE(source_is_stopped),
        CASE(primary_is_killed),
        CASE(source_closes_a_slow_reader),
        CASE(object_has_a_flipped_bit),
        CASE(object_is_cut_or_lost),
        CASE(restore_is_killed),
        CASE(restore_has_no_room),
        CASE(drill_has_no_room),
        CASE(restore_over_something),
        CASE(restore_with_wrong_settings),
        CASE(whole_restore_is_killed),
    };
    return cmocka_run_group_tests_name("fault/dr", tests, dr_scene_open, dr_scene_close);
}
