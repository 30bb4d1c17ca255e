/* Decisions that come late, are overtaken before they were begun, or find other settings, and
 * leavers who cannot be named or are overtaken by one who failed. */
#include "autoscale_carry_stage.h"

/* --- overtaken before it was begun -------------------------------------------------------- */

/* Six members; a decision to have four was made and never begun; the next one is made of four. */
static void count_is_the_decision_s_whatever_was_never_begun(void **state)
{
    (void)state;
    static const struct {
        bool cluster;
        int to, get, want[TARGETS];
    } row[] = {
        { true, 6, 1, { 3, 3 } },  /* back to six: nobody is ordered */
        { true, 8, 2, { 4, 4 } },  /* two more, not four */
        { true, 7, 2, { 3, 4 } },  /* one more */
        { true, 10, 2, { 5, 5 } }, /* nothing was overtaken */
        { false, 6, 1, { 3, 3 } }, { false, 8, 2, { 4, 4 } },
        { true, 4, 1, { 3, 3 } }, /* who is there stays: nobody was chosen to leave */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        world(row[i].cluster, 3);
        begin_out(row[i].to, row[i].get);
        for (int t = 0; t < TARGETS; t++)
            if (r.target[t].want != row[i].want[t])
                fail_msg("row %zu: group %d wants %d, expected %d", i, t, r.target[t].want,
                         row[i].want[t]);
    }
}

static void orders_of_the_decision_before_are_taken_back(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    world(true, 3);
    begin_out(8, 1);
    assert_int_equal(look(), AUTOSCALE_ACT_ORDER);
    w.reported[0].desired = 4; /* ordered, and not there yet */
    before = r;
    assert_ok(begin(8, 1, 0, NULL, 0, NULL, 0, &err), &err); /* 8 to 6 was never begun */
    assert_int_equal(r.target[0].want, 4);
    assert_int_equal(r.target[1].want, 4);
}

/* --- too late ----------------------------------------------------------------------------- */

static void decision_is_begun_in_its_time_and_under_its_settings(void **state)
{
    (void)state;
    const struct autoscale_carry_pace p = { .lapse_ms = 45 * MIN };
    static const struct {
        int64_t version, after_ms;
        enum autoscale_fitness want;
        const char *why;
    } row[] = {
        { 7, 0, AUTOSCALE_FIT, "" },
        { 7, 45 * MIN - 1, AUTOSCALE_FIT, "" },
        { 7, 45 * MIN, AUTOSCALE_STALE, "nobody began it for 45 min" },
        { 6, 0, AUTOSCALE_STALE, "settings were changed before it was begun (6, now 7)" },
        { 8, 0, AUTOSCALE_NOT_YET, "of settings 8, ours are 7" },
        { 8, 45 * MIN, AUTOSCALE_NOT_YET, "" },
        { 7, -5 * MIN, AUTOSCALE_FIT, "" }, /* our clock went back */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char why[256];
        assert_int_equal(
            autoscale_carry_fitness(&p, T0, row[i].version, T0 + row[i].after_ms, 7, why),
            row[i].want);
        assert_non_null(strstr(why, row[i].why));
    }
    char why[256];
    assert_int_equal(autoscale_carry_fitness(&pace, T0, 7, T0 + 10000 * MIN, 7, why),
                     AUTOSCALE_FIT); /* 0: for ever */
}

/* Looked at at T0, then by nobody, then again. */
static int64_t lapse_ms = 60 * MIN;

static void look_again_after(int64_t ms)
{
    struct autoscale_carry_pace p = pace;
    p.lapse_ms = lapse_ms;
    w.f.now_ms = T0;
    autoscale_carry_step(&p, &w.f, &r, &step);
    w.f.now_ms = T0 + ms;
    autoscale_carry_step(&p, &w.f, &r, &step);
}

static void drain_that_nobody_looked_at_for_an_hour_is_called_off(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ms;
        bool lapsed;
    } row[] = { { 60 * MIN - 1, false }, { 60 * MIN, true } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        world(true, 3);
        begin_in(4, "m04", "m05");
        has_plan(AUTOSCALE_PLAN_RUNS, true, "", 4, 2);
        look_again_after(row[i].after_ms);
        assert_int_equal(step.act, row[i].lapsed ? AUTOSCALE_ACT_CANCEL : AUTOSCALE_ACT_WAIT);
        assert_int_equal(r.leavers, row[i].lapsed ? 0 : 2);
        assert_int_equal(r.target[0].want + r.target[1].want, row[i].lapsed ? 6 : 4);
    }
    w.plan.state = AUTOSCALE_PLAN_CANCELED;
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_DRAINING);
    w.f.now_ms += pace.settle_ms;
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_FAILED);
    assert_non_null(strstr(r.why, "nobody looked at it for 60 min"));
}

