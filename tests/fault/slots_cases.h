/* The cases, by file; and how often each strikes. */
#ifndef SLOTS_CASES_H
#define SLOTS_CASES_H

#include "slots_strike.h"

struct slots_counts {
    uint64_t seed;
    long kills;   /* of the scheduler */
    long strikes; /* of each other kind */
};
extern struct slots_counts slots_counts;

/* Seeded by the run's seed, the case's name and the strike: so each strike is
 * repeatable by itself. */
struct pr_rng slots_rng(const char *name, long strike);

/* slots_nodes.c */
/* The plan ends, the struck node is a replica again, nothing is lost. */
void slots_end_strike(const char *label, struct slots_plan *p, struct slots_strike *s);
void slots_source_is_killed(void **state);
void slots_target_is_killed(void **state);
void slots_source_and_scheduler_are_killed(void **state);
void slots_source_fails_over(void **state);
void slots_target_fails_over(void **state);
void slots_source_is_stopped(void **state);
void slots_target_is_stopped(void **state);

/* slots_pause.c */
void slots_source_is_killed_while_paused(void **state);
void slots_target_is_killed_while_paused(void **state);
void slots_source_is_killed_while_paused_and_taken_over(void **state);

/* slots_service.c */
void slots_scheduler_is_killed(void **state);
void slots_other_scheduler_takes_over(void **state);
void slots_scheduler_is_stopped_past_its_lease(void **state);
void slots_scheduler_is_cut_off_from_a_node(void **state);
void slots_nats_is_restarted(void **state);
void slots_postgres_is_restarted(void **state);

/* slots_limits.c */
void slots_big_key_needs_approval(void **state);
void slots_too_big_key_is_refused(void **state);
void slots_target_is_rather_full(void **state);
void slots_target_gets_full(void **state);
void slots_canceled_plan_closes_its_slot(void **state);

#endif
