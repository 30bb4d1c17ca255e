/* What the tests of the rebalance service stand on: a loaded store, placement
 * runs with given targets, plans, a writer that keeps a ledger, and a look at
 * where every vertex really is. */
#ifndef REBALANCE_STAGE_H
#define REBALANCE_STAGE_H

#include "t.h"

#include "it.h"

#include "prism/io/bus.h"
#include "prism/io/db.h"
#include "prism/io/redis.h"

#include <stdatomic.h>

enum { STAGE_PARTITIONS = 4096, STAGE_VERTICES = 6000, STAGE_AWAIT_MS = 60000 };

struct stage_vertex {
    char id[24];
    uint64_t hash;
    uint32_t home, at;     /* at: where the newest finished plan put it */
    long acked, attempted; /* values of the field p:n */
};

struct stage {
    char uri[IT_URI];
    struct pr_db *db;
    struct pr_bus *bus;
    struct pr_cluster *cluster; /* as admin */
    struct it_service service;
    struct stage_vertex v[STAGE_VERTICES];
    uint32_t target[STAGE_VERTICES];
};
extern struct stage stage;

int stage_open(void **state);
int stage_close(void **state);
void stage_service(void); /* starts it and waits until the topology is written */

long stage_number(const char *sql);
void stage_text(const char *sql, char *out, size_t n);
void stage_sql(const char *sql);

/* New targets in stage.target; share of the vertices (0..1) goes to a random
 * partition, some of the others home. Returns how many differ from `at`. */
size_t stage_targets(uint64_t seed, double share);
long stage_run(const char *state);             /* a placement run with these targets */
long stage_plan(long run, const char *params); /* a plan, and the command to make it */
void stage_execute(long plan);                 /* approves it and sends the command */
void stage_await_plan(long plan, const char *state);
void stage_await_batches(long plan, long more_than); /* that are done */
/* Every vertex is at its target with all its data, its home says so, and there is
 * no staging. Then `at` is the target. */
void stage_verify(void);

/* A writer through the reference client, until stage_writer_stop; as much as goes, or with a pause
 * after each round, for those whose moves wait for the bucket: what is written to meanwhile waits
 * again. */
void stage_writer_pace(long us);
void stage_writer_start(uint64_t seed);
long stage_writer_stop(void); /* acknowledged writes */

#endif
