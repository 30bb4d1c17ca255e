/* The object that says who takes which slots. */
#include "t.h"

#include "core/gives.h"

#include <stdlib.h>
#include <string.h>

static struct dr_gives make(void)
{
    struct dr_gives g = { .at_ms = 1700000000123, .giver = "n7401", .taker = "n7404" };
    static const int slot[] = { 0, 1, 2, 9, 4096, 16382, 16383 };
    for (size_t i = 0; i < PR_COUNT(slot); i++)
        g.slots[slot[i] / 8] |= (uint8_t)(1u << slot[i] % 8);
    return g;
}

static void what_is_printed_is_read(void **state)
{
    (void)state;
    struct dr_gives g = make(), got;
    struct pr_buf text;
    struct pr_err err;
    pr_buf_init(&text, 0);
    dr_gives_print(&g, &text);
    assert_non_null(strstr(text.data, "\nslots 0-2,9,4096,16382-16383\n"));
    assert_ok(dr_gives_parse(text.data, text.len, &got, &err), &err);
    assert_int_equal(got.at_ms, g.at_ms);
    assert_string_equal(got.giver, g.giver);
    assert_string_equal(got.taker, g.taker);
    assert_memory_equal(got.slots, g.slots, sizeof g.slots);
    pr_buf_done(&text);
}

static void none_and_every_second_slot_fit(void **state)
{
    (void)state;
    struct dr_gives g = make(), got;
    struct pr_buf text;
    struct pr_err err;
    pr_buf_init(&text, 0);
    for (int bits = 0; bits <= 0x55; bits += 0x55) {
        memset(g.slots, bits, sizeof g.slots);
        pr_buf_reset(&text);
        dr_gives_print(&g, &text);
        assert_true(text.len <= DR_GIVES_MAX);
        assert_ok(dr_gives_parse(text.data, text.len, &got, &err), &err);
        assert_memory_equal(got.slots, g.slots, sizeof g.slots);
    }
    pr_buf_done(&text);
}

static void any_change_is_seen(void **state)
{
    (void)state;
    const struct dr_gives g = make();
    struct dr_gives got;
    struct pr_buf text;
    pr_buf_init(&text, 0);
    dr_gives_print(&g, &text);
    for (size_t i = 0; i < text.len; i++) {
        char *copy = malloc(text.len);
        assert_non_null(copy);
        memcpy(copy, text.data, text.len);
        copy[i] ^= 1;
        assert_int_equal(dr_gives_parse(copy, text.len, &got, NULL), PR_EDATA);
        assert_int_equal(dr_gives_parse(text.data, i, &got, NULL), PR_EDATA); /* cut short */
        free(copy);
    }
    pr_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_printed_is_read),
        cmocka_unit_test(none_and_every_second_slot_fit),
        cmocka_unit_test(any_change_is_seen),
    };
    return cmocka_run_group_tests_name("dr gives", tests, NULL, NULL);
}
