/* Serving requests: on libnats's thread, or by a thread of the server's own. */
#include "bus_private.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

natsStatus pr_bus_reply_to(natsConnection *nc, const char *to, enum pr_code rc, const char *text,
                           const void *data, size_t n)
{
    natsMsg *msg = NULL;
    natsStatus s = pr_bus_make_msg(&msg, to, data, rc == PR_OK ? n : 0, NULL);
    if (s == NATS_OK && rc != PR_OK)
        s = natsMsgHeader_Set(msg, "Prism-Code", pr_code_name(rc));
    if (s == NATS_OK && rc != PR_OK)
        s = natsMsgHeader_Set(msg, "Prism-Error", text);
    if (s == NATS_OK)
        s = natsConnection_PublishMsg(nc, msg);
    natsMsg_Destroy(msg);
    return s;
}

static void send_reply(natsConnection *nc, natsMsg *msg, enum pr_code rc, const char *text,
                       const void *data, size_t n)
{
    const char *to = natsMsg_GetReply(msg);
    natsStatus s =
        to == NULL || to[0] == '\0' ? NATS_OK : pr_bus_reply_to(nc, to, rc, text, data, n);
    if (s != NATS_OK)
        pr_warn(PR_EV("bus.reply_failed"), PR_S("subject", natsMsg_GetSubject(msg)),
                PR_S("error", natsStatus_GetText(s)));
}

static void see(natsMsg *msg, struct pr_msg *m)
{
    *m = (struct pr_msg){ .subject = natsMsg_GetSubject(msg),
                          .id = pr_bus_header(msg, "Nats-Msg-Id"),
                          .traceparent = pr_bus_header(msg, "traceparent"),
                          .data = natsMsg_GetData(msg),
                          .len = (size_t)natsMsg_GetDataLength(msg) };
}

/* Answers and frees the message. */
static void answer(struct pr_rpc_server *server, natsConnection *nc, natsMsg *msg)
{
    struct pr_msg m;
    struct pr_err err = { 0 };
    void *reply = NULL;
    size_t len = 0;

    see(msg, &m);
    pr_log_trace(m.traceparent);
    enum pr_code rc = server->fn(server->ctx, &m, &reply, &len, &err);
    send_reply(nc, msg, rc, err.text, reply, len);
    pr_log_trace(NULL);
    free(reply);
    natsMsg_Destroy(msg);
}

static void refuse(natsConnection *nc, natsMsg *msg, enum pr_code rc, const char *why)
{
    send_reply(nc, msg, rc, why, NULL, 0);
    natsMsg_Destroy(msg);
}

static void on_request_later(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    const struct pr_rpc_server *server = closure;
    struct pr_reply *to = pr_bus_reply_new(server->bus, natsMsg_GetReply(msg));
    struct pr_msg m;
    (void)nc;
    (void)sub;
    see(msg, &m);
    if (to != NULL)
        server->later(server->ctx, &m, to);
    natsMsg_Destroy(msg);
}

static void on_request(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    struct pr_rpc_server *server = closure;
    (void)sub;
    if (server->apart.waiting == 0) {
        answer(server, nc, msg);
        return;
    }
    pthread_mutex_lock(&server->mu);
    const bool stopped = server->stopped, full = server->waits == (size_t)server->apart.waiting;
    if (!stopped && !full) {
        server->wait[server->waits++] = (struct pr_rpc_waiting){ nc, msg, pr_mono_us() };
        pthread_cond_signal(&server->work);
    }
    pthread_mutex_unlock(&server->mu);
    if (stopped)
        refuse(nc, msg, PR_EUNAVAIL, "it stops");
    else if (full)
        refuse(nc, msg, PR_EFULL, "busy: as many as may wait for an answer do already; try later");
}

static void *work(void *arg)
{
    struct pr_rpc_server *server = arg;
    pthread_mutex_lock(&server->mu);
    for (;;) {
        while (server->waits == 0 && !server->stopped)
            pthread_cond_wait(&server->work, &server->mu);
        if (server->stopped)
            break;
        const struct pr_rpc_waiting next = server->wait[0];
        memmove(server->wait, server->wait + 1, --server->waits * sizeof *server->wait);
        pthread_mutex_unlock(&server->mu);
        /* Nobody waits any more for what has waited longer. */
        if (pr_mono_us() - next.since_us > (int64_t)server->apart.patience_ms * 1000)
            refuse(next.nc, next.msg, PR_ETIMEOUT, "busy: others took too long");
        else
            answer(server, next.nc, next.msg);
        pthread_mutex_lock(&server->mu);
    }
    pthread_mutex_unlock(&server->mu);
    return NULL;
}

/* Who waits is told so; what is being answered ends. */
static void abandon(struct pr_rpc_server *server)
{
    struct pr_rpc_waiting wait[PR_BUS_WAITING];
    pthread_mutex_lock(&server->mu);
    server->stopped = true;
    pthread_cond_broadcast(&server->work);
    const size_t waits = server->waits;
    memcpy(wait, server->wait, waits * sizeof *wait);
    server->waits = 0;
    pthread_mutex_unlock(&server->mu);
    for (size_t i = 0; i < waits; i++) /* libnats's thread may need the lock meanwhile */
        refuse(wait[i].nc, wait[i].msg, PR_EUNAVAIL, "it stops");
    if (server->runs)
        pthread_join(server->worker, NULL);
    server->runs = false;
}

