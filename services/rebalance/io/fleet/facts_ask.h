/* What each node says of itself. */
#ifndef REBALANCE_FACTS_ASK_H
#define REBALANCE_FACTS_ASK_H

#include "io/fleet/facts.h"

struct node_says {
    double maxmemory_bytes, used_bytes, ops_per_s, key_bytes; /* key_bytes: mean; 0: no key */
    long keys;
};
/* Every member of the topology that the cluster calls alive; says[nodes of the topology].
 * Refusals name the node. */
PR_CHECKED enum pr_code facts_ask_members(struct pr_cluster *c, struct node_says *says,
                                          struct pr_err *err);
/* One registered node that is no member; false: it does not answer. */
bool facts_ask_stranger(const struct rebalance_config *cfg, const char *host, int port,
                        struct node_says *says);
/* From the text of INFO. PR_ECONFLICT: older than Redis 7. */
PR_CHECKED enum pr_code facts_read_info(const char *info, struct node_says *out,
                                        struct pr_err *err);

#endif
