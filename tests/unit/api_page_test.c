#include "t.h"

#include "api_page.h"
#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void page_size_has_a_default_and_limits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum pr_code rc;
        unsigned size;
    } row[] = {
        { NULL, PR_OK, 100 },     { "1", PR_OK, 1 },
        { "1000", PR_OK, 1000 },  { "0", PR_EINVAL, 0 },
        { "1001", PR_EINVAL, 0 }, { "-1", PR_EINVAL, 0 },
        { "", PR_EINVAL, 0 },     { "10x", PR_EINVAL, 0 },
        { " 10", PR_EINVAL, 0 },  { "99999999999999999999999", PR_EINVAL, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        unsigned size = 0;
        assert_int_equal(api_page_size(row[i].text, &size, NULL), row[i].rc);
        if (row[i].rc == PR_OK)
            assert_int_equal(size, row[i].size);
    }
}

static void a_token_brings_back_the_last_key(void **state)
{
    (void)state;
    static const char *const keys[] = { "0", "n1", "a.b-c_d", "2026-11-21T01:38:24.1+00:00,b3c5",
                                        "" };
    for (size_t i = 0; i < PR_COUNT(keys); i++) {
        char token[API_TOKEN_MAX], last[API_KEY_MAX];
        struct pr_err err;
        api_token_make(token, "nodes", 17, keys[i]);
        assert_ok(api_token_read(token, "nodes", 17, last, &err), &err);
        assert_string_equal(last, keys[i]);
    }
}

static void the_longest_key_fits(void **state)
{
    (void)state;
    char key[API_KEY_MAX], token[API_TOKEN_MAX], last[API_KEY_MAX];
    struct pr_err err;
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    api_token_make(token, "operations", UINT64_MAX, key);
    assert_ok(api_token_read(token, "operations", UINT64_MAX, last, &err), &err);
    assert_string_equal(last, key);
}

static void a_token_of_another_list_or_filter_is_refused(void **state)
{
    (void)state;
    char token[API_TOKEN_MAX], last[API_KEY_MAX];
    struct pr_err err;
    api_token_make(token, "nodes", 17, "n1");
    assert_int_equal(api_token_read(token, "node", 17, last, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "another list"));
    assert_int_equal(api_token_read(token, "nodes", 18, last, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "other filters"));
}

static void filters_that_differ_have_different_scopes(void **state)
{
    (void)state;
    const char *none[] = { NULL, NULL }, *zone_a[] = { "a", NULL }, *second[] = { NULL, "a" },
               *empty[] = { "", NULL };
    assert_int_equal(api_page_scope(zone_a, 2), api_page_scope(zone_a, 2));
    assert_true(api_page_scope(none, 2) != api_page_scope(zone_a, 2));
    assert_true(api_page_scope(zone_a, 2) != api_page_scope(second, 2));
    assert_true(api_page_scope(none, 2) != api_page_scope(empty, 2));
}

/* Every change of one character, and any noise, is refused. */
static void a_damaged_token_is_refused(void **state)
{
    (void)state;
    const uint64_t seed = (uint64_t)time(NULL);
    struct pr_rng rng;
    char token[API_TOKEN_MAX], bad[API_TOKEN_MAX], last[API_KEY_MAX];
    printf("seed %llu\n", (unsigned long long)seed);
    pr_rng_init(&rng, seed);
    api_token_make(token, "nodes", 17, "node-0001");
    for (size_t i = 0; i + 1 < strlen(token); i++) { /* the last may only hold padding bits */
        strcpy(bad, token);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_int_equal(api_token_read(bad, "nodes", 17, last, NULL), PR_EINVAL);
    }
    for (int round = 0; round < 2000; round++) {
        size_t n = pr_rng_below(&rng, sizeof bad);
        for (size_t i = 0; i < n; i++)
            bad[i] = (char)(1 + pr_rng_below(&rng, 255));
        bad[n] = '\0';
        assert_int_equal(api_token_read(bad, "nodes", 17, last, NULL), PR_EINVAL);
    }
    assert_int_equal(api_token_read("", "nodes", 17, last, NULL), PR_EINVAL);
    char *huge = calloc(1, 100000);
    memset(huge, 'A', 99999);
    assert_int_equal(api_token_read(huge, "nodes", 17, last, NULL), PR_EINVAL);
    free(huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_size_has_a_default_and_limits),
        cmocka_unit_test(a_token_brings_back_the_last_key),
        cmocka_unit_test(the_longest_key_fits),
        cmocka_unit_test(a_token_of_another_list_or_filter_is_refused),
        cmocka_unit_test(filters_that_differ_have_different_scopes),
        cmocka_unit_test(a_damaged_token_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
