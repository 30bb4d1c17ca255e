/* Collecting from the Redis Cluster of the stack: load, a node that hangs, one that restarts. */
#include "t.h"

#include "io/collectors/redis.h"

#include "it.h"

#include "prism/io/clock.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TIMEOUT_MS = 800 };

static struct autoscale_redis_memory memory;
static int port[IT_MAX_NODES];
static size_t ports;
static struct pr_arena arena;
static struct autoscale_readings got;

static void pause_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&t, &t) != 0) {
    }
}

static void begin_readings(void)
{
    got = (struct autoscale_readings){ .arena = &arena };
}

static int setup(void **state)
{
    (void)state;
    ports = it_redis_ports(port);
    it_cluster_await(60000);
    pr_arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    autoscale_redis_forget(&memory);
    pr_arena_done(&arena);
    return 0;
}

static struct autoscale_redis source(void)
{
    return (struct autoscale_redis){ .seeds = it_env("IT_REDIS_SEEDS"),
                                     .auth = { it_env("IT_REDIS_ADMIN_USER"),
                                               it_env("IT_REDIS_ADMIN_PASSWORD") },
                                     .timeout_ms = TIMEOUT_MS };
}

static void collect(const struct autoscale_redis *from)
{
    struct pr_err err = { 0 };
    const struct autoscale_span when = { .now_ms = pr_now_ms() };
    begin_readings();
    assert_ok(autoscale_collect_redis(from, &when, &memory, &got, &err), &err);
    assert_int_equal(got.n, ports);
    for (size_t i = 0; i < got.n; i++) {
        assert_string_equal(got.reading[i].source, "redis");
        assert_int_equal(got.reading[i].at_ms, when.now_ms);
    }
}

static void tell(int p, const char *command)
{
    redisContext *c = it_redis_admin(p);
    redisReply *r = redisCommand(c, command);
    assert_non_null(r);
    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", command, r->str);
    freeReplyObject(r);
    redisFree(c);
}

static void work(int p)
{
    redisContext *c = it_redis_admin(p);
    redisReply *r = redisCommand(c, "EVAL %s 0", "for i = 1, 5000000 do end");
    assert_true(r != NULL && r->type != REDIS_REPLY_ERROR);
    freeReplyObject(r);
    redisFree(c);
}

static void id_of(int p, char id[PR_NODE_ID])
{
    redisContext *c = it_redis_admin(p);
    redisReply *r = redisCommand(c, "CLUSTER MYID");
    assert_non_null(r);
    snprintf(id, PR_NODE_ID, "%s", r->str);
    freeReplyObject(r);
    redisFree(c);
}

static const struct autoscale_reading *reading_of(int p)
{
    char id[PR_NODE_ID];
    id_of(p, id);
    for (size_t i = 0; i < got.n; i++)
        if (strcmp(got.reading[i].member, id) == 0)
            return &got.reading[i];
    fail_msg("no reading of the node on port %d", p);
    return NULL;
}

static bool is_replica(int p)
{
    redisContext *c = it_redis_admin(p);
    redisReply *r = redisCommand(c, "ROLE");
    assert_true(r != NULL && r->elements > 0);
    const bool yes = strcmp(r->element[0]->str, "slave") == 0;
    freeReplyObject(r);
    redisFree(c);
    return yes;
}

static int a_replica(void)
{
    for (size_t i = 0; i < ports; i++)
        if (is_replica(port[i]))
            return port[i];
    fail_msg("the stack has no replica");
    return 0;
}

static void the_second_answer_of_a_node_tells_its_load(void **state)
{
    (void)state;
    struct autoscale_redis from = source();
    autoscale_redis_forget(&memory);
    tell(port[0], "CONFIG SET maxmemory 100mb");
    collect(&from);
    for (size_t i = 0; i < got.n; i++) {
        assert_true(isnan(got.reading[i].value[AUTOSCALE_CPU]));
        assert_true(isnan(got.reading[i].value[AUTOSCALE_NETWORK]));
        assert_non_null(strstr(got.reading[i].why, "first answer"));
    }
    const double memory_pct = reading_of(port[0])->value[AUTOSCALE_MEMORY];
    assert_true(memory_pct > 0 && memory_pct < 100);
    /* No maxmemory: a share of the host's memory, which is more than 100 MB. */
    const double of_host = reading_of(port[1])->value[AUTOSCALE_MEMORY];
    assert_true(of_host > 0 && of_host < memory_pct);

    for (int i = 0; i < 3; i++) {
        pause_ms(400);
        work(port[0]);
    }
    collect(&from);
    for (size_t i = 0; i < got.n; i++) {
        const double cpu = got.reading[i].value[AUTOSCALE_CPU];
        assert_true(cpu >= 0 && cpu <= 100);
        assert_true(got.reading[i].value[AUTOSCALE_NETWORK] > 0); /* gossip apart: our INFO */
    }
    assert_true(reading_of(port[0])->value[AUTOSCALE_CPU] > 1);
    assert_string_equal(reading_of(port[0])->why, "");
    for (size_t i = 0; i < got.n; i++) /* of what is used, a part */
        assert_true(got.reading[i].data_bytes > 0 && got.reading[i].data_bytes < 1e9);
    assert_string_equal(reading_of(port[1])->why, "");
    tell(port[0], "CONFIG SET maxmemory 0");
}

