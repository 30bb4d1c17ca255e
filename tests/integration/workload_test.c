/* prism-workload against a real cluster: what it counts, and what it proves. */
#include "dp_tools.h"

#include "prism/io/bus.h"
#include "prism/slot.h"
#include "prism/v1/edges.pb-c.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const loader = PRISM_BIN_DIR "/prism-load";
static const char *const program = PRISM_BIN_DIR "/prism-workload";
static char graph[4096], ledger[4096];

/* A ring with chords, and a hub whose hash is no listpack any more. */
static int load_graph(void **state)
{
    if (tools_start(state) != 0)
        return -1;
    enum { N = 6000 };
    char *text = malloc(N * 48), *p = text;
    for (int i = 0; i < N; i++)
        p += sprintf(p, "%d %d\n%d %d\n", i, (i + 1) % N, i, (i * 7 + 3) % N);
    for (int i = 10; i < N; i += 10)
        p += sprintf(p, "%d 0\n", i);
    (void)snprintf(graph, sizeof graph, "%s", put_file("ring.txt", text));
    (void)snprintf(ledger, sizeof ledger, "%s/ledger.txt", getenv("PRISM_IT_DIR"));
    free(text);
    const char *const argv[] = { loader,          "--graph", graph, "--partitions",
                                 PARTITIONS_TEXT, "--json",  NULL };
    json_decref(run_tool("CLIENT_REDIS", argv, 0));
    return 0;
}

static int no_ledger(void **state)
{
    (void)state;
    (void)unlink(ledger);
    return 0;
}

static json_t *run_for(const char *seconds, int want_status)
{
    const char *const argv[] = {
        program,   "--graph",          graph,       "--partitions", PARTITIONS_TEXT,
        "--zones", it_env("IT_ZONES"), "--seconds", seconds,        "--ledger",
        ledger,    "--writer",         "t",         "--json",       NULL
    };
    return run_tool("CLIENT_REDIS", argv, want_status);
}

static json_t *verify(int want_status)
{
    const char *const argv[] = { program,        "--verify",      "--ledger", ledger,
                                 "--partitions", PARTITIONS_TEXT, "--json",   NULL };
    return run_tool("CLIENT_REDIS", argv, want_status);
}

static void counts_bytes_by_zone_and_loses_nothing(void **state)
{
    (void)state;
    json_t *end = run_for("2", 0);
    const json_t *bytes = json_object_get(end, "bytes"), *matrix = json_object_get(end, "matrix"),
                 *row, *cell;
    const char *a, *b;
    long long total = 0, cross = 0;
    json_object_foreach((json_t *)matrix, a, row) json_object_foreach((json_t *)row, b, cell)
    {
        total += json_integer_value(cell);
        cross += strcmp(a, b) != 0 ? json_integer_value(cell) : 0;
    }
    assert_int_equal(json_object_size(matrix), 3);
    assert_int_equal(total, number(bytes, "total"));
    assert_int_equal(cross, number(bytes, "cross"));
    assert_int_equal(number(bytes, "unzoned"), 0);
    assert_int_equal(number(bytes, "dropped"), 0);
    assert_true(total > 10000);
    const double share = real(end, "cross_share_root_zone");
    assert_true(share > (double)cross / (double)total - 1e-4 &&
                share < (double)cross / (double)total + 1e-4);
    /* hashed over three zones: two thirds, and so it is for random clients */
    assert_true(share > 0.4 && share < 0.9);
    assert_true(real(end, "cross_share_random_zone") > 0.6 &&
                real(end, "cross_share_random_zone") < 0.73);
    const double writes = (double)number(end, "writes_acked"), reads = (double)number(end, "reads");
    assert_true(writes / (writes + reads) > 0.15 && writes / (writes + reads) < 0.21);
    assert_true(number(end, "traversals") > 10);
    assert_int_equal(number(end, "lost"), 0);
    assert_int_equal(number(end, "missing"), 0);
    assert_true(number(end, "verified") > 50);
    assert_true(number(end, "replication_bytes") > number(end, "writes_acked") * 20);
    assert_true(number(end, "replication_cross_bytes") == number(end, "replication_bytes"));
    assert_true(number(end, "p50_us") > 0 && number(end, "p99_us") >= number(end, "p50_us"));
    json_decref(end);
}

/* The replicas are fed whether or not a write waits for them. */
static void replication_counts_though_no_write_waits_for_it(void **state)
{
    (void)state;
    const char *const argv[] = { program,
                                 "--graph",
                                 graph,
                                 "--partitions",
                                 PARTITIONS_TEXT,
                                 "--zones",
                                 it_env("IT_ZONES"),
                                 "--seconds",
                                 "1",
                                 "--replicas",
                                 "0",
                                 "--json",
                                 NULL };
    json_t *end = run_tool("CLIENT_REDIS", argv, 0);
    assert_true(number(end, "writes_acked") > 0);
    assert_true(number(end, "replication_bytes") > number(end, "writes_acked") * 20);
    assert_true(number(end, "replication_cross_bytes") == number(end, "replication_bytes"));
    json_decref(end);
}

