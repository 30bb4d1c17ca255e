/* prismctl's one-command changes of the fleet against the real metadata-api. What
 * the rebalance service would do to the rows is done by triggers in the database. */
#include "api_fleet_ctl_stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGS = 24 };
static char out[1 << 20];
static json_t *j;

static const char *const *words(const char *line)
{
    static char copy[2048];
    static const char *argv[MAX_ARGS + 1];
    char *save = NULL;
    size_t n = 0;
    argv[n++] = PRISM_BIN_DIR "/prismctl";
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok_r(copy, " ", &save); w != NULL && n < MAX_ARGS;
         w = strtok_r(NULL, " ", &save))
        argv[n++] = w;
    argv[n] = NULL;
    return argv;
}

static const char *const *environment(const char *role)
{
    static char url[160], token[64];
    static const char *env[3] = { url, token, NULL };
    snprintf(url, sizeof url, "PRISM_API_URL=%s", fx.service.url);
    snprintf(token, sizeof token, "PRISM_TOKEN=tok-%s", role);
    return env;
}

static void expect(const char *role, const char *line, int want)
{
    int got = it_run(environment(role), words(line), out, sizeof out, 30000);
    if (got != want)
        fail_msg("prismctl %s: exit status %d, want %d: %s", line, got, want, out);
}

static void expect_json(const char *role, const char *line)
{
    char full[2048];
    snprintf(full, sizeof full, "-o json %s", line);
    expect(role, full, 0);
    json_decref(j);
    j = json_loads(out, 0, NULL);
    if (j == NULL)
        fail_msg("prismctl %s: no JSON: %s", line, out);
}

static long long last_plan(void)
{
    return atoll(api_sql("SELECT coalesce(max(id), 0) FROM plans"));
}

/* --- one command each ----------------------------------------------------------- */

static void join_registers_plans_and_carries_out(void **state)
{
    (void)state;
    fleet_orders(3, true, NULL);
    expect("admin", "node join n7=127.0.0.1:7007@a n8=127.0.0.1:7008@b --role replica --yes", 0);
    assert_non_null(strstr(out, "join n7, n8, role replica"));
    assert_non_null(strstr(out, "slot 3/3")); /* as it ended */
    assert_string_equal(api_sql("SELECT concat_ws(' ', state, goal->>'role', goal->'nodes'->>1) "
                                "FROM plans WHERE id = %lld",
                                last_plan()),
                        "done replica n8");
    assert_string_equal(api_sql("SELECT string_agg(id || zone_id || state, ',' ORDER BY id) FROM "
                                "nodes WHERE id IN ('n7', 'n8')"),
                        "n7aup,n8bup");
}

