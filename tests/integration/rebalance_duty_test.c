/* Nodes join, follow, lead and leave a real cluster; each step is verified by what the
 * nodes themselves report, and may be run again. */
#include "duty_stage.h"

#include "prism/io/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void shard_of(int port, char out[64])
{
    ds_cell(out, 64, "SELECT coalesce(shard_id, '') FROM nodes WHERE port = %d", port);
}

static void name_of(int port, char out[16])
{
    snprintf(out, 16, "n%d", port);
}

/* How many nodes of the stack list the node. */
static size_t known_to(const char *redis_id)
{
    size_t n = 0;
    for (size_t i = 0; i < ds.ports; i++)
        n += ds_knows(ds.port[i], redis_id);
    return n;
}

static void is_replica_of(int port, int primary_port)
{
    char want[64];
    snprintf(want, sizeof want, "slave 127.0.0.1 %d connected", primary_port);
    if (strstr(ds_ask(port, "ROLE"), want) == NULL)
        fail_msg("%d: %s", port, ds_ask(port, "ROLE"));
}

static void take_in(struct joiner *j, const char *zone)
{
    ds_joiner(j, zone, NULL);
    ds_duty_ok("meet", "", "", j->id);
    ds_watch();
}

static void leave(struct joiner *j)
{
    ds_duty_ok("forget", "", "", j->id);
    assert_int_equal(known_to(j->redis_id), 0);
    ds_watch();
    ds_joiner_stop(j);
}

/* --- meet and replicate ------------------------------------------------------------------ */

static void node_joins_as_a_replica_and_leaves(void **state)
{
    (void)state;
    struct joiner j;
    char shard[64], slots[64];
    const int primary = ds_primary_of_slot(100);
    shard_of(primary, shard);
    ds_load(100, 200);
    ds_joiner(&j, "a", "cluster-require-full-coverage yes\ncluster-allow-replica-migration yes");
    ds_redis_id(j.port, j.redis_id);
    ds_duty_ok("meet", "", "", j.id);
    assert_int_equal(known_to(j.redis_id), ds.ports);
    assert_string_equal(ds_ask(j.port, "CONFIG GET cluster-require-full-coverage"),
                        "cluster-require-full-coverage no");
    assert_string_equal(ds_ask(j.port, "CONFIG GET cluster-allow-replica-migration"),
                        "cluster-allow-replica-migration no");
    assert_non_null(strstr(ds_ask(j.port, "FUNCTION LIST"), "prism_take"));
    ds_duty_ok("meet", "", "", j.id); /* again: nothing to do */

    ds_watch();
    ds_duty_ok("replicate", shard, "", j.id);
    is_replica_of(j.port, primary);
    assert_int_equal(ds_keys(j.port, 100), 200);
    ds_duty_ok("replicate", shard, "", j.id);
    ds_watch();
    shard_of(j.port, slots);
    assert_string_equal(slots, shard); /* and its name is the one it had */

    it_kill(j.pid); /* settings outlive a restart */
    ds_joiner_again(&j);
    assert_string_equal(ds_ask(j.port, "CONFIG GET cluster-require-full-coverage"),
                        "cluster-require-full-coverage no");
    ds_duty_ok("replicate", shard, "", j.id);

    ds_duty_ok("forget", "", "", j.id);
    assert_int_equal(known_to(j.redis_id), 0);
    assert_int_equal(ds_keys(j.port, 100), 0);
    assert_false(ds_knows(j.port, "connected 0-")); /* it knows nobody */
    ds_duty_ok("forget", "", "", j.id);
    ds_watch();
    ds_duty_ok("meet", "", "", j.id); /* a node that left may come again */
    leave(&j);
}

static void new_shard_gets_a_primary_and_a_replica(void **state)
{
    (void)state;
    struct joiner p, r;
    char why[256];
    take_in(&p, "a");
    take_in(&r, "b");
    ds_duty_ok("replicate", "", p.id, r.id);
    is_replica_of(r.port, p.port);
    assert_non_null(strstr(ds_ask(p.port, "FUNCTION LIST"), "prism_take"));

    assert_string_equal(ds_duty("forget", "", "", p.id, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "still has a replica"));
    assert_int_equal(known_to(p.redis_id), ds.ports); /* nothing was touched */
    leave(&r);
    leave(&p);
}

