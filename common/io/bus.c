#include "bus_private.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PING_MS = 10000, /* two unanswered: the server is gone */
    RECONNECT_MS = 250,
    RECONNECT_JITTER_MS = 250,
    CLOSE_WAIT_MS = 5000,
    MAX_URLS = 16
};

/* --- words --------------------------------------------------------------- */

static enum pr_code code_of(natsStatus s, int js_error)
{
    switch (js_error) { /* JetStream API error codes, server's errors.json */
    case 0:
        break;
    case 10059: /* stream not found */
    case 10014: /* consumer not found */
        return PR_ENOTFOUND;
    case 10008: /* JetStream system temporarily unavailable */
    case 10023: /* insufficient resources */
    case 10039: /* JetStream not enabled for account */
    case 10076: /* JetStream not enabled */
        return PR_EUNAVAIL;
    case 10047: /* insufficient storage */
    case 10077: /* maximum messages, bytes or size exceeded */
        return PR_EFULL;
    default:
        return PR_EINVAL;
    }
    switch (s) {
    case NATS_OK:
        return PR_OK;
    case NATS_TIMEOUT:
        return PR_ETIMEOUT;
    case NATS_NOT_FOUND:
        return PR_ENOTFOUND;
    case NATS_NOT_PERMITTED:
    case NATS_CONNECTION_AUTH_FAILED:
        return PR_EDENIED;
    case NATS_NO_MEMORY:
        return PR_ENOMEM;
    case NATS_INVALID_SUBJECT:
    case NATS_INVALID_ARG:
    case NATS_INVALID_QUEUE_NAME:
    case NATS_ADDRESS_MISSING:
    case NATS_MAX_PAYLOAD:
        return PR_EINVAL;
    default:
        return PR_EUNAVAIL;
    }
}

/* libnats puts "(file.c:123): " before its words. */
static const char *plain(const char *text)
{
    const char *end = text[0] == '(' ? strstr(text, "): ") : NULL;
    return end == NULL ? text : end + 3;
}

enum pr_code pr_bus_fail(struct pr_err *err, natsStatus s, int js_error, const char *what)
{
    natsStatus last = NATS_OK;
    const char *said = nats_GetLastError(&last);
    if (s == NATS_NO_RESPONDERS)
        said = "nobody answers (no such stream, or service not running)";
    else if (s == NATS_TIMEOUT)
        said = "no answer in time";
    else if (said == NULL || last != s || said[0] == '\0')
        said = natsStatus_GetText(s);
    return pr_fail(err, code_of(s, js_error), "NATS: %s: %s", what, plain(said));
}

const char *pr_bus_header(natsMsg *msg, const char *key)
{
    const char *value = NULL;
    return natsMsgHeader_Get(msg, key, &value) == NATS_OK && value != NULL ? value : "";
}

void pr_bus_deadline(struct timespec *at, int ms)
{
    (void)clock_gettime(CLOCK_MONOTONIC, at);
    at->tv_sec += ms / 1000;
    at->tv_nsec += (long)(ms % 1000) * 1000000;
    if (at->tv_nsec >= 1000000000) {
        at->tv_sec++;
        at->tv_nsec -= 1000000000;
    }
}

struct pr_link *pr_bus_link(struct pr_bus *bus)
{
    pthread_mutex_lock(&bus->mu);
    struct pr_link *link = bus->link;
    pthread_mutex_unlock(&bus->mu);
    return link != NULL && natsConnection_Status(link->nc) == NATS_CONN_STATUS_CONNECTED ? link
                                                                                         : NULL;
}

/* --- what libnats tells us, on its own thread ---------------------------- */

static void remember(struct pr_bus *bus, const char *text)
{
    (void)snprintf(bus->stats.last_error, sizeof bus->stats.last_error, "%s", plain(text));
}

static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *closure)
{
    struct pr_bus *bus = closure;
    const char *text = NULL;
    (void)sub;
    if (natsConnection_GetLastError(nc, &text) == NATS_OK || text == NULL || text[0] == '\0')
        text = text == NULL || text[0] == '\0' ? natsStatus_GetText(s) : text;

    pthread_mutex_lock(&bus->mu);
    if (s == NATS_NOT_PERMITTED)
        bus->stats.denied++;
    remember(bus, text);
    pthread_mutex_unlock(&bus->mu);
    pr_error(PR_EV(s == NATS_NOT_PERMITTED ? "bus.denied" : "bus.error"), PR_S("error", text));
}

/* With bus->mu. What a connection says that is no longer, or not yet, ours is not heard. */
static void note_link(struct pr_bus *bus, const natsConnection *nc, bool up)
{
    if (bus->link != NULL && bus->link->nc == nc)
        bus->connected = up;
}

