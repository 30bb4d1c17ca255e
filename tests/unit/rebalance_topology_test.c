/* From CLUSTER NODES and registrations to the rows of nodes, shards and slots. */
#include "t.h"

#include "core/topology.h"

#include <string.h>

enum { SLOTS = 16384 };

static struct {
    struct pr_arena arena;
    int16_t owner[SLOTS];
    uint8_t imports[SLOTS / 8];
    struct rebalance_reported node[4];
    struct rebalance_node reg[4];
    struct rebalance_image image;
} t;

/* Two primaries with a replica each, all registered and seen before. */
static int two_shards(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    pr_arena_init(&t.arena, 0);
    static const char *const id[] = { "ra", "rb", "rc", "rd" };
    static const char *const name[] = { "n3", "n1", "n2", "n4" };
    for (int i = 0; i < 4; i++) {
        t.node[i] = (struct rebalance_reported){ .redis_id = id[i],
                                                 .host = "10.0.0.1",
                                                 .port = 7000 + i,
                                                 .primary = i < 2,
                                                 .primary_id = i < 2 ? "" : id[i - 2] };
        t.reg[i] = (struct rebalance_node){ .id = name[i],
                                            .host = "10.0.0.1",
                                            .port = 7000 + i,
                                            .zone = i % 2 == 0 ? "a" : "b",
                                            .redis_id = "",
                                            .shard = "",
                                            .state = REBALANCE_REGISTERED };
    }
    for (int s = 0; s < SLOTS; s++)
        t.owner[s] = s < 10000 ? 0 : 1;
    return 0;
}

static int done(void **state)
{
    (void)state;
    pr_arena_done(&t.arena);
    return 0;
}

static const struct rebalance_image *look(size_t nodes, size_t registered)
{
    struct pr_err err = { 0 };
    const struct rebalance_cluster c = {
        .node = t.node, .nodes = nodes, .slot_owner = t.owner, .imports = t.imports
    };
    assert_ok(rebalance_image(t.reg, registered, NULL, 0, &c, &t.arena, &t.image, &err), &err);
    return &t.image;
}

/* What was written becomes what is registered. */
static void write_back(void)
{
    for (size_t i = 0; i < t.image.nodes; i++)
        t.reg[i] = t.image.node[i];
}

static void rows_follow_the_cluster(void **state)
{
    (void)state;
    const struct rebalance_image *m = look(4, 4);
    assert_int_equal(m->shards, 2);
    assert_string_equal(m->shard[0].id, "n1"); /* n1 and n4 */
    assert_string_equal(m->shard[0].primary, "n1");
    assert_int_equal(m->shard[0].slots, 6384);
    assert_string_equal(m->shard[1].id, "n2"); /* the replica's id is the smaller */
    assert_string_equal(m->shard[1].primary, "n3");
    assert_int_equal(m->shard[1].replicas, 1);
    assert_string_equal(m->shard[1].replica[0], "n2");
    assert_string_equal(m->node[2].shard, "n2");
    assert_int_equal(m->node[2].role, REBALANCE_REPLICA);
    assert_int_equal(m->node[0].state, REBALANCE_UP);
    assert_int_equal(m->node[0].slots, 10000);
    assert_int_equal(m->runs, 2);
    assert_int_equal(m->run[0].last, 9999);
    assert_string_equal(m->run[0].node, "n3");
    assert_string_equal(m->run[0].zone, "a");
    assert_string_equal(m->run[1].zone, "b");
    assert_int_equal(m->slots_owned, SLOTS);
}

static void shard_keeps_its_id_over_a_fail_over(void **state)
{
    (void)state;
    look(4, 4);
    write_back();
    t.node[1].failed = true; /* n1 dies, its replica n4 takes over */
    t.node[3].primary = true;
    t.node[3].primary_id = "";
    for (int s = 10000; s < SLOTS; s++)
        t.owner[s] = 3;
    const struct rebalance_image *m = look(4, 4);
    assert_string_equal(m->shard[0].id, "n1");
    assert_string_equal(m->shard[0].primary, "n4");
    assert_int_equal(m->shard[0].replicas, 0);
    assert_string_equal(m->node[1].shard, "n1"); /* still the member that is missing */
    assert_int_equal(m->node[1].state, REBALANCE_NODE_FAILED);

    write_back();
    t.node[1].failed = false; /* it comes back as a replica */
    t.node[1].primary = false;
    t.node[1].primary_id = "rd";
    m = look(4, 4);
    assert_string_equal(m->shard[0].id, "n1");
    assert_int_equal(m->shard[0].replicas, 1);
    assert_string_equal(m->shard[0].replica[0], "n1");
}