/* Who is out of the cluster already serves nothing: it is not left running. */
static void who_was_drained_before_still_goes(void **state)
{
    (void)state;
    world(true, 3);
    begin_in(4, "m04", "m05");
    w.m[4].member = w.m[4].useful = false;
    has_plan(AUTOSCALE_PLAN_DONE, true, "", 4, 2);
    look_again_after(61 * MIN);
    assert_int_equal(r.leavers, 1);
    assert_string_equal(r.leaver[0].id, "m04");
    assert_int_equal(r.target[0].want, 2);
    assert_int_equal(r.target[1].want, 3);
}

static void order_that_nobody_looked_at_for_long_is_not_given(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ms;
        int want;
    } row[] = { { 10 * MIN - 1, 4 }, { 10 * MIN, 3 } };
    lapse_ms = 10 * MIN; /* others than this lose patience later */
    for (size_t i = 0; i < 2 * PR_COUNT(row); i++) {
        world(i % 2 == 0, 3);
        begin_out(8, 1);
        assert_int_equal(look(), AUTOSCALE_ACT_ORDER); /* group 1, and the holder dies */
        w.reported[0].desired = 4;
        look_again_after(row[i / 2].after_ms);
        assert_int_equal(step.act == AUTOSCALE_ACT_ORDER && step.n == 4, row[i / 2].want == 4);
        assert_int_equal(r.target[1].want, row[i / 2].want);
    }
    lapse_ms = 60 * MIN;
}

static void plan_by_which_somebody_joins_comes_to_its_end(void **state)
{
    (void)state;
    arrived();
    expect(AUTOSCALE_ACT_JOIN, AUTOSCALE_PHASE_JOINING);
    has_plan(AUTOSCALE_PLAN_RUNS, false, "", 6, 2);
    look_again_after(61 * MIN);
    assert_int_equal(step.act, AUTOSCALE_ACT_WAIT);
    assert_int_equal(r.target[0].want, 4);
    w.plan.state = AUTOSCALE_PLAN_DONE;
    for (int i = 6; i < 8; i++)
        w.m[i].member = w.m[i].up = w.m[i].useful = true;
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_FAILED);
    assert_non_null(strstr(r.why, "nobody looked at it for"));
}

/* --- other groups ------------------------------------------------------------------------- */

static void groups_are_told_apart_by_name_zone_and_order(void **state)
{
    (void)state;
    static const struct {
        const char *name, *zone, *group;
    } row[][2] = {
        { { "hot-a", "a", "" }, { "hot-b", "b", "" } },
        { { "hot-b", "b", "" }, { "hot-a", "a", "" } },
        { { "hot-a", "b", "" }, { "hot-b", "a", "" } },
        { { "hot-a", "a", "p1" }, { "hot-b", "b", "" } },
        { { "hot-", "aa", "" }, { "hot-b", "b", "" } },
        { { "hot-a", "a", "" }, { "hot-c", "b", "" } },
    };
    int64_t is[PR_COUNT(row) + 1];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        is[i] = 0;
        for (int k = 0; k < 2; k++)
            is[i] = autoscale_carry_groups(is[i], row[i][k].name, row[i][k].zone, row[i][k].group);
        assert_in_range(is[i], 1, (int64_t)1 << 52);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(is[i], is[k]);
    }
    is[PR_COUNT(row)] = autoscale_carry_groups(0, "hot-a", "a", ""); /* one was taken away */
    for (size_t k = 0; k < PR_COUNT(row); k++)
        assert_int_not_equal(is[PR_COUNT(row)], is[k]);
}

/* --- who cannot be named, and who failed -------------------------------------------------- */

/* A StatefulSet: its controller takes the newest, whoever was meant. */
static void group_that_names_nobody_goes_by_its_number(void **state)
{
    (void)state;
    world(false, 3);
    w.names[0] = false;
    begin_in(4, "m04", "m05");
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_TERMINATING);
    expect(AUTOSCALE_ACT_ORDER, AUTOSCALE_PHASE_ORDERING);
    assert_int_equal(step.target, 0);
    assert_int_equal(step.n, 2);
    w.m[2].presence = AUTOSCALE_ABSENT; /* not m04 */
    w.reported[0] = (struct autoscale_reported){ .desired = 2, .in_service = 2, .max = -1 };
    expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_CLOSING);
    w.f.now_ms += pace.drain_ms;
    expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING);
    assert_int_equal(step.target, 1);
    w.m[5].presence = AUTOSCALE_ABSENT;
    w.reported[1] = w.reported[0];
    expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_DONE);
    assert_string_equal(r.failing, "");
}

