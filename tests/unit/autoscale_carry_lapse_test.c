/* What nobody looked at for long, what a wrong clock has written, and who is late: a holder of the
 * lease died at the worst moment, and the next one comes weeks later. */
#include "autoscale_carry_stage.h"

enum { HOUR = 60 * MIN, WEEKS = 14 * 24 * HOUR };

static enum autoscale_act look_at(int64_t ms)
{
    struct autoscale_carry_pace p = pace;
    p.lapse_ms = HOUR;
    w.f.now_ms = ms;
    autoscale_carry_step(&p, &w.f, &r, &step);
    return step.act;
}

static void mute(bool on)
{
    static struct autoscale_reported was[TARGETS];
    for (int t = 0; t < TARGETS; t++) {
        if (!on) {
            w.reported[t] = was[t];
            continue;
        }
        was[t] = w.reported[t];
        w.reported[t] = (struct autoscale_reported){ .code = PR_EUNAVAIL };
    }
    w.f.members = on ? 0 : 6;
}

/* Whoever takes over has not heard of the provider for no time yet. */
static void take_over_silently(int64_t at_ms)
{
    for (int t = 0; t < TARGETS; t++)
        r.target[t].known_ms = at_ms;
    mute(true);
    assert_int_equal(look_at(at_ms), AUTOSCALE_ACT_WAIT);
    mute(false);
}

/* Until it is over, nobody is told anything. */
static void nothing_but_the_end(int64_t from_ms)
{
    for (int i = 0; i < 20 && r.phase != AUTOSCALE_PHASE_FAILED; i++) {
        const enum autoscale_act act = look_at(from_ms + i * 30 * S);
        if (act != AUTOSCALE_ACT_WAIT && act != AUTOSCALE_ACT_END)
            fail_msg("%s of %d in group %zu: %s", autoscale_act_name(act), step.n, step.target,
                     r.why);
    }
    assert_int_equal(r.phase, AUTOSCALE_PHASE_FAILED);
    assert_non_null(strstr(r.why, "nobody looked at it for"));
}

/* --- single nodes -------------------------------------------------------------------------- */

static void provider_that_answers_late_is_ordered_nothing(void **state)
{
    (void)state;
    for (int silent = 0; silent < 3; silent++) {
        world(false, 3);
        begin_out(8, 1);
        for (int t = 0; t < TARGETS; t++) {
            assert_int_equal(look_at(T0), AUTOSCALE_ACT_ORDER);
            w.reported[t].desired = 4;
        }
        assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT); /* and the holder dies */
        w.reported[0].desired = w.reported[1].desired = 3; /* somebody took it back */
        for (int i = 0; i < silent; i++)
            take_over_silently(T0 + WEEKS + i * MIN);
        nothing_but_the_end(T0 + WEEKS + silent * MIN);
        assert_int_equal(r.target[0].want, 3);
        assert_int_equal(r.target[1].want, 3);
    }
}

/* Told is saved before the call: killed in between, the provider has heard nothing. */
static void who_was_never_counted_out_stays(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const bool told = i % 2 == 1, silent = i >= 2;
        world(false, 3);
        begin_in(4, "m04", "m05");
        assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
        if (told)
            assert_int_equal(look_at(T0 + pace.drain_ms), AUTOSCALE_ACT_TERMINATE);
        if (silent)
            take_over_silently(T0 + WEEKS);
        nothing_but_the_end(T0 + WEEKS + MIN);
        assert_int_equal(r.leavers, 0);
        assert_int_equal(r.target[0].want, 3);
    }
}

/* The provider wants one less and it still is there: it goes, and nobody else does. */
static void who_was_counted_out_goes(void **state)
{
    (void)state;
    world(false, 3);
    begin_in(4, "m04", "m05");
    assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
    assert_int_equal(look_at(T0 + pace.drain_ms), AUTOSCALE_ACT_TERMINATE);
    assert_int_equal(step.target, 0);
    w.reported[0].desired = 2;
    (void)look_at(T0 + WEEKS);
    assert_int_equal(r.leavers, 1);
    assert_string_equal(r.leaver[0].id, "m04");
    assert_int_equal(r.target[0].want, 2);
    assert_int_equal(r.target[1].want, 3);
    assert_int_equal(look_at(T0 + WEEKS + pace.drain_ms), AUTOSCALE_ACT_TERMINATE);
    assert_int_equal(step.n, 2);
    assert_string_equal(w.m[step.chose[0]].id, "m04");
    w.m[4].presence = AUTOSCALE_ABSENT;
    w.reported[0].in_service = 2;
    nothing_but_the_end(T0 + WEEKS + MIN);
}

/* By number alone, and killed before it was told. */
static void group_that_names_nobody_keeps_its_number(void **state)
{
    (void)state;
    world(false, 3);
    w.names[0] = w.names[1] = false;
    begin_in(4, "m04", "m05");
    assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
    nothing_but_the_end(T0 + WEEKS);
    assert_int_equal(r.target[0].want, 3);
}

