/* prism-load against a real cluster. */
#include "dp_tools.h"

#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const program = PRISM_BIN_DIR "/prism-load";

static json_t *load_as(const char *user, const char *graph, int want_status)
{
    const char *const argv[] = { program,         "--graph", graph, "--partitions",
                                 PARTITIONS_TEXT, "--json",  NULL };
    return run_tool(user, argv, want_status);
}

static json_t *load(const char *graph, int want_status)
{
    return load_as("CLIENT_REDIS", graph, want_status);
}

static int fresh(void **state)
{
    (void)state;
    it_redis_flush();
    return 0;
}

static void assert_field(const char *id, const char *name, const char *want)
{
    const char *have = field(id, name);
    if ((have == NULL) != (want == NULL) || (want != NULL && strcmp(have, want) != 0))
        fail_msg("vertex %s: %s is %s, not %s", id, name, have != NULL ? have : "absent",
                 want != NULL ? want : "absent");
}

static long long data_fields(const char *id)
{
    redisReply *r = ask_vertex(id, -1, "HLEN %s");
    const long long n = r->integer - 2; /* _v and _e */
    freeReplyObject(r);
    return n;
}

static void writes_both_directions_and_merges_duplicates(void **state)
{
    (void)state;
    json_t *end = load(put_file("small.txt", "1 2 5\n1 2 7\n2 1\n3 3\n1 30\n"), 0);
    assert_true(json_is_true(json_object_get(end, "done")));
    assert_int_equal(number(end, "vertices"), 4);
    assert_int_equal(number(end, "edges"), 3);
    assert_int_equal(number(end, "edges_in_file"), 5);
    assert_true(number(end, "bytes") > 100);
    json_decref(end);
    assert_field("1", "o:2", "12");
    assert_field("2", "i:1", "12");
    assert_field("2", "o:1", "1");
    assert_field("1", "i:2", "1");
    assert_field("1", "o:30", "1");
    assert_field("30", "i:1", "1");
    assert_field("3", "o:3", NULL); /* a self-loop: the vertex only */
    assert_field("3", "_e", "0");
    assert_int_equal(data_fields("1"), 3);
    assert_int_equal(data_fields("3"), 0);
}

static void loading_again_changes_no_data(void **state)
{
    (void)state;
    const char *path = put_file("small.txt", "1 2 5\n2 3\n");
    json_decref(load(path, 0));
    json_decref(load(path, 0));
    assert_field("1", "o:2", "5");
    assert_field("2", "i:1", "5");
    assert_int_equal(data_fields("2"), 2);
}

/* Keys on all primaries, or on all replicas, by what each node says it is. */
static long long keys_of(bool primaries)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    long long sum = 0;
    for (size_t i = 0; i < n; i++) {
        redisContext *c = it_redis_admin(port[i]);
        redisReply *role = redisCommand(c, "ROLE"), *size = redisCommand(c, "DBSIZE");
        assert_true(role != NULL && size != NULL && role->type == REDIS_REPLY_ARRAY);
        if ((strcmp(role->element[0]->str, "master") == 0) == primaries)
            sum += size->integer;
        freeReplyObject(role);
        freeReplyObject(size);
        redisFree(c);
    }
    return sum;
}

static void every_replica_has_everything_when_it_ends(void **state)
{
    (void)state;
    json_t *end = load(PRISM_SOURCE_DIR "/tests/data/road-NY.txt.xz", 0);
    const long long vertices = number(end, "vertices");
    assert_int_equal(vertices, 264346);
    json_decref(end);
    assert_int_equal(keys_of(true), vertices);
    assert_int_equal(keys_of(false), vertices * atoi(it_env("IT_REPLICAS")));
}

static char *star(int leaves)
{
    char *text = malloc((size_t)leaves * 12 + 1), *p = text;
    assert_non_null(text);
    *p = '\0';
    for (int i = 1; i <= leaves; i++)
        p += sprintf(p, "0 %d\n", i);
    return text;
}

static void a_vertex_of_many_neighbours_takes_several_calls(void **state)
{
    (void)state;
    char *text = star(4001); /* 2000 a call: three calls */
    json_decref(load(put_file("star.txt", text), 0));
    free(text);
    assert_int_equal(data_fields("0"), 4001);
    assert_field("0", "o:1", "1");
    assert_field("0", "o:4001", "1");
    assert_field("4001", "i:0", "1");
}

static void a_vertex_over_the_cap_is_named_and_nothing_is_claimed(void **state)
{
    (void)state;
    char *text = star(100001);
    json_t *line = load(put_file("star.txt", text), 1);
    free(text);
    assert_string_equal(json_string_value(json_object_get(line, "code")), "full");
    assert_error(line, "vertex 0: VERTEX_FULL");
}

