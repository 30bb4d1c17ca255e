/* The fleet as the planner is told it is, and what is refused before a plan may touch
 * a node. Real servers. */
#include "duty_stage.h"

#include "io/fleet/facts_ask.h"
#include "io/fleet/facts_counts.h"
#include "io/fleet/preflight.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pr_arena arena;

static int open_arena(void **state)
{
    (void)state;
    pr_arena_init(&arena, 0);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    pr_arena_done(&arena);
    return 0;
}

static enum pr_code load(struct rebalance_fleet_facts *f, struct pr_err *err)
{
    return rebalance_fleet_load(ds.db, ds.cluster, &ds.cfg, &arena, f, err);
}

static const struct rebalance_member *find(const struct rebalance_fleet_facts *f, int port,
                                           size_t *at)
{
    for (size_t i = 0; i < f->fleet.nodes; i++)
        if (f->node[i].port == port) {
            *at = i;
            return &f->fleet.node[i];
        }
    fail_msg("no node with port %d", port);
    return NULL;
}

static void refused(enum pr_code rc, enum pr_code want, const struct pr_err *err, const char *node,
                    const char *what)
{
    if (rc != want || strstr(err->text, node) == NULL || strstr(err->text, what) == NULL)
        fail_msg("%s (%s); want %s, '%s', '%s'", err->text, pr_code_name(rc), pr_code_name(want),
                 node, what);
}

/* --- facts ----------------------------------------------------------------------------- */

static void facts_are_what_tables_and_cluster_say(void **state)
{
    (void)state;
    struct rebalance_fleet_facts f;
    struct pr_err err = { 0 };
    char shard[64];
    size_t at = 0;
    const int primary = ds_primary_of_slot(77);
    ds_load(77, 500);
    ds_cell(shard, sizeof shard, "SELECT shard_id FROM nodes WHERE port = %d", primary);
    ds_sql("INSERT INTO nodes (id, host, port, zone_id) VALUES ('ghost', '127.0.0.1', 1, 'b')");
    ds_sql("INSERT INTO pins VALUES ('slot', '77', '', 'me'), ('node', 'n%d', '', 'me'), "
           "('shard', '%s', '', 'me')",
           primary, shard);
    ds_sql("INSERT INTO slot_history (slot, plan_id, from_shard, to_shard, moved_at) "
           "VALUES (77, 1, '%s', 'x', to_timestamp(1000)), (78, 1, 'gone', 'x', now())",
           shard);
    (void)ds_ask(primary, "CONFIG SET maxmemory 1gb");
    assert_ok(load(&f, &err), &err);
    assert_string_equal(ds_ask(primary, "CONFIG SET maxmemory 0"), "OK");

    assert_int_equal(f.fleet.nodes, ds.ports + 1);
    assert_int_equal(f.fleet.shards, ds.ports / 3); /* two replicas each */
    assert_int_equal(f.fleet.replicas, 2);
    assert_int_equal(f.fleet.zones, 3);
    assert_int_equal(f.open_slots, 0);
    assert_int_equal(f.node_timeout_ms, 5000);
    const struct rebalance_member *n = find(&f, primary, &at);
    assert_true(n->primary && n->member && !n->failed && n->pinned);
    assert_string_equal(f.fleet.zone[n->zone], it_redis_zone(primary));
    assert_int_equal(f.fleet.shard[n->shard].primary, at);
    assert_int_equal(f.fleet.shard[n->shard].home_zone, n->zone);
    assert_true(f.fleet.shard[n->shard].pinned);
    assert_true(n->capacity_bytes == 1 << 30 && n->used_bytes > 1e6);
    assert_string_equal(f.fleet.shard[n->shard].id, shard);
    const struct rebalance_slot_facts *s = &f.fleet.slot[77];
    assert_int_equal(s->keys, 500);
    assert_true(s->bytes > 500 * 100 && s->bytes < 500 * 2000);
    assert_true(s->pinned && !s->open);
    assert_int_equal(s->shard, n->shard);
    assert_int_equal(s->moved_from, n->shard);
    assert_int_equal(s->moved_at_ms, 1000 * 1000);
    assert_int_equal(f.fleet.slot[78].moved_from, REBALANCE_NONE);
    assert_true(f.fleet.slot[78].moved_at_ms > 1000000000000);
    assert_int_equal(f.fleet.slot[76].keys, 0);

    size_t replica_at = 0;
    const struct rebalance_member *replica = find(&f, ds_replica_of(primary, 0), &replica_at);
    assert_true(!replica->primary && replica->member && replica->shard == n->shard);
    assert_string_equal(f.node[replica_at].primary_redis_id, f.node[at].redis_id);
    const struct rebalance_member *ghost = find(&f, 1, &at);
    assert_true(!ghost->member && ghost->failed && ghost->shard == REBALANCE_NONE);
    assert_string_equal(f.node[at].redis_id, "");
    ds_sql("DELETE FROM nodes WHERE id = 'ghost'");
    ds_sql("DELETE FROM pins");
    ds_sql("DELETE FROM slot_history");
}

