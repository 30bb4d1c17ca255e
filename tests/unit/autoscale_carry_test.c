#include "autoscale_carry_stage.h"

/* --- out ---------------------------------------------------------------------------------------
 */

static void new_members_are_ordered_registered_and_joined(void **state)
{
    (void)state;
    arrived();
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    assert_int_equal(step.chosen, 2);
    assert_string_equal(w.m[step.chose[0]].id, "m06");
    has_plan(AUTOSCALE_PLAN_RUNS, false, "wave 1 of 3", 6, 2);
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
    assert_non_null(strstr(r.why, "wave 1 of 3"));
    w.plan.state = AUTOSCALE_PLAN_DONE;
    w.m[6].member = w.m[7].member = true; /* they have met, and no slot yet */
    w.m[6].up = w.m[7].up = true;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
    w.m[6].useful = w.m[7].useful = true;
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_DONE);
    assert_int_equal(r.ended_ms, T0);
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_DONE); /* and stays so */
}

static void who_joined_and_serves_nothing_is_a_failure(void **state)
{
    (void)state;
    arrived();
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    has_plan(AUTOSCALE_PLAN_DONE, false, "", 6, 2);
    w.m[6].member = w.m[7].member = w.m[6].up = w.m[7].up = w.m[6].useful = true;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
    w.f.now_ms = T0 + pace.settle_ms - 1;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
    w.f.now_ms = T0 + pace.settle_ms;
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_FAILED);
    assert_string_equal(r.why, "m07 joined and serves nothing");
    assert_true(r.alarm);
}

static void order_that_is_not_seen_is_given_again(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ms;
        enum autoscale_act act;
    } row[] = {
        { 0, AUTOSCALE_ACT_WAIT },
        { 10 * S - 1, AUTOSCALE_ACT_WAIT },
        { 10 * S, AUTOSCALE_ACT_ORDER },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        world(true, 3);
        begin_out(8, 1);
        assert_int_equal(look(), AUTOSCALE_ACT_ORDER);
        assert_int_equal(step.n, 4);
        w.f.now_ms = T0 + row[i].after_ms;
        expect(row[i].act, AUTOSCALE_PHASE_ORDERING);
    }
}

static void what_does_not_come_is_not_awaited_for_ever(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ms;
        enum autoscale_act act;
    } row[] = {
        /* since the order */
        { 15 * MIN - 1, AUTOSCALE_ACT_WAIT },
        { 15 * MIN, AUTOSCALE_ACT_WAIT }, /* late: given up, see below */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        world(true, 3);
        begin_out(8, 1);
        assert_int_equal(look(), AUTOSCALE_ACT_ORDER);
        add(0, AUTOSCALE_HERE, false);
        assert_int_equal(look(), AUTOSCALE_ACT_ORDER);
        w.reported[1].desired = 4; /* wanted, and does not come */
        w.f.now_ms = T0 + row[i].after_ms;
        expect(row[i].act, AUTOSCALE_PHASE_ARRIVING);
        assert_int_equal(r.failing[0] != '\0', i == 1);
    }
    /* One of a unit of two came: it is not joined alone, the order is taken back, and it is
     * left for somebody to look at. */
    assert_int_equal(r.target[1].want, 3);
    int steps = 0, stray[4];
    for (; r.phase != AUTOSCALE_PHASE_FAILED && steps < 10; steps++)
        if (look() == AUTOSCALE_ACT_ORDER) {
            assert_int_equal(step.target, 1);
            assert_int_equal(step.n, 3);
            w.reported[1].desired = 3;
        } else {
            assert_int_not_equal(step.act, AUTOSCALE_ACT_JOIN);
        }
    assert_int_equal(r.phase, AUTOSCALE_PHASE_FAILED);
    assert_non_null(strstr(r.why, "0 of 1 members came"));
    assert_int_equal(autoscale_carry_strays(&w.f, &r, stray, 4), 1);
    assert_string_equal(w.m[stray[0]].id, "m06");
}

static void provider_without_capacity_is_believed_at_once(void **state)
{
    (void)state;
    world(true, 3);
    begin_out(8, 1);
    assert_int_equal(look(), AUTOSCALE_ACT_ORDER);
    add(0, AUTOSCALE_HERE, false);
    assert_int_equal(look(), AUTOSCALE_ACT_ORDER);
    w.reported[1].desired = 4;
    w.reported[1].problem = AUTOSCALE_NO_CAPACITY;
    snprintf(w.reported[1].problem_text, sizeof w.reported[1].problem_text,
             "We currently do not have sufficient r6i.4xlarge capacity");
    (void)look();
    assert_non_null(strstr(r.failing, "sufficient r6i.4xlarge capacity"));
}

