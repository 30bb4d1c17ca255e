#include "io/actuators/local.h"
#include "io/fleets.h"
#include "io/gather.h"
#include "json/carry.h"
#include "json/json.h"

#include "autoscale_settings_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONES "\"fleet\": {\"zones\": [{\"name\": \"a\"}, {\"name\": \"b\"}]}"
#define AWS   "\"actuator\": {\"kind\": \"aws\", \"region\": \"us-west-2\", \"targets\": "

static struct autoscale_config cfg;

static enum pr_code read(const char *text, struct autoscale_setup *out, struct pr_err *err)
{
    return autoscale_fleet_settings("hot", text, &cfg, out, err);
}

static int settings(void **state)
{
    (void)state;
    static char command[] = "/bin/true", region[] = "us-west-2",
                prometheus[] = "http://127.0.0.1:9090";
    cfg = nothing();
    cfg.local_command = command;
    cfg.aws_region = region;
    cfg.prometheus_url = prometheus;
    return 0;
}

static void everything_has_a_default_but_who_acts(void **state)
{
    (void)state;
    struct autoscale_setup *s = malloc(sizeof *s);
    struct pr_err err = { 0 };
    assert_non_null(s);
    assert_ok(read("{}", s, &err), &err);
    assert_string_equal(s->fleet.name, "hot");
    assert_int_equal(s->mode, AUTOSCALE_ADVISE);
    assert_int_equal(s->kind, AUTOSCALE_SINGLE);
    assert_int_equal(s->provider, AUTOSCALE_BY_NOBODY);
    assert_int_equal(s->drain_s, 30);
    assert_int_equal(s->patience_s, 900);
    assert_int_equal(s->settings.policy[0].kind, AUTOSCALE_ADAPTIVE);
    assert_false(autoscale_setup_acts(s));
    autoscale_setup_done(s);
    free(s);
}

static void everything_that_is_said_is_read(void **state)
{
    (void)state;
    struct autoscale_setup *s = malloc(sizeof *s);
    struct pr_err err = { 0 };
    assert_non_null(s);
    assert_ok(
        read("{\"kind\": \"redis\", \"mode\": \"act\", \"settle_s\": 7, \"fleet\": {\"like\": "
             "\"redis\", \"zones\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}], "
             "\"groups\": [{\"name\": \"pa\", \"zone\": \"a\"}]}, \"policies\": [{\"policy\": "
             "\"target\"}], \"combine\": \"largest\", \"sources\": [{\"kind\": \"redis\"}, "
             "{\"kind\": \"bus\"}], \"actuator\": {\"kind\": \"aws\", \"region\": \"eu-west-1\", "
             "\"address\": \"{id}.hot:6379\", \"drain_s\": 60, \"patience_s\": 1200, \"targets\": "
             "[{\"name\": \"ga\", \"zone\": \"a\", \"group\": \"pa\"}, {\"name\": \"gb\", "
             "\"zone\": \"b\"}, {\"name\": \"gc\", \"zone\": \"c\"}]}}",
             s, &err),
        &err);
    assert_true(autoscale_setup_acts(s));
    assert_int_equal(s->kind, AUTOSCALE_REDIS);
    assert_int_equal(s->fleet.unit, 3);
    assert_int_equal(s->settings.policies, 1);
    assert_int_equal(s->settings.combine, AUTOSCALE_LARGEST);
    assert_int_equal(s->sources.n, 2);
    /* Of the fleet's type, where the source does not say. */
    assert_true(s->sources.source[0].is.redis.vcpus > 0);
    assert_true(s->sources.source[0].is.redis.memory_gb == 128);
    assert_int_equal(s->targets, 3);
    assert_int_equal(s->target[0].group, 0);
    assert_int_equal(s->target[1].group, -1);
    assert_int_equal(s->target[2].zone, 2);
    assert_string_equal(s->region, "eu-west-1");
    assert_string_equal(s->address, "{id}.hot:6379");
    assert_int_equal(s->drain_s, 60);
    assert_int_equal(s->patience_s, 1200);
    assert_int_equal(s->settle_s, 7);
    autoscale_setup_done(s);
    free(s);
}

