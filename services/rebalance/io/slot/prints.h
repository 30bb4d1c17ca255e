/* Prints of values: a number that changes when a key's value or its expiry does, made by the
 * library's function prism_print. Taken before keys are sent, they tell afterwards which of two
 * copies was written since; core/slot/drain.h has the rules. */
#ifndef REBALANCE_SLOT_PRINTS_H
#define REBALANCE_SLOT_PRINTS_H

#include "io/slot/copies.h"
#include "io/slot/keys.h"

struct rebalance_pair;

struct rebalance_printer { /* a connection to a replica; zero: none yet */
    struct pr_redis *conn;
    int64_t rest_until_us; /* it failed: keys go without prints until then */
    size_t next;           /* whom to ask after a failure */
};

/* Prints of the keys of all lists, on a replica of shard k: its primary is spared, and without a
 * replica nobody is promoted. What fails leaves the keys without: that loses nothing but a
 * witness. */
void rebalance_prints_take(struct rebalance_pair *p, struct rebalance_printer *w, int k,
                           struct rebalance_keys *const *lists, size_t n);
void rebalance_printer_close(struct rebalance_printer *w);

/* One command that asks for the print of one key, and its answer. *print 0: unknown, whatever the
 * reason; asks: "it is not here, ask there". */
PR_CHECKED enum pr_code rebalance_print_append(const struct rebalance_copy_at *at, const char *key,
                                               size_t len, struct pr_err *err);
PR_CHECKED enum pr_code rebalance_print_read(const struct rebalance_copy_at *at, uint64_t *print,
                                             bool *asks, struct pr_err *err);

#endif
