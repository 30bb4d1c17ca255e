/* Metrics of plans that need somebody: how long the one that runs has stood still, and how many are
 * stuck. From the tables, so every replica says the same, also of an executor that is no more. */
#ifndef REBALANCE_IO_STANDSTILL_H
#define REBALANCE_IO_STANDSTILL_H

#include "core/standstill.h"

#include "prism/io/db.h"
#include "prism/io/metrics.h"

PR_CHECKED enum pr_code rebalance_standstill_tell(struct rebalance_standstill *s, struct pr_db *db,
                                                  struct pr_metrics *metrics, struct pr_err *err);

#endif
