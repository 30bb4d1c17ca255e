/* Throttle and byte budgets: their steps, and small deterministic simulations of
 * where they lead. */
#include "t.h"

#include "core/slot/throttle.h"

#include <math.h>
#include <string.h>

static const struct rebalance_throttle_limits LIMITS = { .p99_us = 200000,
                                                         .lag_bytes = 8000000,
                                                         .cpu_ratio = 0.8 };

static struct rebalance_load calm(void)
{
    return (
        struct rebalance_load){ .probes = 10, .p99_us = 2000, .lag_bytes = 0, .cpu_ratio = 0.3 };
}

static void each_limit_slows_down_and_says_so(void **state)
{
    (void)state;
    struct rebalance_load p99 = calm(), bytes = calm(), cpu = calm(), errors = calm();
    p99.p99_us = 240000;
    bytes.lag_bytes = 9500000;
    cpu.cpu_ratio = 0.93;
    errors.errors = 3;
    const struct {
        struct rebalance_load load;
        const char *why;
    } row[] = {
        { p99, "p99 240 ms > 200 ms" },
        { bytes, "replication lag 9.5 MB > 8.0 MB" },
        { cpu, "cpu 93 % > 80 %" },
        { errors, "3 errors" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct rebalance_throttle t;
        rebalance_throttle_init(&t, 1);
        rebalance_throttle_window(&t, &LIMITS, &row[i].load);
        assert_string_equal(t.why, row[i].why);
        assert_true(fabs(t.rate - 0.5) < 1e-12);
    }
}

static void at_the_limit_is_calm(void **state)
{
    (void)state;
    struct rebalance_throttle t;
    rebalance_throttle_init(&t, 0.5);
    struct rebalance_load at = calm();
    at.p99_us = 200000;
    at.lag_bytes = 8000000;
    at.cpu_ratio = 0.8;
    rebalance_throttle_window(&t, &LIMITS, &at);
    assert_true(fabs(t.rate - 0.55) < 1e-12);
    assert_string_equal(t.why, "calm");
}

static void what_is_not_known_is_not_taken_for_calm(void **state)
{
    (void)state;
    struct rebalance_throttle t;
    rebalance_throttle_init(&t, 0.5);
    struct rebalance_load dark = { .probes = 0, .p99_us = 0, .lag_bytes = -1, .cpu_ratio = -1 };
    rebalance_throttle_window(&t, &LIMITS, &dark);
    assert_true(fabs(t.rate - 0.5) < 1e-12);
    assert_string_equal(t.why, "no probe answered");
    dark.errors = 1;
    rebalance_throttle_window(&t, &LIMITS, &dark);
    assert_true(t.rate < 0.5);
    /* Unknown lag and cpu alone hold nothing back: probes do answer. */
    rebalance_throttle_init(&t, 0.5);
    struct rebalance_load only_probes = dark;
    only_probes.errors = 0;
    only_probes.probes = 5;
    only_probes.p99_us = 1000;
    rebalance_throttle_window(&t, &LIMITS, &only_probes);
    assert_true(t.rate > 0.5);
}

static void it_never_stalls_and_comes_back(void **state)
{
    (void)state;
    struct rebalance_throttle t;
    rebalance_throttle_init(&t, 1);
    struct rebalance_load bad = calm();
    bad.p99_us = 5000000;
    for (int i = 0; i < 100; i++)
        rebalance_throttle_window(&t, &LIMITS, &bad);
    assert_true(fabs(t.rate - 0.02) < 1e-12);
    const struct rebalance_throttle_order slow = rebalance_throttle_order(&t, &t, &LIMITS, 2000);
    assert_int_equal(slow.pause_us, 98000); /* 2 ms of work in 100 */
    assert_true(slow.batch_ratio > 0.1);
    assert_int_equal(rebalance_throttle_order(&t, &t, &LIMITS, 500000).pause_us, 1000000);

    int windows = 0; /* back to full speed within 6 s */
    const struct rebalance_load good = calm();
    while (t.rate < 1 && windows < 24) {
        rebalance_throttle_window(&t, &LIMITS, &good);
        windows++;
    }
    assert_true(fabs(t.rate - 1) < 1e-12);
    assert_int_equal(rebalance_throttle_order(&t, &t, &LIMITS, 2000).pause_us, 0);
}

static void pair_goes_at_the_slower_shards_speed(void **state)
{
    (void)state;
    struct rebalance_throttle a, b;
    rebalance_throttle_init(&a, 1);
    rebalance_throttle_init(&b, 1);
    struct rebalance_load bad = calm();
    bad.cpu_ratio = 0.99;
    rebalance_throttle_window(&b, &LIMITS, &bad);
    for (int swap = 0; swap < 2; swap++) {
        const struct rebalance_throttle_order o =
            rebalance_throttle_order(swap ? &b : &a, swap ? &a : &b, &LIMITS, 4000);
        assert_true(fabs(o.rate - 0.5) < 1e-12);
        assert_int_equal(o.pause_us, 4000);
        assert_string_equal(o.why, "cpu 99 % > 80 %");
    }
}

static void one_bad_window_is_answered_once(void **state)
{
    (void)state;
    struct rebalance_throttle t;
    rebalance_throttle_init(&t, 1);
    struct rebalance_load bad = calm();
    bad.p99_us = 300000;
    rebalance_throttle_window(&t, &LIMITS, &bad);
    rebalance_throttle_window(&t, &LIMITS, &bad); /* was under way */
    assert_true(fabs(t.rate - 0.5) < 1e-12);
    rebalance_throttle_window(&t, &LIMITS, &bad);
    assert_true(fabs(t.rate - 0.25) < 1e-12);
}

/* A shard whose probes take 10 ms, and 400 ms times the share of its time beyond
 * `room` that movers take: the limit of 200 ms is met at room + 0.475. */
static struct rebalance_load shard(double moved, double room)
{
    struct rebalance_load m = calm();
    const double beyond = moved > room ? moved - room : 0;
    m.p99_us = (uint64_t)(10000 + 400000 * beyond);
    return m;
}

static void simulated_shard_settles_near_its_limit(void **state)
{
    (void)state;
    struct rebalance_throttle t;
    rebalance_throttle_init(&t, 1);
    double sum = 0;
    unsigned over = 0;
    enum { WARM = 100, WINDOWS = 1000 };
    for (int i = 0; i < WINDOWS; i++) {
        const struct rebalance_load m = shard(t.rate, 0.1);
        if (i >= WARM) {
            sum += t.rate;
            over += m.p99_us > LIMITS.p99_us;
        }
        rebalance_throttle_window(&t, &LIMITS, &m);
    }
    const double mean = sum / (WINDOWS - WARM);
    assert_true(mean > 0.6 * 0.575 && mean < 0.575); /* of what the shard can bear */
    assert_true(over < (WINDOWS - WARM) * 25 / 100); /* most of the time within */
}

/* Two pairs share a shard as source; each has its own throttle of that shard's
 * figures (two schedulers, say): unequal at first, they become equal. */
static void simulated_sharers_become_equal(void **state)
{
    (void)state;
    struct rebalance_throttle a, b;
    rebalance_throttle_init(&a, 1);
    rebalance_throttle_init(&b, 0.05);
    double sum_a = 0, sum_b = 0;
    enum { WARM = 200, WINDOWS = 1200 };
    for (int i = 0; i < WINDOWS; i++) {
        const struct rebalance_load m = shard(a.rate + b.rate, 0.1);
        if (i >= WARM) {
            sum_a += a.rate;
            sum_b += b.rate;
        }
        rebalance_throttle_window(&a, &LIMITS, &m);
        rebalance_throttle_window(&b, &LIMITS, &m);
    }
    assert_true(sum_a / sum_b < 1.1 && sum_b / sum_a < 1.1);
}

/* --- bytes per second ------------------------------------------------------------ */

static void bucket_holds_its_rate(void **state)
{
    (void)state;
    struct rebalance_bucket b;
    rebalance_bucket_init(&b, 10e6, 0, 0); /* 10 MB/s; bursts of 2.5 MB */
    struct rebalance_bucket *const all[] = { &b };
    int64_t now = 0;
    double sent = 0;
    while (now < 10 * 1000000) {
        const int64_t wait = rebalance_buckets_take(all, 1, 1e6, now);
        now += wait > 0 ? wait : 1000;
        sent += 1e6;
    }
    assert_true(sent >= 100e6 && sent <= 104e6);
}

static void idle_bucket_fills_no_higher_than_its_burst(void **state)
{
    (void)state;
    struct rebalance_bucket b;
    rebalance_bucket_init(&b, 1e6, 2e6, 0);
    struct rebalance_bucket *const all[] = { &b };
    assert_int_equal(rebalance_buckets_take(all, 1, 2e6, 3600 * 1000000LL), 0);
    assert_int_equal(rebalance_buckets_take(all, 1, 1e6, 3600 * 1000000LL), 1000000);
    /* The clock steps back: nothing is added, nothing breaks. */
    assert_int_equal(rebalance_buckets_take(all, 1, 1e6, 0), 2000000);
}

static void larger_than_a_burst_waits_and_passes(void **state)
{
    (void)state;
    struct rebalance_bucket b;
    rebalance_bucket_init(&b, 1e6, 1e6, 0);
    struct rebalance_bucket *const all[] = { &b };
    assert_int_equal(rebalance_buckets_take(all, 1, 50e6, 0), 49000000);
    rebalance_buckets_give(all, 1, 50e6); /* not sent after all */
    assert_int_equal(rebalance_buckets_take(all, 1, 1e6, 0), 0);
}

static void tightest_bucket_decides(void **state)
{
    (void)state;
    struct rebalance_bucket node, zones, none;
    rebalance_bucket_init(&node, 10e6, 1, 0);
    rebalance_bucket_init(&zones, 1e6, 1, 0);
    rebalance_bucket_init(&none, 0, 0, 0);
    struct rebalance_bucket *const all[] = { &node, NULL, &none, &zones };
    const int64_t wait = rebalance_buckets_take(all, 4, 1e6, 0);
    assert_true(wait > 990000 && wait <= 1000000);
    struct rebalance_bucket *const reversed[] = { &zones, &node };
    assert_int_equal(rebalance_buckets_take(reversed, 2, 1e6, 0), wait + 1000000);
    struct rebalance_bucket *const unlimited[] = { &none, NULL };
    assert_int_equal(rebalance_buckets_take(unlimited, 2, 1e12, 0), 0);
}

/* Three pairs with batches of 50 KB, 200 KB and 1 MB over one zone pair: each gets
 * its turn in order of asking; the large one is not starved by the small. */
static void sharers_take_turns(void **state)
{
    (void)state;
    static const double size[3] = { 50e3, 200e3, 1e6 };
    struct rebalance_bucket b;
    rebalance_bucket_init(&b, 10e6, 100e3, 0);
    struct rebalance_bucket *const all[] = { &b };
    int64_t ready[3] = { 0, 0, 0 }, now = 0;
    unsigned turns[3] = { 0 };
    while (now < 20 * 1000000) {
        size_t next = 0;
        for (size_t i = 1; i < 3; i++)
            if (ready[i] < ready[next])
                next = i;
        now = ready[next];
        const int64_t wait = rebalance_buckets_take(all, 1, size[next], now);
        turns[next]++;
        ready[next] = now + wait + 500; /* and the MIGRATE itself */
    }
    assert_true(turns[0] > 100 && turns[1] > 100 && turns[2] > 100);
    assert_true(turns[0] <= turns[2] * 11 / 10 && turns[2] <= turns[0] * 11 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_slows_down_and_says_so),
        cmocka_unit_test(at_the_limit_is_calm),
        cmocka_unit_test(what_is_not_known_is_not_taken_for_calm),
        cmocka_unit_test(it_never_stalls_and_comes_back),
        cmocka_unit_test(pair_goes_at_the_slower_shards_speed),
        cmocka_unit_test(one_bad_window_is_answered_once),
        cmocka_unit_test(simulated_shard_settles_near_its_limit),
        cmocka_unit_test(simulated_sharers_become_equal),
        cmocka_unit_test(bucket_holds_its_rate),
        cmocka_unit_test(idle_bucket_fills_no_higher_than_its_burst),
        cmocka_unit_test(larger_than_a_burst_waits_and_passes),
        cmocka_unit_test(tightest_bucket_decides),
        cmocka_unit_test(sharers_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
