#include "prism/io/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct cfg {
    pr_cfg_STR uri, word;
    pr_cfg_INT port;
    pr_cfg_REAL share;
    pr_cfg_BOOL on;
};

static const struct pr_cfg_row rows[] = {
    PR_CFG_ROW(struct cfg, uri, STR, "T_URI", NULL, 1, 20, PR_CFG_SECRET, "", "where it is")
        PR_CFG_ROW(struct cfg, word, STR, "T_WORD", "abc", 2, 5, 0, "", "a word")
            PR_CFG_ROW(struct cfg, port, INT, "T_PORT", "80", -5, 65535, 0, "", "a port")
                PR_CFG_ROW(struct cfg, share, REAL, "T_SHARE", "0.5", 0, 1.5, 0, "ratio", "a share")
                    PR_CFG_ROW(struct cfg, on, BOOL, "T_ON", "true", 0, 0, 0, "", "a switch")
};

/* The environment of a test: name, value, name, value, NULL. */
static const char *env[16];

static char *get(const char *name)
{
    for (size_t i = 0; env[i] != NULL; i += 2)
        if (strcmp(env[i], name) == 0)
            return (char *)(uintptr_t)env[i + 1];
    return NULL;
}

static char file_path[64];

static const char *file_with(const void *content, size_t n)
{
    strcpy(file_path, "/tmp/prism-config-test-XXXXXX");
    int fd = mkstemp(file_path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, n), (ssize_t)n);
    close(fd);
    return file_path;
}

/* Loads with env; problems (freed by the next load) as text, "" when fine. */
static const char *load(struct cfg *c)
{
    static struct pr_buf problems;
    pr_buf_done(&problems);
    pr_buf_init(&problems, 0);
    memset(c, 0, sizeof *c);
    enum pr_code rc = pr_config_load(rows, PR_COUNT(rows), c, get, &problems);
    assert_int_equal(rc, problems.len == 0 ? PR_OK : PR_EINVAL);
    return problems.len == 0 ? "" : problems.data;
}

static void release(struct cfg *c)
{
    pr_config_free(rows, PR_COUNT(rows), c);
    assert_null(c->uri);
    assert_null(c->word);
}

#define ENV(...) memcpy(env, ((const char *[16]){ __VA_ARGS__ }), sizeof env)

static void defaults_fill_what_is_not_set(void **state)
{
    (void)state;
    struct cfg c;
    ENV("T_URI", "x");
    assert_string_equal(load(&c), "");
    assert_string_equal(c.uri, "x");
    assert_string_equal(c.word, "abc");
    assert_int_equal(c.port, 80);
    assert_true(c.share == 0.5);
    assert_true(c.on);
    release(&c);
}

static void numbers_are_read_whole_and_in_range(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *problem; /* "" when good */
    } row[] = {
        { "T_PORT", "65535", "" },
        { "T_PORT", "65536", "T_PORT: \"65536\" is outside -5 to 65535\n" },
        { "T_PORT", "-5", "" },
        { "T_PORT", "-6", "T_PORT: \"-6\" is outside -5 to 65535\n" },
        { "T_PORT", "80x", "T_PORT: \"80x\" is not an integer, want -5 to 65535\n" },
        { "T_PORT", "80 ", "T_PORT: \"80 \" is not an integer, want -5 to 65535\n" },
        { "T_PORT", " 80", "T_PORT: \" 80\" is not an integer, want -5 to 65535\n" },
        { "T_PORT", "", "T_PORT: \"\" is not an integer, want -5 to 65535\n" },
        { "T_PORT", "-", "T_PORT: \"-\" is not an integer, want -5 to 65535\n" },
        { "T_PORT", "1e3", "T_PORT: \"1e3\" is not an integer, want -5 to 65535\n" },
        { "T_PORT", "0x10", "T_PORT: \"0x10\" is not an integer, want -5 to 65535\n" },
        { "T_PORT", "99999999999999999999",
          "T_PORT: \"99999999999999999999\" is outside -5 to 65535\n" },
        { "T_SHARE", "1.5", "" },
        { "T_SHARE", "1e-3", "" },
        { "T_SHARE", "1.51", "T_SHARE: \"1.51\" is outside 0 to 1.5 ratio\n" },
        { "T_SHARE", "-0.1", "T_SHARE: \"-0.1\" is outside 0 to 1.5 ratio\n" },
        { "T_SHARE", "nan", "T_SHARE: \"nan\" is not a number, want 0 to 1.5 ratio\n" },
        { "T_SHARE", "1e999", "T_SHARE: \"1e999\" is outside 0 to 1.5 ratio\n" },
        { "T_SHARE", "0.5.5", "T_SHARE: \"0.5.5\" is not a number, want 0 to 1.5 ratio\n" },
        { "T_ON", "1", "" },
        { "T_ON", "false", "" },
        { "T_ON", "True", "T_ON: \"True\" is not true, false, 1 or 0\n" },
        { "T_ON", "2", "T_ON: \"2\" is not true, false, 1 or 0\n" },
        { "T_WORD", "ab", "" },
        { "T_WORD", "abcde", "" },
        { "T_WORD", "a", "T_WORD: 1 bytes long, want 2 to 5 (a word)\n" },
        { "T_WORD", "abcdef", "T_WORD: 6 bytes long, want 2 to 5 (a word)\n" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct cfg c;
        ENV("T_URI", "x", row[i].name, row[i].value);
        assert_string_equal(load(&c), row[i].problem);
        release(&c);
    }
}

