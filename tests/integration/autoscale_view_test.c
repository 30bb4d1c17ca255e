/* What a decision is made of, from real PostgreSQL: how far back it looks, and what it carries
 * beside that. */
#include "autoscale_view_stage.h"

#include "io/replay.h"

#include <math.h>

#define LARGE                                                                                      \
    "{\"fleet\": {\"min\": 6, \"max\": 9, \"type\": \"large\", \"ladder\": [{\"name\": "           \
    "\"small\", \"vcpus\": 4, \"memory_gb\": 16, \"network_gbps\": 10, \"price_hour\": 1}, "       \
    "{\"name\": \"large\", \"vcpus\": 8, \"memory_gb\": 32, \"network_gbps\": 10, "                \
    "\"price_hour\": 2}]}}"

static void a_smaller_type_is_advised_after_six_low_hours(void **state)
{
    (void)state;
    settings(LARGE);
    evaluated(NOW - MINUTE);
    samples(360, 10, 15, 0);
    decide();
    assert_true(in.view.samples < 70); /* the hour alone */
    assert_int_equal(in.view.longer.minutes, 360);
    assert_non_null(strstr(decision.advice, "all is low for 6 h"));
    assert_non_null(strstr(decision.advice, "small carries it at 0.5 of large's price"));
}

static void an_hour_of_low_load_is_no_reason(void **state)
{
    (void)state;
    settings(LARGE);
    evaluated(NOW - MINUTE);
    samples(179, 10, 15, 0);
    decide();
    assert_true(isnan(in.view.longer.cpu_pct));
    assert_string_equal(decision.advice, "");
}

/* A rule that asks for three hours sees them. */
static void a_view_goes_back_as_far_as_its_policies_ask(void **state)
{
    (void)state;
    settings("{\"fleet\": {\"min\": 2, \"max\": 9}, \"policies\": [{\"policy\": \"rules\", "
             "\"rules\": [{\"metric\": \"backlog\", \"threshold\": 50, \"step_pct\": 50, "
             "\"sustained_ms\": 10800000, \"cooldown_ms\": 0}]}]}");
    evaluated(NOW - MINUTE);
    samples(179, 50, 50, 60);
    decide();
    assert_int_equal(decision.move, AUTOSCALE_UNKNOWN); /* a minute is missing */
    autoscale_stage_sql(&stage, "TRUNCATE autoscale_samples");
    samples(181, 50, 50, 60);
    decide();
    assert_int_equal(decision.move, AUTOSCALE_OUT);
    assert_int_equal(decision.to, 9);
}

/* --- replay ------------------------------------------------------------------------------- */

static const char *replay(int64_t id)
{
    static char text[4000];
    struct pr_err err = { 0 };
    struct pr_buf difference;
    bool same = false;
    pr_buf_init(&difference, 0);
    assert_ok(autoscale_decision_replay(stage.db, id, &same, &difference, &err), &err);
    (void)snprintf(text, sizeof text, "%s", difference.len == 0 ? "" : difference.data);
    assert_int_equal(same, text[0] == '\0');
    pr_buf_done(&difference);
    return text;
}

/* What the policies remember is part of a decision: it is in the state, then in the next input. */
static void a_replay_compares_what_is_remembered(void **state)
{
    (void)state;
    settings("{\"fleet\": {\"min\": 2, \"max\": 9}}");
    samples(60, 50, 50, 0);
    decide();
    char *memory = autoscale_json_text(autoscale_json_memory_write(&in.settings, after), false);
    struct autoscale_state s = { .desired = 6, .memory = memory, .evaluated_ms = NOW };
    const int64_t first = store(NOW, &s);
    assert_string_equal(replay(first), "");
    autoscale_stage_sql(&stage, "UPDATE autoscale_state SET memory = replace(memory::text, "
                                "'\"begun\":1', '\"begun\":2')::json");
    assert_non_null(strstr(replay(first), "memory[0].begun: stored 2, now 1\n"));

    /* The state is of a later decision: what that was made of tells. */
    in.decided_ms = NOW;
    memcpy(in.memory, after, sizeof in.memory);
    in.view.now_ms += MINUTE;
    s.evaluated_ms = NOW + MINUTE;
    struct pr_err err = { 0 };
    assert_ok(autoscale_decide(&in, after, &decision, &err), &err);
    (void)store(NOW + MINUTE, &s);
    assert_string_equal(replay(first), "");
    autoscale_stage_sql(&stage, "UPDATE autoscale_decisions SET input = replace(input::text, "
                                "'\"begun\":1', '\"begun\":3')::json WHERE id = (SELECT max(id) "
                                "FROM autoscale_decisions)");
    assert_non_null(strstr(replay(first), "memory[0].begun: stored 3, now 1\n"));
    free(memory);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_smaller_type_is_advised_after_six_low_hours),
        T(an_hour_of_low_load_is_no_reason),
        T(a_view_goes_back_as_far_as_its_policies_ask),
        T(a_replay_compares_what_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