static void open_slot_is_seen(void **state)
{
    (void)state;
    struct rebalance_fleet_facts f;
    struct pr_err err = { 0 };
    char id[64];
    const int primary = ds_primary_of_slot(5), other = ds_primary_of_slot(16000);
    ds_redis_id(other, id);
    assert_string_equal(ds_ask(primary, "CLUSTER SETSLOT 5 MIGRATING %s", id), "OK");
    assert_ok(load(&f, &err), &err);
    assert_string_equal(ds_ask(primary, "CLUSTER SETSLOT 5 STABLE"), "OK");
    assert_int_equal(f.open_slots, 1);
    assert_true(f.fleet.slot[5].open && !f.fleet.slot[6].open);
}

static void fingerprint_follows_the_layout_and_nothing_else(void **state)
{
    (void)state;
    struct rebalance_fleet_facts f;
    struct pr_err err = { 0 };
    char now[REBALANCE_FINGERPRINT], zone[REBALANCE_FINGERPRINT];
    assert_ok(load(&f, &err), &err);
    assert_int_equal(strlen(f.fingerprint), 32);
    ds_load(9000, 10);
    assert_ok(rebalance_fingerprint(ds.db, ds.cluster, now, &err), &err);
    assert_string_equal(now, f.fingerprint);

    ds_sql("UPDATE nodes SET zone_id = 'a' WHERE id = 'n%d'", ds.port[1]);
    assert_ok(rebalance_fingerprint(ds.db, ds.cluster, zone, &err), &err);
    assert_string_not_equal(zone, now);
    ds_sql("UPDATE nodes SET zone_id = '%s' WHERE id = 'n%d'", it_redis_zone(ds.port[1]),
           ds.port[1]);
    assert_ok(rebalance_fingerprint(ds.db, ds.cluster, zone, &err), &err);
    assert_string_equal(zone, now);
}

static void nodes_that_refuse_are_named(void **state)
{
    (void)state;
    struct rebalance_fleet_facts f;
    struct pr_err err = { 0 };
    char name[32], server[32];
    const int port = ds.port[ds.ports - 1];
    snprintf(name, sizeof name, "127.0.0.1:%d", port);

    ds_sql("UPDATE nodes SET port = 2 WHERE port = %d", port);
    refused(load(&f, &err), PR_EDATA, &err, name, "not registered");
    ds_sql("UPDATE nodes SET port = %d WHERE port = 2", port);

    char password[128];
    snprintf(password, sizeof password, ">%s", ds.cfg.redis_password);
    assert_string_equal(ds_ask(port, "ACL SETUSER rebalance resetpass >other"), "OK");
    (void)ds_ask(port, "CLIENT KILL USER rebalance");
    refused(load(&f, &err), PR_EDENIED, &err, name, "WRONGPASS");
    assert_string_equal(ds_ask(port, "ACL SETUSER rebalance resetpass %s", password), "OK");

    assert_string_equal(ds_ask(port, "ACL SETUSER rebalance -info"), "OK");
    refused(load(&f, &err), PR_EDENIED, &err, name, "NOPERM");
    assert_string_equal(ds_ask(port, "ACL SETUSER rebalance +info"), "OK");

    snprintf(server, sizeof server, "redis-%d", port);
    const pid_t pid = it_server_pid(server);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    const enum pr_code rc = load(&f, &err);
    assert_int_equal(kill(pid, SIGCONT), 0);
    refused(rc, PR_ETIMEOUT, &err, name, "no answer");
    assert_ok(load(&f, &err), &err);
}

