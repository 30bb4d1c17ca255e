/* CLUSTER NODES -> struct pr_topology. */
#include "t.h"
#include "prism/io/redis.h"

#include <stdio.h>
#include <string.h>

#define ID_A "07c37dfeb235213a872192d90877d0cd55635b91"
#define ID_B "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1"
#define ID_C "292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f"
#define ID_D "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca"

static struct pr_topology parse(const char *text)
{
    struct pr_topology t;
    struct pr_err err = { .text = "" };
    if (pr_topology_parse(text, "10.0.0.9", &t, &err) != PR_OK)
        fail_msg("%s", err.text);
    return t;
}

static const struct pr_node *by_id(const struct pr_topology *t, const char *id)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].id, id) == 0)
            return &t->node[i];
    fail_msg("no node %s", id);
    return NULL;
}

static void maps_every_slot_to_its_primary(void **state)
{
    (void)state;
    struct pr_topology t =
        parse(ID_A " 10.0.0.4:7004@17004 slave " ID_D " 0 1426238317239 4 connected\n" ID_B
                   " 10.0.0.2:7002@17002 master - 0 1426238316232 2 connected 5461-10922\n" ID_C
                   " 10.0.0.3:7003@17003 master - 0 1426238318243 3 connected 10923-16383\n" ID_D
                   " 10.0.0.1:7001@17001 myself,master - 0 0 1 connected 0 1-5460\n");
    assert_int_equal(t.nodes, 4);
    assert_false(t.open_slots);
    for (size_t i = 1; i < t.nodes; i++)
        assert_true(strcmp(t.node[i - 1].id, t.node[i].id) < 0);

    static const struct {
        unsigned slot;
        const char *id;
        int port;
    } row[] = { { 0, ID_D, 7001 },    { 1, ID_D, 7001 },     { 5460, ID_D, 7001 },
                { 5461, ID_B, 7002 }, { 10922, ID_B, 7002 }, { 10923, ID_C, 7003 },
                { 16383, ID_C, 7003 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int16_t owner = t.slot_owner[row[i].slot];
        assert_in_range(owner, 0, 3);
        assert_string_equal(t.node[owner].id, row[i].id);
        assert_int_equal(t.node[owner].port, row[i].port);
    }
    const struct pr_node *replica = by_id(&t, ID_A);
    assert_false(replica->primary);
    assert_string_equal(replica->primary_id, ID_D);
    assert_int_equal(replica->config_epoch, 4);
    assert_true(replica->pong_ms == 1426238317239);
    assert_true(by_id(&t, ID_D)->pong_ms == 0);
    assert_true(by_id(&t, ID_D)->primary);
    assert_string_equal(by_id(&t, ID_D)->primary_id, "");
    assert_int_equal(by_id(&t, ID_D)->replicas, 1);
    assert_int_equal(replica->replicas, 0);
    pr_topology_done(&t);
}

static void marks_failed_suspected_and_addressless_nodes(void **state)
{
    (void)state;
    struct pr_topology t =
        parse(ID_A " 10.0.0.4:7004@17004 master,fail - 1 2 4 disconnected\n" ID_B
                   " 10.0.0.2:7002@17002 slave,fail? " ID_C " 1 2 2 connected\n" ID_C
                   " 10.0.0.3:7003@17003 master - 0 2 3 connected 7\n" ID_D
                   " :0@0 master,noaddr - 1 2 1 disconnected 9\n");
    assert_true(by_id(&t, ID_A)->failed);
    assert_true(by_id(&t, ID_B)->failed);
    assert_false(by_id(&t, ID_C)->failed);
    assert_true(by_id(&t, ID_D)->failed);
    assert_true(by_id(&t, ID_A)->dead); /* and not only to the node that was asked */
    assert_false(by_id(&t, ID_B)->dead);
    assert_false(by_id(&t, ID_C)->dead);
    assert_string_equal(by_id(&t, ID_D)->host, "");
    assert_string_equal(t.node[t.slot_owner[9]].id, ID_D);
    assert_int_equal(t.slot_owner[8], -1);
    pr_topology_done(&t);
}

/* Of the one that was asked: its line says myself. */
static void sees_that_the_asked_node_serves_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *flags, *slots;
        bool idle;
    } row[] = { { "myself,master", "", true },
                { "myself,master", " [93-<-e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca]", true },
                { "myself,master", " 5", false },
                { "myself,master", " [93-<-e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca] 5", false },
                { "myself,slave", "", false },
                { "master", "", false } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[400];
        struct pr_topology t;
        struct pr_err err;
        (void)snprintf(text, sizeof text,
                       "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004 %s - 0 1 4 "
                       "connected%s\n"
                       "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 master - 0 "
                       "1 1 connected 0-4\n",
                       row[i].flags, row[i].slots);
        assert_ok(pr_topology_parse(text, "127.0.0.1", &t, &err), &err);
        if (t.idle != row[i].idle)
            fail_msg("row %zu", i);
        pr_topology_done(&t);
    }
}

