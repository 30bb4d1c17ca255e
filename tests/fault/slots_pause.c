/* A plan that is paused in the middle of a slot, and what happens to its shards then: the
 * slot stays open and is watched, and a change of either shard brings it to its end. */
#include "slots_cases.h"

#include "t.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <string.h>

static const char *const slow[] = { "PRISM_REBALANCE_SLOT_BATCH_KEYS=20",
                                    "PRISM_REBALANCE_SLOT_NODE_BYTES_PER_S=60000", NULL };

static bool is_held(void *ctx)
{
    const struct slots_plan *p = ctx;
    return slots_number("SELECT count(*) FROM operations o JOIN plans p ON "
                        "p.execute_operation_id = o.id WHERE p.id = %ld AND p.state = 'paused' "
                        "AND o.phase LIKE '%%is held open%%'",
                        p->id) == 1;
}

/* Closed, or open again: marks die with a primary, so what both have is of now. */
static bool both_agree(void *ctx)
{
    const struct slots_strike *s = ctx;
    struct slots_shard shard[SLOTS_SHARDS];
    int open[2];
    slots_shards(shard);
    for (int i = 0; i < 2; i++) {
        redisContext *c = slots_dial(shard[i == 0 ? s->plan->from : s->plan->to].primary);
        open[i] = c == NULL ? -2 : slots_open_slot(c, i == 0);
        redisFree(c);
    }
    return open[0] != -2 && open[0] == open[1];
}

static bool lease_is_mine(void *ctx)
{
    return slots_lease_holder() == *(int *)ctx;
}

/* Some of its keys have moved, and many have not. */
static bool in_mid_slot(void *ctx)
{
    enum { SOME = 40 };
    struct slots_strike *s = ctx;
    struct slots_shard shard[SLOTS_SHARDS];
    slots_shards(shard);
    redisContext *from = slots_dial(shard[s->plan->from].primary),
                 *to = slots_dial(shard[s->plan->to].primary);
    s->slot = from == NULL ? -1 : slots_open_slot(from, true);
    s->moved = s->slot < 0 || to == NULL ? 0 : slots_keys_in(to, s->slot);
    s->keys = s->slot < 0 ? 0 : s->moved + slots_keys_in(from, s->slot);
    redisFree(from);
    redisFree(to);
    return s->moved >= SOME && s->keys - s->moved >= SOME;
}

/* It moves slowly enough to be caught in its middle by the pause. */
static void pause_in_mid_slot(struct slots_strike *s, struct slots_plan *p, struct pr_rng *rng)
{
    *s = (struct slots_strike){ .plan = p };
    slots_plan_start(p, rng, "{}");
    assert_true(it_await(in_mid_slot, s, SLOTS_AWAIT_MS));
    slots_plan_order(p, "paused");
    assert_true(it_await(is_held, p, SLOTS_AWAIT_MS));
}

static void strike_while_held(const char *name, enum slots_side side, bool other_takes_over)
{
    char label[64];
    for (long i = 0; i < slots_counts.strikes; i++) {
        struct pr_rng rng = slots_rng(name, i);
        struct slots_plan p;
        struct slots_strike s;
        int holder = 0;
        struct slots_shard shard[SLOTS_SHARDS];
        snprintf(label, sizeof label, "%s %ld", name, i);
        slots_service_kill(0);
        slots_service_start(0, slow);
        pause_in_mid_slot(&s, &p, &rng);
        if (other_takes_over) {
            holder = 1;
            slots_service_start(1, slow);
            slots_service_kill(0);
            assert_true(it_await(lease_is_mine, &holder, SLOTS_AWAIT_MS));
            assert_true(it_await(is_held, &p, SLOTS_AWAIT_MS));
        }
        s.side = side;
        s.shard = side == SLOTS_SOURCE ? p.from : p.to;
        slots_shards(shard);
        s.port = shard[s.shard].primary;
        slots_kill(&s);
        s.at_us = pr_mono_us();
        slots_await_promoted(&s);
        if (!it_await(both_agree, &s, SLOTS_AWAIT_MS))
            fail_msg("%s: the slot is open at one side alone", label);
        assert_int_equal(
            slots_number("SELECT count(*) FROM plans WHERE id = %ld AND state = 'paused'", p.id),
            1);
        slots_revive(&s);
        slots_service_kill(holder); /* and on at full speed */
        slots_service_start(0, NULL);
        slots_plan_order(&p, "running");
        slots_end_strike(label, &p, &s);
    }
}

void slots_source_is_killed_while_paused(void **state)
{
    (void)state;
    strike_while_held("paused, source killed", SLOTS_SOURCE, false);
}

void slots_target_is_killed_while_paused(void **state)
{
    (void)state;
    strike_while_held("paused, target killed", SLOTS_TARGET, false);
}

void slots_source_is_killed_while_paused_and_taken_over(void **state)
{
    (void)state;
    strike_while_held("paused, taken over, source killed", SLOTS_SOURCE, true);
}
