/* Which nodes that came back from a failure are taken back without a person's word. */
#include "t.h"

#include "core/policy/returns.h"

#include <string.h>

enum { S = 1000, MIN = 60 * S, H = 60 * MIN, DAY = 24 * H, MOST = 6 };

static void tries_are_further_and_further_apart(void **state)
{
    (void)state;
    static const struct {
        unsigned tries;
        int64_t ago_ms;
        enum rebalance_return_what what;
        int64_t for_ms;
    } row[] = {
        { 0, -1, REBALANCE_RETURN_NOW, 0 }, /* never before */
        { 1, 0, REBALANCE_RETURN_RESTS, 5 * S },
        { 1, 5 * S - 1, REBALANCE_RETURN_RESTS, 1 },
        { 1, 5 * S, REBALANCE_RETURN_NOW, 0 },
        { 2, 10 * S - 1, REBALANCE_RETURN_RESTS, 1 },
        { 2, 10 * S, REBALANCE_RETURN_NOW, 0 },
        { 7, 320 * S - 1, REBALANCE_RETURN_RESTS, 1 },
        { 7, 320 * S, REBALANCE_RETURN_NOW, 0 },
        { 8, 10 * MIN - 1, REBALANCE_RETURN_RESTS, 1 }, /* 640 s would be longer */
        { 8, 10 * MIN, REBALANCE_RETURN_NOW, 0 },
        { 100000, 10 * MIN, REBALANCE_RETURN_NOW, 0 }, /* refused all day: goes on */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_return r = {
            .node = "n3", .tries = row[i].tries, .last_try_ms = row[i].ago_ms, .oldest_ms = -1
        };
        struct rebalance_return_out out;
        rebalance_return_judge(&r, MOST, &out);
        if (out.what != row[i].what || out.for_ms != row[i].for_ms)
            fail_msg("row %zu: %d for %lld ms: %s", i, (int)out.what, (long long)out.for_ms,
                     out.why);
        assert_non_null(strstr(out.why, "n3"));
    }
}

static void node_that_returns_too_often_is_left_to_a_person(void **state)
{
    (void)state;
    static const struct {
        unsigned returns;
        int64_t most, oldest_ms;
        enum rebalance_return_what what;
        int64_t for_ms;
    } row[] = {
        { MOST - 1, MOST, 5 * H, REBALANCE_RETURN_NOW, 0 },
        { MOST, MOST, 5 * H, REBALANCE_RETURN_HELD, 19 * H },
        { MOST + 3, MOST, DAY - 1, REBALANCE_RETURN_HELD, 1 },
        { MOST, MOST, DAY, REBALANCE_RETURN_HELD, 0 }, /* the next look no longer counts it */
        { 1, 1, 0, REBALANCE_RETURN_HELD, DAY },
        { 0, 1, -1, REBALANCE_RETURN_NOW, 0 },
        { 0, 0, -1, REBALANCE_RETURN_HELD, -1 }, /* switched off */
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct rebalance_return r = { .node = "n3",
                                            .tries = row[i].returns,
                                            .returns = row[i].returns,
                                            .last_try_ms = row[i].returns > 0 ? H : -1,
                                            .oldest_ms = row[i].oldest_ms };
        struct rebalance_return_out out;
        rebalance_return_judge(&r, row[i].most, &out);
        if (out.what != row[i].what || out.for_ms != row[i].for_ms)
            fail_msg("row %zu: %d for %lld ms: %s", i, (int)out.what, (long long)out.for_ms,
                     out.why);
        if (out.what == REBALANCE_RETURN_HELD)
            assert_non_null(strstr(out.why, "replica"));
    }
}

/* Tries that came to nothing do not count against it, only their pause does. */
static void what_came_to_nothing_is_not_a_return(void **state)
{
    (void)state;
    const struct rebalance_return r = {
        .node = "n3", .tries = 40, .returns = 0, .last_try_ms = 10 * MIN, .oldest_ms = -1
    };
    struct rebalance_return_out out;
    rebalance_return_judge(&r, MOST, &out);
    assert_int_equal(out.what, REBALANCE_RETURN_NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tries_are_further_and_further_apart),
        cmocka_unit_test(node_that_returns_too_often_is_left_to_a_person),
        cmocka_unit_test(what_came_to_nothing_is_not_a_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
