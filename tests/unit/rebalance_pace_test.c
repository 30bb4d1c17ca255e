/* The executor's small decisions at their boundaries. */
#include "t.h"

#include "core/vertex/pace.h"

#include <math.h>

static void batch_ends_by_what_became_of_its_vertices(void **state)
{
    (void)state;
    static const struct {
        size_t vertices, moved, canceled, lost;
        enum rebalance_state want;
    } row[] = { { 10, 10, 0, 0, REBALANCE_DONE },       { 10, 0, 0, 0, REBALANCE_DONE },
                { 10, 4, 6, 0, REBALANCE_DONE },        { 10, 0, 10, 0, REBALANCE_ROLLED_BACK },
                { 10, 0, 1, 0, REBALANCE_ROLLED_BACK }, { 10, 9, 0, 1, REBALANCE_FAILED },
                { 0, 0, 0, 0, REBALANCE_DONE } };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(
            rebalance_batch_end(row[i].vertices, row[i].moved, row[i].canceled, row[i].lost),
            row[i].want);
}

static void backoff_doubles_to_a_second(void **state)
{
    (void)state;
    static const int want[] = { 0, 50, 100, 200, 400, 800, 1000, 1000 };
    for (unsigned i = 0; i < PR_COUNT(want); i++)
        assert_int_equal(rebalance_backoff_ms(i), want[i]);
    assert_int_equal(rebalance_backoff_ms(4000000000u), 1000);
}

static void refused_fence_is_retried_then_left(void **state)
{
    (void)state;
    assert_int_equal(rebalance_retry(1, 50).pause_us, 0);
    assert_int_equal(rebalance_retry(3, 50).pause_us, 0);
    assert_true(rebalance_retry(4, 50).pause_us > 0);
    unsigned last = 0;
    for (unsigned n = 1; n < 50; n++) {
        const struct rebalance_retry r = rebalance_retry(n, 50);
        assert_false(r.give_up);
        assert_true(r.pause_us >= last);
        last = r.pause_us;
    }
    assert_true(last <= 5000);
    assert_true(rebalance_retry(50, 50).give_up);
}

static void throttle_grows_over_the_limit_and_shrinks_under_it(void **state)
{
    (void)state;
    static const struct {
        int pause_ms;
        uint64_t p99_us, limit_us;
        int want;
    } row[] = { { 0, 1000, 1000, 0 },      { 0, 1001, 1000, 10 },     { 10, 1001, 1000, 20 },
                { 499, 1001, 1000, 998 },  { 500, 1001, 1000, 1000 }, { 1000, 1001, 1000, 1000 },
                { 1000, 1000, 1000, 500 }, { 10, 0, 1000, 0 },        { 640, 99999999, 0, 0 } };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(rebalance_throttle_ms(row[i].pause_ms, row[i].p99_us, row[i].limit_us),
                         row[i].want);
}

static void deltas_fold_above_a_tenth(void **state)
{
    (void)state;
    assert_false(rebalance_fold_due(0, 0));
    assert_false(rebalance_fold_due(0, 10000)); /* a handful */
    assert_true(rebalance_fold_due(0, 10001));
    assert_false(rebalance_fold_due(200000, 20000));
    assert_true(rebalance_fold_due(200000, 20001));
}

static void rows_order_the_executor(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        bool cancel, halted;
        enum rebalance_order want;
    } row[] = { { "running", false, false, REBALANCE_GO },
                { "running", true, false, REBALANCE_CANCEL },
                { "running", false, true, REBALANCE_PAUSE },
                { "running", true, true, REBALANCE_CANCEL },
                { "paused", false, false, REBALANCE_PAUSE },
                { "paused", true, false, REBALANCE_CANCEL },
                { "canceled", false, false, REBALANCE_CANCEL },
                { "failed", true, false, REBALANCE_LEAVE },
                { "done", false, true, REBALANCE_LEAVE },
                { "proposed", false, false, REBALANCE_LEAVE } };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(rebalance_order(row[i].state, row[i].cancel, row[i].halted), row[i].want);
}

static void progress_and_eta(void **state)
{
    (void)state;
    struct rebalance_progress p = { .total = 0 };
    assert_true(fabs(rebalance_ratio(&p)) < 1e-12);
    assert_true(rebalance_eta_s(&p) < 0); /* nothing known */
    p = (struct rebalance_progress){
        .total = 1000, .moved = 500, .moved_before = 400, .running_ms = 1000
    };
    assert_true(fabs(rebalance_ratio(&p) - 0.5) < 1e-9);
    assert_true(fabs(rebalance_eta_s(&p) - 5) < 1e-9); /* 100/s by this run, 500 left */
    p.moved = 400;
    assert_true(rebalance_eta_s(&p) < 0);
    p.moved = 1100; /* more was found than planned */
    assert_true(fabs(rebalance_ratio(&p) - 1) < 1e-9);
    assert_true(fabs(rebalance_eta_s(&p)) < 1e-9);
}

static void sweeps_repeat_until_nothing_is_left_or_nothing_moves(void **state)
{
    (void)state;
    enum { IDLE = REBALANCE_MAX_IDLE_SWEEPS, BUSY = REBALANCE_MAX_BUSY_SWEEPS };
    static const struct {
        uint64_t deferred, busy;
        unsigned idle;
        enum rebalance_swept want;
    } row[] = {
        { 0, 0, 0, REBALANCE_SWEPT_ALL },
        { 0, 0, IDLE, REBALANCE_SWEPT_ALL },
        { 1, 0, 0, REBALANCE_SWEEP_AGAIN },
        { 1, 0, IDLE - 1, REBALANCE_SWEEP_AGAIN },
        { 1, 0, IDLE, REBALANCE_SWEEPS_FAIL },
        { 3, 3, BUSY - 1, REBALANCE_SWEEP_AGAIN },
        { 3, 3, BUSY, REBALANCE_SWEPT_BUT_BUSY },
        { 3, 2, BUSY, REBALANCE_SWEEP_AGAIN }, /* something else is in the way, too */
        { 3, 2, IDLE, REBALANCE_SWEEPS_FAIL },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (rebalance_swept(row[i].deferred, row[i].busy, row[i].idle) != row[i].want)
            fail_msg("row %zu", i);
}

static void every_state_has_its_name(void **state)
{
    (void)state;
    static const char *const want[] = { "planned", "copying", "fenced", "promoted",
                                        "routed",  "done",    "failed", "rolled_back" };
    for (int s = 0; s <= REBALANCE_ROLLED_BACK; s++)
        assert_string_equal(rebalance_state_name((enum rebalance_state)s), want[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_ends_by_what_became_of_its_vertices),
        cmocka_unit_test(backoff_doubles_to_a_second),
        cmocka_unit_test(refused_fence_is_retried_then_left),
        cmocka_unit_test(throttle_grows_over_the_limit_and_shrinks_under_it),
        cmocka_unit_test(deltas_fold_above_a_tenth),
        cmocka_unit_test(rows_order_the_executor),
        cmocka_unit_test(progress_and_eta),
        cmocka_unit_test(sweeps_repeat_until_nothing_is_left_or_nothing_moves),
        cmocka_unit_test(every_state_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
