#include "io/targets_table.h"

#include "prism/io/route_rows.h"
#include "prism/routes.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 16 << 20, CHUNK_ROWS = 65536 };

static enum pr_code write_chunk(struct pr_db *db, int64_t run_id, const struct placement_targets *t,
                                uint32_t first, uint32_t end, struct pr_err *err)
{
    struct pr_route_rows rows;
    pr_route_rows_init(&rows);
    for (uint32_t h = first; h < end; h++)
        if (t->start[h + 1] > t->start[h])
            pr_route_rows_add(&rows, h, t->blob.data + t->start[h], t->start[h + 1] - t->start[h]);
    const enum pr_code rc = pr_route_rows_write(db, "target", run_id, &rows, err);
    pr_route_rows_done(&rows);
    return rc;
}

static enum pr_code write_hints(struct pr_db *db, int64_t run_id,
                                const struct placement_store *store,
                                const struct placement_result *r, struct pr_err *err)
{
    struct pr_buf zone, vertices;
    pr_buf_init(&zone, 0);
    pr_buf_init(&vertices, 0);
    for (uint32_t p = 0; p < store->partitions; p++) { /* zone ids need no quotes in arrays */
        pr_buf_printf(&zone, "%s%s", p == 0 ? "{" : ",", store->zone[store->zone_of[p]].id);
        pr_buf_printf(&vertices, "%s%u", p == 0 ? "{" : ",", r->load[p]);
    }
    pr_buf_str(&zone, "}");
    pr_buf_str(&vertices, "}");
    enum pr_code rc = PR_OK;
    if (zone.failed || vertices.failed)
        rc = pr_fail(err, PR_ENOMEM, "out of memory writing the hints of run %lld",
                     (long long)run_id);
    else
        rc = pr_db_exec(db,
                        "INSERT INTO hints (run_id, partition, zone_id, vertices) "
                        "SELECT $1::bigint, i - 1, z, v FROM unnest($2::text[], $3::bigint[]) "
                        "WITH ORDINALITY AS t (z, v, i)",
                        PR_ARGS(pr_i64(run_id), pr_text(zone.data), pr_text(vertices.data)), NULL,
                        err);
    pr_buf_done(&zone);
    pr_buf_done(&vertices);
    return rc;
}

enum pr_code placement_targets_write(struct pr_db *db, int64_t run_id,
                                     const struct placement_store *store,
                                     const struct placement_result *r, struct pr_err *err)
{
    const struct placement_targets *t = &r->targets;
    enum pr_code rc = PR_OK;
    for (uint32_t first = 0; first < store->partitions && rc == PR_OK;) {
        uint32_t end = first + 1;
        while (end < store->partitions && end - first < CHUNK_ROWS &&
               t->start[end + 1] - t->start[first] <= CHUNK_BYTES)
            end++;
        rc = write_chunk(db, run_id, t, first, end, err);
        first = end;
    }
    if (rc == PR_OK)
        rc = write_hints(db, run_id, store, r, err);
    return rc;
}

enum pr_code placement_targets_prune(struct pr_db *db, int64_t keep, struct pr_err *err)
{
    PGresult *res = NULL;
    enum pr_code rc =
        pr_db_exec(db,
                   "UPDATE placement_runs SET report = report || '{\"targets_kept\": false}' "
                   "WHERE state = 'done' AND (report ->> 'targets_kept')::boolean "
                   "AND id NOT IN (SELECT id FROM placement_runs WHERE state = 'done' "
                   "               AND coalesce(params ->> 'kind', 'placement') = 'placement' "
                   "               ORDER BY id DESC LIMIT $1) "
                   "AND id NOT IN (SELECT run_id FROM plans "
                   "               WHERE state NOT IN ('done', 'failed', 'canceled')) RETURNING id",
                   PR_ARGS(pr_i64(keep)), &res, err);
    if (rc != PR_OK)
        return rc;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++) {
        const int64_t run_id = pr_cell_i64(res, i, 0);
        rc = pr_db_exec(db, "DELETE FROM route_bases WHERE kind = 'target' AND run_id = $1",
                        PR_ARGS(pr_i64(run_id)), NULL, err);
        if (rc == PR_OK)
            rc = pr_db_exec(db, "DELETE FROM hints WHERE run_id = $1", PR_ARGS(pr_i64(run_id)),
                            NULL, err);
    }
    PQclear(res);
    return rc;
}

enum pr_code placement_traffic_write(struct pr_db *db, int64_t run_id, const char *kind,
                                     const struct pr_buf *traffic, struct pr_err *err)
{
    return pr_db_exec(db, "INSERT INTO slot_traffic (run_id, kind, blob) VALUES ($1, $2, $3)",
                      PR_ARGS(pr_i64(run_id), pr_text(kind), pr_bytes(traffic->data, traffic->len)),
                      NULL, err);
}

enum pr_code placement_traffic_prune(struct pr_db *db, int64_t keep, struct pr_err *err)
{
    return pr_db_exec(db,
                      "DELETE FROM slot_traffic WHERE run_id NOT IN (SELECT DISTINCT run_id "
                      "FROM slot_traffic ORDER BY run_id DESC LIMIT $1) AND NOT EXISTS "
                      "(SELECT FROM plans p WHERE p.run_id = slot_traffic.run_id "
                      "AND p.state NOT IN ('done', 'failed', 'canceled'))",
                      PR_ARGS(pr_i64(keep)), NULL, err);
}
