/* Parts of a restore wait for one another, and not for one that is no more. */
#include "t.h"

#include "io/exchange.h"

#include "prism/io/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SILENT_MS = 1500 };

static char dir[64];

static int begin(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/dr-exchange-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int end(void **state)
{
    static const char *const NAME[] = { "there", "gave-up", "facts" };
    char path[128];
    (void)state;
    for (unsigned part = 1; part <= 2; part++)
        for (size_t i = 0; i < sizeof NAME / sizeof NAME[0]; i++) {
            (void)snprintf(path, sizeof path, "%s/%s.%u-of-2", dir, NAME[i], part);
            (void)unlink(path);
        }
    return rmdir(dir);
}

static struct dr_exchange part(unsigned n)
{
    return (struct dr_exchange){ .dir = dir, .part = n, .of = 2, .run = 7, .silent_ms = SILENT_MS };
}

static enum pr_code take_text(void *ctx, const char *data, size_t n, struct pr_err *err)
{
    (void)err;
    (void)snprintf(ctx, 16, "%.*s", (int)n, data);
    return PR_OK;
}

/* The other one is there, then killed: its file stays, and its number does not grow. */
static void a_part_that_was_killed_is_named(void **state)
{
    struct dr_exchange a = part(1), b = part(2);
    struct pr_err err = { 0 };
    char got[16] = "";
    (void)state;
    assert_ok(dr_exchange_begin(&b, &err), &err);
    dr_exchange_end(&b);
    const int64_t begun_us = pr_mono_us();
    assert_int_equal(dr_exchange_take(&a, "facts", take_text, got, &err), PR_ETIMEOUT);
    assert_true(pr_mono_us() - begun_us >= SILENT_MS * 1000);
    assert_non_null(strstr(err.text, "part 2 of 2"));
}

static unsigned later_ms;

static void *later(void *ctx)
{
    (void)usleep(later_ms * 1000);
    dr_exchange_give_up(ctx);
    return NULL;
}

/* It may be started by hand, later. */
static void a_part_that_was_never_there_is_waited_for(void **state)
{
    struct dr_exchange a = part(1), b = part(2);
    struct pr_err err = { 0 };
    pthread_t thread;
    char got[16] = "";
    (void)state;
    later_ms = 2 * SILENT_MS;
    assert_int_equal(pthread_create(&thread, NULL, later, &b), 0);
    assert_int_equal(dr_exchange_take(&a, "facts", take_text, got, &err), PR_ECONFLICT);
    pthread_join(thread, NULL);
}

/* Longer than it may be silent: its beats are heard meanwhile. */
static void a_part_that_works_is_waited_for(void **state)
{
    struct dr_exchange a = part(1), b = part(2);
    struct pr_err err = { 0 };
    pthread_t thread;
    char got[16] = "";
    (void)state;
    a.silent_ms = DR_EXCHANGE_BEAT_MS + SILENT_MS;
    later_ms = (unsigned)a.silent_ms + 2500;
    assert_ok(dr_exchange_begin(&b, &err), &err);
    assert_int_equal(pthread_create(&thread, NULL, later, &b), 0);
    assert_int_equal(dr_exchange_take(&a, "facts", take_text, got, &err), PR_ECONFLICT);
    pthread_join(thread, NULL);
    dr_exchange_end(&b);
}

static void what_a_part_says_arrives(void **state)
{
    struct dr_exchange a = part(1), b = part(2);
    struct pr_err err = { 0 };
    struct pr_buf text;
    char got[16] = "";
    (void)state;
    pr_buf_init(&text, 0);
    pr_buf_add(&text, "hello", 5);
    assert_ok(dr_exchange_put(&b, "facts", &text, &err), &err);
    assert_ok(dr_exchange_take(&a, "facts", take_text, got, &err), &err);
    assert_string_equal(got, "hello");
    assert_int_equal(dr_exchange_put(&b, "facts", &text, &err), PR_EEXISTS);
    pr_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_part_that_was_killed_is_named, begin, end),
        cmocka_unit_test_setup_teardown(a_part_that_was_never_there_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(a_part_that_works_is_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(what_a_part_says_arrives, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
