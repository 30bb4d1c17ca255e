/* A server, as what answers its requests (http.c, http_answer.c) and what starts and ends it
 * (http_server.c) see it. */
#ifndef PRISM_HTTP_SERVER_H
#define PRISM_HTTP_SERVER_H

#include "http_internal.h"
#include "http_route.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

struct pr_http_loops;
struct pr_http_pool;
struct pr_peer;
struct pr_peers;

struct pr_http {
    struct pr_http_options mount[PR_HTTP_MOUNTS];
    struct pr_route_table table[PR_HTTP_MOUNTS];
    size_t n_mounts;
    unsigned max_connections, idle_s;
    int port;
    struct pr_http_loops *loops;
    struct pr_peers *peers;
    struct pr_http_pool *pool;
    atomic_bool closing;
    atomic_bool held[PR_HTTP_MOUNTS];
    pthread_mutex_t lock;
    pthread_cond_t idle;
    size_t active; /* requests between their headers and the end of their response; lock */
};

/* Frees what pr_http_on_line made for a connection, if its request has not gone further. */
void pr_http_forget(struct pr_peer *peer);
/* What libmicrohttpd calls for each request; cls is the server. */
void *pr_http_on_line(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result pr_http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *n, void **con_cls);
void pr_http_on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                          enum MHD_RequestTerminationCode why);

#endif
