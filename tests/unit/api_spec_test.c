#include "t.h"

#include "spec.h"

extern const char api_description[];

static void arguments_are_found_where_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *name;
        bool want;
    } rows[] = {
        { "GET", "/v1/nodes", "zone", true },
        { "GET", "/v1/nodes", "pageSize", true }, /* written among the components */
        { "GET", "/v1/nodes", "Zone", false },
        { "GET", "/v1/nodes", "slot", false },
        { "POST", "/v1/nodes", "dryRun", true },
        { "POST", "/v1/nodes", "zone", false },
        { "POST", "/v1/nodes", "Idempotency-Key", false }, /* a header */
        { "GET", "/v1/nodes/{id}", "id", false },          /* of the path */
        { "GET", "/v1/nowhere", "zone", false },
    };
    struct api_spec *s = NULL;
    struct pr_err err;
    char names[256];
    assert_ok(api_spec_new(&s, api_description, &err), &err);
    for (size_t i = 0; i < PR_COUNT(rows); i++)
        if (api_spec_has_query(s, rows[i].method, rows[i].path, rows[i].name) != rows[i].want)
            fail_msg("row %zu", i);
    api_spec_queries(s, "POST", "/v1/nodes", names, sizeof names);
    assert_string_equal(names, "dryRun");
    assert_true(api_spec_has(s, "PATCH", "/v1/nodes/{id}"));
    assert_false(api_spec_has(s, "PUT", "/v1/nodes/{id}"));
    api_spec_free(s);
}

static void what_is_no_description_is_refused(void **state)
{
    (void)state;
    struct api_spec *s = NULL;
    struct pr_err err;
    assert_int_equal(api_spec_new(&s, "{\"paths\":", &err), PR_EDATA);
    assert_int_equal(api_spec_new(&s, "[]", &err), PR_EDATA);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_found_where_they_are_written),
        cmocka_unit_test(what_is_no_description_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
