/* Shared by gate.c, gate_rounds.c and gate_rows.c. */
#ifndef DR_GATE_PRIVATE_H
#define DR_GATE_PRIVATE_H

#include "io/gate.h"
#include "io/gives.h"

#include "prism/io/redis.h"

#include <pthread.h>

struct dr_where { /* a shard's primary, when it was asked */
    char replid[DR_REPLID];
    uint64_t offset;
};

struct dr_giver { /* one that is led here */
    char name[DR_NAME];
    struct dr_gate gate;
    int64_t begun_us; /* its newest round */
    bool here;        /* still */
};

struct dr_ending { /* of a row that is over: where its giver was then */
    int64_t id;
    struct dr_where at;
};

struct dr_asked { /* a connection to a shard's primary */
    char shard[DR_NAME], host[PR_HOST];
    int port;
    struct pr_redis *conn;
    int64_t not_before_us; /* it did not answer */
};

struct dr_gates {
    struct dr_gates_options o;
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t woken;
    bool stop, changed, runs;

    /* The thread's: */
    struct pr_db *db;
    struct pr_s3 *s3;
    atomic_bool cancel;       /* set by whoever stops it */
    struct dr_gives_row *row; /* [rows] as read at: */
    size_t rows;
    int64_t read_us; /* when that reading began; 0: never */
    struct dr_far *far;
    size_t fars;
    struct dr_giver **giver; /* [givers] */
    size_t givers;
    struct dr_ending *ending;
    size_t endings;
    struct dr_asked *asked;
    size_t n_asked;
    uint64_t highest; /* number in the bucket */
    bool looked;      /* for it */
    bool unopened;    /* some shard that is led here waits for what is read next */
    bool failing;
};

struct dr_group *dr_gates_group(const struct dr_gates *g, const char *shard);
/* A row that counts: dr may know of it already. */
static inline bool dr_gives_counts(const struct dr_gives_row *r)
{
    return r->number > 0;
}
/* gate_rounds.c */
PR_CHECKED enum pr_code dr_gates_where(struct dr_gates *g, const char *shard, struct dr_where *out,
                                       struct pr_err *err);
/* The bucket has it up to there. *ms: since when, at the latest. */
bool dr_gates_reached(struct dr_gates *g, const char *shard, const struct dr_where *at, int64_t *ms,
                      bool *never);
void dr_gates_look(struct dr_gates *g); /* opens, holds, begins rounds and ends them */
void dr_gates_disconnect(struct dr_gates *g);
/* gate_rows.c */
PR_CHECKED enum pr_code dr_gates_read(struct dr_gates *g, struct pr_err *err);
PR_CHECKED enum pr_code dr_gates_admit(struct dr_gates *g, struct pr_err *err);
PR_CHECKED enum pr_code dr_gates_end(struct dr_gates *g, struct pr_err *err);

#endif