static void old_servers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *info;
        enum pr_code rc;
    } row[] = { { "# Server\r\nredis_version:6.2.14\r\n", PR_ECONFLICT },
                { "# Server\r\nredis_version:7.0.0\r\n", PR_OK },
                { "# Server\r\nredis_version:10.1.0\r\n", PR_OK },
                { "# Server\r\nold_redis_version:7.0.0\r\n", PR_EDATA } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct node_says says;
        struct pr_err err = { 0 };
        assert_int_equal(facts_read_info(row[i].info, &says, &err), row[i].rc);
    }
}

/* As Redis 8.2 and Valkey 8 answer; ours here are older. */
static void slot_statistics_are_read(void **state)
{
    (void)state;
    static const char text[] = "*2\r\n*2\r\n:7\r\n*6\r\n$9\r\nkey-count\r\n:3\r\n$8\r\ncpu-usec\r\n"
                               ":250\r\n$12\r\nmemory-bytes\r\n:4096\r\n"
                               "*2\r\n:9\r\n*2\r\n$8\r\ncpu-usec\r\n:5\r\n";
    static struct slot_stat stat[REBALANCE_SLOTS];
    redisReader *reader = redisReaderCreate();
    void *r = NULL;
    assert_int_equal(redisReaderFeed(reader, text, sizeof text - 1), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &r), REDIS_OK);
    assert_true(facts_read_slot_stats(r, stat));
    freeReplyObject(r);
    assert_true(stat[7].memory_bytes == 4096 && stat[7].cpu_us == 250);
    assert_true(stat[9].memory_bytes == 0 && stat[9].cpu_us == 5);
    static const char bad[] = "*1\r\n*2\r\n:16384\r\n*0\r\n";
    assert_int_equal(redisReaderFeed(reader, bad, sizeof bad - 1), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &r), REDIS_OK);
    assert_false(facts_read_slot_stats(r, stat));
    freeReplyObject(r);
    redisReaderFree(reader);
}

/* --- preflight: a node that is to join ------------------------------------------------------ */

static enum pr_code join(const char *node, struct pr_err *err)
{
    return rebalance_preflight_join(ds.db, ds.cluster, &ds.cfg, node, err);
}

static void join_refused(const char *node, enum pr_code want, const char *what)
{
    struct pr_err err = { 0 };
    const enum pr_code rc = join(node, &err);
    refused(rc, want, &err, node, what);
}

static void fit_node_may_join(void **state)
{
    (void)state;
    struct joiner j;
    struct pr_err err = { 0 };
    ds_joiner(&j, "a", NULL);
    assert_ok(join(j.id, &err), &err);
    ds_joiner_stop(&j);
    char member[32];
    snprintf(member, sizeof member, "n%d", ds.port[0]);
    assert_ok(join(member, &err), &err);
}

static void node_that_nobody_can_take_in_is_refused(void **state)
{
    (void)state;
    struct joiner j;
    join_refused("nobody", PR_ENOTFOUND, "not registered");
    ds_sql("INSERT INTO nodes (id, host, port, zone_id) VALUES ('deaf', '127.0.0.1', 1, 'a')");
    join_refused("deaf", PR_EUNAVAIL, "127.0.0.1:1");
    ds_sql("UPDATE nodes SET zone_id = NULL WHERE id = 'deaf'");
    join_refused("deaf", PR_ECONFLICT, "zone is unknown");
    ds_sql("DELETE FROM nodes WHERE id = 'deaf'");

    ds_joiner(&j, "a", NULL);
    ds_sql("UPDATE nodes SET host = 'localhost' WHERE id = '%s'", j.id);
    join_refused(j.id, PR_EINVAL, "want the IP address");
    ds_sql("UPDATE nodes SET host = '127.0.0.1' WHERE id = '%s'", j.id);
    ds_joiner_stop(&j);

    ds_joiner(&j, "a", "cluster-enabled no");
    join_refused(j.id, PR_ECONFLICT, "not in cluster mode");
    ds_joiner_stop(&j);
}

