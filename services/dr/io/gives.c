#include "io/gives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ROWS[] =
    "SELECT id, (extract(epoch FROM created_at) * 1000)::bigint, coalesce(number, 0), known, "
    "ended, giver, taker, encode(slots, 'hex') FROM dr_gives ORDER BY id";

static bool unhex(const char *hex, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        out[i] = (uint8_t)byte;
    }
    return true;
}

enum pr_code dr_gives_read(struct pr_db *db, struct dr_gives_row **rows, size_t *n,
                           struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db, ROWS, NULL, 0, &got, err);
    PR_AUTO(PGresult) *res = got;
    if (rc != PR_OK)
        return rc;
    struct dr_gives_row *row = calloc((size_t)PQntuples(res) + 1, sizeof *row);
    if (row == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %d gives", PQntuples(res));
    for (int i = 0; i < PQntuples(res); i++) {
        struct dr_gives_row *r = &row[i];
        r->id = pr_cell_i64(res, i, 0);
        r->at_ms = pr_cell_i64(res, i, 1);
        r->number = (uint64_t)pr_cell_i64(res, i, 2);
        r->known = pr_cell_bool(res, i, 3);
        r->ended = pr_cell_bool(res, i, 4);
        (void)snprintf(r->give.giver, DR_NAME, "%s", pr_cell(res, i, 5));
        (void)snprintf(r->give.taker, DR_NAME, "%s", pr_cell(res, i, 6));
        if (!unhex(pr_cell(res, i, 7), r->give.slots, sizeof r->give.slots)) {
            const long long id = r->id;
            free(row);
            return pr_fail(err, PR_EDATA, "dr_gives: slots of row %lld", id);
        }
    }
    *rows = row;
    *n = (size_t)PQntuples(res);
    return PR_OK;
}

/* --- changes ------------------------------------------------------------------------------------
 */

struct change {
    const struct pr_lease *lease;
    const struct dr_gives_row *row;
    uint64_t floor, number;
    int64_t at_ms;
    int64_t id;
    const char *sql;
};

static enum pr_code number_it(struct pr_db *db, struct change *c, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc =
        pr_db_exec(db,
                   "UPDATE dr_gives SET created_at = clock_timestamp(), number = (SELECT CASE WHEN "
                   "n > $2::bigint THEN n ELSE "
                   "setval('dr_epochs', $2::bigint + 1) END FROM nextval('dr_epochs') AS n) "
                   "WHERE id = $1 AND number IS NULL RETURNING number, "
                   "(extract(epoch FROM created_at) * 1000)::bigint",
                   PR_ARGS(pr_i64(c->row->id), pr_i64((int64_t)c->floor)), &got, err);
    PR_AUTO(PGresult) *res = got;
    if (rc == PR_OK && PQntuples(res) == 1)
        c->number = (uint64_t)pr_cell_i64(res, 0, 0);
    if (rc == PR_OK && PQntuples(res) == 1)
        c->at_ms = pr_cell_i64(res, 0, 1);
    return rc;
}

/* All rows again, under a lock of all replicas: somebody else's may have been admitted since. */
static enum pr_code admit(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct change *c = ctx;
    struct dr_gives_row *all = NULL;
    size_t n = 0, admitted = 0;
    c->number = 0;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "SELECT pg_advisory_xact_lock(hashtext('dr_gives'))", NULL, 0, NULL,
                        err);
    if (rc == PR_OK)
        rc = dr_gives_read(db, &all, &n, err);
    struct dr_give *known = rc == PR_OK ? calloc(n + 1, sizeof *known) : NULL;
    if (rc == PR_OK && known == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory for %zu gives", n);
    for (size_t i = 0; rc == PR_OK && i < n; i++) {
        if (all[i].id == c->row->id) {
            c->number = all[i].number;
            c->at_ms = all[i].at_ms;
        } else if (all[i].number > 0)
            known[admitted++] = all[i].give;
    }
    if (rc == PR_OK && c->number == 0 && dr_gate_admits(known, admitted, &c->row->give))
        rc = number_it(db, c, err);
    free(known);
    free(all);
    return rc;
}

enum pr_code dr_gives_admit(struct pr_db *db, const struct pr_lease *lease,
                            struct dr_gives_row *row, uint64_t floor, struct pr_err *err)
{
    struct change c = { .lease = lease, .row = row, .floor = floor };
    const enum pr_code rc = pr_db_tx(db, admit, &c, err);
    row->number = rc == PR_OK ? c.number : 0;
    if (row->number != 0)
        row->at_ms = c.at_ms;
    return rc;
}

static enum pr_code change(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct change *c = ctx;
    const enum pr_code rc = pr_lease_check(db, c->lease, err);
    return rc == PR_OK ? pr_db_exec(db, c->sql, PR_ARGS(pr_i64(c->id)), NULL, err) : rc;
}

enum pr_code dr_gives_tell(struct pr_db *db, const struct pr_lease *lease, int64_t id,
                           struct pr_err *err)
{
    struct change c = { .lease = lease,
                        .id = id,
                        .sql = "UPDATE dr_gives SET known = true WHERE id = $1 AND NOT known" };
    return pr_db_tx(db, change, &c, err);
}

enum pr_code dr_gives_delete(struct pr_db *db, const struct pr_lease *lease, int64_t id,
                             struct pr_err *err)
{
    struct change c = { .lease = lease,
                        .id = id,
                        .sql = "DELETE FROM dr_gives WHERE id = $1 AND ended" };
    return pr_db_tx(db, change, &c, err);
}

enum pr_code dr_gives_live(struct pr_db *db, uint64_t *number, struct pr_err *err)
{
    PGresult *got = NULL;
    const enum pr_code rc =
        pr_db_exec(db, "SELECT coalesce(min(number), 0) FROM dr_gives", NULL, 0, &got, err);
    PR_AUTO(PGresult) *res = got;
    if (rc == PR_OK)
        *number = (uint64_t)pr_cell_i64(res, 0, 0);
    return rc;
}

/* --- others -------------------------------------------------------------------------------------
 */

enum pr_code dr_gives_far(struct pr_db *db, struct dr_far **far, size_t *n, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(db,
                                 "SELECT shard_id, replid, durable_offset, "
                                 "(extract(epoch FROM durable_at) * 1000)::bigint FROM dr_shards "
                                 "WHERE generation_epoch > 0",
                                 NULL, 0, &got, err);
    PR_AUTO(PGresult) *res = got;
    if (rc != PR_OK)
        return rc;
    struct dr_far *f = calloc((size_t)PQntuples(res) + 1, sizeof *f);
    if (f == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %d shards", PQntuples(res));
    for (int i = 0; i < PQntuples(res); i++) {
        (void)snprintf(f[i].shard, DR_NAME, "%s", pr_cell(res, i, 0));
        (void)snprintf(f[i].replid, DR_REPLID, "%s", pr_cell(res, i, 1));
        f[i].offset = (uint64_t)pr_cell_i64(res, i, 2);
        f[i].durable_ms = pr_cell(res, i, 3) != NULL ? pr_cell_i64(res, i, 3) : 0;
    }
    *far = f;
    *n = (size_t)PQntuples(res);
    return PR_OK;
}
