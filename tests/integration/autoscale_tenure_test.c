/* The lease and the clock of who holds it: whose clock is wrong gives it to somebody else. */
#include "t.h"

#include "autoscale_store_stage.h"

#include "core/clock.h"

#include "prism/io/clock.h"
#include "prism/io/tenure.h"

#include <stdatomic.h>
#include <string.h>

enum { TTL_MS = 2000, AWAIT_MS = 20000, MINUTE = STAGE_MINUTE_MS };

static struct autoscale_stage stage;
static struct pr_tenure *tenure;
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
    return pr_tenure_lease(tenure, &l, &err) == PR_OK;
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
        assert_false(pr_tenure_clock_is_off(tenure));
        struct pr_lease l;
        struct pr_err err;
        assert_ok(pr_tenure_lease(tenure, &l, &err), &err);

        atomic_store(&ahead_ms, row[i]);
        assert_true(it_await(not_ours, NULL, AWAIT_MS));
        assert_true(pr_tenure_clock_is_off(tenure));
        assert_int_equal(pr_tenure_left_ms(tenure, l.epoch), 0);
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
    const struct pr_tenure_options o = { .db_uri = stage.uri,
                                         .lease = "autoscale",
                                         .holder = "it-tenure",
                                         .ttl_ms = TTL_MS,
                                         .max_apart_ms = AUTOSCALE_CLOCK_APART_MS,
                                         .now_ms = wrong_now_ms };
    assert_ok(pr_tenure_start(&tenure, &o, &err), &err);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    pr_tenure_stop(tenure);
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
