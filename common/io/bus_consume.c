/* Durable consumers and watches: libnats's thread queues, workers call the
 * handler and settle the message. bus_keep.c binds and repairs. */
#include "bus_private.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- settling a message -------------------------------------------------- */

static void answer(struct pr_consumer *c, const struct pr_job *job, const char *text)
{
    pthread_mutex_lock(&c->bus->mu);
    char *reply = strdup(job->reply);
    pthread_mutex_unlock(&c->bus->mu);
    struct pr_link *link = pr_bus_link(c->bus);
    natsStatus s = reply == NULL  ? NATS_NO_MEMORY
                   : link == NULL ? NATS_CONNECTION_DISCONNECTED
                                  : natsConnection_PublishString(link->nc, reply, text);
    free(reply);
    if (s != NATS_OK) /* then it is delivered again, which handlers are made for */
        pr_warn(PR_EV("bus.ack_failed"), PR_S("consumer", c->name), PR_S("answer", text),
                PR_S("error", natsStatus_GetText(s)));
}

static void nak(struct pr_consumer *c, const struct pr_job *job, int delay_ms)
{
    char text[64];
    (void)snprintf(text, sizeof text, "-NAK {\"delay\": %lld}", (long long)delay_ms * 1000000);
    answer(c, job, text);
}

static enum pr_code copy_to_dead_letters(struct pr_consumer *c, const struct pr_job *job,
                                         const char *id, const char *reason, struct pr_err *err)
{
    char subject[sizeof "prism.dlq." + PR_BUS_TOKEN], dlq_id[256];
    natsMsg *copy = NULL;
    (void)snprintf(subject, sizeof subject, "prism.dlq.%s", c->name);
    (void)snprintf(dlq_id, sizeof dlq_id, "dlq:%s:%.180s", c->name, id);

    const struct {
        const char *key, *value;
    } header[] = {
        { "Prism-Subject", natsMsg_GetSubject(job->msg) },
        { "Prism-Reason", reason },
        { "Prism-Msg-Id", id },
        { "Nats-Msg-Id", dlq_id }, /* one copy, though it may be delivered again before Term */
        { "traceparent", pr_bus_header(job->msg, "traceparent") },
    };
    natsStatus s = natsMsg_Create(&copy, subject, NULL, natsMsg_GetData(job->msg),
                                  natsMsg_GetDataLength(job->msg));
    for (size_t i = 0; s == NATS_OK && i < PR_COUNT(header) && header[i].value[0] != '\0'; i++)
        s = natsMsgHeader_Set(copy, header[i].key, header[i].value);
    enum pr_code rc =
        s == NATS_OK ? pr_bus_publish_msg(c->bus, copy, err) : pr_bus_fail(err, s, 0, subject);
    natsMsg_Destroy(copy);
    return rc;
}

static void bury(struct pr_consumer *c, const struct pr_job *job, const char *id,
                 const char *reason, int delay_ms)
{
    struct pr_err err = { 0 };
    if (copy_to_dead_letters(c, job, id, reason, &err) != PR_OK) {
        pr_error(PR_EV("bus.dead_letter_failed"), PR_S("consumer", c->name), PR_S("id", id),
                 PR_E(&err));
        nak(c, job, delay_ms); /* stays in its stream until it can be kept elsewhere */
        return;
    }
    answer(c, job, "+TERM");
    pthread_mutex_lock(&c->bus->mu);
    c->bus->stats.dead++;
    pthread_mutex_unlock(&c->bus->mu);
    pr_error(PR_EV("bus.dead_letter"), PR_S("consumer", c->name), PR_S("id", id),
             PR_S("subject", natsMsg_GetSubject(job->msg)), PR_S("reason", reason));
}

static void settle(struct pr_consumer *c, const struct pr_job *job, const struct pr_msg *m,
                   enum pr_code rc, const struct pr_err *err)
{
    char reason[320];
    int delay_ms;
    (void)snprintf(reason, sizeof reason, "%s: %s", pr_code_name(rc), err->text);
    switch (pr_bus_verdict(rc, m->deliveries, c->durable, &delay_ms)) {
    case PR_VERDICT_ACK:
        answer(c, job, "+ACK");
        break;
    case PR_VERDICT_NAK:
        pr_warn(PR_EV("bus.retry"), PR_S("consumer", c->name), PR_S("id", m->id),
                PR_I("deliveries", m->deliveries), PR_I("delay_ms", delay_ms),
                PR_S("reason", reason));
        nak(c, job, delay_ms);
        break;
    case PR_VERDICT_DEAD:
        bury(c, job, m->id, reason, delay_ms);
        break;
    case PR_VERDICT_DROP:
        pr_warn(PR_EV("bus.event_dropped"), PR_S("id", m->id), PR_S("subject", m->subject),
                PR_S("reason", reason));
        answer(c, job, "+TERM");
        break;
    }
}

