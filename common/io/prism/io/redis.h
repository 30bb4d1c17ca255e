/* Redis: one connection, and a Redis Cluster client on top of hiredis.
 * Neither is thread-safe: one per thread. */
#ifndef PRISM_IO_REDIS_H
#define PRISM_IO_REDIS_H

#include "prism/err.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void pr_auto_redisReply(redisReply **r)
{
    if (*r != NULL)
        freeReplyObject(*r);
}

struct pr_redis_auth {
    const char *user, *password; /* borrowed; NULL user: no AUTH */
};

/* --- one connection ---------------------------------------------------- */
struct pr_redis;
/* host that begins with "/": a Unix socket; port does not count then. */
PR_CHECKED enum pr_code pr_redis_open(struct pr_redis **c, const char *host, int port,
                                      const struct pr_redis_auth *auth, int timeout_ms,
                                      struct pr_err *err);
void pr_redis_close(struct pr_redis *c); /* NULL is fine */
/* Pipelining: append any number, then read as many replies in order. A
 * connection that broke (PR_EUNAVAIL, PR_ETIMEOUT) stays broken: close it. */
PR_CHECKED enum pr_code pr_redis_append(struct pr_redis *c, int argc, const char *const *argv,
                                        const size_t *argvlen, struct pr_err *err);
PR_CHECKED enum pr_code pr_redis_reply(struct pr_redis *c, redisReply **reply,
                                       struct pr_err *err); /* error replies are PR_OK here */
/* Sends what was appended as far as the socket takes it, so that several
 * connections work at once; pr_redis_reply sends the rest. */
PR_CHECKED enum pr_code pr_redis_flush(struct pr_redis *c, struct pr_err *err);
/* append + reply; an error reply becomes a code (see pr_redis_reply_code). */
PR_CHECKED enum pr_code pr_redis_command(struct pr_redis *c, redisReply **reply, struct pr_err *err,
                                         const char *fmt, ...);
bool pr_redis_broken(const struct pr_redis *c);
int pr_redis_fd(const struct pr_redis *c);
/* How long replies are waited for from now on. */
void pr_redis_set_timeout(struct pr_redis *c, int timeout_ms);

/* NOPERM/NOAUTH/WRONGPASS: PR_EDENIED; LOADING, CLUSTERDOWN, MASTERDOWN,
 * TRYAGAIN, READONLY, NOREPLICAS, UNBLOCKED: PR_EUNAVAIL; OOM: PR_EFULL; other: PR_EINVAL.
 * PR_OK when the reply is not an error. */
enum pr_code pr_redis_reply_code(const redisReply *r, struct pr_err *err);
size_t pr_resp_command_bytes(int argc, const size_t *argvlen); /* on the wire */
size_t pr_resp_reply_bytes(const redisReply *r);               /* on the wire */

/* --- the cluster ------------------------------------------------------- */
enum { PR_NODE_ID = 41, PR_HOST = 64, PR_MAX_NODES = 4096 };

struct pr_node {
    char id[PR_NODE_ID]; /* 40 hex digits */
    char host[PR_HOST];
    int port;
    bool primary, failed;        /* failed: FAIL or PFAIL by CLUSTER NODES */
    bool dead;                   /* FAIL: most primaries say so */
    char primary_id[PR_NODE_ID]; /* of a replica */
    int replicas;                /* of a primary, failed ones included */
    uint64_t config_epoch;
    int64_t pong_ms; /* last sign of life, Unix epoch by the clock of the node that was asked;
                      * 0: none, or itself. Of a live node half a node time-out old at most. */
};

struct pr_topology {      /* as CLUSTER NODES reports; pure parse, see below */
    struct pr_node *node; /* [nodes], sorted by id */
    size_t nodes;
    int16_t slot_owner[16384];  /* index into node, -1 unowned */
    bool open_slots;            /* any slot migrating or importing on the asked node */
    uint8_t imports[16384 / 8]; /* a bit a slot: the asked node imports it */
    /* The asked node is a primary that serves no slot: a newcomer, or one that came back
     * from a failure. Its view may be stale for ever: a node never changes the owner of a
     * slot that it imports, and marks of former imports stay. */
    bool idle;
};
PR_CHECKED enum pr_code pr_topology_parse(const char *cluster_nodes, const char *asked_host,
                                          struct pr_topology *out, struct pr_err *err);
