/* How far a fleet plan is and how long it takes. */
#include "t.h"

#include "core/fleet/progress.h"

#include <math.h>

static void ratio_counts_bytes_and_steps(void **state)
{
    (void)state;
    static const struct {
        struct rebalance_fleet_progress p;
        double want;
    } row[] = {
        { { .steps = 0 }, 0 },                  /* nothing known */
        { { .steps = 4, .verified = 2 }, 0.5 }, /* empty slots */
        { { .steps = 4, .verified = 4 }, 1 },
        { { .steps = 1, .bytes = 1e12, .moved_bytes = 5e11 }, 0.5 }, /* one large slot */
        { { .steps = 2, .verified = 2, .bytes = 1e6, .moved_bytes = 3e6 },
          1 }, /* more than expected */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_true(fabs(rebalance_fleet_ratio(&row[i].p) - row[i].want) < 1e-6);
}

static void eta_follows_the_speed_so_far(void **state)
{
    (void)state;
    struct rebalance_fleet_progress p = { .steps = 100, .verified = 25, .running_s = 10 };
    assert_true(fabs(rebalance_fleet_eta_s(&p) - 30) < 1e-6);
    p.running_s = 0.5; /* too early to tell */
    assert_true(rebalance_fleet_eta_s(&p) < 0);
    p = (struct rebalance_fleet_progress){ .steps = 100, .running_s = 10 };
    assert_true(rebalance_fleet_eta_s(&p) < 0);
    p.verified = 100;
    assert_true(rebalance_fleet_eta_s(&p) == 0);
}

static void duration_counts_bytes_round_trips_and_gossip(void **state)
{
    (void)state;
    const struct rebalance_fleet_work w = {
        .bytes = 2e9, .slots = 2000, .others = 3, .pairs = 2, .bytes_per_s = 1e8
    };
    assert_true(fabs(rebalance_fleet_duration_s(&w) - (20 + 3 + 6)) < 1e-6);
    const struct rebalance_fleet_work none = { .bytes = 5 };
    assert_true(rebalance_fleet_duration_s(&none) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ratio_counts_bytes_and_steps),
        cmocka_unit_test(eta_follows_the_speed_so_far),
        cmocka_unit_test(duration_counts_bytes_round_trips_and_gossip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
