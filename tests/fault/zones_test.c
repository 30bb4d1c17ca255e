/* Whole zones with two of six primaries are killed or stopped under writers; and half of all
 * primaries at once, which Redis does not mend by itself. */
#include "zone_lost.h"

#include "prism/io/clock.h"

#include <signal.h>
#include <string.h>

enum { NOBODY_MS = 25000 };

static void a_killed_zone_is_taken_over_and_comes_back(void **state)
{
    (void)state;
    zone_is_lost_and_comes_back("c", SIGKILL);
}

static void a_stopped_zone_is_taken_over_and_comes_back(void **state)
{
    (void)state;
    zone_is_lost_and_comes_back("a", SIGSTOP);
}

/* Three primaries in zone a. */
static void half_of_the_primaries_are_mended_only_where_that_is_allowed(void **state)
{
    (void)state;
    static const char *const allowed[] = { "PRISM_REBALANCE_TAKEOVER=true", NULL };
    zs_begin("abacabbccbbc", NULL);
    assert_string_equal(zs_text("SELECT string_agg(zone_id || primaries, ' ' ORDER BY zone_id) "
                                "FROM zone_states"),
                        "a3 b2 c1");
    assert_string_equal(zs_text("SELECT alarms FROM zone_states WHERE zone_id = 'a'"),
                        "{majority}");
    assert_true(zone_metrics_say("prism_rebalance_zone_majority{zone=\"a\"} 1\n"));
    zs_writers_start(1);
    zs_writers_await(500);
    const int64_t since_us = pr_mono_us();
    zs_strike("a", SIGKILL);
    zs_await("{down,majority,no-quorum}", "SELECT alarms FROM zone_states WHERE zone_id = 'a'");
    assert_true(zs_covered_ms(since_us, NOBODY_MS) < 0); /* nobody elects, nobody is told to */
    assert_int_equal(zs_number("SELECT count(*) FROM failovers WHERE outcome IS NULL AND NOT "
                               "forced"),
                     3);
    assert_true(zone_metrics_say("prism_rebalance_no_quorum 1\n"));

    const int64_t allowed_us = pr_mono_us();
    zs_service(allowed);
    const int64_t ms = zs_covered_ms(allowed_us, ZS_AWAIT_MS);
    print_message("half of the primaries are dead: every shard takes writes again %lld ms after "
                  "that was allowed\n",
                  (long long)ms);
    assert_true(ms > 0);
    zs_await("3", "SELECT count(*) FROM failovers WHERE outcome = 'promoted'");
    /* With one more alive they elect by themselves. */
    assert_int_equal(zs_number("SELECT count(*) FROM failovers WHERE forced"), 1);
    zs_await("f t", "SELECT concat_ws(' ', quorum, covered_at IS NOT NULL) FROM zone_incidents");
    zs_writers_await(500);

    zs_return("a", SIGKILL);
    it_cluster_await(ZS_AWAIT_MS);
    for (size_t i = 0; i < zs.nodes; i++)
        assert_false(strcmp(zs.node[i].zone, "a") == 0 && zs_leads(zs.node[i].port));
    zs_await("0", "SELECT count(*) FROM zone_incidents WHERE ended_at IS NULL");
    assert_true(zs_writers_check() > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_killed_zone_is_taken_over_and_comes_back, zs_end),
        cmocka_unit_test_teardown(a_stopped_zone_is_taken_over_and_comes_back, zs_end),
        cmocka_unit_test_teardown(half_of_the_primaries_are_mended_only_where_that_is_allowed,
                                  zs_end),
    };
    return cmocka_run_group_tests_name("zones fail", tests, zs_open, zs_close);
}
