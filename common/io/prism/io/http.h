/* HTTP server on libmicrohttpd. A few threads hold all connections and never wait; what may wait
 * for PostgreSQL or a service is done by workers, while its connection rests. Limits on body,
 * header, URL and time. Source: docs/decisions/0002-loops-and-workers.md. */
#ifndef PRISM_IO_HTTP_H
#define PRISM_IO_HTTP_H

#include "prism/arena.h"
#include "prism/buf.h"
#include "prism/err.h"
#include "prism/io/tls.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pr_http;

struct pr_http_req {
    const char *method, *path; /* path decoded per segment into params */
    const char *param[4]; /* values of {name} and {name}:verb in the pattern, percent-decoded */
    const void *body;
    size_t body_len;
    struct pr_arena *arena; /* freed after the response */
    void *principal;        /* set by the authorise hook, NULL when open */
    bool may_wait;          /* by a worker; else by a loop, which nothing may hold up */
    void *conn_;            /* internal */
};
const char *pr_http_query(const struct pr_http_req *r, const char *name);  /* NULL: absent */
const char *pr_http_header(const struct pr_http_req *r, const char *name); /* NULL: absent */
/* Name of the i-th query argument, decoded; NULL: there are not so many. */
const char *pr_http_query_name(const struct pr_http_req *r, size_t i);
/* The i-th name of the client by the certificate that it has shown and that is good: "URI=...",
 * "DNS=...", "EMAIL=...", "CN=..."; NULL: there are not so many. */
const char *pr_http_client(const struct pr_http_req *r, size_t i);
int64_t pr_http_client_expires_ms(const struct pr_http_req *r); /* that certificate; 0: none */
/* The client's address, or that of the last proxy before us: bytes of it, 4 or 16; 0: unknown. */
size_t pr_http_address(const struct pr_http_req *r, unsigned char out[16]);
/* The connection's socket, to shut it down when the client does not take what it is sent; -1:
 * none. Valid until the stream's end is called. */
int pr_http_socket(const struct pr_http_req *r);

/* A body that is made while it is sent, for as long as the client listens. */
struct pr_http_stream {
    /* Appends what is to be sent next, by a worker; nothing, when there is nothing yet: it is asked
     * again when the bell rings, or within a quarter of a second. false: the body ends with what
     * was appended. */
    bool (*more)(void *ctx, struct pr_buf *out);
    /* Called once, after the last call of more, while the socket is still open. */
    void (*end)(void *ctx);
    void *ctx;
};

/* Rung when streams may have something to send; it may outlive the server that hears it. */
struct pr_http_bell {
    pthread_mutex_t lock;
    struct pr_http *server; /* from its opening to its closing */
};
void pr_http_bell_init(struct pr_http_bell *b);
void pr_http_bell_done(struct pr_http_bell *b);
void pr_http_ring(struct pr_http_bell *b);

struct pr_http_res {
    int status;                   /* 200 unless set */
    const char *content_type;     /* "application/json" unless set */
    struct pr_buf body;           /* freed by the server */
    struct pr_http_stream stream; /* instead of body when more is set */
    struct {
        const char *name, *value;
    } header[8]; /* arena or static */
    bool again;  /* it would have to wait, and may not: forget this, and ask a worker */
};
/* Fills a problem+json (RFC 9457) response. detail may hold any text. */
void pr_http_problem(struct pr_http_res *res, int status, const char *title, const char *detail,
                     const char *field /* NULL or the bad field */);
/* Status for a code: EINVAL 400, ENOTFOUND 404, EEXISTS/ECONFLICT 409, EDENIED
 * 403, EFULL 429, EUNAVAIL/EFENCED 503, ETIMEOUT 504, others 500. */
int pr_http_status(enum pr_code code);
void pr_http_fail(struct pr_http_res *res, enum pr_code code, const struct pr_err *err);

typedef void pr_http_fn(void *ctx, const struct pr_http_req *req, struct pr_http_res *res);

struct pr_http_route {
    const char *method,
        *pattern; /* "/v1/vertices/{id}", "/v1/vertices:batchGet", "/v1/plans/{id}:execute" */
    pr_http_fn *fn;
    int access; /* passed to authorise; 0: open to all */
};

struct pr_http_options {
    const char *bind;      /* address, "127.0.0.1" */
    int port;              /* 0: any; see pr_http_port */
    size_t max_body_bytes; /* 413 above; those of GET and HEAD are dropped as they come */
    int max_connections, idle_timeout_s;
    int max_connections_each; /* of one address, closed above without a word; 0: as many as all */
    /* 0: 30. For a request to come, from its first line to the end of its body, however steadily;
     * and for its answer to be taken, with a second more for each slowest_bytes_per_s (0: 16384).
     */
    int request_timeout_s, slowest_bytes_per_s;
    /* Threads that hold connections (0: 1; more begin when those are full), threads that run what
     * may wait (0: 16), and requests that wait for one of those (0: 1024): 503 above. */
    int loops, workers, queue;
    struct pr_http_bell *bell; /* NULL: streams are asked four times a second; borrowed */
    struct pr_tls *tls;        /* NULL: none; borrowed until pr_http_close */
    const struct pr_http_route *routes;
    size_t n_routes;
    /* What of fn a loop calls, ended by NULL: it is short, waits for nothing but memory, and sets
     * res->again when it would have to. All others are called by workers. NULL: those are all. */
    pr_http_fn *const *at_once;
    void *ctx; /* for fn and authorise */
    /* NULL: everything open. Returns 0 to go on, else a status whose problem it wrote to res. By
     * the loop first, as fn of a route that is answered at once. */
    int (*authorise)(void *ctx, struct pr_http_req *req, const struct pr_http_route *route,
                     struct pr_http_res *res);
    /* NULL or called after a handler of these routes with what is about to be sent: may change it.
     */
    void (*finish)(void *ctx, const struct pr_http_req *req, const struct pr_http_route *route,
                   struct pr_http_res *res);
    /* NULL or called after each response, for metrics and the access log. */
    void (*done)(void *ctx, const struct pr_http_req *req, const struct pr_http_route *route,
                 int status, int64_t us);
};
/* PR_EUNAVAIL: the port is taken (named). */
PR_CHECKED enum pr_code pr_http_open(struct pr_http **h, const struct pr_http_options *o,
                                     struct pr_err *err);
int pr_http_port(const struct pr_http *h);
uint64_t pr_http_too_slow(const struct pr_http *h); /* connections ended for being so */
void pr_http_close(struct pr_http *h);              /* waits for running handlers; NULL is fine */

#endif
