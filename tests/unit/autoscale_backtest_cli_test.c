/* prism-autoscale backtest: its arguments, its file, its report. */
#include "t.h"

#include "cli/backtest.h"
#include "cli/cli.h"
#include "prism/buf.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum pr_code read_text(const char *text, const char *column, struct backtest_trace *t,
                              struct pr_err *err)
{
    return backtest_read_text("x.csv", text, strlen(text), column, t, err);
}

static void bad_files_are_named_by_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text, *column, *want; /* NULL: nothing wrong */
    } row[] = {
        { "", NULL, "x.csv: 0 rows, want 2 or more" },
        { "minute,v\n", NULL, "x.csv: 0 rows" },
        { "minute,v\n0,1\n", NULL, "x.csv: 1 rows" },
        { "0,1\n1,2\n2,3\n", NULL, "x.csv: line 1: no column \"minute\": want a header" },
        { "\n\ntimestamp,v\n0,1\n1,2\n", NULL,
          "x.csv: line 3: no column \"minute\": want a header, and minutes as whole numbers; it "
          "begins with \"timestamp\"" },
        { "minute\n0\n1\n", NULL, "x.csv: line 1: no column beside \"minute\"" },
        { "minute,v\n0,1\n1,2\n", "w", "x.csv: line 1: no column \"w\"" },
        { "minute,v\n0,1\n1\n", NULL, "x.csv: line 3: 1 columns, and \"v\" is number 2" },
        { "minute,v\n0,1\n1,x\n", NULL, "x.csv: line 3, column \"v\": \"x\" is not a number" },
        { "minute,v\n0,1\n1,nan\n", NULL, "line 3, column \"v\": \"nan\" is not a number" },
        { "minute,v\n0,1\n1,inf\n", NULL, "\"inf\" is not a number" },
        { "minute,v\n0,1\n1,1e999\n", NULL, "\"1e999\" is not a number" },
        { "minute,v\n0,1\n1,0x10\n", NULL, "\"0x10\" is not a number" },
        { "minute,v\n0,1\n1,1 2\n", NULL, "\"1 2\" is not a number" },
        { "minute,v\n0,1\n1,\n", NULL, "line 3, column \"v\": \"\" is empty: leave out rows" },
        { "minute,v\n0,1\n1,-3\n", NULL, "line 3, column \"v\": \"-3\" is negative" },
        { "minute,v\n0,1\n0,2\n", NULL, "line 3, column \"minute\": \"0\" is there twice" },
        { "minute,v\n5,1\n\n4,2\n", NULL,
          "line 4, column \"minute\": \"4\" is before the row above" },
        { "minute,v\n0,1\n1.5,2\n", NULL, "column \"minute\": \"1.5\" is not a whole minute" },
        { "minute,v\nx,1\n", NULL, "line 2, column \"minute\": \"x\" is not a number" },
        { "minute,v\n0,1\n99999999999,2\n", NULL,
          "x.csv: minutes 0 to 99999999999 are 69444444.4 days, at most 400 are allowed" },
        { "minute,v\n-9,1\n575991,2\n", NULL, "x.csv: minutes -9 to 575991 are 400.0 days, at" },
        { "minute,v\n0,1\n1,2\n2,1\n7,1\n", NULL, /* 4 of 8: no more than half */
          NULL },
        { "minute,v\n0,1\n1,2\n2,1\n8,1\n", NULL,
          "x.csv: minutes 0 to 8 are 0.0 days, and 0.0 of them are missing (gaps in rows that "
          "are 1 min apart)" },
        { "minute,v\n0,1\n30,2\n60,1\n150,1\n", NULL, "(gaps in rows that are 30 min apart)" },
        { "minute,v\n0,1\n30,2\n60,1\n105,1\n", NULL, NULL }, /* late, and no gap */
        { "minute,v\n0,1\n575999,2\n", NULL, NULL },          /* 400 days, a row each */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct backtest_trace t;
        struct pr_err err = { .text = "" };
        const enum pr_code rc = read_text(row[i].text, row[i].column, &t, &err);
        assert_int_equal(rc, row[i].want == NULL ? PR_OK : PR_EDATA);
        if (row[i].want != NULL && strstr(err.text, row[i].want) == NULL)
            fail_msg("row %zu: %s", i, err.text);
        backtest_trace_done(&t);
    }
}

