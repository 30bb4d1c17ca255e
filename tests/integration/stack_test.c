/* The local stack is what the other tests and ./dev take it to be. */
#include "t.h"

#include "it.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_fresh_database_has_every_migration_and_the_services_can_log_in(void **state)
{
    (void)state;
    static const char *const service[] = { "placement", "rebalance", "autoscale", "metadata-api" };
    char uri[IT_URI], role[IT_URI], cell[64];

    it_database("stack", uri);
    it_sql(uri, "SELECT count(*) >= 4 FROM schema_migrations", cell, sizeof cell);
    assert_string_equal(cell, "t");
    for (size_t i = 0; i < PR_COUNT(service); i++) {
        it_role_uri(uri, service[i], role);
        it_sql(role, "SELECT count(*) FROM zones", cell, sizeof cell);
        assert_string_equal(cell, "0");
    }
}

/* "id addr flags primary ..." of CLUSTER NODES */
static void each_node(const char *list, void (*see)(int port, const char *flags, int primary_port),
                      const char *whole)
{
    for (const char *line = list; line != NULL && *line != '\0';) {
        char id[64], addr[64], flags[64], primary[64], primary_addr[64] = ":0";
        const char *p;

        assert_int_equal(sscanf(line, "%63s %63s %63s %63s", id, addr, flags, primary), 4);
        if (primary[0] != '-') {
            p = strstr(whole, primary);
            while (p != NULL && p != whole && p[-1] != '\n')
                p = strstr(p + 1, primary);
            assert_non_null(p);
            assert_int_equal(sscanf(p, "%*s %63s", primary_addr), 1);
        }
        see(atoi(strchr(addr, ':') + 1), flags, atoi(strchr(primary_addr, ':') + 1));
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
}

/* Tests before this one may have failed a shard over: the first nodes are the
 * primaries of the layout that the stack was started with. */
static bool leads(void *ctx)
{
    redisContext *c = it_redis_admin(*(int *)ctx);
    redisReply *r = redisCommand(c, "ROLE");
    const bool primary = r != NULL && strcmp(r->element[0]->str, "master") == 0;
    freeReplyObject(r);
    if (!primary)
        freeReplyObject(redisCommand(c, "CLUSTER FAILOVER"));
    redisFree(c);
    return primary;
}

static int n_primaries[3], n_replicas, n_beside_primary;

static void count_node(int port, const char *flags, int primary_port)
{
    char zone[8];

    snprintf(zone, sizeof zone, "%s", it_redis_zone(port));
    if (strstr(flags, "master") != NULL) {
        n_primaries[zone[0] - 'a']++;
        return;
    }
    n_replicas++;
    n_beside_primary += strcmp(zone, it_redis_zone(primary_port)) == 0;
}

/* As one node sees the cluster; after a fail-over it may learn late. */
static bool spread(void *port)
{
    redisContext *c = it_redis_admin(*(int *)port);
    redisReply *r = redisCommand(c, "CLUSTER NODES");

    assert_non_null(r);
    n_replicas = n_beside_primary = 0;
    memset(n_primaries, 0, sizeof n_primaries);
    each_node(r->str, count_node, r->str);
    freeReplyObject(r);
    redisFree(c);
    return n_primaries[0] == 2 && n_primaries[1] == 2 && n_primaries[2] == 2 && n_replicas == 6;
}

static void primaries_are_spread_and_no_replica_shares_its_primarys_zone(void **state)
{
    (void)state;
    int port[IT_MAX_NODES];

    it_cluster_await(30000);
    assert_int_equal(it_redis_ports(port), 12);
    for (int i = 0; i < 6; i++)
        assert_true(it_await(leads, &port[i], 20000));
    it_cluster_await(30000);
    if (!it_await(spread, &port[0], 20000))
        fail_msg("primaries in a, b, c: %d, %d, %d; replicas: %d", n_primaries[0], n_primaries[1],
                 n_primaries[2], n_replicas);
    assert_int_equal(n_beside_primary, 0);
}

static void check_setting(redisContext *c, const char *name, const char *want)
{
    redisReply *r = redisCommand(c, "CONFIG GET %s", name);

    assert_non_null(r);
    assert_int_equal(r->elements, 2);
    assert_string_equal(r->element[1]->str, want);
    freeReplyObject(r);
}

static void redis_keeps_everything_and_serves_what_is_left(void **state)
{
    (void)state;
    int port[IT_MAX_NODES];
    size_t n = it_redis_ports(port);

    for (size_t i = 0; i < n; i++) {
        redisContext *c = it_redis_admin(port[i]);

        check_setting(c, "maxmemory-policy", "noeviction");
        check_setting(c, "cluster-require-full-coverage", "no");
        check_setting(c, "appendonly", "yes");
        check_setting(c, "cluster-node-timeout", "5000");
        redisFree(c);
    }
}

static void expect_ok(redisContext *c, const char *command)
{
    redisReply *r = redisCommand(c, command);

    assert_non_null(r);
    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", command, r->str);
    freeReplyObject(r);
}

/* Slot 0 belongs to the first node; "{06S}" hashes to it. A function that writes
 * twice is such a transaction in the append-only file, which Redis loads with the
 * rights of the default user. */
static void a_killed_redis_node_still_holds_what_a_transaction_wrote(void **state)
{
    (void)state;
    int port[IT_MAX_NODES];
    char name[32];

    it_cluster_await(30000);
    it_redis_ports(port);
    snprintf(name, sizeof name, "redis-%d", port[0]);
    redisContext *c = it_redis_admin(port[0]);
    expect_ok(c, "MULTI");
    expect_ok(c, "SET {06S}a 1");
    expect_ok(c, "SET {06S}b 2");
    expect_ok(c, "EXEC");
    redisFree(c);
    it_server_kill(name, true); /* before a replica is asked to take over */
    it_server_up(name);
    it_cluster_await(30000);
    c = it_redis_admin(port[0]);
    redisReply *r = redisCommand(c, "MGET {06S}a {06S}b");
    assert_non_null(r);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    assert_string_equal(r->element[0]->str != NULL ? r->element[0]->str : "lost", "1");
    assert_string_equal(r->element[1]->str != NULL ? r->element[1]->str : "lost", "2");
    freeReplyObject(r);
    expect_ok(c, "DEL {06S}a {06S}b");
    redisFree(c);
}

static bool restarted(void *ctx)
{
    pid_t pid = it_server_pid("nats");

    return pid > 0 && pid != *(pid_t *)ctx;
}

static void a_killed_server_comes_back_by_itself(void **state)
{
    (void)state;
    pid_t before = it_server_pid("nats");

    it_server_kill("nats", false);
    assert_true(it_await(restarted, &before, 10000));
    it_server_up("nats");
}

static void a_server_that_is_to_stay_down_stays_down_until_it_is_started(void **state)
{
    (void)state;
    pid_t before = it_server_pid("nats");

    it_server_kill("nats", true);
    /* runsv restarts after a second: two show that it does not */
    assert_false(it_await(restarted, &before, 2000));
    it_server_up("nats");
    assert_true(it_await(restarted, &before, 5000));
}

/* tools/localstack COMMAND $PRISM_IT_DIR WORD; exit status, what it says is in said. */
static char said[4096];
static int localstack(const char *command, const char *word)
{
    const char *argv[] = { PRISM_SOURCE_DIR "/tools/localstack", command, getenv("PRISM_IT_DIR"),
                           word, NULL };

    return it_run(NULL, argv, said, sizeof said, 60000);
}

static bool names_in_cluster(int port, int other)
{
    char address[32];
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, "CLUSTER NODES");

    assert_non_null(r);
    snprintf(address, sizeof address, ":%d@", other);
    const bool found = strstr(r->str, address) != NULL;
    freeReplyObject(r);
    redisFree(c);
    return found;
}