static void on_disconnected(natsConnection *nc, void *closure)
{
    struct pr_bus *bus = closure;
    const char *text = NULL;
    (void)natsConnection_GetLastError(nc, &text);
    pthread_mutex_lock(&bus->mu);
    bool wanted = bus->closing;
    note_link(bus, nc, false);
    if (!wanted)
        remember(bus, text == NULL || text[0] == '\0' ? "disconnected" : text);
    pthread_mutex_unlock(&bus->mu);
    if (!wanted)
        pr_warn(PR_EV("bus.disconnected"), PR_S("reason", text == NULL ? "" : text));
}

/* An ephemeral consumer may not have outlived the server: look soon. */
static void on_reconnected(natsConnection *nc, void *closure)
{
    struct pr_bus *bus = closure;
    pthread_mutex_lock(&bus->mu);
    note_link(bus, nc, true);
    bus->stats.reconnects++;
    bus->recheck = true;
    pthread_cond_broadcast(&bus->changed);
    pthread_mutex_unlock(&bus->mu);
    pr_info(PR_EV("bus.connected"));
}

static void on_closed(natsConnection *nc, void *closure)
{
    struct pr_bus *bus = closure;
    const char *text = NULL;
    (void)natsConnection_GetLastError(nc, &text);
    pthread_mutex_lock(&bus->mu);
    bool wanted = bus->closing;
    if (!wanted && text != NULL && text[0] != '\0')
        remember(bus, text);
    if (!wanted)
        pr_error(PR_EV("bus.closed"), PR_S("reason", text == NULL ? "" : text));
    note_link(bus, nc, false);
    if (bus->link != NULL && bus->link->nc == nc)
        bus->link_closed = true;
    pthread_cond_broadcast(&bus->changed);
    pthread_mutex_unlock(&bus->mu);
}

static void on_sub_complete(void *closure)
{
    struct pr_bus *bus = closure;
    pthread_mutex_lock(&bus->mu);
    bus->live_subs--;
    pthread_cond_broadcast(&bus->changed);
    pthread_mutex_unlock(&bus->mu);
}

natsStatus pr_bus_track(struct pr_bus *bus, natsSubscription *sub)
{
    pthread_mutex_lock(&bus->mu);
    bus->live_subs++;
    pthread_mutex_unlock(&bus->mu);
    natsStatus s = natsSubscription_SetOnCompleteCB(sub, on_sub_complete, bus);
    if (s != NATS_OK)
        on_sub_complete(bus);
    return s;
}

void pr_bus_unsubscribe(natsSubscription **sub)
{
    if (*sub == NULL)
        return;
    (void)natsSubscription_Unsubscribe(*sub);
    natsSubscription_Destroy(*sub);
    *sub = NULL;
}

/* --- open and close ------------------------------------------------------ */

/* "a,b" -> servers of opts. */
static natsStatus set_servers(natsOptions *opts, const char *urls)
{
    char *copy = strdup(urls), *rest = copy;
    const char *url[MAX_URLS];
    int n = 0;
    if (copy == NULL)
        return NATS_NO_MEMORY;
    for (char *one; n < MAX_URLS && (one = strsep(&rest, ",")) != NULL;)
        if (one[0] != '\0')
            url[n++] = one;
    natsStatus s = n == 0 ? NATS_ADDRESS_MISSING : natsOptions_SetServers(opts, url, n);
    free(copy);
    return s;
}

/* Each user has reply subjects of its own, so that no other may read them. */
static void name_inbox(char out[96], const char *user)
{
    bool named = user != NULL && user[0] != '\0';
    size_t n = (size_t)snprintf(out, 96, "_INBOX%s%.64s", named ? "_" : "", named ? user : "");
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)out[i]) && out[i] != '-')
            out[i] = '_';
}

