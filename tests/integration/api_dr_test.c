/* /v1/dr and prismctl dr status, from rows as the dr service writes them. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

static const char *ctl_ends(int code, const char *what, const char *output, const char *more,
                            const char *and_more)
{
    static char out[1 << 16];
    char url[160];
    const char *env[] = { url, "PRISM_TOKEN=tok-viewer", NULL };
    const char *argv[] = {
        PRISM_BIN_DIR "/prismctl", "-o", output, "dr", what, more, and_more, NULL
    };
    snprintf(url, sizeof url, "PRISM_API_URL=%s", fx.service.url);
    assert_int_equal(it_run(env, argv, out, sizeof out, 30000), code);
    return out;
}

static const char *ctl(const char *what, const char *output)
{
    return ctl_ends(0, what, output, NULL, NULL);
}

static void insert_shard(const char *shard, const char *values)
{
    api_sql("INSERT INTO dr_shards (shard_id, group_id, generation_epoch, generation_n, replid, "
            "durable_offset, chain, beat_at, since, seen_offset, spool_bytes, streaming, "
            "base_bytes, bases_failed, rate_bps, backlog_bytes, alarms, source, error, updated_at) "
            "SELECT '%s', 'g0', 18, 2, repeat('a', 40), 1000, '', %s",
            shard, values);
}

static const json_t *shard(const char *id)
{
    size_t i;
    const json_t *each;
    json_array_foreach(json_object_get(r.j, "shards"), i, each)
    {
        if (strcmp(json_string_value(json_object_get(each, "id")), id) == 0)
            return each;
    }
    fail_msg("no shard %s: %s", id, r.text);
    return NULL;
}

static bool alarmed(const json_t *of, const char *name)
{
    size_t i;
    const json_t *each;
    json_array_foreach(json_object_get(of, "alarms"), i, each)
    {
        if (strcmp(json_string_value(each), name) == 0)
            return true;
    }
    return false;
}

static void before_it_ships_every_shard_is_missing(void **state)
{
    (void)state;
    api_call(&r, "viewer", "GET", "/v1/dr", NULL, NULL);
    assert_status(&r, 200);
    assert_true(json_is_null(json_object_get(r.j, "lagMs")));
    assert_int_equal(json_array_size(json_object_get(r.j, "groups")), 0);
    assert_int_equal(api_int(&r, "unknownShards"), json_array_size(json_object_get(r.j, "shards")));
    const json_t *s = json_array_get(json_object_get(r.j, "shards"), 0);
    assert_string_equal(json_string_value(json_object_get(s, "state")), "missing");
    assert_true(alarmed(s, "missing"));
    api_call(&r, NULL, "GET", "/v1/dr", NULL, NULL);
    assert_status(&r, 401);
}

static void the_rest_is_as(const char *id)
{
#define COLUMNS                                                                                    \
    "group_id, generation_epoch, generation_n, replid, durable_offset, chain, beat_at, since, "    \
    "seen_offset, spool_bytes, streaming, base_bytes, bases_failed, rate_bps, backlog_bytes, "     \
    "alarms, source, error, updated_at"
    api_sql("INSERT INTO dr_shards (shard_id, " COLUMNS ") SELECT x.id, " COLUMNS
            " FROM dr_shards, (SELECT id FROM shards WHERE slots > 0) x WHERE shard_id = '%s' "
            "ON CONFLICT DO NOTHING",
            id);
}

/* Of one of them nothing is in the other region: then nobody may say how old all is. */
static void a_shard_without_a_copy_is_not_young(void **state)
{
    (void)state;
    char two[64];
    snprintf(two, sizeof two, "%s", api_sql("SELECT max(id) FROM shards WHERE slots > 0"));
    api_sql("UPDATE dr_shards SET beat_at = NULL WHERE shard_id = '%s'", two);
    for (int rows = 1; rows >= 0; rows--) {
        api_call(&r, "viewer", "GET", "/v1/dr", NULL, NULL);
        assert_status(&r, 200);
        assert_true(json_is_null(json_object_get(r.j, "lagMs")));
        assert_int_equal(api_int(&r, "unknownShards"), 1);
        assert_true(api_int(&r, "worstLagMs") >= 7000); /* that is known of the others */
        assert_non_null(strstr(ctl("status", "table"), "RPO          unknown: of 1 of "));
        api_sql("DELETE FROM dr_shards WHERE shard_id = '%s'", two);
    }
    insert_shard(two, "now(), now(), 1000, 0, true, 0, 0, 0, 0, '{}', '', '', now()");
    api_call(&r, "viewer", "GET", "/v1/dr", NULL, NULL);
    assert_int_equal(api_int(&r, "unknownShards"), 0);
    assert_true(api_int(&r, "lagMs") >= 7000);
    api_reply_done(&r);
}

