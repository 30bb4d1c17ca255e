/* What must be right before a plan touches anything. Every refusal names the node
 * and what is wrong. Nothing is changed. */
#ifndef REBALANCE_PREFLIGHT_H
#define REBALANCE_PREFLIGHT_H

#include "io/settings.h"

#include "prism/io/db.h"
#include "prism/io/redis.h"

/* A registered node that is to join: it answers, knows our user and password, is
 * Redis 7 or newer in cluster mode, holds no key and no slot, knows no other
 * cluster, has noeviction and appendonly as the members have, a default user that
 * can load the append-only file, and the members' Redis users; its host is the
 * address that the others will see. A node that is a member already: PR_OK.
 * What joining sets itself is not asked for: cluster-require-full-coverage,
 * cluster-allow-replica-migration, the function library.
 * PR_ENOTFOUND, PR_EUNAVAIL, PR_EDENIED, PR_ECONFLICT. */
PR_CHECKED enum pr_code rebalance_preflight_join(struct pr_db *db, struct pr_cluster *c,
                                                 const struct rebalance_config *cfg,
                                                 const char *node, struct pr_err *err);
/* Every step of a plan: its nodes are registered, their zones known, who is to act
 * answers and is fit (pr_cluster_check for primaries), who is to join passes
 * the above, who is a member or joins in the plan only. */
PR_CHECKED enum pr_code rebalance_preflight_plan(struct pr_db *db, struct pr_cluster *c,
                                                 const struct rebalance_config *cfg,
                                                 int64_t plan_id, struct pr_err *err);

#endif
