#include "http_route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void nothing(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    (void)req;
    (void)res;
}

static const struct pr_http_route probes[] = {
    { "GET", "/", nothing, 0 },
    { "GET", "/livez", nothing, 0 },
};
static const struct pr_http_route api[] = {
    { "GET", "/v1/vertices/{id}", nothing, 0 },
    { "POST", "/v1/vertices:batchGet", nothing, 0 },
    { "GET", "/v1/plans/{id}", nothing, 0 },
    { "DELETE", "/v1/plans/{id}", nothing, 0 },
    { "POST", "/v1/plans/{id}:execute", nothing, 0 },
    { "POST", "/v1/plans/{id}:re:execute", nothing, 0 },
    { "GET", "/v1/plans/latest", nothing, 0 },
    { "GET", "/v1/plans/{id}/moves/{move}", nothing, 0 },
    { "GET", "/v1/{kind}/{id}/{a}/{b}", nothing, 0 },
    { "PUT", "/v1/nodes", nothing, 0 },
};
static const struct pr_route_table tables[] = { { probes, PR_COUNT(probes) },
                                                { api, PR_COUNT(api) } };

static struct pr_arena arena;

static struct pr_target route(const char *method, const char *target)
{
    struct pr_target t;
    pr_arena_reset(&arena);
    assert_int_equal(pr_target_route(tables, PR_COUNT(tables), method, target, &arena, &t), PR_OK);
    return t;
}

static void assert_found(const char *method, const char *target, const char *pattern,
                         const char *p0, const char *p1)
{
    struct pr_target t = route(method, target);
    if (t.kind != PR_TARGET_FOUND)
        fail_msg("%s %s: kind %d", method, target, (int)t.kind);
    assert_string_equal(t.route->pattern, pattern);
    assert_string_equal(t.param[0] == NULL ? "(none)" : t.param[0], p0 == NULL ? "(none)" : p0);
    assert_string_equal(t.param[1] == NULL ? "(none)" : t.param[1], p1 == NULL ? "(none)" : p1);
}

static void finds_literals_parameters_and_verbs(void **state)
{
    (void)state;
    assert_found("GET", "/", "/", NULL, NULL);
    assert_found("GET", "/livez", "/livez", NULL, NULL);
    assert_found("GET", "/livez?full=1", "/livez", NULL, NULL);
    assert_found("GET", "/livez#part", "/livez", NULL, NULL);
    assert_found("HEAD", "/livez", "/livez", NULL, NULL);
    assert_found("GET", "http://host:80/livez?x", "/livez", NULL, NULL);
    assert_found("GET", "http://host", "/", NULL, NULL);
    assert_found("POST", "/v1/vertices:batchGet", "/v1/vertices:batchGet", NULL, NULL);
    assert_found("GET", "/v1/vertices/17", "/v1/vertices/{id}", "17", NULL);
    assert_found("POST", "/v1/plans/7:execute", "/v1/plans/{id}:execute", "7", NULL);
    assert_found("DELETE", "/v1/plans/7", "/v1/plans/{id}", "7", NULL);
    assert_found("GET", "/v1/plans/7/moves/9", "/v1/plans/{id}/moves/{move}", "7", "9");
}

static void the_most_specific_pattern_wins(void **state)
{
    (void)state;
    assert_found("GET", "/v1/plans/latest", "/v1/plans/latest", NULL, NULL);
    assert_found("GET", "/v1/plans/latest2", "/v1/plans/{id}", "latest2", NULL);
    assert_found("POST", "/v1/plans/7:re:execute", "/v1/plans/{id}:re:execute", "7", NULL);
    /* from the left: the literal "plans" beats {kind} */
    assert_found("GET", "/v1/plans/7/moves/x", "/v1/plans/{id}/moves/{move}", "7", "x");
    assert_found("GET", "/v1/plans/7/movez/x", "/v1/{kind}/{id}/{a}/{b}", "plans", "7");
    /* the order of the tables does not matter */
    const struct pr_route_table turned[] = { tables[1], tables[0] };
    struct pr_target t;
    assert_int_equal(pr_target_route(turned, 2, "GET", "/v1/plans/latest", &arena, &t), PR_OK);
    assert_string_equal(t.route->pattern, "/v1/plans/latest");
}

