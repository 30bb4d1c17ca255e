/* Keeps the snapshot: one thread reads PostgreSQL when an event or a handler
 * asks, every few seconds for tokens and routes, and every 30 s for all, and
 * swaps in a new immutable snapshot. */
#ifndef METADATA_API_REFRESH_H
#define METADATA_API_REFRESH_H

#include "api_snapshot.h"
#include "prism/io/metrics.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    API_TOPO = 1,
    API_DELTAS = 2,
    API_TOKENS = 4,
    API_EVERYTHING = API_TOPO | API_DELTAS | API_TOKENS
};

/* The current snapshot: readers take a reference, the refresher swaps. */
struct api_cell;
struct api_cell *api_cell_new(void);
void api_cell_free(struct api_cell *c);                /* drops its snapshot; NULL is fine */
struct api_snapshot *api_cell_get(struct api_cell *c); /* referenced; NULL before the first */
void api_cell_set(struct api_cell *c, struct api_snapshot *s); /* takes it over */

struct api_refresher;
PR_CHECKED enum pr_code api_refresher_new(struct api_refresher **r, struct api_cell *cell,
                                          struct pr_err *err);
/* Starts the thread, with a connection of its own. */
PR_CHECKED enum pr_code api_refresher_start(struct api_refresher *r, const char *db_uri,
                                            const char *name, int64_t token_ttl_ms, int64_t full_ms,
                                            struct pr_err *err);
void api_refresher_stop(struct api_refresher *r); /* waiters get PR_ECANCELED */
void api_refresher_free(struct api_refresher *r); /* NULL is fine */

/* Asks for parts soon; never waits. delta: id of a delta row heard of, or 0. */
void api_refresher_ask(struct api_refresher *r, int parts, int64_t delta);
/* Asks, and waits until a read that began after this call is in the snapshot.
 * PR_EUNAVAIL with the reason when that read failed; PR_ETIMEOUT. */
PR_CHECKED enum pr_code api_refresher_wait(struct api_refresher *r, int parts, int timeout_ms,
                                           struct pr_err *err);

/* Did the last read fail? What is known may be old then. */
bool api_refresher_failing(struct api_refresher *r);

struct api_refresher_stats {
    uint64_t reads, failed; /* since start */
};
void api_refresher_stats(struct api_refresher *r, struct api_refresher_stats *out);

#endif
