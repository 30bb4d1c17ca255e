/* Copies: of a key on two nodes, and of a primary's writes at its replicas. */
#ifndef REBALANCE_SLOT_COPIES_H
#define REBALANCE_SLOT_COPIES_H

#include "core/slot/drain.h"
#include "core/slot/flight.h"
#include "core/slot/reign.h"

#include "prism/io/redis.h"

/* Two replies of SMEMBERS (width 1) or HGETALL (width 2) say the same, in whatever
 * order: hash tables are DUMPed in an order of each node's own. Sorts both. */
bool rebalance_copies_equal(redisReply *a, redisReply *b, size_t width);

struct rebalance_copy_at { /* where one copy is; borrowed */
    struct pr_redis *conn;
    bool asking; /* the node imports the slot: it answers ASKING alone */
};
PR_CHECKED enum pr_code rebalance_copy_append(const struct rebalance_copy_at *at, int argc,
                                              const char *const *argv, const size_t *len,
                                              struct pr_err *err);
/* *out is the caller's, an error of the server's (PR_E...) too; NULL: nothing came. */
PR_CHECKED enum pr_code rebalance_copy_read(const struct rebalance_copy_at *at, redisReply **out,
                                            struct pr_err *err);
/* Both. */
PR_CHECKED enum pr_code rebalance_copy_ask(const struct rebalance_copy_at *at, int argc,
                                           const char *const *argv, const size_t *len,
                                           redisReply **out, struct pr_err *err);

/* Whether two copies hold the same although their DUMPs differ: a string that one node
 * alone has compressed, a hash or a set in another order. type: of the first; of other
 * types the DUMPs alone say it (false), and so it is when the second has another type. */
PR_CHECKED enum pr_code rebalance_copies_same(const struct rebalance_copy_at *a,
                                              const struct rebalance_copy_at *b, const char *key,
                                              size_t len, enum rebalance_key_type type, bool *same,
                                              struct pr_err *err);

/* Of two replies of HGETALL: the first has every field that the second has, and none of these has
 * another number, which may have been counted from nothing. Sorts both. */
bool rebalance_copies_covers(redisReply *a, redisReply *b);
/* Of two hashes. */
PR_CHECKED enum pr_code rebalance_copies_cover(const struct rebalance_copy_at *a,
                                               const struct rebalance_copy_at *b, const char *key,
                                               size_t len, bool *covers, struct pr_err *err);

/* Deletes a key that conn WATCHes unless somebody wrote to it since. *changed: somebody
 * did, and it is there. asking: the slot is being imported there. All answers are read
 * even when one of them is an error. */
PR_CHECKED enum pr_code rebalance_copy_unlink(struct pr_redis *conn, bool asking, const char *key,
                                              size_t len, bool *changed, struct pr_err *err);

/* From INFO replication of a primary: how far it has written, and how far the slowest
 * replica in step has said that it has come; -1: not told, or no replica in step. */
long long rebalance_copies_written(const char *info);
long long rebalance_copies_acked(const char *info);

/* A node with a child process (BGSAVE, the rewrite of its AOF, a full copy for a replica)
 * does not note the use of its keys: OBJECT IDLETIME then counts from an earlier one. */
struct rebalance_forks {
    long long total;       /* as INFO said last */
    int64_t none_since_us; /* no child has run since; our clock; INT64_MAX: one runs, or unknown */
};
/* info: INFO stats persistence, read at now_us. Begin with zero: who never forked says so. */
void rebalance_copies_forks(const char *info, int64_t now_us, struct rebalance_forks *f);

struct rebalance_written rebalance_copies_point(const char *info);
/* info of a promoted replica: it had come at least as far when it was promoted, so
 * nothing written up to there was lost. Of its last promotion alone. */
bool rebalance_copies_inherited(const char *info, const struct rebalance_written *point);
/* Its histories. */
void rebalance_copies_reign(const char *info, struct rebalance_reign *out);

#endif
