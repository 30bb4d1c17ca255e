/* Looks after PostgreSQL while this replica holds the lease dr-pg: runs the receiver, has backups
 * made, fills gaps of the archive, and tells of it all in dr_pg, metrics and the log. A thread of
 * its own. */
#ifndef DR_PG_WATCH_H
#define DR_PG_WATCH_H

#include "io/settings.h"

struct dr_pg_watch;

struct dr_pg_watch_options { /* borrowed for as long */
    const struct dr_config *cfg;
    const char *db_uri, *holder;
    struct pr_metrics *metrics;
};
/* *out is NULL when PRISM_DR_PG_URI is empty. PR_EINVAL: a setting. */
PR_CHECKED enum pr_code dr_pg_watch_start(struct dr_pg_watch **out,
                                          const struct dr_pg_watch_options *o, struct pr_err *err);
void dr_pg_watch_stop(struct dr_pg_watch *w); /* ends what it runs; NULL is fine */

#endif
