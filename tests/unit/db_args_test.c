#include "t.h"

#include "prism/io/db.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void numbers_carry_their_text_with_them(void **state)
{
    (void)state;
    struct pr_arg a = pr_i64(INT64_MIN), copy = a;
    memset(&a, 'x', sizeof a); /* a copy must not point into the original */
    assert_int_equal(copy.kind, PR_ARG_INLINE);
    assert_string_equal(copy.text, "-9223372036854775808");
    assert_string_equal(pr_i64(INT64_MAX).text, "9223372036854775807");
    assert_string_equal(pr_bool(true).text, "t");
    assert_string_equal(pr_bool(false).text, "f");
}

static void a_real_comes_back_exactly(void **state)
{
    static const double value[] = { 0, 0.1, -1.0 / 3, 1e308, 5e-324, 1.7976931348623157e308 };
    (void)state;
    for (size_t i = 0; i < PR_COUNT(value); i++)
        assert_true(strtod(pr_real(value[i]).text, NULL) == value[i]);
    assert_string_equal(pr_real(NAN).text, "nan");
    assert_string_equal(pr_real((double)INFINITY).text, "inf");
}

static void no_text_is_null_and_no_bytes_are_empty(void **state)
{
    (void)state;
    assert_int_equal(pr_text(NULL).kind, PR_ARG_NULL);
    assert_null(pr_text(NULL).p);
    assert_int_equal(pr_bytes(NULL, 0).kind, PR_ARG_BYTES);
    assert_non_null(pr_bytes(NULL, 0).p);
    assert_int_equal(pr_bytes("ab", 2).len, 2);
}

static size_t count(const struct pr_arg *args, size_t n)
{
    (void)args;
    return n;
}

static void the_argument_list_counts_itself(void **state)
{
    (void)state;
    assert_int_equal(count(PR_ARGS(pr_i64(1))), 1);
    assert_int_equal(count(PR_ARGS(pr_i64(1), pr_text("a"), pr_bool(true))), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_carry_their_text_with_them),
        cmocka_unit_test(a_real_comes_back_exactly),
        cmocka_unit_test(no_text_is_null_and_no_bytes_are_empty),
        cmocka_unit_test(the_argument_list_counts_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
