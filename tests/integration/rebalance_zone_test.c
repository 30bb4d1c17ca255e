/* A zone is killed under writers (tests/fault/zones_test.c strikes more). */
#include "zone_lost.h"

#include <signal.h>

static void a_killed_zone_is_taken_over_and_comes_back(void **state)
{
    (void)state;
    zone_is_lost_and_comes_back("b", SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_killed_zone_is_taken_over_and_comes_back, zs_end),
    };
    return cmocka_run_group_tests_name("zone fails", tests, zs_open, zs_close);
}