static natsStatus set_options(struct pr_bus *bus, const struct pr_bus_options *o)
{
    natsStatus s = natsOptions_Create(&bus->opts);
    natsOptions *n = bus->opts;
#define ALSO(call) s = s == NATS_OK ? (call) : s
    ALSO(set_servers(n, o->url));
    if (strstr(o->url, "tls://") != NULL) /* libnats takes the word for the server's wish */
        ALSO(natsOptions_SetSecure(n, true));
    if (o->user != NULL && o->user[0] != '\0')
        ALSO(natsOptions_SetUserInfo(n, o->user, o->password == NULL ? "" : o->password));
    ALSO(natsOptions_SetName(n, o->name));
    ALSO(natsOptions_SetTimeout(n, o->connect_timeout_ms > 0 ? o->connect_timeout_ms : 2000));
    ALSO(natsOptions_SetMaxReconnect(n, -1));
    ALSO(natsOptions_SetReconnectWait(n, RECONNECT_MS));
    ALSO(natsOptions_SetReconnectJitter(n, RECONNECT_JITTER_MS, RECONNECT_JITTER_MS));
    ALSO(natsOptions_SetPingInterval(n, PING_MS));
    ALSO(natsOptions_SetMaxPingsOut(n, 2));
    ALSO(natsOptions_SetSendAsap(n, true));
    ALSO(natsOptions_SetFailRequestsOnDisconnect(n, true));
    ALSO(natsOptions_SetCustomInboxPrefix(n, bus->inbox));
    ALSO(natsOptions_SetErrorHandler(n, on_error, bus));
    ALSO(natsOptions_SetDisconnectedCB(n, on_disconnected, bus));
    ALSO(natsOptions_SetReconnectedCB(n, on_reconnected, bus));
    ALSO(natsOptions_SetClosedCB(n, on_closed, bus));
#undef ALSO
    return s;
}

static enum pr_code trust(struct pr_bus *bus, const char *ca_path, struct pr_err *err)
{
    if (ca_path == NULL || ca_path[0] == '\0')
        return PR_OK;
    const natsStatus s = natsOptions_LoadCATrustedCertificates(bus->opts, ca_path);
    return s == NATS_OK ? PR_OK
                        : pr_fail(err, PR_EINVAL, "NATS: certificates to trust: %s: %s", ca_path,
                                  nats_GetLastError(NULL));
}

static void init_locks(struct pr_bus *bus)
{
    pthread_mutex_init(&bus->mu, NULL);
    pr_cond_init(&bus->changed);
}

static void free_link(struct pr_link *link)
{
    jsCtx_Destroy(link->js);
    natsConnection_Destroy(link->nc);
    free(link);
}

static void release(struct pr_bus *bus)
{
    pr_bus_free_consumers(bus);
    for (size_t i = 0; i < bus->servers; i++)
        pr_bus_free_server(bus->server[i]);
    for (struct pr_link *link = bus->link, *older; link != NULL; link = older) {
        older = link->older;
        free_link(link);
    }
    natsOptions_Destroy(bus->opts);
    pthread_cond_destroy(&bus->changed);
    pthread_mutex_destroy(&bus->mu);
    free(bus);
}

/* Waits until *done is met or time is up; bus->mu is held. */
#define AWAIT(bus, done)                                                                           \
    do {                                                                                           \
        struct timespec until_;                                                                    \
        pr_bus_deadline(&until_, CLOSE_WAIT_MS);                                                   \
        while (!(done) && pthread_cond_timedwait(&(bus)->changed, &(bus)->mu, &until_) == 0)       \
            continue;                                                                              \
    } while (0)

/* Ends the connection; true when no callback of libnats can come any more. */
static bool disconnect(struct pr_bus *bus)
{
    if (bus->link != NULL) {
        (void)natsConnection_FlushTimeout(bus->link->nc, 2000); /* acks that are on their way */
        natsConnection_Close(bus->link->nc);
    }
    pthread_mutex_lock(&bus->mu);
    AWAIT(bus, (bus->link == NULL || bus->link_closed) && bus->live_subs == 0);
    bool quiet = (bus->link == NULL || bus->link_closed) && bus->live_subs == 0;
    pthread_mutex_unlock(&bus->mu);
    return quiet;
}

/* libnats reconnects by itself, but gives up on a connection that fails to
 * authenticate twice, and on one that it never had: so the keeper dials too. */
natsStatus pr_bus_dial(struct pr_bus *bus)
{
    struct pr_link *link = calloc(1, sizeof *link);
    jsOptions jo;
    if (link == NULL)
        return NATS_NO_MEMORY;
    (void)jsOptions_Init(&jo);
    jo.Wait = PR_BUS_API_WAIT_MS;
    natsStatus s = natsConnection_Connect(&link->nc, bus->opts);
    const char *text = s == NATS_OK ? NULL : nats_GetLastError(NULL);
    if (s == NATS_OK)
        s = natsConnection_JetStream(&link->js, link->nc, &jo);

    pthread_mutex_lock(&bus->mu);
    if (s == NATS_OK) {
        bus->stats.reconnects += bus->link != NULL;
        link->older = bus->link; /* kept: another thread may be using it */
        bus->link = link;
        bus->connected = true;
        bus->link_closed = natsConnection_IsClosed(link->nc);
        bus->recheck = true;
    } else {
        remember(bus, text == NULL || text[0] == '\0' ? natsStatus_GetText(s) : text);
    }
    pthread_mutex_unlock(&bus->mu);
    if (s == NATS_OK)
        pr_info(PR_EV("bus.connected"));
    else
        free_link(link);
    return s;
}