static void handle(struct pr_consumer *c, const struct pr_job *job)
{
    struct pr_err err = { 0 };
    char own_id[PR_BUS_TOKEN + 32];
    const char *id = pr_bus_header(job->msg, "Nats-Msg-Id");
    if (id[0] == '\0') {
        (void)snprintf(own_id, sizeof own_id, "%s:%llu", job->ack.stream,
                       (unsigned long long)job->ack.stream_seq);
        id = own_id;
    }
    struct pr_msg m = { .subject = natsMsg_GetSubject(job->msg),
                        .id = id,
                        .traceparent = pr_bus_header(job->msg, "traceparent"),
                        .data = natsMsg_GetData(job->msg),
                        .len = (size_t)natsMsg_GetDataLength(job->msg),
                        .deliveries = job->ack.deliveries };

    pr_log_trace(m.traceparent);
    enum pr_code rc = m.deliveries > PR_BUS_CRASH_DELIVER
                          ? pr_fail(&err, PR_EINTERNAL, "delivered %llu times without an answer",
                                    (unsigned long long)m.deliveries - 1)
                          : c->fn(c->ctx, &m, &err);
    settle(c, job, &m, rc, &err);
    pr_log_trace(NULL);
}

/* --- queue and workers; bus->mu guards the queue ------------------------- */

static void free_job(struct pr_job *job)
{
    natsMsg_Destroy(job->msg);
    free(job->reply);
    free(job);
}

static struct pr_job *new_job(natsMsg *msg)
{
    const char *reply = natsMsg_GetReply(msg);
    struct pr_job *job = calloc(1, sizeof *job);
    if (job == NULL || !pr_ack_parse(reply, &job->ack) || (job->reply = strdup(reply)) == NULL) {
        free(job); /* no memory: comes again; or a status line of the server */
        natsMsg_Destroy(msg);
        return NULL;
    }
    job->msg = msg;
    return job;
}

/* A message that is in hand already (its ack wait ran out while the server was
 * away) must not get a second worker. */
static bool again(struct pr_consumer *c, struct pr_job *job)
{
    for (struct pr_job *had = c->hand; had != NULL; had = had->next)
        if (had->ack.stream_seq == job->ack.stream_seq) {
            char *newest = job->reply;
            job->reply = had->reply;
            had->reply = newest;
            return true;
        }
    return false;
}

static void enqueue(struct pr_consumer *c, struct pr_job *job)
{
    struct pr_job **end = &c->hand;
    while (*end != NULL)
        end = &(*end)->next;
    *end = job;
    c->in_hand++;
    c->waiting++;
    if (job->ack.stream_seq > c->last_seq)
        c->last_seq = job->ack.stream_seq;
    pthread_cond_signal(&c->work);
}

void pr_bus_on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    struct pr_consumer *c = closure;
    struct pr_job *job = new_job(msg);
    (void)nc;
    (void)sub;
    if (job == NULL)
        return;

    pthread_mutex_lock(&c->bus->mu);
    bool known = again(c, job);
    while (!known && c->in_hand >= PR_BUS_MAX_ACK_PENDING && !c->stopped)
        pthread_cond_wait(&c->room, &c->bus->mu);
    bool late = !known && c->stopped;
    if (!known && !late)
        enqueue(c, job);
    pthread_mutex_unlock(&c->bus->mu);
    if (late)
        nak(c, job, 0); /* another replica gets it at once */
    if (known || late)
        free_job(job);
}

/* The oldest job nobody works on; NULL when c is stopped. */
static struct pr_job *take(struct pr_consumer *c)
{
    while (!c->stopped && (c->waiting == 0 || (c->durable && c->bus->paused)))
        pthread_cond_wait(&c->work, &c->bus->mu);
    if (c->stopped)
        return NULL;
    struct pr_job *job = c->hand;
    while (job->running)
        job = job->next;
    job->running = true;
    c->waiting--;
    return job;
}

static void drop(struct pr_consumer *c, struct pr_job *job)
{
    struct pr_job **at = &c->hand;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    c->in_hand--;
    c->bus->stats.consumed++;
    pthread_cond_signal(&c->room);
}

static void *worker(void *arg)
{
    struct pr_consumer *c = arg;
    pthread_mutex_lock(&c->bus->mu);
    for (struct pr_job *job; (job = take(c)) != NULL;) {
        pthread_mutex_unlock(&c->bus->mu);
        handle(c, job);
        pthread_mutex_lock(&c->bus->mu);
        drop(c, job);
        free_job(job);
    }
    pthread_mutex_unlock(&c->bus->mu);
    return NULL;
}

/* --- opening and closing ------------------------------------------------- */

static void free_consumer(struct pr_consumer *c)
{
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->room);
    free(c);
}

static void stop_taking(struct pr_consumer *c)
{
    pthread_mutex_lock(&c->bus->mu);
    c->stopped = true;
    pthread_cond_broadcast(&c->work);
    pthread_cond_broadcast(&c->room);
    pthread_mutex_unlock(&c->bus->mu);
}