static void more_than_a_group_may_have_is_not_asked_for(void **state)
{
    (void)state;
    world(true, 3);
    begin_out(8, 1);
    w.reported[0].max = w.reported[1].max = 3;
    for (int i = 0; i < 5 && r.phase != AUTOSCALE_PHASE_FAILED; i++)
        assert_int_not_equal(look(), AUTOSCALE_ACT_ORDER);
    assert_int_equal(r.phase, AUTOSCALE_PHASE_FAILED);
    assert_non_null(strstr(r.why, "its limits are 0 to 3"));
}

static void members_that_came_before_are_used_first(void **state)
{
    (void)state;
    world(true, 3);
    add(0, AUTOSCALE_HERE, false); /* left by an earlier decision that failed */
    add(1, AUTOSCALE_HERE, false);
    begin_out(8, 1);
    expect(AUTOSCALE_ACT_REGISTER, AUTOSCALE_PHASE_JOINING); /* nothing is ordered */
}

static void twice_started_member_is_noticed(void **state)
{
    (void)state;
    int stray[4];
    arrived();
    add(0, AUTOSCALE_HERE, false); /* by a holder of the lease that died */
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    assert_int_equal(step.chosen, 2);
    assert_int_equal(autoscale_carry_strays(&w.f, &r, stray, 4), 1);
    has_plan(AUTOSCALE_PLAN_DONE, false, "", 6, 2);
    for (int i = 6; i < 8; i++)
        w.m[i].member = w.m[i].up = w.m[i].useful = true;
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_DONE);
    assert_int_equal(autoscale_carry_strays(&w.f, &r, stray, 4), 1);
    assert_string_equal(w.m[stray[0]].id, "m08");
    assert_int_equal(autoscale_carry_strays(&w.f, NULL, stray, 4), 1);
}

/* --- plans -------------------------------------------------------------------------------------
 */

static void plan_that_fails_is_made_three_times(void **state)
{
    (void)state;
    arrived();
    for (int i = 1; i <= AUTOSCALE_CARRY_PLANS; i++) {
        expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
        has_plan(AUTOSCALE_PLAN_FAILED, false, "no memory on m03", 6, 2);
        if (i < AUTOSCALE_CARRY_PLANS) {
            expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
            w.f.now_ms += (pace.again_ms << i) - 1;
            expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
            w.f.now_ms++;
        }
    }
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_FAILED);
    assert_non_null(strstr(r.why, "plan 7 (join) failed: no memory on m03"));
}

static void plan_that_a_person_cancels_is_not_made_again(void **state)
{
    (void)state;
    arrived();
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    has_plan(AUTOSCALE_PLAN_CANCELED, false, "", 6, 2);
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_FAILED);
    assert_non_null(strstr(r.why, "plan 7 (join) was canceled"));
}

static void paused_plan_alarms_and_is_given_up_in_the_end(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ms;
        bool given_up;
    } row[] = { { 0, false }, { 45 * MIN - 1, false }, { 45 * MIN, true } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        arrived();
        expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
        has_plan(AUTOSCALE_PLAN_PAUSED, false, "stuck: m03 does not answer", 6, 2);
        expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
        assert_true(r.alarm);
        w.f.now_ms += row[i].after_ms;
        expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
        assert_int_equal(r.failing[0] != '\0', row[i].given_up);
        assert_non_null(strstr(r.why, "m03 does not answer"));
    }
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_FAILED);
}

/* Rebalance is down: nobody shall carry the plan out when the decision is long forgotten. */
static void plan_that_nobody_begins_is_called_off(void **state)
{
    (void)state;
    for (int ends = 0; ends < 2; ends++) {
        arrived();
        expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
        has_plan(AUTOSCALE_PLAN_WAITS, false, "rebalance has not planned it yet", 6, 2);
        expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
        w.f.now_ms += pace.give_up_ms - 1;
        expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
        w.f.now_ms++;
        expect(AUTOSCALE_ACT_CANCEL, AUTOSCALE_PHASE_JOINING);
        expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
        if (ends == 1) {
            w.plan.state = AUTOSCALE_PLAN_CANCELED;
        } else { /* nobody is there to end it */
            w.f.now_ms += pace.give_up_ms - 1;
            expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
            w.f.now_ms++;
            expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
        }
        expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_FAILED);
        assert_non_null(strstr(r.why, "rebalance has not planned it yet"));
    }
}

static void plan_that_runs_may_take_its_time(void **state)
{
    (void)state;
    arrived();
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    has_plan(AUTOSCALE_PLAN_RUNS, false, "", 6, 2);
    for (int i = 0; i < 10; i++) {
        w.f.now_ms += pace.give_up_ms;
        expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
        assert_int_equal(r.failing[0], '\0');
    }
}

static void one_plan_at_a_time(void **state)
{
    (void)state;
    arrived();
    w.f.busy = "plan 3 of anna is running: one plan at a time";
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
    assert_string_equal(r.why, w.f.busy);
    w.f.now_ms += pace.give_up_ms - 1;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
    w.f.busy = "";
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
}

