/* Fail-overs by hand that follow each other so quickly that nobody looks in between. */
#include "rebalance_slot_stage.h"

#include "io/slot/pair.h"

#include "prism/io/clock.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- ordering them ---------------------------------------------------------------------------- */

enum { MEMBERS = 3 };

static int member[MEMBERS]; /* of the source's shard; the first leads at the beginning */

/* One that was demoted a moment ago is not yet known as a replica of who leads. */
static bool are_known(void *ctx)
{
    (void)ctx;
    if (pr_cluster_refresh(stage.cluster, NULL) != PR_OK)
        return false;
    const struct pr_topology *t = pr_cluster_topology(stage.cluster);
    const char *id = NULL;
    size_t n = 1;
    member[0] = stage.src_port;
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].port == stage.src_port)
            id = t->node[i].id;
    for (size_t i = 0; i < t->nodes && n < MEMBERS; i++)
        if (id != NULL && strcmp(t->node[i].primary_id, id) == 0)
            member[n++] = t->node[i].port;
    return n == MEMBERS;
}

static void find_members(void)
{
    assert_true(it_await(are_known, NULL, STAGE_AWAIT_MS));
}

static bool is_primary(int port)
{
    return strstr(slot_stage_ask(port, "INFO replication"), "role:master") != NULL;
}

/* Who led before knows it, too. */
static bool leads_alone(void *port)
{
    for (int i = 0; i < MEMBERS; i++)
        if (is_primary(member[i]) != (member[i] == *(int *)port))
            return false;
    return true;
}

static bool is_ordered(void *port)
{
    return leads_alone(port) || strcmp(slot_stage_ask(*(int *)port, "CLUSTER FAILOVER"), "OK") == 0;
}

/* Redis refuses one whose link to its primary is not up yet, and gives some up. */
static void make_primary(int port)
{
    enum { TRIES = 10, ONE_MS = 6000 };
    for (int i = 0; i < TRIES; i++)
        if (it_await(is_ordered, &port, STAGE_AWAIT_MS) && it_await(leads_alone, &port, ONE_MS))
            return;
    fail_msg("port %d does not become a primary", port);
}

/* --- looking ---------------------------------------------------------------------------------- */

static void load(struct rebalance_shard *s, const char *node)
{
    struct pr_err err = { 0 };
    *s = (struct rebalance_shard){ .auth = { stage.user.name, stage.user.password },
                                   .timeout_ms = 2000 };
    assert_ok(rebalance_shard_load(s, stage.db, node, &err), &err);
}

struct looking {
    struct rebalance_shard shard[2];
    int port;
};

static bool sees(void *ctx)
{
    struct looking *l = ctx;
    struct rebalance_shard *const both[2] = { &l->shard[0], &l->shard[1] };
    (void)rebalance_shards_look(both, (unsigned)stage.slot[0]);
    const struct rebalance_shard_member *m = rebalance_shard_primary(&l->shard[0]);
    return m != NULL && m->there && m->primary && m->port == l->port;
}

static void fail_overs_between_two_looks_are_told_apart(void **state)
{
    (void)state;
    find_members();
    const int a = member[0], b = member[1], c = member[2];
    const struct {
        int first, then; /* 0: none */
        unsigned want;
    } row[] = {
        { 0, a, 0 }, { 0, b, 1 }, { c, a, 2 }, { b, a, 2 }, /* itself again */
        { 0, a, 0 },
    };
    struct looking l = { .port = 0 };
    load(&l.shard[0], stage.src);
    load(&l.shard[1], stage.dst);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const unsigned before = l.shard[0].changes;
        if (row[i].first != 0)
            make_primary(row[i].first);
        make_primary(row[i].then);
        l.port = row[i].then;
        assert_true(it_await(sees, &l, STAGE_AWAIT_MS));
        if (l.shard[0].changes - before != row[i].want)
            fail_msg("row %zu: %u changes, want %u", i, l.shard[0].changes - before, row[i].want);
    }
    assert_int_equal(l.shard[1].changes, 0);
    for (int k = 0; k < 2; k++)
        rebalance_shard_close(&l.shard[k]);
}

/* --- while a slot moves -------------------------------------------------------------------------
 */

enum { HASHES = 40 };

/* So many keys may move; then nothing is sent, and nobody looks. Which limit holds it, if one. */
static atomic_ullong limit, held_by;

static int64_t gate(void *ctx)
{
    (void)ctx;
    for (;;) {
        const struct timespec ts = { 0, 1000000 };
        const unsigned long long most = atomic_load(&limit);
        if (atomic_load(&stage.run.keys) < most)
            return 5000;
        atomic_store(&held_by, most);
        (void)nanosleep(&ts, NULL);
    }
}

static bool is_held(void *ctx)
{
    (void)ctx;
    return atomic_load(&held_by) == atomic_load(&limit);
}

static void await_held(void)
{
    if (!it_await(is_held, NULL, STAGE_AWAIT_MS))
        fail_msg("nothing moves: %s", stage.run.waits_for);
}

static const char *hash(int i)
{
    static char name[64];
    snprintf(name, sizeof name, "h%d:{%u}", i, rebalance_tag_of_slot((unsigned)stage.slot[0]));
    return name;
}

static void put_hashes(int from, int n)
{
    for (int i = from; i < from + n; i++)
        assert_string_equal(slot_stage_ask(stage.src_port, "HSET %s base 1", hash(i)), "1");
}

/* One that has left the source. */
static int moved_hash(void)
{
    for (int i = 0; i < 2 * HASHES; i++)
        if (strncmp(slot_stage_ask(stage.src_port, "EXISTS %s", hash(i)), "ASK ", 4) == 0)
            return i;
    fail_msg("no hash has moved");
    return -1;
}

