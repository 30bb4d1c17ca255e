/* Who is there, since when, with how many bytes, and where the traffic is: from real PostgreSQL. */
#include "autoscale_view_stage.h"

#include "io/carry_private.h"
#include "json/since.h"

#include <math.h>

/* Shards of three, their primaries over the zones in turn; one at a time: s1, n11, n12, n13. */
static void add_shard(int s, const char *state, int slots)
{
    char text[1200];
    snprintf(
        text, sizeof text,
        "INSERT INTO zones (id) VALUES ('us-west-2a'), ('us-west-2b'), ('us-west-2c') ON "
        "CONFLICT DO NOTHING; INSERT INTO nodes (id, host, port, zone_id, role, shard_id, "
        "state, slots) SELECT 'n' || %d || z, '10.0.%d.' || z, 6379, 'us-west-2' || "
        "chr(96 + z), CASE WHEN z - 1 = %d %% 3 THEN 'primary' ELSE 'replica' END, 's%d', '%s',"
        " CASE WHEN z - 1 = %d %% 3 THEN %d ELSE 0 END FROM generate_series(1, 3) z; "
        "INSERT INTO shards (id, primary_id, slots) VALUES ('s%d', 'n%d%d', %d)",
        s, s, s, s, state, s, slots, s, s, s % 3 + 1, slots);
    autoscale_stage_sql(&stage, text);
}

static void reading(const char *member, int64_t at_ms, double cpu_pct, double bytes)
{
    struct pr_err err = { 0 };
    struct autoscale_put put;
    struct autoscale_reading r = autoscale_reading_unknown();
    r.member = member;
    r.source = "redis";
    r.at_ms = r.received_ms = at_ms;
    r.value[AUTOSCALE_CPU] = cpu_pct;
    r.data_bytes = bytes;
    assert_ok(autoscale_readings_put(stage.db, "hot", at_ms, &r, 1, &put, &err), &err);
    assert_int_equal(put.stored, 1);
}

static const struct autoscale_node *node_of(const char *id)
{
    for (size_t i = 0; i < in.nodes; i++)
        if (strcmp(in.node[i].id, id) == 0)
            return &in.node[i];
    fail_msg("no node %s", id);
    return NULL;
}

static const struct autoscale_member *member_of(const char *id)
{
    for (size_t i = 0; i < in.view.members; i++)
        if (strcmp(in.view.member[i].id, id) == 0)
            return &in.view.member[i];
    fail_msg("no member %s", id);
    return NULL;
}

/* One shard more than there may be: one leaves, whatever is measured. */
#define REDIS "{\"kind\": \"redis\", \"fleet\": {\"unit\": 3, \"min\": 3, \"max\": 15}}"

