/* Look-ups of metadata-api against real PostgreSQL and NATS: vertices,
 * partitions, topology. */
#include "api_fixture.h"

#include "prism/io/bus.h"
#include "prism/slot.h"
#include "prism/v1/rebalance.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct reply r;

/* --- vertices --------------------------------------------------------------- */

static void look_up(const char *id, const char *query)
{
    char path[256];
    snprintf(path, sizeof path, "/v1/vertices/%s%s", id, query);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
}

static void a_vertex_without_route_lives_at_its_hash_home(void **state)
{
    (void)state;
    const unsigned home = api_home("42");
    const unsigned slot = pr_partition_slot(home);
    const char zone[] = { "abc"[slot * 3 / 16384], '\0' };
    look_up("42", "");
    assert_string_equal(api_str(&r, "id"), "42");
    assert_int_equal(api_int(&r, "homePartition"), home);
    assert_int_equal(api_int(&r, "partition"), home);
    assert_int_equal(api_int(&r, "slot"), slot);
    assert_string_equal(api_str(&r, "zone"), zone);
    assert_string_equal(api_str(&r, "route"), "home");
    assert_true(json_is_false(json_object_get(r.j, "moved")));
    assert_int_equal(strlen(api_str(&r, "hash")), 16);
    assert_true(r.age[0] != '\0');
}

static void any_valid_id_is_answered_and_others_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int status;
    } row[] = {
        { "/v1/vertices/user:7", 200 },
        { "/v1/vertices/a%2Fb", 200 },
        { "/v1/vertices/%22quoted%22", 200 },
        { "/v1/vertices/a%20b", 400 },
        { "/v1/vertices/%7Ba%7D", 400 },
        { "/v1/vertices/%C3%A9", 400 },
        { "/v1/vertices/7?consistency=snapshot", 200 },
        { "/v1/vertices/7?consistency=strong", 200 },
        { "/v1/vertices/7?consistency=eventual", 400 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_call(&r, "viewer", "GET", row[i].path, NULL, NULL);
        assert_status(&r, row[i].status);
    }
    char longest[200] = "/v1/vertices/";
    size_t n = strlen(longest);
    memset(longest + n, 'x', 128);
    longest[n + 128] = '\0';
    api_call(&r, "viewer", "GET", longest, NULL, NULL);
    assert_status(&r, 200);
    strcat(longest, "x");
    api_call(&r, "viewer", "GET", longest, NULL, NULL);
    assert_status(&r, 400);
}

/* Base, then a delta over it, then home again: strong reads see each at once. */
static void routes_come_from_bases_and_newer_deltas_hide_them(void **state)
{
    (void)state;
    const char *v = "routed";
    const unsigned home = api_home(v), first = (home + 1) % 64, second = (home + 2) % 64;
    api_sql("INSERT INTO route_bases VALUES ('current', 0, %u, 1, %s)", home, api_blob(v, first));
    look_up(v, "?consistency=strong");
    assert_int_equal(api_int(&r, "partition"), first);
    assert_string_equal(api_str(&r, "route"), "moved");

    api_sql("INSERT INTO route_deltas (plan_id, batch, entries, blob) VALUES (900, 1, 1, %s)",
            api_blob(v, second));
    look_up(v, "?consistency=strong");
    assert_int_equal(api_int(&r, "partition"), second);

    api_sql("INSERT INTO route_deltas (plan_id, batch, entries, blob) VALUES (900, 2, 1, %s)",
            api_blob(v, home));
    look_up(v, "?consistency=strong");
    assert_int_equal(api_int(&r, "partition"), home);
    assert_string_equal(api_str(&r, "route"), "home");
}

static void publish_routes_event(int64_t delta)
{
    struct pr_bus *bus = NULL;
    struct pr_err err = { 0 };
    struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                .user = it_env("IT_NATS_ADMIN_USER"),
                                .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                .name = "it" };
    Prism__V1__RoutesChangedEvent e = PRISM__V1__ROUTES_CHANGED_EVENT__INIT;
    uint8_t packed[64];
    char id[64];
    e.delta_id = (uint64_t)delta;
    size_t n = prism__v1__routes_changed_event__pack(&e, packed);
    snprintf(id, sizeof id, "it-%d-%lld", (int)getpid(), (long long)delta);
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    assert_ok(pr_bus_publish(bus, "prism.evt.rebalance.routes", packed, n, id, "", &err), &err);
    pr_bus_close(bus);
}