void pr_bus_stop_servers(struct pr_bus *bus)
{
    for (size_t i = 0; i < bus->servers; i++)
        abandon(bus->server[i]);
}

void pr_bus_free_server(struct pr_rpc_server *server)
{
    pthread_cond_destroy(&server->work);
    pthread_mutex_destroy(&server->mu);
    free(server);
}

/* On the link that is now; also after the keeper had to dial again. */
static natsStatus subscribe_server(struct pr_bus *bus, struct pr_rpc_server *server)
{
    struct pr_link *link = pr_bus_link(bus);
    pr_bus_unsubscribe(&server->sub);
    if (link == NULL)
        return NATS_CONNECTION_DISCONNECTED;
    natsStatus s = server->later != NULL
                       ? natsConnection_Subscribe(&server->sub, link->nc, server->subject,
                                                  on_request_later, server)
                       : natsConnection_QueueSubscribe(&server->sub, link->nc, server->subject,
                                                       server->queue, on_request, server);
    if (s == NATS_OK && (s = pr_bus_track(bus, server->sub)) != NATS_OK)
        pr_bus_unsubscribe(&server->sub);
    return s;
}

void pr_bus_serve_again(struct pr_bus *bus)
{
    struct pr_rpc_server *server[PR_BUS_SERVERS];
    pthread_mutex_lock(&bus->mu);
    size_t n = bus->servers;
    memcpy(server, bus->server, sizeof server);
    pthread_mutex_unlock(&bus->mu);
    for (size_t i = 0; i < n; i++) {
        natsStatus s = subscribe_server(bus, server[i]);
        if (s != NATS_OK) /* the link is gone again: the next dial serves again */
            pr_warn(PR_EV("bus.serve_failed"), PR_S("subject", server[i]->subject),
                    PR_S("error", natsStatus_GetText(s)));
    }
}

static enum pr_code start_worker(struct pr_rpc_server *server, const struct pr_bus_apart *apart,
                                 struct pr_err *err)
{
    if (apart->waiting < 1 || apart->waiting > PR_BUS_WAITING || apart->patience_ms < 1)
        return pr_fail(err, PR_EINVAL, "NATS: serve %s: %d wait for %d ms, want 1 to %d",
                       server->subject, apart->waiting, apart->patience_ms, PR_BUS_WAITING);
    server->apart = *apart;
    server->runs = pthread_create(&server->worker, NULL, work, server) == 0;
    return server->runs ? PR_OK
                        : pr_fail(err, PR_ENOMEM, "NATS: serve %s: no thread", server->subject);
}

static enum pr_code serve(struct pr_bus *bus, const char *subject, const struct pr_rpc_server *as,
                          const struct pr_bus_apart *apart, struct pr_err *err)
{
    struct pr_rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return pr_fail(err, PR_ENOMEM, "NATS: serve %s: no memory", subject);
    *server = *as;
    server->bus = bus;
    (void)snprintf(server->subject, sizeof server->subject, "%s", subject);
    pthread_mutex_init(&server->mu, NULL);
    pthread_cond_init(&server->work, NULL);
    enum pr_code rc = apart == NULL ? PR_OK : start_worker(server, apart, err);
    if (rc != PR_OK) {
        pr_bus_free_server(server);
        return rc;
    }

    natsStatus s = subscribe_server(bus, server);
    pthread_mutex_lock(&bus->mu);
    bool full = bus->servers == PR_BUS_SERVERS;
    if (s == NATS_OK && !full)
        bus->server[bus->servers++] = server; /* freed with the bus, after the last callback */
    pthread_mutex_unlock(&bus->mu);
    if (s == NATS_OK && !full)
        return PR_OK;
    abandon(server);
    if (s != NATS_OK) {
        pr_bus_free_server(server);
        return pr_bus_fail(err, s, 0, subject);
    }
    /* A call may be under way: the bytes are not worth the wait. */
    pr_bus_unsubscribe(&server->sub);
    return pr_fail(err, PR_EFULL, "NATS: serve %s: at most %d", subject, PR_BUS_SERVERS);
}

enum pr_code pr_bus_serve_apart(struct pr_bus *bus, const char *subject, const char *queue,
                                const struct pr_bus_apart *apart, pr_rpc_fn *fn, void *ctx,
                                struct pr_err *err)
{
    struct pr_rpc_server as = { .fn = fn, .ctx = ctx };
    (void)snprintf(as.queue, sizeof as.queue, "%s", queue);
    return serve(bus, subject, &as, apart, err);
}

enum pr_code pr_bus_serve(struct pr_bus *bus, const char *subject, const char *queue, pr_rpc_fn *fn,
                          void *ctx, struct pr_err *err)
{
    return pr_bus_serve_apart(bus, subject, queue, NULL, fn, ctx, err);
}

enum pr_code pr_bus_serve_later(struct pr_bus *bus, const char *subject, pr_later_fn *fn, void *ctx,
                                struct pr_err *err)
{
    const struct pr_rpc_server as = { .later = fn, .ctx = ctx };
    return serve(bus, subject, &as, NULL, err);
}
