/* Moving one slot's keys: sizes against what was measured, batches, replicas to wait for. */
#include "t.h"

#include "core/slot/drain.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct rebalance_drain_limits DEFAULTS = { 0 };

static struct rebalance_key_size key(enum rebalance_key_type t, uint64_t bytes, uint64_t elements)
{
    return (struct rebalance_key_size){ .type = t, .bytes = bytes, .elements = elements };
}

static void types_are_read_as_redis_names_them(void **state)
{
    (void)state;
    for (int t = REBALANCE_TYPE_STRING; t <= REBALANCE_TYPE_STREAM; t++) {
        const char *name = rebalance_key_type_name((enum rebalance_key_type)t);
        assert_int_equal(rebalance_key_type(name, strlen(name)), t);
    }
    assert_int_equal(rebalance_key_type("ReJSON-RL", 9), REBALANCE_TYPE_OTHER);
    assert_int_equal(rebalance_key_type("strings", 7), REBALANCE_TYPE_OTHER);
    assert_int_equal(rebalance_key_type("str", 3), REBALANCE_TYPE_OTHER);
}

/* The measured table; MEMORY USAGE of 88 bytes an element where none was noted. */
static void prediction_fits_what_was_measured(void **state)
{
    (void)state;
    static const struct {
        enum rebalance_key_type type;
        uint64_t bytes, elements;
        double ms;
    } row[] = {
        { REBALANCE_TYPE_SET, 8800000, 100000, 70 },
        { REBALANCE_TYPE_STRING, 50000000, 0, 520 },
        { REBALANCE_TYPE_SET, 88000000, 1000000, 780 },
        { REBALANCE_TYPE_ZSET, 88000000, 1000000, 770 },
        { REBALANCE_TYPE_HASH, 88000000, 1000000, 2000 },
        { REBALANCE_TYPE_HASH, 439000000, 5000000, 6600 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_key_size k = key(row[i].type, row[i].bytes, row[i].elements);
        const double ms = rebalance_key_block_ms(&k, 1);
        assert_true(fabs(ms - row[i].ms) < 0.02 * row[i].ms + 0.2);
        assert_true(fabs(rebalance_key_block_ms(&k, 2) - 2 * ms) < 1e-6);
        assert_true(fabs(rebalance_key_block_ms(&k, 0) - ms) < 1e-6); /* unknown: as measured */
    }
    /* Batches of 550 bytes a key: 0.84, 2.1 and 6.5 ms. */
    static const struct {
        size_t n;
        double ms;
    } batch[] = { { 100, 0.84 }, { 300, 2.1 }, { 1000, 6.5 } };
    static struct rebalance_key_size many[1000];
    for (size_t i = 0; i < PR_COUNT(many); i++)
        many[i] = key(REBALANCE_TYPE_STRING, 550, 0);
    for (size_t i = 0; i < PR_COUNT(batch); i++) {
        const double ms = rebalance_batch_block_ms(many, batch[i].n, 1);
        assert_true(fabs(ms - batch[i].ms) < 0.1 * batch[i].ms);
    }
}

static void heavy_elements_cost_their_bytes(void **state)
{
    (void)state;
    /* 10,000 fields of 10 KB: 100 MB travel, whatever the number of fields. */
    const struct rebalance_key_size k = key(REBALANCE_TYPE_HASH, 100000000, 10000);
    assert_true(rebalance_key_block_ms(&k, 1) > 1000);
    const struct rebalance_key_size light = key(REBALANCE_TYPE_HASH, 880000, 10000);
    assert_true(rebalance_key_block_ms(&light, 1) < 25);
}

static void verdicts_change_at_the_limits(void **state)
{
    (void)state;
    const struct rebalance_drain_limits l = { .node_timeout_ms = 5000, .block_budget_ms = 1000 };
    static const struct {
        enum rebalance_key_type type;
        uint64_t bytes, elements;
        enum rebalance_key_verdict want;
    } row[] = {
        { REBALANCE_TYPE_STRING, 550, 0, REBALANCE_KEY_NORMAL },
        { REBALANCE_TYPE_STRING, 400000, 0, REBALANCE_KEY_NORMAL },
        { REBALANCE_TYPE_STRING, 500000, 0, REBALANCE_KEY_ALONE }, /* 5.3 ms */
        { REBALANCE_TYPE_SET, 8800000, 100000, REBALANCE_KEY_ALONE },
        { REBALANCE_TYPE_STRING, 96000000, 0, REBALANCE_KEY_ALONE },           /* 999 ms */
        { REBALANCE_TYPE_STRING, 97000000, 0, REBALANCE_KEY_NEEDS_APPROVAL },  /* 1009 ms */
        { REBALANCE_TYPE_STRING, 160000000, 0, REBALANCE_KEY_NEEDS_APPROVAL }, /* 1664 ms */
        { REBALANCE_TYPE_STRING, 161000000, 0, REBALANCE_KEY_REFUSED },        /* 1675 ms */
        { REBALANCE_TYPE_HASH, 439000000, 5000000, REBALANCE_KEY_REFUSED },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_key_size k = key(row[i].type, row[i].bytes, row[i].elements);
        struct rebalance_key_judgement got;
        rebalance_key_judge("k", 1, &k, &l, &got);
        assert_int_equal(got.verdict, row[i].want);
        assert_int_equal(got.why[0] == '\0', row[i].want == REBALANCE_KEY_NORMAL);
    }
    /* A short node time-out refuses what the budget would leave to a person. */
    const struct rebalance_drain_limits tight = { .node_timeout_ms = 1500,
                                                  .block_budget_ms = 1000 };
    const struct rebalance_key_size k = key(REBALANCE_TYPE_STRING, 60000000, 0); /* 624 ms */
    struct rebalance_key_judgement got;
    rebalance_key_judge("k", 1, &k, &tight, &got);
    assert_int_equal(got.verdict, REBALANCE_KEY_REFUSED);
}

static void refusal_names_key_size_and_time(void **state)
{
    (void)state;
    const struct rebalance_drain_limits l = { .node_timeout_ms = 5000 };
    const struct rebalance_key_size k = key(REBALANCE_TYPE_HASH, 439000000, 5000000);
    struct rebalance_key_judgement got;
    rebalance_key_judge("user:\x01\"huge", 11, &k, &l, &got);
    assert_string_equal(got.why, "key \"user:?\"huge\" (hash, 5000000 elements, 439.0 MB) would "
                                 "block its source for 6600 ms: over 1667 ms, a third of "
                                 "cluster-node-timeout: refused");
    char name[300];
    memset(name, 'x', sizeof name);
    rebalance_key_judge(name, sizeof name, &k, &l, &got);
    assert_non_null(strstr(got.why, "xxx...\" (hash"));
    assert_non_null(strstr(got.why, "refused"));
}

static void batch_is_cut_by_keys_bytes_and_block(void **state)
{
    (void)state;
    static struct rebalance_key_size k[1200];
    for (size_t i = 0; i < PR_COUNT(k); i++)
        k[i] = key(REBALANCE_TYPE_STRING, 300, 0);
    const struct rebalance_drain_limits l = { .max_keys = 300, .max_bytes = 60000 };
    const struct rebalance_drain_limits many = { .max_keys = 5000, .batch_block_ms = 1000 };
    const struct rebalance_drain_limits quick = { .max_keys = 300, .batch_block_ms = 0.5 };

    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 1, &DEFAULTS), 200);
    assert_int_equal(rebalance_batch_cut(k, 150, 1, &DEFAULTS), 150);
    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 0.25, &DEFAULTS), 50);
    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 1, &l), 200);     /* bytes */
    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 0.5, &l), 100);   /* half of them */
    assert_int_equal(rebalance_batch_cut(k, PR_COUNT(k), 1, &many), 1000); /* never more */
    const size_t n = rebalance_batch_cut(k, PR_COUNT(k), 1, &quick);
    assert_true(n > 1 && n < 300);
    assert_true(rebalance_batch_block_ms(k, n, 1) <= 0.5);
    assert_true(rebalance_batch_block_ms(k, n + 1, 1) > 0.5);
    assert_int_equal(rebalance_batch_cut(k, 5, 0, &DEFAULTS), 1); /* never stalls */
    assert_int_equal(rebalance_batch_cut(k, 0, 1, &DEFAULTS), 0);
    assert_int_equal(rebalance_batch_cut(k, 5, NAN, &DEFAULTS), 1);
}