struct wanted {
    const char *vertex;
    unsigned partition;
};

static bool lives_there(void *ctx)
{
    const struct wanted *w = ctx;
    look_up(w->vertex, "");
    return api_int(&r, "partition") == w->partition;
}

static void an_event_brings_a_new_delta_within_a_second(void **state)
{
    (void)state;
    struct wanted w = { "by-event", (api_home("by-event") + 3) % 64 };
    look_up(w.vertex, ""); /* its blob is cached now */
    int64_t id = atoll(api_sql("INSERT INTO route_deltas (plan_id, batch, entries, blob) "
                               "VALUES (901, 1, 1, %s) RETURNING id",
                               api_blob(w.vertex, w.partition)));
    publish_routes_event(id);
    assert_true(it_await(lives_there, &w, 1000));
}

/* The row goes into the base and vanishes: cached blobs must not hide it. */
static void folding_deltas_into_bases_loses_no_route(void **state)
{
    (void)state;
    const char *v = "folded";
    const unsigned home = api_home(v), to = (home + 4) % 64;
    look_up(v, "");
    api_sql("INSERT INTO route_deltas (plan_id, batch, entries, blob) VALUES (902, 1, 1, %s)",
            api_blob(v, to));
    look_up(v, "?consistency=strong");
    assert_int_equal(api_int(&r, "partition"), to);
    api_sql(
        "WITH d AS (DELETE FROM route_deltas WHERE plan_id = 902) "
        "INSERT INTO route_bases VALUES ('current', 0, %u, 1, %s) ON CONFLICT (kind, run_id, home) "
        "DO UPDATE SET blob = excluded.blob",
        home, api_blob(v, to));
    publish_routes_event(0);
    struct wanted w = { v, to };
    assert_true(it_await(lives_there, &w, 1000));
    for (int i = 0; i < 50; i++) /* and stays so, whichever snapshot answers */
        assert_true(lives_there(&w));
}

static void a_finished_run_gives_targets(void **state)
{
    (void)state;
    const char *v = "target";
    const unsigned home = api_home(v), to = (home + 5) % 64;
    const char *run =
        api_sql("INSERT INTO placement_runs (operation_id, state, source, created_by) "
                "VALUES (gen_random_uuid(), 'done', '{}', 'it') RETURNING id");
    long long id = atoll(run);
    api_sql("INSERT INTO route_bases VALUES ('target', %lld, %u, 1, %s)", id, home,
            api_blob(v, to));
    look_up(v, "?consistency=strong");
    json_t *target = json_object_get(r.j, "target");
    assert_int_equal(json_integer_value(json_object_get(target, "partition")), to);
    assert_int_equal(json_integer_value(json_object_get(target, "runId")), id);
    assert_string_equal(json_string_value(json_object_get(target, "zone")),
                        ((char[]){ "abc"[pr_partition_slot(to) * 3 / 16384], '\0' }));
    look_up("untouched", "");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(r.j, "target"), "partition")),
        api_home("untouched"));
}

static void a_batch_answers_in_the_order_asked(void **state)
{
    (void)state;
    char body[20000] = "{\"ids\":[";
    for (int i = 0; i < 1000; i++)
        sprintf(body + strlen(body), "%s\"%d\"", i == 0 ? "" : ",", i);
    strcat(body, "]}");
    api_call(&r, "viewer", "POST", "/v1/vertices:batchGet", body, NULL);
    assert_status(&r, 200);
    json_t *items = json_object_get(r.j, "items");
    assert_int_equal(json_array_size(items), 1000);
    for (size_t i = 0; i < 1000; i++) {
        char id[8];
        snprintf(id, sizeof id, "%zu", i);
        json_t *item = json_array_get(items, i);
        assert_string_equal(json_string_value(json_object_get(item, "id")), id);
        assert_int_equal(json_integer_value(json_object_get(item, "homePartition")), api_home(id));
    }
}

/* --- partitions and topology ------------------------------------------------ */

