/* Publish, request, serve. */
#include "bus_private.h"
#include "prism/io/log.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUBLISH_WAIT_MS = 5000 };

enum pr_code pr_bus_publish_msg(struct pr_bus *bus, natsMsg *msg, struct pr_err *err)
{
    char what[160];
    (void)snprintf(what, sizeof what, "publish %.120s", natsMsg_GetSubject(msg));
    struct pr_link *link = pr_bus_link(bus);
    if (link == NULL)
        return pr_fail(err, PR_EUNAVAIL, "NATS: %s: not connected", what);

    jsPubOptions po;
    jsErrCode js_error = 0;
    (void)jsPubOptions_Init(&po);
    po.MaxWait = PUBLISH_WAIT_MS;
    natsStatus s = js_PublishMsg(NULL, link->js, msg, &po, &js_error);
    if (s != NATS_OK)
        return pr_bus_fail(err, s, (int)js_error, what);
    pthread_mutex_lock(&bus->mu);
    bus->stats.published++;
    pthread_mutex_unlock(&bus->mu);
    return PR_OK;
}

static natsStatus make_msg(natsMsg **msg, const char *subject, const void *data, size_t n,
                           const char *traceparent)
{
    if (n > INT_MAX)
        return NATS_MAX_PAYLOAD;
    natsStatus s = natsMsg_Create(msg, subject, NULL, n == 0 ? "" : data, (int)n);
    if (s == NATS_OK && traceparent != NULL && traceparent[0] != '\0')
        s = natsMsgHeader_Set(*msg, "traceparent", traceparent);
    return s;
}

enum pr_code pr_bus_publish(struct pr_bus *bus, const char *subject, const void *data, size_t n,
                            const char *msg_id, const char *traceparent, struct pr_err *err)
{
    natsMsg *msg = NULL;
    natsStatus s = make_msg(&msg, subject, data, n, traceparent);
    if (s == NATS_OK && msg_id != NULL)
        s = natsMsgHeader_Set(msg, "Nats-Msg-Id", msg_id);
    enum pr_code rc =
        s == NATS_OK ? pr_bus_publish_msg(bus, msg, err) : pr_bus_fail(err, s, 0, subject);
    natsMsg_Destroy(msg);
    return rc;
}

enum pr_code pr_bus_tell(struct pr_bus *bus, const char *subject, const void *data, size_t n,
                         struct pr_err *err)
{
    char what[160];
    (void)snprintf(what, sizeof what, "publish %.120s", subject);
    struct pr_link *link = pr_bus_link(bus);
    if (link == NULL || n > INT_MAX)
        return pr_fail(err, PR_EUNAVAIL, "NATS: %s: not connected", what);
    const natsStatus s = natsConnection_Publish(link->nc, subject, data, (int)n);
    return s == NATS_OK ? PR_OK : pr_bus_fail(err, s, 0, what);
}

/* The answer's payload, or the error that its headers carry. */
static enum pr_code take_reply(natsMsg *msg, const char *subject, void **reply, size_t *len,
                               struct pr_err *err)
{
    const char *code = pr_bus_header(msg, "Prism-Code");
    if (code[0] != '\0')
        return pr_fail(err, pr_code_of_name(code), "%s", pr_bus_header(msg, "Prism-Error"));

    size_t n = (size_t)natsMsg_GetDataLength(msg);
    char *copy = malloc(n + 1);
    if (copy == NULL)
        return pr_fail(err, PR_ENOMEM, "NATS: request %s: no memory for %zu bytes", subject, n);
    if (n > 0)
        memcpy(copy, natsMsg_GetData(msg), n);
    copy[n] = '\0';
    *reply = copy;
    *len = n;
    return PR_OK;
}