static void large_key_goes_alone(void **state)
{
    (void)state;
    struct rebalance_key_size k[4];
    for (size_t i = 0; i < PR_COUNT(k); i++)
        k[i] = key(REBALANCE_TYPE_STRING, 300, 0);
    k[2] = key(REBALANCE_TYPE_SET, 8800000, 100000);
    assert_int_equal(rebalance_batch_cut(k, 4, 1, &DEFAULTS), 2);     /* those before it */
    assert_int_equal(rebalance_batch_cut(k + 2, 2, 1, &DEFAULTS), 1); /* it */
    assert_int_equal(rebalance_batch_cut(k + 3, 1, 1, &DEFAULTS), 1);
}

static void slowness_follows_the_machine(void **state)
{
    (void)state;
    double s = 1;
    for (int i = 0; i < 60; i++)
        s = rebalance_slowness(s, 2, 6);
    assert_true(fabs(s - 3) < 0.05);
    assert_true(fabs(rebalance_slowness(3, 0, 5) - 3) < 1e-12); /* nothing predicted */
    assert_true(rebalance_slowness(1, 1, 1e9) <= 20);
    s = 1;
    for (int i = 0; i < 200; i++)
        s = rebalance_slowness(s, 100, 0.001);
    assert_true(s >= 0.2);
}