static void replica_moves_to_another_shard(void **state)
{
    (void)state;
    struct joiner j;
    char from[64], to[64];
    const int a = ds_primary_of_slot(100), b = ds_primary_of_slot(16000);
    shard_of(a, from);
    shard_of(b, to);
    ds_load(16000, 300);
    take_in(&j, "c");
    ds_duty_ok("replicate", from, "", j.id);
    ds_watch();
    ds_duty_ok("replicate", to, "", j.id);
    is_replica_of(j.port, b);
    assert_int_equal(ds_keys(j.port, 16000), 300);
    assert_null(strstr(ds_ask(a, "INFO replication"), "slave2"));
    leave(&j);
}

struct stray {
    redisContext *c;
    const char *owner; /* of slot 100 */
};

static bool said_ok(redisReply *r)
{
    const bool ok = r != NULL && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    return ok;
}

/* A node that was just taken in may not know the owner yet, or call the cluster down. */
static bool strayed(void *ctx)
{
    const struct stray *s = ctx;
    return said_ok(redisCommand(s->c, "CLUSTER SETSLOT 100 IMPORTING %s", s->owner)) &&
           said_ok(redisCommand(s->c, "ASKING")) &&
           said_ok(redisCommand(s->c, "SET {%s}stray 1", it_slot_tag(100))) &&
           said_ok(redisCommand(s->c, "CLUSTER SETSLOT 100 STABLE"));
}

static void replication_is_refused_to_who_serves(void **state)
{
    (void)state;
    char shard[64], name[16], why[256];
    const int a = ds_primary_of_slot(100), b = ds_primary_of_slot(16000);
    shard_of(b, shard);
    name_of(a, name);
    assert_string_equal(ds_duty("replicate", shard, "", name, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "still serves"));
    name_of(b, name);
    assert_string_equal(ds_duty("replicate", shard, "", name, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "is the primary of shard"));
    assert_string_equal(ds_duty("forget", "", "", name, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "still serves"));

    struct joiner j; /* holds keys that nobody serves */
    take_in(&j, "a");
    char id[64];
    ds_redis_id(a, id);
    redisContext *c = it_redis_admin(j.port);
    assert_true(it_await(strayed, &(struct stray){ c, id }, 20000));
    redisFree(c);
    assert_string_equal(ds_duty("replicate", shard, "", j.id, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "holds 1 keys, which nobody serves"));
    assert_string_equal(ds_duty("forget", "", "", j.id, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "keys"));
    assert_int_equal(known_to(j.redis_id), ds.ports);
    assert_string_equal(ds_ask(j.port, "FLUSHALL"), "OK");
    leave(&j);
}

static void node_of_another_cluster_is_not_merged_in(void **state)
{
    (void)state;
    struct joiner j, other;
    char why[256];
    ds_joiner(&j, "a", NULL);
    ds_joiner(&other, NULL, NULL);
    ds_meet(&j, &other);
    assert_string_equal(ds_duty("meet", "", "", j.id, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "belongs to another cluster"));
    assert_int_equal(known_to(j.redis_id), 0);
    ds_joiner_stop(&j);
    ds_joiner_stop(&other);
}

/* --- failover ------------------------------------------------------------------------------- */

static void home_zone(const char *shard, char out[64])
{
    ds_cell(out, 64, "SELECT home_zone FROM shards WHERE id = '%s'", shard);
}

static void replica_takes_over_and_gives_back(void **state)
{
    (void)state;
    char shard[64], first[16], second[16], zone[64], now[64];
    const int a = ds_primary_of_slot(100), b = ds_replica_of(a, 0);
    shard_of(a, shard);
    name_of(a, first);
    name_of(b, second);
    home_zone(shard, zone);
    ds_load(100, 100);
    ds_duty_ok("failover", shard, first, second);
    assert_int_equal(ds_primary_of_slot(100), b);
    is_replica_of(a, b);
    ds_duty_ok("failover", shard, first, second); /* done already */
    ds_watch();
    shard_of(b, now);
    assert_string_equal(now, shard);
    home_zone(shard, now);
    assert_string_equal(now, zone); /* a fail-over does not change where it belongs */
    ds_duty_ok("failover", shard, second, first);
    assert_int_equal(ds_primary_of_slot(100), a);
    ds_watch();
    ds_check(100, 100);
}