static void a_verb_belongs_to_its_resource_unless_the_colon_is_encoded(void **state)
{
    (void)state;
    assert_int_equal(route("GET", "/v1/plans/7:execute").kind, PR_TARGET_METHOD);
    assert_found("GET", "/v1/plans/7%3Aexecute", "/v1/plans/{id}", "7:execute", NULL);
    assert_found("GET", "/v1/vertices/a:b", "/v1/vertices/{id}", "a:b", NULL);
    assert_found("GET", "/v1/plans/:execut", "/v1/plans/{id}", ":execut", NULL);
    assert_int_equal(route("POST", "/v1/plans/:execute").kind, PR_TARGET_METHOD); /* no id */
    assert_string_equal(route("POST", "/v1/plans/:execute").allow, "GET, HEAD, DELETE");
}

static void parameters_are_decoded_per_segment(void **state)
{
    (void)state;
    assert_found("GET", "/v1/vertices/a%2Fb", "/v1/vertices/{id}", "a/b", NULL);
    assert_found("GET", "/v1/vertices/%e2%82%AC", "/v1/vertices/{id}", "\xe2\x82\xac", NULL);
    assert_found("GET", "/v1/vertices/a+b", "/v1/vertices/{id}", "a+b", NULL);
    assert_found("GET", "/v1/vertices/%25", "/v1/vertices/{id}", "%", NULL);
    assert_found("GET", "/v1/vertices/..", "/v1/vertices/{id}", "..", NULL);
    assert_found("GET", "/%6civez", "/livez", NULL, NULL);
    assert_found("GET", "/v1/plans/%6Catest", "/v1/plans/latest", NULL, NULL);
    assert_found("POST", "/v1/plans/a%20b:execute", "/v1/plans/{id}:execute", "a b", NULL);
    assert_int_equal(route("GET", "/%2Flivez").kind, PR_TARGET_UNKNOWN);
}

static void bad_encodings_and_nul_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "/v1/vertices/%",
        "/v1/vertices/%2",
        "/v1/vertices/%2g",
        "/v1/vertices/%g2",
        "/v1/vertices/%00",
        "/v1/vertices/a%00b",
        "/nowhere/%zz",
        "/livez?a=%",
        "/livez?%00=1",
        "/v1/plans/%:execute",
        "livez",
        "*",
        "",
        "?a",
        "/v1/vertices/%%20",
    };
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        struct pr_target t = route("GET", bad[i]);
        if (t.kind != PR_TARGET_BAD)
            fail_msg("\"%s\": kind %d", bad[i], (int)t.kind);
        assert_non_null(t.why);
    }
}

static void unknown_paths_are_not_found(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "/live",
        "/livezz",
        "/livez/",
        "//livez",
        "/LIVEZ",
        "/v1",
        "/v1/",
        "/v1/vertices/",
        "/v1/vertices//",
        "/v1/vertices",
        "/v1/nodes/",
        "//",
        "/v1/vertices/a/b",
        "/v1/plans//moves/1",
        "/v1/vertices:batchGetX",
        "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1/2/3",
    };
    for (size_t i = 0; i < PR_COUNT(unknown); i++)
        if (route("GET", unknown[i]).kind != PR_TARGET_UNKNOWN)
            fail_msg("%s", unknown[i]);
}

static void wrong_methods_are_told_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *allow;
    } row[] = {
        { "POST", "/livez", "GET, HEAD" },
        { "PUT", "/v1/plans/7", "GET, HEAD, DELETE" },
        { "HEAD", "/v1/nodes", "PUT" },
        { "get", "/livez", "GET, HEAD" }, /* methods are case-sensitive */
        { "DELETE", "/v1/plans/latest", "GET, HEAD" },
        { "OPTIONS", "/v1/plans/7:execute", "POST" },
        { "", "/livez", "GET, HEAD" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_target t = route(row[i].method, row[i].target);
        assert_int_equal(t.kind, PR_TARGET_METHOD);
        assert_null(t.route);
        assert_string_equal(t.allow, row[i].allow);
    }
}

