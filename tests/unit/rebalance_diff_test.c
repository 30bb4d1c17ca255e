/* What a plan moves. */
#include "t.h"

#include "core/vertex/diff.h"

#include "prism/buf.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <math.h>
#include <string.h>

enum { HOME = 5 };

struct told {
    uint64_t hash;
    uint32_t from, to;
    enum rebalance_reason why;
};

struct list {
    struct told told[16];
    size_t n;
};

static void note(void *ctx, uint64_t hash, uint32_t from, uint32_t to, enum rebalance_reason why)
{
    struct list *l = ctx;
    l->told[l->n++] = (struct told){ hash, from, to, why };
}

static void differences_are_told_in_order_with_reasons(void **state)
{
    (void)state;
    static const struct pr_route current[] = { { 10, 1 }, { 20, 2 }, { 30, 3 }, { 50, 4 } };
    static const struct pr_route target[] = { { 5, 9 }, { 20, 2 }, { 30, 7 }, { 40, 8 } };
    static const struct told want[] = { { 5, HOME, 9, REBALANCE_TO_NEIGHBOURS },
                                        { 10, 1, HOME, REBALANCE_TO_HOME },
                                        { 30, 3, 7, REBALANCE_ONWARD },
                                        { 40, HOME, 8, REBALANCE_TO_NEIGHBOURS },
                                        { 50, 4, HOME, REBALANCE_TO_HOME } };
    struct pr_buf c, t;
    struct list got = { .n = 0 };
    pr_buf_init(&c, 0);
    pr_buf_init(&t, 0);
    for (size_t i = 0; i < PR_COUNT(current); i++)
        pr_routes_add(&c, current[i].hash, current[i].partition);
    for (size_t i = 0; i < PR_COUNT(target); i++)
        pr_routes_add(&t, target[i].hash, target[i].partition);
    rebalance_diff((struct rebalance_blob){ c.data, c.len },
                   (struct rebalance_blob){ t.data, t.len }, HOME, note, &got);
    assert_int_equal(got.n, PR_COUNT(want));
    for (size_t i = 0; i < got.n; i++) {
        assert_int_equal(got.told[i].hash, want[i].hash);
        assert_int_equal(got.told[i].from, want[i].from);
        assert_int_equal(got.told[i].to, want[i].to);
        assert_int_equal(got.told[i].why, want[i].why);
    }
    pr_buf_done(&c);
    pr_buf_done(&t);
}

static void equal_or_empty_tables_differ_in_nothing(void **state)
{
    (void)state;
    struct pr_buf b;
    struct list got = { .n = 0 };
    pr_buf_init(&b, 0);
    pr_routes_add(&b, 1, 2);
    pr_routes_add(&b, UINT64_MAX, 3);
    const struct rebalance_blob blob = { b.data, b.len }, none = { NULL, 0 };
    rebalance_diff(blob, blob, HOME, note, &got);
    rebalance_diff(none, none, HOME, note, &got);
    assert_int_equal(got.n, 0);
    rebalance_diff(blob, none, HOME, note, &got);
    assert_int_equal(got.n, 2);
    pr_buf_done(&b);
}

static void moves_are_counted_by_node_zone_and_bytes(void **state)
{
    (void)state;
    static uint16_t node_of_slot[16384];
    static const uint16_t zone_of_node[] = { 0, 1, 1 };
    static const double bytes[] = { 100, 200, 300 };
    const uint32_t p[] = { 0, 1, 2 };
    for (uint16_t i = 0; i < 3; i++)
        node_of_slot[pr_partition_slot(p[i])] = i;
    const struct rebalance_sites sites = { .node_of_slot = node_of_slot,
                                           .zone_of_node = zone_of_node,
                                           .bytes_per_vertex = bytes,
                                           .nodes = 3,
                                           .zones = 2,
                                           .partitions = 3 };
    uint64_t by_node[9] = { 0 }, by_zone[4] = { 0 };
    struct rebalance_counts k = { .sites = &sites, .by_node = by_node, .by_zone = by_zone };
    rebalance_count(&k, 1, 0, 1, REBALANCE_TO_NEIGHBOURS);
    rebalance_count(&k, 2, 1, 2, REBALANCE_ONWARD);
    rebalance_count(&k, 3, 2, 0, REBALANCE_TO_HOME);
    assert_int_equal(k.vertices, 3);
    assert_int_equal(k.by_reason[REBALANCE_ONWARD], 1);
    assert_int_equal(by_node[0 * 3 + 1], 1);
    assert_int_equal(by_node[1 * 3 + 2], 1);
    assert_int_equal(by_node[2 * 3 + 0], 1);
    assert_int_equal(by_zone[0 * 2 + 1], 1);
    assert_int_equal(by_zone[1 * 2 + 1], 1);
    assert_int_equal(by_zone[1 * 2 + 0], 1);
    assert_true(fabs(k.bytes - 600) < 1e-9);
    assert_true(fabs(k.cross_zone_bytes - 400) < 1e-9); /* the middle one stays in its zone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_told_in_order_with_reasons),
        cmocka_unit_test(equal_or_empty_tables_differ_in_nothing),
        cmocka_unit_test(moves_are_counted_by_node_zone_and_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
