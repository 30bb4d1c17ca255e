/* The digest of a server is the sum of its keys', whichever way their types are found out, and says
 * when one element of one key is another. */
#include "t.h"

#include "io/digest.h"
#include "io/quarantine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 2500 }; /* some pages of SCAN */

static struct {
    char dir[64];
    struct dr_quarantine server;
    struct pr_redis *c;
} s;

static int open_server(void **state)
{
    struct pr_err err = { 0 };
    (void)state;
    (void)snprintf(s.dir, sizeof s.dir, "/tmp/dr-digest-XXXXXX");
    assert_non_null(mkdtemp(s.dir));
    assert_ok(dr_quarantine_open(&s.server, s.dir, &err), &err);
    assert_ok(dr_quarantine_await(&s.server, &err), &err);
    assert_ok(dr_quarantine_connect(&s.server, &s.c, &err), &err);
    return 0;
}

static int close_server(void **state)
{
    char command[128];
    (void)state;
    pr_redis_close(s.c);
    dr_quarantine_close(&s.server);
    (void)snprintf(command, sizeof command, "rm -rf %s", s.dir);
    return system(command);
}

static void order(const char *format, int key, const char *value)
{
    struct pr_err err = { 0 };
    redisReply *r = NULL;
    assert_ok(pr_redis_command(s.c, &r, &err, format, key, value), &err);
    freeReplyObject(r);
}

/* of: how one sort of key comes about. */
static const char *const of[] = {
    "SET k%d %s",          "HSET k%d f %s g x",  "SADD k%d %s m",
    "ZADD k%d 1.5 %s 2 m", "RPUSH k%d %s e e e", "XADD k%d 1-1 f %s"
};

/* Alike in runs of `run` keys. The last one is a stream that is there, and empty. */
static void fill(int run)
{
    redisReply *r = NULL;
    struct pr_err err = { 0 };
    assert_ok(pr_redis_command(s.c, &r, &err, "FLUSHALL"), &err);
    freeReplyObject(r);
    for (int i = 0; i < KEYS; i++)
        order(of[(size_t)(i / run) % PR_COUNT(of)], i, "value");
    order("XADD k%d 1-1 f %s", KEYS, "x");
    order("XDEL k%d 1-1", KEYS, "");
}

static struct dr_digest digest(void)
{
    struct dr_digest all, none;
    struct pr_err err = { 0 };
    const struct dr_digest_side a = { &s.c, 1 }, b = { .n = 0 };
    assert_ok(dr_digest_both(&a, &b, 2, NULL, &all, &none, &err), &err);
    assert_int_equal(none.keys, 0);
    return all;
}

static void it_is_the_sum_of_its_keys(void **state)
{
    (void)state;
    static const int run[] = { 1, 7, 400, KEYS };
    for (size_t k = 0; k < PR_COUNT(run); k++) {
        uint64_t sum = 0;
        fill(run[k]);
        for (int i = 0; i <= KEYS; i++) {
            char key[16];
            uint64_t one;
            struct pr_err err = { 0 };
            const int n = snprintf(key, sizeof key, "k%d", i);
            assert_ok(dr_digest_value(s.c, key, (size_t)n, &one, &err), &err);
            sum += one;
        }
        const struct dr_digest all = digest();
        assert_int_equal(all.keys, KEYS + 1);
        assert_true(all.sum[0] == sum);
    }
}

static void another_element_makes_it_another(void **state)
{
    (void)state;
    fill(1);
    const struct dr_digest before = digest();
    for (size_t i = 0; i < PR_COUNT(of); i++) {
        struct dr_digest now;
        order("DEL k%d", (int)i, "");
        now = digest();
        assert_int_equal(now.keys, before.keys - 1);
        order(of[i], (int)i, "Value");
        now = digest();
        assert_int_equal(now.keys, before.keys);
        assert_memory_not_equal(now.sum, before.sum, sizeof now.sum);
        order("DEL k%d", (int)i, "");
        order(of[i], (int)i, "value");
        now = digest();
        assert_memory_equal(now.sum, before.sum, sizeof now.sum);
    }
}

static void what_has_a_time_to_live_does_not_count(void **state)
{
    (void)state;
    fill(KEYS);
    order("PEXPIRE k%d 600000", 5, "");
    assert_int_equal(digest().keys, KEYS);
}

/* Beside one another, so that the server would have to keep many answers. */
static void large_values_are_not_asked_for_all_at_once(void **state)
{
    (void)state;
    enum { LARGE = 300 };
    struct pr_err err = { 0 };
    redisReply *r = NULL;
    order("FLUSHALL", 0, "");
    for (int i = 0; i < LARGE; i++)
        order("SETRANGE k%d 1048575 %s", i, "x"); /* 1 MiB */
    assert_ok(pr_redis_command(s.c, &r, &err, "CONFIG SET client-output-buffer-limit %s",
                               "normal 33554432 0 0"),
              &err); /* with more of them waiting it hangs up */
    assert_string_equal(r->str, "OK");
    freeReplyObject(r);
    assert_int_equal(digest().keys, LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_sum_of_its_keys),
        cmocka_unit_test(another_element_makes_it_another),
        cmocka_unit_test(what_has_a_time_to_live_does_not_count),
        cmocka_unit_test(large_values_are_not_asked_for_all_at_once),
    };
    return cmocka_run_group_tests_name("integration/dr_digest", tests, open_server, close_server);
}