static void stop_workers(struct pr_consumer *c)
{
    stop_taking(c);
    for (int i = 0; i < c->workers; i++)
        pthread_join(c->worker[i], NULL);
    c->workers = 0;
}

static enum pr_code start_workers(struct pr_consumer *c, int workers, struct pr_err *err)
{
    for (; c->workers < workers; c->workers++) {
        int failed = pthread_create(&c->worker[c->workers], NULL, worker, c);
        if (failed != 0)
            return pr_fail(err, PR_ENOMEM, "NATS: %s: thread: %s", c->stream, strerror(failed));
    }
    return PR_OK;
}

/* Hands c over to the keeper; false when there are too many. */
static bool enlist(struct pr_bus *bus, struct pr_consumer *c)
{
    pthread_mutex_lock(&bus->mu);
    bool room = bus->consumers < PR_BUS_CONSUMERS;
    if (room)
        bus->consumer[bus->consumers++] = c;
    pthread_mutex_unlock(&bus->mu);
    return room;
}

/* Workers start first and wait. A consumer that cannot be bound has had no
 * message, so no callback can be inside of it when it is freed. */
static enum pr_code add_consumer(struct pr_bus *bus, const struct pr_consumer *like, int workers,
                                 struct pr_err *err)
{
    struct pr_consumer *c = malloc(sizeof *c);
    if (c == NULL)
        return pr_fail(err, PR_ENOMEM, "NATS: consume %s: no memory", like->stream);
    *c = *like;
    c->bus = bus;
    pthread_cond_init(&c->work, NULL);
    pthread_cond_init(&c->room, NULL);

    pthread_mutex_lock(&bus->mu);
    bool full = bus->consumers == PR_BUS_CONSUMERS;
    pthread_mutex_unlock(&bus->mu);
    enum pr_code rc = full ? pr_fail(err, PR_EFULL, "NATS: at most %d consumers", PR_BUS_CONSUMERS)
                           : start_workers(c, workers, err);
    if (rc == PR_OK)
        rc = pr_bus_bind(c, err);
    if (rc == PR_OK && enlist(bus, c))
        return PR_OK;
    stop_workers(c);
    pr_bus_unbind(c);
    free_consumer(c);
    return rc == PR_OK ? pr_fail(err, PR_EFULL, "NATS: too many consumers") : rc;
}

enum pr_code pr_bus_consume(struct pr_bus *bus, const char *stream, const char *durable,
                            int workers, pr_msg_fn *fn, void *ctx, struct pr_err *err)
{
    if (workers < 1 || workers > PR_BUS_WORKERS)
        return pr_fail(err, PR_EINVAL, "NATS: consume %s: %d workers, want 1..%d", durable, workers,
                       PR_BUS_WORKERS);
    struct pr_consumer c = { .durable = true, .fn = fn, .ctx = ctx };
    (void)snprintf(c.stream, sizeof c.stream, "%s", stream);
    (void)snprintf(c.name, sizeof c.name, "%s", durable);
    return add_consumer(bus, &c, workers, err);
}

enum pr_code pr_bus_watch(struct pr_bus *bus, const char *stream, const char *filter, pr_msg_fn *fn,
                          void *ctx, struct pr_err *err)
{
    struct pr_consumer c = { .fn = fn, .ctx = ctx };
    (void)snprintf(c.stream, sizeof c.stream, "%s", stream);
    (void)snprintf(c.filter, sizeof c.filter, "%s", filter);
    return add_consumer(bus, &c, 1, err);
}

/* What the server has sent and libnats not yet handed over is handed over first, to be
 * refused: dropped, it would reach another replica only after the ack wait. */
static void drain(struct pr_consumer *c)
{
    enum { MOST_MS = 1000 };
    if (c->durable && c->sub != NULL && pr_bus_link(c->bus) != NULL &&
        natsSubscription_DrainTimeout(c->sub, MOST_MS) == NATS_OK)
        (void)natsSubscription_WaitForDrainCompletion(c->sub, MOST_MS);
    pr_bus_unbind(c);
}

/* The bus is closing and the keeper has ended. */
void pr_bus_stop_consumers(struct pr_bus *bus)
{
    for (size_t i = 0; i < bus->consumers; i++) {
        stop_taking(bus->consumer[i]);
        drain(bus->consumer[i]);
    }
    for (size_t i = 0; i < bus->consumers; i++) {
        struct pr_consumer *c = bus->consumer[i];
        stop_workers(c);
        for (struct pr_job *job = c->hand; job != NULL; job = job->next)
            nak(c, job, 0); /* not begun: another replica gets it at once */
    }
}

void pr_bus_free_consumers(struct pr_bus *bus)
{
    for (size_t i = 0; i < bus->consumers; i++) {
        struct pr_consumer *c = bus->consumer[i];
        for (struct pr_job *job = c->hand, *next; job != NULL; job = next) {
            next = job->next;
            free_job(job);
        }
        free_consumer(c);
    }
}
