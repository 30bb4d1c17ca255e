/* What every policy sees, and which of it is refused. */
#include "t.h"

#include "core/policy.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#define NOTHING .cpu_pct = NAN, .memory_pct = NAN, .network_bps = NAN, .backlog = NAN, .load = NAN

static struct autoscale_sample at(int64_t ms)
{
    return (struct autoscale_sample){ .at_ms = ms, NOTHING, .serving = 3 };
}

static struct autoscale_view of(const struct autoscale_sample *s, size_t n, int64_t now_ms)
{
    return (struct autoscale_view){ .now_ms = now_ms,
                                    .desired = 50,
                                    .serving = 50,
                                    .min = 48,
                                    .max = 1000,
                                    .sample = s,
                                    .samples = n };
}

static void samples_are_in_order_and_not_from_the_future(void **state)
{
    (void)state;
    static const struct {
        int64_t first, second, now;
        const char *why; /* NULL: fine */
    } row[] = {
        { 0, 60000, 60000, NULL },
        { 0, 60000, 60001, NULL },
        { 0, 1, 60000, NULL },
        { 0, 60000, 59999, "sample 2 (60000 ms): from the future" }, /* 1 ms early */
        { 60000, 60000, 60000, "sample 2 (60000 ms): a duplicate" },
        { 60000, 59999, 60000, "sample 2 (59999 ms): older than the one before" },
        { -60000, 0, 0, NULL },
        { 1, 2, 0, "sample 1 (1 ms): from the future" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_sample s[] = { at(row[i].first), at(row[i].second) };
        const struct autoscale_view v = of(s, 2, row[i].now);
        struct pr_err err = { .text = "" };
        const enum pr_code rc = autoscale_view_check(&v, &err);
        assert_int_equal(rc, row[i].why == NULL ? PR_OK : PR_EDATA);
        if (row[i].why != NULL && strstr(err.text, row[i].why) != err.text)
            fail_msg("row %zu: %s", i, err.text);
    }
    const struct autoscale_view none = of(NULL, 0, 0);
    assert_int_equal(autoscale_view_check(&none, NULL), PR_OK);
}

static void values_are_in_range_or_unknown(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* of the member */
        double value;
        bool good;
        const char *name;
    } row[] = {
#define M(member) offsetof(struct autoscale_sample, member)
        { M(cpu_pct), 0, true, "cpu" },           { M(cpu_pct), 100, true, "cpu" },
        { M(cpu_pct), 100.001, false, "cpu" },    { M(cpu_pct), -0.001, false, "cpu" },
        { M(cpu_pct), INFINITY, false, "cpu" },   { M(cpu_pct), NAN, true, "cpu" },
        { M(memory_pct), 100, true, "memory" },   { M(memory_pct), 101, false, "memory" },
        { M(memory_pct), -1, false, "memory" },   { M(network_bps), 4e10, true, "network" },
        { M(network_bps), -1, false, "network" }, { M(network_bps), INFINITY, false, "network" },
        { M(backlog), 1e12, true, "backlog" },    { M(backlog), -INFINITY, false, "backlog" },
        { M(load), 1e6, true, "load" },           { M(load), -1e-9, false, "load" },
        { M(load), 1e19, false, "load" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_sample s[] = { at(0), at(60000) };
        memcpy((char *)&s[1] + row[i].at, &row[i].value, sizeof row[i].value);
        const struct autoscale_view v = of(s, 2, 60000);
        struct pr_err err = { .text = "" };
        assert_int_equal(autoscale_view_check(&v, &err), row[i].good ? PR_OK : PR_EDATA);
        if (!row[i].good &&
            (strstr(err.text, "sample 2") == NULL || strstr(err.text, row[i].name) == NULL))
            fail_msg("row %zu: %s", i, err.text);
    }
    static const struct {
        int members;
        bool good;
    } count[] = { { -1, false },
                  { 0, true },
                  { AUTOSCALE_MEMBERS_MOST, true },
                  { AUTOSCALE_MEMBERS_MOST + 1, false },
                  { INT_MAX, false } };
    for (size_t i = 0; i < PR_COUNT(count) * 2; i++) {
        struct autoscale_sample s = at(0);
        *(i % 2 == 0 ? &s.serving : &s.silent) = count[i / 2].members;
        const struct autoscale_view v = of(&s, 1, 0);
        assert_int_equal(autoscale_view_check(&v, NULL), count[i / 2].good ? PR_OK : PR_EDATA);
    }
}

static void window_ends_now_and_leaves_out_what_is_unknown(void **state)
{
    (void)state;
    struct autoscale_sample s[] = { at(60000), at(120000), at(180000), at(240000) };
    s[0].cpu_pct = 90;
    s[1].cpu_pct = 10;
    s[3].cpu_pct = 20;
    const struct autoscale_view v = of(s, 4, 240000);
    static const struct {
        int64_t window_ms;
        size_t n;
        double mean;
    } row[] = { { 1, 1, 20 },      { 120000, 1, 20 }, { 120001, 2, 15 },
                { 180000, 2, 15 }, { 180001, 3, 40 }, { INT64_C(1) << 40, 3, 40 } };
    double mean = 0;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        assert_int_equal(autoscale_window_mean(&v, AUTOSCALE_CPU, row[i].window_ms, &mean),
                         row[i].n);
        assert_true(fabs(mean - row[i].mean) < 1e-12);
    }
    assert_int_equal(autoscale_window_mean(&v, AUTOSCALE_CPU, 0, &mean), 0);
    assert_true(isnan(mean));
    assert_int_equal(autoscale_window_mean(&v, AUTOSCALE_MEMORY, 1 << 30, &mean), 0);
    assert_true(isnan(mean));
}

