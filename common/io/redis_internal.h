/* Shared by redis.c and cluster*.c: non-blocking use of one connection. */
#ifndef PRISM_IO_REDIS_INTERNAL_H
#define PRISM_IO_REDIS_INTERNAL_H

#include "prism/buf.h"
#include "prism/io/redis.h"

struct pr_redis {
    redisContext *ctx;
    struct pr_buf out; /* commands; the first out_sent bytes are written */
    size_t out_sent;
    uint64_t appended, written; /* bytes since the connection was opened */
    int timeout_ms;
    bool broken;
    char name[PR_HOST + 8]; /* "host:port", for messages */
};

/* Begins to connect and returns at once: AUTH is the first command to be sent when
 * *auth_sent, others may be appended. */
PR_CHECKED enum pr_code pr_redis_begin(struct pr_redis **c, const char *host, int port,
                                       const struct pr_redis_auth *auth, int timeout_ms,
                                       bool *auth_sent, struct pr_err *err);
/* What became of that, once the socket takes bytes. */
PR_CHECKED enum pr_code pr_redis_connected(struct pr_redis *c, struct pr_err *err);
/* What the reply to that AUTH means. */
PR_CHECKED enum pr_code pr_redis_auth_code(const struct pr_redis *c,
                                           const struct pr_redis_auth *auth,
                                           const redisReply *reply, struct pr_err *err);
/* Write and read what is possible now. A failure marks the connection broken. */
PR_CHECKED enum pr_code pr_redis_flush(struct pr_redis *c, struct pr_err *err);
PR_CHECKED enum pr_code pr_redis_receive(struct pr_redis *c, bool *got, struct pr_err *err);
/* The next complete reply, or *reply NULL. */
PR_CHECKED enum pr_code pr_redis_take(struct pr_redis *c, redisReply **reply, struct pr_err *err);
static inline size_t pr_redis_unsent(const struct pr_redis *c)
{
    return c->out.len - c->out_sent;
}

#endif
