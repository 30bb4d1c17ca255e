/* What dr would answer, for api_failovers_test. */
#include "api_failovers_stage.h"

#include "prism/io/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILOVER(state, why, executing_steps)                                                      \
    "{\"owner\":\"west\",\"epoch\":2,\"failover\":{\"number\":7,\"from\":\"east\",\"to\":"         \
    "\"west\","                                                                                    \
    "\"by\":\"standby-token\",\"state\":\"" state "\",\"attempt\":1,\"begun_ms\":1795255500250,"   \
    "\"claimed_ms\":1795255501000,\"ended_ms\":null,\"rpo_ms\":800,\"rto_ms\":41200,\"can_"        \
    "abort\":"                                                                                     \
    "false,\"why\":" why ",\"steps\":[" executing_steps "]}}"
#define STEP(name, state)                                                                          \
    "{\"step\":\"" name "\",\"state\":\"" state "\",\"begun_ms\":1795255500250,\"ended_ms\":0,"    \
    "\"text\":\"" name " it is\"}"

struct failovers_dr failovers_dr = { .mu = PTHREAD_MUTEX_INITIALIZER };
static struct pr_bus *bus;

const char FAILOVERS_NEVER[] = "{\"owner\":\"\",\"epoch\":0,\"failover\":null}";
const char FAILOVERS_AT_WORK[] =
    FAILOVER("running", "null", STEP("claim", "done") "," STEP("redis", "running"));
const char FAILOVERS_STOPPED[] =
    FAILOVER("stopped", "\"redis: the bucket refuses\"", STEP("claim", "done"));
const char FAILOVERS_DONE[] =
    FAILOVER("done", "null", STEP("claim", "done") "," STEP("redis", "done"));
static const char PLAN[] =
    "{\"from\":\"east\",\"to\":\"west\",\"epoch\":2,\"ready\":false,\"steps\":[{\"step\":\"claim\","
    "\"does\":\"takes the marker\",\"done_when\":\"it is there\"}],\"problems\":[{\"what\":\"west "
    "is not empty\",\"fatal\":true}],\"shards\":[{\"shard\":\"n1\",\"generation\":\"g\","
    "\"until_ms\":1795255500250,\"age_ms\":900}],\"expected_rpo_ms\":900}";

static enum pr_code on_ask(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                           struct pr_err *err)
{
    Prism__V1__DrFailoverResponse a = PRISM__V1__DR_FAILOVER_RESPONSE__INIT;
    Prism__V1__DrFailoverRequest *q =
        prism__v1__dr_failover_request__unpack(NULL, msg->len, msg->data);
    (void)ctx;
    if (q == NULL)
        return pr_fail(err, PR_EDATA, "no request");
    pthread_mutex_lock(&failovers_dr.mu);
    const bool looks = strcmp(q->verb, "status") == 0;
    const enum pr_code rc = failovers_dr.refuse == PR_OK || looks
                                ? PR_OK
                                : pr_fail(err, failovers_dr.refuse, "one is under way already");
    if (!looks) {
        failovers_dr.asked++;
        failovers_dr.last = *q;
        (void)snprintf(failovers_dr.verb, sizeof failovers_dr.verb, "%s", q->verb);
        (void)snprintf(failovers_dr.to, sizeof failovers_dr.to, "%s", q->to);
        (void)snprintf(failovers_dr.by, sizeof failovers_dr.by, "%s", q->by);
        (void)snprintf(failovers_dr.key, sizeof failovers_dr.key, "%s", q->key);
    } else if (failovers_dr.done_after > 0 && ++failovers_dr.looked >= failovers_dr.done_after) {
        failovers_dr.status = FAILOVERS_DONE;
        failovers_dr.executing = false;
    }
    a.result = (char *)(uintptr_t)(strcmp(q->verb, "plan") == 0 ? PLAN : failovers_dr.status);
    a.executing = failovers_dr.executing;
    *len = prism__v1__dr_failover_response__get_packed_size(&a);
    *reply = rc == PR_OK ? malloc(*len + 1) : NULL;
    if (rc == PR_OK)
        prism__v1__dr_failover_response__pack(&a, *reply);
    pthread_mutex_unlock(&failovers_dr.mu);
    prism__v1__dr_failover_request__free_unpacked(q, NULL);
    return rc;
}

void failovers_dr_is(const char *status, bool executing)
{
    pthread_mutex_lock(&failovers_dr.mu);
    failovers_dr.status = status;
    failovers_dr.executing = executing;
    failovers_dr.refuse = PR_OK;
    failovers_dr.done_after = failovers_dr.looked = 0;
    failovers_dr.asked = 0;
    pthread_mutex_unlock(&failovers_dr.mu);
}

void failovers_dr_answers(bool there)
{
    struct pr_err err = { 0 };
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_DR_NATS_USER"),
                                      .password = it_env("IT_DR_NATS_PASSWORD"),
                                      .name = "it dr" };
    pr_bus_close(bus);
    bus = NULL;
    if (!there)
        return;
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    assert_ok(pr_bus_serve(bus, "prism.rpc.dr.failover", "dr", on_ask, NULL, &err), &err);
}