static void rows_become_minutes(void **state)
{
    (void)state;
    struct backtest_trace t;
    struct pr_err err;
    /* columns in any order, blanks, quotes, \r\n, a byte order mark, an empty line */
    assert_ok(
        read_text(
            "\xef\xbb\xbfhost,\"load\", minute\r\na,10,100\r\nb, 20 ,105\r\n\r\nc,\"30\",110\r\n"
            "d,60,125\r\ne,50,130",
            "load", &t, &err),
        &err);
    assert_int_equal(t.minutes, 31);
    assert_int_equal(t.interval, 5);
    assert_int_equal(t.first, 100);
    assert_int_equal(t.missing, 14);
    assert_string_equal(t.column, "load");
    for (int m = 0; m <= 10; m++)
        assert_true(fabs(t.load[m] - (10 + 2 * m)) < 1e-9);
    for (int m = 11; m < 25; m++) /* 15 minutes without a row */
        assert_true(isnan(t.load[m]));
    assert_true(fabs(t.load[26] - 58) < 1e-9);

    assert_ok(backtest_smooth(&t, 1, &err), &err);
    assert_true(fabs(t.load[1] - 12) < 1e-9);
    assert_ok(backtest_smooth(&t, 3, &err), &err);
    assert_true(fabs(t.load[0] - 10) < 1e-9);
    assert_true(fabs(t.load[2] - 12) < 1e-9);
    assert_true(isnan(t.load[11]));
    assert_true(fabs(t.load[25] - 60) < 1e-9); /* alone in its window */
    backtest_trace_done(&t);

    assert_ok(read_text("minute,a,b\n-2,1,9\n-1,2,8\n", NULL, &t, &err), &err);
    assert_string_equal(t.column, "a");
    assert_int_equal(t.first, -2);
    backtest_trace_done(&t);
}

static void files_may_be_compressed_and_damage_is_found(void **state)
{
    (void)state;
    struct backtest_trace t;
    struct pr_err err;
    const char *path = PRISM_SOURCE_DIR "/tests/data/traces/nab_elb_request_count_8c0756.csv.xz";
    assert_ok(backtest_read(path, NULL, &t, &err), &err);
    assert_int_equal(t.interval, 5);
    assert_int_equal(t.missing, 8 * 9);
    backtest_trace_done(&t);

    char name[] = "/tmp/backtest-XXXXXX";
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    static const char cut[] = "\xfd\x37zXZ\0\0\4\xe6\xd6\xb4\x46\2";
    assert_int_equal(write(fd, cut, sizeof cut), sizeof cut);
    close(fd);
    assert_int_equal(backtest_read(name, NULL, &t, &err), PR_EDATA);
    assert_non_null(strstr(err.text, "damaged xz"));
    unlink(name);
    assert_int_equal(backtest_read("/nowhere/x.csv", NULL, &t, &err), PR_ENOTFOUND);
    assert_non_null(strstr(err.text, "/nowhere/x.csv"));
    assert_true(backtest_read("/", NULL, &t, &err) != PR_OK);
}

