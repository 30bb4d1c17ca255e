/* Traffic between slots, packed and read back. */
#include "t.h"

#include "prism/slot.h"
#include "prism/traffic.h"

#include <math.h>
#include <string.h>

static struct pr_buf b;
static struct pr_err err;

static void add(unsigned slot, unsigned block, double self, double first, double second)
{
    const struct pr_traffic_row row = {
        .slot = (uint16_t)slot, .block = (uint16_t)block, .self = self, .to = { first, second }
    };
    pr_traffic_add(&b, &row, 2);
}

static void begin(void)
{
    pr_buf_done(&b);
    pr_buf_init(&b, 0);
    pr_traffic_begin(&b, 2);
}

static void rows_come_back_as_they_went_in(void **state)
{
    (void)state;
    struct pr_traffic t;
    struct pr_traffic_row row;
    begin();
    assert_ok(pr_traffic_open(b.data, b.len, &t, &err), &err);
    assert_int_equal(t.rows, 0);
    add(0, 1, 7, 0, 1e12);
    add(PR_SLOTS - 1, 0, 0, 3.5, 16777216);
    assert_ok(pr_traffic_open(b.data, b.len, &t, &err), &err);
    assert_int_equal(t.blocks, 2);
    assert_int_equal(t.rows, 2);
    pr_traffic_at(&t, 0, &row);
    assert_int_equal(row.slot, 0);
    assert_int_equal(row.block, 1);
    assert_true(row.self == 7 && row.to[0] == 0);
    assert_true(fabs(row.to[1] / 1e12 - 1) < 1e-6); /* single precision */
    pr_traffic_at(&t, 1, &row);
    assert_int_equal(row.slot, PR_SLOTS - 1);
    assert_true(row.to[0] == 3.5 && row.to[1] == 16777216);
}

static void refused(const char *words)
{
    struct pr_traffic t;
    assert_int_equal(pr_traffic_open(b.data, b.len, &t, &err), PR_EDATA);
    if (strstr(err.text, words) == NULL)
        fail_msg("'%s', want '%s'", err.text, words);
}

static void damaged_records_are_refused(void **state)
{
    (void)state;
    begin();
    add(5, 0, 1, 1, 1);
    b.len--;
    refused("are no traffic");
    b.len = 1;
    refused("1 bytes");
    b.len = 0;
    refused("0 bytes");
    begin();
    add(5, 2, 1, 1, 1);
    refused("row 0: block 2 of 2");
    begin();
    add(5, 0, 1, 1, 1);
    add(5, 0, 1, 1, 1);
    refused("row 1: slot 5");
    begin();
    add(PR_SLOTS, 0, 1, 1, 1);
    refused("row 0: slot 16384");
    begin();
    add(5, 0, 1, 1, -1);
    refused("row 0: a weight");
    begin();
    add(5, 0, (double)NAN, 1, 1);
    refused("row 0: a weight");
    pr_buf_reset(&b);
    pr_traffic_begin(&b, 0);
    refused("2 bytes");
    pr_buf_reset(&b);
    pr_traffic_begin(&b, PR_TRAFFIC_BLOCKS + 1);
    refused("2 bytes");
}

static int done(void **state)
{
    (void)state;
    pr_buf_done(&b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_as_they_went_in),
        cmocka_unit_test(damaged_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
