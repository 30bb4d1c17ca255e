/* Shared by the files of a shard. */
#ifndef DR_SHARD_PRIVATE_H
#define DR_SHARD_PRIVATE_H

#include "io/base.h"
#include "io/psync.h"
#include "io/shard.h"

#include "core/spool.h"
#include "core/stream.h"

#include <pthread.h>
#include <stdatomic.h>

enum { DR_CHUNK = 256 << 10, DR_BEATS = 64 };
/* A command, or all between MULTI and EXEC, cannot be cut: so much is kept of it, whatever the
 * limit of the spool. Redis itself ends at 512 MB for an argument. */
static const size_t DR_UNIT_MAX = (size_t)1 << 30;

struct dr_shard_beat { /* a heartbeat that is not durable yet */
    uint64_t end;
    int64_t ms;
};

struct dr_shard_gate {          /* core/gate.h */
    bool open;                  /* all that arrived may be taken; else only up to */
    struct dr_gate_mark passed; /* .base: bases that began so far may be finished */
    uint64_t bases;             /* that began, or were about to */
    uint64_t next;              /* the one that is about to; 0: none */
    int64_t floor_ms;           /* what is taken is no older than this */
    int64_t since_ms;           /* something may not be taken since then; 0: all may */
    char by[DR_NAME];           /* taker that was not there, when it was looked at last */
};

struct dr_shard {
    const struct dr_shard_env *env;
    char name[DR_NAME];
    pthread_t thread;
    int wake_fd; /* an event: stop, or there is room again */
    atomic_bool stop;
    int64_t born_us;
    struct pr_s3 *s3;     /* the thread's, as are these: */
    char *chunk;          /* DR_CHUNK bytes */
    uint32_t tried;       /* bits of the members that were tried in this round, and of */
    uint32_t now;         /* the last one */
    bool lasted;          /* its connection held for a while */
    bool beats_come;      /* over this connection */
    uint64_t rated;       /* offset, and */
    int64_t rated_us;     /* when, of the last look at the rate */
    struct dr_base *base; /* sealed, its manifest held back; NULL: none */
    int64_t publish_us;   /* not again before then */

    pthread_mutex_t mu; /* all below */
    struct dr_spool spool;
    struct dr_stream stream;
    struct dr_position at;     /* of what was packed: offset is spool.from */
    int64_t first_ms, last_ms; /* arrival of what is in the spool; 0: empty */
    uint64_t commands;         /* of the stream when last packed */
    int64_t packed_ms;         /* last_ms of the newest piece: never goes back */
    struct dr_shard_gate gate;
    struct dr_shard_beat beat[DR_BEATS];
    size_t beats;
    bool full; /* hung up until there is room */
    bool hold; /* the next manifest is held back until it is released */
    bool held; /* one is: status.durable stays at its base, and this is what is durable: */
    struct dr_position held_at;
    struct dr_shard_status status;
};

/* Under mu. What may be taken; and whether the stream could be cut at all, if the gate let it. */
size_t dr_shard_packable(const struct dr_shard *s);
bool dr_shard_cuttable(const struct dr_shard *s);
/* shard_gate.c, under mu: */
struct dr_gate_mark dr_shard_gate_limit(const struct dr_shard *s); /* of what may be taken */
void dr_shard_gate_restart(struct dr_shard *s);                    /* at a new base */
bool dr_shard_gate_base(const struct dr_shard *s, uint64_t base);  /* it may be finished */
bool dr_shard_gate_next(struct dr_shard *s); /* a base would not wait for long now */
void dr_shard_ring(struct dr_shard *s);      /* its thread looks around */

enum { DR_ACK_MS = 1000 };
/* follow.c: until the connection ends, or there is no room. broken: the stream cannot be cut any
 * more. */
PR_CHECKED enum pr_code dr_shard_follow(struct dr_shard *s, struct dr_psync *link, bool primary,
                                        bool *broken, struct pr_err *err);
/* *endless: what is kept cannot be cut, and is more than anybody sends. */
bool dr_shard_no_room(struct dr_shard *s, bool *endless);
void dr_shard_await(struct dr_shard *s, int fd, int64_t ms); /* or until it is rung; fd -1: none */
PR_CHECKED enum pr_code dr_shard_still_there(const struct dr_shard *s, const struct dr_psync *link,
                                             int64_t most_ms, struct pr_err *err);
int64_t dr_shard_newest_ms(const struct dr_shard *s); /* under mu */
/* begin.c: a base, and with it a generation. */
PR_CHECKED enum pr_code dr_shard_begin(struct dr_shard *s, struct dr_psync *link,
                                       const struct dr_source *from, const struct dr_member *m,
                                       const struct dr_psync_start *start, struct pr_err *err);
void dr_shard_forget(struct dr_shard *s); /* under mu: nothing of any generation is gone on with */
void *dr_shard_run(void *shard);          /* attach.c: the thread */

#endif
