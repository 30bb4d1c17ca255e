/* The runner of conformance cases: what it counts, what it refuses, and that a case passes only
 * as it is: with anything in it changed or added it must not. */
#include "t.h"

#include "cli/cases.h"
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char FILE_PATH[] = PRISM_SOURCE_DIR "/tests/data/autoscale_aws_cases.json";

static struct autoscale_case_counts judge(json_t *file, struct pr_buf *report)
{
    struct autoscale_case_counts n;
    struct pr_err err;
    pr_buf_init(report, 0);
    assert_ok(autoscale_cases_judge(file, report, &n, &err), &err);
    return n;
}

static struct autoscale_case_counts judge_text(const char *text, struct pr_buf *report)
{
    json_t *file = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(file);
    const struct autoscale_case_counts n = judge(file, report);
    json_decref(file);
    return n;
}

static json_t *load(void)
{
    json_error_t where;
    json_t *file = json_load_file(FILE_PATH, JSON_REJECT_DUPLICATES, &where);
    if (file == NULL)
        fail_msg("%s:%d: %s", FILE_PATH, where.line, where.text);
    return file;
}

static void cases_of_the_file_pass(void **state)
{
    (void)state;
    json_t *file = load();
    struct pr_buf report;
    const struct autoscale_case_counts n = judge(file, &report);
    if (n.failed + n.unknown > 0)
        fail_msg("%s", report.data);
    assert_int_equal(n.cases, json_array_size(json_object_get(file, "cases")));
    assert_int_equal(n.passed + n.informative, n.cases);
    assert_int_equal(n.informative, 3);
    /* Every kind has one. */
    for (size_t k = 0; k < autoscale_aws_cases_count; k++) {
        bool found = false;
        for (size_t i = 0; i < n.cases; i++)
            found = found || strcmp(json_string_value(json_object_get(
                                        json_array_get(json_object_get(file, "cases"), i), "kind")),
                                    autoscale_aws_cases[k].name) == 0;
        if (!found)
            fail_msg("no case of kind %s", autoscale_aws_cases[k].name);
    }
    pr_buf_done(&report);
    json_decref(file);
}

/* --- changed cases ------------------------------------------------------------------- */

struct mutant {
    json_t *whole; /* a file with the one case */
    const char *id;
    unsigned made;
};

static void must_not_pass(struct mutant *m, const char *how)
{
    struct pr_buf report;
    const struct autoscale_case_counts n = judge(m->whole, &report);
    m->made++;
    if (n.failed != 1) {
        char *text = json_dumps(m->whole, JSON_COMPACT);
        fail_msg("%s passes with %s: %s", m->id, how, text);
    }
    if (strncmp(report.data, m->id, strlen(m->id)) != 0)
        fail_msg("\"%s\" does not begin with %s", report.data, m->id);
    pr_buf_done(&report);
}

/* An unknown field in every object of the case. */
static void add_everywhere(struct mutant *m, json_t *at)
{
    size_t i = 0;
    json_t *v = NULL;
    const char *name = NULL;
    if (json_is_object(at)) {
        json_object_set_new(at, "surprise", json_integer(1));
        must_not_pass(m, "a field more");
        json_object_del(at, "surprise");
        json_object_foreach(at, name, v) add_everywhere(m, v);
    }
    json_array_foreach(at, i, v) add_everywhere(m, v);
}

static json_t *other(const json_t *v)
{
    if (json_is_number(v))
        return json_real(json_number_value(v) + 1);
    if (json_is_boolean(v))
        return json_boolean(!json_is_true(v));
    return json_is_string(v) ? json_string("surprise") : json_integer(77777);
}

/* Every value that is expected, turned into another. */
static void change_everywhere(struct mutant *m, json_t *at)
{
    size_t i = 0;
    json_t *v = NULL;
    const char *name = NULL;
    json_object_foreach(at, name, v) /* another value for a key leaves the keys as they are */
    {
        json_t *kept = json_incref(v);
        if (json_is_null(v) && json_object_get(at, "metric") != NULL) {
            json_decref(kept); /* a row of the table that leaves a value open */
            continue;
        }
        if (json_is_object(v) || json_is_array(v)) {
            change_everywhere(m, v);
        } else {
            json_object_set_new(at, name, other(v));
            must_not_pass(m, name);
            json_object_set(at, name, kept);
        }
        json_decref(kept);
    }
    json_array_foreach(at, i, v)
    {
        if (json_is_object(v) || json_is_array(v)) {
            change_everywhere(m, v);
            continue;
        }
        json_t *kept = json_incref(v);
        json_array_set_new(at, i, other(v));
        must_not_pass(m, "another entry");
        json_array_set(at, i, kept);
        json_decref(kept);
    }
}

static const char *const EXPECTED[] = { "expect", "matches", "rejects", "done_min" };