/* n3 dies and n2 takes over; n4, which is a replica of n3 too, is not seen to follow n2 yet. */
static void replica_stays_in_its_shard_while_another_takes_over(void **state)
{
    (void)state;
    t.node[3].primary_id = "ra"; /* n4 */
    (void)look(4, 4);
    write_back();
    assert_string_equal(t.reg[3].shard, t.reg[0].shard);
    t.node[2].primary = true; /* n2 */
    t.node[2].primary_id = "";
    for (int s = 0; s < SLOTS; s++)
        if (t.owner[s] == 0)
            t.owner[s] = 2;
    for (int round = 0; round < 2; round++) { /* it failed; or was told to give way, and follows */
        t.node[0].failed = round == 0;
        t.node[0].primary = round == 0;
        t.node[0].primary_id = round == 0 ? "" : "rc";
        const struct rebalance_image *m = look(4, 4);
        assert_string_equal(m->node[3].shard, t.reg[0].shard);
        assert_string_equal(m->node[0].shard, t.reg[0].shard);
        assert_string_equal(m->node[2].shard, t.reg[0].shard);
    }
    t.node[0].failed = false; /* a live primary without slots: a shard that is being made */
    t.node[0].primary = true;
    t.node[0].primary_id = "";
    assert_string_equal(look(4, 4)->node[3].shard, "");
}

static void n3_dies_and_n2_takes_over_all_but(int slot)
{
    t.node[0].failed = t.node[0].dead = true;
    t.node[0].config_epoch = 6;
    t.node[2].primary = true; /* n2 */
    t.node[2].primary_id = "";
    t.node[2].config_epoch = 7;
    for (int s = 0; s < SLOTS; s++)
        if (t.owner[s] == 0 && s != slot)
            t.owner[s] = 2;
    t.imports[slot / 8] = (uint8_t)(1u << (slot % 8));
}

/* n3 dies in the middle of a slot that n1 imports, n2 takes over; n1, which never learns that by
 * itself, is asked. */
static void shard_keeps_its_id_while_a_slot_seems_to_be_a_dead_node_s(void **state)
{
    (void)state;
    t.node[3].primary_id = "ra"; /* n4 */
    (void)look(4, 4);
    write_back();
    const char *id = t.reg[0].shard;
    n3_dies_and_n2_takes_over_all_but(44);
    for (int round = 0; round < 2; round++) {
        const struct rebalance_image *m = look(4, 4);
        assert_int_equal(m->shards, 2);
        for (int i = 0; i < 4; i++)
            assert_string_equal(m->node[i].shard, i == 1 ? t.reg[1].shard : id);
        const struct rebalance_shard *s = &m->shard[strcmp(m->shard[0].id, id) != 0];
        assert_string_equal(s->id, id);
        assert_string_equal(s->primary, "n2");
        assert_int_equal(s->slots, 10000);
        assert_int_equal(m->node[0].slots, 0); /* it has failed over: core/zones.h */
        for (size_t i = 0; i < m->runs; i++)
            if (m->run[i].first <= 44 && m->run[i].last >= 44) {
                assert_string_equal(m->run[i].shard, id);
                assert_string_equal(m->run[i].node, "n2");
            }
        assert_int_equal(m->owner[44], 2);
        assert_int_equal(m->owner[43], 2);
        assert_int_equal(m->owner[SLOTS - 1], 1);
        write_back();
    }
}

/* The same, but for one thing that says that nobody succeeded n3: its slot stays its own. */
static void slot_of_a_primary_that_nobody_succeeded_stays_its_own(void **state)
{
    enum { SUSPECTED, SAME_EPOCH, EARLIER, NOT_IMPORTED, MORE_THAN_IMPORTED, HEIR_FAILED, CASES };
    for (int what = 0; what < CASES; what++) {
        (void)two_shards(state);
        t.node[3].primary_id = "ra"; /* n4 */
        (void)look(4, 4);
        write_back();
        n3_dies_and_n2_takes_over_all_but(44);
        if (what == SUSPECTED)
            t.node[0].dead = false;
        if (what == SAME_EPOCH || what == EARLIER)
            t.node[2].config_epoch = what == EARLIER ? 5 : 6;
        if (what == NOT_IMPORTED)
            t.imports[44 / 8] = 0;
        if (what == MORE_THAN_IMPORTED)
            t.owner[45] = 0;
        t.node[2].failed = what == HEIR_FAILED;
        const struct rebalance_image *m = look(4, 4);
        if (m->owner[44] != 0 || m->node[0].slots != (what == MORE_THAN_IMPORTED ? 2 : 1) ||
            m->shards != 3)
            fail_msg("case %d: slot 44 is node %d's, n3 has %d, of %zu shards", what, m->owner[44],
                     m->node[0].slots, m->shards);
        (void)done(state);
    }
    (void)two_shards(state);
}

