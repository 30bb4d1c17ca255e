/* Which slots a node's shard owns, and by which epoch, as the node itself says. */
#ifndef DR_OWNED_H
#define DR_OWNED_H

#include "core/generation.h"

#include "prism/io/redis.h"

/* From the answer to CLUSTER NODES of a primary or replica: the slots of its shard (see struct
 * dr_generation) and the configuration epoch that its primary has for them. host: that was asked.
 * PR_EDATA: it does not know itself, or its primary. */
PR_CHECKED enum pr_code dr_owned_parse(const char *cluster_nodes, const char *host,
                                       uint8_t slots[DR_SLOTS / 8], uint64_t *epoch,
                                       struct pr_err *err);
PR_CHECKED enum pr_code dr_owned_ask(const char *host, int port, const struct pr_redis_auth *auth,
                                     int timeout_ms, uint8_t slots[DR_SLOTS / 8], uint64_t *epoch,
                                     struct pr_err *err);

#endif
