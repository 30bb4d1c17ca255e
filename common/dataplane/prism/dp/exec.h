/* Runs operations on vertices through the client core: many at once, in waves
 * that go to all nodes together, until each has an outcome. */
#ifndef PRISM_DP_EXEC_H
#define PRISM_DP_EXEC_H

#include "prism/dp/client.h"
#include "prism/io/redis.h"
#include "prism/slot.h"

enum { DP_MAX_FIXED_ARGS = 4 };

/* A vertex: its id as text. */
struct dp_vertex {
    char id[PR_MAX_ID_BYTES + 1];
    uint8_t id_len;
    uint64_t hash;
};
void dp_vertex_of_number(struct dp_vertex *v, uint64_t id);

struct dp_op {
    /* in; everything borrowed until the run ends */
    const struct dp_vertex *vertex;
    enum client_op op;
    const char *function;   /* of the operation itself, "prism_neighbors", "prism_create":
                               FCALL_RO for reads, else FCALL. "existing" is added to a
                               creation's arguments as the core asks for it */
    const char *const *arg; /* [n_args], behind the key */
    const size_t *arg_len;
    int n_args;
    uint32_t cached;    /* partition of the caller's cache, or home */
    uint32_t create_at; /* CLIENT_CREATE: partition it should live in */
    bool wait;          /* as in struct pr_rcmd; a creation's claim waits in any case */
    /* out */
    enum pr_code rc; /* PR_OK: see outcome; else why there is none */
    enum client_outcome outcome;
    redisReply *reply;           /* owned by the caller; of the last answer, when DONE */
    uint32_t found_at;           /* partition, when DONE */
    int acked, wanted;           /* replicas that have it, that had to (wait only) */
    char host_port[PR_HOST + 8]; /* node of the last answer */
    /* own */
    struct client state;
    char claim_for[12]; /* create_at as text */
    int64_t due_us;
    bool ended;
};

struct dp_exec {
    struct pr_cluster *cluster;
    uint32_t partitions;
    struct pr_run_options run; /* of each wave. Creations: wait for as many as could be
                                  elected, else a fail-over may lose a claim */
    int deadline_ms;           /* of the whole, pauses included */
    uint32_t max_backoffs;
    /* Called for every command answered or lost, bytes in cmd; may be NULL. */
    void (*on_command)(void *ctx, const struct dp_op *op, const struct pr_rcmd *cmd);
    void *ctx;
    struct dp_exec_memory *memory; /* grown as needed, reused; dp_exec_done frees it */
};

/* PR_OK when every op has an rc; err then holds the words of the first failure. */
PR_CHECKED enum pr_code dp_exec(struct dp_exec *e, struct dp_op *ops, size_t n, struct pr_err *err);
void dp_exec_done(struct dp_exec *e);

/* The status word of a function's reply as the client core's result.
 * PR_EDATA: not a reply of the library. */
PR_CHECKED enum pr_code dp_reply_parse(const redisReply *r, uint32_t partitions,
                                       enum client_result *result, uint32_t *partition,
                                       uint64_t *epoch, struct pr_err *err);

#endif
