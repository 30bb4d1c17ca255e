/* Redis cannot check a lease epoch, so each epoch has its own Redis users:
 * prism-mv-<epoch> moves vertices, prism-fl-<epoch> changes the fleet. A new holder deletes the
 * older ones on a node, which ends their connections, before it makes its own there: a stale
 * holder's late commands are refused. Source: docs/reference/data-plane.md, "Redis users". */
#ifndef REBALANCE_USERS_H
#define REBALANCE_USERS_H

#include "prism/io/redis.h"

enum rebalance_user_kind { REBALANCE_USER_VERTICES, REBALANCE_USER_FLEET, REBALANCE_USER_KINDS };

struct rebalance_user {
    enum rebalance_user_kind kind;
    char name[32], password[65]; /* random, known to this process only */
    uint64_t epoch;
};

/* Fresh password for this epoch. PR_EINTERNAL: no randomness. */
PR_CHECKED enum pr_code rebalance_user_init(struct rebalance_user *u, enum rebalance_user_kind kind,
                                            uint64_t epoch, struct pr_err *err);
/* On one node, by a connection of the service's own user: deletes older users of
 * the kind and makes this one. PR_EFENCED: a newer epoch's user is there. */
PR_CHECKED enum pr_code rebalance_user_make(struct pr_redis *conn, const struct rebalance_user *u,
                                            struct pr_err *err);
struct rebalance_node_ids { /* sorted */
    char (*id)[PR_NODE_ID];
    size_t n, cap;
};
struct rebalance_users_ready { /* which nodes know our users; {0} at first */
    struct rebalance_node_ids made;
    struct rebalance_node_ids late; /* alive, but did not answer: tried again */
    int64_t again_us;               /* when, by the monotonic clock */
    char says[240];                 /* how many are late, and one by name; "" none is */
};
void rebalance_users_ready_done(struct rebalance_users_ready *r); /* empty again */
/* A node of t that is alive has not got our users, and it is time to try. Nodes that
 * failed or left are dropped: one that comes back may know older users again. */
bool rebalance_users_due(struct rebalance_users_ready *r, const struct pr_topology *t,
                         int64_t now_us);
/* On every node of t that is alive and not in r->made, many at once: deletes older
 * users and makes u[n]. service: the service's own user. Begins with no node after
 * until_us (monotonic clock).
 *
 * A node that does not answer is left for later (r->late), and nothing waits for it
 * that does not concern it. That is safe because the argument holds for each node by
 * itself: we act on a node as our user alone, our user is made there only after
 * the older ones were deleted, so nobody acts on a node both as we do and as an older
 * epoch does. Where it is not made yet our commands are refused, and so is the
 * MIGRATE that another node sends there in our name. What an older holder still does
 * there ends at that node: at every other one its user is gone.
 *
 * PR_EDENIED: our own user may not manage users. PR_EFENCED: a newer epoch's user is
 * there. Both name the node; the others were done. */
PR_CHECKED enum pr_code rebalance_users_prepare(struct rebalance_users_ready *r,
                                                const struct pr_topology *t,
                                                const struct pr_redis_auth *service,
                                                const struct rebalance_user *u, size_t n,
                                                int64_t until_us, struct pr_err *err);
/* Best effort, when the lease is given back. */
void rebalance_users_remove(struct pr_cluster *c, const struct rebalance_user *u);

#endif
