/* What duties, repair and preflight share: how nodes are looked at and acted on. */
#ifndef REBALANCE_DUTIES_LINKS_H
#define REBALANCE_DUTIES_LINKS_H

#include "core/fleet/view.h"
#include "io/fleet/duties.h"

struct duty_node { /* a registered node, and where the cluster has it now */
    char id[64], host[PR_HOST], shard[64];
    int port;
    char redis_id[PR_NODE_ID], primary_id[PR_NODE_ID]; /* redis_id "": never seen in the cluster */
    bool member, primary, failed;
    int slots;
};
/* PR_ENOTFOUND: not registered. Looks at the topology that c has now. */
PR_CHECKED enum pr_code duty_node(struct pr_db *db, struct pr_cluster *c, const char *id,
                                  struct duty_node *out, struct pr_err *err);
/* The same for a node of the topology by its Redis id; "host:port" when nobody
 * registered it. PR_ENOTFOUND: not in the cluster. */
PR_CHECKED enum pr_code duty_member(struct pr_db *db, struct pr_cluster *c, const char *redis_id,
                                    struct duty_node *out, struct pr_err *err);

/* Connections of the caller's. look: as the service's own user, whether or not the
 * node is a member. act: as the fleet user, made there first when it is not known. */
PR_CHECKED enum pr_code duty_look(const struct rebalance_config *cfg, const char *host, int port,
                                  struct pr_redis **conn, struct pr_err *err);
PR_CHECKED enum pr_code duty_act(const struct rebalance_duty_ctx *ctx, const char *host, int port,
                                 struct pr_redis **conn, struct pr_err *err);
static inline void pr_auto_duty_conn(struct pr_redis **c)
{
    pr_redis_close(*c);
}
typedef struct pr_redis duty_conn; /* PR_AUTO(duty_conn) *c = NULL; */

/* Asks a member as the service's own user; once more when the connection had been
 * closed meanwhile. The reply is text. */
PR_CHECKED enum pr_code duty_ask(struct pr_cluster *c, const char *redis_id, const char *command,
                                 redisReply **reply, struct pr_err *err);

/* Sends one command that changes something: only with more lease left than the
 * command's time-out (it waits for the renewal). reply may be NULL. */
PR_CHECKED enum pr_code duty_send(const struct rebalance_duty_ctx *ctx, struct pr_redis *conn,
                                  redisReply **reply, struct pr_err *err, int argc,
                                  const char *const *argv);
#define DUTY_SEND(ctx, conn, err, ...)                                                             \
    duty_send(ctx, conn, NULL, err,                                                                \
              (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)),                     \
              (const char *[]){ __VA_ARGS__ })
/* PR_OK: the lease outlives a command that may take timeout_ms. PR_EFENCED, PR_ECANCELED. */
PR_CHECKED enum pr_code duty_lease(const struct rebalance_duty_ctx *ctx, int64_t timeout_ms,
                                   struct pr_err *err);

/* Waits a little, tends to the rest. PR_ECANCELED: asked to stop. */
PR_CHECKED enum pr_code duty_nap(const struct rebalance_duty_ctx *ctx, int ms, struct pr_err *err);

/* CLUSTER NODES of one node. */
PR_CHECKED enum pr_code duty_view(struct pr_redis *conn, const char *host, struct pr_arena *arena,
                                  struct rebalance_view *out, struct pr_err *err);
/* Waits until the view of every live member (but `but`, a Redis id, NULL none)
 * satisfies agrees. PR_ETIMEOUT: names one that does not, and `what`. */
PR_CHECKED enum pr_code
duty_everyone(const struct rebalance_duty_ctx *ctx, const char *but,
              bool (*agrees)(const struct rebalance_view *v, const void *arg), const void *arg,
              int deadline_ms, const char *what, struct pr_err *err);
/* true: the replica follows its primary and is at most a MiB behind, and the primary
 * lists it. False with the reason in why. */
bool duty_in_step(const struct rebalance_duty_ctx *ctx, const char *primary_id,
                  const char *replica_id, char *why, size_t size);
/* A number or the text of INFO; NULL, 0 when it is not there. */
const char *duty_info(const char *info, const char *name);
double duty_info_number(const char *info, const char *name);

#endif