/* As a client does that waits for both replicas. */
static void write_acknowledged(int port, bool asking, const char *key, const char *field)
{
    redisContext *c = it_redis_admin(port);
    if (asking)
        freeReplyObject(redisCommand(c, "ASKING"));
    redisReply *r = redisCommand(c, "HSET %s %s 1", key, field);
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    freeReplyObject(r);
    r = redisCommand(c, "WAIT 2 60000");
    assert_int_equal(r->integer, 2);
    freeReplyObject(r);
    redisFree(c);
}

static void assert_field(const char *key, const char *field)
{
    if (strcmp(slot_stage_ask(stage.dst_port, "HGET %s %s", key, field), "1") != 0)
        fail_msg("%s of %s is lost", field, key);
}

/* A hash that has moved, with its batch; the next is not sent. writes: the source writes its
 * append-only file as it should. */
static int begin_and_hold(bool writes)
{
    put_hashes(0, HASHES); /* whichever end the node lists first */
    slot_stage_load(400, 400);
    put_hashes(HASHES, HASHES);
    slot_stage_plan("planned");
    stage.cfg.slot_batch_keys = 20;
    stage.lease_left_ms = gate;
    atomic_store(&held_by, 0); /* what the case before was held by */
    atomic_store(&limit, 20);
    if (!writes)
        assert_string_equal(slot_stage_ask(stage.src_port, "CONFIG SET appendonly no"), "OK");
    slot_stage_start();
    await_held();
    return moved_hash();
}

static void go_on(void)
{
    stage.cfg.slot_batch_keys = 200;
    atomic_store(&limit, ULLONG_MAX);
    slot_stage_join();
    stage.lease_left_ms = NULL;
    if (stage.run.fatal.code != PR_OK)
        fail_msg("the wave failed: %s", stage.run.fatal.text);
}

/* The source leads, does not, and leads again: its mark is gone, and clients who find nothing there
 * make anew what the target holds. */
static void writes_between_two_fail_overs_are_kept(void **state)
{
    (void)state;
    find_members();
    const int h = begin_and_hold(true);
    atomic_store(&limit, 120); /* no replica lacks its deletion then */
    await_held();
    assert_true(atomic_load(&stage.run.keys) < 400);

    write_acknowledged(stage.dst_port, true, hash(h), "asked");
    make_primary(member[1]);
    write_acknowledged(member[1], false, hash(h), "anew");
    make_primary(stage.src_port);
    go_on();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    assert_field(hash(h), "base");
    assert_field(hash(h), "asked");
    assert_field(hash(h), "anew");
    slot_verify();
}

/* --- a restart within the node time-out ---------------------------------------------------------
 */

/* Clients are served again: it has loaded, and waited to hear of a successor. */
static bool source_serves(void *ctx)
{
    (void)ctx;
    redisContext *c = redisConnect("127.0.0.1", stage.src_port);
    const bool there = c != NULL && c->err == 0;
    if (c != NULL)
        redisFree(c);
    return there && strstr(slot_stage_ask(stage.src_port, "CLUSTER INFO"), "state:ok") != NULL;
}

static void restart_source(void)
{
    char name[32], run[64];
    snprintf(name, sizeof name, "redis-%d", stage.src_port);
    snprintf(run, sizeof run, "%.50s",
             strstr(slot_stage_ask(stage.src_port, "INFO server"), "run_id:"));
    it_server_kill(name, false);
    assert_true(it_await(source_serves, NULL, STAGE_AWAIT_MS));
    assert_null(strstr(slot_stage_ask(stage.src_port, "INFO server"), run));
    assert_true(is_primary(stage.src_port));
}

static void restarted_source_goes_on(void **state)
{
    (void)state;
    find_members();
    const int h = begin_and_hold(true);
    write_acknowledged(stage.dst_port, true, hash(h), "asked");
    restart_source();
    go_on();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    assert_field(hash(h), "base");
    assert_field(hash(h), "asked");
    slot_verify();
}

/* Its file is as old as the move, and so is what it comes back with. */
static void restarted_source_that_has_old_copies_overwrites_none(void **state)
{
    char error[512];
    (void)state;
    find_members();
    const int h = begin_and_hold(false);
    write_acknowledged(stage.dst_port, true, hash(h), "asked");
    restart_source();
    assert_string_equal(slot_stage_ask(stage.src_port, "HGET %s base", hash(h)), "1");
    go_on();
    assert_int_equal(slot_stage_count("stuck"), 1);
    slot_stage_error(error);
    if (strstr(error, hash(h)) == NULL || strstr(error, "has it again") == NULL)
        fail_msg("%s: wants %s", error, hash(h));

    /* A person takes the target's. */
    assert_string_equal(slot_stage_ask(stage.src_port, "DEL %s", hash(h)), "1");
    atomic_store(&stage.stop, REBALANCE_RUN_ON);
    slot_hand_state(0, "draining");
    slot_stage_move();
    assert_int_equal(slot_stage_count("verified"), STAGE_SLOTS);
    assert_field(hash(h), "base");
    assert_field(hash(h), "asked");
    slot_verify();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, slot_stage_begin, slot_stage_end)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(fail_overs_between_two_looks_are_told_apart),
        CASE(writes_between_two_fail_overs_are_kept),
        CASE(restarted_source_goes_on),
        CASE(restarted_source_that_has_old_copies_overwrites_none),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("rebalance_reign", tests, slot_stage_open, slot_stage_close);
}
