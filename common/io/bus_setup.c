/* Streams and durable consumers of proto/subjects.def, for prism-admin. */
#include "bus_private.h"

#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

enum { DUPLICATES_S = 600 }; /* a publish repeated within this is one message */

struct stream_row {
    const char *name, *subjects;
    jsRetentionPolicy retention;
    int64_t max_age_s; /* 0: for ever */
};

struct consumer_row {
    const char *stream, *durable, *filter;
};

#define LIMITS                                       js_LimitsPolicy
#define WORKQUEUE                                    js_WorkQueuePolicy
#define STREAM(name, subjects, retention, max_age_s) { #name, subjects, retention, max_age_s },
#define CONSUMER(stream, durable, filter)
#define RPC(subject, service)
static const struct stream_row STREAMS[] = {
#include "subjects.def"
};
#undef STREAM
#undef CONSUMER
#define STREAM(name, subjects, retention, max_age_s)
#define CONSUMER(stream, durable, filter) { #stream, #durable, filter },
static const struct consumer_row CONSUMERS[] = {
#include "subjects.def"
};
#undef STREAM
#undef CONSUMER
#undef RPC
#undef LIMITS
#undef WORKQUEUE

static enum pr_code set_up_stream(struct pr_link *link, const struct stream_row *row, int replicas,
                                  struct pr_err *err)
{
    char what[128];
    const char *subjects[] = { row->subjects };
    jsStreamConfig cfg;
    jsStreamInfo *si = NULL;
    jsErrCode js_error = 0;

    (void)snprintf(what, sizeof what, "stream %s", row->name);
    (void)jsStreamConfig_Init(&cfg);
    cfg.Name = row->name;
    cfg.Subjects = subjects;
    cfg.SubjectsLen = 1;
    cfg.Retention = row->retention;
    cfg.Storage = js_FileStorage;
    cfg.MaxAge = row->max_age_s * INT64_C(1000000000);
    cfg.Duplicates = (int64_t)DUPLICATES_S * 1000000000;
    cfg.Replicas = replicas > 0 ? replicas : 1;

    natsStatus s = js_GetStreamInfo(&si, link->js, row->name, NULL, &js_error);
    if (s == NATS_NOT_FOUND || js_error == 10059) {
        s = js_AddStream(NULL, link->js, &cfg, NULL, &js_error);
    } else if (s == NATS_OK) {
        if (replicas == 0)
            cfg.Replicas = si->Config->Replicas; /* an operator's choice, as is the next */
        cfg.MaxBytes = si->Config->MaxBytes;
        if (si->Config->Retention != row->retention) {
            jsStreamInfo_Destroy(si);
            return pr_fail(err, PR_ECONFLICT,
                           "NATS: %s: exists with another retention, which cannot be changed",
                           what);
        }
        s = js_UpdateStream(NULL, link->js, &cfg, NULL, &js_error);
    }
    jsStreamInfo_Destroy(si);
    if (s != NATS_OK)
        return pr_bus_fail(err, s, (int)js_error, what);
    pr_info(PR_EV("bus.stream"), PR_S("stream", row->name), PR_S("subjects", row->subjects),
            PR_I("replicas", cfg.Replicas));
    return PR_OK;
}

static enum pr_code set_up_consumer(struct pr_link *link, const struct consumer_row *row,
                                    struct pr_err *err)
{
    char what[128], deliver[PR_BUS_TOKEN + 16];
    jsConsumerConfig cfg;
    jsErrCode js_error = 0;

    (void)snprintf(what, sizeof what, "consumer %s of stream %s", row->durable, row->stream);
    (void)snprintf(deliver, sizeof deliver, "prism.deliver.%s", row->durable);
    (void)jsConsumerConfig_Init(&cfg);
    cfg.Durable = row->durable;
    cfg.DeliverSubject = deliver;
    cfg.DeliverGroup = row->durable;
    cfg.FilterSubject = row->filter;
    cfg.DeliverPolicy = js_DeliverAll;
    cfg.AckPolicy = js_AckExplicit;
    cfg.AckWait = (int64_t)PR_BUS_ACK_WAIT_MS * 1000000;
    /* The server drops in silence what passes its limit, and counts crashes and
     * restarts too; so the consumer counts, and dead-letters (bus_rules.h). */
    cfg.MaxDeliver = -1;
    cfg.MaxAckPending = PR_BUS_MAX_ACK_PENDING;

    natsStatus s = js_AddConsumer(NULL, link->js, row->stream, &cfg, NULL, &js_error);
    if (s != NATS_OK)
        return pr_bus_fail(err, s, (int)js_error, what);
    pr_info(PR_EV("bus.consumer"), PR_S("stream", row->stream), PR_S("consumer", row->durable),
            PR_S("filter", row->filter));
    return PR_OK;
}

enum pr_code pr_bus_setup(struct pr_bus *bus, int replicas, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    struct pr_link *link = pr_bus_link(bus);
    if (link == NULL)
        return pr_fail(err, PR_EUNAVAIL, "NATS: not connected");
    for (size_t i = 0; rc == PR_OK && i < PR_COUNT(STREAMS); i++)
        rc = set_up_stream(link, &STREAMS[i], replicas, err);
    for (size_t i = 0; rc == PR_OK && i < PR_COUNT(CONSUMERS); i++)
        rc = set_up_consumer(link, &CONSUMERS[i], err);
    return rc;
}
