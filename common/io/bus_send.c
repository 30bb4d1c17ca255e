/* Publish and request. */
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

natsStatus pr_bus_make_msg(natsMsg **msg, const char *subject, const void *data, size_t n,
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
    natsStatus s = pr_bus_make_msg(&msg, subject, data, n, traceparent);
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
    natsStatus s = pr_bus_make_msg(&msg, subject, data, n, pr_log_trace_get());
    if (s == NATS_OK)
        s = natsConnection_RequestMsg(&answer, link->nc, msg, timeout_ms);
    enum pr_code rc = s == NATS_OK ? take_reply(answer, subject, reply, reply_len, err)
                                   : pr_bus_fail(err, s, 0, what);
    natsMsg_Destroy(answer);
    natsMsg_Destroy(msg);
    return rc;
}
