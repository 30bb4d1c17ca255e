#include "prism/io/log.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static FILE *captured;
static int real_stderr;
static char text[64 * 1024];

static void capture(void)
{
    captured = tmpfile();
    assert_non_null(captured);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

/* What was written to stderr since capture(). */
static size_t captured_text(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    rewind(captured);
    size_t n = fread(text, 1, sizeof text - 1, captured);
    text[n] = '\0';
    fclose(captured);
    return n;
}

/* The one line written, parsed. */
static json_t *captured_object(void)
{
    size_t n = captured_text();
    assert_true(n > 0);
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    json_error_t why;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (o == NULL)
        fail_msg("%s in %s", why.text, text);
    return o;
}

static const char *string_of(json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s == NULL ? "(none)" : s;
}

static void writes_one_object_with_time_level_service_and_keys(void **state)
{
    (void)state;
    pr_log_init("placement", PR_INFO);
    capture();
    pr_warn(PR_EV("run.slow"), PR_S("graph", "road"), PR_I("run", INT64_MIN), PR_R("ratio", 0.25),
            PR_S("none", NULL));
    json_t *o = captured_object();
    assert_string_equal(string_of(o, "level"), "warn");
    assert_string_equal(string_of(o, "service"), "placement");
    assert_string_equal(string_of(o, "event"), "run.slow");
    assert_string_equal(string_of(o, "graph"), "road");
    assert_true(json_integer_value(json_object_get(o, "run")) == INT64_MIN);
    assert_true(json_real_value(json_object_get(o, "ratio")) == 0.25);
    assert_true(json_is_null(json_object_get(o, "none")));
    assert_null(json_object_get(o, "trace"));
    int y, mo, d, h, mi, s, ms, used = 0;
    assert_int_equal(sscanf(string_of(o, "ts"), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &y, &mo, &d, &h,
                            &mi, &s, &ms, &used),
                     7);
    assert_int_equal(used, 24);
    json_decref(o);
}

static void drops_lines_below_the_level(void **state)
{
    (void)state;
    pr_log_init("x", PR_WARN);
    capture();
    pr_debug(PR_EV("a"));
    pr_info(PR_EV("b"));
    assert_int_equal(captured_text(), 0);
}

static void escapes_control_characters_and_quotes(void **state)
{
    (void)state;
    const char nasty[] =
        "a\"b\\c\n\r\t\b\f\x01\x1f\x7f</script> \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    pr_log_init("x", PR_INFO);
    capture();
    pr_info(PR_EV("e"), PR_S("v", nasty), PR_S("k\"\n", "v"));
    json_t *o = captured_object();
    assert_string_equal(string_of(o, "v"), nasty);
    assert_string_equal(string_of(o, "k\"\n"), "v");
    json_decref(o);
}

static void replaces_what_is_not_utf8(void **state)
{
    (void)state;
#define R "\xef\xbf\xbd"
    static const struct {
        const char *in, *want;
    } row[] = {
        { "\xff", R },
        { "a\x80z", "a" R "z" },
        { "\xc3", R }, /* cut in the middle */
        { "\xe2\x82", R R },
        { "\xf0\x9f\x98", R R R },
        { "\xc0\xaf", R R }, /* overlong / */
        { "\xe0\x80\xaf", R R R },
        { "\xed\xa0\x80", R R R },       /* surrogate */
        { "\xf4\x90\x80\x80", R R R R }, /* above U+10FFFF */
        { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
        { "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80" },
    };
    pr_log_init("x", PR_INFO);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        capture();
        pr_info(PR_EV("e"), PR_S("v", row[i].in));
        json_t *o = captured_object();
        assert_string_equal(string_of(o, "v"), row[i].want);
        json_decref(o);
    }
}

static void numbers_that_json_lacks_become_null(void **state)
{
    (void)state;
    pr_log_init("x", PR_INFO);
    capture();
    pr_info(PR_EV("e"), PR_R("nan", __builtin_nan("")), PR_R("inf", -__builtin_inf()));
    json_t *o = captured_object();
    assert_true(json_is_null(json_object_get(o, "nan")));
    assert_true(json_is_null(json_object_get(o, "inf")));
    json_decref(o);
}

/* Every length around the limit, with characters that grow when escaped. */
static void long_lines_are_cut_and_stay_valid(void **state)
{
    (void)state;
    static const char *const unit[] = { "a", "\n", "\x01", "\xe2\x82\xac", "\xff", "\"" };
    static char value[12 * 1024];
    pr_log_init("x", PR_INFO);
    for (size_t u = 0; u < PR_COUNT(unit); u++)
        for (size_t n = 1300; n < 8400; n = n < 8000 && n > 1400 ? n + 997 : n + 1) {
            value[0] = '\0';
            size_t len = strlen(unit[u]);
            for (size_t k = 0; k < n && (k + 1) * len < sizeof value; k++)
                memcpy(value + k * len, unit[u], len + 1);
            capture();
            pr_info(PR_EV("e"), PR_S("v", value), PR_S("last", "z"));
            json_t *o = captured_object();
            assert_true(strlen(text) <= 8192);
            bool cut = json_is_true(json_object_get(o, "truncated"));
            assert_true(cut != (json_object_get(o, "last") != NULL));
            if (!cut && unit[u][0] != '\xff')
                assert_string_equal(string_of(o, "v"), value);
            json_decref(o);
        }
}

static void carries_the_trace_of_the_thread(void **state)
{
    (void)state;
    char trace[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", want[64];
    strcpy(want, trace);
    pr_log_init("x", PR_INFO);
    pr_log_trace(trace);
    trace[0] = 'X'; /* it was copied */
    assert_string_equal(pr_log_trace_get(), want);
    capture();
    pr_info(PR_EV("e"));
    json_t *o = captured_object();
    assert_string_equal(string_of(o, "trace"), want);
    json_decref(o);
    pr_log_trace("");
    assert_string_equal(pr_log_trace_get(), "");
    pr_log_trace(NULL);
    assert_string_equal(pr_log_trace_get(), "");
}

static void knows_its_levels(void **state)
{
    (void)state;
    static const char *const name[] = { "debug", "info", "warn", "error" };
    enum pr_level l;
    for (size_t i = 0; i < PR_COUNT(name); i++) {
        assert_int_equal(pr_log_level_parse(name[i], &l), 1);
        assert_int_equal(l, (int)i);
    }
    static const char *const bad[] = { "", "INFO", "warning", "info ", "0" };
    for (size_t i = 0; i < PR_COUNT(bad); i++)
        assert_int_equal(pr_log_level_parse(bad[i], &l), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_one_object_with_time_level_service_and_keys),
        cmocka_unit_test(drops_lines_below_the_level),
        cmocka_unit_test(escapes_control_characters_and_quotes),
        cmocka_unit_test(replaces_what_is_not_utf8),
        cmocka_unit_test(numbers_that_json_lacks_become_null),
        cmocka_unit_test(long_lines_are_cut_and_stay_valid),
        cmocka_unit_test(carries_the_trace_of_the_thread),
        cmocka_unit_test(knows_its_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