static void set_max_memory(const char *value)
{
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++) {
        redisContext *c = it_redis_admin(port[i]);
        redisReply *r = redisCommand(c, "CONFIG SET maxmemory %s", value);
        assert_true(r != NULL && r->type == REDIS_REPLY_STATUS);
        freeReplyObject(r);
        redisFree(c);
    }
}

static void a_store_without_memory_stops_the_load(void **state)
{
    (void)state;
    const char *path = put_file("small.txt", "1 2\n2 3\n");
    set_max_memory("1mb");
    static char out[65536];
    const char *const argv[] = { program,         "--graph", path, "--partitions",
                                 PARTITIONS_TEXT, "--json",  NULL };
    const int status = it_run(tool_env("CLIENT_REDIS"), argv, out, sizeof out, 60000);
    set_max_memory("0");
    assert_int_equal(status, 1);
    assert_non_null(strstr(out, "vertex "));
    assert_non_null(strstr(out, "OOM"));
    assert_null(strstr(out, "\"done\""));
}

static void a_user_without_the_right_is_told(void **state)
{
    (void)state;
    json_t *line = load_as("REBALANCE_REDIS", put_file("small.txt", "1 2\n"), 1);
    assert_string_equal(json_string_value(json_object_get(line, "code")), "denied");
    assert_error(line, "NOPERM");
}

static void a_vertex_that_moved_is_written_where_it_lives(void **state)
{
    (void)state;
    const char *path = put_file("small.txt", "1 2 5\n");
    const uint32_t home = pr_home_partition(pr_vertex_hash("1", 1), PARTITIONS);
    const int away = (int)((home + 1) % PARTITIONS);
    char text[64];
    (void)snprintf(text, sizeof text, "HSET %%s _m %d:7", away);
    freeReplyObject(ask_vertex("1", -1, text));
    freeReplyObject(ask_vertex("1", away, "HSET %s _v 3 _e 7"));
    json_t *end = load(path, 0);
    assert_int_equal(number(end, "moved"), 1);
    json_decref(end);
    redisReply *r = ask_vertex("1", away, "HGET %s o:2");
    assert_string_equal(r->str, "5");
    freeReplyObject(r);
    assert_field("1", "o:2", NULL); /* the stub stays a stub */
}

static void a_bad_file_loads_nothing(void **state)
{
    (void)state;
    assert_error(load(put_file("bad.txt", "1 2\n3 x\n"), 1), "bad.txt: line 2: second id 'x'");
    assert_error(load("/nowhere/graph.txt", 1), "/nowhere/graph.txt: No such file");
    assert_int_equal(keys_of(true), 0);
}

static void bad_arguments_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *argv[8], *says;
    } row[] = {
        { { program, "--json", "--partitions", "64" }, "--graph" },
        { { program, "--json", "--graph", "x" }, "--partitions" },
        { { program, "--json", "--graph", "x", "--partitions", "0" }, "--partitions 0: want" },
        { { program, "--json", "--graph", "x", "--partitions", "4k" }, "--partitions 4k: want" },
        { { program, "--json", "--threads", "0" }, "--threads 0: want" },
        { { program, "--json", "--format", "csv" }, "--format csv" },
        { { program, "--json", "--graph", "x", "--partitions", "64", "more" }, "'more'" },
        { { program, "--json", "--what" }, "--help" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_error(run_tool("CLIENT_REDIS", row[i].argv, 2), row[i].says);
    static const char *const nowhere[] = { program,        "--json",  "--cluster",
                                           "127.0.0.1:1",  "--graph", "x",
                                           "--partitions", "64",      NULL };
    assert_error(run_tool("CLIENT_REDIS", nowhere, 1), "127.0.0.1:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(writes_both_directions_and_merges_duplicates, fresh),
        cmocka_unit_test_setup(loading_again_changes_no_data, fresh),
        cmocka_unit_test_setup(every_replica_has_everything_when_it_ends, fresh),
        cmocka_unit_test_setup(a_vertex_of_many_neighbours_takes_several_calls, fresh),
        cmocka_unit_test_setup(a_vertex_over_the_cap_is_named_and_nothing_is_claimed, fresh),
        cmocka_unit_test_setup(a_store_without_memory_stops_the_load, fresh),
        cmocka_unit_test_setup(a_user_without_the_right_is_told, fresh),
        cmocka_unit_test_setup(a_vertex_that_moved_is_written_where_it_lives, fresh),
        cmocka_unit_test_setup(a_bad_file_loads_nothing, fresh),
        cmocka_unit_test_setup(bad_arguments_are_named, fresh),
    };
    return cmocka_run_group_tests(tests, tools_start, tools_stop);
}
