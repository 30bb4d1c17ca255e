#include "io/vertex/table.h"

#include "prism/io/route_rows.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum pr_code rebalance_partitions(struct pr_db *db, uint32_t *partitions, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db, "SELECT partitions FROM store", NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) == 0)
        return pr_fail(err, PR_ENOTFOUND, "the store has no partition count: nothing was loaded");
    *partitions = (uint32_t)pr_cell_i64(res, 0, 0);
    return PR_OK;
}

static enum pr_code table_new(struct rebalance_table *t, uint32_t partitions, struct pr_err *err)
{
    *t = (struct rebalance_table){ .partitions = partitions };
    t->home = calloc(partitions, sizeof *t->home);
    if (t->home == NULL)
        return pr_fail(err, PR_ENOMEM, "routes of %u partitions", partitions);
    return PR_OK;
}

void rebalance_table_done(struct rebalance_table *t)
{
    for (uint32_t p = 0; t->home != NULL && p < t->partitions; p++)
        pr_buf_done(&t->home[p]);
    free(t->home);
    *t = (struct rebalance_table){ 0 };
}

bool rebalance_table_find(const struct rebalance_table *t, uint64_t hash, uint32_t *partition)
{
    const struct pr_buf *b = &t->home[pr_home_partition(hash, t->partitions)];
    return b->len > 0 && pr_routes_find(b->data, b->len, hash, partition);
}

