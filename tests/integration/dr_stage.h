/* What the tests of the dr service stand on: the fixture's cluster, registered in a database of its
 * own; the topology kept by rebalance; a name of its own in the bucket; restored servers. */
#ifndef PRISM_DR_STAGE_H
#define PRISM_DR_STAGE_H

#include "t.h"

#include "it.h"

#include "prism/rng.h"

enum { DR_AWAIT_MS = 60000, DR_SETTINGS = 24 };

struct dr_stage {
    char uri[IT_URI], role[IT_URI]; /* of the database: superuser, dr */
    struct it_service rebalance, dr;
    char cluster[32]; /* first in the names of objects: of this test alone */
    char setting[DR_SETTINGS][256];
    const char *env[DR_SETTINGS + 1]; /* settings of dr and its commands; NULL-terminated */
};
extern struct dr_stage dr;

int dr_stage_open(void **state);
int dr_stage_close(void **state);
void dr_stage_settings(int number); /* only dr.env; number: of this test alone */
void dr_stage_set(const char *name, const char *value); /* for what starts from now on */
void dr_stage_start(void);                              /* the service, until every shard streams */
void dr_stage_await_streaming(void);
/* A name of its own in the bucket, and nothing remembered: bases are written anew. */
void dr_stage_fresh(void);
/* Of services that were killed: nobody need wait for the end of their leases. */
void dr_stage_end_leases(void);
/* Where a shard is followed: "redis-<port>". */
void dr_stage_source(const char *shard, char server[32]);
struct dr_stage_leaving {
    const char *shard, *server;
};
bool dr_stage_left(void *leaving); /* it streams from another server. For it_await */
/* Of any shard: "lag", "base", ... as long as the service runs. For it_await. */
bool dr_stage_raised(void *alarm);
bool dr_stage_not_raised(void *alarm);
/* CONFIG SET on every node of the cluster. */
void dr_stage_config(const char *name, const char *value);

long dr_stage_number(const char *format, ...) __attribute__((format(printf, 1, 2)));
void dr_stage_text(char *out, size_t n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Primaries of the shards: id in the tables, and port. */
struct dr_shard_at {
    char id[64];
    int port;
};
size_t dr_stage_shards(struct dr_shard_at out[IT_MAX_NODES]);

/* A tag {...} of keys that lie on the shard. */
void dr_stage_tag(const struct dr_shard_at *s, char out[16]);
/* Writes n random commands of many kinds through every primary; deterministic by seed. */
void dr_stage_write(uint64_t seed, int n);
/* Waits until all that every primary has written is in the bucket. */
void dr_stage_await_durable(void);

/* prism-dr restore of a shard into dir/<shard>; its output to out. Returns its exit status. */
int dr_stage_restore(const char *shard, const char *dir, const char *until, char *out, size_t n);
/* A redis-server on that directory, loaded. Returns its port. */
int dr_stage_serve(const char *dir, const char *shard, pid_t *pid);
void dr_stage_digest(int port, bool restored, char out[64]);

#endif