static void what_is_registered_otherwise_is_not_joined(void **state)
{
    (void)state;
    const long long before = last_plan();
    static const struct {
        const char *line;
        int want;
    } row[] = {
        { "node join n7=127.0.0.1:7999@a --yes", 6 },
        { "node join n7=127.0.0.1:7007@b --yes", 6 },
        { "node join n99 --yes", 5 },
        { "node join n9=127.0.0.1 --yes", 2 },
        { "node join n9=:7009@a --yes", 2 },
        { "node join n9=127.0.0.1:0@a --yes", 2 },
        { "node join n9=127.0.0.1:7009@ --yes", 2 },
        { "node join n9=127.0.0.1:7009@nowhere --yes", 6 },
        { "node join", 2 },
        { "node drain n99 --yes", 5 },
        { "node replace n99 n1 --yes", 5 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        expect("admin", row[i].line, row[i].want);
    expect("admin", "node join n9=127.0.0.1:7009@a bad=x --yes", 2);
    assert_string_equal(api_sql("SELECT count(*) FROM nodes WHERE id = 'n9'"),
                        "0"); /* all or none */
    assert_int_equal(last_plan(), before);
}

static void without_a_terminal_and_yes_the_plan_is_only_proposed(void **state)
{
    (void)state;
    fleet_orders(3, true, NULL);
    expect("operator", "node drain n6", 2);
    assert_non_null(strstr(out, "slot 3")); /* what it would do was shown */
    assert_non_null(strstr(out, "1.3 GB"));
    assert_string_equal(api_sql("SELECT state FROM plans WHERE id = %lld", last_plan()),
                        "proposed");
    assert_string_equal(api_sql("SELECT count(*) FROM nodes WHERE id = 'n6'"), "1");
}

static void drain_removes_the_registration_unless_it_is_kept(void **state)
{
    (void)state;
    fleet_orders(3, true, NULL);
    expect("admin", "node drain n7 --keep --yes", 0);
    assert_string_equal(api_sql("SELECT state FROM nodes WHERE id = 'n7'"), "gone");
    fleet_orders(0, true, NULL); /* it has left: nothing to do but to forget it */
    expect("admin", "node drain n7 --yes", 0);
    assert_string_equal(api_sql("SELECT count(*) FROM nodes WHERE id = 'n7'"), "0");
    assert_string_equal(api_sql("SELECT state FROM plans WHERE id = %lld", last_plan()),
                        "canceled");
    fleet_orders(3, true, NULL);
    expect_json("admin", "node drain n8 --yes");
    assert_string_equal(json_string_value(json_object_get(j, "state")), "done");
    assert_string_equal(api_sql("SELECT count(*) FROM nodes WHERE id = 'n8'"), "0");
}

static void replace_takes_a_new_node_and_removes_the_old(void **state)
{
    (void)state;
    fleet_orders(3, true, NULL);
    expect("admin", "node replace n6 n16=127.0.0.1:7016@a --yes", 0);
    assert_string_equal(api_sql("SELECT (goal->>'node') || (goal->>'with') FROM plans WHERE id = "
                                "%lld",
                                last_plan()),
                        "n6n16");
    assert_string_equal(api_sql("SELECT string_agg(id, ',') FROM nodes WHERE id IN ('n6', 'n16')"),
                        "n16");
}

static void a_refusal_is_exit_status_1_and_moves_nothing(void **state)
{
    (void)state;
    fleet_orders(0, true, "zone a would lose its last node");
    expect("admin", "node drain n1 --yes", 1);
    assert_string_equal(api_sql("SELECT count(*) FROM operations WHERE kind = 'rebalance.execute' "
                                "AND resource = 'rebalance/plans/%lld'",
                                last_plan()),
                        "0");
    fleet_orders(3, true, NULL);
}

/* --- following -------------------------------------------------------------------- */

static bool is_executing(void *ctx)
{
    (void)ctx;
    return strcmp(api_sql("SELECT count(*) FROM plans WHERE id = %lld AND execute_operation_id IS "
                          "NOT NULL",
                          last_plan()),
                  "1") == 0;
}

static pid_t start_balance(void)
{
    char line[100];
    fleet_orders(3, false, NULL);
    expect_json("operator", "plan create --goal balance --pairs 2");
    snprintf(line, sizeof line, "plan execute %lld --wait --yes", last_plan());
    pid_t pid = it_spawn(environment("operator"), words(line));
    assert_true(it_await(is_executing, NULL, 10000));
    return pid;
}

static void a_stuck_plan_ends_the_waiting(void **state)
{
    (void)state;
    pid_t pid = start_balance();
    api_sql("UPDATE plans SET state = 'paused', error = 'stuck: key k7 is on both sides' WHERE id "
            "= %lld",
            last_plan());
    assert_int_equal(it_wait(pid, 10000), 1);
    api_sql("UPDATE plans SET state = 'canceled' WHERE id = %lld", last_plan());
}

static void what_a_plan_is_stuck_at_is_allowed_by_an_option(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *options, *before, *params; /* allow_big_keys, allow_no_replicas */
    } row[] = {
        { "approve", "--yes --allow-no-replicas", "proposed", "true" },
        { "execute", "--yes", "approved", "true" },
        { "resume", "--yes --allow-big-keys --allow-no-replicas", "paused", "true true" },
    };
    char line[100];
    fleet_orders(3, false, NULL);
    expect("operator", "plan create --goal balance", 0);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_sql("UPDATE plans SET state = '%s' WHERE id = %lld", row[i].before, last_plan());
        snprintf(line, sizeof line, "plan %s %lld %s", row[i].verb, last_plan(), row[i].options);
        expect("operator", line, 0);
        assert_string_equal(api_sql("SELECT concat_ws(' ', params->'allow_big_keys', "
                                    "params->'allow_no_replicas') FROM plans WHERE id = %lld",
                                    last_plan()),
                            row[i].params);
    }
    snprintf(line, sizeof line, "plan pause %lld --allow-big-keys", last_plan());
    expect("operator", line, 2);
    api_sql("UPDATE plans SET state = 'canceled' WHERE id = %lld", last_plan());
}

