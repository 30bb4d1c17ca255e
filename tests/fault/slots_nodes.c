/* Faults of the two primaries between which a slot is moving. */
#include "slots_cases.h"

#include "t.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <string.h>

enum { FOLLOW_MS = 60000 };

static double seconds(int64_t from_us, int64_t to_us)
{
    return to_us > from_us ? (double)(to_us - from_us) / 1e6 : 0;
}

/* How long until the last wrong and the last unanswered read, and the end. */
static void tell(const char *label, const struct slots_strike *s, const struct slots_traffic *t)
{
    print_message("%s: slot %d, %ld of %ld keys moved; promoted after %.2f s; last wrong read "
                  "after %.2f s, last unanswered one after %.2f s\n",
                  label, s->slot, s->moved, s->keys, seconds(s->at_us, s->promoted_us),
                  seconds(s->at_us, t->last_wrong_us), seconds(s->at_us, t->last_failed_us));
}

/* Starts plans until one was struck in the middle of a slot. */
static void strike(struct slots_plan *p, struct slots_strike *s, struct pr_rng *rng,
                   bool (*how)(struct slots_strike *, struct pr_rng *))
{
    for (int tries = 0; tries < 10; tries++) {
        slots_plan_start(p, rng, "{}");
        s->plan = p;
        if (how(s, rng))
            return;
        slots_plan_await(p, "done");
    }
    fail_msg("no slot was caught half way");
}

static bool follows(void *ctx)
{
    char text[4096];
    return slots_ask(((const struct slots_strike *)ctx)->port, text, sizeof text,
                     "INFO replication") &&
           strstr(text, "role:slave") != NULL;
}

/* A node whose slots went to two others while it was away comes back as a primary
 * without any; the service makes it a replica again. */
void slots_end_strike(const char *label, struct slots_plan *p, struct slots_strike *s)
{
    slots_plan_await(p, "done");
    if (!it_await(follows, s, FOLLOW_MS))
        fail_msg("%s: %d came back as a primary without slots, and nobody took it back", label,
                 s->port);
    it_cluster_await(60000);
    const struct slots_traffic t = slots_verify(label, p);
    tell(label, s, &t);
    /* The next one strikes as if on another day: nodes that fail as often are held back. */
    it_sql(slots_scene.uri, "DELETE FROM node_returns", NULL, 0);
}

/* with_scheduler: it dies too, so whoever goes on never saw that primary. */
static void kill_primaries(const char *name, enum slots_side side, bool with_scheduler)
{
    char label[64];
    int holder = -1;
    if (with_scheduler)
        slots_service_start(1, NULL);
    for (long i = 0; i < slots_counts.strikes; i++) {
        struct pr_rng rng = slots_rng(name, i);
        struct slots_plan p;
        struct slots_strike s = { .side = side };
        snprintf(label, sizeof label, "%s %ld", name, i);
        strike(&p, &s, &rng, slots_freeze);
        slots_kill(&s);
        if (with_scheduler) {
            holder = slots_lease_holder();
            assert_true(holder >= 0);
            slots_service_kill(holder);
        }
        slots_await_promoted(&s);
        if (pr_rng_below(&rng, 2) == 0) /* it stays away until the plan is through */
            slots_plan_await(&p, "done");
        slots_revive(&s);
        slots_end_strike(label, &p, &s);
        if (with_scheduler)
            slots_service_start(holder, NULL);
    }
}

static void fail_over(const char *name, enum slots_side side)
{
    char label[64];
    for (long i = 0; i < slots_counts.strikes; i++) {
        struct pr_rng rng = slots_rng(name, i);
        struct slots_plan p;
        struct slots_strike s = { .side = side };
        snprintf(label, sizeof label, "%s %ld", name, i);
        strike(&p, &s, &rng, slots_fail_over);
        slots_end_strike(label, &p, &s);
    }
}

/* Past the node time-out: a replica takes over, then the deposed one goes on. */
static void stop_primaries(const char *name, enum slots_side side)
{
    char label[64];
    for (long i = 0; i < slots_counts.strikes; i++) {
        struct pr_rng rng = slots_rng(name, i);
        struct slots_plan p;
        struct slots_strike s = { .side = side };
        snprintf(label, sizeof label, "%s %ld", name, i);
        strike(&p, &s, &rng, slots_freeze);
        slots_await_promoted(&s);
        if (pr_rng_below(&rng, 2) == 0)
            slots_plan_await(&p, "done");
        slots_thaw(&s);
        slots_end_strike(label, &p, &s);
    }
}

void slots_source_is_killed(void **state)
{
    (void)state;
    kill_primaries("source killed", SLOTS_SOURCE, false);
}

void slots_target_is_killed(void **state)
{
    (void)state;
    kill_primaries("target killed", SLOTS_TARGET, false);
}

void slots_source_and_scheduler_are_killed(void **state)
{
    (void)state;
    kill_primaries("source and scheduler killed", SLOTS_SOURCE, true);
}

void slots_source_fails_over(void **state)
{
    (void)state;
    fail_over("source failed over", SLOTS_SOURCE);
}

void slots_target_fails_over(void **state)
{
    (void)state;
    fail_over("target failed over", SLOTS_TARGET);
}

void slots_source_is_stopped(void **state)
{
    (void)state;
    stop_primaries("source stopped", SLOTS_SOURCE);
}

void slots_target_is_stopped(void **state)
{
    (void)state;
    stop_primaries("target stopped", SLOTS_TARGET);
}
