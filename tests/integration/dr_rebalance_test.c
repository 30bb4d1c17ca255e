/* Moves of vertices while the dr service ships the cluster: nothing is fenced before its copy is
 * durable in the other region. */
#include "dr_stage.h"
#include "rebalance_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct it_proxy proxy;

static int open_all(void **state)
{
    const int rc = stage_open(state);
    (void)snprintf(dr.uri, sizeof dr.uri, "%s", stage.uri);
    it_role_uri(stage.uri, "dr", dr.role);
    dr_stage_settings(stage.service.pid);
    it_proxy(&proxy, atoi(strrchr(it_env("IT_S3_URL"), ':') + 1));
    dr_stage_set("PRISM_DR_S3_ENDPOINT", proxy.url);
    dr_stage_start();
    return rc;
}

static bool waits_for_dr(void *ctx)
{
    (void)ctx;
    return dr_stage_number("SELECT count(*) FROM operations WHERE phase LIKE '%%dr: node %%'") > 0;
}

static long fenced(long plan)
{
    return dr_stage_number("SELECT count(*) FROM moves WHERE plan_id = %ld AND state NOT IN "
                           "('planned', 'copying')",
                           plan);
}

static void assert_nothing_fenced(long plan)
{
    char text[512];
    dr_stage_text(
        text, sizeof text,
        "SELECT string_agg(concat_ws(' ', batch, dst_node, state, vertices, moved, error), "
        "'; ') FROM moves WHERE plan_id = %ld AND state NOT IN ('planned', 'copying')",
        plan);
    if (fenced(plan) != 0)
        fail_msg("plan %ld: %s", plan, text);
}

static void nothing_is_fenced_while_the_bucket_is_away(void **state)
{
    (void)state;
    stage_targets(1, 0.1);
    const long plan = stage_plan(stage_run("done"), "{}");
    stage_await_plan(plan, "proposed");
    it_proxy_rules(&proxy, "slowdown method=PUT");
    stage_execute(plan);
    assert_true(it_await(waits_for_dr, NULL, STAGE_AWAIT_MS));
    assert_nothing_fenced(plan);
    assert_true(dr_stage_number("SELECT count(*) FROM moves WHERE plan_id = %ld AND "
                                "state = 'copying'",
                                plan) > 0);
    it_proxy_rules(&proxy, "");
    stage_await_plan(plan, "done");
    stage_verify();
}

/* A dr service that is down turns nothing off; a plan that is canceled meanwhile ends, and what it
 * had staged stays where it was. */
static void without_the_service_a_plan_waits_and_can_be_canceled(void **state)
{
    (void)state;
    char cancel[256];
    it_kill(dr.dr.pid);
    stage_targets(2, 0.1);
    const long plan = stage_plan(stage_run("done"), "{}");
    stage_await_plan(plan, "proposed");
    stage_execute(plan);
    assert_true(it_await(waits_for_dr, NULL, STAGE_AWAIT_MS));
    assert_nothing_fenced(plan);
    (void)snprintf(cancel, sizeof cancel,
                   "UPDATE operations SET cancel_requested = true WHERE id = "
                   "(SELECT execute_operation_id FROM plans WHERE id = %ld)",
                   plan);
    stage_sql(cancel);
    stage_await_plan(plan, "canceled");
    assert_int_equal(dr_stage_number("SELECT sum(moved) FROM moves WHERE plan_id = %ld", plan), 0);
    dr_stage_start();
    const long again = stage_plan(stage_run("done"), "{}");
    stage_await_plan(again, "proposed");
    stage_execute(again);
    stage_await_plan(again, "done");
    stage_verify();
}

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern: those alone */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_fenced_while_the_bucket_is_away),
        cmocka_unit_test(without_the_service_a_plan_waits_and_can_be_canceled),
    };
    return cmocka_run_group_tests_name("dr rebalance", tests, open_all, stage_close);
}
