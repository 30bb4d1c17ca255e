/* /v1/zones: the zones that nodes and partitions belong to. */
#include "api_check.h"
#include "change.h"
#include "load.h"

#include <string.h>

json_t *api_zone_json(const struct api_zone *z)
{
    return json_pack("{s:s,s:o,s:f,s:I}", "id", z->id, "subnet",
                     z->subnet[0] == '\0' ? json_null() : json_string(z->subnet), "capacityRatio",
                     z->capacity_ratio, "revision", (json_int_t)z->revision);
}

void api_zone_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct api_page page;
    if (!api_page_begin(&page, "zones", NULL, 0, NULL, req, res))
        return;
    PR_AUTO(api_snapshot) *s = api_look(ctx, req, res);
    for (size_t i = 0; i < s->topo->zones; i++) {
        const struct api_zone *z = &s->topo->zone[i];
        if (strcmp(z->id, page.after) > 0 && !api_page_add(&page, z->id, api_zone_json(z)))
            break;
    }
    api_page_end(&page, res);
}

void api_zone_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    PR_AUTO(api_snapshot) *s = api_look(ctx, req, res);
    int i = api_topo_zone(s->topo, req->param[0]);
    if (i == API_NONE) {
        pr_http_problem(res, 404, "Not found",
                        pr_arena_printf(req->arena, "zone %s does not exist", req->param[0]), NULL);
        return;
    }
    api_etag(req, res, s->topo->zone[i].revision);
    api_reply(res, 200, api_zone_json(&s->topo->zone[i]));
}

static enum pr_code took(struct api_change *c, const PGresult *row, struct pr_err *err)
{
    struct api_zone z = { 0 };
    api_zone_read(row, 0, &z);
    c->after = api_zone_json(&z);
    c->etag = c->revision = z.revision;
    return c->after == NULL ? pr_fail(err, PR_ENOMEM, "zone %s", z.id) : PR_OK;
}

static enum pr_code create(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct api_zone_in *in = c->in;
    PR_AUTO(PGresult) *row = NULL;
    snprintf(c->resource, sizeof c->resource, "zones/%s", in->id);
    enum pr_code rc = pr_db_exec(db,
                                 "INSERT INTO zones AS z (id, subnet, capacity_ratio) "
                                 "VALUES ($1, $2::cidr, $3) RETURNING " API_ZONE_COLUMNS,
                                 PR_ARGS(pr_text(in->id), pr_text(in->subnet),
                                         pr_real(in->has_capacity_ratio ? in->capacity_ratio : 1)),
                                 &row, err);
    if (rc == PR_EEXISTS)
        return api_change_fail(c, 409, err, rc, "zone %s exists already", in->id);
    if (rc == PR_OK)
        rc = took(c, row, err);
    c->status = 201;
    c->created = true;
    return rc == PR_OK ? api_change_event(db, c, c->revision, "created", err) : rc;
}

static const struct api_member zone_members[] = {
    { "id", API_STRING, API_REQUIRED, offsetof(struct api_zone_in, id), 0 },
    { "subnet", API_STRING, API_NULLABLE, offsetof(struct api_zone_in, subnet), 0 },
    { "capacityRatio", API_NUMBER, 0, offsetof(struct api_zone_in, capacity_ratio),
      offsetof(struct api_zone_in, has_capacity_ratio) },
};

void api_zone_create(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct api_zone_in in = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = {
        .action = "zone.create", .fn = create, .in = &in, .fresh_parts = API_TOPO
    };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", zone_members, PR_COUNT(zone_members), &in, &errs);
    if (errs.n == 0)
        api_check_zone(&in, &errs);
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else
        api_change_run(ctx, &c, req, res);
}

struct patch_in {
    struct api_zone_in zone;
    bool has_subnet;
};

static enum pr_code patch(struct pr_db *db, struct api_change *c, struct pr_err *err)
{
    const struct patch_in *in = c->in;
    const char *id = c->req->param[0];
    struct api_zone was = { 0 };
    PR_AUTO(PGresult) *row = NULL;
    PR_AUTO(PGresult) *now = NULL;
    snprintf(c->resource, sizeof c->resource, "zones/%.31s", id);
    enum pr_code rc =
        pr_db_exec(db, "SELECT " API_ZONE_COLUMNS " FROM zones z WHERE z.id = $1 FOR UPDATE",
                   PR_ARGS(pr_text(id)), &row, err);
    if (rc == PR_OK && PQntuples(row) == 0)
        return api_change_fail(c, 404, err, PR_ENOTFOUND, "zone %.31s does not exist", id);
    if (rc != PR_OK)
        return rc;
    api_zone_read(row, 0, &was);
    c->before = api_zone_json(&was);
    rc = api_change_precondition(c, was.revision, true, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "UPDATE zones z SET subnet = CASE WHEN $2 THEN $3::cidr ELSE subnet END, "
                        "capacity_ratio = CASE WHEN $4 THEN $5 ELSE capacity_ratio END "
                        "WHERE z.id = $1 RETURNING " API_ZONE_COLUMNS,
                        PR_ARGS(pr_text(id), pr_bool(in->has_subnet), pr_text(in->zone.subnet),
                                pr_bool(in->zone.has_capacity_ratio),
                                pr_real(in->zone.capacity_ratio)),
                        &now, err);
    if (rc == PR_OK)
        rc = took(c, now, err);
    c->status = rc == PR_OK ? 200 : c->status;
    return rc == PR_OK ? api_change_event(db, c, c->revision, "changed", err) : rc;
}

void api_zone_patch(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "subnet", API_STRING, API_NULLABLE, offsetof(struct patch_in, zone.subnet),
          offsetof(struct patch_in, has_subnet) },
        { "capacityRatio", API_NUMBER, 0, offsetof(struct patch_in, zone.capacity_ratio),
          offsetof(struct patch_in, zone.has_capacity_ratio) },
    };
    struct patch_in in = { 0 };
    struct api_errors errs = { 0 };
    struct api_change c = { .action = "zone.set", .fn = patch, .in = &in, .fresh_parts = API_TOPO };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &in, &errs);
    if (errs.n == 0)
        api_check_zone(&in.zone, &errs);
    if (errs.n == 0 && !in.has_subnet && !in.zone.has_capacity_ratio)
        api_error(&errs, "capacityRatio", "give capacityRatio or subnet");
    if (errs.n > 0)
        api_refuse(res, 400, "Bad request", &errs);
    else
        api_change_run(ctx, &c, req, res);
}
