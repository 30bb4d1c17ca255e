/* Inputs and decisions as JSON: strict on the way in, exact on the way back. */
#include "t.h"

#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct autoscale_json_input in;
static struct autoscale_decision decision;

static json_t *parse(const char *text)
{
    json_t *o;
    struct pr_err err = { .text = "" };
    assert_ok(autoscale_json_parse(text, strlen(text), &o, &err), &err);
    return o;
}

/* Reads; returns what went wrong, or "". */
static const char *read_text(const char *text, const char *policy)
{
    static struct pr_err err;
    err.text[0] = '\0';
    json_t *o = parse(text);
    const enum pr_code rc = autoscale_json_input_read(o, policy, &in, &err);
    json_decref(o);
    assert_int_equal(rc != PR_OK, err.text[0] != '\0');
    if (rc != PR_OK)
        assert_int_equal(rc, PR_EINVAL);
    return err.text;
}

#define LEAST "{\"view\": {\"desired\": 48, \"samples\": [{\"at_ms\": 60000, \"cpu_pct\": 70}]}}"

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

/* Every kind of policy, with its memory and with every field of the rest. */
static void fill(void)
{
    assert_string_equal(
        read_text("{\"fleet\": {\"like\": \"redis\"}, \"settings\": {\"combine\": \"largest\","
                  " \"policies\": [{\"policy\": \"adaptive\"}, {\"policy\": \"rules\"},"
                  " {\"policy\": \"step\"}, {\"policy\": \"target\"}, {\"policy\": \"hpa\"},"
                  " {\"policy\": \"queue\"}],"
                  " \"schedule\": [{\"name\": \"s\", \"cron\": \"0 8 * * mon\", \"zone\":"
                  " \"Europe/Berlin\", \"lasts_ms\": 3600000, \"min\": 60}]},"
                  " \"nodes\": [{\"id\": \"a\", \"shard\": \"s\", \"zone\": \"us-west-2b\","
                  " \"group\": \"redis-b-1\", \"primary\": true, \"bytes\": 9007199254740993,"
                  " \"traffic\": 0.1, \"leaving\": true}],"
                  " \"zone_traffic\": {\"us-west-2a\": 0.1, \"us-west-2c\": 0.30000000000000004},"
                  " \"decided_ms\": 5940000, \"view\": {\"now_ms\": 6000000, \"desired\": 51,"
                  " \"serving\": 50, \"useful_after_ms\": 420000, \"members\": [{\"id\": \"a\","
                  " \"cpu_pct\": 70.1, \"metric_at_ms\": 1, \"started_ms\": 5, \"ready\": false,"
                  " \"failed\": true}], \"actions\": [{\"at_ms\": 1, \"from\": 48, \"to\": 51}]}}",
                  NULL),
        "");
    static struct autoscale_sample sample[100];
    for (int i = 0; i < 100; i++)
        sample[i] = (struct autoscale_sample){
            .at_ms = (i + 1) * 60000,
            .cpu_pct = i == 50 ? NAN : 70 + i / 7.0,
            .memory_pct = 1.0 / (i + 3),
            .network_bps = 8e9 / (i + 1),
            .backlog = i % 2 == 0 ? NAN : 1e15 / 3,
            .load = NAN,
            .serving = 48 + i / 30,
            .silent = i % 3,
        };
    in.in.view.sample = sample;
    in.in.view.samples = 100;
}

static char *input_text(void)
{
    char *text = autoscale_json_text(autoscale_json_input_write(&in.in), false);
    assert_non_null(text);
    return text;
}

static void what_is_written_reads_as_it_was(void **state)
{
    (void)state;
    fill();
    struct pr_err err = { .text = "" };
    for (int minute = 0; minute < 3; minute++) { /* so that there is something to remember */
        assert_ok(autoscale_decide(&in.in, in.in.memory, &decision, &err), &err);
        char *first = input_text();
        struct autoscale_json_input *before = malloc(sizeof *before);
        assert_non_null(before);
        *before = in;
        assert_string_equal(read_text(first, NULL), "");
        char *second = input_text();
        assert_string_equal(first, second);
        assert_memory_equal(in.in.memory, before->in.memory, sizeof in.in.memory);
        assert_memory_equal(&in.in.settings, &before->in.settings, sizeof in.in.settings);
        assert_memory_equal(&in.in.fleet, &before->in.fleet, sizeof in.in.fleet);
        assert_memory_equal(in.in.zone_traffic, before->in.zone_traffic, sizeof in.in.zone_traffic);
        assert_int_equal((int)(in.in.node[0].bytes - 9007199254740992), 1);
        autoscale_json_input_done(before);
        free(before);
        free(first);
        free(second);
    }
    autoscale_json_input_done(&in);
}