static void what_is_wrong_is_named_with_its_path(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } row[] = {
        { "[]", "want an object" },
        { "{", "line 1, column 1" },
        { "{\"modus\": \"act\"}", "modus: there is no such setting" },
        { "{\"mode\": \"acting\"}", "mode: \"acting\" is none of advise, act" },
        { "{\"mode\": \"act\"}", "actuator: is missing: mode is act" },
        { "{\"mode\": \"act\", \"actuator\": {\"kind\": \"none\"}}", "is none, and mode is act" },
        { "{\"fleet\": {\"name\": \"cold\"}}", "fleet: its name is hot, not \"cold\"" },
        { "{\"fleet\": {\"unit\": 99}}", "fleet.unit: 99 is not within" },
        { "{\"fleet\": {\"min\": 9, \"max\": 3}}", "fleet: " },
        { "{\"policies\": [{\"policy\": \"target\", \"target\": \"x\"}]}", "policies[0].target" },
        { "{\"policies\": []}", "policies: want an array of 1 to" },
        { "{\"sources\": [{\"kind\": \"redis\"}, {\"kind\": \"smoke\"}]}", "sources[1]" },
        { "{\"actuator\": {\"kind\": \"sun\"}}", "actuator.kind: \"sun\" is none of" },
        { "{\"actuator\": {}}", "actuator.kind: is missing" },
        { "{" ZONES ", " AWS "[{\"name\": \"x\", \"zone\": \"a\"}]}}",
          "actuator: targets: none is in zone b" },
        { "{" ZONES ", " AWS "[{\"name\": \"x\", \"zone\": \"q\"}]}}",
          "actuator.targets[0].zone: the fleet has no zone \"q\"" },
        { "{" ZONES ", " AWS
          "[{\"name\": \"x\", \"zone\": \"a\"}, {\"name\": \"x\", \"zone\": \"b\"}]}}",
          "targets[0] and [1] have one name or one place" },
        { "{" ZONES ", " AWS
          "[{\"name\": \"x\", \"zone\": \"a\"}, {\"name\": \"y\", \"zone\": \"a\"}]}}",
          "targets[0] and [1] have one name or one place" },
        { "{\"kind\": \"redis\", \"mode\": \"act\", " ZONES
          ", \"actuator\": {\"kind\": \"kubernetes\", \"namespace\": \"n\", \"targets\": []}}",
          "kubernetes takes away newest pods only" },
        { "{\"actuator\": {\"kind\": \"kubernetes\", \"targets\": []}}",
          "actuator: namespace: is missing" },
        { "{" ZONES ", \"actuator\": {\"kind\": \"local\", \"targets\": [{\"name\": \"a\", "
          "\"zone\": \"a\"}]}}",
          "local: its groups are the zones" },
        { "{" ZONES ", \"actuator\": {\"kind\": \"local\", \"of\": \"aws\"}}",
          "of: only a dry run is of something else" },
    };
    struct autoscale_setup *s = malloc(sizeof *s);
    assert_non_null(s);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        const enum pr_code rc = read(row[i].text, s, &err);
        if (rc != PR_EINVAL || strstr(err.text, row[i].says) == NULL)
            fail_msg("%s: \"%s\" (%s), want \"%s\"", row[i].text, err.text, pr_code_name(rc),
                     row[i].says);
        autoscale_setup_done(s);
    }
    free(s);
}

static void settings_of_the_service_must_be_there(void **state)
{
    (void)state;
    static char empty[] = "";
    static const struct {
        const char *text, *says;
        double rate;
    } row[] = {
        { "{\"sources\": [{\"kind\": \"prometheus\", \"query\": \"q\", \"metric\": \"cpu\"}]}",
          "sources[0]: PRISM_PROMETHEUS_URL is not set", 1 },
        { "{\"actuator\": {\"kind\": \"local\"}}",
          "actuator: PRISM_AUTOSCALE_LOCAL_COMMAND is not set", 1 },
        { "{" ZONES ", \"actuator\": {\"kind\": \"aws\", \"targets\": [{\"name\": \"x\", \"zone\": "
          "\"a\"}, {\"name\": \"y\", \"zone\": \"b\"}]}}",
          "actuator.region: is missing", 1 },
        { "{" ZONES ", " AWS "[{\"name\": \"x\", \"zone\": \"a\"}, {\"name\": \"y\", \"zone\": "
          "\"b\"}]}}",
          "PRISM_AUTOSCALE_CLOCK_RATE is for local and dry-run alone", 2 },
        { "{\"sources\": [{\"kind\": \"bus\"}]}", "sources[0]: bus brings times of its own", 2 },
    };
    struct autoscale_setup *s = malloc(sizeof *s);
    assert_non_null(s);
    cfg.local_command = cfg.aws_region = cfg.prometheus_url = empty;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct pr_err err = { 0 };
        cfg.clock_rate = row[i].rate;
        if (read(row[i].text, s, &err) != PR_EINVAL || strstr(err.text, row[i].says) == NULL)
            fail_msg("%s: \"%s\", want \"%s\"", row[i].text, err.text, row[i].says);
        autoscale_setup_done(s);
    }
    free(s);
}

static void a_trial_lives_faster(void **state)
{
    (void)state;
    struct autoscale_fleet_row f = { .made_ms = 1000000 };
    cfg.clock_rate = 1;
    assert_int_equal(autoscale_fleet_time(&cfg, &f, 1060000), 1060000);
    cfg.clock_rate = 20;
    assert_int_equal(autoscale_fleet_time(&cfg, &f, 1060000), 1000000 + 20 * 60000);
    assert_int_equal(autoscale_fleet_time(&cfg, &f, 1000000), 1000000);
}

