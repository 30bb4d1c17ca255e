#include "t.h"

#include "json.h"

#include <string.h>

struct sample {
    const char *name;
    int64_t count;
    double ratio;
    json_t *extra, *list;
    bool has_count, has_name;
};

static const struct api_member members[] = {
    { "name", API_STRING, API_REQUIRED | API_NULLABLE, offsetof(struct sample, name),
      offsetof(struct sample, has_name) },
    { "count", API_INTEGER, 0, offsetof(struct sample, count), offsetof(struct sample, has_count) },
    { "ratio", API_NUMBER, 0, offsetof(struct sample, ratio), 0 },
    { "extra", API_OBJECT, 0, offsetof(struct sample, extra), 0 },
    { "list", API_ARRAY, 0, offsetof(struct sample, list), 0 },
};

static json_t *read(const char *text, struct sample *out, struct api_errors *errs)
{
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    *out = (struct sample){ 0 };
    *errs = (struct api_errors){ 0 };
    api_members(j, "p.", members, PR_COUNT(members), out, errs);
    return j;
}

static void members_of_every_kind_are_read(void **state)
{
    (void)state;
    struct sample s;
    struct api_errors errs;
    json_t *j =
        read("{\"name\":\"x\",\"count\":3,\"ratio\":2,\"extra\":{},\"list\":[1]}", &s, &errs);
    assert_int_equal(errs.n, 0);
    assert_string_equal(s.name, "x");
    assert_int_equal(s.count, 3);
    assert_true(s.ratio == 2); /* a whole number is a number */
    assert_true(s.has_count && s.has_name);
    assert_true(json_is_object(s.extra) && json_array_size(s.list) == 1);
    json_decref(j);
}

static void null_counts_as_given_where_it_is_allowed(void **state)
{
    (void)state;
    struct sample s;
    struct api_errors errs;
    json_t *j = read("{\"name\":null}", &s, &errs);
    assert_int_equal(errs.n, 0);
    assert_null(s.name);
    assert_true(s.has_name);
    json_decref(j);
    j = read("{\"name\":\"x\",\"count\":null}", &s, &errs);
    assert_int_equal(errs.n, 1);
    assert_string_equal(errs.e[0].field, "p.count");
    assert_string_equal(errs.e[0].detail, "must be a whole number, not null");
    json_decref(j);
}

static void unknown_missing_and_wrong_members_are_all_named(void **state)
{
    (void)state;
    struct sample s;
    struct api_errors errs;
    json_t *j =
        read("{\"nam\":\"x\",\"count\":1.5,\"ratio\":\"1\",\"extra\":[],\"list\":{}}", &s, &errs);
    static const char *const want[][2] = {
        { "p.nam", "unknown field" },
        { "p.count", "must be a whole number, not a number" },
        { "p.ratio", "must be a number, not a string" },
        { "p.extra", "must be an object, not an array" },
        { "p.list", "must be an array, not an object" },
        { "p.name", "is required" },
    };
    assert_int_equal(errs.n, PR_COUNT(want));
    for (size_t i = 0; i < PR_COUNT(want); i++) {
        assert_string_equal(errs.e[i].field, want[i][0]);
        assert_string_equal(errs.e[i].detail, want[i][1]);
    }
    assert_false(s.has_count);
    json_decref(j);
}

static void answers_rename_members_at_every_depth(void **state)
{
    (void)state;
    json_t *j = json_loads("{\"a_b\":[{\"c_d\":{\"us-east-1a\":1}}],\"e\":null}", 0, NULL);
    json_t *camel = api_camel_all(j);
    char *text = json_dumps(camel, JSON_COMPACT);
    assert_string_equal(text, "{\"aB\":[{\"cD\":{\"us-east-1a\":1}}],\"e\":null}");
    free(text);
    json_decref(camel);
    json_decref(j);
}

static void a_refusal_lists_every_error(void **state)
{
    (void)state;
    struct pr_http_res res = { 0 };
    struct api_errors errs = { 0 };
    api_error(&errs, "id", "is \"bad\"");
    api_error(&errs, "port", "is required");
    api_refuse(&res, 400, "Bad request", &errs);
    json_t *j = json_loadb(res.body.data, res.body.len, 0, NULL);
    assert_int_equal(res.status, 400);
    assert_string_equal(res.content_type, "application/problem+json");
    assert_int_equal(json_integer_value(json_object_get(j, "status")), 400);
    assert_int_equal(json_array_size(json_object_get(j, "errors")), 2);
    assert_string_equal(json_string_value(json_object_get(j, "detail")),
                        "id: is \"bad\", and more");
    json_decref(j);
    pr_buf_done(&res.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_every_kind_are_read),
        cmocka_unit_test(null_counts_as_given_where_it_is_allowed),
        cmocka_unit_test(unknown_missing_and_wrong_members_are_all_named),
        cmocka_unit_test(answers_rename_members_at_every_depth),
        cmocka_unit_test(a_refusal_lists_every_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
