#include "prism/io/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TABLE(METRIC)                                                                              \
    METRIC(M_DONE, COUNTER, "t_done_total", NULL, "Things done")                                   \
    METRIC(M_BY, COUNTER, "t_by_total", "kind", "Back\\slash and\nnewline")                        \
    METRIC(M_SIZE, GAUGE, "t_size_bytes", NULL, "Size")                                            \
    METRIC(M_TIME, HISTOGRAM, "t_time_seconds", "step", "Time \"quoted\"")

enum { TABLE(PR_METRIC_ID) };
static const struct pr_metric_row rows[] = { TABLE(PR_METRIC_ROW) };

static struct pr_buf text;

static const char *text_of(struct pr_metrics *m)
{
    pr_buf_done(&text);
    pr_buf_init(&text, 0);
    pr_metrics_text(m, &text);
    assert_false(text.failed);
    return text.data;
}

static int setup(void **state)
{
    *state = pr_metrics_new(rows, PR_COUNT(rows));
    return *state == NULL;
}

static int teardown(void **state)
{
    pr_metrics_free(*state);
    pr_buf_done(&text);
    return 0;
}

static void a_new_table_shows_zeros_and_no_labels(void **state)
{
    assert_string_equal(text_of(*state), "# HELP t_done_total Things done\n"
                                         "# TYPE t_done_total counter\n"
                                         "t_done_total 0\n"
                                         "# HELP t_by_total Back\\\\slash and\\nnewline\n"
                                         "# TYPE t_by_total counter\n"
                                         "# HELP t_size_bytes Size\n"
                                         "# TYPE t_size_bytes gauge\n"
                                         "t_size_bytes 0\n"
                                         "# HELP t_time_seconds Time \"quoted\"\n"
                                         "# TYPE t_time_seconds histogram\n");
}

static void counters_only_rise_and_gauges_move(void **state)
{
    struct pr_metrics *m = *state;
    pr_metrics_add(m, M_DONE, NULL, 2);
    pr_metrics_add(m, M_DONE, NULL, -1);
    pr_metrics_add(m, M_DONE, NULL, __builtin_nan(""));
    pr_metrics_add(m, M_DONE, NULL, 0.5);
    assert_true(pr_metrics_get(m, M_DONE, NULL) == 2.5);
    pr_metrics_set(m, M_SIZE, NULL, 10);
    pr_metrics_add(m, M_SIZE, NULL, -12);
    assert_true(pr_metrics_get(m, M_SIZE, NULL) == -2);
    assert_non_null(strstr(text_of(m), "t_done_total 2.5\n"));
    assert_non_null(strstr(text_of(m), "t_size_bytes -2\n"));
}

static void values_are_printed_exactly(void **state)
{
    struct pr_metrics *m = *state;
    static const struct {
        double v;
        const char *want;
    } row[] = { { 9007199254740991.0, "t_size_bytes 9007199254740991\n" },
                { 1e300, "t_size_bytes 1e+300\n" },
                { 0.1, "t_size_bytes 0.1\n" },
                { -0.0625, "t_size_bytes -0.0625\n" },
                { __builtin_inf(), "t_size_bytes +Inf\n" },
                { -__builtin_inf(), "t_size_bytes -Inf\n" },
                { __builtin_nan(""), "t_size_bytes NaN\n" } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        pr_metrics_set(m, M_SIZE, NULL, row[i].v);
        assert_non_null(strstr(text_of(m), row[i].want));
    }
}

static void label_values_are_escaped(void **state)
{
    pr_metrics_add(*state, M_BY, "a\"b\\c\nd", 1);
    assert_non_null(strstr(text_of(*state), "t_by_total{kind=\"a\\\"b\\\\c\\nd\"} 1\n"));
    assert_true(pr_metrics_get(*state, M_BY, "a\"b\\c\nd") == 1);
    assert_true(pr_metrics_get(*state, M_BY, "never") == 0);
}

static void the_65th_label_value_counts_under_other(void **state)
{
    struct pr_metrics *m = *state;
    char label[16];
    for (int i = 0; i < 70; i++) {
        snprintf(label, sizeof label, "l%d", i);
        pr_metrics_add(m, M_BY, label, 1);
    }
    assert_true(pr_metrics_get(m, M_BY, "l63") == 1);
    assert_true(pr_metrics_get(m, M_BY, "l64") == 0);
    assert_true(pr_metrics_get(m, M_BY, "other") == 6);
    pr_metrics_add(m, M_BY, "l0", 1); /* the known ones still work */
    assert_true(pr_metrics_get(m, M_BY, "l0") == 2);
}