static void no_fail_over_with_an_open_slot(void **state)
{
    (void)state;
    char shard[64], first[16], second[16], why[256], id[64];
    const int a = ds_primary_of_slot(100), b = ds_replica_of(a, 0), c = ds_primary_of_slot(16000);
    shard_of(a, shard);
    name_of(a, first);
    name_of(b, second);
    ds_redis_id(a, id);
    /* The other side of the move is open, too, and is enough. */
    assert_string_equal(ds_ask(c, "CLUSTER SETSLOT 100 IMPORTING %s", id), "OK");
    assert_string_equal(ds_duty("failover", shard, first, second, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "slot 100"));
    assert_string_equal(ds_ask(c, "CLUSTER SETSLOT 100 STABLE"), "OK");
    assert_int_equal(ds_primary_of_slot(100), a);
    assert_string_equal(ds_duty("failover", "other", first, second, why, sizeof why), "stuck");
    assert_non_null(strstr(why, "belongs to shard"));
}

static void dead_primary_is_left_to_the_election(void **state)
{
    (void)state;
    char shard[64], first[16], second[16], server[32], why[256] = "";
    const int a = ds_primary_of_slot(100), b = ds_replica_of(a, 1);
    shard_of(a, shard);
    name_of(a, first);
    name_of(b, second);
    ds_load(100, 100);
    snprintf(server, sizeof server, "redis-%d", a);
    it_server_kill(server, true);
    const char *got = "";
    for (int i = 0; i < 5 && strcmp(got, "verified") != 0; i++)
        got = ds_duty("failover", shard, first, second, why, sizeof why);
    if (strcmp(got, "verified") != 0)
        fail_msg("%s: %s", got, why);
    assert_int_equal(ds_primary_of_slot(100), b); /* whoever was elected first */
    ds_check(100, 100);
    it_server_up(server);
    it_cluster_await(DUTY_AWAIT_MS);
    ds_watch();
    ds_duty_ok("failover", shard, second, first);
    assert_int_equal(ds_primary_of_slot(100), a);
    ds_watch();
}

/* --- dead nodes --------------------------------------------------------------------------------
 */

static bool called_failed(void *ctx)
{
    const struct joiner *j = ctx;
    struct pr_err err = { 0 };
    assert_ok(pr_cluster_refresh(ds.cluster, &err), &err);
    const struct pr_topology *t = pr_cluster_topology(ds.cluster);
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].id, j->redis_id) == 0)
            return t->node[i].failed;
    return false;
}

static bool comes_back(void *ctx)
{
    const struct joiner *j = ctx;
    return known_to(j->redis_id) > 0;
}

static void dead_node_is_forgotten_and_stays_away(void **state)
{
    (void)state;
    struct joiner j;
    char shard[64];
    shard_of(ds_primary_of_slot(100), shard);
    take_in(&j, "b");
    ds_duty_ok("replicate", shard, "", j.id);
    it_kill(j.pid);
    assert_true(it_await(called_failed, &j, DUTY_AWAIT_MS));
    ds_duty_ok("forget", "", "", j.id);
    assert_int_equal(known_to(j.redis_id), 0);
    ds_joiner_again(&j); /* it still knows them all */
    assert_false(it_await(comes_back, &j, 3000));
    ds_duty_ok("forget", "", "", j.id); /* and now it is told, too */
    assert_false(ds_knows(j.port, "slave"));
    ds_watch();
    ds_joiner_stop(&j);
}

/* --- orders, leases, rows ------------------------------------------------------------------------
 */

static void asked_to_stop_it_stops_and_goes_on_later(void **state)
{
    (void)state;
    struct joiner j;
    char why[256];
    ds_joiner(&j, "a", NULL);
    it_kill(j.pid); /* cannot answer */
    assert_string_equal(ds_duty("meet", "", "", j.id, why, sizeof why), "acting");
    assert_non_null(strstr(why, "127.0.0.1"));
    ds_joiner_again(&j);
    atomic_store(&ds.stop, 1);
    assert_string_equal(ds_duty("meet", "", "", j.id, why, sizeof why), "acting");
    atomic_store(&ds.stop, 0);
    ds_duty_ok("meet", "", "", j.id);
    leave(&j);
}

static int64_t nothing_left(void *arg)
{
    (void)arg;
    return 0;
}

static void nothing_is_sent_without_a_lease(void **state)
{
    (void)state;
    struct joiner j;
    struct pr_err err = { 0 };
    ds_joiner(&j, "a", NULL);
    struct rebalance_duty_step step = { 1, "meet", "", "", j.id, "planned", false };
    struct rebalance_duty_ctx ctx = ds.ctx;
    ctx.lease_left_ms = nothing_left;
    assert_int_equal(rebalance_duty(&ctx, &step, &err), PR_EFENCED);
    assert_null(strstr(ds_ask(j.port, "ACL USERS"), "prism-fl-"));
    assert_int_equal(known_to(j.redis_id), 0);
    ctx = ds.ctx;
    struct pr_lease stale = ds.lease;
    stale.epoch--;
    ctx.lease = &stale;
    assert_int_equal(rebalance_duty(&ctx, &step, &err), PR_EFENCED);
    assert_int_equal(known_to(j.redis_id), 0);
    ds_joiner_stop(&j);
}

