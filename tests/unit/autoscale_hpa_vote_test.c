/* The policy hpa over a fleet: by members, by the fleet's mean, with what it remembers. */
#include "t.h"

#include "core/hpa.h"

#include <math.h>
#include <string.h>

enum { S = 1000, MIN = 60 * S };
static const int64_t NOW = 1700000000000;

static struct autoscale_sample sample(int64_t at_ms, double cpu_pct, int serving)
{
    return (struct autoscale_sample){ .at_ms = at_ms,
                                      .cpu_pct = cpu_pct,
                                      .memory_pct = NAN,
                                      .network_bps = NAN,
                                      .backlog = NAN,
                                      .load = NAN,
                                      .serving = serving };
}

static struct autoscale_view view(const struct autoscale_sample *s, int desired)
{
    return (struct autoscale_view){ .now_ms = s->at_ms,
                                    .desired = desired,
                                    .serving = s->serving,
                                    .min = 2,
                                    .max = 1000,
                                    .sample = s,
                                    .samples = 1 };
}

/* As a running fleet has it: one that has wanted few for long. */
static struct autoscale_hpa_memory settled(void)
{
    return (struct autoscale_hpa_memory){ .recommendations = 1,
                                          .begun = 1,
                                          .recommendation = { { 1, 1, 0 } } };
}

static void votes_by_the_fleets_mean(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double cpu;
        int serving, silent, desired;
        enum autoscale_move move;
        int to, wanted;
        const char *limited;
    } row[] = {
        { "out", 84, 50, 0, 50, AUTOSCALE_OUT, 60, 60, "" },
        { "tolerated above", 77.9, 50, 0, 50, AUTOSCALE_HOLD, 50, 50, "" },
        { "just not", 78, 50, 0, 50, AUTOSCALE_OUT, 56, 56, "" },
        { "tolerated below", 63, 50, 0, 50, AUTOSCALE_HOLD, 50, 50, "" },
        { "in", 62.9, 50, 0, 50, AUTOSCALE_IN, 45, 45, "" },
        { "booting ones count as idle", 84, 50, 0, 55, AUTOSCALE_HOLD, 55, 55, "" },
        { "and damp", 98, 50, 0, 55, AUTOSCALE_OUT, 70, 70, "" },
        { "silent ones at 0 on the way out", 98, 40, 10, 50, AUTOSCALE_OUT, 56, 56, "" },
        { "silent ones in full on the way in", 35, 40, 10, 50, AUTOSCALE_IN, 35, 35, "" },
        { "half silent: never round", 40, 25, 25, 50, AUTOSCALE_HOLD, 50, 50, "" },
        { "not above max", 100, 900, 0, 900, AUTOSCALE_OUT, 1000, 1286, "max 1000" },
        { "not below min", 1, 50, 0, 50, AUTOSCALE_IN, 2, 1, "min 2" },
        { "above max", 70, 50, 0, 1001, AUTOSCALE_IN, 1000, 1000, "" },
        { "below min", 70, 1, 0, 1, AUTOSCALE_OUT, 2, 2, "" },
        { "off", 70, 1, 0, 0, AUTOSCALE_HOLD, 0, 0, "" },
    };
    struct autoscale_hpa_policy p;
    autoscale_hpa_default(&p);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_sample s = sample(NOW, row[i].cpu, row[i].serving);
        s.silent = row[i].silent;
        const struct autoscale_view v = view(&s, row[i].desired);
        struct autoscale_hpa_memory memory = settled();
        struct autoscale_vote got;
        autoscale_hpa_vote(&p, &memory, &v, &got);
        print_message("%s: %s\n", row[i].name, got.why);
        assert_int_equal(got.move, row[i].move);
        assert_int_equal(got.desired, row[i].to);
        assert_int_equal(got.wanted, row[i].wanted);
        assert_string_equal(got.limited, row[i].limited);
    }
}

