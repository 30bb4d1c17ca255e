/* Bad input: whatever is unknown, silent, stuck, wrong or does not come, nothing goes to max or to
 * min by accident. */
#include "autoscale_decide_scene.h"

#include <limits.h>

static void one_that_cannot_tell_forbids_in_and_not_out(void **state)
{
    (void)state;
    scene(50, 29);
    in.settings.policies = 2;
    in.settings.combine = AUTOSCALE_LARGEST;
    autoscale_policy_default(AUTOSCALE_QUEUE, &in.settings.policy[1]); /* there is no backlog */
    assert_int_equal(decide(), 50);
    assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
    assert_int_equal(got.deciding, 1);
    scene(50, 81);
    in.settings.policies = 2;
    in.settings.combine = AUTOSCALE_LARGEST;
    autoscale_policy_default(AUTOSCALE_QUEUE, &in.settings.policy[1]);
    assert_int_equal(decide(), 55);
}

static void nothing_known_is_no_number(void **state)
{
    (void)state;
    scene(50, 71);
    in.view.samples = 0;
    assert_int_equal(decide(), 50);
    assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
    assert_says(got.alarm_why, "nothing has been measured");
    static const struct {
        int64_t late_ms;
        bool alarm;
    } row[] = { { 5 * MIN - 1, false }, { 5 * MIN, true } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(50, 39);
        in.view.now_ms += row[i].late_ms;
        assert_int_equal(decide(), 50);
        assert_int_equal(got.alarm, row[i].alarm);
    }
    scene(50, 39);
    for (int i = 0; i < 60; i++)
        sample[i].cpu_pct = sample[i].memory_pct = sample[i].network_bps = NAN;
    assert_int_equal(decide(), 50);
    assert_true(got.alarm);
    scene(5, NAN);
    assert_int_equal(decide(), 6); /* what people set holds all the same */
}

static void samples_that_are_wrong_hold_and_alarm(void **state)
{
    (void)state;
    enum { FUTURE, DUPLICATE, ORDER, NEGATIVE, ENDLESS, ROWS };
    for (int i = 0; i < ROWS; i++)
        for (int cpu = 10; cpu <= 100; cpu += 30) {
            scene(50, cpu);
            in.fleet.zone_loss_pct = 100;
            if (i == FUTURE)
                sample[59].at_ms = NOW + 10 * MIN;
            else if (i == DUPLICATE)
                sample[59].at_ms = sample[58].at_ms;
            else if (i == ORDER)
                sample[59].at_ms = sample[10].at_ms + 1;
            else if (i == NEGATIVE)
                sample[59].cpu_pct = -1;
            else
                sample[59].cpu_pct = INFINITY;
            assert_int_equal(decide(), 50);
            assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
            assert_says(got.alarm_why, "samples are refused");
        }
}

static void half_of_the_members_silent(void **state)
{
    (void)state;
    static const struct {
        int silent;
        double cpu;
        int want;
        bool alarm;
    } row[] = {
        { 49, 39, 45, false }, /* 49 of 99 */
        { 50, 39, 50, true },  /* half of them: never in */
        { 50, 71, 55, true },  /* out on what the others say */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(50, row[i].cpu);
        for (int s = 0; s < 60; s++)
            sample[s].silent = row[i].silent;
        assert_int_equal(decide(), row[i].want);
        assert_int_equal(got.alarm, row[i].alarm);
    }
    assert_says(got.alarm_why, "50 of 100 members are silent");

    scene(50, 39); /* nobody has so many */
    sample[59].silent = INT_MAX;
    assert_int_equal(decide(), 50);
    assert_says(got.alarm_why, "samples are refused: sample 60");
    assert_null(strstr(got.alarm_why, "members are silent"));
}

static void members(int n, int ready, int mute)
{
    for (int i = 0; i < n; i++)
        member[i] = (struct autoscale_member){
            .id = "m",
            .cpu_pct = i < mute ? NAN : 39,
            .memory_pct = NAN,
            .network_bps = NAN,
            .metric_at_ms = NOW,
            .metric_window_ms = MIN,
            .ready_since_ms = 1,
            .ready = i < ready,
        };
    in.view.members = (size_t)n;
}

static void members_that_are_known_singly(void **state)
{
    (void)state;
    scene(50, 39);
    members(50, 50, 24);
    assert_int_equal(decide(), 45);
    members(50, 50, 25);
    assert_int_equal(decide(), 50);
    assert_says(got.limited, "25 of 50 members are silent");
    static const double cpu[] = { 10, 71, 100 };
    for (size_t i = 0; i < PR_COUNT(cpu); i++) { /* none is ready */
        scene(50, cpu[i]);
        in.fleet.zone_loss_pct = 100;
        members(50, 0, 0);
        assert_int_equal(decide(), 50);
        assert_says(got.alarm_why, "no member is ready");
    }
    scene(5, 100);
    members(5, 0, 0);
    assert_int_equal(decide(), 6);
}

