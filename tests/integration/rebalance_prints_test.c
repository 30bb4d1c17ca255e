/* Prints of keys before they are sent, from a replica that is stood in for
 * (tests/support/fake_pair.h): what it says late, wrongly or of another history counts for
 * nothing, and what one call is refused for concerns its keys alone. */
#include "t.h"

#include "fake_pair.h"
#include "io/slot/prints.h"

#include <stdio.h>
#include <string.h>

enum { SLOT = 100, PIECES = 2, MOST = 200, LIGHT = 500, HEAVY = 200 << 10, CALL = 60 };

static struct {
    struct rebalance_slot_run run;
    struct rebalance_pair pair;
    struct rebalance_slot_step step[PIECES];
    struct rebalance_piece piece[PIECES];
    struct rebalance_printer printer;
} s;

static void member(struct rebalance_shard_member *m, int node)
{
    *m = (struct rebalance_shard_member){ .port = fake_port(node),
                                          .there = true,
                                          .primary = node < FAKE_SOURCE_REPLICA };
    (void)snprintf(m->host, sizeof m->host, "127.0.0.1");
}

static int begin(void **state)
{
    (void)state;
    fake_pair_open(FAKE_REDIS7, FAKE_REDIS7);
    memset(&s, 0, sizeof s);
    s.pair.run = &s.run;
    s.run.mover = (struct pr_redis_auth){ "mover", "any" };
    pthread_mutex_init(&s.pair.lock, NULL);
    for (int k = 0; k < 2; k++) {
        member(&s.pair.shard[k].member[0], k);
        member(&s.pair.shard[k].member[1], k + FAKE_SOURCE_REPLICA);
        s.pair.shard[k].members = 2;
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    rebalance_printer_close(&s.printer);
    for (int i = 0; i < PIECES; i++)
        rebalance_keys_done(&s.piece[i].keys);
    pthread_mutex_destroy(&s.pair.lock);
    assert_int_equal(fake_unknown(), 0);
    fake_pair_close();
    return 0;
}

/* n keys of so many bytes, in slot SLOT + i. */
static void load(int i, size_t n, uint64_t bytes)
{
    static char name[MOST][16];
    static redisReply key[MOST], *list[MOST];
    struct pr_err err = { 0 };
    const redisReply all = { .type = REDIS_REPLY_ARRAY, .elements = n, .element = list };
    for (size_t k = 0; k < n; k++) {
        const int len = snprintf(name[k], sizeof name[k], "k%zu", k);
        key[k] = (redisReply){ .type = REDIS_REPLY_STRING, .str = name[k], .len = (size_t)len };
        list[k] = &key[k];
    }
    s.step[i].slot = SLOT + i;
    s.piece[i].step = &s.step[i];
    assert_ok(rebalance_keys_add(&s.piece[i].keys, &all, &err), &err);
    for (size_t k = 0; k < n; k++)
        s.piece[i].keys.size[k].bytes = bytes;
}

static void take(struct fake_prints how)
{
    fake_say_prints(how);
    rebalance_prints_take(&s.pair, &s.printer, s.piece, PIECES);
}

static size_t printed(int i)
{
    size_t n = 0;
    for (size_t k = 0; k < s.piece[i].keys.n; k++)
        n += s.piece[i].keys.print[k] != 0;
    return n;
}

static void assert_none(void)
{
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(printed(i), 0);
        assert_string_equal(s.piece[i].keys.point.history, "");
    }
    assert_true(s.printer.rest_until_us > 0);
}

/* Calls of sixty keys, and of a quarter of a megabyte: a key beyond that is not asked for. */
static void keys_are_printed_in_calls_that_block_nobody(void **state)
{
    (void)state;
    load(0, 2 * CALL + 1, LIGHT);
    load(1, 5, HEAVY);
    s.piece[1].keys.size[2].bytes = HEAVY * 2;
    take((struct fake_prints){ .late_ms = 0 });
    assert_int_equal(printed(0), 2 * CALL + 1);
    assert_int_equal(printed(1), 4);
    assert_true(s.piece[1].keys.print[2] == 0);
    assert_int_equal(fake_printed(), 3 + 4);
    assert_int_equal(s.piece[0].keys.point.offset, 100);
    assert_int_equal(strlen(s.piece[0].keys.point.history), 40);
    assert_true(s.piece[0].keys.print[0] != s.piece[0].keys.print[1]);
}

/* Such as one with a key that is elsewhere already. */
static void refused_call_is_of_its_keys_alone(void **state)
{
    (void)state;
    load(0, 3 * CALL, LIGHT);
    load(1, 3, LIGHT);
    take((struct fake_prints){ .refused = 2 });
    for (size_t k = 0; k < 3 * CALL; k++)
        assert_int_equal(s.piece[0].keys.print[k] != 0, k < CALL || k >= 2 * CALL);
    assert_int_equal(printed(1), 3);
    assert_int_equal(strlen(s.piece[0].keys.point.history), 40);
    assert_true(s.printer.rest_until_us == 0);
}

/* Whoever comes to own that history later may never have had what was printed. */
static void replica_that_changes_its_primary_says_nothing(void **state)
{
    (void)state;
    load(0, CALL, LIGHT);
    load(1, CALL, LIGHT);
    take((struct fake_prints){ .another = true });
    assert_none();
}

static void promoted_replica_says_nothing(void **state)
{
    (void)state;
    load(0, CALL, LIGHT);
    load(1, 1, LIGHT);
    take((struct fake_prints){ .none = true });
    assert_none();
}

/* Every answer comes soon enough, all of them do not: a slot is not held up for that. */
static void slow_replica_is_given_up_as_a_whole(void **state)
{
    (void)state;
    load(0, 10, HEAVY);
    load(1, 1, LIGHT);
    take((struct fake_prints){ .late_ms = 50 }); /* half a second */
    assert_none();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(keys_are_printed_in_calls_that_block_nobody),
        CASE(refused_call_is_of_its_keys_alone),
        CASE(replica_that_changes_its_primary_says_nothing),
        CASE(promoted_replica_says_nothing),
        CASE(slow_replica_is_given_up_as_a_whole),
    };
    return cmocka_run_group_tests_name("rebalance_prints", tests, NULL, NULL);
}
