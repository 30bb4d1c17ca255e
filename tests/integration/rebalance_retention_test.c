/* Steps of plans that were over long ago are deleted, and nothing else is. */
#include "t.h"

#include "io/fleet/retention.h"

#include "it.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char uri[IT_URI], role[IT_URI];
static struct pr_db *db;
static struct pr_lease lease = { .name = "rebalance-executor", .holder = "it", .ttl_ms = 60000 };

static const char *sql(const char *text)
{
    static char out[4096];
    it_sql(uri, text, out, sizeof out);
    return out;
}

static int setup(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    it_database("retention", uri);
    it_role_uri(uri, "rebalance", role); /* with its privileges, not an owner's */
    assert_ok(pr_db_open(&db, role, "retention", &err), &err);
    assert_ok(pr_lease_hold(db, &lease, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pr_db_close(db);
    return 0;
}

static void make_plans(const char *rows)
{
    char text[2048];
    sql("TRUNCATE plans, steps RESTART IDENTITY");
    snprintf(text, sizeof text,
             "INSERT INTO plans (operation_id, kind, goal, created_by, state, created_at, "
             "finished_at) SELECT gen_random_uuid(), 'fleet', '{}', 'it', v.state, now() - v.made "
             "* interval '1 day', now() - v.ended * interval '1 day' FROM (VALUES %s) AS "
             "v(state, made, ended)",
             rows);
    sql(text);
    sql("INSERT INTO steps (plan_id, step, wave, kind) SELECT id, s, 1, 'slot' FROM plans, "
        "generate_series(1, 10) s");
}

static int64_t forget(int64_t days)
{
    struct pr_err err = { 0 };
    int64_t deleted = -1;
    assert_ok(rebalance_steps_forget(db, &lease, days, &deleted, &err), &err);
    return deleted;
}

static void only_plans_that_were_over_long_ago_lose_their_steps(void **state)
{
    (void)state;
    make_plans("('done', 40, 31.0), ('done', 40, 29.0), ('failed', 32, 31.0), "
               "('canceled', 31, NULL), ('canceled', 29, NULL), ('running', 90, NULL), "
               "('paused', 90, NULL), ('proposed', 90, NULL), ('approved', 90, NULL)");
    assert_int_equal(forget(0), 0); /* never */
    assert_string_equal(sql("SELECT count(*) FROM steps"), "90");
    assert_int_equal(forget(30), 30);
    assert_string_equal(sql("SELECT string_agg(DISTINCT plan_id::text, ',') FROM steps"),
                        "2,5,6,7,8,9");
    assert_string_equal(sql("SELECT count(*) FROM plans"), "9");
    assert_int_equal(forget(30), 0);
}

static void one_call_takes_a_bounded_number_of_plans_the_oldest_first(void **state)
{
    (void)state;
    char rows[1024] = "";
    for (int i = 0; i < REBALANCE_RETENTION_PLANS + 3; i++) {
        const size_t n = strlen(rows);
        snprintf(rows + n, sizeof rows - n, "%s('done', 99, 98.0)", i == 0 ? "" : ", ");
    }
    make_plans(rows);
    assert_int_equal(forget(30), REBALANCE_RETENTION_PLANS * 10);
    assert_int_equal(atoll(sql("SELECT min(plan_id) FROM steps")), REBALANCE_RETENTION_PLANS + 1);
    assert_int_equal(forget(30), 30);
}

static void who_lost_the_lease_deletes_nothing(void **state)
{
    (void)state;
    int64_t deleted = -1;
    struct pr_err err = { 0 };
    make_plans("('done', 40, 31.0)");
    sql("UPDATE leases SET epoch = epoch + 1 WHERE name = 'rebalance-executor'");
    assert_int_equal(rebalance_steps_forget(db, &lease, 30, &deleted, &err), PR_EFENCED);
    assert_int_equal(deleted, 0);
    assert_string_equal(sql("SELECT count(*) FROM steps"), "10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_plans_that_were_over_long_ago_lose_their_steps),
        cmocka_unit_test(one_call_takes_a_bounded_number_of_plans_the_oldest_first),
        cmocka_unit_test(who_lost_the_lease_deletes_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
