#include "io/plan_events.h"

#include "prism/io/outbox.h"
#include "prism/v1/rebalance.pb-c.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void fill(const struct rebalance_fleet_told *t, Prism__V1__RebalanceProgress *p)
{
    p->ratio = t->ratio;
    if (t->eta_s >= 0) {
        p->eta_case = PRISM__V1__REBALANCE_PROGRESS__ETA_ETA_S;
        p->eta_s = t->eta_s;
    }
    p->wave = (uint32_t)t->wave;
    p->waves = (uint32_t)t->waves;
    p->steps = t->steps;
    p->steps_done = t->steps_done;
    p->steps_running = t->steps_running;
    p->steps_stuck = t->steps_stuck;
    p->slots = t->slots;
    p->slots_done = t->slots_done;
    p->bytes = (uint64_t)t->bytes;
    p->bytes_done = (uint64_t)t->bytes_done;
    p->bytes_per_s = t->bytes_per_s;
    p->reason = (char *)t->reason;
}

size_t rebalance_plan_event(const struct rebalance_plan_news *n, uint8_t out[REBALANCE_EVENT_BYTES])
{
    char state[16];
    Prism__V1__RebalanceProgress progress = PRISM__V1__REBALANCE_PROGRESS__INIT;
    Prism__V1__RebalancePlanEvent event = PRISM__V1__REBALANCE_PLAN_EVENT__INIT;
    snprintf(state, sizeof state, "%s", n->state == NULL ? "" : n->state);
    event.plan_id = (uint64_t)n->id;
    event.revision = (uint64_t)n->revision;
    event.state = state;
    event.at_ms = n->at_ms;
    if (n->told != NULL) {
        fill(n->told, &progress);
        event.progress = &progress;
    }
    /* The longest reason and all numbers at their greatest: 256 + 14 x 11 + 60. */
    assert(prism__v1__rebalance_plan_event__get_packed_size(&event) <= REBALANCE_EVENT_BYTES);
    return prism__v1__rebalance_plan_event__pack(&event, out);
}

char *rebalance_told_json(const struct rebalance_fleet_told *t)
{
    json_t *j = json_pack(
        "{s:f, s:o, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:s}", "ratio", t->ratio,
        "eta_s", t->eta_s >= 0 ? json_real(t->eta_s) : json_null(), "wave", t->wave, "waves",
        t->waves, "steps", (json_int_t)t->steps, "steps_done", (json_int_t)t->steps_done,
        "steps_running", (json_int_t)t->steps_running, "steps_stuck", (json_int_t)t->steps_stuck,
        "slots", (json_int_t)t->slots, "slots_done", (json_int_t)t->slots_done, "bytes", t->bytes,
        "bytes_done", t->bytes_done, "bytes_per_s", t->bytes_per_s, "reason", t->reason);
    char *text = j == NULL ? NULL : json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

enum pr_code rebalance_plan_changed(struct pr_db *db, const struct rebalance_plan_news *n,
                                    const char *operation, struct pr_err *err)
{
    uint8_t packed[REBALANCE_EVENT_BYTES];
    enum pr_code rc =
        pr_outbox_add(db, "prism.evt.rebalance.plan", packed, rebalance_plan_event(n, packed), err);
    if (rc != PR_OK || n->told == NULL || operation[0] == '\0')
        return rc;
    char *json = rebalance_told_json(n->told);
    if (json == NULL)
        return pr_fail(err, PR_ENOMEM, "the progress of plan %lld", (long long)n->id);
    rc = pr_db_exec(db, "UPDATE operations SET progress = $2::jsonb WHERE id = $1",
                    PR_ARGS(pr_text(operation), pr_text(json)), NULL, err);
    free(json);
    return rc;
}
