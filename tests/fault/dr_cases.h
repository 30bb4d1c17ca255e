/* The cases, by file; how often each strikes; and what is counted. Cases of more kinds (fail-over
 * of a region, slots that move while a backup is cut) go into files of their own, with a line below
 * and one in dr_test.c. */
#ifndef FAULT_DR_CASES_H
#define FAULT_DR_CASES_H

#include "prism/rng.h"

#include <stdint.h>

struct dr_counts {
    uint64_t seed;
    long strikes; /* 1: each case once; 10: the long run */
};
extern struct dr_counts dr_counts;
void dr_read_words(int argc, char **argv); /* seed=N, strikes=N, only=PATTERN; or ends with 2 */

/* How often a case strikes that strikes so often in the long run. */
long dr_strikes(long in_the_long_run);
/* Seeded by the run's seed, the words and the strike: so each is repeatable by itself. */
struct pr_rng dr_rng(const char *words, long strike);

enum dr_outcome {
    DR_RESUMED,  /* it went on, or its successor did; nothing that was durable is missing */
    DR_REFUSED,  /* it said no, and left nothing behind */
    DR_PREVIOUS, /* what was damaged was said to be, and what is whole before it used */
    DR_OUTCOMES
};
/* Of the case that runs: one more fault, and what came of it. */
void dr_struck(enum dr_outcome outcome);
void dr_alarmed(void); /* and an alarm was due, and raised */
/* A restore had all of these writes, which were said to be durable (acknowledged, for PostgreSQL).
 */
void dr_compared(uint64_t writes);

/* The table of cases and faults: around each case, and at the end. */
void dr_table_begin(const char *name);
void dr_table_end(void);
void dr_table_print(void);

/* dr_bucket_cases.c */
void dr_bucket_fails_at_any_call(void **state);
void dr_bucket_stays_away(void **state);
void dr_bucket_refuses(void **state);
void dr_restore_from_a_bad_bucket(void **state);

/* dr_kill_cases.c */
void dr_killed_between_any_two_calls(void **state);
void dr_killed_between_steps_of_a_new_base(void **state);
void dr_older_shipper_comes_back(void **state);
void dr_clock_jumps(void **state);
void dr_another_key_begins_anew(void **state);

/* dr_source_cases.c */
void dr_source_is_promoted(void **state);
void dr_source_is_killed(void **state);
void dr_source_is_stopped(void **state);
void dr_primary_is_killed(void **state);
void dr_source_closes_a_slow_reader(void **state);

/* dr_object_cases.c */
void dr_object_has_a_flipped_bit(void **state);
void dr_object_is_cut_or_lost(void **state);
void dr_restore_is_killed(void **state);
void dr_restore_has_no_room(void **state);
void dr_drill_has_no_room(void **state);
void dr_restore_over_something(void **state);
void dr_restore_with_wrong_settings(void **state);

/* dr_whole_cases.c */
void dr_whole_restore_is_killed(void **state);

#endif
