/* The real prismctl against the real metadata-api, from an empty system on. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char out[1 << 20];
static json_t *j;

/* Output is in out. */
static int ctl(const char *role, const char *line)
{
    return api_ctl(role, NULL, line, out, sizeof out);
}

static void expect(const char *role, const char *line, int want)
{
    int got = ctl(role, line);
    if (got != want)
        fail_msg("prismctl %s: exit status %d, want %d: %s", line, got, want, out);
}

/* As expect, with -o json; the object is in j. */
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

static const char *text(const char *member)
{
    const char *s = json_string_value(json_object_get(j, member));
    return s == NULL ? "" : s;
}

/* How often one plan was asked for. */
static double plans_read(void)
{
    static const char name[] =
        "prism_api_request_seconds_count{route=\"GET /v1/rebalance/plans/{id}\"} ";
    static char metrics[256 * 1024];
    assert_int_equal(
        it_http(fx.service.port, "GET", "/metrics", NULL, NULL, metrics, sizeof metrics), 200);
    const char *at = strstr(metrics, name);
    assert_non_null(at);
    return strtod(at + sizeof name - 1, NULL);
}

static void an_empty_system_is_ready_and_says_empty(void **state)
{
    (void)state;
    expect_json("viewer", "topology");
    assert_string_equal(text("state"), "empty");
    expect("viewer", "topology", 0);
    expect_json("viewer", "node list");
    assert_int_equal(json_array_size(json_object_get(j, "items")), 0);
    expect_json("viewer", "costs");
    assert_true(json_is_null(json_object_get(j, "runId")));
    expect("viewer", "vertex get 1", 5); /* no store */
    api_sql("INSERT INTO store (partitions) VALUES (64)");
    expect("viewer", "vertex get 1 --strong", 3); /* a store, but no node */
}

static void zones_and_nodes_are_set_up(void **state)
{
    (void)state;
    expect("admin", "zone create a --subnet 127.0.0.0/8", 0);
    expect("admin", "zone create b --capacity-ratio 2", 0);
    expect("admin", "zone set b --capacity-ratio 0.5", 0);
    expect_json("viewer", "zone get b");
    assert_true(json_real_value(json_object_get(j, "capacityRatio")) == 0.5);
    expect("admin", "zone create a", 6);
    expect("admin", "node register n1 127.0.0.1 7001", 0);
    expect("admin", "node register n2 127.0.0.1 7002 --zone b", 0);
    expect("admin", "node register n3 127.0.0.1 7003 --dry-run", 0);
    expect("viewer", "node get n3", 5);
    expect("admin", "node set-zone n2 a --dry-run", 0);
    expect("admin", "node set-zone n2 a", 0);
    expect_json("viewer", "node list --zone=a");
    assert_int_equal(json_array_size(json_object_get(j, "items")), 2);
    expect("viewer", "node list", 0);
    assert_non_null(strstr(out, "NODE"));
    assert_non_null(strstr(out, "n1"));
    expect("admin", "node set-zone n2 -", 0);
    expect("admin", "node delete n2", 2); /* nobody to ask */
    expect("admin", "node delete n2 --dry-run", 0);
    expect("admin", "node delete n2 --yes", 0);
    expect("admin", "node delete n2 --yes", 5);
    expect("viewer", "zone list", 0);
}

static void vertices_and_partitions_are_looked_up(void **state)
{
    (void)state;
    char path[] = "/tmp/prism-ids-XXXXXX", line[100];
    api_sql("UPDATE nodes SET role = 'primary', state = 'up', shard_id = 'n1' WHERE id = 'n1'");
    api_sql("INSERT INTO shards (id, primary_id, slots) VALUES ('n1', 'n1', 16384)");
    api_sql("INSERT INTO slots SELECT s, 'n1', 'n1', 'a' FROM generate_series(0, 16383) s");
    expect_json("viewer", "vertex get 1 --strong");
    assert_string_equal(text("node"), "n1");
    expect("viewer", "vertex get 1", 0);
    assert_non_null(strstr(out, "partition"));
    expect_json("viewer", "vertex batch 1 2 3");
    assert_int_equal(json_array_size(json_object_get(j, "items")), 3);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (int i = 0; i < 2500; i++)
        assert_true(dprintf(fd, "%d\n", i) > 0);
    close(fd);
    snprintf(line, sizeof line, "vertex batch --file %s", path);
    expect_json("viewer", line);
    assert_int_equal(json_array_size(json_object_get(j, "items")), 2500);
    unlink(path);
    expect_json("viewer", "partition list");
    assert_int_equal(json_array_size(json_object_get(j, "items")), 64);
    expect_json("viewer", "partition list --limit 7");
    assert_int_equal(json_array_size(json_object_get(j, "items")), 7);
    expect("viewer", "partition get 3", 0);
    expect("viewer", "topology", 0);
    assert_non_null(strstr(out, "degraded")); /* no replica */
}