static void a_node_that_is_added_is_in_no_cluster_and_can_be_removed(void **state)
{
    (void)state;
    int port[IT_MAX_NODES], added = 0;
    char name[32], zone[32];

    it_redis_ports(port);
    assert_int_equal(localstack("node-add", NULL), 0);
    assert_int_equal(sscanf(said, "%31s 127.0.0.1:%d %31s", name, &added, zone), 3);
    assert_int_equal(atoi(name + strlen("redis-")), added);
    assert_non_null(strstr("abc", zone));
    assert_true(it_server_pid(name) > 0);
    assert_true(names_in_cluster(added, added)); /* it runs, as a cluster of one */
    assert_false(names_in_cluster(added, port[0]));
    assert_false(names_in_cluster(port[0], added));
    assert_int_equal(localstack("status", NULL), 0);
    assert_non_null(strstr(said, name));
    assert_int_equal(localstack("env", NULL), 0); /* it is no seed */
    assert_int_equal(it_redis_ports(port), 12);

    snprintf(zone, sizeof zone, "redis-%d", port[0]);
    assert_int_equal(localstack("node-remove", zone), 1); /* a member stays */
    assert_true(it_server_pid(zone) > 0);
    assert_int_equal(localstack("node-remove", "redis-1"), 1);
    const pid_t pid = it_server_pid(name);
    assert_int_equal(localstack("node-remove", name), 0);
    assert_int_not_equal(kill(pid, 0), 0);
    assert_int_equal(localstack("status", NULL), 0);
    assert_null(strstr(said, name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_database_has_every_migration_and_the_services_can_log_in),
        cmocka_unit_test(primaries_are_spread_and_no_replica_shares_its_primarys_zone),
        cmocka_unit_test(redis_keeps_everything_and_serves_what_is_left),
        cmocka_unit_test(a_killed_redis_node_still_holds_what_a_transaction_wrote),
        cmocka_unit_test(a_killed_server_comes_back_by_itself),
        cmocka_unit_test(a_server_that_is_to_stay_down_stays_down_until_it_is_started),
        cmocka_unit_test(a_node_that_is_added_is_in_no_cluster_and_can_be_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