enum pr_code pr_bus_request(struct pr_bus *bus, const char *subject, const void *data, size_t n,
                            int timeout_ms, void **reply, size_t *reply_len, struct pr_err *err)
{
    char what[160];
    (void)snprintf(what, sizeof what, "request %.120s", subject);
    struct pr_link *link = pr_bus_link(bus);
    if (link == NULL)
        return pr_fail(err, PR_EUNAVAIL, "NATS: %s: not connected", what);

    natsMsg *msg = NULL, *answer = NULL;
    natsStatus s = make_msg(&msg, subject, data, n, pr_log_trace_get());
    if (s == NATS_OK)
        s = natsConnection_RequestMsg(&answer, link->nc, msg, timeout_ms);
    enum pr_code rc = s == NATS_OK ? take_reply(answer, subject, reply, reply_len, err)
                                   : pr_bus_fail(err, s, 0, what);
    natsMsg_Destroy(answer);
    natsMsg_Destroy(msg);
    return rc;
}

static natsStatus reply_to(natsConnection *nc, const char *to, enum pr_code rc, const char *text,
                           const void *data, size_t n)
{
    natsMsg *msg = NULL;
    natsStatus s = make_msg(&msg, to, data, rc == PR_OK ? n : 0, NULL);
    if (s == NATS_OK && rc != PR_OK)
        s = natsMsgHeader_Set(msg, "Prism-Code", pr_code_name(rc));
    if (s == NATS_OK && rc != PR_OK)
        s = natsMsgHeader_Set(msg, "Prism-Error", text);
    if (s == NATS_OK)
        s = natsConnection_PublishMsg(nc, msg);
    natsMsg_Destroy(msg);
    return s;
}

static void on_request(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    struct pr_rpc_server *server = closure;
    struct pr_msg m = { .subject = natsMsg_GetSubject(msg),
                        .id = pr_bus_header(msg, "Nats-Msg-Id"),
                        .traceparent = pr_bus_header(msg, "traceparent"),
                        .data = natsMsg_GetData(msg),
                        .len = (size_t)natsMsg_GetDataLength(msg) };
    struct pr_err err = { 0 };
    void *reply = NULL;
    size_t len = 0;
    (void)sub;

    pr_log_trace(m.traceparent);
    enum pr_code rc = server->fn(server->ctx, &m, &reply, &len, &err);
    const char *to = natsMsg_GetReply(msg);
    natsStatus s =
        to == NULL || to[0] == '\0' ? NATS_OK : reply_to(nc, to, rc, err.text, reply, len);
    if (s != NATS_OK)
        pr_warn(PR_EV("bus.reply_failed"), PR_S("subject", m.subject),
                PR_S("error", natsStatus_GetText(s)));
    pr_log_trace(NULL);
    free(reply);
    natsMsg_Destroy(msg);
}

/* On the link that is now; also after the keeper had to dial again. */
static natsStatus subscribe_server(struct pr_bus *bus, struct pr_rpc_server *server)
{
    struct pr_link *link = pr_bus_link(bus);
    pr_bus_unsubscribe(&server->sub);
    if (link == NULL)
        return NATS_CONNECTION_DISCONNECTED;
    natsStatus s = natsConnection_QueueSubscribe(&server->sub, link->nc, server->subject,
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

enum pr_code pr_bus_serve(struct pr_bus *bus, const char *subject, const char *queue, pr_rpc_fn *fn,
                          void *ctx, struct pr_err *err)
{
    struct pr_rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return pr_fail(err, PR_ENOMEM, "NATS: serve %s: no memory", subject);
    *server = (struct pr_rpc_server){ .bus = bus, .fn = fn, .ctx = ctx };
    (void)snprintf(server->subject, sizeof server->subject, "%s", subject);
    (void)snprintf(server->queue, sizeof server->queue, "%s", queue);

    natsStatus s = subscribe_server(bus, server);
    pthread_mutex_lock(&bus->mu);
    bool full = bus->servers == PR_BUS_SERVERS;
    if (s == NATS_OK && !full)
        bus->server[bus->servers++] = server; /* freed with the bus, after the last callback */
    pthread_mutex_unlock(&bus->mu);
    if (s != NATS_OK) {
        free(server);
        return pr_bus_fail(err, s, 0, subject);
    }
    if (full) { /* a call may be under way: the bytes are not worth the wait */
        pr_bus_unsubscribe(&server->sub);
        return pr_fail(err, PR_EFULL, "NATS: serve %s: at most %d", subject, PR_BUS_SERVERS);
    }
    return PR_OK;
}
