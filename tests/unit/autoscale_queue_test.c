/* Workers for a queue's backlog: targets, windows to their boundaries, and a backlog that nobody
 * knows. */
#include "t.h"

#include "autoscale_view.h"
#include "core/queue.h"

#include <stdio.h>
#include <string.h>

enum { MINUTE = VIEW_MINUTE };

static struct test_view t;

static struct autoscale_vote vote(void)
{
    struct autoscale_queue q;
    struct autoscale_vote out;
    struct pr_err err;
    autoscale_queue_default(&q);
    assert_ok(autoscale_queue_check(&q, &err), &err);
    autoscale_queue_vote(&q, &t.v, &out);
    return out;
}

static void open_queue(int workers)
{
    view_open(&t, 0, workers);
    t.v.min = 2;
    t.v.max = 100;
}

static void assert_vote(const struct autoscale_vote *got, enum autoscale_move move, int desired,
                        size_t row)
{
    if (got->move != move || got->desired != desired)
        fail_msg("row %zu: move %d to %d, want %d to %d: %s", row, got->move, got->desired, move,
                 desired, got->why);
    assert_true(got->why[0] != '\0');
}

static void backlog_per_worker_decides(void **state)
{
    (void)state;
    static const struct {
        double backlog;
        int minutes, lacks_ms;
        enum autoscale_move move;
        int desired; /* from 10 workers: 1000 may wait, with 10 % tolerance */
    } row[] = {
        { 1500, 3, 0, AUTOSCALE_OUT, 15 },  { 1500, 3, 1, AUTOSCALE_UNKNOWN, 10 },
        { 1500, 4, 0, AUTOSCALE_OUT, 15 },  { 1100, 60, 0, AUTOSCALE_HOLD, 10 },
        { 1101, 3, 0, AUTOSCALE_OUT, 12 },  { 1e9, 3, 0, AUTOSCALE_OUT, 100 },
        { 900, 60, 0, AUTOSCALE_HOLD, 10 }, { 899, 15, 0, AUTOSCALE_IN, 9 },
        { 899, 15, 1, AUTOSCALE_HOLD, 10 }, { 0, 15, 0, AUTOSCALE_IN, 9 },
        { 0, 60, 0, AUTOSCALE_IN, 9 }, /* nobody knows how busy they are: step by step */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        open_queue(10);
        view_minutes(&t, row[i].minutes, AUTOSCALE_BACKLOG, row[i].backlog);
        t.sample[0].at_ms += row[i].lacks_ms;
        const struct autoscale_vote got = vote();
        assert_vote(&got, row[i].move, row[i].desired, i);
        if (got.move != AUTOSCALE_UNKNOWN)
            assert_true(got.observed == row[i].backlog && got.threshold == 1000);
    }
}

static void target_is_given_or_follows_from_latency(void **state)
{
    (void)state;
    struct autoscale_queue q;
    autoscale_queue_default(&q);
    assert_true(autoscale_queue_target(&q) == 100);
    q.latency_s = 30;
    q.seconds_per_message = 0.25;
    assert_true(autoscale_queue_target(&q) == 120);
    q.backlog_per_worker = 7;
    assert_true(autoscale_queue_target(&q) == 7);
}

/* Those on the way will work: the same queue asks for no more. */
static void backlog_that_grows_meanwhile_is_not_counted_twice(void **state)
{
    (void)state;
    open_queue(10);
    view_minutes(&t, 5, AUTOSCALE_BACKLOG, 1500);
    view_changed(&t, t.v.now_ms, 10, 15);
    t.v.desired = 15; /* 10 serve */
    view_minutes(&t, 5, AUTOSCALE_BACKLOG, 1600);
    struct autoscale_vote got = vote();
    assert_vote(&got, AUTOSCALE_HOLD, 15, 0);
    view_minutes(&t, 3, AUTOSCALE_BACKLOG, 2000);
    got = vote();
    assert_vote(&got, AUTOSCALE_OUT, 20, 1);
}