static bool takes_a_key(void *ctx)
{
    const struct joiner *j = ctx;
    return strcmp(ds_ask(j->port, "SET {%s}a 1", it_slot_tag(1)), "OK") == 0;
}

static void node_with_a_past_is_refused(void **state)
{
    (void)state;
    struct joiner j, other;
    ds_joiner(&j, "a", NULL);
    ds_joiner(&other, NULL, NULL);
    assert_string_equal(ds_ask(j.port, "CLUSTER ADDSLOTS 1 2 3"), "OK");
    join_refused(j.id, PR_ECONFLICT, "owns 3 slots");
    if (!it_await(takes_a_key, &j, DUTY_AWAIT_MS)) /* a primary waits 2 s before it serves */
        fail_msg("%s", ds_ask(j.port, "CLUSTER INFO"));
    join_refused(j.id, PR_ECONFLICT, "holds 1 keys");
    assert_string_equal(ds_ask(j.port, "FLUSHALL"), "OK");
    assert_string_equal(ds_ask(j.port, "CLUSTER DELSLOTS 1 2 3"), "OK");
    ds_meet(&j, &other);
    join_refused(j.id, PR_ECONFLICT, "another cluster");
    ds_joiner_stop(&j);
    ds_joiner_stop(&other);
}

static void node_that_is_set_up_otherwise_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *set, *back, *what;
    } row[] = {
        { "CONFIG SET maxmemory-policy allkeys-lru", "CONFIG SET maxmemory-policy noeviction",
          "maxmemory-policy is 'allkeys-lru'" },
        { "CONFIG SET appendonly no", "CONFIG SET appendonly yes", "appendonly is 'no'" },
        { "CONFIG SET cluster-node-timeout 9000", "CONFIG SET cluster-node-timeout 5000",
          "cluster-node-timeout is '9000', the members have '5000'" },
        { "CONFIG SET masterauth wrong", NULL, "masterauth is not the members'" },
        { "ACL DELUSER client", "ACL LOAD", "no Redis user client" },
        { "ACL SETUSER replica >more", "ACL LOAD", "Redis user replica has other rights" },
        { "ACL SETUSER rebalance -cluster|countkeysinslot", "ACL LOAD",
          "Redis user rebalance has other rights" },
        { "ACL SETUSER default -@all", "ACL LOAD", "Redis user default has other rights" },
    };
    struct joiner j;
    struct pr_err err = { 0 };
    char masterauth[128];
    ds_joiner(&j, "a", NULL);
    snprintf(masterauth, sizeof masterauth, "%s",
             ds_ask(ds.port[0], "CONFIG GET masterauth") + strlen("masterauth "));
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        if (ds_ask(j.port, row[i].set)[0] == '-')
            fail_msg("%s was refused", row[i].set);
        join_refused(j.id, PR_ECONFLICT, row[i].what);
        if (row[i].back != NULL)
            assert_string_equal(ds_ask(j.port, row[i].back), "OK");
        else
            assert_string_equal(ds_ask(j.port, "CONFIG SET masterauth %s", masterauth), "OK");
        assert_ok(join(j.id, &err), &err);
    }
    assert_string_equal(ds_ask(j.port, "ACL SETUSER rebalance resetpass >other"), "OK");
    join_refused(j.id, PR_EDENIED, "WRONGPASS");
    ds_joiner_stop(&j);
}

/* --- preflight: a plan ------------------------------------------------------------------------ */

static void step(const char *kind, const char *src, const char *dst)
{
    ds_sql("INSERT INTO steps (plan_id, step, wave, kind, src_node, dst_node) "
           "SELECT 2, count(*) + 1, 1, '%s', '%s', '%s' FROM steps WHERE plan_id = 2",
           kind, src, dst);
}

static enum pr_code plan(struct pr_err *err)
{
    const enum pr_code rc = rebalance_preflight_plan(ds.db, ds.cluster, &ds.cfg, 2, err);
    ds_sql("DELETE FROM steps WHERE plan_id = 2");
    return rc;
}

