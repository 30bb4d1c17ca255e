/* Inputs and decisions as JSON: strict on the way in. */
#include "autoscale_json_same.h"
#include "autoscale_json_stage.h"

static void the_least_input_has_documented_defaults(void **state)
{
    (void)state;
    assert_string_equal(read_text(LEAST, NULL), "");
    assert_int_equal(in.in.fleet.unit, 1);
    assert_int_equal(in.in.fleet.min, 48);
    assert_int_equal(in.in.fleet.max, 1000);
    assert_int_equal(in.in.fleet.zones, 3);
    assert_int_equal((int)in.in.settings.policies, 4);
    assert_int_equal(in.in.settings.policy[0].kind, AUTOSCALE_ADAPTIVE);
    assert_int_equal(in.in.settings.budget.actions_per_day, 96);
    assert_int_equal(in.in.settings.budget.flaps_per_day, 12);
    assert_int_equal(in.in.settings.budget.flap_ms, 30 * 60000);
    assert_int_equal(in.in.view.now_ms, 60000);
    assert_int_equal(in.in.view.serving, 48);
    assert_int_equal((int)in.in.view.samples, 1);
    assert_true(isnan(in.in.view.sample[0].memory_pct) && isnan(in.in.view.sample[0].load));
    autoscale_json_input_done(&in);
}

static void a_policy_by_name_goes_first(void **state)
{
    (void)state;
    static const struct {
        const char *settings, *policy;
        size_t n;
        enum autoscale_kind kind[4];
    } row[] = {
        { "{}",
          "rules",
          4,
          { AUTOSCALE_RULES, AUTOSCALE_ADAPTIVE, AUTOSCALE_HPA, AUTOSCALE_TARGET } },
        { "{}", "step", 5, { AUTOSCALE_STEP, AUTOSCALE_ADAPTIVE, AUTOSCALE_RULES, AUTOSCALE_HPA } },
        { "{\"policies\": [{\"policy\": \"hpa\"}]}", NULL, 1, { AUTOSCALE_HPA } },
        { "{\"policies\": [{\"policy\": \"hpa\"}, {\"policy\": \"rules\"}]}",
          "rules",
          2,
          { AUTOSCALE_RULES, AUTOSCALE_HPA } },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[512];
        (void)snprintf(text, sizeof text,
                       "{\"settings\": %s, \"view\": {\"desired\": 48, \"now_ms\": 1}}",
                       row[i].settings);
        assert_string_equal(read_text(text, row[i].policy), "");
        assert_int_equal((int)in.in.settings.policies, (int)row[i].n);
        for (size_t k = 0; k < row[i].n && k < 4; k++)
            assert_int_equal(in.in.settings.policy[k].kind, row[i].kind[k]);
        autoscale_json_input_done(&in);
    }
}

static void fleets_like_the_reference(void **state)
{
    (void)state;
    assert_string_equal(read_text("{\"fleet\": {\"like\": \"redis\", \"max\": 480},"
                                  " \"view\": {\"desired\": 48, \"now_ms\": 1}}",
                                  NULL),
                        "");
    assert_int_equal(in.in.fleet.unit, 3);
    assert_int_equal(in.in.fleet.max, 480);
    assert_int_equal(in.in.fleet.groups, 6);
    assert_string_equal(in.in.fleet.ladder[in.in.fleet.type].name, "r6i.4xlarge");
    autoscale_json_input_done(&in);
    assert_string_equal(
        read_text("{\"fleet\": {\"like\": \"redis\", \"type\": \"r6i.8xlarge\","
                  " \"zones\": [{\"name\": \"x\"}, {\"name\": \"y\"}, {\"name\": \"z\"}]},"
                  " \"zone_traffic\": {\"y\": 0.5},"
                  " \"nodes\": [{\"id\": \"n\", \"zone\": \"z\"}],"
                  " \"view\": {\"desired\": 48, \"now_ms\": 1}}",
                  NULL),
        "");
    assert_int_equal(in.in.fleet.groups, 0);
    assert_int_equal(in.in.fleet.type, 1);
    assert_true(in.in.zone_traffic[1] == 0.5);
    assert_int_equal(in.in.node[0].zone, 2);
    assert_int_equal(in.in.node[0].group, -1);
    assert_string_equal(in.in.node[0].shard, "");
    autoscale_json_input_done(&in);
}