/* --- a node that comes back as a primary without slots ----------------------------------- */

static long keys_of(const struct joiner *j)
{
    return strtol(ds_ask(j->port, "DBSIZE"), NULL, 10);
}

/* A node that has just joined calls the cluster down for a moment. */
static bool takes_a_key(void *ctx)
{
    const struct joiner *j = ctx;
    redisContext *c = it_redis_admin(j->port);
    freeReplyObject(redisCommand(c, "ASKING"));
    freeReplyObject(redisCommand(c, "SET {%s}moving 1", it_slot_tag(100)));
    redisFree(c);
    return keys_of(j) == 1;
}

struct heard {
    int at;      /* port of who listens */
    char id[64]; /* of whom */
    long epoch;  /* that it has now */
};

static bool has_heard(void *ctx)
{
    const struct heard *h = ctx;
    char own[80]; /* its line, not that of a replica of it */
    long epoch = -1;
    snprintf(own, sizeof own, "%s 127.0.0.1:", h->id);
    const char *line = strstr(ds_ask(h->at, "CLUSTER NODES"), own);
    return line != NULL && sscanf(line, "%*s %*s %*s %*s %*s %*s %ld", &epoch) == 1 &&
           epoch == h->epoch;
}

/* Until the first node knows the epoch that the second has now. */
static void await_epoch(int at, int of)
{
    struct heard h = { .at = at };
    ds_redis_id(of, h.id);
    h.epoch = strtol(strstr(ds_ask(of, "CLUSTER INFO"), "cluster_my_epoch:") + 17, NULL, 10);
    assert_true(it_await(has_heard, &h, DUTY_AWAIT_MS));
}

/* As if the shard had been its own: only who serves nothing any more loses its keys. */
static void keys_are_deleted_only_where_nobody_serves_them(void **state)
{
    (void)state;
    struct joiner j;
    char shard[64], why[256], id[64];
    const int a = ds_primary_of_slot(100), b = ds_primary_of_slot(16000);
    take_in(&j, "a");
    shard_of(b, shard);
    ds_redis_id(a, id);
    ds_sql("UPDATE nodes SET shard_id = '%s' WHERE id = '%s'", shard, j.id);
    redisContext *c = it_redis_admin(j.port);
    freeReplyObject(redisCommand(c, "CLUSTER SETSLOT 100 IMPORTING %s", id));
    assert_true(it_await(takes_a_key, &j, DUTY_AWAIT_MS));
    freeReplyObject(redisCommand(c, "CLUSTER SETSLOT 100 STABLE"));
    freeReplyObject(redisCommand(c, "CLUSTER BUMPEPOCH")); /* it may lead, for all we know */
    redisFree(c);
    const char *got = ds_duty("replicate", shard, "", j.id, why, sizeof why);
    if (strcmp(got, "stuck") != 0 || strstr(why, "is no older than") == NULL)
        fail_msg("%s %s", got, why);
    assert_int_equal(keys_of(&j), 1);

    await_epoch(b, j.port); /* or the two would have the same */
    assert_non_null(strstr(ds_ask(b, "CLUSTER BUMPEPOCH"), "BUMPED"));
    await_epoch(j.port, b);
    ds_duty_ok("replicate", shard, "", j.id);
    is_replica_of(j.port, b);
    leave(&j);
}

/* --- users --------------------------------------------------------------------------------- */

static enum pr_code prepare(struct rebalance_users_ready *r, const struct pr_topology *t)
{
    struct pr_err err = { 0 };
    const struct pr_redis_auth service = { ds.cfg.redis_user, ds.cfg.redis_password };
    const enum pr_code rc =
        rebalance_users_prepare(r, t, &service, &ds.user, 1, pr_mono_us() + 2000000, &err);
    if (rc != PR_OK)
        fail_msg("%s", err.text);
    return rc;
}

static bool has_user(int port)
{
    return strstr(ds_ask(port, "ACL USERS"), ds.user.name) != NULL;
}