static void changed_case_does_not_pass(void **state)
{
    (void)state;
    json_t *file = load(), *one = NULL;
    size_t i = 0;
    unsigned made = 0;
    json_array_foreach(json_object_get(file, "cases"), i, one)
    {
        if (json_is_true(json_object_get(one, "informative")))
            continue;
        struct mutant m = { .id = json_string_value(json_object_get(one, "id")) };
        m.whole = json_pack("{s:i, s:[O]}", "schema", 1, "cases", one);
        add_everywhere(&m, one);
        for (size_t e = 0; e < PR_COUNT(EXPECTED); e++) {
            json_t *v = json_object_get(one, EXPECTED[e]);
            json_t *kept = json_incref(v);
            if (json_is_object(v) || (json_is_array(v) && strcmp(EXPECTED[e], "expect") == 0)) {
                change_everywhere(&m, v);
            } else if (v != NULL && !json_is_array(v)) {
                json_object_set_new(one, EXPECTED[e], other(v));
                must_not_pass(&m, EXPECTED[e]);
                json_object_set(one, EXPECTED[e], kept);
            }
            if (v != NULL && strcmp(EXPECTED[e], "expect") == 0) {
                json_object_del(one, "expect");
                must_not_pass(&m, "nothing expected");
                json_object_set(one, "expect", kept);
            }
            json_decref(kept);
        }
        json_t *matches = json_object_get(one, "matches");
        if (matches != NULL) { /* what matches is not rejected */
            json_t *kept = json_deep_copy(matches);
            json_array_extend(json_object_get(one, "rejects"), kept);
            must_not_pass(&m, "matches rejected");
            json_decref(kept);
        }
        made += m.made;
        json_decref(m.whole);
    }
    assert_true(made > 500);
    json_decref(file);
}

/* --- the file ------------------------------------------------------------------------------ */

static void unknown_and_informative_are_neither_passed_nor_failed(void **state)
{
    (void)state;
    struct pr_buf report;
    struct autoscale_case_counts n =
        judge_text("{\"schema\":1,\"cases\":["
                   "{\"id\":\"x-1\",\"kind\":\"telepathy\",\"expect\":1},"
                   "{\"id\":\"x-2\",\"expect\":1},"
                   "{\"id\":\"x-3\",\"kind\":\"memo_appendix_e\",\"anything\":1},"
                   "{\"id\":\"x-4\",\"kind\":\"round_percent\",\"value\":1.5,\"expect\":9,"
                   "\"informative\":true},"
                   "{\"kind\":\"round_percent\",\"value\":1.5,\"expect\":9}]}",
                   &report);
    assert_int_equal(n.cases, 5);
    assert_int_equal(n.unknown, 2);
    assert_int_equal(n.informative, 2);
    assert_int_equal(n.failed, 1);
    assert_int_equal(n.passed, 0);
    static const char *const says[] = { "x-1 (telepathy): unknown kind\n", "x-2: no kind\n",
                                        "x-3 (memo_appendix_e): informative, not judged: ",
                                        "x-4 (round_percent): informative, not judged: ",
                                        "case 5 (round_percent): expect: computed 1, want 9\n" };
    for (size_t i = 0; i < PR_COUNT(says); i++)
        if (strstr(report.data, says[i]) == NULL)
            fail_msg("no \"%s\" in:\n%s", says[i], report.data);
    pr_buf_done(&report);
}

