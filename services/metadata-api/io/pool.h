/* A few PostgreSQL connections shared by the HTTP threads. */
#ifndef METADATA_API_POOL_H
#define METADATA_API_POOL_H

#include "prism/io/db.h"

struct api_pool;

/* size connections, each opened at its first use. */
PR_CHECKED enum pr_code api_pool_open(struct api_pool **pool, const char *uri, const char *name,
                                      int size, struct pr_err *err);
/* Waits up to 5 s for a free one. PR_EUNAVAIL: all are busy. */
PR_CHECKED enum pr_code api_pool_take(struct api_pool *pool, struct pr_db **db, struct pr_err *err);
void api_pool_give(struct api_pool *pool, struct pr_db *db);
void api_pool_close(struct api_pool *pool); /* all given back; NULL is fine */

#endif
