/* What the tests of zones that fail stand on: the stack's nodes registered in zones, the real
 * service, writers that keep a ledger of what every replica acknowledged, and a strike against
 * all nodes of a zone. */
#ifndef PRISM_ZONE_STAGE_H
#define PRISM_ZONE_STAGE_H

#include "t.h"

#include "it.h"

#include "prism/io/db.h"
#include "prism/io/redis.h"

enum { ZS_SHARDS = 8, ZS_AWAIT_MS = 60000 };

struct zs_node {
    int port, shard; /* shard: the primary's place in zs.primary */
    char zone[2];
};

struct zone_stage {
    char uri[IT_URI];
    struct pr_db *db; /* as superuser */
    struct pr_cluster *cluster;
    struct it_service service;
    struct zs_node node[IT_MAX_NODES];
    size_t nodes;
    int primary[ZS_SHARDS]; /* ports, as they were when the test program began */
    int slot[ZS_SHARDS];    /* one of each */
    int shards, replicas;
};
extern struct zone_stage zs;

int zs_open(void **state);
int zs_close(void **state);
void zs_admin(struct pr_cluster **c, int timeout_ms); /* a connection of one's own */
/* Registers the nodes anew: zones: a letter for each node, in the order of zs.node (by shard, the
 * primary first); NULL: primaries are spread over a, b and c, and replicas are in the next ones.
 * Starts the service. extra: NULL-terminated. */
void zs_begin(const char *zones, const char *const *extra);
/* The same service again, with other settings; stops the one that runs. */
void zs_service(const char *const *extra);
/* Everybody up, roles as they were, the service down. */
int zs_end(void **state);

long zs_number(const char *format, ...) PR_PRINTF(1, 2);
const char *zs_text(const char *format, ...) PR_PRINTF(1, 2);             /* valid until the next */
void zs_await(const char *want, const char *format, ...) PR_PRINTF(2, 3); /* the query's cell */

/* All nodes of a zone at once; signal: SIGKILL, and they stay down, or SIGSTOP. */
void zs_strike(const char *zone, int signal);
void zs_return(const char *zone, int signal);
bool zs_leads(int port);
/* zone_writers.c: until every shard takes a write again, from since_us (pr_mono_us); ms. Negative:
 * it did not. */
int64_t zs_covered_ms(int64_t since_us, int64_t most_ms);

/* need: replicas that must have a write for it to count. */
void zs_writers_start(int need);
void zs_writers_need(int need);
void zs_writers_await(long more); /* until so many more were acknowledged */
void zs_writers_stop(void);       /* also where none run */
/* Stops them: nothing that was acknowledged is missing. Acknowledged writes. */
long zs_writers_check(void);

#endif