/* --- since when ---------------------------------------------------------------------------- */

static void what_was_only_begun_lapses(void **state)
{
    (void)state;
    static const struct {
        bool cluster;
        int64_t after_ms;
        bool lapsed;
    } row[] = {
        { true, HOUR - 1, false }, { true, HOUR, true },  { false, HOUR - 1, false },
        { false, HOUR, true },     { true, WEEKS, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        world(row[i].cluster, 3);
        begin_out(8, 1);
        assert_int_equal(r.looked_ms, 0);
        assert_int_equal(look_at(T0 + row[i].after_ms),
                         row[i].lapsed ? AUTOSCALE_ACT_END : AUTOSCALE_ACT_ORDER);
        assert_int_equal(r.target[0].want, row[i].lapsed ? 3 : 4);
    }
}

/* --- plans --------------------------------------------------------------------------------- */

/* Nobody has begun it: by the time somebody does, it is for nothing. */
static void join_that_was_not_begun_is_called_off(void **state)
{
    (void)state;
    arrived();
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    has_plan(AUTOSCALE_PLAN_WAITS, false, "rebalance has not planned it yet", 6, 2);
    assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
    assert_int_equal(look_at(T0 + WEEKS), AUTOSCALE_ACT_CANCEL);
    assert_int_equal(look_at(T0 + WEEKS + pace.again_ms - 1), AUTOSCALE_ACT_WAIT);
    assert_int_equal(look_at(T0 + WEEKS + pace.again_ms), AUTOSCALE_ACT_CANCEL);
    w.plan.state = AUTOSCALE_PLAN_CANCELED;
    nothing_but_the_end(T0 + WEEKS + 2 * MIN);
    assert_int_equal(r.target[0].want, 3);
}

/* It runs, and fails, or some are left over: there is no other one. */
static void no_join_after_the_one_that_ran(void **state)
{
    (void)state;
    static const enum autoscale_plan_state ends[] = { AUTOSCALE_PLAN_DONE, AUTOSCALE_PLAN_FAILED,
                                                      AUTOSCALE_PLAN_CANCELED };
    for (size_t i = 0; i < PR_COUNT(ends); i++) {
        arrived();
        expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
        has_plan(AUTOSCALE_PLAN_RUNS, false, "", 6, 2);
        assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
        assert_int_equal(look_at(T0 + WEEKS), AUTOSCALE_ACT_WAIT);
        w.plan.state = ends[i];
        nothing_but_the_end(T0 + WEEKS + MIN);
        assert_int_equal(r.target[0].want, 3);
    }
}

/* Somebody lowered the number meanwhile, and the plan goes on: it is left as it is. */
static void nobody_is_ordered_while_a_plan_comes_to_its_end(void **state)
{
    (void)state;
    arrived();
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    has_plan(AUTOSCALE_PLAN_RUNS, false, "", 6, 2);
    assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
    w.reported[0].desired = 3;
    assert_int_equal(look_at(T0 + WEEKS), AUTOSCALE_ACT_WAIT);
}

/* Called off too late: they are out of the cluster. The tables show it a moment after. */
static void drain_that_came_to_its_end_all_the_same(void **state)
{
    (void)state;
    for (int lapses = 0; lapses < 2; lapses++) {
        int64_t at_ms = T0 + (lapses ? WEEKS : pace.give_up_ms);
        world(true, 3);
        begin_in(4, "m04", "m05");
        assert_int_equal(look_at(T0), AUTOSCALE_ACT_DRAIN);
        has_plan(AUTOSCALE_PLAN_WAITS, true, "", 4, 2);
        assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
        assert_int_equal(look_at(at_ms), AUTOSCALE_ACT_CANCEL);
        w.plan.state = AUTOSCALE_PLAN_DONE;
        assert_int_equal(look_at(at_ms + S), AUTOSCALE_ACT_WAIT);
        for (int i = 4; i < 6; i++)
            w.m[i].member = w.m[i].up = w.m[i].useful = false;
        at_ms += S + pace.settle_ms;
        assert_int_equal(look_at(at_ms), AUTOSCALE_ACT_WAIT);
        assert_int_equal(r.leavers, 2);
        assert_int_equal(r.target[0].want, 2);
        assert_int_equal(look_at(at_ms + pace.drain_ms), AUTOSCALE_ACT_TERMINATE);
        assert_int_equal(step.n, 2);
    }
}

/* A plan that an earlier decision gave up is not the end of those it is about: a later decision
 * that wants them makes its own. */
static void plan_given_up_before_is_made_anew(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    arrived();
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    has_plan(AUTOSCALE_PLAN_WAITS, false, "", 6, 2);
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
    w.f.now_ms += pace.give_up_ms;
    expect(AUTOSCALE_ACT_CANCEL, AUTOSCALE_PHASE_JOINING);
    before = r;
    assert_ok(begin(8, 0, 0, NULL, 0, NULL, 0, &err), &err);
    w.plan.state = AUTOSCALE_PLAN_CANCELED;
    (void)look();
    w.f.now_ms += pace.settle_ms;
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    assert_int_equal(step.chosen, 2);
}

/* --- a clock that was ahead ---------------------------------------------------------------- */

/* A holder whose clock was ahead has saved times of the future: no more than usual is waited. */
static void times_of_the_future_are_none(void **state)
{
    (void)state;
    world(false, 3);
    begin_in(4, "m04", "m05");
    assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
    r.leaver[0].told_ms = r.leaver[1].told_ms = T0; /* and it did not arrive */
    int64_t *const at[] = { &r.begun_ms,          &r.phase_ms,          &r.looked_ms,
                            &r.held_ms,           &r.settled_ms,        &r.plan_after_ms,
                            &r.target[0].sent_ms, &r.target[1].done_ms, &r.target[1].known_ms,
                            &r.leaver[0].out_ms,  &r.leaver[0].told_ms, &r.leaver[1].told_ms };
    for (size_t i = 0; i < PR_COUNT(at); i++)
        *at[i] = T0 + WEEKS + (int64_t)i;
    (void)look_at(T0);
    for (size_t i = 0; i < PR_COUNT(at); i++)
        if (*at[i] > T0 + (pace.again_ms << AUTOSCALE_CARRY_PLANS))
            fail_msg("time %zu is still of the future", i);
    assert_in_range(r.settled_ms, T0, T0 + pace.settle_ms);
    assert_int_equal(look_at(T0 + pace.drain_ms), AUTOSCALE_ACT_TERMINATE);
    assert_string_equal(w.m[step.chose[0]].id, "m04");
}

static void order_and_plan_of_the_future_are_made_again(void **state)
{
    (void)state;
    world(false, 3);
    w.f.now_ms = T0 + WEEKS;
    begin_out(8, 1);
    assert_int_equal(look_at(T0 + WEEKS), AUTOSCALE_ACT_ORDER); /* and the clock is mended */
    assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
    assert_int_equal(look_at(T0 + pace.again_ms), AUTOSCALE_ACT_ORDER);
    assert_int_equal(step.target, 0);
    assert_string_equal(r.failing, "");
    arrived();
    assert_int_equal(look_at(T0), AUTOSCALE_ACT_JOIN);
    has_plan(AUTOSCALE_PLAN_FAILED, false, "", 6, 2);
    assert_int_equal(look_at(T0 + 30 * MIN), AUTOSCALE_ACT_WAIT);
    assert_int_equal(look_at(T0), AUTOSCALE_ACT_WAIT);
    assert_int_equal(look_at(T0 + (pace.again_ms << AUTOSCALE_CARRY_PLANS)), AUTOSCALE_ACT_JOIN);
}

/* --- who is late --------------------------------------------------------------------------- */

/* A plan, or an earlier decision, has kept it from being told for hours. */
static void who_was_never_told_is_not_late(void **state)
{
    (void)state;
    world(true, 3);
    begin_in(4, "m04", "m05");
    w.m[4].member = w.m[4].useful = false; /* drained; the other one's plan is held up */
    has_plan(AUTOSCALE_PLAN_RUNS, true, "", 4, 2);
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_DRAINING);
    w.f.now_ms += 5 * HOUR;
    w.m[5].member = w.m[5].useful = false;
    w.plan.state = AUTOSCALE_PLAN_DONE;
    expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING);
    assert_string_equal(w.m[step.chose[0]].id, "m04");
    assert_string_equal(r.failing, "");
    /* Told again and again since then: its time is over in the end. */
    const int64_t told_ms = w.f.now_ms;
    for (w.f.now_ms = told_ms; w.f.now_ms < told_ms + pace.give_up_ms; w.f.now_ms += MIN) {
        (void)look();
        (void)look();
        assert_string_equal(r.failing, "");
    }
    (void)look();
    (void)look();
    assert_non_null(strstr(r.failing, "m04 was told to go, and is still there"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(provider_that_answers_late_is_ordered_nothing),
        cmocka_unit_test(who_was_never_counted_out_stays),
        cmocka_unit_test(who_was_counted_out_goes),
        cmocka_unit_test(group_that_names_nobody_keeps_its_number),
        cmocka_unit_test(what_was_only_begun_lapses),
        cmocka_unit_test(join_that_was_not_begun_is_called_off),
        cmocka_unit_test(no_join_after_the_one_that_ran),
        cmocka_unit_test(nobody_is_ordered_while_a_plan_comes_to_its_end),
        cmocka_unit_test(drain_that_came_to_its_end_all_the_same),
        cmocka_unit_test(plan_given_up_before_is_made_anew),
        cmocka_unit_test(times_of_the_future_are_none),
        cmocka_unit_test(order_and_plan_of_the_future_are_made_again),
        cmocka_unit_test(who_was_never_told_is_not_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
