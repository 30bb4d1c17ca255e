/* Shared by cluster.c (topology, connections) and cluster_run.c (batches). */
#ifndef PRISM_IO_CLUSTER_INTERNAL_H
#define PRISM_IO_CLUSTER_INTERNAL_H

#include "redis_internal.h"

struct sent_entry { /* what a reply on a connection belongs to */
    int32_t what;   /* command index, or SENT_ASKING, SENT_WAIT */
    int32_t owner;  /* command that pays for the bytes of ASKING; -1 */
    uint64_t end;   /* the stream offset after its last byte */
};
enum { SENT_ASKING = -1, SENT_WAIT = -2 };

/* One connection and its part of the running batch. */
struct link {
    char id[PR_NODE_ID], host[PR_HOST];
    int port;
    struct pr_redis *conn; /* NULL: not open */
    int64_t retry_at_us;   /* a refused connection is not tried again before */
    /* the batch: */
    int32_t todo_head, todo_tail;            /* to be sent, chained by run_state.next */
    int32_t unacked_head;                    /* answered, WAIT still out */
    struct sent_entry *sent;                 /* ring of replies expected; after a batch only of
                                              * WAITs behind writes that went elsewhere */
    size_t sent_first, sent_count, sent_cap; /* cap: a power of two */
    bool need_wait;                          /* `wait` commands since the last WAIT */
    unsigned waits_out;                      /* WAITs without a reply */
    int wait_wanted;                         /* replicas that the last one asked for */
    int64_t progress_us;                     /* last byte written or read */
};

struct run_state { /* of one command */
    int32_t next;
    uint8_t tries; /* times it was lost with a connection */
    bool asking;
    int64_t sent_us;
    int64_t due_us; /* while delayed */
    uint32_t pauses;
    enum pr_code last; /* why it was delayed, for the deadline */
};

struct pr_cluster {
    char *seeds, *user, *password; /* owned */
    struct pr_redis_auth auth;
    int timeout_ms;
    struct pr_topology topology;
    struct link **link; /* [links], owned; in no order */
    size_t links, links_cap;
    struct link **by_node;    /* [topology.nodes]: cache, NULL unknown */
    struct pr_redis *control; /* CLUSTER NODES goes here: others may have commands in flight */
    size_t next_ask;          /* rotates over nodes when the control connection fails */
    int64_t refreshed_us;
    struct run_state *state; /* [state_cap], reused by every batch */
    size_t state_cap;
};

/* The link of topology node i, made when missing; NULL without memory. */
struct link *cluster_link(struct pr_cluster *c, size_t node);
/* With what was expected on it: an answer of another connection never comes there. */
void cluster_link_close(struct link *l);
/* Opens l->conn when closed. */
PR_CHECKED enum pr_code cluster_link_open(struct pr_cluster *c, struct link *l, int timeout_ms,
                                          struct pr_err *err);
/* Index of "host:port", -1 unknown. */
int cluster_find_address(const struct pr_topology *t, const char *host, int port);
int cluster_find_id(const struct pr_topology *t, const char *id);
/* cluster_ask.c: asks all hosts, the first ones first, until an answer can be trusted; within
 * 2 time-outs and 5 ms a host however many are dead. Each answer goes to cluster_take.
 * PR_OK: one was taken. Else what every one said is added to tried; *one is of the last, or
 * that of one that let nobody in (PR_EDENIED). */
struct cluster_host {
    char host[PR_HOST];
    int port;
};
PR_CHECKED enum pr_code cluster_ask(struct pr_cluster *c, const struct cluster_host *host, size_t n,
                                    struct pr_buf *tried, struct pr_err *one);
/* Puts what the host said of the topology in place unless something better is known; then
 * the connection is c's and *conn NULL. *sure: nobody else needs to be asked. */
PR_CHECKED enum pr_code cluster_take(struct pr_cluster *c, struct pr_redis **conn,
                                     const redisReply *reply, const struct cluster_host *host,
                                     bool *sure, struct pr_err *err);
/* elsewhere: ask another node than last time (its view may be the stale one). */
PR_CHECKED enum pr_code cluster_refresh_from(struct pr_cluster *c, bool elsewhere,
                                             struct pr_err *err);

#endif
