/* Inputs and decisions as JSON: exact on the way back, so that a decision can be made again. */
#include "autoscale_json_same.h"
#include "autoscale_json_stage.h"

static struct autoscale_decision decision;

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
                  " \"group\": \"redis-b-1\", \"primary\": true, \"bytes\": 9007199254740993, "
                  "\"slots\": 7, \"unsized\": true,"
                  " \"traffic\": 0.1, \"leaving\": true}],"
                  " \"zone_traffic\": {\"us-west-2a\": 0.1, \"us-west-2c\": 0.30000000000000004},"
                  " \"traffic_from\": \"placement run 3\","
                  " \"decided_ms\": 5940000, \"view\": {\"now_ms\": 6000000, \"desired\": 51,"
                  " \"serving\": 50, \"useful_after_ms\": 420000, \"longer\": {\"minutes\": 300,"
                  " \"cpu_pct\": 0.1, \"memory_pct\": null, \"network_bps\": 1e9}, \"members\": "
                  "[{\"id\": \"a\","
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
        same_settings(&in.in.settings, &before->in.settings);
        same_fleet(&in.in.fleet, &before->in.fleet);
        assert_int_equal(in.in.view.longer.minutes, 300);
        assert_true(in.in.view.longer.cpu_pct == 0.1 && isnan(in.in.view.longer.memory_pct));
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
    assert_ok(autoscale_json_replay(input, made, NULL, &same, &difference, &err), &err);
    assert_true(same);
    assert_int_equal((int)difference.len, 0);

    json_object_set_new(made, "to", json_integer(7));
    json_object_set_new(json_array_get(json_object_get(made, "votes"), 1), "desired",
                        json_integer(8));
    json_object_set_new(made, "extra", json_true());
    json_object_del(made, "why");
    assert_ok(autoscale_json_replay(input, made, NULL, &same, &difference, &err), &err);
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
    assert_ok(autoscale_json_replay(input, made, NULL, &same, &difference, &err), &err);
    assert_true(same);
    pr_buf_done(&difference);
    json_decref(input);
    json_decref(made);
}

/* To the last bit: the sign of a zero, and what the policies remember. */
static void equal_is_to_the_last_bit(void **state)
{
    (void)state;
    struct pr_err err = { .text = "" };
    struct pr_buf difference;
    bool same = false;
    fill();
    json_t *input = autoscale_json_input_write(&in.in);
    assert_ok(autoscale_decide(&in.in, in.in.memory, &decision, &err), &err);
    json_t *made = autoscale_json_decision_write(&in.in, &decision);
    json_t *memory = autoscale_json_memory_write(&in.in.settings, in.in.memory);
    autoscale_json_input_done(&in);
    pr_buf_init(&difference, 0);
    assert_ok(autoscale_json_replay(input, made, memory, &same, &difference, &err), &err);
    if (!same)
        fail_msg("%s", difference.data);

    json_object_set_new(json_array_get(memory, 0), "serving", json_integer(49));
    assert_ok(autoscale_json_replay(input, made, memory, &same, &difference, &err), &err);
    assert_false(same);
    assert_non_null(strstr(difference.data, "memory[0].serving: stored 49, now "));
    pr_buf_done(&difference);
    json_decref(memory);
    json_decref(input);
    json_decref(made);

    /* What is free costs 0, and not -0. */
    assert_string_equal(
        read_text("{\"fleet\": {\"ladder\": [{\"name\": \"x\", \"vcpus\": 2, \"memory_gb\": 4, "
                  "\"network_gbps\": 1, \"price_hour\": 0}]}, \"view\": {\"now_ms\": 60000, "
                  "\"desired\": 6}}",
                  NULL),
        "");
    input = autoscale_json_input_write(&in.in);
    assert_ok(autoscale_decide(&in.in, in.in.memory, &decision, &err), &err);
    made = autoscale_json_decision_write(&in.in, &decision);
    autoscale_json_input_done(&in);
    json_object_set_new(made, "cost_month_after", json_real(-0.0));
    pr_buf_init(&difference, 0);
    assert_ok(autoscale_json_replay(input, made, NULL, &same, &difference, &err), &err);
    assert_false(same);
    assert_string_equal(difference.data, "cost_month_after: stored -0.0, now 0.0\n");
    pr_buf_done(&difference);
    json_decref(input);
    json_decref(made);
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(what_is_written_reads_as_it_was),
        cmocka_unit_test(samples_that_are_wrong_stay_wrong),
        cmocka_unit_test(a_decision_is_made_again),
        cmocka_unit_test(text_that_is_no_utf8_is_written_all_the_same),
        cmocka_unit_test(stores_may_write_numbers_their_way),
        cmocka_unit_test(equal_is_to_the_last_bit),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
