/* The lease and the clock of who holds it: whose clock is wrong gives it to somebody else. */
#include "t.h"

#include "autoscale_store_stage.h"

#include "io/settings.h"
#include "io/tenure.h"

#include "prism/io/clock.h"

#include <string.h>

enum { TTL_MS = 2000, AWAIT_MS = 20000, MINUTE = STAGE_MINUTE_MS };

static struct autoscale_stage stage;
static struct autoscale_tenure tenure;
static struct pr_lease other = { .name = "autoscale", .holder = "other", .ttl_ms = 60000 };
static atomic_llong ahead_ms; /* of the tenure's clock */
static atomic_int looks;      /* at it */

static int64_t wrong_now_ms(void)
{
    atomic_fetch_add(&looks, 1);
    return pr_now_ms() + atomic_load(&ahead_ms);
}

static bool ours(void *ctx)
{
    (void)ctx;
    struct pr_lease l;
    struct pr_err err;
    return autoscale_tenure_lease(&tenure, &l, &err) == PR_OK;
}

static bool not_ours(void *ctx)
{
    return !ours(ctx);
}

static bool other_has_it(void *ctx)
{
    (void)ctx;
    struct pr_err err = { 0 };
    return pr_lease_hold(stage.db, &other, &err) == PR_OK;
}

static bool looked(void *ctx)
{
    return atomic_load(&looks) >= *(int *)ctx;
}

static void who_has_a_wrong_clock_does_not_lead(void **state)
{
    (void)state;
    static const int64_t row[] = { 2 * MINUTE, -2 * MINUTE };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        atomic_store(&ahead_ms, 0);
        assert_true(it_await(ours, NULL, AWAIT_MS));
        assert_false(atomic_load(&tenure.clock_is_off));
        struct pr_lease l;
        struct pr_err err;
        assert_ok(autoscale_tenure_lease(&tenure, &l, &err), &err);

        atomic_store(&ahead_ms, row[i]);
        assert_true(it_await(not_ours, NULL, AWAIT_MS));
        assert_true(atomic_load(&tenure.clock_is_off));
        assert_int_equal(autoscale_tenure_left_ms(&tenure, l.epoch), 0);
        assert_true(it_await(other_has_it, NULL, AWAIT_MS));

        /* Nor does it take the lease again when nobody has it. */
        pr_lease_release(stage.db, &other);
        int more = atomic_load(&looks) + 6;
        assert_true(it_await(looked, &more, AWAIT_MS));
        assert_true(not_ours(NULL));
        assert_string_equal(autoscale_stage_sql(&stage, "SELECT holder FROM leases WHERE name = "
                                                        "'autoscale'"),
                            "other");
    }
    atomic_store(&ahead_ms, 0);
    assert_true(it_await(ours, NULL, AWAIT_MS));
}

static int open_stage(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    autoscale_stage_open(&stage);
    pr_lease_release(stage.db, &stage.lease);
    tenure.now_ms = wrong_now_ms;
    struct pr_metrics *m = pr_metrics_new(autoscale_metric_rows, AUTOSCALE_METRIC_IDS);
    assert_non_null(m);
    assert_ok(autoscale_tenure_start(&tenure, stage.uri, "it-tenure", TTL_MS, m, &err), &err);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    autoscale_tenure_stop(&tenure);
    pr_metrics_free(tenure.metrics);
    autoscale_stage_close(&stage);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_a_wrong_clock_does_not_lead),
    };
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}