static void bytes_of_a_root_that_is_not_there_are_in_no_row(void **state)
{
    (void)state;
    const char *const argv[] = { program,
                                 "--graph",
                                 put_file("never.txt", "999001 999002\n"),
                                 "--partitions",
                                 PARTITIONS_TEXT,
                                 "--zones",
                                 it_env("IT_ZONES"),
                                 "--seconds",
                                 "1",
                                 "--write-ratio",
                                 "0",
                                 "--json",
                                 NULL };
    json_t *end = run_tool("CLIENT_REDIS", argv, 1);
    const json_t *bytes = json_object_get(end, "bytes");
    assert_true(number(end, "missing") > 0);
    assert_int_equal(number(end, "traversals"), 0);
    assert_int_equal(number(bytes, "total"), 0);
    assert_true(number(bytes, "dropped") > number(end, "missing") * 20);
    json_decref(end);
}

/* The last acknowledged write of the ledger file. */
static void last_acked(char vertex[64], char writer[64], unsigned long long *value)
{
    char line[256], v[64], w[64];
    unsigned long long n;
    FILE *f = fopen(ledger, "re");
    assert_non_null(f);
    vertex[0] = '\0';
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "A %63s %63s %llu", v, w, &n) == 3) {
            memcpy(vertex, v, sizeof v);
            memcpy(writer, w, sizeof w);
            *value = n;
        }
    (void)fclose(f);
    assert_true(vertex[0] != '\0');
}

/* Sets the property behind the workload's back, verifies, puts it right. */
static void assert_found_out(const char *vertex, const char *writer, unsigned long long value,
                             unsigned long long put)
{
    char text[256];
    (void)snprintf(text, sizeof text, "HSET %%s p:w%s %llu", writer, put);
    freeReplyObject(ask_vertex(vertex, -1, text));
    json_t *end = verify(1);
    assert_int_equal(number(end, "lost"), 1);
    json_decref(end);
    (void)snprintf(text, sizeof text, "HSET %%s p:w%s %llu", writer, value);
    freeReplyObject(ask_vertex(vertex, -1, text));
}

static void a_write_that_was_lost_or_changed_is_found_out(void **state)
{
    (void)state;
    char vertex[64], writer[64];
    unsigned long long value = 0;
    json_decref(run_for("1", 0));
    json_t *end = verify(0);
    assert_int_equal(number(end, "lost"), 0);
    json_decref(end);
    last_acked(vertex, writer, &value);
    assert_found_out(vertex, writer, value, value - 1);
    assert_found_out(vertex, writer, value, value + 1);

    redisReply *dump = ask_vertex(vertex, -1, "HGETALL %s");
    freeReplyObject(ask_vertex(vertex, -1, "UNLINK %s"));
    end = verify(1);
    assert_true(number(end, "lost") >= 1);
    json_decref(end);
    json_decref(run_for("1", 1)); /* the run itself notices as well */
    for (size_t i = 0; i + 1 < dump->elements; i += 2) {
        char text[256];
        (void)snprintf(text, sizeof text, "HSET %%s %.100s %.100s", dump->element[i]->str,
                       dump->element[i + 1]->str);
        freeReplyObject(ask_vertex(vertex, -1, text));
    }
    freeReplyObject(dump);
    json_decref(verify(0));
}

static bool ledger_grew(void *ctx)
{
    struct stat st;
    const long *above = ctx;
    return stat(ledger, &st) == 0 && st.st_size > *above;
}

static long ledger_size(void)
{
    struct stat st;
    return stat(ledger, &st) == 0 ? (long)st.st_size : 0;
}

static pid_t start_endless(void)
{
    const char *const argv[] = { program,
                                 "--graph",
                                 graph,
                                 "--partitions",
                                 PARTITIONS_TEXT,
                                 "--zones",
                                 it_env("IT_ZONES"),
                                 "--seconds",
                                 "0",
                                 "--ledger",
                                 ledger,
                                 NULL };
    return it_spawn(tool_env("CLIENT_REDIS"), argv);
}

static void runs_until_sigterm_and_then_verifies(void **state)
{
    (void)state;
    long above = 0;
    const pid_t pid = start_endless();
    assert_true(it_await(ledger_grew, &above, 20000));
    assert_int_equal(it_stop(pid), 0);
    json_decref(verify(0));
}

static void what_a_killed_workload_was_promised_can_be_verified(void **state)
{
    (void)state;
    long above = 0;
    const pid_t pid = start_endless();
    assert_true(it_await(ledger_grew, &above, 20000));
    it_kill(pid);
    json_t *end = verify(0);
    assert_true(number(end, "verified") > 0);
    json_decref(end);
}

/* What was told of each partition, and how many messages there were. */
struct told {
    pthread_mutex_t lock;
    uint64_t operations[PARTITIONS], all;
    int messages, wrong;
};