/* What is left of a fleet that is down measures nothing of its load. */
static void members_that_have_failed(void **state)
{
    (void)state;
    static const double cpu[] = { 0, 10, 71, 100 };
    static struct autoscale_node node[50];
    for (size_t i = 0; i < PR_COUNT(cpu); i++) {
        scene(50, cpu[i]);
        in.fleet.zone_loss_pct = 100;
        for (int n = 0; n < 50; n++)
            node[n] = (struct autoscale_node){
                .id = "n", .shard = "", .zone = n % 3, .group = -1, .failed = true
            };
        in.node = node;
        in.nodes = 50;
        assert_int_equal(decide(), 50);
        assert_says(got.alarm_why, "all members have failed: what they measure says nothing");
    }
    /* Those who are left do not speak for half of them that are gone. */
    static const struct {
        int failed, want;
    } row[] = { { 24, 45 }, { 25, 50 }, { 49, 50 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(50, 39);
        for (int n = 0; n < 50; n++)
            node[n].failed = n < row[i].failed;
        in.node = node;
        in.nodes = 50;
        assert_int_equal(decide(), row[i].want);
        if (row[i].want == 50)
            assert_says(got.alarm_why, "of 50 members have failed: never in");
    }
}

/* A minute later, with another sample; what is wanted serves at once. */
static void next_minute(int size, double cpu_pct)
{
    if (size != in.view.desired)
        action[in.view.actions++] =
            (struct autoscale_action){ in.view.now_ms, in.view.desired, size };
    memmove(&sample[0], &sample[1], 59 * sizeof sample[0]);
    in.view.now_ms += MIN;
    in.view.desired = in.view.serving = size;
    sample[59].at_ms = in.view.now_ms;
    sample[59].cpu_pct = cpu_pct;
    sample[59].serving = size;
}

static void a_metric_stuck_at_100_is_followed_to_four_times_the_size(void **state)
{
    (void)state;
    static const struct {
        double before;
        int max, earlier, want; /* earlier: wanted three hours ago */
    } row[] = {
        { 60, 1000, 0, 40 },
        { 100, 1000, 0, 40 }, /* it was stuck already when we began */
        { 60, 60, 0, 35 },    /* and never more than half of the way to max */
        { 100, 60, 0, 35 },
        { 60, 1000, 900, 40 }, /* what was ordered once, perhaps by this metric, proves nothing */
        { 100, 1000, 900, 40 },
        { 60, 60, 50, 35 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(10, row[i].before);
        rules(&in.settings.policy[0], 70, 50, 40, 10);
        in.fleet.max = row[i].max;
        if (row[i].earlier > 0)
            action[in.view.actions++] =
                (struct autoscale_action){ NOW - 180 * (int64_t)MIN, row[i].earlier, 10 };
        in.fleet.zone_loss_pct = 100;
        int size = 10;
        for (int minute = 0; minute < 600; minute++) {
            next_minute(size, 100);
            size = decide();
            assert_int_equal(got.alarm, in.view.serving >= 20);
        }
        assert_int_equal(size, row[i].want);
        assert_says(got.alarm_why, "CPU reads 100 % for 59 min, with 10 as with ");
        next_minute(size, 99.9); /* it moves */
        assert_true(decide() > size);
    }
}

static void a_real_overload_is_not_held_up(void **state)
{
    (void)state;
    scene(50, 100);
    rules(&in.settings.policy[0], 70, 50, 40, 10);
    for (int i = 0; i < 50; i++)
        sample[i].cpu_pct = 60;
    assert_int_equal(decide(), 75);
    assert_false(got.alarm);
    for (int i = 0; i < 60; i++)
        sample[i].load = 80; /* known apart from the CPU */
    in.fleet.zone_loss_pct = 100;
    assert_int_equal(decide(), 100);
}

static void capacity_that_does_not_come(void **state)
{
    (void)state;
    static const struct {
        int64_t ago_ms;
        int serving, want;
        bool alarm;
    } row[] = {
        { 15 * MIN - 1, 50, 66, false }, /* boot and move are 10 min: they may still come */
        { 15 * MIN, 50, 66, true },      /* up to 75 */
        { 15 * MIN, 42, 63, true },      /* half as many again as serve */
        { 15 * MIN, 20, 60, true },      { 15 * MIN, 60, 66, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        scene(60, 71);
        in.view.serving = row[i].serving;
        action[0] = (struct autoscale_action){ NOW - row[i].ago_ms, 50, 60 };
        in.view.actions = 1;
        assert_int_equal(decide(), row[i].want);
        assert_int_equal(got.alarm, row[i].alarm);
        if (row[i].alarm)
            assert_says(got.alarm_why, "of 60 serve 15 min after the last order: refused");
    }
    scene(60, 50);
    in.view.serving = 55;
    assert_int_equal(decide(), 60);
    assert_says(got.alarm_why, "55 of 60 serve, and no order on record explains it");
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(one_that_cannot_tell_forbids_in_and_not_out),
        cmocka_unit_test(nothing_known_is_no_number),
        cmocka_unit_test(samples_that_are_wrong_hold_and_alarm),
        cmocka_unit_test(half_of_the_members_silent),
        cmocka_unit_test(members_that_are_known_singly),
        cmocka_unit_test(members_that_have_failed),
        cmocka_unit_test(a_metric_stuck_at_100_is_followed_to_four_times_the_size),
        cmocka_unit_test(a_real_overload_is_not_held_up),
        cmocka_unit_test(capacity_that_does_not_come),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