static void says_what_it_saw(void **state)
{
    (void)state;
    struct autoscale_hpa_policy p;
    autoscale_hpa_default(&p);
    const struct autoscale_sample s = sample(NOW, 84.9, 50);
    const struct autoscale_view v = view(&s, 50);
    struct autoscale_hpa_memory memory = settled();
    struct autoscale_vote got;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_string_equal(got.rule, "cpu target 70 %");
    assert_true(got.observed == 84 && got.threshold == 70); /* whole percent, as Kubernetes */
    assert_int_equal(got.window_ms, MIN);
    assert_string_equal(got.why, "cpu 84 % against a target of 70 % (ratio 1.200) asks for 60, "
                                 "where 50 are wanted now");
}

static void unknown_is_no_number(void **state)
{
    (void)state;
    struct autoscale_hpa_policy p;
    autoscale_hpa_default(&p);
    struct autoscale_sample s = sample(NOW, 20, 50);
    static const struct {
        int64_t late_ms;
        double cpu;
        bool known;
    } row[] = { { 0, 20, true },        { 90 * S, 20, true }, { 90 * S + 1, 20, false },
                { -1, 20, false },      { 0, NAN, false },    { 0, -1, false },
                { 0, INFINITY, false }, { 0, 1e300, false } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        s.cpu_pct = row[i].cpu;
        struct autoscale_view v = view(&s, 50);
        v.now_ms += row[i].late_ms;
        struct autoscale_hpa_memory memory = settled();
        struct autoscale_vote got;
        autoscale_hpa_vote(&p, &memory, &v, &got);
        assert_int_equal(got.move, row[i].known ? AUTOSCALE_IN : AUTOSCALE_UNKNOWN);
        if (!row[i].known) {
            assert_int_equal(got.desired, 50);
            assert_non_null(strstr(got.why, "cpu: nobody measured it"));
            assert_int_equal(memory.recommendations, 1); /* nothing was recommended */
        }
    }
    struct autoscale_view v = view(&s, 50);
    struct autoscale_hpa_memory memory = { 0 };
    struct autoscale_vote got;
    v.samples = 0;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
    v = view(&s, 50);
    s.serving = INT32_MAX; /* more than integers hold */
    p.metric[0] = (struct autoscale_hpa_metric){ AUTOSCALE_NETWORK, 8e9 };
    s.network_bps = 1e12;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
    v.max = 0; /* nobody said: not down to it */
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
    assert_int_equal(got.desired, 50);
}

