/* What a promoted replica says of the history that it inherited. */
#include "t.h"

#include "io/slot/copies.h"

#include <stdio.h>
#include <string.h>

static const char BEFORE[] = "# Replication\r\nrole:master\r\n"
                             "slave0:ip=127.0.0.1,port=7402,state=online,offset=990,lag=0\r\n"
                             "master_replid:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
                             "master_replid2:0000000000000000000000000000000000000000\r\n"
                             "master_repl_offset:1000\r\nsecond_repl_offset:-1\r\n";

static const char *promoted(char *text, size_t size, char of, long long from)
{
    char was[41];
    memset(was, of, 40);
    was[40] = '\0';
    snprintf(text, size,
             "role:master\r\nmaster_replid:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n"
             "master_replid2:%s\r\nmaster_repl_offset:1200\r\nsecond_repl_offset:%lld\r\n",
             was, from);
    return text;
}

static void histories_are_read(void **state)
{
    (void)state;
    struct rebalance_reign r;
    rebalance_copies_reign(BEFORE, &r);
    assert_string_equal(r.history, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_string_equal(r.before, "0000000000000000000000000000000000000000");
    assert_string_equal(r.run, "");
    rebalance_copies_reign("# Server\r\nrun_id:cccccccccccccccccccccccccccccccccccccccc\r\n", &r);
    assert_string_equal(r.run, "cccccccccccccccccccccccccccccccccccccccc");
    rebalance_copies_reign("role:master\r\n", &r);
    assert_string_equal(r.run, "");
    assert_string_equal(r.history, "");
    assert_string_equal(r.before, "");
}

static void point_is_read(void **state)
{
    (void)state;
    const struct rebalance_written w = rebalance_copies_point(BEFORE);
    assert_int_equal(w.offset, 1000);
    assert_string_equal(w.history, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(rebalance_copies_acked(BEFORE), 990);
    assert_string_equal(rebalance_copies_point("role:master\r\n").history, "");
}

/* second_repl_offset is the first that the promoted one wrote itself. */
static void what_came_before_the_promotion_is_inherited(void **state)
{
    (void)state;
    char info[300];
    const struct rebalance_written w = rebalance_copies_point(BEFORE), unknown = { .history = "" };
    assert_true(rebalance_copies_inherited(promoted(info, sizeof info, 'a', 1001), &w));
    assert_false(rebalance_copies_inherited(promoted(info, sizeof info, 'a', 1000), &w));
    assert_false(rebalance_copies_inherited(promoted(info, sizeof info, 'c', 1001), &w));
    assert_false(rebalance_copies_inherited(promoted(info, sizeof info, 'a', 1001), &unknown));
    struct rebalance_written cut_off = w; /* would fit any history that begins like it */
    cut_off.history[39] = '\0';
    assert_false(rebalance_copies_inherited(promoted(info, sizeof info, 'a', 1001), &cut_off));
    assert_false(rebalance_copies_inherited(BEFORE, &w));
    assert_false(rebalance_copies_inherited("", &w));
}

/* Each row is told after the one before. */
static void a_child_hides_when_keys_were_used(void **state)
{
    (void)state;
    static const struct {
        const char *info;
        int64_t now_us, want;
    } row[] = {
        { "total_forks:0\r\nrdb_bgsave_in_progress:0\r\n", 10, 0 }, /* never had one */
        { "total_forks:1\r\nrdb_bgsave_in_progress:1\r\n", 20, INT64_MAX },
        { "total_forks:1\r\nrdb_bgsave_in_progress:0\r\n", 30, 30 },
        { "total_forks:1\r\nrdb_bgsave_in_progress:0\r\n", 40, 30 },
        { "total_forks:2\r\nrdb_bgsave_in_progress:0\r\n", 50, 50 }, /* came and went */
        { "total_forks:3\r\naof_rewrite_in_progress:1\r\n", 60, INT64_MAX },
        { "total_forks:3\r\naof_rewrite_in_progress:0\r\n", 70, 70 },
        { "total_forks:4\r\nmodule_fork_in_progress:1\r\n", 80, INT64_MAX },
        { "rdb_bgsave_in_progress:0\r\n", 90, INT64_MAX }, /* does not say */
        { "total_forks:4\r\n", 100, 100 },
        { "total_forks:0\r\n", 110, 110 }, /* restarted, or its statistics were reset */
    };
    struct rebalance_forks f = { 0 };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        rebalance_copies_forks(row[i].info, row[i].now_us, &f);
        assert_int_equal(f.none_since_us, row[i].want);
    }
}

enum { WORDS = 8 };

/* As HGETALL says it. */
static redisReply *told(redisReply *r, redisReply *element[WORDS], redisReply word[WORDS],
                        const char *const text[WORDS])
{
    *r = (redisReply){ .type = REDIS_REPLY_ARRAY, .element = element };
    for (; r->elements < WORDS && text[r->elements] != NULL; r->elements++) {
        char *str = (char *)(uintptr_t)text[r->elements];
        word[r->elements] =
            (redisReply){ .type = REDIS_REPLY_STRING, .str = str, .len = strlen(str) };
        element[r->elements] = &word[r->elements];
    }
    return r;
}

static void copy_covers_one_of_which_nothing_can_be_missing(void **state)
{
    (void)state;
    static const struct {
        const char *a[WORDS], *b[WORDS];
        bool want;
    } row[] = {
        { { "f", "x" }, { "f", "x" }, true },
        { { "g", "1", "f", "x" }, { "f", "x" }, true },
        { { "f", "y" }, { "f", "x" }, true }, /* set since */
        { { "g", "1" }, { "f", "x" }, false },
        { { "f", "x" }, { "f", "x", "g", "1" }, false },
        { { NULL }, { "f", "x" }, false },
        { { "f", "x" }, { NULL }, true },
        /* counted from nothing, it may be */
        { { "hits", "1" }, { "hits", "100" }, false },
        { { "hits", "0.5" }, { "hits", "-2e3" }, false },
        { { "hits", "100" }, { "hits", "100" }, true },
        { { "hits", "1" }, { "hits", "none" }, true },
        { { "_v", "6", "f", "x" }, { "_v", "5", "f", "x" }, true },
        { { "f" }, { "f" }, false }, /* nonsense */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        redisReply a, b, *elements[2][WORDS], words[2][WORDS];
        told(&a, elements[0], words[0], row[i].a);
        told(&b, elements[1], words[1], row[i].b);
        if (rebalance_copies_covers(&a, &b) != row[i].want)
            fail_msg("row %zu", i);
    }
    redisReply odd = { .type = REDIS_REPLY_ERROR };
    assert_false(rebalance_copies_covers(&odd, &odd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories_are_read),
        cmocka_unit_test(point_is_read),
        cmocka_unit_test(what_came_before_the_promotion_is_inherited),
        cmocka_unit_test(copy_covers_one_of_which_nothing_can_be_missing),
        cmocka_unit_test(a_child_hides_when_keys_were_used),
    };
    return cmocka_run_group_tests_name("rebalance_copies", tests, NULL, NULL);
}
