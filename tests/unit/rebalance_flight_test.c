/* The record of keys in flight, with their prints. */
#include "t.h"

#include "core/slot/flight.h"

#include <string.h>

static void keys_in_flight_come_back_as_they_went(void **state)
{
    (void)state;
    static const char odd[] = "a\0b\xff";
    struct pr_buf b;
    pr_buf_init(&b, 0);
    rebalance_in_flight_add(&b, "{p17}v:1", 8);
    rebalance_in_flight_add(&b, "", 0);
    rebalance_in_flight_add(&b, odd, sizeof odd);

    struct rebalance_in_flight r;
    struct pr_err err;
    assert_ok(rebalance_in_flight_open(b.data, b.len, &r, &err), &err);
    assert_int_equal(r.keys, 3);
    const char *k;
    size_t n;
    assert_true(rebalance_in_flight_next(&r, &k, &n));
    assert_int_equal(n, 8);
    assert_memory_equal(k, "{p17}v:1", 8);
    assert_true(rebalance_in_flight_has(&r, odd, sizeof odd)); /* whatever was read already */
    assert_true(rebalance_in_flight_has(&r, "{p17}v:1", 8));
    assert_false(rebalance_in_flight_has(&r, "{p17}v:", 7));
    assert_true(rebalance_in_flight_next(&r, &k, &n));
    assert_int_equal(n, 0);
    assert_true(rebalance_in_flight_next(&r, &k, &n));
    assert_int_equal(n, sizeof odd);
    assert_memory_equal(k, odd, sizeof odd);
    assert_false(rebalance_in_flight_next(&r, &k, &n));
    pr_buf_done(&b);

    assert_ok(rebalance_in_flight_open(NULL, 0, &r, &err), &err);
    assert_false(rebalance_in_flight_next(&r, &k, &n));
}

static void prints_stay_with_their_keys(void **state)
{
    (void)state;
    const struct rebalance_written early = { "0123456789abcdef0123456789abcdef01234567", 5 },
                                   late = { "fedcba9876543210fedcba9876543210fedcba98", 1LL << 40 };
    static const char *const name[] = { "plain", "one", "none", "" };
    struct pr_buf b;
    pr_buf_init(&b, 0);
    rebalance_in_flight_add(&b, "plain", 5);
    rebalance_in_flight_point(&b, &early);
    rebalance_in_flight_print(&b, "one", 3, UINT64_MAX);
    rebalance_in_flight_print(&b, "none", 4, 0);
    rebalance_in_flight_point(&b, &late);
    rebalance_in_flight_print(&b, "", 0, 7);

    struct rebalance_in_flight r;
    struct rebalance_sent sent;
    struct pr_err err;
    assert_ok(rebalance_in_flight_open(b.data, b.len, &r, &err), &err);
    assert_int_equal(r.keys, 4);
    assert_true(rebalance_in_flight_find(&r, "plain", 5, &sent));
    assert_true(sent.print == 0);
    assert_string_equal(sent.point.history, "");
    assert_true(rebalance_in_flight_find(&r, "one", 3, &sent));
    assert_true(sent.print == UINT64_MAX && sent.point.offset == 5);
    assert_string_equal(sent.point.history, early.history);
    assert_true(rebalance_in_flight_find(&r, "none", 4, &sent));
    assert_true(sent.print == 0);
    assert_true(rebalance_in_flight_find(&r, "", 0, &sent));
    assert_true(sent.print == 7 && sent.point.offset == 1LL << 40);
    assert_string_equal(sent.point.history, late.history);
    assert_false(rebalance_in_flight_find(&r, late.history, 40, &sent)); /* it is no key */
    size_t good = 0;
    for (size_t cut = 0; cut <= b.len; cut++)
        good += rebalance_in_flight_open(b.data, cut, &r, NULL) == PR_OK;
    assert_int_equal(good, 7); /* nothing, and after each of six */

    struct pr_buf keys, prints, plain, back;
    pr_buf_init(&keys, 0);
    pr_buf_init(&prints, 0);
    pr_buf_init(&plain, 0);
    pr_buf_init(&back, 0);
    rebalance_in_flight_part(b.data, b.len, &keys, &prints);
    for (size_t i = 0; i < 4; i++)
        rebalance_in_flight_add(&plain, name[i], strlen(name[i]));
    assert_int_equal(keys.len, plain.len); /* as an older release writes and reads it */
    assert_memory_equal(keys.data, plain.data, plain.len);
    rebalance_in_flight_join(keys.data, keys.len, prints.data, prints.len, &back);
    assert_int_equal(back.len, b.len);
    assert_memory_equal(back.data, b.data, b.len);
    for (size_t cut = 0; cut <= prints.len; cut++) { /* all, or none */
        rebalance_in_flight_join(keys.data, keys.len, prints.data, cut, &back);
        assert_int_equal(back.len, cut == prints.len ? b.len : keys.len);
    }
    pr_buf_u32le(&prints, 0); /* of one key more */
    rebalance_in_flight_join(keys.data, keys.len, prints.data, prints.len, &back);
    assert_int_equal(back.len, keys.len);
    rebalance_in_flight_join(keys.data, keys.len - 1, prints.data, prints.len, &back);
    assert_int_equal(back.len, keys.len - 1); /* malformed, and still a record */
    rebalance_in_flight_part(keys.data, keys.len, &plain, &prints);
    assert_int_equal(plain.len, keys.len);
    assert_int_equal(prints.len, 0);
    pr_buf_done(&keys);
    pr_buf_done(&prints);
    pr_buf_done(&plain);
    pr_buf_done(&back);
    pr_buf_done(&b);
}

/* Every cut of a good record that is not between two keys, and lengths that lie. */
static void malformed_record_is_refused(void **state)
{
    (void)state;
    struct pr_buf b;
    pr_buf_init(&b, 0);
    rebalance_in_flight_add(&b, "first", 5);
    rebalance_in_flight_add(&b, "second", 6);
    struct rebalance_in_flight r;
    struct pr_err err;
    for (size_t cut = 1; cut < b.len; cut++) {
        const enum pr_code rc = rebalance_in_flight_open(b.data, cut, &r, &err);
        assert_int_equal(rc, cut == 9 ? PR_OK : PR_EDATA);
        assert_int_equal(r.len, cut == 9 ? 9 : 0);
    }
    static const unsigned char lies[] = { 0xff, 0xff, 0xff, 0xff, 'x' };
    assert_int_equal(rebalance_in_flight_open(lies, sizeof lies, &r, &err), PR_EDATA);
    pr_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_stay_with_their_keys),
        cmocka_unit_test(keys_in_flight_come_back_as_they_went),
        cmocka_unit_test(malformed_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