static void a_failed_metric_forbids_in_not_out(void **state)
{
    (void)state;
    struct autoscale_hpa_policy p;
    autoscale_hpa_default(&p);
    p.metric[1] = (struct autoscale_hpa_metric){ AUTOSCALE_MEMORY, 85 };
    p.metric[2] = (struct autoscale_hpa_metric){ AUTOSCALE_NETWORK, 8e9 };
    p.metric[3] = (struct autoscale_hpa_metric){ AUTOSCALE_BACKLOG, 100 };
    p.metric[4] = (struct autoscale_hpa_metric){ AUTOSCALE_LOAD, 0.7 };
    static const struct {
        size_t metrics;
        double cpu, memory, network, backlog, load;
        enum autoscale_move move;
        int to;
        const char *rule;
    } row[] = {
        { 2, 20, NAN, NAN, NAN, NAN, AUTOSCALE_UNKNOWN, 50, "metric failed" },
        { 2, 84, NAN, NAN, NAN, NAN, AUTOSCALE_OUT, 60, "cpu target 70 %" },
        { 2, NAN, 99, NAN, NAN, NAN, AUTOSCALE_OUT, 59, "memory target 85 %" },
        { 2, 70, NAN, NAN, NAN, NAN, AUTOSCALE_HOLD, 50, "cpu target 70 %" },
        { 2, 20, 85, NAN, NAN, NAN, AUTOSCALE_HOLD, 50, "memory target 85 %" },
        { 3, 20, 20, 9.6e9, NAN, NAN, AUTOSCALE_OUT, 60, "network target 8e+09 bit/s" },
        { 4, 20, 20, 1e9, 6001, NAN, AUTOSCALE_OUT, 61, "backlog target 100" },
        { 5, 20, 20, 1e9, 10, 42.01, AUTOSCALE_OUT, 61, "load target 0.7" },
        { 5, 20, 20, 1e9, 10, 21, AUTOSCALE_IN, 30, "load target 0.7" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_sample s = sample(NOW, row[i].cpu, 50);
        s.memory_pct = row[i].memory;
        s.network_bps = row[i].network;
        s.backlog = row[i].backlog;
        s.load = row[i].load;
        p.metrics = row[i].metrics;
        const struct autoscale_view v = view(&s, 50);
        struct autoscale_hpa_memory memory = settled();
        struct autoscale_vote got;
        autoscale_hpa_vote(&p, &memory, &v, &got);
        print_message("%zu: %s\n", i, got.why);
        assert_int_equal(got.move, row[i].move);
        assert_int_equal(got.desired, row[i].to);
        assert_string_equal(got.rule, row[i].rule);
    }
}

static void holds_what_it_recommended(void **state)
{
    (void)state;
    struct autoscale_hpa_policy p;
    autoscale_hpa_default(&p);
    struct autoscale_hpa_memory memory = { 0 };
    struct autoscale_vote got;
    struct autoscale_sample s = sample(NOW, 20, 50);
    struct autoscale_view v = view(&s, 50);
    autoscale_hpa_vote(&p, &memory, &v, &got); /* the first: 50 counts as recommended just now */
    assert_int_equal(got.move, AUTOSCALE_HOLD);
    assert_int_equal(got.wanted, 15);
    assert_string_equal(got.limited, "stabilization: 50 was asked for within 300 s");
    assert_int_equal(got.cooldown_until_ms, NOW + 300 * S);

    static const struct {
        int64_t at_ms;
        int to;
    } row[] = { { 300 * S - 1, 50 }, { 300 * S, 15 } }; /* 1 ms early, in time */
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_hpa_memory copy = memory;
        s.at_ms = v.now_ms = NOW + row[i].at_ms;
        autoscale_hpa_vote(&p, &copy, &v, &got);
        assert_int_equal(got.desired, row[i].to);
    }
    /* outward at once, without a window; inward by the highest of the window */
    s.at_ms = v.now_ms = NOW + 60 * S;
    s.cpu_pct = 84;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.desired, 60);
    s.at_ms = v.now_ms = NOW + 301 * S;
    s.cpu_pct = 35;
    v.desired = s.serving = 80;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.desired, 60);
    assert_int_equal(got.wanted, 40);
    assert_int_equal(got.move, AUTOSCALE_IN);
    assert_int_equal(got.cooldown_until_ms, NOW + 360 * S);
}

static void counts_what_was_done(void **state)
{
    (void)state;
    struct autoscale_hpa_policy p;
    autoscale_hpa_default(&p);
    p.up.rule[0] = (struct autoscale_hpa_rule){ AUTOSCALE_HPA_PODS, 10, 300 };
    p.up.rules = 1;
    p.down.rule[0] = (struct autoscale_hpa_rule){ AUTOSCALE_HPA_PERCENT, 10, 300 };
    p.down.stabilization_s = 0;
    struct autoscale_action action[] = { { NOW - 400 * S, 20, 44 },
                                         { NOW - 300 * S, 44, 45 },
                                         { NOW - 299 * S, 45, 51 },
                                         { NOW - 60 * S, 51, 50 } };
    struct autoscale_sample s = sample(NOW, 100, 50);
    struct autoscale_view v = view(&s, 50);
    v.action = action;
    v.actions = PR_COUNT(action);
    struct autoscale_hpa_memory memory = settled();
    struct autoscale_vote got;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.desired, 55); /* 50 - 6 + 1 + 10 */
    assert_int_equal(got.wanted, 72);
    assert_string_equal(got.limited, "scale-up rate: 55 at most now");
    assert_int_equal(memory.ups, 2); /* what is over made room */
    assert_int_equal(memory.downs, 1);
    assert_int_equal(memory.seen_ms, NOW - 60 * S);

    const struct autoscale_hpa_memory before = memory; /* nothing is counted twice */
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.desired, 55);
    assert_memory_equal(memory.up, before.up, sizeof memory.up);
    s.cpu_pct = 10;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.desired, 40); /* 10 % less than the 45 before all that, cut */
    assert_string_equal(got.limited, "scale-down rate: 40 at least now");
}