static void sees_open_slots_without_taking_them_for_owned(void **state)
{
    (void)state;
    static const char *const marks[] = { "[93->-" ID_B "]", "[93-<-" ID_B "]" };
    for (size_t i = 0; i < PR_COUNT(marks); i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       ID_A " 10.0.0.1:7001@17001 myself,master - 0 0 1 connected 5-6 %s\n" ID_B
                            " 10.0.0.2:7002@17002 master - 0 0 2 connected\n",
                       marks[i]);
        struct pr_topology t = parse(text);
        assert_true(t.open_slots);
        for (int b = 0; b < 16384 / 8; b++) /* only the mark of an import is one */
            assert_int_equal(t.imports[b], i == 1 && b == 93 / 8 ? 1u << (93 % 8) : 0);
        assert_int_equal(t.slot_owner[93], -1);
        assert_true(t.slot_owner[5] >= 0);
        pr_topology_done(&t);
    }
}

static void finds_the_host_in_every_form_of_address(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host;
        int port;
    } row[] = {
        { "10.0.0.1:7001@17001", "10.0.0.1", 7001 },
        { "10.0.0.1:7001", "10.0.0.1", 7001 }, /* before Redis 4 */
        { "10.0.0.1:7001@17001,a.example", "10.0.0.1", 7001 },
        { "10.0.0.1:7001@17001,,shard-id=12", "10.0.0.1", 7001 },
        { ":7001@17001", "10.0.0.9", 7001 }, /* does not know its own yet */
        { "?:7001@17001,a.example,shard-id=12", "a.example", 7001 },
        { "::1:7001@17001", "::1", 7001 },
        { "2001:db8::68:65535@1", "2001:db8::68", 65535 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[512];
        (void)snprintf(text, sizeof text, ID_A " %s myself,master - 0 0 1 connected\n",
                       row[i].address);
        struct pr_topology t = parse(text);
        assert_string_equal(t.node[0].host, row[i].host);
        assert_int_equal(t.node[0].port, row[i].port);
        pr_topology_done(&t);
    }
}

static void leaves_out_nodes_in_handshake(void **state)
{
    (void)state;
    struct pr_topology t = parse(ID_A " 10.0.0.1:7001@17001 handshake - 1 0 0 disconnected\r\n" ID_B
                                      " 10.0.0.2:7002@17002 myself,master - 0 0 2 connected\r\n\n");
    assert_int_equal(t.nodes, 1);
    assert_string_equal(t.node[0].id, ID_B);
    pr_topology_done(&t);
}

static void refuses_malformed_text_and_names_the_line(void **state)
{
    (void)state;
#define GOOD ID_B " 10.0.0.2:7002@17002 master - 0 0 2 connected 7\n"
    static const struct {
        const char *text, *says;
    } row[] = {
        { "", "no node" },
        { "\n\n", "no node" },
        { "abc 10.0.0.1:1@2 master - 0 0 1 connected\n", "line 1: bad node id" },
        { GOOD "zz\n", "line 2: bad node id" },
        { ID_A " 10.0.0.1:1@2 master - 0 0 1\n", "too few fields" },
        { ID_A " 10.0.0.1:1@2 loner - 0 0 1 connected\n", "neither master nor slave" },
        { ID_A " 10.0.0.1@2 master - 0 0 1 connected\n", "bad address" },
        { ID_A " 10.0.0.1:65536@2 master - 0 0 1 connected\n", "bad address" },
        { ID_A " 10.0.0.1:0@0 master - 0 0 1 connected\n", "bad address" },
        { ID_A " :7001@2 master - 0 0 1 connected\n", "bad address" }, /* another's, unknown */
        { ID_A " 10.0.0.1:1@2 slave xyz 0 0 1 connected\n", "bad primary id" },
        { ID_A " 10.0.0.1:1@2 master - 0 0 -1 connected\n", "bad config epoch" },
        { ID_A " 10.0.0.1:1@2 master - 0 -7 1 connected\n", "bad time of a pong" },
        { ID_A " 10.0.0.1:1@2 master - 0 0 1 connected 16384\n", "bad slot range" },
        { ID_A " 10.0.0.1:1@2 master - 0 0 1 connected 9-8\n", "bad slot range" },
        { ID_A " 10.0.0.1:1@2 master - 0 0 1 connected 9-\n", "bad slot range" },
        { ID_A " 10.0.0.1:1@2 master - 0 0 1 connected [9->x\n", "bad open slot" },
        { ID_A " 10.0.0.1:1@2 master - 0 0 1 connected [x->-" ID_B "]\n", "bad open slot" },
        { GOOD GOOD, "twice" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_topology t;
        struct pr_err err = { .text = "" };
        assert_int_equal(pr_topology_parse(row[i].text, "10.0.0.9", &t, &err), PR_EDATA);
        if (strstr(err.text, row[i].says) == NULL)
            fail_msg("row %zu: '%s' does not say '%s'", i, err.text, row[i].says);
    }
}

static void a_parse_that_failed_leaves_the_output_alone(void **state)
{
    (void)state;
    struct pr_topology t = { .nodes = 77 };
    assert_int_equal(pr_topology_parse(GOOD "zz\n", NULL, &t, NULL), PR_EDATA);
    assert_int_equal(t.nodes, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_every_slot_to_its_primary),
        cmocka_unit_test(marks_failed_suspected_and_addressless_nodes),
        cmocka_unit_test(sees_that_the_asked_node_serves_nothing),
        cmocka_unit_test(sees_open_slots_without_taking_them_for_owned),
        cmocka_unit_test(finds_the_host_in_every_form_of_address),
        cmocka_unit_test(leaves_out_nodes_in_handshake),
        cmocka_unit_test(refuses_malformed_text_and_names_the_line),
        cmocka_unit_test(a_parse_that_failed_leaves_the_output_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
