#include "prism/io/route_rows.h"

void pr_route_rows_init(struct pr_route_rows *r)
{
    pr_buf_init(&r->home, 0);
    pr_buf_init(&r->at, 0);
    pr_buf_init(&r->bytes, 0);
    pr_buf_init(&r->blob, 0);
}

void pr_route_rows_done(struct pr_route_rows *r)
{
    pr_buf_done(&r->home);
    pr_buf_done(&r->at);
    pr_buf_done(&r->bytes);
    pr_buf_done(&r->blob);
}

void pr_route_rows_add(struct pr_route_rows *r, uint32_t home, const void *blob, size_t bytes)
{
    const char glue = r->home.len == 0 ? '{' : ',';
    pr_buf_printf(&r->home, "%c%u", glue, home);
    pr_buf_printf(&r->at, "%c%zu", glue, r->blob.len + 1); /* SQL counts from 1 */
    pr_buf_printf(&r->bytes, "%c%zu", glue, bytes);
    pr_buf_add(&r->blob, blob, bytes);
}

enum pr_code pr_route_rows_write(struct pr_db *db, const char *kind, int64_t run_id,
                                 struct pr_route_rows *r, struct pr_err *err)
{
    if (r->home.len == 0 && !r->home.failed)
        return PR_OK;
    pr_buf_str(&r->home, "}");
    pr_buf_str(&r->at, "}");
    pr_buf_str(&r->bytes, "}");
    if (r->home.failed || r->at.failed || r->bytes.failed || r->blob.failed)
        return pr_fail(err, PR_ENOMEM, "out of memory writing %s routes of run %lld", kind,
                       (long long)run_id);
    const enum pr_code rc =
        pr_db_exec(db,
                   "INSERT INTO route_bases (kind, run_id, home, entries, blob) "
                   "SELECT $1::text, $2::bigint, h, n / 12, substring($6::bytea FROM a FOR n) "
                   "FROM unnest($3::int[], $4::int[], $5::int[]) AS t (h, a, n) "
                   "ON CONFLICT (kind, run_id, home) "
                   "DO UPDATE SET entries = excluded.entries, blob = excluded.blob",
                   PR_ARGS(pr_text(kind), pr_i64(run_id), pr_text(r->home.data),
                           pr_text(r->at.data), pr_text(r->bytes.data),
                           pr_bytes(r->blob.data != NULL ? r->blob.data : "", r->blob.len)),
                   NULL, err);
    pr_buf_reset(&r->home);
    pr_buf_reset(&r->at);
    pr_buf_reset(&r->bytes);
    pr_buf_reset(&r->blob);
    return rc;
}
