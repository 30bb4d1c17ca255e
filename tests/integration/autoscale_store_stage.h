/* A database for the tests of what autoscale stores, and connections with the rights of the
 * roles that use it. Include cmocka's headers before this one. */
#ifndef PRISM_TEST_AUTOSCALE_STORE_STAGE_H
#define PRISM_TEST_AUTOSCALE_STORE_STAGE_H

#include "it.h"

#include "prism/arena.h"
#include "prism/io/db.h"
#include "prism/io/lease.h"

enum { STAGE_MINUTE_MS = 60000, STAGE_HOUR_MS = 3600000 };
#define STAGE_DAY_MS INT64_C(86400000)
#define STAGE_NOW    INT64_C(1750000020000) /* a Sunday in June 2025, 15:07 UTC; whole minutes */

struct autoscale_stage {
    char uri[IT_URI];
    struct pr_db *db, *api; /* as the service, as metadata-api */
    struct pr_lease lease;  /* held */
    struct pr_arena arena;
};

/* With fleets `hot` and `proxies`. */
void autoscale_stage_open(struct autoscale_stage *s);
void autoscale_stage_close(struct autoscale_stage *s);
/* As superuser; the first cell, overwritten by the next call. */
const char *autoscale_stage_sql(const struct autoscale_stage *s, const char *text);

#endif