static uint32_t cell_u32(const PGresult *r, int row, int col) /* int4 of a binary result */
{
    const unsigned char *p = (const unsigned char *)PQgetvalue(r, row, col);
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static enum pr_code load_bases(struct pr_db *db, const char *kind, int64_t run_id,
                               struct rebalance_table *t, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc =
        pr_db_exec_binary(db, "SELECT home, blob FROM route_bases WHERE kind = $1 AND run_id = $2",
                          PR_ARGS(pr_text(kind), pr_i64(run_id)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res); i++) {
        const uint32_t home = cell_u32(res, i, 0);
        const char *blob = PQgetvalue(res, i, 1);
        const size_t bytes = (size_t)PQgetlength(res, i, 1);
        if (home >= t->partitions)
            return pr_fail(err, PR_EDATA, "%s routes of run %lld name home partition %u of %u",
                           kind, (long long)run_id, home, t->partitions);
        rc = pr_routes_check(blob, bytes, t->partitions, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "%s routes of run %lld, home partition %u", kind,
                           (long long)run_id, home);
        pr_buf_reset(&t->home[home]);
        pr_buf_add(&t->home[home], blob, bytes);
        if (t->home[home].failed)
            return pr_fail(err, PR_ENOMEM, "%s routes of run %lld", kind, (long long)run_id);
        t->entries += pr_routes_count(bytes);
    }
    t->base_entries = t->entries;
    return PR_OK;
}

enum pr_code rebalance_table_target(struct pr_db *db, int64_t run_id, uint32_t partitions,
                                    struct rebalance_table *out, struct pr_err *err)
{
    enum pr_code rc = table_new(out, partitions, err);
    return rc == PR_OK ? load_bases(db, "target", run_id, out, err) : rc;
}

/* Sorts the entries of one delta to the home partitions that they belong to. */
static enum pr_code spread_delta(const void *blob, size_t bytes, struct rebalance_table *t,
                                 struct pr_err *err)
{
    for (size_t i = 0; i < pr_routes_count(bytes); i++) {
        const struct pr_route r = pr_routes_at(blob, i);
        struct pr_buf *b = &t->home[pr_home_partition(r.hash, t->partitions)];
        pr_routes_add(b, r.hash, r.partition);
        if (b->failed)
            return pr_fail(err, PR_ENOMEM, "route deltas");
    }
    t->entries += pr_routes_count(bytes);
    return PR_OK;
}

/* All deltas, newest last, by home partition and sorted; *ids: their ids as a
 * PostgreSQL array text (may be NULL). */
static enum pr_code load_deltas(struct pr_db *db, struct rebalance_table *t, struct pr_buf *ids,
                                struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec_binary(db, "SELECT id::text, blob FROM route_deltas ORDER BY id",
                                        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    for (int i = 0; i < PQntuples(res) && rc == PR_OK; i++) {
        const char *blob = PQgetvalue(res, i, 1);
        const size_t bytes = (size_t)PQgetlength(res, i, 1);
        rc = pr_routes_check(blob, bytes, t->partitions, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "route delta %s", PQgetvalue(res, i, 0));
        rc = spread_delta(blob, bytes, t, err);
        if (ids != NULL)
            pr_buf_printf(ids, "%s%.*s", ids->len == 0 ? "" : ",", PQgetlength(res, i, 0),
                          PQgetvalue(res, i, 0));
    }
    for (uint32_t p = 0; p < t->partitions && rc == PR_OK; p++) {
        if (t->home[p].len > 0)
            rc = pr_routes_sort(t->home[p].data, t->home[p].len, &t->home[p].len);
        if (rc != PR_OK)
            return pr_fail(err, rc, "route deltas");
    }
    return rc;
}

/* base := base overlaid by delta, home partition by home partition. */
static enum pr_code overlay(struct rebalance_table *base, const struct rebalance_table *delta,
                            struct pr_err *err)
{
    base->entries = 0;
    base->delta_entries = delta->entries;
    for (uint32_t p = 0; p < base->partitions; p++) {
        struct pr_buf *b = &base->home[p];
        const struct pr_buf *d = &delta->home[p];
        if (d->len > 0) {
            struct pr_buf merged;
            pr_buf_init(&merged, 0);
            enum pr_code rc =
                pr_routes_merge(b->data, b->len, d->data, d->len, base->partitions, &merged);
            if (rc != PR_OK) {
                pr_buf_done(&merged);
                return pr_fail(err, rc, "routes of home partition %u", p);
            }
            pr_buf_done(b);
            *b = merged;
        }
        base->entries += pr_routes_count(b->len);
    }
    return PR_OK;
}

enum pr_code rebalance_table_current(struct pr_db *db, uint32_t partitions,
                                     struct rebalance_table *out, struct pr_err *err)
{
    struct rebalance_table delta = { 0 };
    enum pr_code rc = table_new(out, partitions, err);
    if (rc == PR_OK)
        rc = table_new(&delta, partitions, err);
    if (rc == PR_OK)
        rc = load_bases(db, "current", 0, out, err);
    if (rc == PR_OK)
        rc = load_deltas(db, &delta, NULL, err);
    if (rc == PR_OK)
        rc = overlay(out, &delta, err);
    rebalance_table_done(&delta);
    return rc;
}

enum pr_code rebalance_table_sizes(struct pr_db *db, uint64_t *base, uint64_t *delta,
                                   struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        db,
        "SELECT (SELECT coalesce(sum(entries), 0) FROM route_bases WHERE kind = 'current'), "
        "(SELECT coalesce(sum(entries), 0) FROM route_deltas)",
        NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    *base = (uint64_t)pr_cell_i64(res, 0, 0);
    *delta = (uint64_t)pr_cell_i64(res, 0, 1);
    return PR_OK;
}

/* --- folding -------------------------------------------------------------- */

struct fold {
    const struct pr_lease *lease;
    const struct rebalance_table *delta;
    uint32_t from, to; /* home partitions of this transaction */
    const char *ids;
};

/* Merges the delta of one home into its base, row `row` of bases or none. */
static enum pr_code fold_home(const struct fold *f, uint32_t home, const PGresult *bases, int row,
                              struct pr_route_rows *out)
{
    const struct pr_buf *delta = &f->delta->home[home];
    struct pr_buf merged;
    pr_buf_init(&merged, 0);
    enum pr_code rc = pr_routes_merge(row >= 0 ? PQgetvalue(bases, row, 1) : "",
                                      row >= 0 ? (size_t)PQgetlength(bases, row, 1) : 0,
                                      delta->data, delta->len, f->delta->partitions, &merged);
    if (rc == PR_OK)
        pr_route_rows_add(out, home, merged.len > 0 ? merged.data : "", merged.len);
    pr_buf_done(&merged);
    return rc;
}

static uint32_t home_of_row(const PGresult *bases, int row)
{
    uint32_t be; /* a binary int4 */
    memcpy(&be, PQgetvalue(bases, row, 0), sizeof be);
    return ntohl(be);
}

static enum pr_code fold_some(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct fold *f = ctx;
    struct pr_route_rows rows;
    PR_AUTO(PGresult) *bases = NULL;
    enum pr_code rc = pr_lease_check(db, f->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec_binary(db,
                               "SELECT home, blob FROM route_bases WHERE kind = 'current' "
                               "AND run_id = 0 AND home >= $1 AND home < $2 ORDER BY home",
                               PR_ARGS(pr_i64(f->from), pr_i64(f->to)), &bases, err);
    if (rc != PR_OK)
        return rc;
    pr_route_rows_init(&rows);
    int row = 0;
    const int n = PQntuples(bases);
    for (uint32_t p = f->from; p < f->to && rc == PR_OK; p++) {
        while (row < n && home_of_row(bases, row) < p)
            row++;
        const bool there = row < n && home_of_row(bases, row) == p;
        if (f->delta->home[p].len > 0)
            rc = fold_home(f, p, bases, there ? row : -1, &rows);
    }
    rc = rc == PR_OK ? pr_route_rows_write(db, "current", 0, &rows, err)
                     : pr_fail(err, rc, "folding routes of partitions %u to %u", f->from, f->to);
    pr_route_rows_done(&rows);
    return rc;
}

static enum pr_code drop_folded(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct fold *f = ctx;
    enum pr_code rc = pr_lease_check(db, f->lease, err);
    if (rc != PR_OK)
        return rc;
    return pr_db_exec(db, "DELETE FROM route_deltas WHERE id = ANY($1::bigint[])",
                      PR_ARGS(pr_text(f->ids)), NULL, err);
}

enum pr_code rebalance_fold(struct pr_db *db, const struct pr_lease *lease, uint32_t partitions,
                            struct pr_err *err)
{
    enum { HOMES = 512 }; /* of one transaction */
    struct rebalance_table delta = { 0 };
    struct pr_buf ids, list;
    pr_buf_init(&ids, 0);
    pr_buf_init(&list, 0);
    enum pr_code rc = table_new(&delta, partitions, err);
    if (rc == PR_OK)
        rc = load_deltas(db, &delta, &ids, err);
    for (uint32_t p = 0; p < partitions && rc == PR_OK && ids.len > 0; p += HOMES) {
        struct fold f = { .lease = lease,
                          .delta = &delta,
                          .from = p,
                          .to = p + HOMES < partitions ? p + HOMES : partitions };
        rc = pr_db_tx(db, fold_some, &f, err);
    }
    if (rc == PR_OK && ids.len > 0) {
        pr_buf_printf(&list, "{%s}", ids.data);
        struct fold f = { .lease = lease, .ids = list.data };
        rc = list.failed ? pr_fail(err, PR_ENOMEM, "route deltas")
                         : pr_db_tx(db, drop_folded, &f, err);
    }
    pr_buf_done(&ids);
    pr_buf_done(&list);
    rebalance_table_done(&delta);
    return rc;
}