static void difference_names_field_and_values(void **state)
{
    (void)state;
    static const struct {
        const char *one, *says;
    } row[] = {
        { "\"kind\":\"round_percent\",\"value\":1.5,\"expect\":9", "computed 1, want 9" },
        { "\"kind\":\"round_percent\",\"expect\":9", "field \"value\" is missing" },
        { "\"kind\":\"round_percent\",\"value\":\"x\",\"expect\":9", "\"value\" is no number" },
        { "\"kind\":\"round_percent\",\"value\":1.5", "field \"expect\" is missing" },
        { "\"kind\":\"round_percent\",\"value\":1.5,\"expect\":null", "want null" },
        { "\"kind\":\"warm_pool\",\"max\":10,\"desired\":6,\"tier\":2,\"expect\":4",
          "field \"tier\" is not understood" },
        { "\"kind\":\"warm_pool\",\"max\":10.5,\"desired\":6,\"expect\":4", "no whole number" },
        { "\"kind\":\"track_combine\",\"policies\":[\"out\",\"sideways\"],\"expect\":\"out\"",
          "policy 2: no word" },
        { "\"kind\":\"track_combine\",\"policies\":[\"in\",{}],\"expect\":\"hold\"",
          "policy 2: says nothing" },
        { "\"kind\":\"track_alarms\",\"service\":\"lambda\",\"target\":70,\"expect\":{}",
          "\"lambda\"" },
        { "\"kind\":\"predictive_params\",\"expect\":{\"colour\":3}", "\"colour\"" },
        { "\"kind\":\"predictive_params\",\"expect\":{\"history\":14}", "in which unit" },
        { "\"kind\":\"termination_order\",\"expect\":[\"oldest launch template\","
          "\"zone with most instances\",\"closest to billing hour\"]",
          "comes too late" },
        { "\"kind\":\"memo_rules\",\"rules\":[{\"metric\":\"cpu\",\"op\":\">=\"}]", "strict" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[512];
        struct pr_buf report;
        snprintf(text, sizeof text, "{\"schema\":1,\"cases\":[{\"id\":\"a\",%s}]}", row[i].one);
        const struct autoscale_case_counts n = judge_text(text, &report);
        if (n.failed != 1 || strstr(report.data, row[i].says) == NULL)
            fail_msg("%s: \"%s\", want \"%s\"", row[i].one, report.data, row[i].says);
        pr_buf_done(&report);
    }
}

static int run(const char *content, char *out, size_t bytes)
{
    char path[] = "/tmp/autoscale_cases_XXXXXX";
    char both[] = "/tmp/autoscale_cases_XXXXXX";
    const int fd = mkstemp(path), to = mkstemp(both);
    assert_true(fd >= 0 && to >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    close(fd);
    fflush(stdout);
    fflush(stderr);
    const int kept_out = dup(STDOUT_FILENO), kept_err = dup(STDERR_FILENO);
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    char *argv[] = { (char[]){ "prism-autoscale" }, (char[]){ "cases" }, path, NULL };
    const int rc = autoscale_cli_cases(3, argv);
    fflush(stdout);
    fflush(stderr);
    dup2(kept_out, STDOUT_FILENO);
    dup2(kept_err, STDERR_FILENO);
    close(kept_out);
    close(kept_err);
    const ssize_t n = pread(to, out, bytes - 1, 0);
    assert_true(n >= 0);
    out[n] = '\0';
    close(to);
    unlink(path);
    unlink(both);
    return rc;
}

static void exit_status_and_closing_line(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        int rc;
        const char *says;
    } row[] = {
        { "{\"schema\":1,\"cases\":[]}", 0,
          "cases 0, passed 0, failed 0, informative 0, unknown 0\n" },
        { "{\"schema\":1,\"cases\":[{\"id\":\"a\",\"kind\":\"rebalance_limit\",\"max\":10,"
          "\"expect\":11}]}",
          0, "cases 1, passed 1, failed 0, informative 0, unknown 0\n" },
        { "{\"schema\":1,\"cases\":[{\"id\":\"a\",\"kind\":\"rebalance_limit\",\"max\":10,"
          "\"expect\":12}]}",
          1,
          "a (rebalance_limit): expect: computed 11, want 12\n"
          "cases 1, passed 0, failed 1, informative 0, unknown 0\n" },
        { "{\"schema\":1,\"cases\":[{\"id\":\"a\",\"kind\":\"b\"}]}", 1, "unknown 1\n" },
        { "{\"schema\":1,\n \"cases\":[}", 2, "line 2, column 11" },
        { "", 2, "line 1, column 0" },
        { "[]", 2, "want an object" },
        { "{\"schema\":1}", 2, "\"cases\" is missing" },
        { "{\"schema\":1,\"cases\":{}}", 2, "\"cases\" is missing or no array" },
        { "{\"cases\":[]}", 2, "\"schema\" is missing" },
        { "{\"schema\":2,\"cases\":[]}", 2, "\"schema\" is 2: want 1" },
        { "{\"schema\":\"1\",\"cases\":[]}", 2, "\"schema\" is missing or no whole number" },
        { "{\"schema\":1,\"cases\":[3]}", 2, "entry 1 is no object" },
        { "{\"schema\":1,\"schema\":1,\"cases\":[]}", 2, "duplicate" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char out[4096];
        const int rc = run(row[i].content, out, sizeof out);
        if (rc != row[i].rc || strstr(out, row[i].says) == NULL)
            fail_msg("%s: %d \"%s\", want %d \"%s\"", row[i].content, rc, out, row[i].rc,
                     row[i].says);
    }
}

static void wrong_usage_is_2(void **state)
{
    (void)state;
    char *none[] = { (char[]){ "prism-autoscale" }, (char[]){ "cases" }, NULL };
    assert_int_equal(autoscale_cli_cases(2, none), 2);
    char *option[] = { (char[]){ "prism-autoscale" }, (char[]){ "cases" }, (char[]){ "--all" },
                       NULL };
    assert_int_equal(autoscale_cli_cases(3, option), 2);
    char *gone[] = { (char[]){ "prism-autoscale" }, (char[]){ "cases" }, (char[]){ "/no/such" },
                     NULL };
    assert_int_equal(autoscale_cli_cases(3, gone), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_of_the_file_pass),
        cmocka_unit_test(changed_case_does_not_pass),
        cmocka_unit_test(unknown_and_informative_are_neither_passed_nor_failed),
        cmocka_unit_test(difference_names_field_and_values),
        cmocka_unit_test(exit_status_and_closing_line),
        cmocka_unit_test(wrong_usage_is_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
