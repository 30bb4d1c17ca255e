#include "http_stream.h"

#include <string.h>

enum { BLOCK_BYTES = 16 * 1024 };

/* libmicrohttpd asks again at once when it is told that there is nothing yet
 * (each connection has a thread), so waiting is done here. */
static ssize_t read_more(void *cls, uint64_t pos, char *to, size_t max)
{
    struct pr_stream_body *b = cls;
    (void)pos;
    while (b->at == b->chunk.len) {
        if (b->last || atomic_load(b->closing))
            return MHD_CONTENT_READER_END_OF_STREAM;
        pr_buf_reset(&b->chunk);
        b->at = 0;
        b->last = !b->stream.more(b->stream.ctx, &b->chunk);
        if (b->chunk.failed)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    const size_t n = b->chunk.len - b->at < max ? b->chunk.len - b->at : max;
    memcpy(to, b->chunk.data + b->at, n);
    b->at += n;
    return (ssize_t)n;
}

struct MHD_Response *pr_stream_response(struct pr_stream_body *body,
                                        const struct pr_http_stream *stream,
                                        const atomic_bool *closing)
{
    *body = (struct pr_stream_body){ .stream = *stream, .closing = closing };
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