static void metrics_moves_and_policies_have_names(void **state)
{
    (void)state;
    static const char *const metric[] = { "cpu", "memory", "network", "backlog", "load" };
    static const char *const move[] = { "hold", "out", "in", "unknown" };
    static const char *const kind[] = { "rules", "step", "target", "hpa", "adaptive", "queue" };
    const struct autoscale_sample s = {
        .cpu_pct = 0, .memory_pct = 1, .network_bps = 2, .backlog = 3, .load = 4
    };
    assert_int_equal(PR_COUNT(metric), AUTOSCALE_METRICS);
    for (int m = 0; m < AUTOSCALE_METRICS; m++) {
        assert_string_equal(autoscale_metric_name((enum autoscale_metric)m), metric[m]);
        assert_true(fabs(autoscale_metric_of(&s, (enum autoscale_metric)m) - m) < 1e-12);
    }
    for (size_t m = 0; m < PR_COUNT(move); m++)
        assert_string_equal(autoscale_move_name((enum autoscale_move)m), move[m]);
    assert_int_equal(PR_COUNT(kind), AUTOSCALE_KINDS);
    for (int k = 0; k < AUTOSCALE_KINDS; k++) {
        enum autoscale_kind back = AUTOSCALE_KINDS;
        struct autoscale_policy p;
        assert_string_equal(autoscale_kind_name((enum autoscale_kind)k), kind[k]);
        assert_int_equal(autoscale_kind_parse(kind[k], &back, NULL), PR_OK);
        assert_int_equal(back, k);
        autoscale_policy_default(back, &p);
        assert_int_equal(p.kind, k);
    }
    enum autoscale_kind none = AUTOSCALE_HPA;
    struct pr_err err;
    assert_int_equal(autoscale_kind_parse("Adaptive", &none, &err), PR_EINVAL);
    assert_string_equal(err.text, "no policy \"Adaptive\": there are rules, step, target, hpa, "
                                  "adaptive, queue");
    assert_int_equal(none, AUTOSCALE_HPA);
}

static void every_policy_holds_when_samples_are_refused(void **state)
{
    (void)state;
    struct autoscale_sample s[] = { at(0), at(0) };
    s[0].cpu_pct = s[1].cpu_pct = 99;
    const struct autoscale_view v = of(s, 2, 60000);
    for (int k = 0; k < AUTOSCALE_KINDS; k++) {
        static struct autoscale_memory memory, zero;
        struct autoscale_policy p;
        struct autoscale_vote got;
        autoscale_policy_default((enum autoscale_kind)k, &p);
        autoscale_policy_vote(&p, &memory, &v, &got);
        assert_int_equal(got.move, AUTOSCALE_UNKNOWN);
        assert_int_equal(got.desired, 50);
        assert_non_null(strstr(got.why, "alarm: samples are refused"));
        assert_non_null(strstr(got.why, "sample 2 (0 ms): a duplicate"));
        assert_memory_equal(&memory, &zero, sizeof zero); /* nothing bad is remembered */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_in_order_and_not_from_the_future),
        cmocka_unit_test(values_are_in_range_or_unknown),
        cmocka_unit_test(window_ends_now_and_leaves_out_what_is_unknown),
        cmocka_unit_test(metrics_moves_and_policies_have_names),
        cmocka_unit_test(every_policy_holds_when_samples_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