/* --- in ----------------------------------------------------------------------------------------
 */

static void leaver_is_drained_closed_terminated_and_forgotten(void **state)
{
    (void)state;
    world(true, 3);
    begin_in(4, "m04", "m05");
    expect(AUTOSCALE_ACT_DRAIN, AUTOSCALE_PHASE_DRAINING);
    assert_int_equal(step.chosen, 2);
    has_plan(AUTOSCALE_PLAN_DONE, true, "", 4, 2);
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_DRAINING); /* the tables do not show it yet */
    w.m[4].member = w.m[5].member = w.m[4].useful = w.m[5].useful = false;
    w.f.now_ms = T0 + S;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_CLOSING);
    w.f.now_ms = T0 + S + 30 * S - 1;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_CLOSING);
    w.f.now_ms = T0 + S + 30 * S;
    expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING);
    assert_int_equal(step.target, 0);
    assert_int_equal(step.n, 2);
    assert_int_equal(step.chosen, 1);
    w.m[4].presence = AUTOSCALE_ABSENT;
    w.reported[0] = (struct autoscale_reported){ .desired = 2, .in_service = 2, .max = -1 };
    expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING);
    assert_int_equal(step.target, 1);
    w.m[5].presence = AUTOSCALE_GOING;
    w.reported[1] =
        (struct autoscale_reported){ .desired = 2, .in_service = 2, .leaving = 1, .max = -1 };
    expect(AUTOSCALE_ACT_UNREGISTER, AUTOSCALE_PHASE_TERMINATING);
    assert_int_equal(step.chosen, 1);
    assert_string_equal(w.m[step.chose[0]].id, "m04");
    w.m[4].registered = false;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_TERMINATING);
    w.m[5].presence = AUTOSCALE_ABSENT;
    w.reported[1].leaving = 0;
    expect(AUTOSCALE_ACT_UNREGISTER, AUTOSCALE_PHASE_TERMINATING);
    w.m[5].registered = false;
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_DONE);
}

/* Told, and nobody knows whether it arrived: the number may be either, and nobody else goes. */
static void terminated_member_that_still_shows_is_told_again(void **state)
{
    (void)state;
    for (int arrived_there = 0; arrived_there < 2; arrived_there++) {
        world(true, 3);
        begin_in(4, "m04", "m05");
        w.m[4].member = w.m[5].member = false;
        assert_int_equal(look(), AUTOSCALE_ACT_WAIT);
        w.f.now_ms = T0 + 30 * S;
        assert_int_equal(look(), AUTOSCALE_ACT_TERMINATE);
        w.reported[0].desired = 3 - arrived_there;
        assert_int_equal(look(), AUTOSCALE_ACT_TERMINATE); /* the other zone's */
        w.reported[1].desired = 2;
        w.f.now_ms += pace.again_ms - 1;
        expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_TERMINATING);
        w.f.now_ms += 1;
        expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING);
        assert_int_equal(step.n, 2);
    }
}

static void single_node_needs_no_plan(void **state)
{
    (void)state;
    world(false, 3);
    begin_in(4, "m04", "m05");
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_CLOSING);
    w.f.now_ms = T0 + 30 * S - 1;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_CLOSING);
    w.f.now_ms = T0 + 30 * S;
    expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING);
}

static void drain_that_fails_leaves_its_nodes_in_the_fleet(void **state)
{
    (void)state;
    world(true, 3);
    begin_in(4, "m04", "m05");
    expect(AUTOSCALE_ACT_DRAIN, AUTOSCALE_PHASE_DRAINING);
    has_plan(AUTOSCALE_PLAN_CANCELED, true, "", 4, 2);
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_FAILED);
    assert_int_equal(r.leavers, 0);
    assert_int_equal(r.target[0].want, 3);
}

static void outward_decision_calls_the_drain_off(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const char *const back[] = { "m04", "m05" };
    world(true, 3);
    begin_in(4, "m04", "m05");
    expect(AUTOSCALE_ACT_DRAIN, AUTOSCALE_PHASE_DRAINING);
    has_plan(AUTOSCALE_PLAN_RUNS, true, "", 4, 2);
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_DRAINING);
    before = r;
    assert_ok(begin(6, 0, 0, NULL, 0, back, 2, &err), &err);
    assert_int_equal(r.leavers, 0);
    assert_int_equal(r.target[0].want, 3);
    expect(AUTOSCALE_ACT_CANCEL, AUTOSCALE_PHASE_DRAINING);
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_DRAINING);
    w.f.now_ms += pace.again_ms; /* the word may have been lost with its holder */
    expect(AUTOSCALE_ACT_CANCEL, AUTOSCALE_PHASE_DRAINING);
    /* It had come too far: m05 is out of the cluster, still runs, and joins again. */
    w.plan.state = AUTOSCALE_PLAN_CANCELED;
    w.m[5].member = w.m[5].useful = false;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_JOINING);
    w.f.now_ms += pace.settle_ms;
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    assert_int_equal(step.chosen, 1);
    assert_string_equal(w.m[step.chose[0]].id, "m05");
}

