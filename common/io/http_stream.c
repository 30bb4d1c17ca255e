#include "http_stream.h"

#include "http_server.h"

#include <string.h>

enum { BLOCK_BYTES = 16 * 1024 };

/* By a worker: makes the next chunk. */
static bool make(struct pr_http_job *job)
{
    struct pr_stream_body *b =
        (struct pr_stream_body *)((char *)job - offsetof(struct pr_stream_body, job));
    if (atomic_load(&b->h->closing))
        return true;
    pr_buf_reset(&b->chunk);
    b->at = 0;
    b->last = !b->stream.more(b->stream.ctx, &b->chunk);
    return b->last || b->chunk.len > 0 || b->chunk.failed || atomic_load(&b->h->closing);
}

/* By the loop: sends what is there, and rests until a worker has made more. */
static ssize_t read_more(void *cls, uint64_t pos, char *to, size_t max)
{
    struct pr_stream_body *b = cls;
    (void)pos;
    if (b->chunk.failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (b->at == b->chunk.len) {
        if (b->last || atomic_load(&b->h->closing) || !pr_http_pool_add(b->h->pool, &b->job))
            return MHD_CONTENT_READER_END_OF_STREAM;
        return 0;
    }
    const size_t n = b->chunk.len - b->at < max ? b->chunk.len - b->at : max;
    memcpy(to, b->chunk.data + b->at, n);
    b->at += n;
    return (ssize_t)n;
}

struct MHD_Response *pr_stream_response(struct pr_stream_body *body,
                                        const struct pr_http_stream *stream, struct pr_http *h,
                                        struct MHD_Connection *mhd)
{
    *body = (struct pr_stream_body){ .stream = *stream,
                                     .h = h,
                                     .job = { .mhd = mhd, .run = make, .unlimited = true } };
    pr_buf_init(&body->chunk, 0);
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_more, body, NULL);
}

void pr_stream_end(struct pr_stream_body *body)
{
    pr_buf_done(&body->chunk);
    if (body->stream.end != NULL)
        body->stream.end(body->stream.ctx);
    body->stream.end = NULL;
}