static void interrupting_leaves_the_work_alone(void **state)
{
    (void)state;
    pid_t pid = start_balance();
    /* it polls five times a second; the second request tells that it waits */
    expect("viewer", "operation list --limit 1", 0);
    for (int status = 0; status != 130;) { /* a signal before the wait began just ends it */
        assert_int_equal(kill(pid, SIGINT), 0);
        status = it_wait(pid, 10000);
        if (status == 130)
            break;
        assert_int_equal(status, -SIGINT);
        char line[100];
        snprintf(line, sizeof line, "operation wait %.40s",
                 api_sql("SELECT execute_operation_id FROM plans WHERE id = %lld", last_plan()));
        pid = it_spawn(environment("operator"), words(line));
        expect("viewer", "operation list --limit 1", 0);
    }
    assert_string_equal(api_sql("SELECT p.state || o.state || o.cancel_requested FROM plans p JOIN "
                                "operations o ON o.id = p.execute_operation_id WHERE p.id = %lld",
                                last_plan()),
                        "approvedpendingfalse");
    api_sql("UPDATE plans SET state = 'canceled' WHERE id = %lld", last_plan());
}

/* --- the other commands -------------------------------------------------------------- */

static void goals_are_made_of_options(void **state)
{
    (void)state;
    fleet_orders(3, true, NULL);
    static const struct {
        const char *line, *want;
    } row[] = {
        { "plan create --goal join --node n1,n2 --node n3 --role primary",
          "{\"kind\": \"join\", \"role\": \"primary\", \"nodes\": [\"n1\", \"n2\", \"n3\"]}" },
        { "plan create --goal move-replica --node n4 --shard n2",
          "{\"kind\": \"move-replica\", \"node\": \"n4\", \"shard\": \"n2\"}" },
        { "plan create --goal assign --group 0-99,200 --group 100-199",
          "{\"kind\": \"assign\", \"groups\": [\"0-99,200\", \"100-199\"]}" },
        { "plan create --goal repair", "{\"kind\": \"repair\"}" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        expect("operator", row[i].line, 0);
        assert_string_equal(api_sql("SELECT goal = '%s'::jsonb FROM plans WHERE id = %lld",
                                    row[i].want, last_plan()),
                            "t");
    }
    expect("operator",
           "plan create --goal balance --allow-big-keys --allow-no-replicas --max-bytes 1e9 "
           "--max-slots 5 --pairs 2",
           0);
    assert_string_equal(api_sql("SELECT count(*) FROM plans, jsonb_object_keys(params) WHERE id = "
                                "%lld",
                                last_plan()),
                        "5");
    expect("operator", "plan create", 2);
    expect("operator", "plan create --goal balance --run 1", 2);
    expect("operator", "plan create --goal replace --node n1,n2 --with n3", 2);
    expect("operator", "plan create --goal nonsense", 2);
    const long long before = last_plan();
    expect("operator", "plan create --goal balance --dry-run", 0);
    assert_int_equal(last_plan(), before);
}

static void what_a_plan_does_to_traffic_is_shown(void)
{
    static const struct {
        const char *gain, *want[3];
    } row[] = {
        { "{\"cross_share_before\": 0.412, \"cross_share_after\": 0.053, "
          "\"saved_usd_per_month\": 310, \"saved_usd\": 620, \"rezoned_slots\": 5461, "
          "\"run_id\": 3, \"unknown\": null}",
          { "cross-zone   41.2 % of the traffic -> 5.3 % (5461 slots change zones; traffic as "
            "placement run 3 saw it)",
            "saves        $310 a month, $620 over 60 days", "not worth it: because" } },
        { "{\"cross_share_before\": 0.053, \"cross_share_after\": 0.412, "
          "\"saved_usd_per_month\": -0.005, \"saved_usd\": -0.01, \"rezoned_slots\": 1, "
          "\"run_id\": 3, \"unknown\": null}",
          { "5.3 % of the traffic -> 41.2 %", "adds         $0.0050 a month, $0.01 over 60 days",
            "heat         hottest shard 40.0 % above its zone's mean -> 12.0 %" } },
        { "{\"cross_share_before\": 0.2, \"cross_share_after\": 0.2, "
          "\"saved_usd_per_month\": 0, \"saved_usd\": 0, \"rezoned_slots\": 0, \"run_id\": 3}",
          { "cross-zone   stays 20.0 % of the traffic: no slot changes its zone",
            "saves        $0.00\n", "" } },
        { "{\"cross_share_before\": null, \"cross_share_after\": null, "
          "\"saved_usd_per_month\": null, \"saved_usd\": null, \"rezoned_slots\": 17, "
          "\"run_id\": null, \"unknown\": \"nobody looked\"}",
          { "cross-zone   unknown, 17 slots change zones: nobody looked", "saves        unknown",
            "" } },
    };
    char line[100];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_sql("UPDATE plans SET summary = summary || '{\"hot_before\": 0.4, \"hot_after\": "
                "0.12, \"verdict\": {\"worth_it\": false, \"why\": \"because\", \"move_usd\": 0, "
                "\"horizon_days\": 60}, \"gain\": %s}' WHERE id = %lld",
                row[i].gain, last_plan());
        snprintf(line, sizeof line, "plan show %lld", last_plan());
        expect("viewer", line, 0);
        for (size_t k = 0; k < PR_COUNT(row[i].want); k++)
            if (strstr(out, row[i].want[k]) == NULL)
                fail_msg("no %s in %s", row[i].want[k], out);
        snprintf(line, sizeof line, "plan show %lld", last_plan());
        expect_json("viewer", line);
        const json_t *saved = json_object_get(
            json_object_get(json_object_get(j, "summary"), "gain"), "savedUsdPerMonth");
        assert_true(i == 3 ? json_is_null(saved) : json_is_number(saved));
    }
}

