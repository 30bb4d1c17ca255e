/* What-if on real PostgreSQL: its time covers the loading of what was recorded. */
#include "autoscale_view_stage.h"

#include "io/simulate.h"

#include "prism/io/clock.h"

static char *result;

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static bool at_once(void *ctx)
{
    ++*(int *)ctx;
    return true;
}

static enum pr_code simulate(int64_t until_us, bool (*stop)(void *), void *ctx, struct pr_err *err)
{
    const struct autoscale_what_if ask = { .fleet = "hot",
                                           .settings = "{\"fleet\": {\"min\": 2, \"max\": 9}, "
                                                       "\"policies\": [{\"policy\": \"target\"}]}",
                                           .until_us = until_us,
                                           .stop = stop,
                                           .stop_ctx = ctx };
    result = NULL;
    const enum pr_code rc = autoscale_simulate(stage.db, &cfg, &ask, &result, err);
    free(result);
    return rc;
}

static int open_stage(void **state)
{
    const int rc = setup(state);
    settings("{\"fleet\": {\"min\": 2, \"max\": 9}}");
    return rc;
}

static int empty(void **state)
{
    (void)state;
    autoscale_stage_sql(&stage, "TRUNCATE autoscale_samples");
    return 0;
}

static void what_was_recorded_is_simulated(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    assert_int_equal(simulate(0, NULL, NULL, &err), PR_ENOTFOUND);
    samples(600, 50, 50, 0);
    assert_ok(simulate(0, NULL, NULL, &err), &err);
    assert_ok(simulate(pr_mono_us() + 60000000, never, NULL, &err), &err);
}

/* Somebody works at the table: it is not waited for longer than the simulation may take. */
static void samples_that_do_not_come_are_not_waited_for(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct pr_db *other = NULL;
    samples(60, 50, 50, 0);
    assert_ok(pr_db_open(&other, stage.uri, "it-other", &err), &err);
    assert_ok(pr_db_exec(other, "BEGIN", NULL, 0, NULL, &err), &err);
    assert_ok(pr_db_exec(other, "LOCK TABLE autoscale_samples", NULL, 0, NULL, &err), &err);
    assert_int_equal(simulate(pr_mono_us() + 300000, never, NULL, &err), PR_ECANCELED);
    assert_int_equal(simulate(pr_mono_us() - 1, never, NULL, &err), PR_ECANCELED);
    assert_ok(pr_db_exec(other, "COMMIT", NULL, 0, NULL, &err), &err);
    pr_db_close(other);
    assert_ok(simulate(pr_mono_us() + 60000000, never, NULL, &err), &err); /* a bound of its own */
}

static void who_stops_it_is_heard_when_samples_were_loaded(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    int asked = 0;
    assert_int_equal(simulate(0, at_once, &asked, &err), PR_ECANCELED); /* of no sample at all */
    assert_int_equal(asked, 1);
}

/* More than 400 days: refused by the range alone, so two samples stand for what is between. */
static void no_more_is_loaded_than_can_be_simulated(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    int dropped;
    const struct autoscale_retention keep = { .samples_days = 3650, .readings_hours = 8760 };
    assert_ok(autoscale_partitions_keep(stage.db, NOW - 400 * STAGE_DAY_MS, &keep, &dropped, &err),
              &err);
    samples(1, 50, 50, 0);
    autoscale_stage_sql(&stage, "INSERT INTO autoscale_samples (fleet, at, cpu_pct, serving, "
                                "silent, merged_at) SELECT fleet, at - interval '400 days' + "
                                "interval '1 minute', 50, 6, 0, merged_at FROM autoscale_samples");
    assert_ok(simulate(0, NULL, NULL, &err), &err);
    autoscale_stage_sql(&stage, "UPDATE autoscale_samples SET at = at - interval '1 minute' WHERE "
                                "at < (SELECT max(at) FROM autoscale_samples)");
    assert_int_equal(simulate(0, NULL, NULL, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "more than 576000 minutes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_recorded_is_simulated, empty),
        cmocka_unit_test_setup(samples_that_do_not_come_are_not_waited_for, empty),
        cmocka_unit_test_setup(who_stops_it_is_heard_when_samples_were_loaded, empty),
        cmocka_unit_test_setup(no_more_is_loaded_than_can_be_simulated, empty),
    };
    return cmocka_run_group_tests(tests, open_stage, teardown);
}
