/* While the dr service ships this cluster, a vertex is fenced only after its staged copy is durable
 * in the other region: shards are cut at different offsets there, and a stub without its copy would
 * have to roll back. It ships from when dr_groups has rows; nothing turns that off but
 * PRISM_REBALANCE_DR, so a dr service that is down makes moves wait. */
#ifndef REBALANCE_VERTEX_DR_H
#define REBALANCE_VERTEX_DR_H

#include "io/vertex/worker.h"

/* Before a wave: waits until what the destinations of all vertices that would be fenced hold now is
 * durable there; the run says meanwhile what it waits for. When the run is to finish instead, those
 * vertices are left for a later sweep, unfenced. PR_ECANCELED: the run was abandoned. */
PR_CHECKED enum pr_code rebalance_dr_await(struct rebalance_worker *w, struct pr_err *err);

#endif
