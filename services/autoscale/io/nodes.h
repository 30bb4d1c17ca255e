/* Rows of table nodes: who is registered, and what the cluster reports of them. */
#ifndef AUTOSCALE_NODES_H
#define AUTOSCALE_NODES_H

#include "prism/arena.h"
#include "prism/io/db.h"
#include "prism/io/lease.h"

struct autoscale_node_row { /* strings in the arena, "" for NULL */
    const char *id, *zone, *group, *shard;
    bool primary;
    bool member; /* of the cluster, also while it does not answer */
    bool up;
    bool useful; /* up, and has slots or replicates who has */
    int slots;   /* of its shard */
};

/* By id. */
PR_CHECKED enum pr_code autoscale_nodes_load(struct pr_db *db, struct pr_arena *arena,
                                             struct autoscale_node_row **node, size_t *n,
                                             struct pr_err *err);

struct autoscale_registration {
    const char *id, *host, *zone, *group; /* group "": none */
    int port;
};
/* Registers, under the lease. Who is registered already, at the same address, stays.
 * PR_EEXISTS: the address is another node's. PR_ECONFLICT: there is no such zone or group, or the
 * id is none. */
PR_CHECKED enum pr_code autoscale_node_register(struct pr_db *db, const struct pr_lease *lease,
                                                const struct autoscale_registration *r,
                                                struct pr_err *err);
/* Removes rows of who is in the cluster no more, under the lease; others stay. */
PR_CHECKED enum pr_code autoscale_node_unregister(struct pr_db *db, const struct pr_lease *lease,
                                                  const char *id, struct pr_err *err);

#endif
