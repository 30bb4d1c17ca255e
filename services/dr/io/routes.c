#include "io/routes.h"

#include "prism/io/route_rows.h"
#include "prism/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The name is that of the rebalance service: while it is held here, no plan is executed. */
static const char LEASE[] = "rebalance-executor";
enum { LEASE_TTL_MS = 60000, ROWS_BYTES = 16 << 20 };

enum pr_code dr_routes_partitions(struct pr_db *db, uint32_t *out, struct pr_err *err)
{
    PR_AUTO(PGresult) *res = NULL;
    const enum pr_code rc = pr_db_exec(db, "SELECT partitions FROM store", NULL, 0, &res, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) != 1)
        return pr_fail(err, PR_ENOTFOUND, "the table store is empty: there is no store");
    *out = (uint32_t)pr_cell_i64(res, 0, 0);
    return PR_OK;
}

enum pr_code dr_routes_executor(struct pr_db *db, char holder[DR_EXECUTOR], struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    const enum pr_code rc =
        pr_db_exec(db, "SELECT holder FROM leases WHERE name = $1 AND expires_at > now()",
                   PR_ARGS(pr_text(LEASE)), &row, err);
    holder[0] = '\0';
    if (rc == PR_OK && PQntuples(row) > 0)
        (void)snprintf(holder, DR_EXECUTOR, "%s", pr_cell(row, 0, 0));
    return rc;
}

struct table {
    uint32_t partitions;
    struct pr_buf *home; /* [partitions] packed routes */
    uint64_t epoch, entries;
    const struct pr_lease *lease;
};

static enum pr_code collect(struct table *t, const struct dr_survey *s, struct pr_err *err)
{
    t->home = calloc(t->partitions, sizeof *t->home);
    if (t->home == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the routes of %u partitions", t->partitions);
    for (size_t i = 0; i < s->n; i++) {
        const struct dr_found *f = &s->found[i];
        if (f->copy.kind == DR_COPY_LIVE && f->copy.partition != f->home)
            pr_routes_add(&t->home[f->home], f->hash, f->copy.partition);
    }
    for (uint32_t p = 0; p < t->partitions; p++) {
        struct pr_buf *b = &t->home[p];
        if (b->failed)
            return pr_fail(err, PR_ENOMEM, "no memory for routes");
        const enum pr_code rc = b->len > 0 ? pr_routes_sort(b->data, b->len, &b->len) : PR_OK;
        if (rc != PR_OK)
            return pr_fail(err, rc, "the routes of home partition %u", p);
        t->entries += pr_routes_count(b->len);
    }
    return PR_OK;
}

static enum pr_code write_rows(struct pr_db *db, const struct table *t, struct pr_err *err)
{
    struct pr_route_rows rows;
    enum pr_code rc = PR_OK;
    pr_route_rows_init(&rows);
    for (uint32_t p = 0; p < t->partitions && rc == PR_OK; p++) {
        if (t->home[p].len > 0)
            pr_route_rows_add(&rows, p, t->home[p].data, t->home[p].len);
        if (rows.blob.len > ROWS_BYTES)
            rc = pr_route_rows_write(db, "current", 0, &rows, err);
    }
    if (rc == PR_OK)
        rc = pr_route_rows_write(db, "current", 0, &rows, err);
    pr_route_rows_done(&rows);
    return rc;
}

static enum pr_code replace(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct table *t = ctx;
    enum pr_code rc = pr_lease_check(db, t->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "DELETE FROM route_deltas", NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "DELETE FROM route_bases WHERE kind = 'current'", NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = write_rows(db, t, err);
    /* A sequence does not go back with its transaction; higher than needed does no harm. */
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT setval('move_epochs', greatest($1::bigint, "
                        "(SELECT last_value FROM move_epochs)))",
                        PR_ARGS(pr_i64((int64_t)t->epoch)), NULL, err);
    return rc;
}

enum pr_code dr_routes_begin(struct pr_db *db, struct pr_lease *lease, struct pr_err *err)
{
    *lease = (struct pr_lease){ .ttl_ms = LEASE_TTL_MS };
    (void)snprintf(lease->name, sizeof lease->name, "%s", LEASE);
    (void)snprintf(lease->holder, sizeof lease->holder, "prism-dr-routes-%d", (int)getpid());
    return pr_lease_hold(db, lease, err);
}

/* A survey may take longer than the lease lasts. That is all right when nobody took it since: then
 * its epoch is still ours. */
static enum pr_code still_ours(struct pr_db *db, struct pr_lease *lease, struct pr_err *err)
{
    const uint64_t epoch = lease->epoch;
    const enum pr_code rc = pr_lease_hold(db, lease, err);
    if (rc == PR_OK && lease->epoch != epoch)
        return pr_fail(err, PR_EFENCED, "plans were executed while the cluster was looked through");
    return rc;
}

enum pr_code dr_routes_write(struct pr_db *db, struct pr_lease *lease, uint32_t partitions,
                             const struct dr_survey *s, uint64_t epoch, struct dr_routes *out,
                             struct pr_err *err)
{
    struct table t = { .partitions = partitions,
                       .epoch = epoch > s->newest ? epoch : s->newest + 1,
                       .lease = lease };
    enum pr_code rc = collect(&t, s, err);
    if (rc == PR_OK)
        rc = still_ours(db, lease, err);
    if (rc == PR_OK)
        rc = pr_db_tx(db, replace, &t, err);
    *out = (struct dr_routes){ t.entries, t.epoch };
    for (uint32_t p = 0; t.home != NULL && p < partitions; p++)
        pr_buf_done(&t.home[p]);
    free(t.home);
    return rc;
}

void dr_routes_end(struct pr_db *db, struct pr_lease *lease)
{
    pr_lease_release(db, lease);
}
