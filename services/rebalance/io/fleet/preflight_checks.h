/* The single checks; words do not name the node, the caller does. */
#ifndef REBALANCE_PREFLIGHT_CHECKS_H
#define REBALANCE_PREFLIGHT_CHECKS_H

#include "io/fleet/duties_links.h"

/* PR_ECONFLICT: neither its registration nor a subnet gives it a zone. */
PR_CHECKED enum pr_code preflight_zone(struct pr_db *db, const char *node, struct pr_err *err);
/* A member answers us. */
PR_CHECKED enum pr_code preflight_answers(struct pr_cluster *c, const struct duty_node *n,
                                          struct pr_err *err);
/* Redis 7 or newer, in cluster mode. */
PR_CHECKED enum pr_code preflight_server(struct pr_redis *conn, struct pr_err *err);
/* No key, no slot, no other cluster, and the address is one that MEET takes. */
PR_CHECKED enum pr_code preflight_empty(struct pr_cluster *c, struct pr_redis *conn,
                                        const struct duty_node *n, struct pr_err *err);
/* noeviction, and what else it must have as the members have it. */
PR_CHECKED enum pr_code preflight_settings(struct pr_redis *conn, struct pr_redis *model,
                                           struct pr_err *err);
/* The same Redis users with the same rights and passwords; those that we make for
 * an epoch apart. */
PR_CHECKED enum pr_code preflight_users(struct pr_redis *conn, struct pr_redis *model,
                                        struct pr_err *err);

#endif
