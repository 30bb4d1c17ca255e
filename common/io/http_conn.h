/* One request of a connection, as what reads it (http.c) and what answers it (http_answer.c) see
 * it. */
#ifndef PRISM_HTTP_CONN_H
#define PRISM_HTTP_CONN_H

#include "http_pool.h"
#include "http_server.h"
#include "http_stream.h"
#include "http_trace.h"
#include "prism/arena.h"
#include "prism/buf.h"

/* What libmicrohttpd's next call is for. In the stages of workers the connection is suspended: it
 * comes when a worker has done its part. */
enum pr_http_stage {
    PR_HTTP_HEADERS,
    PR_HTTP_AUTHORISED, /* by a worker, because it had to wait */
    PR_HTTP_BODY,
    PR_HTTP_HANDLED, /* by a worker */
};

/* From its request line to the end of its response. */
struct pr_http_conn {
    struct pr_http *h;
    struct MHD_Connection *mhd;
    struct pr_peer *peer;
    struct pr_arena arena;
    char *target;                        /* as sent; in the arena */
    const struct pr_http_options *mount; /* of the route; NULL: none */
    const struct pr_http_route *route;
    struct pr_http_req req;
    struct pr_http_res res;
    struct pr_buf body;
    struct pr_stream_body stream;
    size_t discarded;
    int64_t start_us;
    enum pr_http_stage stage;
    struct pr_http_job job;
    char trace[PR_TRACE_BYTES]; /* "" when none */
    bool begun, refused /* res is final, the handler is not called */, sent, close;
    int status;
};

/* Sends res. */
enum MHD_Result pr_http_answer(struct pr_http_conn *c);

#endif