static struct autoscale_member member(double cpu_pct)
{
    return (struct autoscale_member){ .id = "m",
                                      .cpu_pct = cpu_pct,
                                      .memory_pct = NAN,
                                      .network_bps = NAN,
                                      .metric_at_ms = NOW,
                                      .metric_window_ms = MIN,
                                      .started_ms = NOW - 3600 * S,
                                      .ready_since_ms = NOW - 3500 * S,
                                      .ready = true };
}

static void judges_each_member(void **state)
{
    (void)state;
    struct autoscale_hpa_policy p;
    autoscale_hpa_default(&p);
    enum { N = 10 };
    struct autoscale_member m[N];
    struct autoscale_view v = {
        .now_ms = NOW, .desired = N, .serving = N, .min = 2, .max = 100, .member = m, .members = N
    };
    static const struct {
        const char *name;
        int change; /* so many of the ten are ... */
        struct autoscale_member to;
        int want;
    } row[] = {
        { "all at 90 %", 0, { 0 }, 13 },
        { "two without a reading: 0 on the way out", 2, { .cpu_pct = NAN, .ready = true }, 10 },
        { "two stale", 2, { .cpu_pct = 90, .metric_at_ms = NOW - 300 * S - 1, .ready = true }, 10 },
        { "two at the edge of it",
          2,
          { .cpu_pct = 90, .metric_at_ms = NOW - 300 * S, .ready = true },
          13 },
        { "two young, measured before they were ready",
          2,
          { .cpu_pct = 100,
            .metric_at_ms = NOW,
            .metric_window_ms = MIN,
            .started_ms = NOW - 300 * S + 1,
            .ready_since_ms = NOW - 59 * S,
            .ready = true },
          10 },
        { "two young, measured since",
          2,
          { .cpu_pct = 90,
            .metric_at_ms = NOW,
            .metric_window_ms = MIN,
            .started_ms = NOW - 300 * S + 1,
            .ready_since_ms = NOW - 60 * S,
            .ready = true },
          13 },
        { "two that never were ready",
          2,
          { .cpu_pct = 90, .metric_at_ms = NOW, .started_ms = NOW - 3600 * S, .ready = false },
          10 },
        { "two that were",
          2,
          { .cpu_pct = 90,
            .metric_at_ms = NOW,
            .started_ms = NOW - 3600 * S,
            .ready_since_ms = NOW - 3570 * S,
            .ready = false },
          13 },
        { "two that leave", 2, { .cpu_pct = 90, .leaving = true, .ready = true }, 10 },
        { "two that failed", 2, { .cpu_pct = 90, .failed = true, .ready = true }, 10 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        for (int k = 0; k < N; k++)
            m[k] = k < row[i].change ? row[i].to : member(90);
        struct autoscale_hpa_memory memory = settled();
        struct autoscale_vote got;
        autoscale_hpa_vote(&p, &memory, &v, &got);
        print_message("%s: %s\n", row[i].name, got.why);
        assert_int_equal(got.desired, row[i].want);
        assert_int_equal(got.window_ms, 0);
    }
    for (int k = 0; k < N; k++)
        m[k] = (struct autoscale_member){ .cpu_pct = NAN };
    struct autoscale_hpa_memory memory = settled();
    struct autoscale_vote got;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
    assert_non_null(strstr(got.why, "no member that is ready has a reading"));
}

static void survives_a_clock_and_a_memory_that_are_wrong(void **state)
{
    (void)state;
    struct autoscale_hpa_policy p;
    autoscale_hpa_default(&p);
    const struct autoscale_sample s = sample(NOW, 20, 50);
    const struct autoscale_view v = view(&s, 50);
    struct autoscale_vote got;
    /* a year ahead: holds as if it were of now, not for a year */
    struct autoscale_hpa_memory memory = settled();
    memory.recommendation[0] = (struct autoscale_hpa_entry){ NOW + 31536000000, 44, 0 };
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.desired, 44);
    assert_int_equal(got.cooldown_until_ms, NOW + 300 * S);
    memory.recommendations = 1 << 20;
    memory.ups = -1;
    memory.seen_ms = INT64_MAX;
    autoscale_hpa_vote(&p, &memory, &v, &got);
    assert_int_equal(got.desired, 50); /* begins anew */
    assert_int_equal(memory.recommendations, 2);
}

