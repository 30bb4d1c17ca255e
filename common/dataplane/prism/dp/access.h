/* Tells which partitions were used, in prism.edges.access (proto/prism/v1/edges.proto), so that
 * others know which are hot and which nobody wants. What is told may be lost. */
#ifndef PRISM_DP_ACCESS_H
#define PRISM_DP_ACCESS_H

#include "prism/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct dp_access; /* counters of a store's partitions, and a connection to NATS */

/* NATS as PRISM_NATS_URL, PRISM_NATS_USER and PRISM_NATS_PASSWORD (or _PASSWORD_FILE) say.
 * PR_EINVAL: there is no URL, or a wrong one. While nobody answers what is counted is lost. */
PR_CHECKED enum pr_code dp_access_open(struct dp_access **a, uint32_t partitions,
                                       struct pr_err *err);
/* [partitions]: add to them from any thread. */
atomic_uint *dp_access_counters(struct dp_access *a);
/* Tells what was counted since the last time, and counts from none. One thread. */
void dp_access_tell(struct dp_access *a, int64_t now_ms);
void dp_access_close(struct dp_access *a); /* NULL is fine; what was not told is lost */

#endif
