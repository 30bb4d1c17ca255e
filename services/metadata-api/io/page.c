#include "api.h"
#include "api_page.h"
#include "change.h"
#include "prism/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FILTERS = 6 };

_Static_assert(sizeof((struct api_page *)0)->after >= API_KEY_MAX, "a page's key fits");

bool api_page_begin(struct api_page *p, const char *list, const char *const *names, unsigned n,
                    const char **filter, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    *p = (struct api_page){ .list = list };
    for (unsigned i = 0; i < n && i < MAX_FILTERS; i++)
        filter[i] = pr_http_query(req, names[i]);
    p->scope = api_page_scope(filter, n);
    if (api_page_size(pr_http_query(req, "pageSize"), &p->size, &err) != PR_OK) {
        pr_http_problem(res, 400, "Bad page size", err.text, "pageSize");
        return false;
    }
    const char *token = pr_http_query(req, "pageToken");
    if (token != NULL && api_token_read(token, list, p->scope, p->after, &err) != PR_OK) {
        pr_http_problem(res, 400, "Bad page token", err.text, "pageToken");
        return false;
    }
    p->items = json_array();
    return true;
}

bool api_page_add(struct api_page *p, const char *key, json_t *item)
{
    if (p->shown == p->size) {
        p->more = true;
        json_decref(item);
        return false;
    }
    snprintf(p->last, sizeof p->last, "%s", key);
    p->shown++;
    json_array_append_new(p->items, item);
    return true;
}

void api_page_end(struct api_page *p, struct pr_http_res *res)
{
    char token[API_TOKEN_MAX];
    json_t *body = json_pack("{s:o}", "items", p->items);
    if (body != NULL && p->more) {
        api_token_make(token, p->list, p->scope, p->last);
        json_object_set_new(body, "nextPageToken", json_string(token));
    }
    api_reply(res, 200, body);
}

struct api_snapshot *api_look(struct api *api, const struct pr_http_req *req,
                              struct pr_http_res *res)
{
    struct api_snapshot *s = api_cell_get(api->cell);
    int64_t oldest = s->topo_at_ms < s->deltas_at_ms ? s->topo_at_ms : s->deltas_at_ms;
    int64_t age = (pr_mono_us() / 1000 - oldest) / 1000;
    api_header(res, "Age", pr_arena_printf(req->arena, "%" PRId64, age > 0 ? age : 0));
    if (api_refresher_failing(api->refresher))
        api_header(res, "Warning", "111 - \"Revalidation Failed\"");
    return s;
}

json_t *api_from_sql(const char *text)
{
    PR_AUTO(json_t) *j = json_loads(text, JSON_DECODE_ANY, NULL);
    return j == NULL ? NULL : api_camel_all(j);
}

void api_etag(const struct pr_http_req *req, struct pr_http_res *res, uint64_t generation)
{
    api_header(res, "ETag", pr_arena_printf(req->arena, "\"%" PRIu64 "\"", generation));
}

void api_list_rows_of(struct api *api, const struct api_list *list, const char *of,
                      const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *filter[MAX_FILTERS] = { NULL };
    struct api_page page;
    struct pr_err err = { 0 };
    const char *name =
        of == NULL ? list->name : pr_arena_printf(req->arena, "%s-%s", list->name, of);
    if (!api_page_begin(&page, name, list->filters, list->n_filters, filter, req, res))
        return;
    struct pr_arg arg[3 + MAX_FILTERS] = {
        pr_text(page.after[0] == '\0' ? NULL : page.after),
        pr_i64(page.size + 1), /* one more tells whether there is a next page */
    };
    const unsigned first = of == NULL ? 2 : 3;
    arg[2] = pr_text(of);
    for (unsigned i = 0; i < list->n_filters; i++)
        arg[first + i] = pr_text(filter[i]);

    struct pr_db *db = NULL;
    PR_AUTO(PGresult) *rows = NULL;
    enum pr_code rc = api_pool_take(api->pool, &db, &err);
    if (rc == PR_OK) {
        rc = pr_db_exec(db, list->sql, arg, first + list->n_filters, &rows, &err);
        api_pool_give(api->pool, db);
    }
    if (rc != PR_OK) {
        json_decref(page.items);
        pr_http_fail(res, rc, &err);
        return;
    }
    for (int i = 0; i < PQntuples(rows); i++)
        if (!api_page_add(&page, pr_cell(rows, i, 0), api_from_sql(pr_cell(rows, i, 1))))
            break;
    api_page_end(&page, res);
}

void api_list_rows(struct api *api, const struct api_list *list, const struct pr_http_req *req,
                   struct pr_http_res *res)
{
    api_list_rows_of(api, list, NULL, req, res);
}

void api_reply_row(const struct pr_http_req *req, struct pr_http_res *res, const char *json)
{
    json_t *j = api_from_sql(json);
    api_etag(req, res, api_generation(j));
    api_reply(res, 200, j);
}

PGresult *api_one_row(struct api *api, const char *sql, const struct pr_arg *arg, size_t args,
                      const char *what, struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    struct pr_db *db = NULL;
    PGresult *row = NULL;
    enum pr_code rc = api_pool_take(api->pool, &db, &err);
    if (rc == PR_OK) {
        rc = pr_db_exec(db, sql, arg, args, &row, &err);
        api_pool_give(api->pool, db);
    }
    if (rc == PR_OK && PQntuples(row) == 0)
        rc = pr_fail(&err, PR_ENOTFOUND, "%s does not exist", what);
    if (rc == PR_OK)
        return row;
    PQclear(row);
    pr_http_fail(res, rc, &err);
    return NULL;
}

void api_get_row(struct api *api, const char *sql, const struct pr_arg *id, const char *what,
                 const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(PGresult) *row = api_one_row(api, sql, id, 1, what, res);
    if (row != NULL)
        api_reply_row(req, res, pr_cell(row, 0, 0));
}