static enum pr_code hear(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    struct told *t = ctx;
    (void)err;
    Prism__V1__PartitionAccessEvent *e =
        prism__v1__partition_access_event__unpack(NULL, msg->len, msg->data);
    pthread_mutex_lock(&t->lock);
    t->messages++;
    t->wrong += e == NULL || e->n_partition != e->n_operations || e->sample_ratio != 1;
    for (size_t i = 0; e != NULL && i < e->n_partition && i < e->n_operations; i++) {
        t->wrong += e->partition[i] >= PARTITIONS;
        t->operations[e->partition[i] % PARTITIONS] += e->operations[i];
        t->all += e->operations[i];
    }
    pthread_mutex_unlock(&t->lock);
    if (e != NULL)
        prism__v1__partition_access_event__free_unpacked(e, NULL);
    return PR_OK;
}

struct wanted_words {
    struct told *told;
    uint64_t operations;
};

static bool all_was_told(void *ctx)
{
    const struct wanted_words *w = ctx;
    pthread_mutex_lock(&w->told->lock);
    const bool all = w->told->all >= w->operations;
    pthread_mutex_unlock(&w->told->lock);
    return all;
}

static void tells_which_partitions_were_used(void **state)
{
    (void)state;
    static struct told told = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct pr_bus *bus = NULL;
    struct pr_err err = { 0 };
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_NATS_ADMIN_USER"),
                                      .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                      .name = "it" };
    const char *const argv[] = { program,
                                 "--graph",
                                 graph,
                                 "--partitions",
                                 PARTITIONS_TEXT,
                                 "--zones",
                                 it_env("IT_ZONES"),
                                 "--seconds",
                                 "7",
                                 "--tell",
                                 "--json",
                                 NULL };
    it_bus_reset();
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    assert_ok(pr_bus_watch(bus, "PRISM_EDGES", "prism.edges.access", hear, &told, &err), &err);
    json_t *end = run_tool("CLIENT_REDIS", argv, 0);
    const struct wanted_words all = { &told, (uint64_t)number(end, "reads") * 9 / 10 };
    assert_true(it_await(all_was_told, (void *)(uintptr_t)&all, 30000));
    json_decref(end);
    pr_bus_close(bus);
    assert_int_equal(told.wrong, 0);
    assert_true(told.messages >= 2); /* while it ran, and at its end */
    for (int p = 0; p < PARTITIONS; p++)
        if (told.operations[p] == 0)
            fail_msg("nothing was told of partition %d", p);
}

static void survives_the_death_of_a_primary_without_loss(void **state)
{
    (void)state;
    const struct pr_topology *t = pr_cluster_topology(admin);
    const int port = t->node[t->slot_owner[pr_partition_slot(5)]].port;
    char name[32];
    long above = 0;
    (void)snprintf(name, sizeof name, "redis-%d", port);
    const pid_t pid = start_endless();
    assert_true(it_await(ledger_grew, &above, 20000));
    it_server_kill(name, true);
    above = ledger_size() + 20000; /* more than the waves that were under way */
    const bool went_on = it_await(ledger_grew, &above, 40000);
    it_server_up(name);
    it_cluster_await(60000);
    assert_true(went_on);
    assert_int_equal(it_stop(pid), 0);
    json_decref(verify(0));
    fail_back(port);
}

static void bad_arguments_are_named(void **state)
{
    (void)state;
    const char *zones = it_env("IT_ZONES");
    const struct {
        const char *argv[12], *says;
        int status;
    } row[] = {
        { { program, "--json", "--partitions", "64", "--graph", graph, "--zones", zones },
          "--seconds",
          2 },
        { { program, "--json", "--partitions", "64", "--graph", graph, "--seconds", "1" },
          "--zones",
          2 },
        { { program, "--json", "--partitions", "64", "--graph", graph, "--seconds", "1", "--zones",
            "x=a" },
          "'x=a': want host:port=zone",
          2 },
        { { program, "--json", "--partitions", "64", "--graph", graph, "--seconds", "1", "--zones",
            "127.0.0.1:1=a" },
          "no zone for node",
          1 },
        { { program, "--json", "--zipf", "-1" }, "--zipf -1: want", 2 },
        { { program, "--json", "--write-ratio", "1" }, "--write-ratio 1: want", 2 },
        { { program, "--json", "--partitions", "64", "--verify" }, "--ledger", 2 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_error(run_tool("CLIENT_REDIS", row[i].argv, row[i].status), row[i].says);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(counts_bytes_by_zone_and_loses_nothing, no_ledger),
        cmocka_unit_test(replication_counts_though_no_write_waits_for_it),
        cmocka_unit_test(bytes_of_a_root_that_is_not_there_are_in_no_row),
        cmocka_unit_test_setup(a_write_that_was_lost_or_changed_is_found_out, no_ledger),
        cmocka_unit_test_setup(runs_until_sigterm_and_then_verifies, no_ledger),
        cmocka_unit_test_setup(what_a_killed_workload_was_promised_can_be_verified, no_ledger),
        cmocka_unit_test_setup(tells_which_partitions_were_used, no_ledger),
        cmocka_unit_test_setup(survives_the_death_of_a_primary_without_loss, no_ledger),
        cmocka_unit_test_setup(bad_arguments_are_named, no_ledger),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, load_graph, tools_stop);
}