static void plan_is_refused_for_any_node_of_it(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct joiner j;
    char a[32], b[32];
    snprintf(a, sizeof a, "n%d", ds.port[0]);
    snprintf(b, sizeof b, "n%d", ds.port[1]);
    step("slot", a, b);
    assert_ok(plan(&err), &err);
    step("slot", a, "unknown");
    refused(plan(&err), PR_ENOTFOUND, &err, "unknown", "not registered");

    ds_joiner(&j, "b", NULL);
    step("slot", a, j.id);
    refused(plan(&err), PR_ECONFLICT, &err, j.id, "does not take it in");
    step("meet", "", j.id);
    step("slot", a, j.id);
    assert_ok(plan(&err), &err);
    assert_string_equal(ds_ask(j.port, "CONFIG SET maxmemory-policy allkeys-lru"), "OK");
    step("meet", "", j.id);
    refused(plan(&err), PR_ECONFLICT, &err, j.id, "maxmemory-policy");
    step("forget", "", j.id); /* may be anything */
    assert_ok(plan(&err), &err);
    ds_joiner_stop(&j);

    ds_sql("UPDATE nodes SET zone_id = NULL WHERE id = '%s'", b);
    step("slot", a, b);
    refused(plan(&err), PR_ECONFLICT, &err, b, "zone is unknown");
    ds_sql("UPDATE nodes SET zone_id = '%s' WHERE id = '%s'", it_redis_zone(ds.port[1]), b);

    const int primary = ds_primary_of_slot(0);
    assert_string_equal(ds_ask(primary, "CONFIG SET cluster-require-full-coverage yes"), "OK");
    step("slot", a, b);
    refused(plan(&err), PR_ECONFLICT, &err, "127.0.0.1", "cluster-require-full-coverage");
    assert_string_equal(ds_ask(primary, "CONFIG SET cluster-require-full-coverage no"), "OK");
}

/* --- the watcher --------------------------------------------------------------------------------
 */

static void shard_gets_its_home_zone_when_it_is_first_seen(void **state)
{
    (void)state;
    char n[32], zone[32];
    ds_cell(n, sizeof n,
            "SELECT count(*) FROM shards s JOIN nodes n ON n.id = s.primary_id "
            "WHERE s.home_zone = n.zone_id");
    assert_int_equal(atoi(n), ds.ports / 3);
    ds_sql("UPDATE shards SET home_zone = NULL");
    ds_sql("UPDATE shards SET slots = 0"); /* so that there is something to write */
    ds_sql("UPDATE nodes SET slots = 0");
    ds_watch();
    ds_cell(n, sizeof n, "SELECT count(*) FROM shards WHERE home_zone IS NULL");
    assert_int_equal(atoi(n), 0);
    ds_sql("UPDATE shards SET home_zone = 'elsewhere', slots = 0");
    ds_watch();
    ds_cell(zone, sizeof zone, "SELECT string_agg(DISTINCT home_zone, '+') FROM shards");
    assert_string_equal(zone, "elsewhere"); /* set once, kept */
    ds_sql("UPDATE shards SET home_zone = NULL, slots = 0");
    ds_watch();
}

int main(void)
{
#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, open_arena, close_arena)
    const struct CMUnitTest tests[] = {
        WITH_ARENA(facts_are_what_tables_and_cluster_say),
        WITH_ARENA(open_slot_is_seen),
        WITH_ARENA(fingerprint_follows_the_layout_and_nothing_else),
        WITH_ARENA(nodes_that_refuse_are_named),
        cmocka_unit_test(old_servers_are_refused),
        cmocka_unit_test(slot_statistics_are_read),
        cmocka_unit_test(fit_node_may_join),
        cmocka_unit_test(node_that_nobody_can_take_in_is_refused),
        cmocka_unit_test(node_with_a_past_is_refused),
        cmocka_unit_test(node_that_is_set_up_otherwise_is_refused),
        cmocka_unit_test(plan_is_refused_for_any_node_of_it),
        cmocka_unit_test(shard_gets_its_home_zone_when_it_is_first_seen),
    };
    return cmocka_run_group_tests(tests, duty_stage_open, duty_stage_close);
}
