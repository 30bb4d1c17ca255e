/* A connection to a Redis server that takes us for one of its replicas.
 *
 * Attach to a replica, never to a primary if it can be helped: to a primary our
 * acknowledgements would count for WAIT and min-replicas-to-write, and we cannot be
 * elected. A replica that is promoted closes the connections of its own replicas, so a
 * connection is to what `role` was when it was opened.
 *
 * Source: Redis replication protocol; tried against 7.0. Not thread-safe. */
#ifndef DR_PSYNC_H
#define DR_PSYNC_H

#include "core/container.h"

#include "prism/io/redis.h"

#include <stdatomic.h>

struct dr_psync;

struct dr_psync_from {
    const char *host;
    int port;
    struct pr_redis_auth auth;
    int timeout_ms;          /* of connecting, and of each answer before the stream */
    const atomic_bool *stop; /* ends it within a second; NULL: nothing does */
    bool primary_too;        /* false: a server that is no replica in step is refused */
    const char *replid;      /* the history to go on with; NULL or "": from the beginning */
    uint64_t offset;         /* of what we have of it */
};

struct dr_psync_start {
    bool full;              /* a base comes first: offset is the base's, not ours */
    char replid[DR_REPLID]; /* of the history from here on; after a fail-over another than asked for
                             */
    uint64_t offset;
    bool primary; /* the server's role */
};

/* PR_EUNAVAIL: not to be had now (down, loading, its own link to its primary is down; it is
 * no replica). PR_EDENIED: user, password, or PSYNC not allowed. PR_EDATA: not Redis.
 * PR_ECANCELED: told to stop. A server that waits for others who want a base, or saves for
 * somebody else, may take minutes to answer: it is waited for as long as it sends its sign of life,
 * an empty line a second. */
PR_CHECKED enum pr_code dr_psync_open(struct dr_psync **out, const struct dr_psync_from *from,
                                      struct dr_psync_start *start, struct pr_err *err);
void dr_psync_close(struct dr_psync *p);   /* NULL is fine */
int dr_psync_fd(const struct dr_psync *p); /* to poll for POLLIN */
/* When its last byte arrived, of whatever kind; by the monotonic clock. */
int64_t dr_psync_heard_us(const struct dr_psync *p);

enum dr_psync_part {
    DR_PSYNC_NOTHING,  /* for now: poll */
    DR_PSYNC_BASE,     /* bytes of the base */
    DR_PSYNC_BASE_END, /* the base is whole; got is 0. The stream begins after the next ack */
    DR_PSYNC_STREAM    /* bytes of the stream */
};
enum { DR_PSYNC_ROOM = 4096 }; /* of a buffer at least */
/* What has arrived, as far as it fits; never blocks. PR_EUNAVAIL: the connection ended. */
PR_CHECKED enum pr_code dr_psync_read(struct dr_psync *p, void *buf, size_t room,
                                      enum dr_psync_part *part, size_t *got, struct pr_err *err);
/* Tells the server what we have; the source drops a replica that is silent for repl-timeout
 * (60 s). Never blocks: an acknowledgement that does not fit is left out. */
PR_CHECKED enum pr_code dr_psync_ack(struct dr_psync *p, uint64_t offset, struct pr_err *err);

#endif