static void checks_its_settings(void **state)
{
    (void)state;
    struct autoscale_hpa_policy good, bad;
    struct pr_err err;
    autoscale_hpa_default(&good);
    assert_ok(autoscale_hpa_check(&good, &err), &err);
    const struct {
        size_t at, size;
        const void *value;
        const char *words;
    } row[] = {
#define SET(field, type, v, text)                                                                  \
    { offsetof(struct autoscale_hpa_policy, field), sizeof(type), &(const type){ v }, text }
        SET(metrics, size_t, 0, "0 metrics"),
        SET(metrics, size_t, 6, "6 metrics"),
        SET(metric[0].target, double, 0, "target of cpu is 0"),
        SET(metric[0].target, double, NAN, "target of cpu"),
        SET(metric[0].target, double, 1.1e12, "target of cpu"),
        SET(tolerance.up, double, -0.1, "tolerance up"),
        SET(tolerance.up, double, INFINITY, "tolerance up"),
        SET(tolerance.down, double, 1.1, "tolerance down"),
        SET(up.stabilization_s, int32_t, -1, "hpa up: stabilization -1"),
        SET(down.stabilization_s, int32_t, 3601, "hpa down: stabilization 3601"),
        SET(up.rules, size_t, 0, "hpa up: 0 policies"),
        SET(up.rules, size_t, 9, "hpa up: 9 policies"),
        SET(down.rule[0].value, int32_t, 0, "policy 1: value 0"),
        SET(down.rule[0].period_s, int32_t, 0, "policy 1: period 0"),
        SET(down.rule[0].period_s, int32_t, 1801, "policy 1: period 1801"),
        SET(init_ms, int64_t, -1, "negative"),
        SET(stale_ms, int64_t, 0, "stale"),
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        bad = good;
        memcpy((char *)&bad + row[i].at, row[i].value, row[i].size);
        assert_int_equal(autoscale_hpa_check(&bad, &err), PR_EINVAL);
        if (strstr(err.text, row[i].words) == NULL)
            fail_msg("got \"%s\", want \"%s\"", err.text, row[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_by_the_fleets_mean),
        cmocka_unit_test(says_what_it_saw),
        cmocka_unit_test(unknown_is_no_number),
        cmocka_unit_test(a_failed_metric_forbids_in_not_out),
        cmocka_unit_test(holds_what_it_recommended),
        cmocka_unit_test(counts_what_was_done),
        cmocka_unit_test(judges_each_member),
        cmocka_unit_test(survives_a_clock_and_a_memory_that_are_wrong),
        cmocka_unit_test(checks_its_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