static void arguments_are_read_and_named_when_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *arg[6];
        const char *want; /* NULL: fine */
    } row[] = {
        { { "--trace", "x" }, NULL },
        { { "--trace=x", "-o=json", "--boot", "0" }, NULL },
        { { "--help" }, NULL },
        { { NULL }, "--trace FILE.csv is needed" },
        { { "--trace" }, "--trace needs a value" },
        { { "--trace", "" }, "--trace is empty" },
        { { "x.csv" }, "unexpected argument x.csv" },
        { { "--trace", "x", "--tracks", "1" }, "unknown option --tracks" },
        { { "--trace", "x", "--policy", "best" }, "no policy \"best\"" },
        { { "--trace", "x", "--boot", "-1" }, "--boot takes a number from 0 to 1440, not -1" },
        { { "--trace", "x", "--boot", "1.5" }, "--boot takes a whole number" },
        { { "--trace", "x", "--scale", "nan" }, "--scale takes a number" },
        { { "--trace", "x", "--min", "49", "--max", "48" }, "--min 49 is more than --max 48" },
        { { "--trace", "x", "--price", "1USD" }, "--price takes a number" },
        { { "--trace", "x", "-o", "csv" }, "-o takes table or json, not csv" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[6][32];
        char *argv[8] = { text[0], text[0] };
        int argc = 2;
        for (size_t k = 0; k < 6 && row[i].arg[k] != NULL; k++) {
            snprintf(text[k], sizeof text[k], "%s", row[i].arg[k]);
            argv[argc++] = text[k];
        }
        struct backtest_args a;
        struct pr_err err = { .text = "" };
        const enum pr_code rc = backtest_parse(argc, argv, &a, &err);
        assert_int_equal(rc, row[i].want == NULL ? PR_OK : PR_EINVAL);
        if (row[i].want != NULL && strstr(err.text, row[i].want) == NULL)
            fail_msg("row %zu: %s", i, err.text);
    }
    char a0[] = "backtest", a1[] = "--trace=x", a2[] = "--policy=hpa", a3[] = "--policy=adaptive",
         a4[] = "--policy=hpa";
    char *argv[] = { a0, a0, a1, a2, a3, a4 };
    struct backtest_args a;
    assert_int_equal(backtest_parse(6, argv, &a, NULL), PR_OK);
    assert_int_equal(a.policies, 2);
    assert_int_equal(a.policy[0], AUTOSCALE_HPA);
    assert_int_equal(backtest_parse(3, argv, &a, NULL), PR_OK);
    assert_int_equal(a.policies, 5);
    assert_true(fabs(a.scale - 420) < 1e-9 && a.how.min == 48 && a.how.max == 1000);
}

/* What the command prints, and its status. */
static char *printed(int argc, char **argv, int *status)
{
    char name[] = "/tmp/backtest-XXXXXX";
    const int fd = mkstemp(name), saved = dup(STDOUT_FILENO);
    assert_true(fd >= 0 && saved >= 0);
    fflush(stdout);
    dup2(fd, STDOUT_FILENO);
    *status = autoscale_cli(argc, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    const off_t n = lseek(fd, 0, SEEK_END);
    char *text = calloc(1, (size_t)n + 1);
    assert_non_null(text);
    assert_int_equal(pread(fd, text, (size_t)n, 0), n);
    close(fd);
    unlink(name);
    return text;
}

static const char *trace(void)
{
    static const char path[] = PRISM_SOURCE_DIR "/tests/data/traces/"
                                                "nab_ec2_cpu_utilization_5f5533.csv.xz";
    return path;
}

static void report_has_every_figure_of_every_policy(void **state)
{
    (void)state;
    static const char *const policy[] = { "rules", "step", "target", "hpa", "adaptive" };
    static const char *const figure[] = { "short_minutes_per_day", "over_minutes_per_day",
                                          "lost_load_ratio",       "instance_hours",
                                          "hours_ratio",           "actions_per_day",
                                          "flaps_per_day",         "cost" };
    char a0[] = "prism-autoscale", a1[] = "backtest", a2[] = "--trace", a3[512], a4[] = "-o",
         a5[] = "json";
    snprintf(a3, sizeof a3, "%s", trace());
    char *argv[] = { a0, a1, a2, a3, a4, a5 };
    int status = 0;
    char *text = printed(6, argv, &status);
    assert_int_equal(status, 0);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    json_t *policies = json_object_get(o, "policies");
    assert_int_equal(json_object_size(policies), PR_COUNT(policy));
    const double oracle =
        json_real_value(json_object_get(json_object_get(o, "oracle"), "instance_hours"));
    for (size_t i = 0; i < PR_COUNT(policy); i++) {
        const json_t *p = json_object_get(policies, policy[i]);
        for (size_t k = 0; k < PR_COUNT(figure); k++)
            assert_true(json_is_real(json_object_get(p, figure[k])));
        const double hours = json_real_value(json_object_get(p, "instance_hours"));
        assert_true(fabs(json_real_value(json_object_get(p, "hours_ratio")) - hours / oracle) <
                    1e-6);
        assert_true(fabs(json_real_value(json_object_get(p, "cost")) - hours * 1.008) < 0.01);
    }
    json_decref(o);
    free(text);

    text = printed(4, argv, &status);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < PR_COUNT(policy); i++)
        assert_non_null(strstr(text, policy[i]));
    assert_non_null(strstr(text, "(oracle)"));
    free(text);
}

