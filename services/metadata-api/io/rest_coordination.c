/* /v1/coordination: who leads what, how far the streams and their consumers are, what waits to be
 * published, and up to where the other region has everything. The streams are asked at NATS, the
 * rest is rows; without NATS the rest is answered all the same. */
#include "api_check.h"
#include "change.h"
#include "prism/io/bus.h"
#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 2000, KEPT_MS = 1000 };

struct consumer {
    const char *stream, *name;
};
#define LIMITS                                       0
#define WORKQUEUE                                    0
#define STREAM(name, subjects, retention, max_age_s) #name,
#define CONSUMER(stream, durable, filter)
#define RPC(subject, service)
static const char *const STREAMS[] = {
#include "subjects.def"
};
#undef STREAM
#undef CONSUMER
#define STREAM(name, subjects, retention, max_age_s)
#define CONSUMER(stream, durable, filter) { #stream, #durable },
static const struct consumer CONSUMERS[] = {
#include "subjects.def"
};
#undef STREAM
#undef CONSUMER
#undef RPC
#undef LIMITS
#undef WORKQUEUE

static const char ROWS[] =
    "SELECT json_build_object("
    "'members', coalesce((SELECT json_agg(json_build_object('lease', l.name, 'holder', l.holder, "
    "'epoch', l.epoch, 'held', l.expires_at > now(), 'expiresAt', CASE WHEN "
    "isfinite(l.expires_at) THEN l.expires_at END) ORDER BY l.name) FROM leases l), '[]'), "
    "'outbox', coalesce((SELECT json_agg(json_build_object('service', o.service, 'waiting', o.n, "
    "'oldestAt', o.oldest) ORDER BY o.service) FROM (SELECT service, count(*) AS n, "
    "min(created_at) AS oldest FROM outbox WHERE published_at IS NULL GROUP BY service) o), '[]'), "
    "'marks', coalesce((SELECT json_agg(json_build_object('shard', s.shard_id, 'group', "
    "s.group_id, 'holder', g.holder, 'epoch', g.epoch, 'container', g.seq, 'durableOffset', "
    "s.durable_offset, 'seenOffset', s.seen_offset, 'durableAt', s.durable_at, 'heartbeatAt', "
    "s.beat_at) ORDER BY s.shard_id) FROM dr_shards s LEFT JOIN dr_groups g ON g.id = s.group_id), "
    "'[]'))";

/* NATS's answer about one stream or consumer. */
static enum pr_code ask(struct api *api, const char *subject, json_t **out, struct pr_err *err)
{
    void *reply = NULL;
    size_t n = 0;
    enum pr_code rc = pr_bus_request(api->svc->bus, subject, "", 0, ASK_MS, &reply, &n, err);
    *out = rc == PR_OK ? json_loadb(reply, n, 0, NULL) : NULL;
    free(reply);
    if (rc != PR_OK)
        return rc;
    const char *wrong =
        json_string_value(json_object_get(json_object_get(*out, "error"), "description"));
    if (wrong == NULL && json_is_object(*out))
        return PR_OK;
    rc = pr_fail(err, PR_EUNAVAIL, "NATS: %.120s: %.120s", subject,
                 wrong == NULL ? "no JSON" : wrong);
    json_decref(*out);
    *out = NULL;
    return rc;
}

/* Member `name` of from (dotted: "state.messages"), or null. */
static json_t *of(const json_t *from, const char *group, const char *name)
{
    json_t *v = json_object_get(group == NULL ? from : json_object_get(from, group), name);
    return v == NULL ? json_null() : json_incref(v);
}

/* The time of an empty stream is in the year 1. */
static json_t *time_of(const json_t *from, const char *group, const char *name)
{
    json_t *v = of(from, group, name);
    const char *text = json_string_value(v);
    if (text != NULL && strncmp(text, "0001-", 5) != 0)
        return v;
    json_decref(v);
    return json_null();
}

