/* The keeper, one thread per bus: binds consumers to the server, extends ack
 * waits, and repairs what a restart of the server broke. */
#include "bus_private.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECK_MS = 10000, /* how often consumers are looked for on the server */
    TURN_MS = 500,
    BIND_AGAIN_MS = 5000,     /* after a watch could not be made */
    MOST_UNANSWERED = 2,      /* questions in a row where a watch is */
    WATCH_INACTIVE_MS = 60000 /* how long the server keeps a watch without a connection */
};

/* --- binding to the server ----------------------------------------------- */

/* Makes the subscription the consumer's; an older one must be gone. */
static enum pr_code adopt(struct pr_consumer *c, natsSubscription *sub, natsStatus s, int js_error,
                          const char *what, struct pr_err *err)
{
    if (s == NATS_OK)
        s = pr_bus_track(c->bus, sub);
    pthread_mutex_lock(&c->bus->mu);
    c->gone = s != NATS_OK && (s == NATS_NOT_FOUND || js_error == 10014);
    if (s == NATS_OK)
        c->sub = sub;
    pthread_mutex_unlock(&c->bus->mu);
    if (s == NATS_OK)
        return PR_OK;
    enum pr_code rc = pr_bus_fail(err, s, js_error, what);
    pr_bus_unsubscribe(&sub);
    return rc;
}

static enum pr_code bind_durable(struct pr_consumer *c, struct pr_link *link, struct pr_err *err)
{
    char what[PR_BUS_TOKEN * 2 + 32];
    jsConsumerInfo *ci = NULL;
    jsErrCode js_error = 0;
    natsSubscription *sub = NULL;

    (void)snprintf(what, sizeof what, "consumer %s of stream %s", c->name, c->stream);
    natsStatus s = js_GetConsumerInfo(&ci, link->js, c->stream, c->name, NULL, &js_error);
    if (s == NATS_OK && (ci->Config == NULL || ci->Config->DeliverSubject == NULL ||
                         ci->Config->DeliverGroup == NULL)) {
        jsConsumerInfo_Destroy(ci);
        return pr_fail(err, PR_EINVAL, "NATS: %s: not a push consumer with a queue group", what);
    }
    if (s == NATS_OK)
        s = natsConnection_QueueSubscribe(&sub, link->nc, ci->Config->DeliverSubject,
                                          ci->Config->DeliverGroup, pr_bus_on_message, c);
    jsConsumerInfo_Destroy(ci);
    return adopt(c, sub, s, (int)js_error, what, err);
}

static natsStatus add_watch(struct pr_consumer *c, struct pr_link *link, const char *deliver,
                            jsErrCode *js_error)
{
    jsConsumerConfig cfg;
    jsConsumerInfo *ci = NULL;
    (void)jsConsumerConfig_Init(&cfg);
    pthread_mutex_lock(&c->bus->mu);
    const bool again = c->name[0] != '\0'; /* then what is behind last_seq was not seen, be it 0 */
    uint64_t last_seq = c->last_seq;
    pthread_mutex_unlock(&c->bus->mu);

    cfg.DeliverPolicy = again ? js_DeliverByStartSequence : js_DeliverNew;
    cfg.OptStartSeq = again ? last_seq + 1 : 0;
    cfg.DeliverSubject = deliver;
    cfg.FilterSubject = c->filter;
    cfg.AckPolicy = js_AckExplicit;
    cfg.AckWait = (int64_t)PR_BUS_ACK_WAIT_MS * 1000000;
    cfg.MaxDeliver = PR_BUS_MAX_DELIVER;
    cfg.MaxAckPending = PR_BUS_MAX_ACK_PENDING;
    cfg.InactiveThreshold = (int64_t)WATCH_INACTIVE_MS * 1000000;
    cfg.MemoryStorage = true;
    natsStatus s = js_AddConsumer(&ci, link->js, c->stream, &cfg, NULL, js_error);
    if (s == NATS_OK) {
        pthread_mutex_lock(&c->bus->mu);
        (void)snprintf(c->name, sizeof c->name, "%s", ci->Name);
        /* From here on nothing is "new": a second watch starts behind this. */
        if (c->last_seq == 0)
            c->last_seq = ci->Delivered.Stream;
        pthread_mutex_unlock(&c->bus->mu);
    }
    jsConsumerInfo_Destroy(ci);
    return s;
}

static enum pr_code bind_watch(struct pr_consumer *c, struct pr_link *link, struct pr_err *err)
{
    char what[PR_BUS_TOKEN + 160], deliver[192];
    natsInbox *unique = NULL;
    natsSubscription *sub = NULL;
    jsErrCode js_error = 0;

    (void)snprintf(what, sizeof what, "watch %s of stream %s", c->filter, c->stream);
    natsStatus s = natsInbox_Create(&unique);
    if (s == NATS_OK) {
        const char *dot = strrchr(unique, '.');
        (void)snprintf(deliver, sizeof deliver, "%s.%s", c->bus->inbox,
                       dot == NULL ? unique : dot + 1);
        natsInbox_Destroy(unique);
        s = natsConnection_Subscribe(&sub, link->nc, deliver, pr_bus_on_message, c);
    }
    if (s == NATS_OK)
        s = add_watch(c, link, deliver, &js_error);
    if (s != NATS_OK && sub != NULL && pr_bus_track(c->bus, sub) == NATS_OK) {
        enum pr_code rc = pr_bus_fail(err, s, (int)js_error, what);
        pr_bus_unsubscribe(&sub);
        return rc;
    }
    return adopt(c, sub, s, (int)js_error, what, err);
}

void pr_bus_unbind(struct pr_consumer *c)
{
    pthread_mutex_lock(&c->bus->mu);
    natsSubscription *sub = c->sub;
    c->sub = NULL;
    pthread_mutex_unlock(&c->bus->mu);
    pr_bus_unsubscribe(&sub);
}