static void lag_and_alarms_are_those_of_the_rows(void **state)
{
    (void)state;
    char one[64], two[64];
    snprintf(one, sizeof one, "%s", api_sql("SELECT min(id) FROM shards WHERE slots > 0"));
    snprintf(two, sizeof two, "%s", api_sql("SELECT max(id) FROM shards WHERE slots > 0"));
    api_sql("INSERT INTO dr_groups (id, groups, epoch, seq, holder, error) "
            "VALUES ('g0', 1, 18, 41, 'dr-1', '403 AccessDenied')");
    insert_shard(one, "now() - interval '7 s', now(), 1500, 500, true, 0, 0, 10, 1024, '{lag}', "
                      "'10.0.0.1:6379', '', now()");
    insert_shard(two, "now() - interval '1 s', now(), 1000, 0, false, 77, 1, 0, 0, '{base}', '', "
                      "'it failed', now() - interval '1 minute'");
    the_rest_is_as(two);
    api_call(&r, "viewer", "GET", "/v1/dr", NULL, NULL);
    assert_status(&r, 200);
    assert_in_range(api_int(&r, "lagMs"), 7000, 60000);
    assert_int_equal(api_int(&r, "unknownShards"), 0);
    const json_t *g = json_array_get(json_object_get(r.j, "groups"), 0);
    assert_true(alarmed(g, "bucket"));
    assert_false(alarmed(g, "stale"));
    assert_int_equal(json_integer_value(json_object_get(g, "containers")), 42);

    const json_t *s = shard(one);
    assert_string_equal(json_string_value(json_object_get(s, "state")), "streaming");
    assert_string_equal(json_string_value(json_object_get(s, "generation")),
                        "0000000000000012-0002");
    assert_int_equal(json_integer_value(json_object_get(s, "lagBytes")), 500);
    assert_true(alarmed(s, "lag"));
    assert_false(alarmed(s, "stale"));
    s = shard(two);
    assert_string_equal(json_string_value(json_object_get(s, "state")), "base");
    assert_true(alarmed(s, "base"));
    assert_true(alarmed(s, "stale")); /* nobody has said so for a minute */

    /* nothing was kept: it is what is now */
    assert_in_range(api_int(&r, "worstLagMs"), 7000, 60000);
    assert_true(json_is_null(json_object_get(r.j, "watchedSince")));
    assert_true(json_is_null(json_object_get(shard(one), "watchedSince")));

    const char *table = ctl("status", "table");
    assert_non_null(strstr(table, "403 AccessDenied"));
    assert_non_null(strstr(table, "base, stale"));
    assert_non_null(strstr(table, " s, of the shard that is furthest behind"));
    assert_null(strstr(table, "unknown"));
    json_t *same = json_loads(ctl("status", "json"), 0, NULL);
    assert_int_equal(json_array_size(json_object_get(same, "shards")),
                     json_array_size(json_object_get(r.j, "shards")));
    json_decref(same);
    api_reply_done(&r);
}

static int64_t worst_of(const char *id)
{
    return json_integer_value(json_object_get(shard(id), "worstLagMs"));
}

static void the_worst_of_a_day_outlives_what_is_now(void **state)
{
    (void)state;
    char one[64], two[64], path[128];
    snprintf(one, sizeof one, "%s", api_sql("SELECT min(id) FROM shards WHERE slots > 0"));
    snprintf(two, sizeof two, "%s", api_sql("SELECT max(id) FROM shards WHERE slots > 0"));
    /* two days ago is over; a shard that is gone counts, and has no row of its own */
    api_sql("INSERT INTO dr_rpo VALUES ('%s', now() - interval '23 hours', 91000), "
            "('%s', now() - interval '2 hours', 40), ('%s', now() - interval '2 days', 5000000), "
            "('gone', now() - interval '2 hours', 3600000)",
            one, one, one);
    api_call(&r, "viewer", "GET", "/v1/dr", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(api_int(&r, "worstLagMs"), 3600000);
    assert_int_equal(worst_of(one), 91000);
    assert_in_range(json_integer_value(json_object_get(shard(one), "lagMs")), 7000, 60000);
    assert_true(json_is_string(json_object_get(r.j, "watchedSince")));
    assert_true(json_equal(json_object_get(shard(one), "watchedSince"),
                           json_object_get(r.j, "watchedSince"))); /* 23 hours ago */
    assert_true(json_is_null(json_object_get(shard(two), "watchedSince")));

    api_call(&r, "viewer", "GET", "/v1/dr/lag", NULL, NULL);
    assert_status(&r, 200);
    const json_t *items = json_object_get(r.j, "items");
    assert_int_equal(json_array_size(items), 2); /* of 2 hours ago only the worst shard */
    const json_t *newest = json_array_get(items, 1);
    assert_string_equal(json_string_value(json_object_get(newest, "shard")), "gone");
    assert_int_equal(json_integer_value(json_object_get(newest, "worstLagMs")), 3600000);
    json_t *same = json_loads(ctl_ends(0, "lag", "json", "--day", NULL), 0, NULL);
    assert_true(json_equal(same, r.j));
    json_decref(same);

    snprintf(path, sizeof path, "/v1/dr/lag?shard=%s", one);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 2);
    newest = json_array_get(json_object_get(r.j, "items"), 1);
    assert_int_equal(json_integer_value(json_object_get(newest, "worstLagMs")), 40);
    const char *table = ctl_ends(0, "lag", "table", "--day", one);
    assert_non_null(strstr(table, "91000"));
    assert_null(strstr(table, "gone"));
    api_sql("DELETE FROM dr_rpo");
    api_reply_done(&r);
}

