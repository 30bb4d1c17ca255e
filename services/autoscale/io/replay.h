/* A stored decision, decided again. */
#ifndef AUTOSCALE_REPLAY_H
#define AUTOSCALE_REPLAY_H

#include "prism/buf.h"
#include "prism/io/db.h"

#include <stdbool.h>

/* *same false: a line for each member that differs. PR_ENOTFOUND: there is no such decision.
 * PR_EINVAL, PR_EDATA: what is stored cannot be read any more. */
PR_CHECKED enum pr_code autoscale_decision_replay(struct pr_db *db, int64_t id, bool *same,
                                                  struct pr_buf *difference, struct pr_err *err);

#endif