static void scaling_in_is_slow(void **state)
{
    (void)state;
    static const struct {
        int workers, change; /* 15 min ago, less or more 1 ms */
        int64_t ago_ms;
        int serving;
        double highest;
        enum autoscale_move move;
        int desired;
    } row[] = {
        { 40, 0, 0, 40, 0, AUTOSCALE_IN, 36 },
        { 40, 0, 0, 40, 3500, AUTOSCALE_IN, 36 }, /* 35 would do */
        { 40, 0, 0, 40, 3590, AUTOSCALE_IN, 36 },
        { 40, -4, 15 * MINUTE - 1, 40, 0, AUTOSCALE_HOLD, 40 },
        { 40, -4, 15 * MINUTE, 40, 0, AUTOSCALE_IN, 36 },
        { 40, 4, 15 * MINUTE, 36, 0, AUTOSCALE_HOLD, 40 }, /* four still warm up */
        { 40, 4, 15 * MINUTE, 40, 0, AUTOSCALE_IN, 36 },
        { 3, 0, 0, 3, 0, AUTOSCALE_IN, 2 },
        { 2, 0, 0, 2, 0, AUTOSCALE_HOLD, 2 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        open_queue(row[i].workers);
        view_minutes(&t, 30, AUTOSCALE_BACKLOG, 0);
        t.sample[20].backlog = row[i].highest;
        if (row[i].change != 0)
            view_changed(&t, t.v.now_ms - row[i].ago_ms, row[i].workers - row[i].change,
                         row[i].workers);
        t.v.serving = row[i].serving;
        const struct autoscale_vote got = vote();
        assert_vote(&got, row[i].move, row[i].desired, i);
        if (got.move == AUTOSCALE_HOLD)
            assert_true(got.limited[0] != '\0');
    }
}

static void unknown_backlog_is_no_number(void **state)
{
    (void)state;
    static const struct {
        double before; /* then it falls silent */
        int minutes;
        bool alarm;
    } row[] = {
        { 0, 1, false },    { 0, 9, false },    { 0, 10, true },    { 0, 600, true },
        { 5000, 1, false }, { 5000, 9, false }, { 5000, 10, true }, { 5000, 600, true },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        open_queue(10);
        view_minutes(&t, 30, AUTOSCALE_BACKLOG, row[i].before);
        view_minutes(&t, row[i].minutes, AUTOSCALE_BACKLOG, NAN); /* the consumer is missing */
        struct autoscale_vote got = vote();
        assert_vote(&got, AUTOSCALE_UNKNOWN, 10, i);
        if ((strncmp(got.why, "alarm: ", 7) == 0) != row[i].alarm)
            fail_msg("row %zu: %s", i, got.why);

        open_queue(10); /* nobody collects at all */
        view_minutes(&t, 30, AUTOSCALE_BACKLOG, row[i].before);
        t.v.now_ms += (int64_t)(row[i].minutes + 1) * MINUTE;
        got = vote();
        assert_vote(&got, AUTOSCALE_UNKNOWN, 10, i);
    }
    open_queue(10); /* since it exists */
    struct autoscale_vote got = vote();
    assert_vote(&got, AUTOSCALE_UNKNOWN, 10, 0);
    assert_memory_equal(got.why, "alarm: ", 7);
    view_minutes(&t, 3, AUTOSCALE_BACKLOG, NAN);
    got = vote();
    assert_non_null(strstr(got.why, "unknown for 3 min"));
}

static void missing_minute_is_told(void **state)
{
    (void)state;
    open_queue(10);
    view_minutes(&t, 30, AUTOSCALE_BACKLOG, 5000);
    t.sample[28].backlog = NAN;
    const struct autoscale_vote got = vote();
    assert_vote(&got, AUTOSCALE_UNKNOWN, 10, 0);
    assert_non_null(strstr(got.why, "5000 messages wait, but a minute"));
}

static void no_worker_and_a_queue(void **state)
{
    (void)state;
    open_queue(0);
    t.v.min = 0;
    view_minutes(&t, 5, AUTOSCALE_BACKLOG, 250);
    struct autoscale_vote got = vote();
    assert_vote(&got, AUTOSCALE_OUT, 3, 0);
    open_queue(0);
    t.v.min = 0;
    view_minutes(&t, 20, AUTOSCALE_BACKLOG, 0);
    got = vote();
    assert_vote(&got, AUTOSCALE_HOLD, 0, 1);
}

static void settings_are_checked(void **state)
{
    (void)state;
    struct autoscale_queue q;
    struct pr_err err = { 0 };
#define BAD(change, says)                                                                          \
    autoscale_queue_default(&q);                                                                   \
    change;                                                                                        \
    if (autoscale_queue_check(&q, &err) != PR_EINVAL || strstr(err.text, says) == NULL)            \
    fail_msg("%s: \"%s\"", #change, err.text)
    BAD(q.backlog_per_worker = -1, "backlog per worker");
    BAD(q.backlog_per_worker = NAN, "backlog per worker");
    BAD(q.latency_s = 0, "latency");
    BAD(q.seconds_per_message = INFINITY, "latency");
    BAD(q.tolerance_pct = 100, "tolerance");
    BAD(q.in_pct = 0, "one step");
    BAD(q.out_ms = -1, "window");
    BAD(q.in_ms = 86400001, "window");
    BAD(q.alarm_after_ms = -1, "alarm");
    BAD(q.warmup_ms = -1, "warm-up");
#undef BAD
    autoscale_queue_default(&q);
    q.backlog_per_worker = 50;
    q.latency_s = 0; /* not asked then */
    assert_int_equal(autoscale_queue_check(&q, NULL), PR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backlog_per_worker_decides),
        cmocka_unit_test(target_is_given_or_follows_from_latency),
        cmocka_unit_test(backlog_that_grows_meanwhile_is_not_counted_twice),
        cmocka_unit_test(scaling_in_is_slow),
        cmocka_unit_test(unknown_backlog_is_no_number),
        cmocka_unit_test(missing_minute_is_told),
        cmocka_unit_test(no_worker_and_a_queue),
        cmocka_unit_test(settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