enum pr_code pr_bus_bind(struct pr_consumer *c, struct pr_err *err)
{
    struct pr_link *link = pr_bus_link(c->bus);
    if (link == NULL)
        return pr_fail(err, PR_EUNAVAIL, "NATS: consume %s: not connected", c->stream);
    return c->durable ? bind_durable(c, link, err) : bind_watch(c, link, err);
}

/* --- the keeper ---------------------------------------------------------- */

/* Tells the server that every message in hand is being worked on. */
static void extend(struct pr_bus *bus, struct pr_link *link)
{
    char *reply[PR_BUS_CONSUMERS * PR_BUS_MAX_ACK_PENDING];
    size_t n = 0;
    pthread_mutex_lock(&bus->mu);
    for (size_t i = 0; i < bus->consumers; i++)
        for (struct pr_job *j = bus->consumer[i]->hand; j != NULL && n < PR_COUNT(reply);
             j = j->next)
            if ((reply[n] = strdup(j->reply)) != NULL)
                n++;
    pthread_mutex_unlock(&bus->mu);

    for (size_t i = 0; i < n; i++) { /* of one settled meanwhile the server takes no notice */
        (void)natsConnection_PublishString(link->nc, reply[i], "+WPI");
        free(reply[i]);
    }
}

/* Is the consumer still there? A watch is made anew, behind what it has seen. */
static void check(struct pr_consumer *c, struct pr_link *link)
{
    jsConsumerInfo *ci = NULL;
    jsErrCode js_error = 0;
    natsStatus s = js_GetConsumerInfo(&ci, link->js, c->stream, c->name, NULL, &js_error);
    jsConsumerInfo_Destroy(ci);
    bool missing = s == NATS_NOT_FOUND || js_error == 10014 || js_error == 10059;
    /* A watch lives on one server of its own, whatever the stream has. Once that one is down nobody
     * answers for it, or it is said to be offline (10119), and it would stay deaf for as long. */
    c->unanswered = s == NATS_TIMEOUT ? c->unanswered + 1 : 0;
    missing |= !c->durable && (c->unanswered >= MOST_UNANSWERED || js_error == 10119);
    if (s != NATS_OK && !missing)
        return; /* no answer proves nothing */

    pthread_mutex_lock(&c->bus->mu);
    bool news = c->gone != missing;
    c->gone = missing;
    pthread_mutex_unlock(&c->bus->mu);
    if (news && missing)
        pr_warn(PR_EV("bus.consumer_missing"), PR_S("consumer", c->name),
                PR_S("stream", c->stream));
    if (missing && !c->durable)
        pr_bus_unbind(c);
}

static void keep(struct pr_bus *bus, struct pr_consumer *c, struct pr_link *link, bool paused,
                 bool look)
{
    struct pr_err err = { 0 };
    pthread_mutex_lock(&bus->mu);
    bool bound = c->sub != NULL;
    pthread_mutex_unlock(&bus->mu);

    if (c->durable && paused) {
        if (bound)
            pr_bus_unbind(c);
        return;
    }
    if (bound && look)
        check(c, link);
    pthread_mutex_lock(&bus->mu);
    bound = c->sub != NULL;
    pthread_mutex_unlock(&bus->mu);
    if (bound || pr_mono_us() < c->bind_at_us || pr_bus_bind(c, &err) == PR_OK)
        return;
    if (!c->durable) /* each try may leave one there that is of no use to anybody */
        c->bind_at_us = pr_mono_us() + BIND_AGAIN_MS * INT64_C(1000);
    pr_warn(PR_EV("bus.bind_failed"), PR_S("stream", c->stream), PR_E(&err));
}

void *pr_bus_keeper(void *arg)
{
    struct pr_bus *bus = arg;
    int64_t next_look_us = 0, next_extend_us = 0;

    pthread_mutex_lock(&bus->mu);
    while (!bus->closing) {
        int64_t now_us = pr_mono_us();
        bool look = bus->recheck || now_us >= next_look_us, paused = bus->paused;
        bool dead_link = bus->link == NULL || bus->link_closed;
        bus->recheck = false;
        size_t n = bus->consumers;
        struct pr_consumer *consumer[PR_BUS_CONSUMERS];
        memcpy(consumer, bus->consumer, sizeof consumer);
        pthread_mutex_unlock(&bus->mu);

        if (dead_link && pr_bus_dial(bus) == NATS_OK) {
            for (size_t i = 0; i < n; i++)
                pr_bus_unbind(consumer[i]); /* keep() binds them to the new link */
            pr_bus_serve_again(bus);
        }
        struct pr_link *link = pr_bus_link(bus);
        bool connected = link != NULL;
        pthread_mutex_lock(&bus->mu);
        bus->connected = connected; /* what came before the connection was ours was not heard */
        pthread_mutex_unlock(&bus->mu);
        if (connected && now_us >= next_extend_us) {
            extend(bus, link);
            next_extend_us = now_us + (int64_t)PR_BUS_PROGRESS_MS * 1000;
        }
        for (size_t i = 0; connected && i < n; i++)
            keep(bus, consumer[i], link, paused, look);
        if (connected && look)
            next_look_us = now_us + (int64_t)CHECK_MS * 1000;

        struct timespec until;
        pr_bus_deadline(&until, TURN_MS);
        pthread_mutex_lock(&bus->mu);
        if (look && !connected)
            bus->recheck = true;
        if (!bus->closing && bus->paused == paused)
            (void)pthread_cond_timedwait(&bus->changed, &bus->mu, &until);
    }
    pthread_mutex_unlock(&bus->mu);
    return NULL;
}
