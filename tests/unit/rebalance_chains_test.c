/* Replicas that follow a replica. */
#include "t.h"

#include "core/chains.h"

static void chain_is_found_and_its_head(void **state)
{
    (void)state;
    enum { N = 4 };
    static const struct {
        struct rebalance_follower node[N];
        size_t want, head;
    } row[] = {
        /* a and b follow p: nothing is wrong */
        { { { "a", "p", false, false, false },
            { "b", "p", false, false, false },
            { "p", "", true, false, true },
            { "q", "", true, false, true } },
          N,
          0 },
        /* b follows a, which follows p */
        { { { "a", "p", false, false, false },
            { "b", "a", false, false, false },
            { "p", "", true, false, true },
            { "q", "", true, false, true } },
          1,
          2 },
        /* whatever became of a; but b must live, and so must p, and serve */
        { { { "a", "p", false, true, false },
            { "b", "a", false, false, false },
            { "p", "", true, false, true },
            { "q", "", true, false, true } },
          1,
          2 },
        { { { "a", "p", false, false, false },
            { "b", "a", false, true, false },
            { "p", "", true, false, true },
            { "q", "", true, false, true } },
          N,
          0 },
        { { { "a", "p", false, false, false },
            { "b", "a", false, false, false },
            { "p", "", true, true, true },
            { "q", "", true, false, true } },
          N,
          0 },
        { { { "a", "p", false, false, false },
            { "b", "a", false, false, false },
            { "p", "", true, false, false },
            { "q", "", true, false, true } },
          N,
          0 },
        /* each follows the other, or somebody whom nobody knows: where they belong is not told */
        { { { "a", "b", false, false, false },
            { "b", "a", false, false, false },
            { "p", "", true, false, true },
            { "q", "", true, false, true } },
          N,
          0 },
        { { { "a", "x", false, false, false },
            { "b", "-", false, false, false },
            { "p", "", true, false, true },
            { "q", "", true, false, true } },
          N,
          0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        size_t head = 0;
        const size_t got = rebalance_chained(row[i].node, N, &head);
        if (got != row[i].want || (got < N && head != row[i].head))
            fail_msg("row %zu: %zu follows, and is to follow %zu", i, got, head);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(chain_is_found_and_its_head) };
    return cmocka_run_group_tests_name("rebalance_chains", tests, NULL, NULL);
}
