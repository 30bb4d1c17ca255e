/* A body that is made while it is sent, as libmicrohttpd reads it. */
#ifndef PRISM_HTTP_STREAM_H
#define PRISM_HTTP_STREAM_H

#include "http_pool.h"
#include "prism/io/http.h"

#include <microhttpd.h>

struct pr_stream_body {
    struct pr_http_stream stream;
    struct pr_http *h;      /* when it closes, the body ends */
    struct pr_http_job job; /* makes the next chunk */
    struct pr_buf chunk;    /* made, and sent up to at */
    size_t at;
    bool last; /* nothing comes after chunk */
};

/* NULL: out of memory. body stays the caller's, and must outlive the response. */
struct MHD_Response *pr_stream_response(struct pr_stream_body *body,
                                        const struct pr_http_stream *stream, struct pr_http *h,
                                        struct MHD_Connection *mhd);
/* Tells the stream that it is over; twice, or for one that never began, is harmless. */
void pr_stream_end(struct pr_stream_body *body);

#endif
