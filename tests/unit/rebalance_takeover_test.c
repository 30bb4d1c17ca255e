/* Who may take a shard over without being elected, and when nobody may. */
#include "t.h"

#include "core/takeover.h"

#include <string.h>

static const struct rebalance_takeover_replica good[] = {
    { .node = "r2", .shard = "s1", .answers = true, .offset = 900, .silent_ms = 15000 },
    { .node = "r1", .shard = "s0", .answers = true, .offset = 100, .silent_ms = 15000 },
    { .node = "r0", .shard = "s0", .answers = true, .offset = 200, .silent_ms = 15000 },
};

static const struct rebalance_takeover_in half = { .primaries = 6,
                                                   .dead = 3,
                                                   .agreed = true,
                                                   .silent_ms = 15000,
                                                   .node_timeout_ms = 5000,
                                                   .replica = good,
                                                   .replicas = PR_COUNT(good) };

static struct rebalance_takeover judge(const struct rebalance_takeover_in *in)
{
    struct rebalance_takeover out;
    rebalance_takeover_judge(in, &out);
    assert_int_equal(out.what == REBALANCE_TAKEOVER_NOW, out.node != NULL);
    return out;
}

static void only_where_exactly_half_are_dead(void **state)
{
    (void)state;
    static const struct {
        int primaries, dead;
        enum rebalance_takeover_what want;
    } row[] = {
        { 6, 0, REBALANCE_TAKEOVER_NEEDLESS }, { 6, 2, REBALANCE_TAKEOVER_NEEDLESS },
        { 6, 3, REBALANCE_TAKEOVER_NOW },      { 6, 4, REBALANCE_TAKEOVER_PERSON },
        { 6, 6, REBALANCE_TAKEOVER_PERSON },   { 3, 1, REBALANCE_TAKEOVER_NEEDLESS },
        { 3, 2, REBALANCE_TAKEOVER_PERSON },   { 2, 1, REBALANCE_TAKEOVER_NOW },
        { 1, 1, REBALANCE_TAKEOVER_PERSON },   { 0, 0, REBALANCE_TAKEOVER_NEEDLESS },
        { 5, 2, REBALANCE_TAKEOVER_NEEDLESS }, { 5, 3, REBALANCE_TAKEOVER_PERSON },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct rebalance_takeover_in in = half;
        in.primaries = row[i].primaries;
        in.dead = row[i].dead;
        if (judge(&in).what != row[i].want)
            fail_msg("%d of %d: %d", row[i].dead, row[i].primaries, judge(&in).what);
    }
}

static void not_before_the_dead_have_ceased_to_serve(void **state)
{
    (void)state;
    struct rebalance_takeover_in in = half;
    in.silent_ms = 14999;
    assert_int_equal(judge(&in).what, REBALANCE_TAKEOVER_WAIT);
    in.silent_ms = -1; /* nobody has noticed yet */
    assert_int_equal(judge(&in).what, REBALANCE_TAKEOVER_WAIT);
    in = half;
    in.agreed = false;
    assert_int_equal(judge(&in).what, REBALANCE_TAKEOVER_WAIT);
}

static void replica_that_has_most_of_the_first_shard(void **state)
{
    (void)state;
    struct rebalance_takeover_replica r[PR_COUNT(good)];
    struct rebalance_takeover_in in = half;
    in.replica = r;
    memcpy(r, good, sizeof r);
    struct rebalance_takeover v = judge(&in);
    assert_string_equal(v.node, "r0");
    assert_string_equal(v.shard, "s0");
    r[1].offset = 200; /* equal: by name */
    assert_string_equal(judge(&in).node, "r0");
    r[1].offset = 201;
    assert_string_equal(judge(&in).node, "r1");

    r[2].answers = false; /* it may have more: the other shard */
    assert_string_equal(judge(&in).shard, "s1");
    r[0].answers = false;
    assert_int_equal(judge(&in).what, REBALANCE_TAKEOVER_WAIT);

    memcpy(r, good, sizeof r);
    r[2].loading = true;
    assert_string_equal(judge(&in).node, "r1");
    r[1].link_down_ms = 20000; /* as long as it may be */
    assert_string_equal(judge(&in).node, "r1");
    r[1].link_down_ms = 20001; /* it had lost its primary before */
    assert_string_equal(judge(&in).shard, "s1");
    in.replicas = 0;
    assert_int_equal(judge(&in).what, REBALANCE_TAKEOVER_PERSON);
}

static void quorum_is_more_than_half(void **state)
{
    (void)state;
    static const int want[] = { 1, 1, 2, 2, 3, 3, 4 };
    for (int i = 0; i < (int)PR_COUNT(want); i++)
        assert_int_equal(rebalance_quorum(i), want[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_where_exactly_half_are_dead),
        cmocka_unit_test(not_before_the_dead_have_ceased_to_serve),
        cmocka_unit_test(replica_that_has_most_of_the_first_shard),
        cmocka_unit_test(quorum_is_more_than_half),
    };
    return cmocka_run_group_tests_name("takeover", tests, NULL, NULL);
}
