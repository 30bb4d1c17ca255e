/* Which record of the traffic speaks of where vertices are today. */
#include "t.h"

#include "core/policy/crossing.h"

#include <string.h>

static void record_that_saw_todays_places_counts(void **state)
{
    (void)state;
    static const struct {
        struct rebalance_traffic_facts f;
        enum rebalance_traffic_kind kind;
        int64_t run;
        const char *why;
    } row[] = {
        { { 0 }, REBALANCE_TRAFFIC_NONE, 0, "no placement run" },
        { { .run_id = 3 }, REBALANCE_BEFORE, 3, "" },
        /* A plan carried run 2 out; run 3 looked afterwards, or did not. */
        { { .run_id = 3,
            .plan_id = 7,
            .plan_run_id = 2,
            .plan_over = true,
            .plan_done = true,
            .run_since = true },
          REBALANCE_BEFORE,
          3,
          "" },
        { { .run_id = 3, .plan_id = 7, .plan_run_id = 2, .plan_over = true, .plan_done = true },
          REBALANCE_AFTER,
          2,
          "" },
        { { .run_id = 3, .plan_id = 7, .plan_run_id = 3, .plan_over = true, .plan_done = true },
          REBALANCE_AFTER,
          3,
          "" },
        { { .plan_id = 7, .plan_run_id = 3, .plan_over = true, .plan_done = true },
          REBALANCE_AFTER,
          3,
          "" },
        /* It ended half-way. */
        { { .run_id = 3, .plan_id = 7, .plan_run_id = 3, .plan_over = true },
          REBALANCE_TRAFFIC_NONE,
          0,
          "plan 7 moved some" },
        { { .run_id = 3, .plan_id = 7, .plan_run_id = 3, .plan_over = true, .run_since = true },
          REBALANCE_BEFORE,
          3,
          "" },
        /* It is at it, whoever looked. */
        { { .run_id = 3, .plan_id = 7, .plan_run_id = 3 },
          REBALANCE_TRAFFIC_NONE,
          0,
          "plan 7 is moving" },
        { { .run_id = 3, .plan_id = 7, .plan_run_id = 3, .run_since = true },
          REBALANCE_TRAFFIC_NONE,
          0,
          "plan 7 is moving" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct rebalance_traffic_choice got;
        rebalance_choose_traffic(&row[i].f, &got);
        if (got.kind != row[i].kind || got.run_id != row[i].run)
            fail_msg("row %zu: kind %d of run %d", i, (int)got.kind, (int)got.run_id);
        if (strncmp(got.why, row[i].why, strlen(row[i].why)) != 0 ||
            (row[i].why[0] == '\0') != (got.why[0] == '\0'))
            fail_msg("row %zu: '%s'", i, got.why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(record_that_saw_todays_places_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