static void samples_that_are_wrong_stay_wrong(void **state)
{
    (void)state;
    fill();
    struct autoscale_sample bad[2] = { { .at_ms = 2, .cpu_pct = INFINITY, .load = -INFINITY },
                                       { .at_ms = 1, .cpu_pct = -0.0, .serving = -3 } };
    in.in.view.sample = bad;
    in.in.view.samples = 2;
    char *text = input_text();
    autoscale_json_input_done(&in);
    assert_string_equal(read_text(text, NULL), "");
    assert_true(isinf(in.in.view.sample[0].cpu_pct) && in.in.view.sample[0].load < 0);
    assert_true(signbit(in.in.view.sample[1].cpu_pct));
    assert_int_equal(in.in.view.sample[1].serving, -3);
    autoscale_json_input_done(&in);
    free(text);
}

static void a_decision_is_made_again(void **state)
{
    (void)state;
    struct pr_err err = { .text = "" };
    fill();
    json_t *input = autoscale_json_input_write(&in.in);
    assert_ok(autoscale_decide(&in.in, in.in.memory, &decision, &err), &err);
    json_t *made = autoscale_json_decision_write(&in.in, &decision);
    static struct autoscale_decision back;
    assert_ok(autoscale_json_decision_read(made, &in.in, &back, &err), &err);
    json_t *again = autoscale_json_decision_write(&in.in, &back);
    assert_true(json_equal(made, again));
    json_decref(again);
    autoscale_json_input_done(&in);

    struct pr_buf difference;
    pr_buf_init(&difference, 0);
    bool same = false;
    assert_ok(autoscale_json_replay(input, made, &same, &difference, &err), &err);
    assert_true(same);
    assert_int_equal((int)difference.len, 0);

    json_object_set_new(made, "to", json_integer(7));
    json_object_set_new(json_array_get(json_object_get(made, "votes"), 1), "desired",
                        json_integer(8));
    json_object_set_new(made, "extra", json_true());
    json_object_del(made, "why");
    assert_ok(autoscale_json_replay(input, made, &same, &difference, &err), &err);
    assert_false(same);
    static const char *const words[] = { "to: stored 7, now ", "votes[1].desired: stored 8, now ",
                                         "extra: stored true, now nothing", "why: stored nothing" };
    for (size_t i = 0; i < PR_COUNT(words); i++)
        if (strstr(difference.data, words[i]) == NULL)
            fail_msg("\"%s\" lacks \"%s\"", difference.data, words[i]);
    pr_buf_done(&difference);
    json_decref(input);
    json_decref(made);
}

/* A decision can always be stored, whatever the bytes of its texts. */
static void text_that_is_no_utf8_is_written_all_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } row[] = {
        { "min 6", "min 6" },
        { "zone S\xc3\xbc"
          "d",
          "zone S\xc3\xbc"
          "d" },
        { "zone S\xc3", "zone S?" },
        { "\xe2\x82 and \xff", "?? and ?" },
        { "\xed\xa0\x80", "???" },
    };
    struct pr_err err = { .text = "" };
    fill();
    struct autoscale_node node = in.in.node[0];
    node.id = "caf\xc3";
    in.in.node = &node;
    assert_ok(autoscale_decide(&in.in, in.in.memory, &decision, &err), &err);
    json_t *input = autoscale_json_input_write(&in.in);
    assert_non_null(input);
    json_decref(input);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        (void)snprintf(decision.limited, sizeof decision.limited, "%s", row[i].text);
        (void)snprintf(decision.vote[0].rule, sizeof decision.vote[0].rule, "%s", row[i].text);
        json_t *made = autoscale_json_decision_write(&in.in, &decision);
        assert_non_null(made);
        assert_string_equal(json_string_value(json_object_get(made, "limited")), row[i].want);
        char *text = autoscale_json_text(made, false);
        assert_non_null(text);
        free(text);
    }
    autoscale_json_input_done(&in);
}

static void stores_may_write_numbers_their_way(void **state)
{
    (void)state;
    struct pr_err err = { .text = "" };
    struct pr_buf difference;
    bool same = false;
    fill();
    json_t *input = autoscale_json_input_write(&in.in);
    assert_ok(autoscale_decide(&in.in, in.in.memory, &decision, &err), &err);
    json_t *made = autoscale_json_decision_write(&in.in, &decision);
    autoscale_json_input_done(&in);
    json_object_set_new(made, "to", json_real((double)decision.to)); /* 5 for 5.0, or the reverse */
    pr_buf_init(&difference, 0);
    assert_ok(autoscale_json_replay(input, made, &same, &difference, &err), &err);
    assert_true(same);
    pr_buf_done(&difference);
    json_decref(input);
    json_decref(made);
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
    assert_memory_equal(&s, &t, sizeof s);
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
        cmocka_unit_test(what_is_written_reads_as_it_was),
        cmocka_unit_test(samples_that_are_wrong_stay_wrong),
        cmocka_unit_test(a_decision_is_made_again),
        cmocka_unit_test(text_that_is_no_utf8_is_written_all_the_same),
        cmocka_unit_test(stores_may_write_numbers_their_way),
        cmocka_unit_test(parts_of_their_own),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
