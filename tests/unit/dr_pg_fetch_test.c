/* restore_command: which of the receiver's part of a segment and the server's own is given. */
#include "t.h"

#include "core/pg_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/prism-fetch-XXXXXX";

static void put(const char *name, const char *text, size_t n, mode_t mode)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
    if (text == NULL)
        return;
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make(void **state)
{
    char path[128], backrest[128], wal[128];
    struct pr_buf script;
    struct pr_err err = { .text = "" };
    (void)state;
    assert_non_null(mkdtemp(dir));
    static const char *const SUB[] = { "wal", "wal/7-0001", "data", "data/pg_wal" };
    for (size_t i = 0; i < PR_COUNT(SUB); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, SUB[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    put("backrest", "#!/bin/sh\nexit 1\n", 17, 0700); /* the bucket does not have it */
    (void)snprintf(backrest, sizeof backrest, "%s/backrest", dir);
    (void)snprintf(wal, sizeof wal, "%s/wal", dir);
    pr_buf_init(&script, 0);
    assert_ok(dr_pg_fetch_script(backrest, "/c", wal, &script, &err), &err);
    put("fetch", script.data, script.len, 0700);
    pr_buf_done(&script);
    return 0;
}

static int discard(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command); /* NOLINT(cert-env33-c): a name of our own */
}

static int fetch(void)
{
    char command[256];
    (void)snprintf(command, sizeof command, "cd %s/data && ../fetch 7 SEG pg_wal/RECOVERYXLOG",
                   dir);
    const int status = system(command); /* NOLINT(cert-env33-c): a name of our own */
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char given(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data/pg_wal/RECOVERYXLOG", dir);
    FILE *f = fopen(path, "re");
    const int c = f != NULL ? fgetc(f) : '-';
    if (f != NULL)
        fclose(f);
    (void)unlink(path);
    return (char)c;
}

static void the_one_that_has_more_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *part, *have; /* 6 bytes; NULL: none */
        int status;
        char given;
    } row[] = {
        { NULL, NULL, 1, '-' },
        { "abc\0\0\0", NULL, 0, 'a' },        /* a restored server has none of it */
        { "abcd\0\0", "abc\0\0\0", 0, 'a' },  /* what streamed is behind */
        { "abc\0\0\0", "abcd\0\0", 1, '-' },  /* it is ahead: that is taken */
        { "abc\0\0\0", "abc\0\0\0", 1, '-' }, /* the same */
        { "abc\0\0\0", "abcxyz", 1, '-' },    /* ahead, or what a file held that is used again */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        put("wal/7-0001/SEG.partial", row[i].part, 6, 0600);
        put("data/pg_wal/SEG", row[i].have, 6, 0600);
        assert_int_equal(fetch(), row[i].status);
        assert_int_equal(given(), row[i].given);
    }
    put("wal/7-0001/SEG", "whole!", 6, 0600); /* needs no comparing */
    put("data/pg_wal/SEG", "xyzxyz", 6, 0600);
    assert_int_equal(fetch(), 0);
    assert_int_equal(given(), 'w');
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_one_that_has_more_is_given) };
    return cmocka_run_group_tests_name("dr pg fetch", tests, make, discard);
}