static void a_plan_is_shown_as_people_read_it(void **state)
{
    (void)state;
    char line[100];
    fleet_orders(3, true, NULL);
    expect("operator", "plan create --goal balance --wait", 0);
    static const char *const want[] = { "balance",
                                        "slot 3",
                                        "1.3 GB, 2.6 GB with new replicas, 1.3 GB between zones",
                                        "95 s",
                                        "31.0 % off its zone's mean -> 4.0 %",
                                        "heat         unknown",
                                        "stays as it is: no slot changes its zone",
                                        "$0.01 once, to move",
                                        "saves        $0.00\n",
                                        "worth it: more even",
                                        "slot 17: is pinned",
                                        "and 4 more" };
    for (size_t i = 0; i < PR_COUNT(want); i++)
        if (strstr(out, want[i]) == NULL)
            fail_msg("no %s in %s", want[i], out);
    what_a_plan_does_to_traffic_is_shown();
    snprintf(line, sizeof line, "plan steps %lld --state planned --wave 1", last_plan());
    expect_json("viewer", line);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 3);
    snprintf(line, sizeof line, "plan steps %lld", last_plan());
    expect("viewer", line, 0);
    assert_non_null(strstr(out, "WAVE"));
    snprintf(line, sizeof line, "plan explain %lld --slot 2", last_plan());
    expect("viewer", line, 0);
    assert_non_null(strstr(out, "moves: it"));
    expect("viewer", "plan explain --slot 2 --node n1", 2);
    expect("viewer", "plan explain", 2);
    expect("viewer", "plan explain --slot 2", 3); /* no rebalance service runs here */
    snprintf(line, sizeof line, "plan approve %lld --yes", last_plan());
    expect("operator", line, 0);
    expect("operator", line, 6);
    expect("viewer", "plan list --kind fleet", 0);
    assert_non_null(strstr(out, "balance"));
}