static void booleans_are_true_false_1_0(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool want;
    } row[] = { { "true", true }, { "1", true }, { "false", false }, { "0", false } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct cfg c;
        ENV("T_URI", "x", "T_ON", row[i].value);
        assert_string_equal(load(&c), "");
        assert_int_equal(c.on, row[i].want);
        release(&c);
    }
}

static void all_problems_are_told_together(void **state)
{
    (void)state;
    struct cfg c;
    ENV("T_WORD", "a", "T_PORT", "x", "T_SHARE", "2", "T_ON", "maybe");
    assert_string_equal(load(&c), "T_URI: required but not set, nor is T_URI_FILE (where it is)\n"
                                  "T_WORD: 1 bytes long, want 2 to 5 (a word)\n"
                                  "T_PORT: \"x\" is not an integer, want -5 to 65535\n"
                                  "T_SHARE: \"2\" is outside 0 to 1.5 ratio\n"
                                  "T_ON: \"maybe\" is not true, false, 1 or 0\n");
    release(&c);
}

static void a_file_gives_the_value_without_its_last_newline(void **state)
{
    (void)state;
    static const struct {
        const char *content, *want;
    } row[] = { { "secret", "secret" },
                { "secret\n", "secret" },
                { "secret\r\n", "secret" },
                { "secret\n\n", "secret\n" },
                { " s ", " s " } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct cfg c;
        ENV("T_URI_FILE", file_with(row[i].content, strlen(row[i].content)));
        assert_string_equal(load(&c), "");
        assert_string_equal(c.uri, row[i].want);
        unlink(file_path);
        release(&c);
    }
}

static void bad_files_are_named(void **state)
{
    (void)state;
    struct cfg c;
    char want[200];
    ENV("T_URI_FILE", "/nowhere/secret");
    assert_string_equal(load(&c),
                        "T_URI_FILE: cannot open /nowhere/secret: No such file or directory\n");
    release(&c);

    ENV("T_URI_FILE", "/tmp");
    assert_string_equal(load(&c), "T_URI_FILE: cannot read /tmp: Is a directory\n");
    release(&c);

    ENV("T_URI_FILE", file_with("a\0b", 3));
    snprintf(want, sizeof want, "T_URI_FILE: %s contains a NUL byte\n", file_path);
    assert_string_equal(load(&c), want);
    unlink(file_path);
    release(&c);

    static char big[64 * 1024 + 1];
    memset(big, 'a', sizeof big);
    ENV("T_URI_FILE", file_with(big, sizeof big));
    snprintf(want, sizeof want, "T_URI_FILE: %s is larger than 65536 bytes\n", file_path);
    assert_string_equal(load(&c), want);
    unlink(file_path);
    release(&c);

    ENV("T_URI_FILE", file_with("\n", 1)); /* empty, and the setting wants one byte */
    assert_string_equal(load(&c), "T_URI: 0 bytes long, want 1 to 20 (where it is)\n");
    unlink(file_path);
    release(&c);
}

static void value_and_file_together_are_refused(void **state)
{
    (void)state;
    struct cfg c;
    ENV("T_URI", "x", "T_URI_FILE", "/etc/hostname");
    assert_string_equal(load(&c), "T_URI: set together with T_URI_FILE; set one of them\n");
    release(&c);
}

static void long_values_and_control_characters_stay_on_one_short_line(void **state)
{
    (void)state;
    struct cfg c;
    char value[400];
    memset(value, '9', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    value[1] = '\n';
    ENV("T_URI", "x", "T_PORT", value);
    const char *text = load(&c);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_true(strlen(text) < 160);
    release(&c);
}

static void printing_tells_everything_but_secrets(void **state)
{
    (void)state;
    struct cfg c;
    char text[4096];
    ENV("T_URI", "hunter2", "T_PORT", "443");
    assert_string_equal(load(&c), "");
    FILE *f = fmemopen(text, sizeof text, "w");
    pr_config_print(rows, PR_COUNT(rows), &c, f);
    fclose(f);
    assert_string_equal(
        text, "# where it is\n"
              "# text, 1 to 20 bytes; required; secret, better from the file named by T_URI_FILE\n"
              "T_URI=(set)\n\n"
              "# a word\n# text, 2 to 5 bytes; default abc\nT_WORD=abc\n\n"
              "# a port\n# integer, -5 to 65535; default 80\nT_PORT=443\n\n"
              "# a share\n# number, 0 to 1.5 ratio; default 0.5\nT_SHARE=0.5\n\n"
              "# a switch\n# true or false; default true\nT_ON=true\n");
    release(&c);
    f = fmemopen(text, sizeof text, "w");
    pr_config_print(rows, 1, &(struct cfg){ 0 }, f);
    fclose(f);
    assert_non_null(strstr(text, "T_URI=(unset)\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_what_is_not_set),
        cmocka_unit_test(numbers_are_read_whole_and_in_range),
        cmocka_unit_test(booleans_are_true_false_1_0),
        cmocka_unit_test(all_problems_are_told_together),
        cmocka_unit_test(a_file_gives_the_value_without_its_last_newline),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(value_and_file_together_are_refused),
        cmocka_unit_test(long_values_and_control_characters_stay_on_one_short_line),
        cmocka_unit_test(printing_tells_everything_but_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