/* Nobody takes a member of the cluster by number: it would not be the one that was drained. */
static void member_of_the_cluster_that_cannot_be_named_is_a_failure(void **state)
{
    (void)state;
    world(true, 3);
    w.names[0] = w.names[1] = false;
    begin_in(4, "m04", "m05");
    w.m[4].member = w.m[5].member = false;
    for (int i = 0; i < 5 && r.phase != AUTOSCALE_PHASE_FAILED; i++)
        assert_int_not_equal(look(), AUTOSCALE_ACT_ORDER);
    assert_non_null(strstr(r.failing, "takes away nobody by name"));
}

static void who_failed_since_goes_instead_of_who_serves(void **state)
{
    (void)state;
    static const struct {
        bool cluster;
        int target;
        enum autoscale_presence presence;
        const char *leaver;
    } row[] = {
        { false, 0, AUTOSCALE_AILING, "m02" },
        { false, 1, AUTOSCALE_AILING, "m04" },   /* of another group */
        { false, 0, AUTOSCALE_ARRIVING, "m04" }, /* may still become ready */
        { true, 0, AUTOSCALE_AILING, "m04" },    /* it has a shard's data */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        world(row[i].cluster, 3);
        begin_in(4, "m04", "m05");
        w.m[2 + row[i].target].presence = row[i].presence;
        (void)look();
        assert_string_equal(r.leaver[0].id, row[i].leaver);
        assert_int_equal(r.target[0].want, 2);
    }
}

/* A Deployment takes a pod that is not ready before one that was named. */
static void who_serves_is_told_to_go_last(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const char *const leave[] = { "m00", "m02" };
    world(false, 4);
    memset(&before, 0, sizeof before);
    w.m[2].presence = AUTOSCALE_AILING;
    assert_ok(begin(6, 0, 1, leave, 2, NULL, 0, &err), &err);
    r.target[0].want = 2;
    r.target[1].want = 4;
    w.f.now_ms = T0 + pace.drain_ms;
    look_again_after(pace.drain_ms);
    assert_int_equal(step.act, AUTOSCALE_ACT_TERMINATE);
    assert_int_equal(step.chosen, 2);
    assert_string_equal(w.m[step.chose[0]].id, "m02");
    assert_string_equal(w.m[step.chose[1]].id, "m00");
}

/* Told, and the provider refuses while another pod is not ready; in the end that one goes. */
static void who_never_gets_ready_goes_instead_of_who_serves(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ms;
        const char *leaver;
    } row[] = { { 15 * MIN - 1, "m04" }, { 15 * MIN, "m02" } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        world(false, 3);
        begin_in(4, "m04", "m05");
        w.m[2].presence = AUTOSCALE_ARRIVING;
        (void)look();
        w.f.now_ms = T0 + pace.drain_ms;
        expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING); /* refused */
        w.f.now_ms = T0 + pace.drain_ms + row[i].after_ms;
        (void)look();
        assert_string_equal(r.leaver[0].id, row[i].leaver);
    }
}

/* The number is lower, and nobody is there beyond it: another than was named has gone. */
static void who_was_told_to_go_stays_when_another_went(void **state)
{
    (void)state;
    for (int went = 0; went < 2; went++) {
        world(false, 3);
        begin_in(4, "m04", "m05");
        (void)look();
        w.f.now_ms = T0 + pace.drain_ms;
        expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING);
        expect(AUTOSCALE_ACT_TERMINATE, AUTOSCALE_PHASE_TERMINATING);
        for (int t = 0; t < TARGETS; t++) {
            w.reported[t].desired = 2;
            w.reported[t].in_service = 3 - went;
            w.m[2 + t].presence = went ? AUTOSCALE_ABSENT : AUTOSCALE_HERE;
        }
        if (went)
            expect(AUTOSCALE_ACT_END, AUTOSCALE_PHASE_DONE);
        else
            expect(AUTOSCALE_ACT_WAIT, AUTOSCALE_PHASE_TERMINATING);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(count_is_the_decision_s_whatever_was_never_begun),
        cmocka_unit_test(orders_of_the_decision_before_are_taken_back),
        cmocka_unit_test(decision_is_begun_in_its_time_and_under_its_settings),
        cmocka_unit_test(drain_that_nobody_looked_at_for_an_hour_is_called_off),
        cmocka_unit_test(who_was_drained_before_still_goes),
        cmocka_unit_test(order_that_nobody_looked_at_for_long_is_not_given),
        cmocka_unit_test(plan_by_which_somebody_joins_comes_to_its_end),
        cmocka_unit_test(groups_are_told_apart_by_name_zone_and_order),
        cmocka_unit_test(group_that_names_nobody_goes_by_its_number),
        cmocka_unit_test(member_of_the_cluster_that_cannot_be_named_is_a_failure),
        cmocka_unit_test(who_failed_since_goes_instead_of_who_serves),
        cmocka_unit_test(who_serves_is_told_to_go_last),
        cmocka_unit_test(who_never_gets_ready_goes_instead_of_who_serves),
        cmocka_unit_test(who_was_told_to_go_stays_when_another_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
