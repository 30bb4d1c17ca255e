/* What the tests of fleet plans stand on: the stack with two replicas a shard,
 * registered so that two primaries share a zone; the real service; plans made and
 * begun as metadata-api does it. */
#ifndef REBALANCE_FLEET_STAGE_H
#define REBALANCE_FLEET_STAGE_H

#include "t.h"

#include "it.h"

#include "prism/io/bus.h"
#include "prism/io/db.h"
#include "prism/io/redis.h"

enum { FS_SHARDS = 3, FS_MEMBERS = 3, FS_AWAIT_MS = 60000, FS_GOAL = 1 << 17 };

struct fs_shard {         /* as it was when the test program began */
    int port[FS_MEMBERS]; /* its primary first; nodes.id is "n<port>" */
};

struct fleet_stage {
    char uri[IT_URI];
    struct pr_db *db; /* as superuser */
    struct pr_bus *bus;
    struct pr_cluster *cluster;       /* as admin */
    struct it_service service;        /* pid 0: down */
    struct fs_shard shard[FS_SHARDS]; /* zones of primaries: a, a, b */
    uint8_t slot_shard[16384];        /* then */
};
extern struct fleet_stage fs;

int fs_open(void **state);  /* starts no service */
int fs_close(void **state); /* slots go back where they were */
/* Setup and teardown of each test: the service with no cooldown, cluster whole, roles
 * at home. */
int fs_begin(void **state);
int fs_end(void **state);
/* extra: NULL-terminated; on top of a short lease. Stops the one that runs. */
void fs_service(const char *const *extra);
void fs_service_stop(void);

long fs_number(const char *format, ...) PR_PRINTF(1, 2);
const char *fs_text(const char *format, ...) PR_PRINTF(1, 2); /* valid until the next */
void fs_sql(const char *format, ...) PR_PRINTF(1, 2);
/* Until the query's first cell is want. */
void fs_await_text(const char *want, const char *format, ...) PR_PRINTF(2, 3);

/* --- plans ---------------------------------------------------------------------- */
long fs_plan(const char *goal, const char *params);     /* returns once it is not pending */
long fs_proposed(const char *goal, const char *params); /* and it must be proposed */
void fs_execute(long plan); /* as a person does: approves, with an operation */
void fs_await_plan(long plan, const char *state);
void fs_run(long plan); /* executes it, awaits done */
void fs_cancel(long plan);
/* Goal assign: as it is, but n slots from the end of one shard's list go to another,
 * those with the given stride. The slots go to slot[] when not NULL. */
const char *fs_assign(int from, int to, size_t n, int *slot);
/* Every row is verified and every slot of the plan is where its row says. */
void fs_check_done(long plan);

/* --- Redis ------------------------------------------------------------------------ */
const char *fs_ask(int port, const char *format, ...);
const char *fs_tag(int slot);
void fs_load(int slot, int n, int bytes); /* keys {tag}k<i> */
/* 2 MB in the first slot of each shard: groups of slots are matched to shards by the
 * bytes that stay, and a test's few keys shall not exchange whole shards. */
void fs_ballast(void);
long fs_keys(int port, int slot);
int fs_owner(int slot); /* port, as of now */
int fs_shard_of_port(int port);
int fs_primary(int shard);   /* port, as of now */
int fs_open_marks(void);     /* of slots, on all nodes */
void fs_settle(void);        /* all nodes agree on owners and roles, the watcher too */
void fs_fail_over(int port); /* CLUSTER FAILOVER to it; settles */

#endif
