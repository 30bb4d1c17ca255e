/* Reads what placement needs of the store from PostgreSQL. */
#ifndef PLACEMENT_STORE_READ_H
#define PLACEMENT_STORE_READ_H

#include "core/store.h"
#include "prism/io/db.h"

struct placement_loaded {
    struct placement_store store;
    struct placement_today today;
    PGresult *routes; /* today's blobs live here */
};

/* Partitions, zones and the zone of every partition.
 * PR_EINVAL: the store is not initialised, no topology yet, or the zone of a
 * slot in use is unknown (the slot is named): nothing moves then. */
PR_CHECKED enum pr_code placement_store_read(struct pr_db *db, struct placement_store *out,
                                             struct pr_err *err);

/* The same and today's routes, all of one moment (one REPEATABLE READ
 * transaction). placement_loaded_done frees it, also after a failure. */
PR_CHECKED enum pr_code placement_load(struct pr_db *db, struct placement_loaded *out,
                                       struct pr_err *err);
void placement_loaded_done(struct placement_loaded *l);

#endif
