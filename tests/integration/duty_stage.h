/* What the tests of facts, preflight, duties and repair stand on: the stack's nodes
 * registered in a fresh database, more Redis nodes of their own to take in, and the
 * steps of a plan in hand. */
#ifndef PRISM_DUTY_STAGE_H
#define PRISM_DUTY_STAGE_H

#include "t.h"

#include "it.h"

#include "io/fleet/duties.h"
#include "io/fleet/facts.h"

enum { DUTY_AWAIT_MS = 30000, DUTY_MAX_STEPS = 64 };

struct joiner { /* a redis-server of the test's own, configured as the stack's are */
    pid_t pid;
    int port;
    char id[16], dir[512]; /* id: "j<port>", as registered */
    char redis_id[64];
};

struct duty_stage {
    char uri[IT_URI];
    struct pr_db *db;           /* as the service's role */
    struct pr_cluster *cluster; /* as the service's user */
    struct rebalance_config cfg;
    struct pr_lease lease, watch_lease;
    struct rebalance_user user;
    struct rebalance_duty_ctx ctx;
    atomic_int stop;
    int steps;              /* rows made so far */
    int port[IT_MAX_NODES]; /* of the stack */
    size_t ports;
};
extern struct duty_stage ds;

int duty_stage_open(void **state);
int duty_stage_close(void **state);

void ds_sql(const char *fmt, ...) PR_PRINTF(1, 2);
void ds_cell(char *out, size_t n, const char *fmt, ...) PR_PRINTF(3, 4);
/* What the topology watcher does every second. */
void ds_watch(void);

/* extra: more lines for redis.conf, or NULL; of_template false: nothing but extra.
 * zone NULL: not registered. */
void ds_joiner(struct joiner *j, const char *zone, const char *extra);
void ds_joiner_again(struct joiner *j); /* after it was killed */
void ds_joiner_stop(struct joiner *j);  /* and its row and directory go */

/* Makes the row and runs the duty until it does not ask to be run again. Returns the
 * row's state; why: its error. */
const char *ds_duty(const char *kind, const char *shard, const char *src, const char *dst,
                    char *why, size_t size);
/* The same, and it must be verified. */
void ds_duty_ok(const char *kind, const char *shard, const char *src, const char *dst);

/* One command as admin; the reply as a line (see own_redis.h). */
const char *ds_ask(int port, const char *fmt, ...);
bool ds_knows(int port, const char *redis_id);
void ds_meet(const struct joiner *a, const struct joiner *b); /* until a knows b */
/* How the node at this port says that it stands in the cluster. */
void ds_redis_id(int port, char out[64]);
int ds_primary_of_slot(int slot);               /* its port */
int ds_replica_of(int primary_port, int which); /* the port of one of its replicas */
/* n keys "{tag}k<i>" with 100-byte values at the node that serves the slot, in one go. */
void ds_load(int slot, int n);
/* All of them are at the node that serves the slot now, each with its value. */
void ds_check(int slot, int n);
long ds_keys(int port, int slot);

#endif