#define WITH(part) "{" part ", \"view\": {\"desired\": 48, \"now_ms\": 1}}"
#define VIEW(part) "{\"view\": {\"desired\": 48, \"now_ms\": 1, " part "}}"
#define POLICY(p)  WITH("\"settings\": {\"policies\": [" p "]}")

static void errors_name_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } row[] = {
        { "[]", "input: want an object" },
        { "{}", "view: is missing" },
        { "{\"view\": {}}", "view.desired: is missing" },
        { "{\"view\": {\"desired\": 48}}", "view: has neither now_ms nor samples" },
        { WITH("\"flet\": {}"), "flet: there is no such part" },
        { WITH("\"version\": 2"), "version is not 1" },
        { WITH("\"fleet\": []"), "fleet: want an object, not an array" },
        { WITH("\"fleet\": {\"like\": \"x\"}"), "fleet: like is" },
        { WITH("\"fleet\": {\"mni\": 3}"), "fleet.mni: there is no such setting" },
        { WITH("\"fleet\": {\"min\": 3.5}"), "fleet.min: want a whole number" },
        { WITH("\"fleet\": {\"min\": \"3\"}"), "fleet.min: want a whole number, not a string" },
        { WITH("\"fleet\": {\"min\": -1}"), "fleet.min: -1 is not within 0 to" },
        { WITH("\"fleet\": {\"min\": 4294967344}"), "fleet.min: 4294967344 is out of range" },
        { WITH("\"fleet\": {\"zone_loss_pct\": null}"), "fleet.zone_loss_pct: want a number" },
        { WITH("\"fleet\": {\"zones\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": 3}]}"),
          "fleet.zones[2].name: want a string" },
        { WITH("\"fleet\": {\"zones\": [{}]}"), "fleet.zones[0].name: is missing" },
        { WITH("\"fleet\": {\"name\": "
               "\"0123456789012345678901234567890123456789012345678901234567890123\"}"),
          "fleet.name: has 64 characters, at most 63 fit" },
        { WITH("\"fleet\": {\"name\": \"a\\u0000b\"}"), "column" },
        { WITH("\"fleet\": {\"groups\": [{\"name\": \"g\", \"zone\": \"q\"}]}"),
          "fleet.groups[0].zone: the fleet has no zone \"q\"" },
        { WITH("\"fleet\": {\"type\": \"t2\"}"), "fleet.type: the fleet has no instance type" },
        { WITH("\"zone_traffic\": {\"q\": 1}"), "zone_traffic.q: the fleet has no such zone" },
        { WITH("\"zone_traffic\": {\"us-west-2a\": -1}"), "zone_traffic.us-west-2a: want" },
        { WITH("\"nodes\": [{\"id\": \"x\"}]"), "nodes[0].zone: is missing" },
        { WITH("\"nodes\": [{\"id\": \"x\", \"zone\": \"us-west-2a\", \"bytes\": -1}]"),
          "nodes[0].bytes: -1 is out of range" },
        { WITH("\"nodes\": {}"), "nodes: want an array" },
        { VIEW("\"samples\": [{}]"), "view.samples[0].at_ms: is missing" },
        { VIEW("\"samples\": [{\"at_ms\": 1, \"cpu\": 3}]"), "view.samples[0].cpu: there is no" },
        { VIEW("\"members\": [{\"id\": \"m\", \"ready\": 1}]"),
          "view.members[0].ready: want true" },
        { VIEW("\"actions\": [{\"at_ms\": 1, \"from\": 1}]"), "view.actions[0].to: is missing" },
        { VIEW("\"max\": 3"), "view.max: there is no such" },
        { POLICY("{}"), "settings.policies[0]: want an object with \"policy\"" },
        { POLICY("{\"policy\": \"rule\"}"), "settings.policies[0].policy: " },
        { POLICY(""), "settings.policies: want an array of 1 to 8" },
        { POLICY("{\"policy\": \"hpa\", \"up\": {\"select\": \"max\"}}"),
          "settings.policies[0].up.select: \"max\" is none of Max, Min, Disabled" },
        { POLICY("{\"policy\": \"rules\", \"rules\": [{\"metric\": \"cpus\"}]}"),
          "settings.policies[0].rules[0].metric: \"cpus\" is none of cpu, memory" },
        { WITH("\"settings\": {\"combine\": \"all\"}"), "settings.combine: \"all\" is none of" },
        { WITH("\"settings\": {\"schedule\": [{\"name\": \"x\"}]}"),
          "settings.schedule[0].cron: is missing" },
        { WITH("\"memory\": [{\"policy\": \"queue\", \"version\": 1}]"),
          "memory[0]: is of a policy \"queue\" that the settings lack" },
        { WITH("\"memory\": [{\"policy\": \"hpa\", \"version\": 0}]"),
          "memory[0]: was not written by version 1: begin with an empty memory" },
        { WITH("\"memory\": [{\"policy\": \"hpa\", \"version\": 1, \"x\": 1}]"),
          "memory[0].x: there is no such" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        json_t *o;
        struct pr_err err = { .text = "" };
        enum pr_code rc = autoscale_json_parse(row[i].text, strlen(row[i].text), &o, &err);
        if (rc == PR_OK) {
            rc = autoscale_json_input_read(o, NULL, &in, &err);
            autoscale_json_input_done(&in);
            json_decref(o);
        }
        assert_int_equal(rc, PR_EINVAL);
        if (strstr(err.text, row[i].words) == NULL)
            fail_msg("row %zu: \"%s\" lacks \"%s\"", i, err.text, row[i].words);
    }
}