void pr_topology_done(struct pr_topology *t);
bool pr_topology_owns_slots(const struct pr_topology *t, size_t node); /* node[node] */

struct pr_cluster;
/* seeds: "host:port,host:port". Learns the topology; PR_EUNAVAIL names every
 * seed tried. Opening and refreshing take a few time-outs at most however many nodes are dead
 * or silent: many are asked at once (a host's name is looked up first, for as long as that
 * takes). */
PR_CHECKED enum pr_code pr_cluster_open(struct pr_cluster **c, const char *seeds,
                                        const struct pr_redis_auth *auth, int timeout_ms,
                                        struct pr_err *err);
void pr_cluster_close(struct pr_cluster *c);
PR_CHECKED enum pr_code pr_cluster_refresh(struct pr_cluster *c, struct pr_err *err);
const struct pr_topology *
pr_cluster_topology(const struct pr_cluster *c); /* until next refresh/run */
/* Connection to the primary of a slot or to a node by id: opened on demand, kept, owned by c. */
PR_CHECKED enum pr_code pr_cluster_conn(struct pr_cluster *c, const char *node_id,
                                        struct pr_redis **conn, struct pr_err *err);
void pr_cluster_drop(struct pr_cluster *c, const char *node_id); /* close a broken connection */

/* One command of a batch; single slot. */
struct pr_rcmd {
    int argc;
    const char *const *argv;
    const size_t *argvlen;
    uint16_t slot;
    bool wait; /* acknowledge only after WAIT (see run) */
    /* out: */
    redisReply *reply; /* owned by the caller; NULL unless rc is PR_OK */
    enum pr_code rc;   /* PR_ETIMEOUT: effect unknown; PR_EUNAVAIL: not executed */
    int node;          /* index into the topology of the node that answered; -1 none */
    char node_host_port[PR_HOST + 8];    /* "host:port" of that node: zone lookup key */
    uint32_t request_bytes, reply_bytes; /* on the wire, redirects included */
    uint32_t redirects;
    uint32_t latency_us; /* from sending it last to its answer */
    int acked, wanted;   /* replicas that acknowledged, and that WAIT asked for (wait only) */
};
struct pr_run_options {
    int wait_replicas, wait_ms; /* WAIT once per node after its `wait` commands, same connection */
    bool wait_all;              /* for more than wait_replicas where a node has more */
    int deadline_ms;            /* whole batch, redirects and TRYAGAIN pauses included */
    bool write_retry; /* false: a write whose answer was lost is PR_ETIMEOUT, never resent */
};
/* Pipelines the batch to all nodes at once, follows MOVED (refreshing), ASK
 * (ASKING + command) and TRYAGAIN until deadline_ms. Commands to one node keep
 * their order unless redirected. Returns PR_OK when every command has an rc;
 * each may still have failed; err then holds the words of the first that did
 * (node, slot, command). */
PR_CHECKED enum pr_code pr_cluster_run(struct pr_cluster *c, struct pr_rcmd *cmds, size_t n,
                                       const struct pr_run_options *o, struct pr_err *err);
/* Start-up and join check: Redis >= 7, noeviction, a default user that can load the
 * append-only file (where the caller may look), cluster-require-full-coverage
 * no, function library prism of the wanted version on every primary. Names the
 * node and what is wrong. library_version 0: do not check the library. */
PR_CHECKED enum pr_code pr_cluster_check(struct pr_cluster *c, int library_version,
                                         struct pr_err *err);
/* FUNCTION LOAD REPLACE of code on every primary that lacks it. */
PR_CHECKED enum pr_code pr_cluster_load_library(struct pr_cluster *c, const char *code,
                                                struct pr_err *err);

#endif
