#include "t.h"

#include "api_access.h"

static void every_role_and_access_has_one_answer(void **state)
{
    (void)state;
    static const bool want[API_ADMIN + 1][API_ACCESS_COUNT] = {
        /*                 open  read   run    fleet  trail  fail-over: read, do; keys */
        [API_NOBODY] = { true, false, false, false, false, false, false, false },
        [API_VIEWER] = { true, true, false, false, false, true, false, false },
        [API_OPERATOR] = { true, true, true, false, false, true, false, false },
        [API_ADMIN] = { true, true, true, true, true, true, true, true },
    };
    for (int role = API_NOBODY; role <= API_ADMIN; role++)
        for (int access = 0; access < API_ACCESS_COUNT; access++)
            assert_int_equal(api_allowed((enum api_role)role, access), want[role][access]);
}

static void an_access_outside_the_table_needs_admin(void **state)
{
    (void)state;
    assert_int_equal(api_access_needs(API_ACCESS_COUNT), API_ADMIN);
    assert_int_equal(api_access_needs(-1), API_ADMIN);
    assert_false(api_allowed(API_OPERATOR, API_ACCESS_COUNT));
}

static void roles_are_read_by_name_and_nobody_is_not_one(void **state)
{
    (void)state;
    enum api_role role = API_NOBODY;
    assert_true(api_role_parse("viewer", &role));
    assert_int_equal(role, API_VIEWER);
    assert_true(api_role_parse("admin", &role));
    assert_int_equal(role, API_ADMIN);
    assert_false(api_role_parse("nobody", &role));
    assert_false(api_role_parse("Admin", &role));
    assert_false(api_role_parse("", &role));
    assert_string_equal(api_role_name(API_OPERATOR), "operator");
}

static void the_standby_token_opens_failovers_while_postgresql_is_away(void **state)
{
    enum { UP = 2 * API_STANDBY_READ_MS };
    (void)state;
    static const struct {
        int access;
        int64_t up_ms, db_age_ms, away_age_ms;
        enum api_standby want;
    } row[] = {
        { API_FAILOVER, API_DB_AWAY_MS + 1, -1, -1, API_STANDBY_ALLOWED }, /* never read */
        { API_FAILOVER, API_DB_AWAY_MS, -1, -1, API_STANDBY_EARLY },       /* it may be there */
        { API_FAILOVER, 0, -1, -1, API_STANDBY_EARLY },
        { API_FAILOVER, UP, API_DB_AWAY_MS + 1, 0, API_STANDBY_ALLOWED },
        { API_FAILOVER, UP, API_DB_AWAY_MS, 0, API_STANDBY_OVER },
        { API_FAILOVER, UP, 0, 1000, API_STANDBY_OVER }, /* tokens can be looked up again */
        { API_FAILOVER_READ, 0, -1, -1, API_STANDBY_ALLOWED },
        { API_FAILOVER_READ, UP, -1, -1, API_STANDBY_ALLOWED },
        { API_FAILOVER_READ, UP, 0, 0, API_STANDBY_ALLOWED }, /* it has just come */
        { API_FAILOVER_READ, UP, 0, API_STANDBY_READ_MS, API_STANDBY_ALLOWED },
        { API_FAILOVER_READ, UP, 0, API_STANDBY_READ_MS + 1, API_STANDBY_OVER },
        { API_FAILOVER_READ, UP, 0, -1, API_STANDBY_OVER }, /* it was never away */
        { API_READ, UP, -1, -1, API_STANDBY_ELSEWHERE },
        { API_FLEET, UP, -1, -1, API_STANDBY_ELSEWHERE },
        { API_TRAIL, UP, -1, -1, API_STANDBY_ELSEWHERE },
        { API_ACCESS_COUNT, UP, -1, -1, API_STANDBY_ELSEWHERE },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (api_standby_judge(row[i].access, row[i].up_ms, row[i].db_age_ms, row[i].away_age_ms) !=
            row[i].want)
            fail_msg("row %zu", i);
}

static void a_route_is_a_verb_on_a_resource(void **state)
{
    (void)state;
    static const struct {
        const char *method, *pattern, *resource, *verb;
    } rows[] = {
        { "GET", "/v1/nodes", "nodes", "read" },
        { "GET", "/v1/nodes/{id}", "nodes", "get" },
        { "PATCH", "/v1/nodes/{id}", "nodes", "update" },
        { "POST", "/v1/nodes", "nodes", "create" },
        { "POST", "/v1/vertices:batchGet", "vertices", "batchGet" },
        { "POST", "/v1/rebalance/plans/{id}:pause", "rebalance/plans", "pause" },
        { "GET", "/v1/rebalance/plans/{id}/steps", "rebalance/plans/steps", "read" },
        { "PUT", "/v1/rebalance/pins/{kind}/{value}", "rebalance/pins", "replace" },
        { "GET", "/openapi.json", "/openapi.json", "read" },
    };
    for (size_t i = 0; i < PR_COUNT(rows); i++) {
        char resource[API_RESOURCE_NAME], verb[API_VERB_NAME];
        api_route_verb(rows[i].method, rows[i].pattern, resource, verb);
        assert_string_equal(resource, rows[i].resource);
        assert_string_equal(verb, rows[i].verb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_and_access_has_one_answer),
        cmocka_unit_test(an_access_outside_the_table_needs_admin),
        cmocka_unit_test(a_route_is_a_verb_on_a_resource),
        cmocka_unit_test(roles_are_read_by_name_and_nobody_is_not_one),
        cmocka_unit_test(the_standby_token_opens_failovers_while_postgresql_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
