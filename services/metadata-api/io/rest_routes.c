/* /v1/routes: where moved vertices live, packed (common/base/prism/routes.h),
 * for clients that would rather know than ask home first. Read from PostgreSQL
 * in one transaction: the snapshot keeps blobs of single homes only. */
#include "api.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HOMES_A_STATEMENT = 256,
    ENOUGH_BYTES = 8 << 20, /* a page ends at the first statement past this */
    MAX_BYTES = 64 << 20
};

struct routes_page {
    uint32_t partitions, first, end; /* homes [first, end) are asked for */
    uint32_t next;                   /* first home that the page does not cover */
    struct pr_buf *out;              /* bases of all homes, then deltas, unsorted */
};

static enum pr_code add_bases(struct pr_db *db, struct routes_page *p, struct pr_err *err)
{
    const uint32_t room = p->end - p->next;
    const uint32_t upto = p->next + (room < HOMES_A_STATEMENT ? room : HOMES_A_STATEMENT);
    PR_AUTO(PGresult) *rows = NULL;
    enum pr_code rc =
        pr_db_exec_binary(db,
                          "SELECT blob FROM route_bases WHERE kind = 'current' AND run_id = 0 "
                          "AND home >= $1 AND home < $2 ORDER BY home",
                          PR_ARGS(pr_i64(p->next), pr_i64(upto)), &rows, err);
    for (int i = 0; rc == PR_OK && i < PQntuples(rows); i++)
        pr_buf_add(p->out, PQgetvalue(rows, i, 0), (size_t)PQgetlength(rows, i, 0));
    if (rc == PR_OK)
        p->next = upto;
    return rc;
}

/* Later rows overlay earlier ones, and the bases. */
static enum pr_code add_deltas(struct pr_db *db, struct routes_page *p, struct pr_err *err)
{
    PR_AUTO(PGresult) *rows = NULL;
    enum pr_code rc =
        pr_db_exec_binary(db, "SELECT blob FROM route_deltas ORDER BY id", NULL, 0, &rows, err);
    for (int i = 0; rc == PR_OK && i < PQntuples(rows); i++) {
        const char *blob = PQgetvalue(rows, i, 0);
        const size_t n = pr_routes_count((size_t)PQgetlength(rows, i, 0));
        for (size_t k = 0; k < n; k++) {
            const struct pr_route r = pr_routes_at(blob, k);
            const uint32_t home = pr_home_partition(r.hash, p->partitions);
            if (home >= p->first && home < p->next)
                pr_routes_add(p->out, r.hash, r.partition);
        }
    }
    return rc;
}

static enum pr_code read_page(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct routes_page *p = ctx;
    pr_buf_reset(p->out); /* of an attempt before */
    p->next = p->first;
    enum pr_code rc =
        pr_db_exec(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", NULL, 0, NULL, err);
    while (rc == PR_OK && p->next < p->end && p->out->len < ENOUGH_BYTES)
        rc = add_bases(db, p, err);
    return rc == PR_OK ? add_deltas(db, p, err) : rc;
}

/* Sorted, the last of equals kept, and nothing that names its own home. */
static enum pr_code settle(struct pr_buf *raw, uint32_t partitions, struct pr_buf *out,
                           struct pr_err *err)
{
    size_t bytes = 0;
    if (raw->failed || (raw->len > 0 && pr_routes_sort(raw->data, raw->len, &bytes) != PR_OK) ||
        pr_routes_merge(raw->data, bytes, NULL, 0, partitions, out) != PR_OK)
        return pr_fail(err, PR_ENOMEM, "a page of routes of more than %d bytes", MAX_BYTES);
    return PR_OK;
}

static bool number(const struct pr_http_req *req, const char *name, uint32_t dflt, uint32_t max,
                   uint32_t *out, struct pr_http_res *res)
{
    const char *text = pr_http_query(req, name);
    char *end = NULL, detail[80];
    *out = dflt;
    if (text == NULL)
        return true;
    const unsigned long v = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && v <= max) {
        *out = (uint32_t)v;
        return true;
    }
    snprintf(detail, sizeof detail, "must be a number from 0 to %u", max);
    pr_http_problem(res, 400, "Bad request", detail, name);
    return false;
}

static void answer(struct routes_page *p, const struct pr_http_req *req, struct pr_http_res *res)
{
    res->content_type = "application/octet-stream";
    if (p->next < p->partitions)
        api_header(res, "Prism-Next-Home", pr_arena_printf(req->arena, "%u", p->next));
}

void api_routes_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct api *api = ctx;
    struct pr_err err = { 0 };
    struct pr_db *db = NULL;
    struct pr_buf raw;
    PR_AUTO(api_snapshot) *snap = api_look(api, req, res);
    const uint32_t partitions = snap->topo->partitions;
    struct routes_page p = { .partitions = partitions, .out = &raw };
    if (partitions == 0) {
        pr_http_problem(res, 404, "No store",
                        "the store has not been initialised: prism-admin store init", NULL);
        return;
    }
    uint32_t homes;
    if (!number(req, "firstHome", 0, partitions - 1, &p.first, res) ||
        !number(req, "homes", partitions, partitions, &homes, res))
        return;
    p.end = homes < partitions - p.first ? p.first + homes : partitions;

    pr_buf_init(&raw, MAX_BYTES);
    enum pr_code rc = api_pool_take(api->pool, &db, &err);
    if (rc == PR_OK) {
        rc = pr_db_tx(db, read_page, &p, &err);
        api_pool_give(api->pool, db);
    }
    if (rc == PR_OK)
        rc = settle(&raw, partitions, &res->body, &err);
    if (rc == PR_OK)
        answer(&p, req, res);
    else
        pr_http_fail(res, rc, &err);
    pr_buf_done(&raw);
}