static void nodes_go_by_the_names_of_the_fleet(void **state)
{
    (void)state;
    struct autoscale_redis from = source();
    char id[PR_NODE_ID];
    id_of(port[0], id);
    const struct autoscale_redis_name name = { id, "n1", "a" };
    from.name = &name;
    from.names = 1;
    collect(&from);
    size_t named = 0;
    for (size_t i = 0; i < got.n; i++)
        if (strcmp(got.reading[i].member, "n1") == 0) {
            assert_string_equal(got.reading[i].zone, "a");
            named++;
        }
    assert_int_equal(named, 1);
}

static void a_node_that_hangs_stops_nobody_else(void **state)
{
    (void)state;
    const struct autoscale_redis from = source();
    char name[32], id[PR_NODE_ID];
    const int p = a_replica();
    collect(&from);
    id_of(p, id);
    snprintf(name, sizeof name, "redis-%d", p);
    const pid_t pid = it_server_pid(name);
    pause_ms(1100);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    const int64_t begun_us = pr_mono_us();
    struct pr_err err = { 0 };
    begin_readings();
    const enum pr_code rc = autoscale_collect_redis(
        &from, &(struct autoscale_span){ .now_ms = pr_now_ms() }, &memory, &got, &err);
    const int64_t took_ms = (pr_mono_us() - begun_us) / 1000;
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_ok(rc, &err);
    assert_int_equal(got.n, ports);
    assert_true(took_ms < 3 * TIMEOUT_MS);
    for (size_t i = 0; i < got.n; i++) {
        const bool hung = strcmp(got.reading[i].member, id) == 0;
        assert_int_equal(isnan(got.reading[i].value[AUTOSCALE_CPU]) != 0, hung);
        if (hung) {
            snprintf(name, sizeof name, ":%d: ", p);
            assert_non_null(strstr(got.reading[i].why, name));
            assert_non_null(strstr(got.reading[i].why, "no answer in"));
        }
    }
    it_cluster_await(60000);
    pause_ms(1100);
    collect(&from); /* compared with what it said before it hung */
    assert_true(reading_of(p)->value[AUTOSCALE_CPU] >= 0);
}

static void a_restart_makes_no_negative_load(void **state)
{
    (void)state;
    const struct autoscale_redis from = source();
    char name[32];
    const int p = a_replica();
    collect(&from);
    snprintf(name, sizeof name, "redis-%d", p);
    it_server_kill(name, false);
    it_server_up(name);
    it_cluster_await(60000);
    pause_ms(1100);
    collect(&from);
    assert_true(isnan(reading_of(p)->value[AUTOSCALE_CPU]));
    assert_true(isnan(reading_of(p)->value[AUTOSCALE_NETWORK]));
    assert_non_null(strstr(reading_of(p)->why, "restarted"));
    pause_ms(1100);
    collect(&from);
    assert_true(reading_of(p)->value[AUTOSCALE_CPU] >= 0);
}

static void no_cluster_and_no_password_are_named(void **state)
{
    (void)state;
    struct autoscale_redis from = source();
    struct autoscale_redis_memory none = { 0 };
    struct pr_err err = { 0 };
    char seeds[64];
    const struct autoscale_span when = { .now_ms = 1 };
    begin_readings();
    from.auth.password = "wrong";
    assert_int_equal(autoscale_collect_redis(&from, &when, &none, &got, &err), PR_EDENIED);
    from = source();
    snprintf(seeds, sizeof seeds, "127.0.0.1:%d", it_free_port());
    from.seeds = seeds;
    assert_int_equal(autoscale_collect_redis(&from, &when, &none, &got, &err), PR_EUNAVAIL);
    assert_non_null(strstr(err.text, seeds));
    from.seeds = "nonsense";
    assert_int_equal(autoscale_collect_redis(&from, &when, &none, &got, &err), PR_EINVAL);
    assert_int_equal(got.n, 0);
    autoscale_redis_forget(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_answer_of_a_node_tells_its_load),
        cmocka_unit_test(nodes_go_by_the_names_of_the_fleet),
        cmocka_unit_test(a_node_that_hangs_stops_nobody_else),
        cmocka_unit_test(a_restart_makes_no_negative_load),
        cmocka_unit_test(no_cluster_and_no_password_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