/* n3's replica n2 leaves; n0 joins: the id stays, though neither is named so. */
static void shard_keeps_its_id_whoever_joins_or_leaves(void **state)
{
    (void)state;
    assert_string_equal(look(4, 4)->shard[1].id, "n2");
    write_back();
    t.reg[2].id = "n0"; /* another node at that place */
    t.reg[2].shard = "";
    const struct rebalance_image *m = look(4, 4);
    assert_string_equal(m->shard[1].id, "n2");
    assert_string_equal(m->shard[1].primary, "n3");
    assert_string_equal(m->shard[1].replica[0], "n0");
    assert_string_equal(m->node[2].shard, "n2");
}

/* n2 was a replica of shard n2; it leads a shard of its own now. */
static void new_shard_takes_no_name_that_is_in_use(void **state)
{
    (void)state;
    look(4, 4);
    write_back();
    t.node[2].primary = true;
    t.node[2].primary_id = "";
    for (int s = 0; s < 9000; s++) /* even with more slots than the rest */
        t.owner[s] = 2;
    const struct rebalance_image *m = look(4, 4);
    assert_int_equal(m->shards, 3);
    assert_string_equal(m->node[0].shard, "n2"); /* n3 leads it as before */
    assert_string_equal(m->node[2].shard, "n2.2");
    assert_string_equal(m->shard[2].primary, "n2");
    assert_string_equal(m->shard[2].zone, "a");
    write_back();
    m = look(4, 4);
    assert_string_equal(m->node[0].shard, "n2");
    assert_string_equal(m->node[2].shard, "n2.2");
}

static void node_that_left_is_gone_and_counts_no_more(void **state)
{
    (void)state;
    look(4, 4);
    write_back();
    const struct rebalance_image *m = look(3, 4); /* rd, n4, was forgotten */
    assert_int_equal(m->node[3].state, REBALANCE_GONE);
    assert_string_equal(m->node[3].shard, "");
    assert_string_equal(m->node[3].redis_id, "rd");
    assert_int_equal(m->shard[0].replicas, 0);
}

static void node_never_seen_stays_registered(void **state)
{
    (void)state;
    t.reg[3].port = 9999;
    const struct rebalance_image *m = look(3, 4);
    assert_int_equal(m->node[3].state, REBALANCE_REGISTERED);
}

static void unregistered_node_has_no_zone(void **state)
{
    (void)state;
    const struct rebalance_image *m = look(4, 1); /* only n3 */
    assert_int_equal(m->n_unregistered, 3);
    assert_string_equal(m->run[0].zone, "a");
    assert_string_equal(m->run[1].zone, "");
    assert_string_equal(m->run[1].node, "10.0.0.1:7001");
    assert_string_equal(m->run[1].shard, "10.0.0.1:7001");
}

static void empty_cluster_has_no_rows(void **state)
{
    (void)state;
    for (int s = 0; s < SLOTS; s++)
        t.owner[s] = -1;
    const struct rebalance_image *m = look(0, 0);
    assert_int_equal(m->nodes + m->shards + m->runs + m->n_unregistered, 0);
    m = look(4, 4); /* nodes, but no slot is given out */
    assert_int_equal(m->shards, 0);
    assert_int_equal(m->slots_owned, 0);
}

static void image_differs_only_when_something_changed(void **state)
{
    (void)state;
    const struct rebalance_image before = *look(4, 4);
    struct rebalance_image after = *look(4, 4);
    assert_true(rebalance_image_same(&before, &after));
    t.owner[77] = 1;
    after = *look(4, 4);
    assert_false(rebalance_image_same(&before, &after));
    t.owner[77] = 0;
    t.node[2].failed = true;
    after = *look(4, 4);
    assert_false(rebalance_image_same(&before, &after));
}

