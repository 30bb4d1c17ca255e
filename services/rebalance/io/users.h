/* Redis cannot check a lease epoch, so each epoch has its own Redis users:
 * prism-mv-<epoch> moves vertices, prism-fl-<epoch> changes the fleet. A new holder deletes the
 * older ones on every node, which ends their connections, before it makes its own: a stale holder's
 * late commands are refused. Source: docs/reference/data-plane.md, "Redis users". */
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
/* On every node of c's topology that the cluster does not call failed: deletes
 * older users and makes this one. c acts as the service's own user. *failed:
 * nodes left out because the cluster calls them failed; prepare again when one
 * comes back, it may still know older users. A node that does not answer is skipped and named in
 * err (PR_EUNAVAIL) after all others were done: nobody can act on it as this user before it was
 * prepared. PR_EDENIED: our own user may not manage users. PR_EFENCED: a newer epoch's user is
 * there. */
PR_CHECKED enum pr_code rebalance_users_prepare(struct pr_cluster *c,
                                                const struct rebalance_user *u, size_t *failed,
                                                struct pr_err *err);
/* Best effort, when the lease is given back. */
void rebalance_users_remove(struct pr_cluster *c, const struct rebalance_user *u);

#endif