/* What the placement and rebalance services would do. */
static void finish(const char *kind, const char *state)
{
    api_sql("UPDATE operations SET state = '%s', progress_ratio = 1, finished_at = now(), "
            "error = CASE WHEN '%s' = 'failed' THEN 'bad line 3' END "
            "WHERE kind = '%s' AND state = 'pending'",
            state, state, kind);
}

static void long_work_is_started_waited_for_and_shown(void **state)
{
    (void)state;
    char line[200], plan[32], operation[64];
    expect_json("operator", "placement run --graph " PRISM_SOURCE_DIR "/CMakeLists.txt --seed 3");
    assert_string_equal(text("state"), "pending");
    snprintf(operation, sizeof operation, "%s", text("operationId"));
    long long run = json_integer_value(json_object_get(j, "id"));
    finish("placement.run", "done");
    api_sql("UPDATE placement_runs SET state = 'done', report = "
            "'{\"before\":{\"cross_share\":0.66},\"after\":{\"cross_share\":0.04},\"moves\":9}'");
    snprintf(line, sizeof line, "operation wait %s", operation);
    expect_json("viewer", line);
    assert_string_equal(text("state"), "done");
    snprintf(line, sizeof line, "placement show %lld --report", run);
    expect_json("viewer", line);
    assert_int_equal(json_integer_value(json_object_get(j, "moves")), 9);
    snprintf(line, sizeof line, "placement show %lld", run);
    expect("viewer", line, 0);
    assert_non_null(strstr(out, "after.crossShare"));
    expect("viewer", "placement list", 0);

    snprintf(line, sizeof line, "plan create --run %lld --workers 2", run);
    expect_json("operator", line);
    snprintf(plan, sizeof plan, "%lld", (long long)json_integer_value(json_object_get(j, "id")));
    snprintf(line, sizeof line, "plan execute %s --yes", plan);
    expect("operator", line, 6);
    api_sql("UPDATE plans SET state = 'proposed'");
    finish("rebalance.plan", "done");
    expect_json("operator", line);
    assert_string_equal(text("state"), "approved");
    api_sql("UPDATE plans SET state = 'running'");
    snprintf(line, sizeof line, "plan pause %s", plan);
    const double looks = plans_read();
    expect("operator", line, 0);
    assert_true(plans_read() == looks); /* a brake depends on nothing that was looked at before */
    snprintf(line, sizeof line, "plan resume %s --yes", plan);
    expect("operator", line, 0);
    snprintf(line, sizeof line, "plan cancel %s", plan);
    expect("operator", line, 2); /* nobody to ask */
    snprintf(line, sizeof line, "plan cancel %s --dry-run", plan);
    expect_json("operator", line);
    assert_true(json_is_true(json_object_get(j, "dryRun")));
    snprintf(line, sizeof line, "plan cancel %s --yes", plan);
    expect("operator", line, 0);
    snprintf(line, sizeof line, "plan show %s", plan);
    expect("viewer", line, 0);
    expect("viewer", "plan list --state running", 0);
    expect_json("viewer", "operation list --limit 1");
    assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
}

static void a_failed_operation_is_exit_status_1(void **state)
{
    (void)state;
    char line[200];
    expect_json("operator", "placement run --graph " PRISM_SOURCE_DIR "/CMakeLists.txt");
    snprintf(line, sizeof line, "operation wait %s", text("operationId"));
    finish("placement.run", "failed");
    expect("viewer", line, 1);
    assert_non_null(strstr(out, "bad line 3"));
}