static enum pr_code add_stream(struct api *api, const char *name, json_t *list, struct pr_err *err)
{
    char subject[128];
    PR_AUTO(json_t) *info = NULL;
    (void)snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", name);
    enum pr_code rc = ask(api, subject, &info, err);
    if (rc != PR_OK)
        return rc;
    json_t *row = json_pack(
        "{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "name", name, "subjects",
        of(info, "config", "subjects"), "messages", of(info, "state", "messages"), "bytes",
        of(info, "state", "bytes"), "firstSequence", of(info, "state", "first_seq"), "lastSequence",
        of(info, "state", "last_seq"), "firstAt", time_of(info, "state", "first_ts"), "lastAt",
        time_of(info, "state", "last_ts"));
    return json_array_append_new(list, row) == 0 ? PR_OK : pr_fail(err, PR_ENOMEM, "%s", name);
}

static enum pr_code add_consumer(struct api *api, const struct consumer *c, json_t *list,
                                 struct pr_err *err)
{
    char subject[192];
    PR_AUTO(json_t) *info = NULL;
    (void)snprintf(subject, sizeof subject, "$JS.API.CONSUMER.INFO.%s.%s", c->stream, c->name);
    enum pr_code rc = ask(api, subject, &info, err);
    if (rc != PR_OK)
        return rc;
    json_t *row =
        json_pack("{s:s,s:s,s:b,s:o,s:o,s:o,s:o,s:o,s:o}", "stream", c->stream, "name", c->name,
                  "bound", json_is_true(json_object_get(info, "push_bound")), "deliveredSequence",
                  of(info, "delivered", "stream_seq"), "acknowledgedSequence",
                  of(info, "ack_floor", "stream_seq"), "waiting", of(info, NULL, "num_pending"),
                  "unacknowledged", of(info, NULL, "num_ack_pending"), "redelivered",
                  of(info, NULL, "num_redelivered"), "deliveredAt",
                  time_of(info, "delivered", "last_active"));
    return json_array_append_new(list, row) == 0 ? PR_OK : pr_fail(err, PR_ENOMEM, "%s", c->name);
}

/* What NATS knows; its silence is told once, in `error`. NULL: no memory. */
static json_t *ask_bus(struct api *api)
{
    struct pr_err err = { 0 };
    json_t *streams = json_array(), *consumers = json_array();
    enum pr_code rc = PR_OK;
    for (size_t i = 0; rc == PR_OK && i < PR_COUNT(STREAMS); i++)
        rc = add_stream(api, STREAMS[i], streams, &err);
    for (size_t i = 0; rc == PR_OK && i < PR_COUNT(CONSUMERS); i++)
        rc = add_consumer(api, &CONSUMERS[i], consumers, &err);
    return json_pack("{s:o,s:o,s:o}", "streams", streams, "consumers", consumers, "error",
                     rc == PR_OK ? json_null() : json_string(err.text));
}

/* Asked by one at a time, and once a second at most: whoever comes meanwhile waits, and takes the
 * same answer. However many look, NATS hears little of it. */
static bool add_bus(struct api *api, json_t *to)
{
    struct api_bus_seen *seen = &api->bus_seen;
    pthread_mutex_lock(&seen->lock);
    if (seen->j == NULL || pr_mono_us() / 1000 - seen->at_ms >= KEPT_MS) {
        json_decref(seen->j);
        seen->j = ask_bus(api);
        seen->at_ms = pr_mono_us() / 1000;
    }
    /* What is shared is counted up and down under the lock alone. */
    PR_AUTO(json_t) *copy = json_deep_copy(seen->j);
    pthread_mutex_unlock(&seen->lock);
    return copy != NULL && json_object_update(to, copy) == 0;
}

void api_coordination_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)req;
    PR_AUTO(PGresult) *row = api_one_row(ctx, ROWS, NULL, 0, "coordination", res);
    if (row == NULL)
        return;
    json_t *all = api_from_sql(pr_cell(row, 0, 0));
    if (all != NULL && !add_bus(ctx, all)) {
        json_decref(all);
        all = NULL; /* no memory */
    }
    api_reply(res, 200, all);
}