/* --- what is not known -------------------------------------------------------------------------
 */

static void nothing_is_done_while_nobody_knows_what_runs(void **state)
{
    (void)state;
    static const struct {
        enum pr_code code;
        int64_t after_ms;
        enum autoscale_act act;
        bool alarm;
    } row[] = {
        { PR_EUNAVAIL, 0, AUTOSCALE_ACT_WAIT, false },
        { PR_EUNAVAIL, 15 * MIN - 1, AUTOSCALE_ACT_WAIT, false },
        { PR_EUNAVAIL, 15 * MIN, AUTOSCALE_ACT_WAIT, true },
        { PR_EUNAVAIL, 45 * MIN - 1, AUTOSCALE_ACT_WAIT, true },
        { PR_EUNAVAIL, 45 * MIN, AUTOSCALE_ACT_END, true },
        { PR_EDENIED, 0, AUTOSCALE_ACT_WAIT, true }, /* credentials: hold and alarm */
        { PR_EDENIED, 45 * MIN, AUTOSCALE_ACT_END, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        world(true, 3);
        begin_in(4, "m04", "m05");
        for (int t = 0; t < TARGETS; t++) {
            w.reported[t] = (struct autoscale_reported){ .code = row[i].code };
            snprintf(w.reported[t].problem_text, sizeof w.reported[t].problem_text, "words");
        }
        for (size_t m = 0; m < w.f.members; m++)
            w.m[m].presence = AUTOSCALE_ABSENT; /* as it looks then */
        w.f.now_ms = T0 + row[i].after_ms;
        assert_int_equal(look(), row[i].act);
        assert_int_equal(r.alarm, row[i].alarm);
        assert_non_null(strstr(r.why, "words"));
        if (row[i].act == AUTOSCALE_ACT_END)
            assert_int_equal(r.phase, AUTOSCALE_PHASE_FAILED);
    }
}

static void intent_needs_groups_where_members_shall_be(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    static struct autoscale_fleet fleet = { .zone = { "a", "b", "c" }, .zones = 3 };
    const struct autoscale_place place = { .zone = 2, .group = -1, .get = 1 };
    const struct autoscale_intent in = {
        .fleet = &fleet, .place = &place, .places = 1, .to = 7, .zone = zone, .group = group
    };
    world(true, 3);
    assert_int_equal(autoscale_carry_begin(&in, NULL, &w.f, &r, &err), PR_EINVAL);
    assert_string_equal(err.text, "zone c has no group of the provider's");
}

static void single_nodes_are_not_counted_while_nobody_knows_them(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    world(false, 3);
    memset(&before, 0, sizeof before);
    w.reported[1].code = PR_ETIMEOUT;
    assert_int_equal(begin(8, 1, 0, NULL, 0, NULL, 0, &err), PR_EUNAVAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_members_are_ordered_registered_and_joined),
        cmocka_unit_test(who_joined_and_serves_nothing_is_a_failure),
        cmocka_unit_test(order_that_is_not_seen_is_given_again),
        cmocka_unit_test(what_does_not_come_is_not_awaited_for_ever),
        cmocka_unit_test(provider_without_capacity_is_believed_at_once),
        cmocka_unit_test(more_than_a_group_may_have_is_not_asked_for),
        cmocka_unit_test(members_that_came_before_are_used_first),
        cmocka_unit_test(twice_started_member_is_noticed),
        cmocka_unit_test(plan_that_fails_is_made_three_times),
        cmocka_unit_test(plan_that_a_person_cancels_is_not_made_again),
        cmocka_unit_test(paused_plan_alarms_and_is_given_up_in_the_end),
        cmocka_unit_test(plan_that_nobody_begins_is_called_off),
        cmocka_unit_test(plan_that_runs_may_take_its_time),
        cmocka_unit_test(one_plan_at_a_time),
        cmocka_unit_test(leaver_is_drained_closed_terminated_and_forgotten),
        cmocka_unit_test(terminated_member_that_still_shows_is_told_again),
        cmocka_unit_test(single_node_needs_no_plan),
        cmocka_unit_test(drain_that_fails_leaves_its_nodes_in_the_fleet),
        cmocka_unit_test(outward_decision_calls_the_drain_off),
        cmocka_unit_test(nothing_is_done_while_nobody_knows_what_runs),
        cmocka_unit_test(intent_needs_groups_where_members_shall_be),
        cmocka_unit_test(single_nodes_are_not_counted_while_nobody_knows_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