/* A target that is paused is given up before its replica can be promoted. */
static void migrate_times_out_before_a_fail_over(void **state)
{
    (void)state;
    static const struct {
        double predicted_ms;
        int64_t patience_ms, node_timeout_ms;
        int want;
    } row[] = {
        { 2.1, 0, 0, 1002 },      { 5000, 0, 0, 6000 },      { 1e9, 0, 0, 7500 },
        { 2.1, 250, 15000, 252 }, { 300, 1000, 2000, 1000 }, { 2.1, 1000, 2000, 1000 },
        { 0, 1000, 1, 1 }, /* never none at all: 0 is for ever */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_drain_limits l = { .patience_ms = row[i].patience_ms,
                                                  .node_timeout_ms = row[i].node_timeout_ms };
        assert_int_equal(rebalance_migrate_timeout_ms(row[i].predicted_ms, &l), row[i].want);
    }
}

/* What a lease can never cover is refused by name, whatever somebody approved. */
static void key_that_would_outlive_the_lease_is_refused(void **state)
{
    (void)state;
    const struct rebalance_key_size big = { .type = REBALANCE_TYPE_STRING, .bytes = 300000000 };
    struct rebalance_drain_limits l = { .lease_ms = 60000, .block_budget_ms = 4000 };
    struct rebalance_key_judgement j;
    rebalance_key_judge("big", 3, &big, &l, &j);
    assert_int_equal(j.verdict, REBALANCE_KEY_ALONE);
    const int needs_ms = 2 * rebalance_migrate_timeout_ms(j.block_ms, &l);
    l.lease_ms = needs_ms;
    rebalance_key_judge("big", 3, &big, &l, &j);
    assert_int_equal(j.verdict, REBALANCE_KEY_ALONE);
    l.lease_ms = needs_ms - 1;
    rebalance_key_judge("big", 3, &big, &l, &j);
    assert_int_equal(j.verdict, REBALANCE_KEY_REFUSED);
    char want[80];
    snprintf(want, sizeof want, "needs PRISM_REBALANCE_LEASE_TTL_MS >= %d: refused",
             needs_ms + REBALANCE_LEASE_MARGIN_MS);
    assert_non_null(strstr(j.why, want));
}

/* --- replicas ----------------------------------------------------------------- */

static void waits_for_every_live_replica(void **state)
{
    (void)state;
    static const struct {
        int live, wanted;
        bool allowed;
        int replicas;
        bool approval;
        const char *why;
    } row[] = {
        { 2, 2, false, 2, false, "waits for its 2 replicas" },
        { 1, 2, false, 1, false, "1 of 2 replicas, the others are down" },
        { 3, 2, false, 3, false, "its 3" },
        { 0, 2, false, 0, true, "needs approval" },
        { 0, 2, true, 0, false, "allowed" },
        { 0, 0, false, 0, true, "no live replica of 0" },
        { -1, 2, false, 0, true, "no live replica" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_wait w =
            rebalance_wait_policy("n1", row[i].live, row[i].wanted, row[i].allowed);
        assert_int_equal(w.replicas, row[i].replicas);
        assert_int_equal(w.needs_approval, row[i].approval);
        assert_non_null(strstr(w.why, row[i].why));
        assert_non_null(strstr(w.why, "shard n1"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_read_as_redis_names_them),
        cmocka_unit_test(prediction_fits_what_was_measured),
        cmocka_unit_test(heavy_elements_cost_their_bytes),
        cmocka_unit_test(verdicts_change_at_the_limits),
        cmocka_unit_test(refusal_names_key_size_and_time),
        cmocka_unit_test(batch_is_cut_by_keys_bytes_and_block),
        cmocka_unit_test(large_key_goes_alone),
        cmocka_unit_test(slowness_follows_the_machine),
        cmocka_unit_test(migrate_times_out_before_a_fail_over),
        cmocka_unit_test(key_that_would_outlive_the_lease_is_refused),
        cmocka_unit_test(waits_for_every_live_replica),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
