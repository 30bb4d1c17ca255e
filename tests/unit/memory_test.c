#include "t.h"

#include "prism/arena.h"
#include "prism/buf.h"

#include <string.h>

static void arena_memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct pr_arena a;
    pr_arena_init(&a, 0);
    for (size_t n = 0; n < 300; n += 7) {
        unsigned char *p = pr_arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    pr_arena_reset(&a);
    unsigned char *again = pr_arena_alloc(&a, 4096);
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(again[i], 0); /* reuse does not leak old bytes */
    pr_arena_done(&a);
}

static void arena_refuses_past_its_limit(void **state)
{
    (void)state;
    struct pr_arena a;
    pr_arena_init(&a, 1024);
    assert_non_null(pr_arena_alloc(&a, 1000));
    assert_null(pr_arena_alloc(&a, 100));
    assert_null(pr_arena_alloc(&a, SIZE_MAX));
    pr_arena_reset(&a);
    assert_non_null(pr_arena_alloc(&a, 1024));
    pr_arena_done(&a);
}

static void arena_prints_and_copies(void **state)
{
    (void)state;
    struct pr_arena a;
    pr_arena_init(&a, 0);
    assert_string_equal(pr_arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_string_equal(pr_arena_strndup(&a, "abcdef", 3), "abc");
    char *big = pr_arena_alloc(&a, 1 << 20); /* larger than a block */
    big[(1 << 20) - 1] = 1;
    assert_string_equal(pr_arena_strdup(&a, ""), "");
    pr_arena_done(&a);
}

static void buf_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct pr_buf b;
    pr_buf_init(&b, 0);
    for (int i = 0; i < 1000; i++)
        pr_buf_printf(&b, "%d,", i);
    assert_false(b.failed);
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
    assert_int_equal(b.data[b.len], '\0');
    pr_buf_reset(&b);
    pr_buf_u64le(&b, 0x0102030405060708ULL);
    pr_buf_u32le(&b, 0x0a0b0c0d);
    assert_memory_equal(b.data, "\x08\x07\x06\x05\x04\x03\x02\x01\x0d\x0c\x0b\x0a", 12);
    pr_buf_done(&b);
}

static void buf_past_its_ceiling_fails_and_stays_failed(void **state)
{
    (void)state;
    struct pr_buf b;
    pr_buf_init(&b, 8);
    pr_buf_str(&b, "12345678");
    assert_false(b.failed);
    pr_buf_str(&b, "9");
    assert_true(b.failed);
    pr_buf_add(&b, "", 0);
    assert_int_equal(b.len, 8);
    assert_string_equal(b.data, "12345678");
    pr_buf_done(&b);
}

static void errors_are_one_line_and_keep_their_code(void **state)
{
    (void)state;
    struct pr_err err;
    assert_int_equal(pr_fail(&err, PR_EUNAVAIL, "node %s: gone\n", "n1"), PR_EUNAVAIL);
    assert_string_equal(err.text, "node n1: gone");
    assert_int_equal(pr_wrap(&err, PR_EUNAVAIL, "batch %d", 3), PR_EUNAVAIL);
    assert_string_equal(err.text, "batch 3: node n1: gone");
    assert_int_equal(pr_fail(NULL, PR_EDATA, "unheard"), PR_EDATA);
    for (int c = 0; c < PR_CODE_COUNT; c++)
        assert_string_not_equal(pr_code_name((enum pr_code)c), "unknown");
    assert_true(pr_retryable(PR_EUNAVAIL) && !pr_retryable(PR_EINVAL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_memory_is_zeroed_and_aligned),
        cmocka_unit_test(arena_refuses_past_its_limit),
        cmocka_unit_test(arena_prints_and_copies),
        cmocka_unit_test(buf_grows_and_stays_terminated),
        cmocka_unit_test(buf_past_its_ceiling_fails_and_stays_failed),
        cmocka_unit_test(errors_are_one_line_and_keep_their_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