static void histogram_buckets_are_cumulative_with_inclusive_bounds(void **state)
{
    struct pr_metrics *m = *state;
    static const double seen[] = { 0, 0.0005, 0.00051, 60, 60.1, 1000, -1 };
    for (size_t i = 0; i < PR_COUNT(seen); i++)
        pr_metrics_observe(m, M_TIME, "read", seen[i]);
    pr_metrics_observe(m, M_TIME, "read", __builtin_nan(""));
    const char *t = text_of(m);
    assert_non_null(strstr(t, "t_time_seconds_bucket{step=\"read\",le=\"0.0005\"} 2\n"));
    assert_non_null(strstr(t, "t_time_seconds_bucket{step=\"read\",le=\"0.001\"} 3\n"));
    assert_non_null(strstr(t, "t_time_seconds_bucket{step=\"read\",le=\"30\"} 3\n"));
    assert_non_null(strstr(t, "t_time_seconds_bucket{step=\"read\",le=\"60\"} 4\n"));
    assert_non_null(strstr(t, "t_time_seconds_bucket{step=\"read\",le=\"+Inf\"} 6\n"));
    assert_non_null(strstr(t, "t_time_seconds_sum{step=\"read\"} 1120.10101\n"));
    assert_non_null(strstr(t, "t_time_seconds_count{step=\"read\"} 6\n"));
    assert_true(pr_metrics_get(m, M_TIME, "read") == 6);
}

static void *add_many(void *m)
{
    for (int i = 0; i < 10000; i++) {
        pr_metrics_add(m, M_DONE, NULL, 1);
        pr_metrics_add(m, M_BY, i % 2 == 0 ? "even" : "odd", 1);
        pr_metrics_observe(m, M_TIME, "x", 0.01);
    }
    return NULL;
}

static void threads_lose_no_count(void **state)
{
    pthread_t t[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, add_many, *state), 0);
    (void)text_of(*state); /* reading meanwhile is fine */
    for (size_t i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_true(pr_metrics_get(*state, M_DONE, NULL) == 40000);
    assert_true(pr_metrics_get(*state, M_BY, "odd") == 20000);
    assert_true(pr_metrics_get(*state, M_TIME, "x") == 40000);
}

static void an_empty_table_is_fine(void **state)
{
    (void)state;
    struct pr_metrics *m = pr_metrics_new(NULL, 0);
    struct pr_buf out;
    assert_non_null(m);
    pr_buf_init(&out, 0);
    pr_metrics_text(m, &out);
    assert_int_equal(out.len, 0);
    pr_metrics_free(m);
    pr_metrics_free(NULL);
}

static void what_is_dropped_is_not_shown_until_it_is_set_again(void **state)
{
    struct pr_metrics *m = *state;
    pr_metrics_add(m, M_BY, "a", 1);
    pr_metrics_add(m, M_BY, "b", 2);
    pr_metrics_add(m, M_BY, "c", 3);
    pr_metrics_observe(m, M_TIME, "one", 1);
    pr_metrics_drop(m, M_BY, "a");
    pr_metrics_drop(m, M_BY, "nobody");
    assert_null(strstr(text_of(m), "kind=\"a\""));
    assert_non_null(strstr(text_of(m), "t_by_total{kind=\"b\"} 2\n"));
    assert_non_null(strstr(text_of(m), "t_by_total{kind=\"c\"} 3\n"));
    pr_metrics_drop(m, M_BY, NULL);
    pr_metrics_drop(m, M_TIME, NULL);
    assert_null(strstr(text_of(m), "kind="));
    assert_null(strstr(text_of(m), "step="));
    pr_metrics_add(m, M_BY, "b", 5);
    assert_non_null(strstr(text_of(m), "t_by_total{kind=\"b\"} 5\n"));
    pr_metrics_add(m, M_DONE, NULL, 1);
    pr_metrics_drop(m, M_DONE, NULL); /* no label: it stays */
    assert_non_null(strstr(text_of(m), "t_done_total 1\n"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_table_shows_zeros_and_no_labels),
        TEST(counters_only_rise_and_gauges_move),
        TEST(values_are_printed_exactly),
        TEST(label_values_are_escaped),
        TEST(the_65th_label_value_counts_under_other),
        TEST(histogram_buckets_are_cumulative_with_inclusive_bounds),
        TEST(threads_lose_no_count),
        TEST(what_is_dropped_is_not_shown_until_it_is_set_again),
        TEST(an_empty_table_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
