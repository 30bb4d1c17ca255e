/* PostgreSQL as who holds dr-life writes to it. PR_EFENCED: the lease is not ours any more. */
#ifndef DR_LIFE_DB_H
#define DR_LIFE_DB_H

#include "prism/io/lease.h"

struct dr_life_db { /* borrowed */
    struct pr_db *db;
    const struct pr_lease *lease;
    const char *cluster;
};

/* One statement under the lease. res: may be NULL. */
PR_CHECKED enum pr_code dr_life_run(const struct dr_life_db *l, const char *sql,
                                    const struct pr_arg *args, size_t n, PGresult **res,
                                    struct pr_err *err);

#endif
