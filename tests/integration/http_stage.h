/* What the tests of the HTTP server share: a server with a few handlers on a free port, and clients
 * by curl and by bare sockets. */
#ifndef PRISM_HTTP_STAGE_H
#define PRISM_HTTP_STAGE_H

#include "t.h"

#include "http_internal.h"
#include "prism/io/http.h"
#include "prism/io/log.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

enum { HTTP_BODY_LIMIT = 1000 };

struct http_gate { /* handlers of /v1/wait stay inside until it opens */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int inside, done;
    bool open;
};
extern struct http_gate http_gate;
struct http_seen { /* what `done` was told last */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count, status;
    const struct pr_http_route *route;
    int64_t us;
};
extern struct http_seen http_seen;
extern atomic_int http_handled; /* by /v1/take and /v1/me */
extern const struct pr_http_route http_routes[];

struct pr_http_options http_options(void);
struct pr_http *http_start(struct pr_http_options o); /* everything above begins anew */
void http_gate_await(int inside);
void http_gate_open(void);

struct http_reply {
    long status, connects;
    struct pr_buf body, head;
};
/* One request on c (kept alive between calls); headers: "A: b" strings, NULL. */
CURLcode http_ask(CURL *c, struct http_reply *r, const struct pr_http *h, const char *method,
                  const char *target, const char *body, size_t n, const char *const *headers);
/* The same, of a server that may have gone. */
CURLcode http_ask_port(CURL *c, struct http_reply *r, int port, const char *method,
                       const char *target, const char *body, size_t n, const char *const *headers);
/* One request on its own connection; fails the test without an answer. */
struct http_reply http_once(const struct pr_http *h, const char *method, const char *target,
                            const char *body, size_t n, const char *const *headers);
struct http_reply http_get(const struct pr_http *h, const char *target);
void http_forget(struct http_reply *r);
/* Value of a response header, "" when absent. */
const char *http_header(const struct http_reply *r, const char *name);
void http_assert_text(const struct http_reply *r, long status, const char *text);
void http_assert_problem(const struct http_reply *r, long status, const char *text);
int http_dial(const struct pr_http *h); /* a socket; -1: refused */
/* Sends raw bytes on a new connection, returns all that comes until the end. */
const char *http_raw(const struct pr_http *h, const char *bytes, size_t n);

/* The group, with logs off: failures of the tests are wanted. */
int http_run_tests(const struct CMUnitTest *tests, size_t n);

#endif