static void lag_is_told_shard_by_shard(void **state)
{
    (void)state;
    char one[64];
    snprintf(one, sizeof one, "%s", api_sql("SELECT min(id) FROM shards WHERE slots > 0"));
    const char *table = ctl("lag", "table");
    assert_non_null(strstr(table, "DURABLE OFFSET"));
    assert_non_null(strstr(table, "0000000000000012-0002"));
    json_t *all = json_loads(ctl("lag", "json"), 0, NULL);
    api_call(&r, "viewer", "GET", "/v1/dr", NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(all, "items")),
                     json_array_size(json_object_get(r.j, "shards")));
    json_decref(all);
    json_t *single = json_loads(ctl_ends(0, "lag", "json", one, NULL), 0, NULL);
    const json_t *items = json_object_get(single, "items");
    assert_int_equal(json_array_size(items), 1);
    const json_t *s = json_array_get(items, 0);
    assert_string_equal(json_string_value(json_object_get(s, "id")), one);
    assert_int_equal(json_integer_value(json_object_get(s, "durableOffset")), 1000);
    json_decref(single);
    (void)ctl_ends(5, "lag", "table", "no-such-shard", NULL);
    api_reply_done(&r);
}

static void zones_incidents_and_failovers_are_those_of_the_rows(void **state)
{
    (void)state;
    api_call(&r, "viewer", "GET", "/v1/dr/zones", NULL, NULL);
    assert_status(&r, 200);
    assert_true(json_is_null(json_object_get(r.j, "uncoveredSlots")));
    assert_int_equal(json_array_size(json_object_get(r.j, "zones")), 0);

    api_sql("INSERT INTO zone_states (zone_id, state, nodes, failed, primaries, all_primaries, "
            "uncovered, alarms) VALUES ('a', 'down', 4, 4, 3, 6, 77, '{down,majority,no-quorum}'), "
            "('b', 'up', 4, 0, 3, 6, 77, '{}')");
    api_sql("INSERT INTO zone_incidents (zone_id, whole, quorum, nodes, failed, primaries, "
            "all_primaries, uncovered, seen_at, failed_at, covered_at, ended_at) SELECT 'b', true, "
            "true, 4, 4, 2, 6, 5000, now() - interval '1 h', now() - interval '1 h', now() - "
            "interval '1 h' + interval '8250 ms', now()");
    api_sql("INSERT INTO zone_incidents (zone_id, whole, quorum, nodes, failed, primaries, "
            "all_primaries, uncovered, seen_at) SELECT 'a', true, false, 4, 4, 3, 6, 77, now() - "
            "interval '6 s'");
    api_sql("INSERT INTO failovers (shard_id, zone_id, from_node, to_node, outcome, forced, "
            "incident_id, seen_at, ended_at) SELECT 's1', 'b', 'n1', 'n2', 'promoted', true, "
            "min(id), now() - interval '9 s', now() FROM zone_incidents");
    api_call(&r, "viewer", "GET", "/v1/dr/zones", NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(api_int(&r, "uncoveredSlots"), 77);
    const json_t *zone = json_array_get(json_object_get(r.j, "zones"), 0);
    assert_string_equal(json_string_value(json_object_get(zone, "state")), "down");
    assert_true(alarmed(zone, "no-quorum"));
    const json_t *open = json_array_get(json_object_get(r.j, "incidents"), 0);
    assert_string_equal(json_string_value(json_object_get(open, "zone")), "a");
    assert_true(json_is_null(json_object_get(open, "coveredMs")));
    const json_t *over = json_array_get(json_object_get(r.j, "incidents"), 1);
    assert_int_equal(json_integer_value(json_object_get(over, "coveredMs")), 8250);
    const json_t *f = json_array_get(json_object_get(r.j, "failovers"), 0);
    assert_int_equal(json_integer_value(json_object_get(f, "ms")), 9000);
    assert_true(json_is_true(json_object_get(f, "forced")));

    const char *table = ctl("zones", "table");
    assert_non_null(strstr(table, "77 slots are served by nobody"));
    assert_non_null(strstr(table, "no-quorum"));
    json_t *same = json_loads(ctl("zones", "json"), 0, NULL);
    assert_true(json_equal(same, r.j));
    json_decref(same);
    api_call(&r, NULL, "GET", "/v1/dr/zones", NULL, NULL);
    assert_status(&r, 401);
    api_reply_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_it_ships_every_shard_is_missing),
        cmocka_unit_test(lag_and_alarms_are_those_of_the_rows),
        cmocka_unit_test(a_shard_without_a_copy_is_not_young),
        cmocka_unit_test(the_worst_of_a_day_outlives_what_is_now),
        cmocka_unit_test(lag_is_told_shard_by_shard),
        cmocka_unit_test(zones_incidents_and_failovers_are_those_of_the_rows),
    };
    return cmocka_run_group_tests_name("api dr", tests, api_small_setup, api_teardown);
}
