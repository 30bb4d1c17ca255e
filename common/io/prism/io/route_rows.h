/* Writes many rows of route_bases with one statement. The blobs travel as one
 * byte string that the server cuts up: a row at a time costs a round trip a
 * home partition, thousands of them. */
#ifndef PRISM_IO_ROUTE_ROWS_H
#define PRISM_IO_ROUTE_ROWS_H

#include "prism/buf.h"
#include "prism/io/db.h"

struct pr_route_rows {
    struct pr_buf home, at, bytes, blob; /* three array literals, and all blobs */
};

void pr_route_rows_init(struct pr_route_rows *r);
void pr_route_rows_done(struct pr_route_rows *r);
/* blob: packed routes (prism/routes.h), copied. */
void pr_route_rows_add(struct pr_route_rows *r, uint32_t home, const void *blob, size_t bytes);
/* Inserts or replaces all of them and empties r. Nothing added: nothing done.
 * kind: "current" or "target". */
PR_CHECKED enum pr_code pr_route_rows_write(struct pr_db *db, const char *kind, int64_t run_id,
                                            struct pr_route_rows *r, struct pr_err *err);

#endif
