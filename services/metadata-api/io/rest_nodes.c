/* /v1/nodes: which Redis nodes there are, and in which zone. */
#include "api_check.h"
#include "change.h"
#include "load.h"

#include <arpa/inet.h>
#include <string.h>

static json_t *text_or_null(const char *s)
{
    return s[0] == '\0' ? json_null() : json_string(s);
}

json_t *api_node_json(const struct api_node *n, const char *zone)
{
    return json_pack("{s:s,s:s,s:i,s:o,s:o,s:o,s:s,s:o,s:s,s:i,s:o,s:I,s:I}", "id", n->id, "host",
                     n->host, "port", n->port, "zone", text_or_null(zone), "placementGroup",
                     text_or_null(n->placement_group), "redisId", text_or_null(n->redis_id), "role",
                     n->role, "shard", text_or_null(n->shard), "state", n->state, "slots", n->slots,
                     "seenAt", text_or_null(n->seen_at), "generation", (json_int_t)n->generation,
                     "revision", (json_int_t)n->revision);
}

static const char *zone_of(const struct api_topo *t, const struct api_node *n)
{
    return n->zone == API_NONE ? "" : t->zone[n->zone].id;
}

void api_node_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "zone", "state", "role" };
    const char *filter[3];
    struct api_page page;
    if (!api_page_begin(&page, "nodes", filters, 3, filter, req, res))
        return;
    PR_AUTO(api_snapshot) *s = api_look(ctx, req, res);
    for (size_t i = 0; i < s->topo->nodes; i++) {
        const struct api_node *n = &s->topo->node[i];
        const char *zone = zone_of(s->topo, n);
        if (strcmp(n->id, page.after) <= 0 || (filter[0] != NULL && strcmp(zone, filter[0]) != 0) ||
            (filter[1] != NULL && strcmp(n->state, filter[1]) != 0) ||
            (filter[2] != NULL && strcmp(n->role, filter[2]) != 0))
            continue;
        if (!api_page_add(&page, n->id, api_node_json(n, zone)))
            break;
    }
    api_page_end(&page, res);
}

void api_node_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(api_snapshot) *s = api_look(ctx, req, res);
    int i = api_topo_node(s->topo, req->param[0]);
    if (i == API_NONE) {
        pr_http_problem(res, 404, "Not found",
                        pr_arena_printf(req->arena, "node %s does not exist", req->param[0]), NULL);
        return;
    }
    const struct api_node *n = &s->topo->node[i];
    api_etag(req, res, n->generation);
    api_reply(res, 200, api_node_json(n, zone_of(s->topo, n)));
}

/* Answer and audit row from what the statement returned. */
static enum pr_code took(struct api_change *c, const PGresult *row, struct pr_err *err)
{
    struct api_node n = { 0 };
    api_node_read(row, 0, &n);
    c->after = api_node_json(&n, pr_cell(row, 0, API_NODE_ZONE_COLUMN));
    c->etag = n.generation;
    c->revision = n.revision;
    return c->after == NULL ? pr_fail(err, PR_ENOMEM, "node %s", n.id) : PR_OK;
}

static enum pr_code zone_exists(struct pr_db *db, struct api_change *c, const char *zone,
                                struct pr_err *err)
{
    PR_AUTO(PGresult) *row = NULL;
    if (zone == NULL)
        return PR_OK;
    enum pr_code rc =
        pr_db_exec(db, "SELECT 1 FROM zones WHERE id = $1", PR_ARGS(pr_text(zone)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        rc = api_change_fail(c, 409, err, PR_ECONFLICT, "zone %s does not exist: create it first",
                             zone);
    return rc;
}

static bool is_address(const char *host)
{
    unsigned char raw[16];
    return inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1;
}

/* Without a zone in the registration, the subnet table gives it. */
static enum pr_code create(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct api_node_in *in = c->in;
    PR_AUTO(PGresult) *row = NULL;
    snprintf(c->resource, sizeof c->resource, "nodes/%s", in->id);
    enum pr_code rc = zone_exists(db, c, in->zone, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "INSERT INTO nodes AS n (id, host, port, zone_id) VALUES ($1, $2, $3, "
                        "coalesce($4, (SELECT z.id FROM zones z WHERE z.subnet >>= $5::inet "
                        "ORDER BY masklen(z.subnet) DESC LIMIT 1))) "
                        "RETURNING " API_NODE_COLUMNS,
                        PR_ARGS(pr_text(in->id), pr_text(in->host), pr_i64(in->port),
                                pr_text(in->zone), pr_text(is_address(in->host) ? in->host : NULL)),
                        &row, err);
    if (rc == PR_EEXISTS)
        return api_change_fail(c, 409, err, rc, "node %s, or another at %s:%lld, exists already",
                               in->id, in->host, (long long)in->port);
    if (rc == PR_OK)
        rc = took(c, row, err);
    c->status = 201;
    c->created = true;
    return rc == PR_OK ? api_change_event(db, c, c->revision, "registered", err) : rc;
}

void api_node_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "id", API_STRING, API_REQUIRED, offsetof(struct api_node_in, id), 0 },
        { "host", API_STRING, API_REQUIRED, offsetof(struct api_node_in, host), 0 },
        { "port", API_INTEGER, API_REQUIRED, offsetof(struct api_node_in, port), 0 },
        { "zone", API_STRING, API_NULLABLE, offsetof(struct api_node_in, zone), 0 },
    };
    struct api_node_in in = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = {
        .action = "node.register", .fn = create, .in = &in, .fresh_parts = API_TOPO
    };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &in, &errs);
    if (errs.n == 0)
        api_check_node(&in, &errs);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else
        api_change_run(ctx, &c, req, res);
}

