/* A zone stays away: a member without a shard stands in for a replica that went with it, in a zone
 * where its new shard has nobody. Four zones: of three the others hold a member of every shard. */
#include "zone_stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *ask(int port, const char *command)
{
    static char text[1 << 16];
    redisContext *c = it_redis_admin(port);
    redisReply *r = redisCommand(c, command);
    if (r == NULL)
        fail_msg("%d: %s: %s", port, command, c->errstr);
    const redisReply *last =
        r->type == REDIS_REPLY_ARRAY && r->elements > 0 ? r->element[r->elements - 1] : r;
    snprintf(text, sizeof text, "%s", last->str == NULL ? "" : last->str);
    freeReplyObject(r);
    redisFree(c);
    return text;
}

/* The last member of shard 2 leaves it, and is a primary that serves nothing. */
static void make_spare(const struct zs_node *spare)
{
    char meet[80], bus[16];
    assert_string_equal(ask(spare->port, "CLUSTER RESET SOFT"), "OK");
    snprintf(bus, sizeof bus, "%s", ask(spare->port, "CONFIG GET cluster-port"));
    snprintf(meet, sizeof meet, "CLUSTER MEET 127.0.0.1 %d %s", spare->port, bus);
    assert_string_equal(ask(zs.primary[0], meet), "OK");
    zs_await("primary up", "SELECT role || ' ' || state FROM nodes WHERE port = %d", spare->port);
    zs_text("UPDATE nodes SET shard_id = NULL WHERE port = %d", spare->port);
    zs_await("", "SELECT shard_id FROM nodes WHERE port = %d", spare->port);
}

static void a_spare_stands_in_after_the_grace_period(void **state)
{
    (void)state;
    static const char *const extra[] = { "PRISM_REBALANCE_ZONE_GRACE_S=2",
                                         "PRISM_REBALANCE_TAKE_BACKS_A_DAY=0",
                                         "PRISM_REBALANCE_REPLICAS=2", NULL };
    char replicate[80];
    zs_begin("abcbcdcad", extra);
    const struct zs_node *spare = &zs.node[zs.nodes - 1];
    make_spare(spare);
    snprintf(replicate, sizeof replicate, "CLUSTER REPLICATE %s",
             ask(zs.primary[2], "CLUSTER MYID"));
    /* As if one had been refused a moment ago: the fail-overs change what it was planned from. */
    zs_text("INSERT INTO plans (operation_id, kind, goal, created_by, state) VALUES "
            "(gen_random_uuid(), 'fleet', '{\"kind\": \"join\"}', 'policy rebalance', 'failed') "
            "RETURNING id");
    zs_strike("b", SIGKILL);
    zs_await("t", "SELECT covered_at IS NOT NULL FROM zone_incidents");
    zs_await("join 1", "SELECT string_agg(DISTINCT goal->>'kind', ' ') || ' ' || count(*) FILTER "
                       "(WHERE state = 'done') FROM plans");
    zs_await("replica", "SELECT role FROM nodes WHERE port = %d", spare->port);
    assert_non_null(strstr(ask(spare->port, "INFO replication"), "master_link_status:up"));
    assert_int_equal(zs_number("SELECT count(*) FROM nodes a JOIN nodes b ON a.shard_id = "
                               "b.shard_id AND a.zone_id = b.zone_id AND a.id < b.id AND a.state = "
                               "'up' AND b.state = 'up'"),
                     0);
    zs_return("b", SIGKILL);
    zs_await("0", "SELECT count(*) FROM zone_incidents WHERE ended_at IS NULL");
    assert_int_equal(zs_number("SELECT count(*) FROM plans WHERE state <> 'failed' OR started_at "
                               "IS NOT NULL"),
                     1);
    assert_string_equal(ask(spare->port, replicate), "OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_spare_stands_in_after_the_grace_period, zs_end),
    };
    return cmocka_run_group_tests_name("spares", tests, zs_open, zs_close);
}
