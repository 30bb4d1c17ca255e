#include "api_autoscale_stage.h"

#include "prism/io/bus.h"
#include "prism/v1/autoscale.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scale_asked scale_asked;
static struct pr_bus *bus;

/* --- the answerer ---------------------------------------------------------------------- */

static enum pr_code packed(const ProtobufCMessage *m, void **reply, size_t *len)
{
    *len = protobuf_c_message_get_packed_size(m);
    *reply = malloc(*len + 1);
    protobuf_c_message_pack(m, *reply);
    return PR_OK;
}

static enum pr_code on_check(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                             struct pr_err *err)
{
    Prism__V1__AutoscaleCheckResponse r = PRISM__V1__AUTOSCALE_CHECK_RESPONSE__INIT;
    Prism__V1__AutoscaleCheckRequest *q =
        prism__v1__autoscale_check_request__unpack(NULL, msg->len, msg->data);
    (void)ctx;
    if (q == NULL)
        return pr_fail(err, PR_EDATA, "no request");
    scale_asked.checks++;
    snprintf(scale_asked.settings, sizeof scale_asked.settings, "%s", q->settings);
    if (strstr(q->settings, "refuse me") != NULL) {
        r.path = "policies[0].target_pct";
        r.error = "is 140, want 1 to 100";
    }
    prism__v1__autoscale_check_request__free_unpacked(q, NULL);
    return packed(&r.base, reply, len);
}

static enum pr_code on_simulate(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                                struct pr_err *err)
{
    Prism__V1__AutoscaleSimulateResponse r = PRISM__V1__AUTOSCALE_SIMULATE_RESPONSE__INIT;
    Prism__V1__AutoscaleSimulateRequest *q =
        prism__v1__autoscale_simulate_request__unpack(NULL, msg->len, msg->data);
    (void)ctx;
    if (q == NULL)
        return pr_fail(err, PR_EDATA, "no request");
    scale_asked.simulations++;
    snprintf(scale_asked.settings, sizeof scale_asked.settings, "%s", q->settings);
    scale_asked.from_ms = q->from_ms;
    scale_asked.to_ms = q->to_ms;
    if (strcmp(q->fleet, "silent") == 0)
        r.error = "fleet silent has no sample in that time";
    else
        r.result = "{\"trace\": {\"days\": 14.5, \"missing_minutes\": 12}, \"model\": "
                   "{\"boot_minutes\": 10, \"min\": 48, \"max\": 480}, \"oracle\": "
                   "{\"instance_hours\": 9000}, \"policies\": {\"adaptive\": "
                   "{\"short_minutes_per_day\": 6.5, "
                   "\"hours_ratio\": 1.3}, \"rules\": {\"short_minutes_per_day\": 20.9, "
                   "\"hours_ratio\": 1.1}}}";
    prism__v1__autoscale_simulate_request__free_unpacked(q, NULL);
    return packed(&r.base, reply, len);
}

static enum pr_code on_replay(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                              struct pr_err *err)
{
    Prism__V1__AutoscaleReplayResponse r = PRISM__V1__AUTOSCALE_REPLAY_RESPONSE__INIT;
    Prism__V1__AutoscaleReplayRequest *q =
        prism__v1__autoscale_replay_request__unpack(NULL, msg->len, msg->data);
    (void)ctx;
    if (q == NULL)
        return pr_fail(err, PR_EDATA, "no request");
    scale_asked.replays++;
    if (q->decision_id == 404404)
        r.error = "its input was written by another version";
    else if (q->decision_id % 2 != 0)
        r.difference = "to: stored 51, now 48\nvotes[0].desired: stored 51, now 48\n";
    prism__v1__autoscale_replay_request__free_unpacked(q, NULL);
    return packed(&r.base, reply, len);
}

static bool answers(void *ctx)
{
    struct pr_err err = { 0 };
    void *reply = NULL;
    size_t len = 0;
    const bool yes =
        pr_bus_request(ctx, "prism.rpc.autoscale.check", "", 0, 1000, &reply, &len, &err) == PR_OK;
    free(reply);
    return yes;
}

/* Subscribing is one thing, the server's knowing of it another. */
static void await_answer(void)
{
    struct pr_err err = { 0 };
    struct pr_bus *asks = NULL;
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_NATS_ADMIN_USER"),
                                      .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                      .name = "it asker" };
    assert_ok(pr_bus_open(&asks, &o, &err), &err);
    assert_true(it_await(answers, asks, 10000));
    pr_bus_close(asks);
    scale_asked = (struct scale_asked){ 0 };
}