static void each_kind_of_failure_has_its_exit_status(void **state)
{
    (void)state;
    static const struct {
        const char *role, *line;
        int want;
    } row[] = {
        { "viewer", "", 2 },
        { "viewer", "nonsense", 2 },
        { "viewer", "vertex", 2 },
        { "viewer", "vertex get", 2 },
        { "viewer", "vertex get 1 2", 2 },
        { "viewer", "vertex get 1 --weak", 2 },
        { "viewer", "-o xml topology", 2 },
        { "viewer", "vertex get {", 2 },
        { "viewer", "node register n9 127.0.0.1 http", 4 },
        { "admin", "node register n9 127.0.0.1 http", 2 },
        { "operator", "placement run", 2 },
        { "operator", "placement run --graph /no/such/file", 2 },
        { "operator", "plan create --run x", 2 },
        { "nobody", "topology", 4 },
        { "viewer", "audit", 4 },
        { "viewer", "plan show 999999", 5 },
        { "viewer", "--url http://127.0.0.1:1 topology", 3 },
        { "viewer", "--token-file /no/such/file topology", 2 },
        { "admin", "audit --limit 3", 0 },
        { "viewer", "version", 0 },
        { "viewer", "--help", 0 },
        { "viewer", "completion bash", 0 },
        { "viewer", "completion fish", 2 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        expect(row[i].role, row[i].line, row[i].want);
}

static void bash_completion_knows_groups_verbs_and_options(void **state)
{
    (void)state;
    static const char script[] =
        "eval \"$(\"$0\" completion bash)\"; "
        "try() { COMP_WORDS=(prismctl \"$@\"); COMP_CWORD=$(($# )); COMPREPLY=(); _prismctl; "
        "echo \"[${COMPREPLY[*]}]\"; }; try pla; try plan exec; try plan execute --";
    const char *argv[] = { "/bin/bash", "-c", script, PRISM_BIN_DIR "/prismctl", NULL };
    assert_int_equal(it_run(NULL, argv, out, sizeof out, 10000), 0);
    assert_string_equal(out, "[placement plan]\n[execute]\n"
                             "[--allow-big-keys --allow-no-replicas --wait --yes --dry-run]\n");
}

/* The numbers of the events are shown with the plan and with its operation. */
static void a_fleet_plan_that_runs_is_followed_with_its_numbers(void **state)
{
    (void)state;
    static const char *const of[] = { "plan show", "operation show" };
    static const char *const want[] = { "progress     25 %, wave 1 of 2: moving, ETA 30 s",
                                        "moving       1.0 MB of 4.0 MB at 500 KB/s; 2 steps run",
                                        "2 steps running, 1 stuck",
                                        "reason       slowed down: n1" };
    char line[200], operation[64], plan[32];
    snprintf(operation, sizeof operation, "%s",
             api_sql("INSERT INTO operations (kind, resource, state, phase, progress_ratio, eta_s, "
                     "created_by, progress) VALUES ('rebalance.execute', 'x', 'running', "
                     "'wave 1 of 2: moving', 0.25, 30, 'it', '{\"ratio\": 0.25, \"eta_s\": 30, "
                     "\"steps\": 8, \"steps_done\": 2, \"steps_running\": 2, \"steps_stuck\": 1, "
                     "\"bytes\": 4e6, \"bytes_done\": 1e6, \"bytes_per_s\": 5e5, \"reason\": "
                     "\"slowed down: n1\"}') RETURNING id"));
    snprintf(plan, sizeof plan, "%s",
             api_sql("INSERT INTO plans (operation_id, kind, goal, state, created_by, started_at) "
                     "VALUES ('%s', 'fleet', '{\"kind\": \"balance\"}', 'running', 'it', now()) "
                     "RETURNING id",
                     operation));
    snprintf(line, sizeof line, "plan watch %s", plan);
    expect("viewer", line, 6); /* nobody carries it out */
    api_sql("UPDATE plans SET execute_operation_id = operation_id WHERE id = %s", plan);
    snprintf(line, sizeof line, "plan show %s", plan);
    expect("viewer", line, 0);
    for (size_t i = 0; i < PR_COUNT(want); i++)
        if (strstr(out, want[i]) == NULL)
            fail_msg("no '%s' in %s", want[i], out);
    for (size_t i = 0; i < PR_COUNT(of); i++) {
        snprintf(line, sizeof line, "%s %s", of[i], i == 0 ? plan : operation);
        expect_json("viewer", line);
        const json_t *p = json_object_get(j, "progress");
        assert_int_equal(json_integer_value(json_object_get(p, "stepsDone")), 2);
        assert_true(json_number_value(json_object_get(p, "bytesPerS")) == 5e5);
        assert_true(json_number_value(json_object_get(p, "etaS")) == 30);
    }
    api_sql("UPDATE operations SET state = 'done', finished_at = now() WHERE id = '%s'", operation);
    snprintf(line, sizeof line, "plan watch %s", plan);
    expect("viewer", line, 0);
    api_sql("DELETE FROM plans WHERE id = %s", plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_system_is_ready_and_says_empty),
        cmocka_unit_test(zones_and_nodes_are_set_up),
        cmocka_unit_test(vertices_and_partitions_are_looked_up),
        cmocka_unit_test(long_work_is_started_waited_for_and_shown),
        cmocka_unit_test(a_failed_operation_is_exit_status_1),
        cmocka_unit_test(each_kind_of_failure_has_its_exit_status),
        cmocka_unit_test(bash_completion_knows_groups_verbs_and_options),
        cmocka_unit_test(a_fleet_plan_that_runs_is_followed_with_its_numbers),
    };
    int failed = cmocka_run_group_tests(tests, api_empty_setup, api_teardown);
    json_decref(j);
    return failed;
}