static void query_arguments_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *target, *name, *want; /* NULL: absent */
    } row[] = {
        { "/p?a=1", "a", "1" },     { "/p?a=1&b=2", "b", "2" },
        { "/p?a=1&a=2", "a", "1" }, { "/p?a", "a", "" },
        { "/p?a=", "a", "" },       { "/p?a=b=c", "a", "b=c" },
        { "/p?&&a=1&", "a", "1" },  { "/p?a=x+y%2Bz%26", "a", "x y+z&" },
        { "/p?%61=1", "a", "1" },   { "/p?ab=1", "a", NULL },
        { "/p?b=1", "a", NULL },    { "/p", "a", NULL },
        { "/p?", "a", NULL },       { "/p?=1", "", "1" },
        { "/p#?a=1", "a", NULL },   { "/p?a=1#x", "a", "1" },
        { "/p?a=%zz", "a", NULL },  { "/p?a=1?b", "a", "1?b" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const char *got = pr_target_query(row[i].target, row[i].name, &arena);
        assert_string_equal(got == NULL ? "(absent)" : got,
                            row[i].want == NULL ? "(absent)" : row[i].want);
    }
}

static void a_full_arena_is_told(void **state)
{
    (void)state;
    struct pr_arena small;
    struct pr_target t;
    pr_arena_init(&small, 8);
    assert_int_equal(pr_target_route(tables, 2, "GET", "/v1/vertices/0123456789012345", &small, &t),
                     PR_ENOMEM);
    pr_arena_done(&small);
}

static void malformed_routes_are_refused(void **state)
{
    (void)state;
    static const struct pr_http_route bad[] = {
        { "GET", "v1", nothing, 0 },
        { "GET", "/{}", nothing, 0 },
        { "GET", "/{id", nothing, 0 },
        { "GET", "/id}", nothing, 0 },
        { "GET", "/x{id}", nothing, 0 },
        { "GET", "/{id}x", nothing, 0 },
        { "GET", "/{id}:", nothing, 0 },
        { "GET", "/{a}:{b}", nothing, 0 },
        { "", "/x", nothing, 0 },
        { "GET", "/x", NULL, 0 },
        { NULL, "/x", nothing, 0 },
        { "GET", NULL, nothing, 0 },
        { "GET", "/{a}/{b}/{c}/{d}/{e}", nothing, 0 },
    };
    struct pr_err err;
    for (size_t i = 0; i < PR_COUNT(bad); i++) {
        const struct pr_route_table t = { &bad[i], 1 };
        if (pr_routes_valid(&t, 1, &err) != PR_EINVAL)
            fail_msg("%zu accepted", i);
    }
    assert_int_equal(pr_routes_valid(tables, PR_COUNT(tables), &err), PR_OK);
    const struct pr_route_table twice[] = { tables[0], tables[0] };
    assert_int_equal(pr_routes_valid(twice, 2, &err), PR_EINVAL);
    assert_string_equal(err.text, "route GET / is there twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_literals_parameters_and_verbs),
        cmocka_unit_test(the_most_specific_pattern_wins),
        cmocka_unit_test(a_verb_belongs_to_its_resource_unless_the_colon_is_encoded),
        cmocka_unit_test(parameters_are_decoded_per_segment),
        cmocka_unit_test(bad_encodings_and_nul_are_refused),
        cmocka_unit_test(unknown_paths_are_not_found),
        cmocka_unit_test(wrong_methods_are_told_what_is_allowed),
        cmocka_unit_test(query_arguments_are_decoded),
        cmocka_unit_test(a_full_arena_is_told),
        cmocka_unit_test(malformed_routes_are_refused),
    };
    pr_arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pr_arena_done(&arena);
    return failed;
}
