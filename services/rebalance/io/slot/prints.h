/* Prints of vertices: a number that changes when one's value or its expiry does, made by the
 * library's function prism_print. Taken before keys are sent, they tell afterwards which of two
 * copies was written since; core/slot/drain.h has the rules. */
#ifndef REBALANCE_SLOT_PRINTS_H
#define REBALANCE_SLOT_PRINTS_H

#include "io/slot/copies.h"
#include "io/slot/pair.h"

struct rebalance_printer {            /* zero: not connected */
    struct pr_redis *replica, *taker; /* of the source; the target's primary */
    int64_t until_us, rest_until_us;  /* of this time; it failed: none until then */
    size_t next;                      /* whom to ask after a failure */
};

/* Prints of the pieces' keys, on a replica of the source: its primary is spared, and without a
 * replica nobody is promoted. Within a fifth of a second; what is not printed by then, or fails,
 * leaves the keys without: that loses nothing but a witness. A slot of which the target has keys
 * already has none: they would be taken for what was sent. */
void rebalance_prints_take(struct rebalance_pair *p, struct rebalance_printer *w,
                           struct rebalance_piece *piece, size_t n);
void rebalance_printer_close(struct rebalance_printer *w);

/* One command that asks for the print of one key, and its answer. *print 0: unknown, whatever the
 * reason. */
PR_CHECKED enum pr_code rebalance_print_append(const struct rebalance_copy_at *at, const char *key,
                                               size_t len, struct pr_err *err);
PR_CHECKED enum pr_code rebalance_print_read(const struct rebalance_copy_at *at, uint64_t *print,
                                             struct pr_err *err);

#endif