static void node_that_does_not_answer_holds_nobody_up(void **state)
{
    (void)state;
    struct joiner j;
    struct pr_err err = { 0 };
    struct rebalance_users_ready r = { .says = "" };
    take_in(&j, "a");
    for (size_t i = 0; i < ds.ports; i++)
        (void)ds_ask(ds.port[i], "ACL DELUSER %s", ds.user.name);
    assert_string_equal(ds_ask(j.port, "ACL DELUSER %s", ds.user.name), "1");
    assert_string_equal(ds_ask(j.port, "ACL SETUSER prism-fl-0 on"), "OK"); /* of no epoch */
    assert_ok(pr_cluster_refresh(ds.cluster, &err), &err);
    const struct pr_topology *t = pr_cluster_topology(ds.cluster);
    assert_int_equal(kill(j.pid, SIGSTOP), 0);
    const int64_t from_us = pr_mono_us();
    assert_true(rebalance_users_due(&r, t, from_us));
    (void)prepare(&r, t);
    const int64_t took_us = pr_mono_us() - from_us;
    assert_int_equal(kill(j.pid, SIGCONT), 0);
    if (took_us > 1900000) /* one patience, not one after the other */
        fail_msg("took %lld us", (long long)took_us);
    for (size_t i = 0; i < ds.ports; i++)
        assert_true(has_user(ds.port[i]));
    assert_int_equal(r.late.n, 1);
    assert_non_null(strstr(r.says, "missing at 1 nodes"));

    assert_false(rebalance_users_due(&r, t, r.again_us - 1));
    assert_true(rebalance_users_due(&r, t, r.again_us));
    (void)prepare(&r, t);
    assert_true(has_user(j.port));
    assert_string_equal(r.says, "");
    assert_false(rebalance_users_due(&r, t, r.again_us + 10000000));
    rebalance_users_ready_done(&r);
    assert_string_equal(ds_ask(j.port, "ACL DELUSER prism-fl-0"), "1");
    leave(&j);
}

/* While one comes back another fails: there are as many as before, but not the same. */
static void node_that_comes_back_is_prepared_while_another_fails(void **state)
{
    (void)state;
    enum { MANY = 64 };
    struct pr_err err = { 0 };
    struct rebalance_users_ready r = { .says = "" };
    struct pr_node node[MANY];
    assert_ok(pr_cluster_refresh(ds.cluster, &err), &err);
    struct pr_topology t = *pr_cluster_topology(ds.cluster);
    assert_true(t.nodes >= 2 && t.nodes <= MANY);
    memcpy(node, t.node, t.nodes * sizeof *node);
    t.node = node;
    node[0].failed = true;
    assert_int_equal(ds_ask(node[0].port, "ACL DELUSER %s", ds.user.name)[0], '1');
    (void)prepare(&r, &t);
    assert_int_equal(r.made.n, t.nodes - 1);
    assert_false(has_user(node[0].port));
    assert_false(rebalance_users_due(&r, &t, r.again_us));

    node[0].failed = false;
    node[1].failed = true;
    assert_true(rebalance_users_due(&r, &t, 0)); /* at once */
    (void)prepare(&r, &t);
    assert_true(has_user(node[0].port));
    node[1].failed = false; /* restarted meanwhile, for all we know */
    assert_true(rebalance_users_due(&r, &t, 0));
    (void)prepare(&r, &t);
    assert_int_equal(r.made.n, t.nodes);
    rebalance_users_ready_done(&r);
}

int main(int argc, char **argv) /* PATTERN: only tests of that name */
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_joins_as_a_replica_and_leaves),
        cmocka_unit_test(new_shard_gets_a_primary_and_a_replica),
        cmocka_unit_test(replica_moves_to_another_shard),
        cmocka_unit_test(replication_is_refused_to_who_serves),
        cmocka_unit_test(node_of_another_cluster_is_not_merged_in),
        cmocka_unit_test(replica_takes_over_and_gives_back),
        cmocka_unit_test(no_fail_over_with_an_open_slot),
        cmocka_unit_test(dead_primary_is_left_to_the_election),
        cmocka_unit_test(dead_node_is_forgotten_and_stays_away),
        cmocka_unit_test(asked_to_stop_it_stops_and_goes_on_later),
        cmocka_unit_test(nothing_is_sent_without_a_lease),
        cmocka_unit_test(keys_are_deleted_only_where_nobody_serves_them),
        cmocka_unit_test(node_that_does_not_answer_holds_nobody_up),
        cmocka_unit_test(node_that_comes_back_is_prepared_while_another_fails),
    };
    return cmocka_run_group_tests(tests, duty_stage_open, duty_stage_close);
}
