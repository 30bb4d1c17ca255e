/* Shared by the files of the bus; nobody else includes it. */
#ifndef PRISM_IO_BUS_PRIVATE_H
#define PRISM_IO_BUS_PRIVATE_H

#include "bus_rules.h"
#include "prism/io/bus.h"

#include <nats/nats.h>
#include <pthread.h>

enum { PR_BUS_WAITING = 64 }; /* requests of a server that has a thread of its own */
enum { PR_BUS_CONSUMERS = 16, PR_BUS_SERVERS = 16, PR_BUS_WORKERS = 16, PR_BUS_API_WAIT_MS = 3000 };

struct pr_job { /* a message in hand: queued, or with a worker */
    struct pr_job *next;
    natsMsg *msg;
    char *reply; /* where the newest delivery wants its answer */
    struct pr_ack ack;
    bool running;
};

struct pr_consumer {
    struct pr_bus *bus;
    bool durable; /* else an ephemeral watch */
    char stream[PR_BUS_TOKEN], name[PR_BUS_TOKEN], filter[128];
    pr_msg_fn *fn;
    void *ctx;
    natsSubscription *sub; /* keeper's (and, before it is in bus->consumer, the opener's) */
    bool gone;             /* the server does not know it (any more) */
    uint64_t last_seq;     /* newest stream sequence seen: a new watch goes on behind it */
    int unanswered;        /* keeper's: questions in a row where it is */
    int64_t bind_at_us;    /* keeper's: not before this again; monotonic */
    struct pr_job *hand;   /* oldest first */
    size_t in_hand, waiting;
    pthread_cond_t work, room;
    pthread_t worker[PR_BUS_WORKERS];
    int workers;
    bool stopped;
};

struct pr_rpc_waiting {
    natsConnection *nc;
    natsMsg *msg;
    int64_t since_us;
};

struct pr_rpc_server {
    struct pr_bus *bus;
    char subject[128], queue[PR_BUS_TOKEN];
    pr_rpc_fn *fn;
    pr_later_fn *later; /* in place of fn; then there is no queue */
    void *ctx;
    natsSubscription *sub; /* keeper's (and, before it is in bus->server, the opener's) */

    struct pr_bus_apart apart; /* waiting 0: on libnats's thread */
    pthread_mutex_t mu;        /* guards what follows */
    pthread_cond_t work;
    struct pr_rpc_waiting wait[PR_BUS_WAITING]; /* [waits], oldest first */
    size_t waits;
    bool stopped, runs;
    pthread_t worker;
};

struct pr_link { /* one connection; older ones, closed, are kept until the bus closes */
    natsConnection *nc;
    jsCtx *js;
    struct pr_link *older;
};

struct pr_bus {
    natsOptions *opts;
    char inbox[96]; /* prefix of own reply subjects, no trailing dot */

    pthread_mutex_t mu; /* guards what follows and the consumers' queues */
    pthread_cond_t changed;
    struct pr_link *link; /* newest; NULL until the first connect */
    struct pr_bus_stats stats;
    bool closing, link_closed, paused, recheck;
    bool connected; /* as last heard: libnats does not tell while it dials */
    int live_subs;  /* whose last callback has not returned */
    struct pr_consumer *consumer[PR_BUS_CONSUMERS];
    size_t consumers;
    struct pr_rpc_server *server[PR_BUS_SERVERS];
    size_t servers;
    struct pr_reply *replies; /* bus_later.c's */
    pthread_t keeper;
};

/* Code and words for what libnats said; what: "publish prism.evt.x". */
enum pr_code pr_bus_fail(struct pr_err *err, natsStatus s, int js_error, const char *what);
/* The connection, when it is up; else NULL. Valid until the bus closes. */
struct pr_link *pr_bus_link(struct pr_bus *bus);
natsStatus pr_bus_dial(struct pr_bus *bus);
void pr_bus_serve_again(struct pr_bus *bus);  /* on a new link */
void pr_bus_stop_servers(struct pr_bus *bus); /* their threads; after they are unsubscribed */
void pr_bus_free_server(struct pr_rpc_server *server);
natsStatus pr_bus_make_msg(natsMsg **msg, const char *subject, const void *data, size_t n,
                           const char *traceparent);
/* Takes part in bus->live_subs; closes the subscription unless that works. */
natsStatus pr_bus_track(struct pr_bus *bus, natsSubscription *sub);
void pr_bus_unsubscribe(natsSubscription **sub);
/* Publishes msg (headers and all; not freed) and waits for the stream's ack. */
enum pr_code pr_bus_publish_msg(struct pr_bus *bus, natsMsg *msg, struct pr_err *err);
/* NULL: nobody waits for one, or no memory. */
struct pr_reply *pr_bus_reply_new(struct pr_bus *bus, const char *to);
void pr_bus_forget_replies(struct pr_bus *bus);
natsStatus pr_bus_reply_to(natsConnection *nc, const char *to, enum pr_code rc, const char *text,
                           const void *data, size_t n);
/* "" when absent; borrowed from msg. */
const char *pr_bus_header(natsMsg *msg, const char *key);
void pr_bus_deadline(struct timespec *at, int ms); /* for timed waits */
void *pr_bus_keeper(void *bus);
enum pr_code pr_bus_bind(struct pr_consumer *c, struct pr_err *err);
void pr_bus_unbind(struct pr_consumer *c);
void pr_bus_on_message(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure);
void pr_bus_stop_consumers(struct pr_bus *bus);
void pr_bus_free_consumers(struct pr_bus *bus);

#endif
