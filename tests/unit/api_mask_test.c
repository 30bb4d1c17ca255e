#include "t.h"

#include "mask.h"

#include <stdlib.h>
#include <string.h>

static void masks_are_names_with_dots_and_commas(void **state)
{
    (void)state;
    static const struct {
        const char *mask;
        enum pr_code want;
    } rows[] = {
        { "id", PR_OK },      { "id,zone", PR_OK },      { "report.before.x", PR_OK },
        { "a_b-C9", PR_OK },  { "", PR_EINVAL },         { ",", PR_EINVAL },
        { "a,", PR_EINVAL },  { ",a", PR_EINVAL },       { "a..b", PR_EINVAL },
        { ".a", PR_EINVAL },  { "a.", PR_EINVAL },       { "a,.b", PR_EINVAL },
        { "a b", PR_EINVAL }, { "items[0]", PR_EINVAL }, { "a\xff", PR_EINVAL },
    };
    struct pr_err err;
    for (size_t i = 0; i < PR_COUNT(rows); i++)
        if (api_mask_check(rows[i].mask, &err) != rows[i].want)
            fail_msg("%s", rows[i].mask);
    char many[API_MASK_BYTES + 1];
    for (int paths = API_MASK_PATHS; paths <= API_MASK_PATHS + 1; paths++) {
        many[0] = '\0';
        for (int i = 0; i < paths; i++)
            strcat(many, i == 0 ? "a" : ",a");
        assert_int_equal(api_mask_check(many, &err), paths <= API_MASK_PATHS ? PR_OK : PR_EINVAL);
    }
    memset(many, 'a', API_MASK_BYTES);
    many[API_MASK_BYTES] = '\0';
    assert_int_equal(api_mask_check(many, &err), PR_EINVAL);
    many[API_MASK_BYTES - 1] = '\0';
    assert_int_equal(api_mask_check(many, &err), PR_OK);
}

static void what_is_named_stays(void **state)
{
    (void)state;
    static const struct {
        const char *mask, *body, *want;
    } rows[] = {
        { "a", "{\"a\":1,\"b\":2}", "{\"a\":1}" },
        { "b,a", "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}" },
        { "x", "{\"a\":1}", "{}" },
        { "a", "{\"a\":null}", "{\"a\":null}" },
        { "a.x", "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"x\":1}}" },
        { "a.x,a.z", "{\"a\":{\"x\":1,\"y\":2,\"z\":3}}", "{\"a\":{\"x\":1,\"z\":3}}" },
        { "a,a.x", "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"x\":1,\"y\":2}}" },
        { "a.x,a", "{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"x\":1,\"y\":2}}" },
        { "a.x", "{\"a\":7}", "{\"a\":7}" },
        { "a.x", "{\"a\":[{\"x\":1,\"y\":2},{\"y\":3},4]}", "{\"a\":[{\"x\":1},{},4]}" },
        { "a.x,a.y", "{\"a\":[{\"x\":1,\"y\":2,\"z\":0},4]}", "{\"a\":[{\"x\":1,\"y\":2},4]}" },
        { "a.x", "{\"a\":[]}", "{\"a\":[]}" },
        { "id", "{\"items\":[{\"id\":1,\"b\":2},{\"b\":3}],\"nextPageToken\":\"t\"}",
          "{\"items\":[{\"id\":1},{}],\"nextPageToken\":\"t\"}" },
        { "id", "{\"items\":[]}", "{\"items\":[]}" },
    };
    for (size_t i = 0; i < PR_COUNT(rows); i++) {
        json_t *body = json_loads(rows[i].body, 0, NULL), *again = json_deep_copy(body);
        json_t *got = api_mask_apply(rows[i].mask, body);
        char *text = json_dumps(got, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(text, rows[i].want);
        assert_true(json_equal(body, again)); /* untouched */
        free(text);
        json_decref(got);
        json_decref(again);
        json_decref(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_names_with_dots_and_commas),
        cmocka_unit_test(what_is_named_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
