/* Requests that are answered later, from any thread: perhaps when the bus is closed already. */
#include "bus_private.h"
#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>

struct pr_reply {
    struct pr_bus *bus; /* NULL: closed */
    struct pr_reply *next, **at;
    char to[];
};

/* One for all of them: it outlives the bus that a reply may have outlived. */
static pthread_mutex_t replies = PTHREAD_MUTEX_INITIALIZER;

struct pr_reply *pr_bus_reply_new(struct pr_bus *bus, const char *to)
{
    const size_t n = to == NULL ? 0 : strlen(to);
    struct pr_reply *r = n == 0 ? NULL : malloc(sizeof *r + n + 1);
    if (r == NULL)
        return NULL;
    r->bus = bus;
    memcpy(r->to, to, n + 1);
    pthread_mutex_lock(&replies);
    r->next = bus->replies;
    r->at = &bus->replies;
    if (r->next != NULL)
        r->next->at = &r->next;
    bus->replies = r;
    pthread_mutex_unlock(&replies);
    return r;
}

void pr_bus_forget_replies(struct pr_bus *bus)
{
    pthread_mutex_lock(&replies);
    for (struct pr_reply *r = bus->replies; r != NULL; r = r->next)
        r->bus = NULL;
    bus->replies = NULL;
    pthread_mutex_unlock(&replies);
}

static void send(const struct pr_reply *r, enum pr_code rc, const char *text, const void *data,
                 size_t n)
{
    const struct pr_link *link = pr_bus_link(r->bus);
    const natsStatus s = link == NULL ? NATS_CONNECTION_DISCONNECTED
                                      : pr_bus_reply_to(link->nc, r->to, rc, text, data, n);
    if (s != NATS_OK)
        pr_warn(PR_EV("bus.reply_failed"), PR_S("error", natsStatus_GetText(s)));
}

static void end(struct pr_reply *r, bool answered, enum pr_code rc, const char *text,
                const void *data, size_t n)
{
    pthread_mutex_lock(&replies);
    if (r->bus != NULL) {
        if (answered)
            send(r, rc, text, data, n);
        *r->at = r->next;
        if (r->next != NULL)
            r->next->at = r->at;
    }
    pthread_mutex_unlock(&replies);
    free(r);
}

void pr_reply_send(struct pr_reply *r, const void *data, size_t n)
{
    end(r, true, PR_OK, "", data, n);
}

void pr_reply_fail(struct pr_reply *r, enum pr_code rc, const char *text)
{
    end(r, true, rc, text, NULL, 0);
}

void pr_reply_drop(struct pr_reply *r)
{
    end(r, false, PR_OK, "", NULL, 0);
}