void scale_answerer(bool there)
{
    struct pr_err err = { 0 };
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_AUTOSCALE_NATS_USER"),
                                      .password = it_env("IT_AUTOSCALE_NATS_PASSWORD"),
                                      .name = "it answerer" };
    pr_bus_close(bus);
    bus = NULL;
    if (!there)
        return;
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    assert_ok(
        pr_bus_serve(bus, "prism.rpc.autoscale.simulate", "autoscale", on_simulate, NULL, &err),
        &err);
    assert_ok(pr_bus_serve(bus, "prism.rpc.autoscale.replay", "autoscale", on_replay, NULL, &err),
              &err);
    assert_ok(pr_bus_serve(bus, "prism.rpc.autoscale.check", "autoscale", on_check, NULL, &err),
              &err); /* the last one: who answers it answers all */
    await_answer();
}

int scale_setup(void **state)
{
    const int rc = api_empty_setup(state);
    api_sql("SELECT autoscale_partitions('autoscale_samples', now(), 1, interval '60 days')");
    scale_answerer(true);
    return rc;
}

int scale_teardown(void **state)
{
    pr_bus_close(bus);
    bus = NULL;
    return api_teardown(state);
}

/* --- rows -------------------------------------------------------------------------------- */

void scale_fleet(const char *name)
{
    api_sql("INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('%s', '{}', 'it')",
            name);
}

long long scale_decision(const char *fleet, int minutes, const char *move, int from, int to,
                         const char *state, const char *decision, const char *input)
{
    return atoll(
        api_sql("INSERT INTO autoscale_decisions (fleet, at, settings_version, from_instances, "
                "to_instances, move, why, input, decision, state, lease_epoch) VALUES ('%s', "
                "now() - %d * interval '1 minute', 1, %d, %d, '%s', '%d -> %d instances; because', "
                "'%s', '%s', '%s', 1) RETURNING id",
                fleet, minutes, from, to, move, from, to, input, decision, state));
}

long long scale_inward(const char *fleet, int minutes, const char *state)
{
    static const char decision[] =
        "{\"fleet\": \"redis\", \"at_ms\": 1795255500000, \"move\": \"in\", \"from\": 54, \"to\": "
        "51, \"units_from\": 18, \"units_to\": 17, \"why\": \"54 -> 51 instances; adaptive load of "
        "20.1 needs 45\", \"deciding\": 0, \"limited\": \"\", \"floor\": 48, \"floor_why\": \"min "
        "48\", \"places\": [{\"zone\": \"a\", \"group\": null, \"give\": 1, \"get\": 0, \"back\": "
        "0}], \"cost_month_before\": 39735.36, \"cost_month_after\": 37527.84, \"useful_ms\": "
        "600000, \"advice\": \"\", \"policy\": \"adaptive\", \"rule\": \"in\", \"observed\": 37.1, "
        "\"threshold\": 56.0, \"window_ms\": 180000, \"cooldown_until_ms\": 0, \"leaves\": "
        "[\"n7\"], \"returns\": [], \"votes\": [{\"policy\": \"adaptive\", \"move\": \"in\", "
        "\"desired\": 51, \"wanted\": 45, \"rule\": \"in\", \"observed\": 37.1, \"threshold\": "
        "56.0, \"window_ms\": 180000, \"cooldown_until_ms\": 0, \"limited\": \"\", \"why\": "
        "\"load\"}]}";
    static const char input[] =
        "{\"fleet\": {\"unit\": 3, \"min\": 48, \"max\": 1000}, \"view\": {\"desired\": 54, "
        "\"serving\": 54, \"samples\": [{\"at_ms\": 1795255500000, \"cpu_pct\": 37.1, \"load\": "
        "-0.0}]}, \"nodes\": [{\"id\": \"n7\", \"shard\": \"s3\", \"zone\": \"a\", \"primary\": "
        "true, \"bytes\": 1200000000}]}";
    return scale_decision(fleet, minutes, "in", 54, 51, state, decision, input);
}

void scale_sample(const char *fleet, const char *at, double cpu_pct, int serving)
{
    api_sql("INSERT INTO autoscale_samples (fleet, at, cpu_pct, load, serving, silent, merged_at) "
            "VALUES ('%s', %s, %.17g, %.17g, %d, 0, now())",
            fleet, at, cpu_pct, cpu_pct / 100 * serving, serving);
}