static void of_shards_with_equal_slots_the_lighter_leaves(void **state)
{
    (void)state;
    settings(REDIS);
    for (int s = 1; s <= 6; s++)
        add_shard(s, "up", 2730);
    evaluated(NOW - MINUTE);
    samples(60, 50, 50, 0);
    decide(); /* nobody has said what they hold */
    assert_int_equal(decision.to, 15);
    assert_true(node_of("n11")->unsized && node_of("n11")->slots == 2730);
    assert_non_null(strstr(decision.place_why, "nobody knows their bytes: by slots"));

    for (int s = 1; s <= 6; s++) {
        char id[8];
        snprintf(id, sizeof id, "n%d%d", s, s % 3 + 1);
        reading(id, NOW - 15000, 50, s == 4 ? 7e8 : 9e8);
        reading(id, NOW - 1000, 50, s == 4 ? 7e8 : 9e8);
    }
    reading("n11", NOW - 1000, 50, NAN);
    decide();
    assert_int_equal(decision.to, 15);
    assert_int_equal(decision.n_leaves, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(in.node[decision.leaves[i]].shard, "s4");
    assert_true(node_of("n42")->bytes == 700000000 && !node_of("n42")->unsized);
    assert_true(node_of("n11")->unsized); /* a replica: its primary says it */
    assert_non_null(strstr(decision.place_why, "1 of 6 shards leave: s4 (700000000 bytes"));
    assert_null(strstr(decision.place_why, "slots"));
}

#define HPA                                                                                        \
    "{\"kind\": \"redis\", \"fleet\": {\"unit\": 3, \"min\": 3, \"max\": 30, "                     \
    "\"zone_loss_pct\": 0}, \"policies\": [{\"policy\": \"hpa\", \"metrics\": [{\"metric\": "      \
    "\"cpu\", \"target\": 70}]}]}"

/* As the decider does: the next minute is compared with this one. */
static void keep_members(int64_t at_ms)
{
    struct pr_err err = { 0 };
    assert_true(known.dated);
    char *members = autoscale_json_text(autoscale_json_sinces_write(&known.since), false);
    const struct autoscale_state s = {
        .desired = 9, .memory = "[]", .evaluated_ms = at_ms, .members = members
    };
    assert_ok(autoscale_state_put(stage.db, &stage.lease, "hot", &s, &err), &err);
    free(members);
}

static void minute_of_hpa(int64_t at_ms)
{
    static const char *const busy[] = { "n41", "n42", "n43" };
    for (int s = 1; s <= 3; s++)
        for (int z = 1; z <= 3; z++) {
            char id[8];
            snprintf(id, sizeof id, "n%d%d", s, z);
            reading(id, at_ms - 5000, 72, NAN);
        }
    for (size_t i = 0; i < PR_COUNT(busy); i++)
        reading(busy[i], at_ms - 5000, 100, NAN);
    decide_at(at_ms);
    keep_members(at_ms);
}

/* What a member burns while it boots is no load: HPA's own rule, with the times that it needs. */
static void boot_of_a_newcomer_is_not_counted(void **state)
{
    (void)state;
    settings(HPA);
    for (int s = 1; s <= 3; s++)
        add_shard(s, "up", 5461);
    minute_of_hpa(NOW);
    assert_int_equal(member_of("n11")->started_ms, 0); /* nobody knows: long ago */
    assert_int_equal(decision.move, AUTOSCALE_HOLD);

    add_shard(4, "up", 0); /* joined, and owns nothing yet */
    minute_of_hpa(NOW + MINUTE);
    assert_int_equal(member_of("n11")->started_ms, 0);
    assert_int_equal(member_of("n41")->started_ms, NOW + MINUTE);
    assert_int_equal(member_of("n41")->ready_since_ms, 0);
    assert_int_equal(decision.move, AUTOSCALE_HOLD);

    autoscale_stage_sql(&stage, "UPDATE shards SET slots = 4096; UPDATE nodes SET slots = 4096 "
                                "WHERE role = 'primary'");
    minute_of_hpa(NOW + 2 * MINUTE);
    assert_int_equal(member_of("n41")->started_ms, NOW + MINUTE);
    assert_int_equal(member_of("n41")->ready_since_ms, NOW + 2 * MINUTE);
    assert_int_equal(decision.move, AUTOSCALE_HOLD);
    minute_of_hpa(NOW + 3 * MINUTE); /* its reading began before it was ready */
    assert_int_equal(decision.move, AUTOSCALE_HOLD);
    minute_of_hpa(NOW + 4 * MINUTE);
    assert_int_equal(member_of("n41")->ready_since_ms, NOW + 2 * MINUTE);
    assert_int_equal(decision.move, AUTOSCALE_OUT); /* 948 of 12 x 70 */
}

static void sight_of(const struct autoscale_instance *instance, size_t n)
{
    struct autoscale_sight s = { .zone = { 0 }, .group = { -1 } };
    s.report.target = calloc(1, sizeof *s.report.target);
    s.report.instance = calloc(n, sizeof *instance);
    assert_true(s.report.target != NULL && s.report.instance != NULL);
    s.report.target[0] = (struct autoscale_reported){ .desired = (int)n, .in_service = (int)n };
    memcpy(s.report.instance, instance, n * sizeof *instance);
    s.report.targets = 1;
    s.report.instances = s.report.room = n;
    autoscale_seen_put(&seen, "hot", &s);
}

static void times_are_the_providers_or_of_the_first_sight(void **state)
{
    (void)state;
    struct autoscale_instance i[] = {
        { .id = "pod",
          .life = AUTOSCALE_IN_SERVICE,
          .healthy = true,
          .started_ms = NOW - 70000,
          .ready_since_ms = NOW - 60000 },
        { .id = "i-1", .life = AUTOSCALE_IN_SERVICE, .healthy = true },
        { .id = "i-2", .life = AUTOSCALE_COMING },
    };
    settings("{\"policies\": [{\"policy\": \"hpa\", \"metrics\": [{\"metric\": \"cpu\", "
             "\"target\": 70}]}]}");
    samples(10, 50, 50, 0);
    sight_of(i, 1);
    decide();
    keep_members(NOW);
    sight_of(i, 3);
    decide_at(NOW + MINUTE);
    assert_int_equal(member_of("pod")->started_ms, NOW - 70000);
    assert_int_equal(member_of("pod")->ready_since_ms, NOW - 60000);
    assert_int_equal(member_of("i-1")->started_ms, NOW + MINUTE);
    assert_int_equal(member_of("i-1")->ready_since_ms, NOW + MINUTE);
    assert_int_equal(member_of("i-2")->started_ms, 0); /* not in service: it has not begun */
    keep_members(NOW + MINUTE);
    i[2].life = AUTOSCALE_IN_SERVICE;
    i[2].healthy = true;
    sight_of(i, 3);
    decide_at(NOW + 2 * MINUTE);
    assert_int_equal(member_of("i-1")->started_ms, NOW + MINUTE);
    assert_int_equal(member_of("i-2")->started_ms, NOW + 2 * MINUTE);
    keep_members(NOW + 2 * MINUTE);

    autoscale_stage_sql(&stage, "UPDATE autoscale_state SET members = '{\"at_ms\": \"now\"}'");
    decide_at(NOW + 3 * MINUTE); /* of another version: as if nobody had looked */
    assert_int_equal(member_of("i-1")->started_ms, 0);
    assert_int_equal(member_of("pod")->started_ms, NOW - 70000);
}

/* --- traffic ------------------------------------------------------------------------------ */

static void run(const char *run_state, const char *report)
{
    char text[700];
    snprintf(text, sizeof text,
             "INSERT INTO placement_runs (operation_id, state, source, report, created_by) VALUES "
             "(gen_random_uuid(), '%s', '{}', %s, 'it')",
             run_state, report);
    autoscale_stage_sql(&stage, text);
}

static void placement_says_where_the_traffic_of_shards_is(void **state)
{
    (void)state;
    settings("{\"kind\": \"redis\", \"fleet\": {\"unit\": 3, \"min\": 18, \"max\": 30}}");
    for (int s = 1; s <= 3; s++)
        add_shard(s, "up", 5461);
    decide();
    assert_true(in.zone_traffic[0] + in.zone_traffic[1] + in.zone_traffic[2] == 0);
    assert_string_equal(in.traffic_from, "");
    /* 10 inside b, 5 between b and c, 1 that nobody of ours has: of 30 ends 25 are in b. */
    run("done", "'{\"before\": {\"matrix\": {\"us-west-2a\": {\"us-west-2a\": 9}}}, \"after\": "
                "{\"matrix\": {\"us-west-2b\": {\"us-west-2b\": 10, \"us-west-2c\": 5, \"eu\": 1}, "
                "\"us-west-2c\": {\"us-west-2b\": 5}, \"eu\": {\"us-west-2b\": 1}}}}'");
    run("failed", "NULL");
    run("running", "NULL");
    decide();
    assert_true(in.zone_traffic[0] == 0 && in.zone_traffic[1] == 25. / 30 &&
                in.zone_traffic[2] == 5. / 30);
    assert_string_equal(in.traffic_from, "placement run 1");
    assert_int_equal(decision.to, 18);
    assert_non_null(
        strstr(decision.place_why, "us-west-2b 83 %, us-west-2c 17 % (placement run 1)"));
    for (size_t i = 0; i < decision.places; i++)
        assert_int_equal(decision.place[i].primaries, 1);

    /* The plan names them in that order; what is equal stays as it was. */
    struct pr_err err = { 0 };
    struct autoscale_carrier carrier = { .db = stage.db };
    struct carried one = { .of = &row, .c = &carrier, .id = store(NOW, NULL) };
    const struct autoscale_carry_member m[] = {
        { .id = "a", .target = 0 },  { .id = "b", .target = 1 }, { .id = "c", .target = 2 },
        { .id = "d", .target = -1 }, { .id = "e", .target = 1 },
    };
    struct carry_look_io k = { .one = &one,
                               .facts = { .member = m, .members = PR_COUNT(m) },
                               .zone = { 0, 1, 2 } };
    const struct autoscale_carry_step step = { .act = AUTOSCALE_ACT_JOIN,
                                               .chosen = 5,
                                               .chose = { 0, 1, 2, 3, 4 } };
    int order[AUTOSCALE_CHOSEN];
    assert_ok(carry_order_joiners(&k, &step, order, &err), &err);
    assert_memory_equal(order, ((const int[]){ 1, 4, 2, 0, 3 }), 5 * sizeof *order);
    one.id = 4711; /* nobody knows that decision: as they were asked for */
    assert_ok(carry_order_joiners(&k, &step, order, &err), &err);
    assert_memory_equal(order, step.chose, 5 * sizeof *order);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(of_shards_with_equal_slots_the_lighter_leaves),
        T(boot_of_a_newcomer_is_not_counted),
        T(times_are_the_providers_or_of_the_first_sight),
        T(placement_says_where_the_traffic_of_shards_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
