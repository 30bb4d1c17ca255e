/* Whether a plan stands still, or is stuck, as the rows have it. */
#include "t.h"

#include "io/settings.h"
#include "io/standstill.h"

#include "it.h"

#include <stdio.h>
#include <string.h>

static char uri[IT_URI], role[IT_URI];
static struct pr_db *db;
static struct pr_metrics *metrics;

static void sql(const char *text)
{
    it_sql(uri, text, NULL, 0);
}

static int setup(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    it_database("standstill", uri);
    it_role_uri(uri, "rebalance", role); /* with its privileges, not an owner's */
    assert_ok(pr_db_open(&db, role, "standstill", &err), &err);
    metrics = pr_metrics_new(rebalance_metric_rows, REBALANCE_METRICS);
    assert_non_null(metrics);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pr_metrics_free(metrics);
    pr_db_close(db);
    return 0;
}

static void one_plan(const char *state, const char *phase)
{
    char text[1024];
    sql("TRUNCATE plans, operations RESTART IDENTITY CASCADE");
    sql("UPDATE policies SET halted = false WHERE name = 'rebalance'");
    snprintf(
        text, sizeof text,
        "WITH o AS (INSERT INTO operations (kind, resource, state, phase, created_by) VALUES "
        "('rebalance.execute', 'rebalance/plans/1', 'running', '%s', 'it') RETURNING id) "
        "INSERT INTO plans (operation_id, execute_operation_id, kind, goal, state, created_by) "
        "SELECT id, id, 'fleet', '{}', '%s', 'it' FROM o",
        phase, state);
    sql(text);
}

/* Whether what the rows say is a beginning of standing still. */
static bool waits(void)
{
    struct rebalance_standstill s = { 0 };
    struct pr_err err = { 0 };
    assert_ok(rebalance_standstill_tell(&s, db, metrics, &err), &err);
    return s.since_ms != 0;
}

static void a_plan_waits_when_it_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *phase;
        bool waits;
    } case_of[] = {
        { "moving 5 of 9", false },
        { "waiting: node n1 has 0 of 1 replicas", true },
        { "wave 1 of 2: moving slots between 2 pairs", false },
        { "wave 1 of 2: moving slots between 2 pairs, slowed down: probes", false },
        { "wave 1 of 2: moving slots between 2 pairs, waiting: slot 7 ...", true },
        { "wave 1 of 2: moving slots between 2 pairs, stuck: slot 7 ...", true },
        { "wave 1 of 2: replicate r9", false },
        { "wave 1 of 2: meet r9, waiting: redis r9:6379: no answer", true },
    };
    for (size_t i = 0; i < PR_COUNT(case_of); i++) {
        one_plan("running", case_of[i].phase);
        if (waits() != case_of[i].waits)
            fail_msg("%s", case_of[i].phase);
    }
}

static void nobody_at_work_is_a_standstill(void **state)
{
    (void)state;
    one_plan("running", "moving 5 of 9");
    sql("UPDATE operations SET updated_at = now() - interval '50 seconds'");
    assert_false(waits());
    sql("UPDATE operations SET updated_at = now() - interval '2 minutes'");
    assert_true(waits());
    sql("UPDATE plans SET state = 'approved'"); /* told to begin, and it does not */
    assert_true(waits());
    sql("UPDATE plans SET execute_operation_id = NULL"); /* nobody told it yet */
    assert_false(waits());
}

static void what_a_person_stopped_is_none(void **state)
{
    (void)state;
    one_plan("paused", "paused");
    sql("UPDATE operations SET updated_at = now() - interval '2 minutes'");
    assert_false(waits());
    sql("UPDATE plans SET state = 'running'");
    assert_true(waits());
    sql("UPDATE policies SET halted = true WHERE name = 'rebalance'");
    assert_false(waits());
}

static void stuck_plans_are_counted(void **state)
{
    (void)state;
    one_plan("paused", "stuck: the target is no more");
    assert_false(waits());
    assert_true(pr_metrics_get(metrics, M_STUCK, NULL) == 0); /* by a person */
    sql("UPDATE plans SET error = 'stuck: the target is no more'");
    assert_false(waits());
    assert_true(pr_metrics_get(metrics, M_STUCK, NULL) == 1);
    sql("UPDATE plans SET state = 'running'");
    assert_true(waits());
    assert_true(pr_metrics_get(metrics, M_STUCK, NULL) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_waits_when_it_says_so),
        cmocka_unit_test(nobody_at_work_is_a_standstill),
        cmocka_unit_test(what_a_person_stopped_is_none),
        cmocka_unit_test(stuck_plans_are_counted),
    };
    return cmocka_run_group_tests_name("standstill", tests, setup, teardown);
}
