/* Singleton lease in PostgreSQL with an increasing fencing epoch. The holder
 * renews; every write of the holder checks the epoch in its own transaction.
 * Time is PostgreSQL's, so clocks of the holders do not matter. */
#ifndef PRISM_IO_LEASE_H
#define PRISM_IO_LEASE_H

#include "prism/io/db.h"

struct pr_lease {
    char name[64], holder[64];
    uint64_t epoch; /* 0: not held */
    int64_t ttl_ms;
};

/* Takes a free or expired lease with a higher epoch, or renews our own.
 * PR_ECONFLICT: held by another (named in err). */
PR_CHECKED enum pr_code pr_lease_hold(struct pr_db *db, struct pr_lease *l, struct pr_err *err);
void pr_lease_release(struct pr_db *db, struct pr_lease *l);
/* Inside a transaction: PR_EFENCED unless l->epoch is the newest and l is not
 * expired. Locks the lease row FOR SHARE until the transaction ends. */
PR_CHECKED enum pr_code pr_lease_check(struct pr_db *db, const struct pr_lease *l,
                                       struct pr_err *err);

#endif
