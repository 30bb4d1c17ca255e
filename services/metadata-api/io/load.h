/* Reads the parts of a snapshot from PostgreSQL. Call inside one repeatable
 * read transaction, so that the parts fit together. Each part is handed out
 * with one reference, and only on PR_OK. */
#ifndef METADATA_API_LOAD_H
#define METADATA_API_LOAD_H

#include "api_snapshot.h"
#include "prism/io/db.h"

PR_CHECKED enum pr_code api_load_topo(struct pr_db *db, struct api_topo **out, struct pr_err *err);
/* have: the part in use; heard: highest delta id named by an event. *out stays
 * NULL when nothing changed. partitions 0: no store, so no route is read. */
PR_CHECKED enum pr_code api_load_deltas(struct pr_db *db, const struct api_deltas *have,
                                        int64_t heard, uint32_t partitions, struct api_deltas **out,
                                        struct pr_err *err);
PR_CHECKED enum pr_code api_load_tokens(struct pr_db *db, struct api_tokens **out,
                                        struct pr_err *err);

/* Columns of one node or zone, read by the functions below; "n" or "z" is the
 * table's alias. */
#define API_NODE_COLUMNS                                                                           \
    "n.id, n.host, n.port, coalesce(n.zone_id, ''), coalesce(n.placement_group, ''), "             \
    "coalesce(n.redis_id, ''), n.role, coalesce(n.shard_id, ''), n.state, n.slots, "               \
    "coalesce(to_json(n.seen_at)#>>'{}', ''), n.revision, n.generation"
#define API_ZONE_COLUMNS "z.id, coalesce(z.subnet::text, ''), z.capacity_ratio, z.revision"
/* The zone's id stays in the result: column 3. */
void api_node_read(const PGresult *res, int row, struct api_node *out);
enum { API_NODE_ZONE_COLUMN = 3 };
void api_zone_read(const PGresult *res, int row, struct api_zone *out);

#endif