static void text_that_is_no_json(void **state)
{
    (void)state;
    static const char *const row[] = {
        "", "{", "{\"a\": 1, \"a\": 2}", "{} x", "NaN", "{\"a\": NaN}", "{\"a\": 1e999}", "\xff"
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        json_t *o;
        struct pr_err err = { .text = "" };
        assert_int_equal(autoscale_json_parse(row[i], strlen(row[i]), &o, &err), PR_EINVAL);
        assert_non_null(strstr(err.text, "line 1"));
    }
}

static void parts_of_their_own(void **state)
{
    (void)state;
    struct pr_err err = { .text = "" };
    struct autoscale_fleet f;
    static struct autoscale_settings s, t;
    static struct autoscale_memory m[AUTOSCALE_POLICIES], n[AUTOSCALE_POLICIES];
    json_t *o = parse("{\"min\": 60, \"max\": 59}");
    assert_int_equal(autoscale_json_fleet_read(o, &f, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "min 60 and max 59"));
    json_decref(o);
    assert_ok(autoscale_json_fleet_read(NULL, &f, &err), &err);
    assert_ok(autoscale_json_settings_read(NULL, "queue", &s, &err), &err);
    assert_int_equal(s.policy[0].kind, AUTOSCALE_QUEUE);
    o = autoscale_json_settings_write(&s);
    assert_ok(autoscale_json_settings_read(o, NULL, &t, &err), &err);
    same_settings(&s, &t);
    json_decref(o);
    m[4].target.low_since_ms[2] = 5; /* policies: queue, adaptive, rules, hpa, target */
    m[3].hpa.begun = 1;
    o = autoscale_json_memory_write(&s, m);
    assert_ok(autoscale_json_memory_read(o, &s, n, &err), &err);
    assert_memory_equal(m, n, sizeof m);
    json_decref(o);
    o = parse("{\"budget\": {\"flap_ms\": 86400000}, \"schedule\": [{\"name\": \"x\", \"cron\": "
              "\"61 * * * *\", \"lasts_ms\": 60000}]}");
    assert_int_equal(autoscale_json_settings_read(o, NULL, &t, &err), PR_EINVAL);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(the_least_input_has_documented_defaults),
        cmocka_unit_test(a_policy_by_name_goes_first),
        cmocka_unit_test(fleets_like_the_reference),
        cmocka_unit_test(errors_name_the_path),
        cmocka_unit_test(text_that_is_no_json),
        cmocka_unit_test(parts_of_their_own),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
