/* How often a shard's primary has changed between two looks at it, and what of that is known. */
#include "t.h"

#include "core/slot/reign.h"

#include <string.h>

#define ID(c) c c c c c c c c c c

static const struct rebalance_reign A = { ID("aaaa"), ID("1111"), ID("0000"), false, ID("5555") };

static void changes_are_told_by_the_histories(void **state)
{
    (void)state;
    const struct {
        const char *what;
        struct rebalance_reign was, is;
        unsigned want;
    } row[] = {
        { "nothing happened", A, A, 0 },
        { "it closed the slot", { ID("aaaa"), ID("1111"), ID("0000"), true, "" }, A, 0 },
        { "one fail-over", A, { ID("bbbb"), ID("2222"), ID("1111"), false, "" }, 1 },
        { "two", A, { ID("cccc"), ID("3333"), ID("2222"), false, "" }, 2 },
        { "it gave the lead away and has it back",
          A,
          { ID("aaaa"), ID("3333"), ID("2222"), false, "" },
          2 },
        { "the same, and nobody followed meanwhile",
          A,
          { ID("aaaa"), ID("3333"), ID("1111"), false, "" },
          2 },
        { "it was restarted: a mark is kept",
          A,
          { ID("aaaa"), ID("3333"), ID("0000"), true, "" },
          0 },
        { "it copied all of the one between",
          A,
          { ID("cccc"), ID("3333"), ID("0000"), false, "" },
          2 },
        { "the former's history was never read",
          { ID("aaaa"), "", "", false, "" },
          { ID("bbbb"), ID("2222"), "", false, "" },
          2 },
        { "the later one's is not told", A, { ID("bbbb"), "", "", false, "" }, 2 },
        { "neither is ever told, of one node",
          { ID("aaaa"), "", "", false, "" },
          { ID("aaaa"), "", "", false, "" },
          0 },
        { "half a history is none",
          { ID("aaaa"), "1111", "", false, "" },
          { ID("bbbb"), ID("2222"), "1111", false, "" },
          2 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const unsigned got = rebalance_reigns_between(&row[i].was, &row[i].is);
        if (got != row[i].want)
            fail_msg("%s: %u, want %u", row[i].what, got, row[i].want);
    }
}

static void restart_is_the_same_node_in_another_run_with_its_mark(void **state)
{
    (void)state;
    const struct {
        const char *what;
        struct rebalance_reign was, is;
        bool want;
    } row[] = {
        { "nothing happened", A, A, false },
        { "restarted", A, { ID("aaaa"), ID("3333"), ID("0000"), true, ID("6666") }, true },
        { "its history goes on",
          A,
          { ID("aaaa"), ID("1111"), ID("0000"), true, ID("6666") },
          true },
        { "opened since", A, { ID("aaaa"), ID("1111"), ID("0000"), true, ID("5555") }, false },
        { "a new history for new replicas",
          A,
          { ID("aaaa"), ID("3333"), ID("0000"), true, ID("5555") },
          false },
        { "its mark is gone", A, { ID("aaaa"), ID("3333"), ID("0000"), false, ID("6666") }, false },
        { "another node", A, { ID("bbbb"), ID("3333"), ID("1111"), true, ID("6666") }, false },
        { "its run was not told before",
          { ID("aaaa"), ID("1111"), "", true, "" },
          { ID("aaaa"), ID("3333"), "", true, ID("6666") },
          false },
        { "it is not told now", A, { ID("aaaa"), ID("3333"), "", true, "" }, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (rebalance_reign_restarted(&row[i].was, &row[i].is) != row[i].want)
            fail_msg("%s", row[i].what);
}

static void the_first_fail_over_is_dated_and_two_are_many(void **state)
{
    (void)state;
    struct rebalance_fail_overs f = { 0 };
    rebalance_fail_overs_saw(&f, 1, 500);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.first_us, 500);
    rebalance_fail_overs_saw(&f, 1, 900);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.first_us, 500);
    rebalance_fail_overs_saw(&f, 2, 950);
    assert_int_equal(f.n, 2);

    f = (struct rebalance_fail_overs){ 0 };
    rebalance_fail_overs_saw(&f, 2, 700);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.first_us, 700); /* of both, at the earliest */
}

/* Then nobody knows when the first was, whatever is seen later. */
static void one_that_was_missed_is_without_a_date(void **state)
{
    (void)state;
    struct rebalance_fail_overs f = { 0 };
    rebalance_fail_overs_missed(&f);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.first_us, 0);
    rebalance_fail_overs_saw(&f, 1, 800);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.first_us, 0);

    f = (struct rebalance_fail_overs){ 0 };
    rebalance_fail_overs_saw(&f, 1, 800);
    rebalance_fail_overs_missed(&f);
    assert_int_equal(f.first_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_told_by_the_histories),
        cmocka_unit_test(restart_is_the_same_node_in_another_run_with_its_mark),
        cmocka_unit_test(the_first_fail_over_is_dated_and_two_are_many),
        cmocka_unit_test(one_that_was_missed_is_without_a_date),
    };
    return cmocka_run_group_tests_name("rebalance_reign", tests, NULL, NULL);
}
