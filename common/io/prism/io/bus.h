/* NATS with JetStream. JetStream acknowledges before fsync and redelivers, so
 * it carries work but is never the truth (see outbox.h). Streams and durable
 * consumers are made by `prism-admin bus`, not by services: a service's NATS
 * user may only use its own. */
#ifndef PRISM_IO_BUS_H
#define PRISM_IO_BUS_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pr_bus; /* thread-safe */

struct pr_bus_options {
    /* nats://host:port[,nats://...]. One tls://: no connection without TLS, to any of them. (A
     * server that wants TLS has it with nats://, too; who can answer in its place does not have to
     * want it.) */
    const char *url;
    const char *ca_path; /* PEM, trusted beside the system's; NULL or "": none */
    const char *user, *password;
    const char *name;       /* connection name: the service */
    int connect_timeout_ms; /* 0: 2000 */
};

/* A message as a handler sees it; borrowed until the handler returns. */
struct pr_msg {
    const char *subject, *id /* Nats-Msg-Id or "<stream>:<seq>" */, *traceparent;
    const void *data;
    size_t len;
    uint64_t deliveries; /* 1 on the first; 0 for core messages */
};

/* PR_OK: ack. Retryable codes: nak with growing delay (redelivered, 5 times at
 * most). PR_ECANCELED, PR_EFENCED: given back, without a limit (we stop, or
 * another replica leads). PR_EDATA, PR_EINVAL and others: copied to PRISM_DLQ
 * (prism.dlq.<consumer>, with subject, reason and id as headers), then
 * terminated; counted in pr_bus_stats.dead. */
typedef enum pr_code pr_msg_fn(void *ctx, const struct pr_msg *msg, struct pr_err *err);
/* Fills *reply (malloc, freed by the bus). An error is sent back as headers
 * Prism-Code and Prism-Error and becomes the caller's err. */
typedef enum pr_code pr_rpc_fn(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                               struct pr_err *err);

/* PR_OK even while no server answers or lets us in: it goes on trying for ever,
 * and pr_bus_ready says what is wrong. PR_EINVAL: no such URL. */
PR_CHECKED enum pr_code pr_bus_open(struct pr_bus **bus, const struct pr_bus_options *o,
                                    struct pr_err *err);
void pr_bus_close(struct pr_bus *bus); /* drains; NULL is fine */

/* Synchronous JetStream publish, acknowledged by the server. */
PR_CHECKED enum pr_code pr_bus_publish(struct pr_bus *bus, const char *subject, const void *data,
                                       size_t n, const char *msg_id, const char *traceparent,
                                       struct pr_err *err);
/* For news that may be lost: handed to the connection, waits for no answer. PR_EUNAVAIL: there is
 * none now. A stream of that subject keeps it all the same. */
PR_CHECKED enum pr_code pr_bus_tell(struct pr_bus *bus, const char *subject, const void *data,
                                    size_t n, struct pr_err *err);
PR_CHECKED enum pr_code pr_bus_request(struct pr_bus *bus, const char *subject, const void *data,
                                       size_t n, int timeout_ms, void **reply, size_t *reply_len,
                                       struct pr_err *err); /* *reply: malloc, caller frees */

/* Binds to durable push consumer `durable` of `stream` (queue group = durable).
 * Messages go through a bounded queue to `workers` threads that call fn; the
 * ack wait is extended while fn runs. */
PR_CHECKED enum pr_code pr_bus_consume(struct pr_bus *bus, const char *stream, const char *durable,
                                       int workers, pr_msg_fn *fn, void *ctx, struct pr_err *err);
/* Own ephemeral consumer, new events only; fn runs on one thread; no DLQ. */
PR_CHECKED enum pr_code pr_bus_watch(struct pr_bus *bus, const char *stream, const char *filter,
                                     pr_msg_fn *fn, void *ctx, struct pr_err *err);
PR_CHECKED enum pr_code pr_bus_serve(struct pr_bus *bus, const char *subject, const char *queue,
                                     pr_rpc_fn *fn, void *ctx, struct pr_err *err);
/* The same by a thread of its own: what takes long holds up nothing else. Requests wait while one
 * is answered, waiting of them (1..64) at most: further ones are refused, PR_EFULL. One that has
 * waited for longer than patience_ms is not begun: who asked has gone. */
struct pr_bus_apart {
    int waiting, patience_ms;
};
PR_CHECKED enum pr_code pr_bus_serve_apart(struct pr_bus *bus, const char *subject,
                                           const char *queue, const struct pr_bus_apart *apart,
                                           pr_rpc_fn *fn, void *ctx, struct pr_err *err);
/* Pauses (unsubscribes) and resumes all durable consumers: while a dependency
 * of theirs is down nothing is consumed, so nothing is dead-lettered. */
void pr_bus_pause(struct pr_bus *bus, bool paused);

/* The same for answers that take their time: fn must not wait, and owns `to`, which one of the
 * functions below ends, from any thread, also after the bus was closed (then nothing is sent).
 * Every replica that serves the subject gets each request: whoever has no answer drops it. */
struct pr_reply;
typedef void pr_later_fn(void *ctx, const struct pr_msg *msg, struct pr_reply *to);
PR_CHECKED enum pr_code pr_bus_serve_later(struct pr_bus *bus, const char *subject, pr_later_fn *fn,
                                           void *ctx, struct pr_err *err);
void pr_reply_send(struct pr_reply *to, const void *data, size_t n);
void pr_reply_fail(struct pr_reply *to, enum pr_code rc, const char *text);
void pr_reply_drop(struct pr_reply *to);

struct pr_bus_stats {
    bool connected;
    uint64_t published, consumed, dead, reconnects, denied; /* denied: refused by permissions */
    char last_error[160];
};
void pr_bus_stats(struct pr_bus *bus, struct pr_bus_stats *out);
/* PR_EUNAVAIL with the reason while disconnected or after a permission was refused. */
PR_CHECKED enum pr_code pr_bus_ready(struct pr_bus *bus, struct pr_err *err);

/* Administration (prism-admin bus): makes or updates the streams and durable
 * consumers of proto/subjects.def; running it again changes nothing. replicas: servers
 * that keep each stream, 1..5; 0: as many as it has, 1 of a new one. PR_EINVAL: NATS
 * has fewer servers. */
PR_CHECKED enum pr_code pr_bus_setup(struct pr_bus *bus, int replicas, struct pr_err *err);

#endif
