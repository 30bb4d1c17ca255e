/* Texts for PostgreSQL's tools, and what pgBackRest's words mean. */
#include "t.h"

#include "core/pg_text.h"
#include "core/pg_verdict.h"

#include <string.h>

static struct dr_pg_conf conf(void)
{
    return (struct dr_pg_conf){ .endpoint = "https://s3.eu-west-1.amazonaws.com",
                                .bucket = "b",
                                .region = "eu-west-1",
                                .access = "AK",
                                .secret = "s#e=c;ret",
                                .ca_file = "",
                                .prefix = "p/",
                                .cluster = "c",
                                .pass = "00ff",
                                .dir = "/var/dr",
                                .data = "/pg",
                                .user = "postgres",
                                .port = 5432,
                                .queue_bytes = 1048576,
                                .retain_days = 7,
                                .timeout_s = 15 };
}

static void settings_of_pgbackrest(void **state)
{
    (void)state;
    static const char *const line[] = {
        "repo1-s3-endpoint=s3.eu-west-1.amazonaws.com\n",
        "repo1-s3-key-secret=s#e=c;ret\n",
        "repo1-storage-port=443\n",
        "repo1-path=/p/postgresql/c\n",
        "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=00ff\n",
        "repo1-retention-full=7\n",
        "archive-push-queue-max=1048576B\n",
        "[prism]\npg1-path=/pg\npg1-user=postgres\npg1-port=5432\n"
    };
    struct dr_pg_conf c = conf();
    struct pr_buf out;
    struct pr_err err;
    pr_buf_init(&out, 0);
    assert_ok(dr_pg_conf_write(&c, &out, &err), &err);
    for (size_t i = 0; i < PR_COUNT(line); i++)
        if (strstr(out.data, line[i]) == NULL)
            fail_msg("no %s in %s", line[i], out.data);
    assert_null(strstr(out.data, "ca-file"));
    c.endpoint = "https://h:9000/";
    c.path_style = true;
    c.pass = NULL;
    c.data = "";
    assert_ok(dr_pg_conf_write(&c, &out, &err), &err);
    assert_non_null(strstr(out.data, "repo1-storage-host=h\n"));
    assert_non_null(strstr(out.data, "repo1-storage-port=9000\n"));
    assert_null(strstr(out.data, "cipher"));
    assert_null(strstr(out.data, "pg1-p"));
    pr_buf_done(&out);
}

static void what_would_break_the_file_is_refused(void **state)
{
    (void)state;
    static const char *const endpoint[] = {
        "http://h", "h", "https://", "https://h:0", "https://h:65536", "https://h/b", "https://h:1x"
    };
    struct pr_buf out;
    struct pr_err err;
    pr_buf_init(&out, 0);
    for (size_t i = 0; i < PR_COUNT(endpoint); i++) {
        struct dr_pg_conf c = conf();
        c.endpoint = endpoint[i];
        assert_int_equal(dr_pg_conf_write(&c, &out, &err), PR_EINVAL);
    }
    struct dr_pg_conf c = conf();
    c.secret = "x\nrepo1-path=/";
    assert_int_equal(dr_pg_conf_write(&c, &out, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "repo1-s3-key-secret"));
    assert_null(strstr(err.text, "x\n")); /* nothing secret in words */
    c = conf();
    c.prefix = "\n";
    assert_int_equal(dr_pg_conf_write(&c, &out, &err), PR_EINVAL);
    c = conf();
    c.dir = "/a\tb";
    assert_int_equal(dr_pg_conf_write(&c, &out, &err), PR_EINVAL);
    pr_buf_done(&out);
}

static void texts_are_quoted(void **state)
{
    (void)state;
    static const struct {
        void (*add)(struct pr_buf *out, const char *name, const char *value);
        const char *value, *want;
    } row[] = {
        { dr_pg_add_setting, "it's \\", "n = 'it''s \\\\'\n" },
        { dr_pg_add_conninfo, "it's \\", "n='it\\'s \\\\'" },
        { dr_pg_add_setting, "", "n = ''\n" },
    };
    struct pr_buf out;
    pr_buf_init(&out, 0);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        pr_buf_reset(&out);
        row[i].add(&out, "n", row[i].value);
        assert_string_equal(out.data, row[i].want);
    }
    pr_buf_reset(&out);
    dr_pg_add_conninfo(&out, "n", "1");
    dr_pg_add_conninfo(&out, "m", "2");
    assert_string_equal(out.data, "n='1' m='2'");
    pr_buf_reset(&out);
    dr_pg_add_shell(&out, "a'b $c");
    assert_string_equal(out.data, "'a'\\''b $c'");
    pr_buf_done(&out);
}

static void complaints_have_a_code_and_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pr_code code;
        const char *words;
    } row[] = {
        { "ERROR: [050]: unable to acquire lock on file\n  HINT: another?", PR_ECONFLICT,
          "another pgBackRest is at work (ERROR: [050]: unable to acquire lock on file)" },
        { "WARN: a\nERROR: [049]: unable to connect to 'localhost:1': [111]", PR_EUNAVAIL,
          "the bucket does not answer (ERROR: [049]: unable to connect to 'localhost:1': [111])" },
        { "ERROR: [082]: WAL segment was not archived", PR_ETIMEOUT,
          "a segment did not reach the archive in time (ERROR: [082]: WAL segment was not "
          "archived)" },
        { "something\x01"
          "else",
          PR_EUNAVAIL, "something else" },
        { "", PR_EUNAVAIL, "no words" },
    };
    char words[DR_PG_WORDS], longest[5000];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        assert_int_equal(dr_pg_verdict(row[i].text, strlen(row[i].text), words), row[i].code);
        assert_string_equal(words, row[i].words);
    }
    memset(longest, '\xff', sizeof longest);
    (void)dr_pg_verdict(longest, sizeof longest, words);
    assert_int_equal(strspn(words, "?"), strlen(words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_of_pgbackrest),
        cmocka_unit_test(what_would_break_the_file_is_refused),
        cmocka_unit_test(texts_are_quoted),
        cmocka_unit_test(complaints_have_a_code_and_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
