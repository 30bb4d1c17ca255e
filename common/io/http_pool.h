/* Threads that run what may wait, while the loop goes on with other connections: the connection of
 * a job is suspended until the job has run. */
#ifndef PRISM_HTTP_POOL_H
#define PRISM_HTTP_POOL_H

#include "prism/err.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

struct pr_http_pool;

/* Part of what it works on. From add until its connection's next callback it is the pool's. */
struct pr_http_job {
    struct MHD_Connection *mhd;
    /* By a worker. false: there is nothing to tell yet; it is run again after pr_http_pool_tell. */
    bool (*run)(struct pr_http_job *job);
    bool unlimited;           /* is queued however long the queue is, before all others */
    bool stranger;            /* nobody knows yet whose it is: a quarter of the queue at most */
    bool dropped;             /* by pr_http_pool_stop: it was not run to its end */
    struct pr_http_job *next; /* of the pool */
};

/* queue: jobs that may wait for a worker. */
PR_CHECKED enum pr_code pr_http_pool_open(struct pr_http_pool **out, unsigned workers, size_t queue,
                                          struct pr_err *err);
/* In a callback of the job's connection. false: the queue is full, or it was stopped; nothing was
 * done. */
bool pr_http_pool_add(struct pr_http_pool *p, struct pr_http_job *job);
/* Runs what had nothing to tell once more. */
void pr_http_pool_tell(struct pr_http_pool *p);
/* Waits for what runs, and drops the rest: no connection stays suspended, none will be. Twice is
 * harmless. */
void pr_http_pool_stop(struct pr_http_pool *p);
void pr_http_pool_close(struct pr_http_pool *p); /* after stop; NULL is fine */

#endif