enum pr_code pr_bus_open(struct pr_bus **out, const struct pr_bus_options *o, struct pr_err *err)
{
    struct pr_bus *bus = calloc(1, sizeof *bus);
    if (bus == NULL)
        return pr_fail(err, PR_ENOMEM, "NATS: no memory");
    init_locks(bus);
    name_inbox(bus->inbox, o->user);

    char what[128];
    (void)snprintf(what, sizeof what, "connect to %.100s", o->url == NULL ? "(no URL)" : o->url);
    natsStatus s = o->url == NULL ? NATS_ADDRESS_MISSING : set_options(bus, o);
    enum pr_code rc = s == NATS_OK ? trust(bus, o->ca_path, err) : PR_OK;
    if (rc != PR_OK) {
        release(bus);
        return rc;
    }
    if (s == NATS_OK) {
        s = pr_bus_dial(bus);
        if (s != NATS_OK && s != NATS_INVALID_ARG && s != NATS_ADDRESS_MISSING &&
            s != NATS_NO_MEMORY) {
            pr_warn(PR_EV("bus.connecting"), PR_S("url", o->url),
                    PR_S("error", bus->stats.last_error));
            s = NATS_OK; /* the keeper goes on trying */
        }
    }
    if (s != NATS_OK) {
        rc = pr_bus_fail(err, s, 0, what);
        release(bus);
        return rc;
    }
    int failed = pthread_create(&bus->keeper, NULL, pr_bus_keeper, bus);
    if (failed == 0) {
        *out = bus;
        return PR_OK;
    }
    bus->closing = true;
    if (disconnect(bus))
        release(bus);
    return pr_fail(err, PR_ENOMEM, "NATS: thread: %s", strerror(failed));
}

void pr_bus_close(struct pr_bus *bus)
{
    if (bus == NULL)
        return;
    pthread_mutex_lock(&bus->mu);
    bus->closing = true;
    pthread_cond_broadcast(&bus->changed);
    pthread_mutex_unlock(&bus->mu);

    pthread_join(bus->keeper, NULL);
    for (size_t i = 0; i < bus->servers; i++)
        pr_bus_unsubscribe(&bus->server[i]->sub);
    pr_bus_stop_servers(bus);
    pr_bus_stop_consumers(bus); /* workers finish what they have begun */
    pr_bus_forget_replies(bus);
    if (disconnect(bus))
        release(bus);
    else /* libnats may yet call back: better leaked than used after free */
        pr_error(PR_EV("bus.close_timeout"));
}

/* --- health -------------------------------------------------------------- */

void pr_bus_pause(struct pr_bus *bus, bool paused)
{
    pthread_mutex_lock(&bus->mu);
    bool changed = bus->paused != paused;
    bus->paused = paused;
    for (size_t i = 0; i < bus->consumers; i++)
        pthread_cond_broadcast(&bus->consumer[i]->work);
    pthread_cond_broadcast(&bus->changed);
    pthread_mutex_unlock(&bus->mu);
    if (changed)
        pr_info(PR_EV(paused ? "bus.paused" : "bus.resumed"));
}

void pr_bus_stats(struct pr_bus *bus, struct pr_bus_stats *out)
{
    pthread_mutex_lock(&bus->mu);
    *out = bus->stats;
    out->connected = bus->connected;
    pthread_mutex_unlock(&bus->mu);
}

enum pr_code pr_bus_ready(struct pr_bus *bus, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    pthread_mutex_lock(&bus->mu);
    if (bus->stats.denied > 0)
        rc = pr_fail(err, PR_EUNAVAIL, "NATS: permission refused: %s", bus->stats.last_error);
    else if (!bus->connected)
        rc = pr_fail(err, PR_EUNAVAIL, "NATS: not connected%s%s",
                     bus->stats.last_error[0] == '\0' ? "" : ": ", bus->stats.last_error);
    for (size_t i = 0; rc == PR_OK && i < bus->consumers; i++) {
        const struct pr_consumer *c = bus->consumer[i];
        if (c->gone)
            rc = pr_fail(err, PR_EUNAVAIL, "NATS: consumer %s of stream %s does not exist", c->name,
                         c->stream);
        else if (c->sub == NULL && !(bus->paused && c->durable))
            rc = pr_fail(err, PR_EUNAVAIL, "NATS: not subscribed to %s %s yet", c->stream, c->name);
    }
    pthread_mutex_unlock(&bus->mu);
    return rc;
}