static void node_of_the_local_stack_is_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool good, up, member;
    } row[] = {
        { "redis-7432 127.0.0.1:7432 a up member", true, true, true },
        { "redis-7432 127.0.0.1:7432 a down outside", true, false, false },
        { "redis-7432 127.0.0.1:7432 a up", false, false, false },
        { "redis-7432 127.0.0.1:7432 a maybe member", false, false, false },
        { "redis-7432 127.0.0.1:7432 a up guest", false, false, false },
        { "", false, false, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_local_node n;
        struct pr_err err = { 0 };
        const enum pr_code rc = autoscale_local_line(row[i].line, &n, &err);
        assert_int_equal(rc, row[i].good ? PR_OK : PR_EDATA);
        if (rc != PR_OK)
            continue;
        assert_string_equal(n.id, "redis-7432");
        assert_string_equal(n.address, "127.0.0.1:7432");
        assert_string_equal(n.zone, "a");
        assert_int_equal(n.up, row[i].up);
        assert_int_equal(n.member, row[i].member);
    }
}

/* Member by member: between them nothing says what the bytes are. */
static void same_record(const struct autoscale_carry *a, const struct autoscale_carry *b)
{
#define SAME(member) assert_true(a->member == b->member)
    SAME(phase);
    SAME(begun_ms);
    SAME(phase_ms);
    SAME(ended_ms);
    SAME(groups);
    SAME(targets);
    SAME(leavers);
    SAME(owns);
    SAME(plan_id);
    SAME(plan_cancel);
    SAME(plan_given_up);
    SAME(join_plans);
    SAME(drain_plans);
    SAME(plan_after_ms);
    SAME(settled_ms);
    SAME(held_ms);
    SAME(alarm);
    assert_string_equal(a->failing, b->failing);
    assert_string_equal(a->why, b->why);
    for (size_t i = 0; i < a->targets; i++) {
        SAME(target[i].want);
        SAME(target[i].from);
        SAME(target[i].ordered);
        SAME(target[i].sent_ms);
        SAME(target[i].done_ms);
        SAME(target[i].known_ms);
    }
    for (size_t i = 0; i < a->leavers; i++) {
        assert_string_equal(a->leaver[i].id, b->leaver[i].id);
        SAME(leaver[i].target);
        SAME(leaver[i].out_ms);
        SAME(leaver[i].told_ms);
    }
    for (size_t i = 0; i < a->owns; i++)
        assert_string_equal(a->own[i].id, b->own[i].id);
#undef SAME
}

static void record_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct autoscale_carry *c = calloc(1, sizeof *c), *back = calloc(1, sizeof *back);
    struct pr_err err = { 0 };
    assert_true(c != NULL && back != NULL);
    *c = (struct autoscale_carry){ .phase = AUTOSCALE_PHASE_DRAINING,
                                   .begun_ms = 1,
                                   .phase_ms = 2,
                                   .targets = 2,
                                   .plan_id = 7,
                                   .plan_cancel = true,
                                   .join_plans = 1,
                                   .drain_plans = 2,
                                   .plan_after_ms = 3,
                                   .settled_ms = 4,
                                   .held_ms = 5,
                                   .alarm = true };
    c->target[1] = (struct autoscale_carry_target){
        .want = 4, .from = 3, .ordered = -1, .sent_ms = 6, .done_ms = 7
    };
    c->leavers = 1;
    c->leaver[0] = (struct autoscale_leaver){ .id = "redis-1", .target = -1, .out_ms = 8 };
    c->owns = 1;
    memcpy(c->own[0].id, "redis-2", sizeof "redis-2");
    memcpy(c->failing, "no capacity", sizeof "no capacity");
    memcpy(c->why, "waits", sizeof "waits");
    char *text = autoscale_json_text(autoscale_json_carry_write(c), false);
    json_t *o = NULL;
    assert_non_null(text);
    assert_ok(autoscale_json_parse(text, strlen(text), &o, &err), &err);
    assert_ok(autoscale_json_carry_read(o, back, &err), &err);
    same_record(c, back);
    (void)json_object_set_new(o, "phase", json_string("asleep"));
    assert_int_equal(autoscale_json_carry_read(o, back, &err), PR_EINVAL);
    json_decref(o);
    free(text);
    free(c);
    free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(everything_has_a_default_but_who_acts, settings),
        cmocka_unit_test_setup(everything_that_is_said_is_read, settings),
        cmocka_unit_test_setup(what_is_wrong_is_named_with_its_path, settings),
        cmocka_unit_test_setup(settings_of_the_service_must_be_there, settings),
        cmocka_unit_test_setup(a_trial_lives_faster, settings),
        cmocka_unit_test(node_of_the_local_stack_is_a_line),
        cmocka_unit_test(record_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
