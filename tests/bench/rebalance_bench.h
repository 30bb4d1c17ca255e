/* ./dev bench rebalance: slot moves of ours and of redis-cli, on the same cluster in
 * the same run, under a client's load. */
#ifndef PRISM_REBALANCE_BENCH_H
#define PRISM_REBALANCE_BENCH_H

#include "io/slot/run.h"
#include "io/users.h"

#include "prism/stats.h"

enum { BENCH_PAIRS = 3, BENCH_SLOTS = 4096 };

struct bench_pair {     /* slots go to and fro between two shards */
    int port[2], first; /* first: the lowest slot that moves */
    int slots;
    char id[2][PR_NODE_ID];
    int at; /* which of the two has them */
};

struct bench {
    const char *seeds, *db_uri, *cli, *server;
    struct pr_redis_auth admin, service;
    int replicas, ops_per_s;
    struct pr_db *db;
    struct pr_cluster *cluster; /* as admin */
    struct rebalance_config cfg;
    struct pr_metrics *metrics;
    struct pr_lease lease;
    struct rebalance_user user;
    struct bench_pair pair[BENCH_PAIRS];
    int64_t plan;
    /* Loaded keys: slot s of a pair holds keys 0..n-1 named "k<i>:{<tag>}". */
    int keys_per_slot;
    bool vertices; /* they are vertices of epoch 0 with 18 edges, else strings */
};

struct bench_client { /* what a client saw during one run */
    uint64_t ops, errors, redirects;
    double p50_ms, p99_ms, max_ms;
};

void bench_fail(const char *what, const struct pr_err *err) __attribute__((noreturn));
/* Loads keys_per_slot vertices, or strings of 100 B to 1 KB, into every slot of every pair. */
void bench_load(struct bench *b, int pairs, int slots, int keys_per_slot);
size_t bench_key(char out[48], int slot, int i);

/* 2000 operations a second on the loaded keys, a fifth of them reads, until stopped. */
struct bench_load;
struct bench_load *bench_client_start(struct bench *b, int pairs, unsigned seed);
void bench_client_stop(struct bench_load *l, struct bench_client *out);

/* Moves the slots of the first `pairs` pairs to the other side; seconds. */
double bench_move_ours(struct bench *b, int pairs);
double bench_move_cli(struct bench *b, int pipeline); /* of the first pair alone */
void bench_home(struct bench *b);                     /* everything back to the first side */
void bench_check(struct bench *b, int pairs); /* every slot and every key is where it should be */

#endif