static void zone_comes_from_the_longest_subnet(void **state)
{
    (void)state;
    static const struct rebalance_subnet subnet[] = { { "a", "10.0.0.0/16" },
                                                      { "b", "10.0.3.0/24" },
                                                      { "c", "fd00::/8" },
                                                      { "d", "10.0.3.7/32" },
                                                      { "e", "::ff00/120" } };
    static const struct {
        const char *host, *want;
    } row[] = { { "10.0.1.1", "a" },  { "10.0.3.1", "b" },
                { "10.0.3.7", "d" },  { "10.1.0.1", "" },
                { "fd00::1", "c" },   { "fd00:1:2:3:4:5:6:7", "c" },
                { "fe00::1", "" },    { "::", "" },
                { "fd00::1::2", "" }, { "fd00:1", "" },
                { "10.0.1", "" },     { "10.0.1.256", "" },
                { "10.0.1.1.1", "" }, { "::ffff", "e" },
                { "redis-1", "" },    { "", "" } };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_string_equal(rebalance_subnet_zone(subnet, PR_COUNT(subnet), row[i].host),
                            row[i].want);
    struct pr_err err = { 0 };
    const struct rebalance_cluster c = {
        .node = t.node, .nodes = 4, .slot_owner = t.owner, .imports = t.imports
    };
    t.reg[0].zone = ""; /* the registration says nothing: the subnet does */
    assert_ok(rebalance_image(t.reg, 4, subnet, PR_COUNT(subnet), &c, &t.arena, &t.image, &err),
              &err);
    assert_string_equal(t.image.node[0].zone, "a");
    assert_string_equal(t.image.node[1].zone, "b"); /* the registration wins */
}

static void open_slots_are_found(void **state)
{
    (void)state;
    uint8_t open[2048] = { 0 };
    rebalance_open_slots("07c3 127.0.0.1:30004@31004 slave e7d1 0 1426238317239 4 connected\n"
                         "e7d1 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460 "
                         "[93->-292f] [5000-<-e7d1] [16384->-x] [-1->-x]\n",
                         open);
    size_t n = 0;
    for (unsigned s = 0; s < SLOTS; s++)
        n += ((unsigned)open[s / 8] >> (s % 8)) & 1u;
    assert_int_equal(n, 2);
    assert_true(((unsigned)open[93 / 8] >> (93 % 8)) & 1u);
    assert_true(((unsigned)open[5000 / 8] >> (5000 % 8)) & 1u);
}

static void names_are_parsed_back(void **state)
{
    (void)state;
    for (int r = 0; r <= REBALANCE_REPLICA; r++)
        assert_int_equal(rebalance_role_parse(rebalance_role_name((enum rebalance_role)r)), r);
    for (int s = 0; s <= REBALANCE_GONE; s++)
        assert_int_equal(
            rebalance_node_state_parse(rebalance_node_state_name((enum rebalance_node_state)s)), s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_follow_the_cluster, two_shards, done),
        cmocka_unit_test_setup_teardown(replica_stays_in_its_shard_while_another_takes_over,
                                        two_shards, done),
        cmocka_unit_test_setup_teardown(shard_keeps_its_id_while_a_slot_seems_to_be_a_dead_node_s,
                                        two_shards, done),
        cmocka_unit_test_setup_teardown(shard_keeps_its_id_over_a_fail_over, two_shards, done),
        cmocka_unit_test_setup_teardown(slot_of_a_primary_that_nobody_succeeded_stays_its_own,
                                        two_shards, done),
        cmocka_unit_test_setup_teardown(shard_keeps_its_id_whoever_joins_or_leaves, two_shards,
                                        done),
        cmocka_unit_test_setup_teardown(new_shard_takes_no_name_that_is_in_use, two_shards, done),
        cmocka_unit_test_setup_teardown(node_that_left_is_gone_and_counts_no_more, two_shards,
                                        done),
        cmocka_unit_test_setup_teardown(node_never_seen_stays_registered, two_shards, done),
        cmocka_unit_test_setup_teardown(unregistered_node_has_no_zone, two_shards, done),
        cmocka_unit_test_setup_teardown(empty_cluster_has_no_rows, two_shards, done),
        cmocka_unit_test_setup_teardown(image_differs_only_when_something_changed, two_shards,
                                        done),
        cmocka_unit_test_setup_teardown(zone_comes_from_the_longest_subnet, two_shards, done),
        cmocka_unit_test(open_slots_are_found),
        cmocka_unit_test(names_are_parsed_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