/* The row, locked, as it was before the change; checks If-Match. */
static enum pr_code lock(struct pr_db *db, struct api_change *c, struct api_node *was,
                         struct pr_err *err)
{
    const char *id = c->req->param[0];
    PR_AUTO(PGresult) *row = NULL;
    snprintf(c->resource, sizeof c->resource, "nodes/%.63s", id);
    enum pr_code rc =
        pr_db_exec(db, "SELECT " API_NODE_COLUMNS " FROM nodes n WHERE n.id = $1 FOR UPDATE",
                   PR_ARGS(pr_text(id)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "node %.63s does not exist", id);
    if (rc != PR_OK)
        return rc;
    api_node_read(row, 0, was);
    c->before = api_node_json(was, pr_cell(row, 0, API_NODE_ZONE_COLUMN));
    return api_change_precondition(c, was->generation, true, err);
}

static enum pr_code patch(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct api_node_in *in = c->in;
    struct api_node was = { 0 };
    PR_AUTO(PGresult) *row = NULL;
    enum pr_code rc = lock(db, c, &was, err);
    if (rc == PR_OK)
        rc = zone_exists(db, c, in->zone, err);
    if (rc == PR_OK)
        rc = pr_db_exec(
            db, "UPDATE nodes n SET zone_id = $2 WHERE n.id = $1 RETURNING " API_NODE_COLUMNS,
            PR_ARGS(pr_text(was.id), pr_text(in->zone)), &row, err);
    if (rc == PR_OK)
        rc = took(c, row, err);
    c->status = rc == PR_OK ? 200 : c->status;
    return rc == PR_OK ? api_change_event(db, c, c->revision, was.state, err) : rc;
}

void api_node_patch(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "zone", API_STRING, API_REQUIRED | API_NULLABLE, offsetof(struct api_node_in, zone), 0 },
    };
    struct api_node_in in = { .port = 1 };
    struct api_errors errs = { 0 };
    struct api_change c = {
        .action = "node.set_zone", .fn = patch, .in = &in, .fresh_parts = API_TOPO
    };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &in, &errs);
    if (errs.n == 0)
        api_check_node(&in, &errs);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else
        api_change_run(ctx, &c, req, res);
}

/* A node that the cluster still has would only come back with the next look
 * at the cluster, without its zone: it must be drained and forgotten first. */
static enum pr_code delete_node(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    struct api_node was = { 0 };
    enum pr_code rc = lock(db, c, &was, err);
    if (rc == PR_OK && (strcmp(was.state, "up") == 0 || was.slots > 0))
        return api_change_fail(c, 409, err, PR_ECONFLICT,
                               "node %s is %s and serves %d slots: drain it and remove it from "
                               "the cluster first",
                               was.id, was.state, was.slots);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "DELETE FROM nodes WHERE id = $1", PR_ARGS(pr_text(was.id)), NULL, err);
    c->status = rc == PR_OK ? 204 : c->status;
    return rc == PR_OK ? api_change_event(db, c, was.revision, "deleted", err) : rc;
}

void api_node_delete(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct api_change c = { .action = "node.delete", .fn = delete_node, .fresh_parts = API_TOPO };
    api_change_run(ctx, &c, req, res);
}
