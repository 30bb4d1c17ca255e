/* The dr service while its sources fail: stopped, killed, promoted, with a primary that dies. Two
 * replicas a shard: there is another one to go to. */
#include "dr_ledger.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int open_all(void **state)
{
    const int rc = dr_stage_open(state);
    dr_stage_set("PRISM_DR_LEASE_TTL_MS", "2000");
    return rc;
}

static long generation(const char *shard)
{
    return dr_stage_number("SELECT generation_epoch * 65536 + generation_n FROM dr_shards WHERE "
                           "shard_id = '%s'",
                           shard);
}

/* It closes nothing, and is silent: heartbeats would come every 500 ms. */
static void a_stopped_source_is_left(void **state)
{
    (void)state;
    struct dr_shard_at shard[IT_MAX_NODES];
    char source[32];
    dr_stage_set("PRISM_DR_BEAT_MS", "500");
    dr_stage_start();
    (void)dr_stage_shards(shard);
    dr_ledger_start(1);
    dr_ledger_await_acked(30);
    const long before = generation(shard[0].id);
    dr_stage_source(shard[0].id, source);
    struct dr_stage_leaving l = { shard[0].id, source };
    const pid_t pid = it_server_pid(source);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    const bool left = it_await(dr_stage_left, &l, 10000);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_true(left);
    assert_int_equal(generation(shard[0].id), before);
    dr_ledger_await_acked(60);
    dr_ledger_check(0, false);
}

static void a_killed_source_is_left_at_once(void **state)
{
    (void)state;
    struct dr_shard_at shard[IT_MAX_NODES];
    char source[32];
    (void)dr_stage_shards(shard);
    const long before = generation(shard[1].id);
    dr_stage_source(shard[1].id, source);
    struct dr_stage_leaving l = { shard[1].id, source };
    it_server_kill(source, true);
    const bool left = it_await(dr_stage_left, &l, 4000);
    it_server_up(source);
    assert_true(left);
    assert_int_equal(generation(shard[1].id), before);
    dr_ledger_await_acked(60);
}

static bool healthy(void *ctx)
{
    (void)ctx;
    return it_cluster_healthy();
}

struct successor {
    const struct dr_shard_at *of;
    int port;
};

static bool topology_names_another(void *ctx)
{
    struct successor *by = ctx;
    char port[32];
    dr_stage_text(port, sizeof port,
                  "SELECT n.port FROM shards s JOIN nodes n ON n.id = s.primary_id WHERE "
                  "s.id = '%s'",
                  by->of->id);
    by->port = atoi(port);
    return by->port > 0 && by->port != by->of->port;
}

/* The source may be promoted, or stay a replica of another: it goes on by the new name of the
 * history, without a base, where a replica still knows the old one. */
static void a_dead_primary_costs_nothing_that_was_durable(void **state)
{
    (void)state;
    struct dr_shard_at shard[IT_MAX_NODES];
    char old[64], now[64], server[32];
    uint64_t offset;
    struct dr_answer a;
    const size_t n = dr_stage_shards(shard);
    it_cluster_await(DR_AWAIT_MS);
    const struct dr_shard_at *s = &shard[n - 1];
    const long before = generation(s->id);
    dr_ledger_history(s->port, old, &offset);
    (void)snprintf(server, sizeof server, "redis-%d", s->port);
    it_server_kill(server, true);
    struct successor by = { s, 0 };
    const bool moved = it_await(topology_names_another, &by, DR_AWAIT_MS);
    it_server_up(server);
    assert_true(moved);
    assert_true(it_await(healthy, NULL, DR_AWAIT_MS));
    dr_ledger_await_acked(100);
    dr_ledger_history(by.port, now, &offset);
    assert_string_not_equal(old, now);
    dr_ledger_ask(s->id, now, offset, 5000, &a);
    assert_true(a.reached);
    assert_string_equal(a.replid, now);
    if (generation(s->id) == before) {
        /* What the old history had up to the fail-over is in this one, and nothing behind it. */
        dr_ledger_ask(s->id, old, 1, 1000, &a);
        assert_true(a.reached);
        dr_ledger_ask(s->id, old, offset, 1000, &a);
        assert_false(a.reached);
    } else
        print_message("a new base was needed: no replica knew the old history\n");
    assert_int_equal(it_stop(dr.dr.pid), 0); /* heartbeats would make primaries differ */
    dr_stage_set("PRISM_DR_BEAT_MS", "60000");
    dr_stage_start();
    dr_ledger_stop();
    dr_stage_await_durable();
    dr_ledger_check(DR_LEDGER_ALL, true);
}

/* The bucket stalls in the midst of a base while the primary is written to: the source closes us at
 * its limit. The next base is tried, and an alarm says so until one is finished. */
static void a_base_that_the_source_gives_up_is_tried_again(void **state)
{
    (void)state;
    static char alarm[] = "base";
    struct it_proxy proxy;
    if (dr.dr.pid > 0) /* of the tests before */
        assert_int_equal(it_stop(dr.dr.pid), 0);
    it_proxy(&proxy, atoi(strrchr(it_env("IT_S3_URL"), ':') + 1));
    dr_stage_set("PRISM_DR_S3_ENDPOINT", proxy.url);
    dr_stage_set("PRISM_DR_PART_BYTES", "65536");
    dr_stage_fresh();
    dr_ledger_forget();
    dr_stage_config("repl-backlog-size", "1048576");
    dr_stage_config("client-output-buffer-limit", "replica 1mb 1mb 1");
    dr_stage_write(70, 1500); /* bases of some MB */
    it_proxy_rules(&proxy, "slowdown method=PUT");
    it_service(&dr.dr, "dr", dr.uri, dr.env);
    for (unsigned i = 0; i < 40 && !dr_stage_raised(alarm); i++)
        dr_stage_write(80 + i, 1500);
    assert_true(it_await(dr_stage_raised, alarm, 70000));
    it_proxy_rules(&proxy, "");
    dr_stage_await_streaming();
    assert_true(it_await(dr_stage_not_raised, alarm, 20000));
    dr_stage_await_durable();
    dr_stage_config("client-output-buffer-limit", "replica 256mb 64mb 60");
}

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern: those alone */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_source_is_left),
        cmocka_unit_test(a_killed_source_is_left_at_once),
        cmocka_unit_test(a_dead_primary_costs_nothing_that_was_durable),
        cmocka_unit_test(a_base_that_the_source_gives_up_is_tried_again),
    };
    return cmocka_run_group_tests_name("dr failover", tests, open_all, dr_stage_close);
}
