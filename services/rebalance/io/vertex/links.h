/* A worker's own connections to the nodes, authenticated as the mover's user of
 * its lease epoch. WAIT means something only on the connection that executed
 * the command it is about, so every connection has a number. */
#ifndef REBALANCE_LINKS_H
#define REBALANCE_LINKS_H

#include "prism/io/db.h"
#include "prism/io/redis.h"

struct rebalance_link {
    char node_id[PR_NODE_ID], host[PR_HOST], name[64]; /* name: registered id, or "host:port" */
    int port;
    struct pr_redis *conn; /* NULL: not connected */
    uint64_t number;       /* of the connection; a new one has a new number */
    int replicas;          /* that the shard has when it is whole: WAIT for so many */
    /* Of the wave in hand (io/wave.h): vertices by index, in the order sent. */
    uint32_t head, tail, waiting;
    bool down;
};

struct rebalance_links {
    struct pr_cluster *cluster; /* topology only, as the service's own user */
    struct pr_redis_auth auth;  /* the mover's user */
    int timeout_ms;
    struct rebalance_link *link; /* [n], only grows: indexes stay valid */
    size_t n, cap;
    int16_t of_slot[16384]; /* -1: unowned */
    uint64_t last_number;
};

struct rebalance_links_options {
    const char *seeds;
    struct pr_redis_auth service, mover;
    int timeout_ms;
};

PR_CHECKED enum pr_code rebalance_links_open(struct rebalance_links *l,
                                             const struct rebalance_links_options *o,
                                             struct pr_db *db, struct pr_err *err);
void rebalance_links_close(struct rebalance_links *l);
/* Learns who owns which slot, and how many replicas each shard has when whole. */
PR_CHECKED enum pr_code rebalance_links_refresh(struct rebalance_links *l, struct pr_db *db,
                                                struct pr_err *err);
PR_CHECKED enum pr_code rebalance_link_connect(struct rebalance_links *l,
                                               struct rebalance_link *link, struct pr_err *err);
void rebalance_link_break(struct rebalance_link *link);
/* PR_EUNAVAIL with the reason unless the node answers as a primary with every
 * replica of its shard connected and in step. */
PR_CHECKED enum pr_code rebalance_link_whole(struct rebalance_links *l, struct rebalance_link *link,
                                             struct pr_err *err);

#endif
