/* Stage of the tests of slots that a server moves itself: two shards that are stood in for
 * (fake_pair.h); the worker, its rows and PostgreSQL are the real ones. */
#ifndef PRISM_REBALANCE_JOB_STAGE_H
#define PRISM_REBALANCE_JOB_STAGE_H

#include "fake_pair.h"
#include "rebalance_slot_stage.h"

#include "core/slot/job.h"

enum { JOB_KEYS = 5 }; /* of each slot */

/* Each kind of server in turn. */
extern const enum fake_server job_servers[2];
#define EACH(s)                                                                                    \
    for (size_t s_ = 0; s_ < PR_COUNT(job_servers) && ((s) = job_servers[s_], true); s_++)

void job_begin(enum fake_server source, enum fake_server target);
int job_end(void **state); /* nothing was said that the servers do not know */
void job_sql(const char *sql);
void job_load(void);                /* keys into every slot */
double job_moved(const char *path); /* slots, by "atomic" or "migrate" */
/* Every slot moved that way, and this node has them. */
void job_assert_all(const char *path, int owner);
void job_three_to_a_gigabyte(void); /* slots */
void job_start_and_await(void);     /* the worker; its job hangs */
void job_await_looks(unsigned n);   /* so many more */

#endif