static void partitions_page_through_without_gap_or_repeat(void **state)
{
    (void)state;
    char path[600] = "/v1/partitions?pageSize=10";
    int next = 0, pages = 0;
    for (;;) {
        api_call(&r, "viewer", "GET", path, NULL, NULL);
        assert_status(&r, 200);
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(r.j, "items"), i, item)
            assert_int_equal(json_integer_value(json_object_get(item, "id")), next++);
        pages++;
        const char *token = json_string_value(json_object_get(r.j, "nextPageToken"));
        if (token == NULL)
            break;
        snprintf(path, sizeof path, "/v1/partitions?pageSize=10&pageToken=%s", token);
    }
    assert_int_equal(next, 64);
    assert_int_equal(pages, 7);
}

static void partitions_are_filtered_by_zone_and_slot(void **state)
{
    (void)state;
    size_t sum = 0;
    for (const char *z = "abc"; *z != '\0'; z++) {
        char path[64];
        snprintf(path, sizeof path, "/v1/partitions?zone=%c", *z);
        api_call(&r, "viewer", "GET", path, NULL, NULL);
        assert_status(&r, 200);
        sum += json_array_size(json_object_get(r.j, "items"));
    }
    assert_int_equal(sum, 64);
    char path[64];
    snprintf(path, sizeof path, "/v1/partitions?slot=%u", pr_partition_slot(9));
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
    api_call(&r, "viewer", "GET", "/v1/partitions?slot=16384", NULL, NULL);
    assert_status(&r, 400);
}

static void a_partition_tells_what_is_known_of_it(void **state)
{
    (void)state;
    api_call(&r, "viewer", "GET", "/v1/partitions/5", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(api_int(&r, "vertices"), 12);
    assert_string_equal(api_str(&r, "temperature"), "hot");
    api_call(&r, "viewer", "GET", "/v1/partitions/6", NULL, NULL);
    assert_true(json_is_null(json_object_get(r.j, "vertices")));
    api_call(&r, "viewer", "GET", "/v1/partitions/64", NULL, NULL);
    assert_status(&r, 404);
    api_call(&r, "viewer", "GET", "/v1/partitions/x", NULL, NULL);
    assert_status(&r, 400);
}

static void the_topology_tells_shards_ranges_and_zones(void **state)
{
    (void)state;
    api_call(&r, "viewer", "GET", "/v1/topology", NULL, NULL);
    assert_status(&r, 200);
    assert_string_equal(api_str(&r, "state"), "ok");
    assert_int_equal(api_int(&r, "slotsCovered"), 16384);
    json_t *shard = json_array_get(json_object_get(r.j, "shards"), 1);
    assert_string_equal(json_string_value(json_object_get(shard, "primary")), "n2");
    assert_string_equal(json_string_value(json_object_get(shard, "zone")), "b");
    json_t *range = json_array_get(json_object_get(shard, "slotRanges"), 0);
    assert_int_equal(json_array_size(json_object_get(shard, "slotRanges")), 1);
    assert_int_equal(json_integer_value(json_array_get(range, 0)), 5462);
    json_t *zone = json_array_get(json_object_get(r.j, "zones"), 0);
    assert_int_equal(json_integer_value(json_object_get(zone, "primaries")), 1);

    api_sql("UPDATE nodes SET state = 'failed' WHERE id = 'n6'");
    look_up("1", "?consistency=strong");
    api_call(&r, "viewer", "GET", "/v1/topology", NULL, NULL);
    assert_string_equal(api_str(&r, "state"), "degraded");
    assert_non_null(strstr(r.text, "node n6 has failed"));
    api_sql("UPDATE nodes SET state = 'up' WHERE id = 'n6'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vertex_without_route_lives_at_its_hash_home),
        cmocka_unit_test(any_valid_id_is_answered_and_others_are_refused),
        cmocka_unit_test(routes_come_from_bases_and_newer_deltas_hide_them),
        cmocka_unit_test(an_event_brings_a_new_delta_within_a_second),
        cmocka_unit_test(folding_deltas_into_bases_loses_no_route),
        cmocka_unit_test(a_finished_run_gives_targets),
        cmocka_unit_test(a_batch_answers_in_the_order_asked),
        cmocka_unit_test(partitions_page_through_without_gap_or_repeat),
        cmocka_unit_test(partitions_are_filtered_by_zone_and_slot),
        cmocka_unit_test(a_partition_tells_what_is_known_of_it),
        cmocka_unit_test(the_topology_tells_shards_ranges_and_zones),
    };
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
