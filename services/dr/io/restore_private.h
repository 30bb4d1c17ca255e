/* Between restore.c and restore_fetch.c. */
#ifndef DR_RESTORE_PRIVATE_H
#define DR_RESTORE_PRIVATE_H

#include "io/restore.h"

struct dr_fetch {
    const struct dr_restore *what;
    const struct dr_generation *g;
    const struct dr_pieces *pieces;
    const struct dr_route *route;
    int base, stream; /* files that are open to be written */
};

/* All parts of the base and all pieces of the route, each verified before it is written at its
 * place. PR_EDATA: one is damaged or missing, also when it is fetched again. */
PR_CHECKED enum pr_code dr_fetch_all(const struct dr_fetch *f, struct pr_err *err);

enum pr_code dr_restore_failed(struct pr_err *err, const char *path); /* as errno says */

#endif