static void everything_is_stopped_and_started(void **state)
{
    (void)state;
    char line[100];
    fleet_orders(3, true, NULL);
    expect("operator", "plan create --goal balance", 0);
    expect("operator", "rebalance stop", 0);
    snprintf(line, sizeof line, "plan execute %lld --yes", last_plan());
    expect("operator", line, 6);
    expect("operator", "rebalance start", 2); /* nobody to ask */
    expect("operator", "rebalance start --yes", 0);
    expect("operator", line, 0);
}

static void policies_and_pins_are_set(void **state)
{
    (void)state;
    const char *window[] = { PRISM_BIN_DIR "/prismctl",
                             "policy",
                             "set",
                             "--auto",
                             "failback,repair",
                             "--window",
                             "0 3 * * 0",
                             "--time-zone",
                             "Europe/Berlin",
                             "--minutes",
                             "240",
                             "--yes",
                             NULL };
    assert_int_equal(it_run(environment("admin"), window, out, sizeof out, 10000), 0);
    expect("admin", "policy set --max-slots 100", 2); /* nobody to ask */
    expect("admin", "policy set --max-slots 7 --dry-run", 0);
    expect("admin", "policy set --max-slots 100 --yes", 0); /* keeps the rest */
    expect_json("viewer", "policy show");
    assert_int_equal(json_array_size(json_object_get(j, "auto")), 2);
    assert_int_equal(json_integer_value(json_object_get(j, "maxSlots")), 100);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(j, "window"), "timeZone")),
        "Europe/Berlin");
    expect("admin", "policy set --window - --auto - --max-slots - --yes", 0);
    assert_string_equal(api_sql("SELECT spec FROM policies"), "{\"auto\": []}");
    expect("operator", "policy set --auto balance --yes", 4);
    expect("admin", "policy set --auto vertices --yes", 2);
    expect("operator", "pin add slot 5 --why looked-at", 0);
    expect("viewer", "pin show slot 5", 0);
    assert_non_null(strstr(out, "looked-at"));
    expect("operator", "pin add slot 99999", 2);
    expect("operator", "pin add node nobody", 5);
    expect("viewer", "pin list", 0);
    assert_non_null(strstr(out, "looked-at"));
    expect("operator", "pin delete slot 5 --yes --dry-run", 0);
    expect("operator", "pin delete slot 5 --yes", 0);
    expect("operator", "pin delete slot 5 --yes", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join_registers_plans_and_carries_out),
        cmocka_unit_test(what_is_registered_otherwise_is_not_joined),
        cmocka_unit_test(without_a_terminal_and_yes_the_plan_is_only_proposed),
        cmocka_unit_test(drain_removes_the_registration_unless_it_is_kept),
        cmocka_unit_test(replace_takes_a_new_node_and_removes_the_old),
        cmocka_unit_test(a_refusal_is_exit_status_1_and_moves_nothing),
        cmocka_unit_test(a_stuck_plan_ends_the_waiting),
        cmocka_unit_test(what_a_plan_is_stuck_at_is_allowed_by_an_option),
        cmocka_unit_test(interrupting_leaves_the_work_alone),
        cmocka_unit_test(goals_are_made_of_options),
        cmocka_unit_test(a_plan_is_shown_as_people_read_it),
        cmocka_unit_test(everything_is_stopped_and_started),
        cmocka_unit_test(policies_and_pins_are_set),
    };
    int failed = cmocka_run_group_tests(tests, fleet_setup, api_teardown);
    json_decref(j);
    return failed;
}
