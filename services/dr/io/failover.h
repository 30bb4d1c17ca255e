/* prism.rpc.dr.failover: region fail-overs that are asked for over NATS. What takes long is done
 * by a thread of its own, one thing at a time; what it is at is in the journal in the bucket, so
 * an answer needs neither PostgreSQL nor this process's memory. */
#ifndef DR_FAILOVER_H
#define DR_FAILOVER_H

#include "io/settings.h"

#include "prism/io/bus.h"

struct dr_failover;

/* cfg and db_uri are borrowed until the stop. */
PR_CHECKED enum pr_code dr_failover_open(struct dr_failover **out, const struct dr_config *cfg,
                                         const char *db_uri, struct pr_err *err);
/* Answers one request; ctx is the struct dr_failover. PR_EINVAL: no such request, or no sites are
 * configured. PR_ECONFLICT: something is under way, or the plan is not ready. PR_ENOTFOUND:
 * nothing is under way. */
pr_rpc_fn dr_failover_ask;
/* Fail-over `number`, which the owner's marker is of (0: none), is not under way anywhere, as far
 * as the bucket tells, and nothing is here. One that is newer has not claimed anything. A request
 * or two. */
bool dr_failover_settled(struct dr_failover *f, uint64_t number);
/* What is at work stops at its next step, for RESUME; waits for it. Both: NULL is fine. */
void dr_failover_stop(struct dr_failover *f);
void dr_failover_close(struct dr_failover *f);

#endif