static void failures_have_a_status(void **state)
{
    (void)state;
    char a0[] = "prism-autoscale", a1[] = "backtest", a2[] = "--trace", a3[] = "/nowhere",
         wrong[] = "backtst";
    char *argv[] = { a0, a1, a2, a3 }, *none[] = { a0, wrong };
    int status = 0;
    free(printed(4, argv, &status));
    assert_int_equal(status, 1);
    free(printed(3, argv, &status));
    assert_int_equal(status, 2);
    free(printed(2, none, &status));
    assert_int_equal(status, 2);
}

/* gnuplot itself is not among what the tests need: what it is told is looked at here. */
static void plot_has_a_panel_for_each_policy(void **state)
{
    (void)state;
    double load[] = { 10, 20, NAN, 40 };
    int desired[] = { 48, 48, 60, 60 }, serving[] = { 48, 48, 48, 45 };
    struct backtest_args a = { .trace = "dir/it's.csv", .policies = 2 };
    autoscale_backtest_default(&a.how);
    a.policy[0] = AUTOSCALE_RULES;
    a.policy[1] = AUTOSCALE_ADAPTIVE;
    struct backtest_run r = { .args = &a };
    r.trace = (struct backtest_trace){ .load = load, .minutes = 4, .column = "v" };
    r.series[0] = r.series[1] = (struct autoscale_series){ desired, serving };
    struct pr_buf text;
    pr_buf_init(&text, 0);
    backtest_plot_text(&r, "a'b.svg", &text);
    assert_false(text.failed);
    assert_non_null(strstr(text.data, "set output 'a''b.svg'\n"));
    assert_non_null(strstr(text.data, "title 'it''s.csv, v: members"));
    assert_non_null(strstr(text.data, "set yrange [0:60]"));
    assert_non_null(strstr(text.data, "0.00000 48 48 10.000 NaN\n"));
    assert_non_null(strstr(text.data, "0.00139 48 60 NaN NaN\n"));
    assert_non_null(strstr(text.data, "0.00208 45 60 40.000 40.000\n")); /* over 85 % of 45 */
    assert_non_null(strstr(text.data, "'rules: short"));
    assert_non_null(strstr(text.data, "'adaptive: short"));
    pr_buf_done(&text);
}

static void plot_without_gnuplot_says_so(void **state)
{
    (void)state;
    char *path = getenv("PATH"), saved[4096], program[64];
    snprintf(saved, sizeof saved, "%s", path == NULL ? "" : path);
    struct pr_err err;
    setenv("PATH", "/nowhere::/proc", 1);
    assert_int_equal(backtest_plotter(program, sizeof program, &err), PR_ENOTFOUND);
    assert_non_null(strstr(err.text, "gnuplot"));
    setenv("PATH", saved, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_named_by_line_and_column),
        cmocka_unit_test(rows_become_minutes),
        cmocka_unit_test(files_may_be_compressed_and_damage_is_found),
        cmocka_unit_test(arguments_are_read_and_named_when_wrong),
        cmocka_unit_test(report_has_every_figure_of_every_policy),
        cmocka_unit_test(failures_have_a_status),
        cmocka_unit_test(plot_has_a_panel_for_each_policy),
        cmocka_unit_test(plot_without_gnuplot_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
