#include "zone_lost.h"

#include "prism/io/clock.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void begin_watching(void)
{
    zs_begin(NULL, NULL);
    zs_text("UPDATE policies SET spec = '{\"auto\": [\"failback\"]}' WHERE name = 'rebalance'");
    assert_string_equal(zs_text("SELECT string_agg(zone_id || ' ' || state || ' ' || "
                                "cardinality(alarms), ', ' ORDER BY zone_id) FROM zone_states"),
                        "a up 0, b up 0, c up 0");
    zs_writers_start(zs.replicas);
    zs_writers_await(500);
}

bool zone_metrics_say(const char *line)
{
    static char text[1 << 17];
    if (it_http(zs.service.port, "GET", "/metrics", NULL, NULL, text, sizeof text) != 200)
        fail_msg("no metrics");
    return strstr(text, line) != NULL;
}

static void former_primaries_are_replicas(const char *zone)
{
    for (size_t i = 0; i < zs.nodes; i++)
        if (strcmp(zs.node[i].zone, zone) == 0 && zs_leads(zs.node[i].port))
            fail_msg("%d leads", zs.node[i].port);
}

static int leading_in(const char *zone)
{
    int n = 0;
    for (size_t i = 0; i < zs.nodes; i++)
        n += strcmp(zs.node[i].zone, zone) == 0 && zs_leads(zs.node[i].port);
    return n;
}

void zone_is_lost_and_comes_back(const char *zone, int signal)
{
    begin_watching();
    /* Not as the service says: it may look for the first time once a replica has taken over. */
    const int lost = leading_in(zone);
    char every[24];
    snprintf(every, sizeof every, "%d", lost);
    const int64_t since_us = pr_mono_us();
    zs_strike(zone, signal);
    const int64_t ms = zs_covered_ms(since_us, 20000);
    print_message("zone %s %s: every shard takes writes again after %lld ms\n", zone,
                  signal == SIGKILL ? "killed" : "stopped", (long long)ms);
    assert_in_range(ms, 1, ZONE_COVERED_MS);
    zs_writers_need(1);

    zs_await("t t t",
             "SELECT concat_ws(' ', whole, quorum, covered_at IS NOT NULL) FROM "
             "zone_incidents WHERE zone_id = '%s' AND ended_at IS NULL",
             zone);
    zs_await("down {down}",
             "SELECT state || ' ' || alarms::text FROM zone_states WHERE zone_id = '%s'", zone);
    zs_await(every,
             "SELECT count(*) FROM failovers WHERE outcome = 'promoted' AND NOT forced AND "
             "incident_id IS NOT NULL AND zone_id = '%s' AND to_node <> from_node",
             zone);
    print_message("told by the service: %s\n",
                  zs_text("SELECT string_agg(shard_id || ' ' || round(extract(epoch FROM ended_at "
                          "- seen_at) * 1000) || ' ms', ', ') FROM failovers"));
    /* From the last sign of life, which is at most half a node time-out before the strike, until a
     * look a second at most after the promotion. */
    assert_int_equal(
        zs_number("SELECT count(*) FROM failovers WHERE ended_at - seen_at NOT BETWEEN "
                  "interval '4 s' AND interval '16 s'"),
        0);
    /* All primaries are in two zones now. */
    assert_true(zs_number("SELECT count(*) FROM zone_states WHERE 'majority' = ANY(alarms)") >= 1);
    char line[128];
    snprintf(line, sizeof line, "prism_rebalance_zone_down{zone=\"%s\"} 1\n", zone);
    assert_true(zone_metrics_say(line));
    assert_true(zone_metrics_say("prism_rebalance_uncovered_slots 0\n"));
    zs_writers_await(500);

    zs_writers_need(zs.replicas);
    zs_return(zone, signal);
    it_cluster_await(ZS_AWAIT_MS);
    former_primaries_are_replicas(zone);
    zs_writers_await(500);
    zs_await("0", "SELECT count(*) FROM zone_incidents WHERE ended_at IS NULL");
    zs_await("done", "SELECT string_agg(state, ' ') FROM plans WHERE created_by = 'policy "
                     "rebalance' AND goal->>'kind' = 'failback'");
    for (int s = 0; s < zs.shards; s++)
        assert_true(zs_leads(zs.primary[s]));
    zs_await("0", "SELECT count(*) FROM zone_states WHERE alarms <> '{}' OR state <> 'up'");
    snprintf(line, sizeof line, "prism_rebalance_zone_majority{zone=\"%s\"} 0\n", zone);
    assert_true(zone_metrics_say(line));
    assert_true(zs_writers_check() > 1500);
    assert_int_equal(zs_number("SELECT count(*) FROM outbox WHERE subject = "
                               "'prism.evt.topology.zone'"),
                     3);
    assert_true(zs_number("SELECT count(*) FROM outbox WHERE subject = "
                          "'prism.evt.topology.failover'") >= lost);
    assert_int_equal(zs_number("SELECT count(*) FROM zone_incidents"), 1);
}
