/* /v1/vertices: where is a vertex, and where should it be? */
#include "api.h"
#include "prism/io/clock.h"
#include "prism/io/json_text.h"
#include "prism/routes.h"
#include "prism/slot.h"

#include <string.h>

enum { STRONG_WAIT_MS = 3000 };

/* One look-up: what was asked, against which snapshot. */
struct look {
    struct api *api;
    const struct api_snapshot *snap;
    struct api_blob_want want;
};

struct located {
    uint64_t hash;
    uint32_t home, at, target;
    bool has_target;
};

static enum pr_code locate(const struct look *k, const char *id, struct located *out,
                           struct pr_err *err)
{
    const struct api_topo *t = k->snap->topo;
    const struct api_deltas *d = k->snap->deltas;
    bool found = false;
    uint32_t p = 0;
    out->hash = pr_vertex_hash(id, strlen(id));
    out->home = pr_home_partition(out->hash, t->partitions);
    out->has_target = d->run != 0;

    enum pr_code rc = PR_OK;
    if (pr_routes_find(d->routes.data, d->routes.len, out->hash, &p))
        found = true;
    else
        rc = api_blobs_find(k->api->blobs, (struct api_blob_key){ 0, out->home }, &k->want,
                            t->partitions, out->hash, &found, &p, err);
    out->at = found ? p : out->home;
    if (rc == PR_OK && out->has_target) {
        struct api_blob_want target = k->want;
        target.generation = 0; /* a finished run's targets never change */
        rc = api_blobs_find(k->api->blobs, (struct api_blob_key){ d->run, out->home }, &target,
                            t->partitions, out->hash, &found, &p, err);
        out->target = found ? p : out->home;
    }
    return rc;
}

/* Look-ups are written as they are found, without a tree in between: a batch of 1,000 would make
 * and free some 20,000 objects. */
#define PUT(out, literal) pr_buf_add((out), (literal), sizeof(literal) - 1)

static void put_number(struct pr_buf *out, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    pr_buf_add(out, digits + n, sizeof digits - n);
}

static void put_hash(struct pr_buf *out, uint64_t hash)
{
    char digits[16];
    for (int i = 15; i >= 0; i--, hash >>= 4)
        digits[i] = "0123456789abcdef"[hash & 15];
    pr_buf_add(out, digits, sizeof digits);
}

static void put_zone(struct pr_buf *out, const struct api_place *place)
{
    pr_json_add(out, place->zone == NULL ? NULL : place->zone->id);
}

static void put_target(struct pr_buf *out, const struct look *k, const struct located *v)
{
    if (!v->has_target) {
        PUT(out, "null");
        return;
    }
    const struct api_place to = api_place_of(k->snap->topo, v->target);
    PUT(out, "{\"partition\":");
    put_number(out, v->target);
    PUT(out, ",\"zone\":");
    put_zone(out, &to);
    PUT(out, ",\"runId\":");
    put_number(out, (uint64_t)k->snap->deltas->run);
    PUT(out, "}");
}

static void put_vertex(struct pr_buf *out, const struct look *k, const char *id,
                       const struct located *v)
{
    const struct api_place at = api_place_of(k->snap->topo, v->at);
    PUT(out, "{\"id\":");
    pr_json_add(out, id);
    PUT(out, ",\"hash\":\"");
    put_hash(out, v->hash);
    PUT(out, "\",\"homePartition\":");
    put_number(out, v->home);
    PUT(out, ",\"partition\":");
    put_number(out, v->at);
    PUT(out, ",\"slot\":");
    put_number(out, at.slot);
    PUT(out, ",\"node\":");
    pr_json_add(out, at.node == NULL ? NULL : at.node->id);
    PUT(out, ",\"zone\":");
    put_zone(out, &at);
    if (v->at != v->home)
        PUT(out, ",\"moved\":true,\"route\":\"moved\",\"target\":");
    else
        PUT(out, ",\"moved\":false,\"route\":\"home\",\"target\":");
    put_target(out, k, v);
    PUT(out, ",\"snapshotRevision\":");
    put_number(out, k->snap->topo->revision);
    PUT(out, "}");
}

/* False after writing a problem, or that it would have to wait. */
static bool begin(struct look *k, struct api *api, const struct pr_http_req *req,
                  struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    const char *consistency = pr_http_query(req, "consistency");
    const bool strong = consistency != NULL && strcmp(consistency, "strong") == 0;
    *k = (struct look){ .api = api };
    if (consistency != NULL && !strong && strcmp(consistency, "snapshot") != 0) {
        pr_http_problem(res, 400, "Bad consistency", "strong or snapshot", "consistency");
        return false;
    }
    if (strong && !req->may_wait) {
        res->again = true;
        return false;
    }
    if (strong) { /* a read of PostgreSQL that begins now, and no older blob */
        k->want.since_ms = pr_mono_us() / 1000;
        enum pr_code rc = api_refresher_wait(api->refresher, API_EVERYTHING, STRONG_WAIT_MS, &err);
        if (rc != PR_OK) {
            pr_http_problem(res, 503, "Strong read not possible", err.text, NULL);
            return false;
        }
    }
    k->snap = api_look(api, req, res);
    k->want.generation = k->snap->deltas->generation;
    k->want.now_ms = pr_mono_us() / 1000;
    k->want.here = !req->may_wait;
    if (k->snap->topo->partitions == 0)
        pr_http_problem(res, 404, "No store",
                        "the store has not been initialised: prism-admin store init", NULL);
    else if (k->snap->topo->covered == 0)
        pr_http_problem(res, 503, "Topology unknown", "no registered node has reported a slot yet",
                        NULL);
    else
        return true;
    return false;
}

void api_vertex_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct look k;
    struct located v;
    struct pr_err err = { 0 };
    const char *id = req->param[0];
    if (!pr_vertex_id_valid(id, strlen(id))) {
        pr_http_problem(res, 400, "Bad vertex id", API_VERTEX_WORDS, "id");
        return;
    }
    if (begin(&k, ctx, req, res)) {
        enum pr_code rc = locate(&k, id, &v, &err);
        if (rc != PR_OK && !req->may_wait)
            res->again = true;
        else if (rc != PR_OK)
            pr_http_fail(res, rc, &err);
        else
            put_vertex(&res->body, &k, id, &v);
    }
    api_snapshot_unref((struct api_snapshot *)k.snap);
}

/* Cold blobs of all homes come with one statement a kind, not one each. */
static void warm(const struct look *k, const json_t *ids)
{
    const struct api_snapshot *s = k->snap;
    uint32_t homes[API_MAX_BATCH];
    unsigned char seen[PR_MAX_PARTITIONS / 8 / 64] = { 0 }; /* a filter: exact up to 16,384 */
    size_t n = 0, i;
    const json_t *id;
    json_array_foreach(ids, i, id)
    {
        uint32_t home = pr_home_partition(
            pr_vertex_hash(json_string_value(id), json_string_length(id)), s->topo->partitions);
        uint32_t bit = home % (sizeof seen * 8);
        if ((seen[bit / 8] & 1u << bit % 8) == 0)
            homes[n++] = home;
        seen[bit / 8] = (unsigned char)(seen[bit / 8] | 1u << bit % 8);
    }
    api_blobs_warm(k->api->blobs, 0, homes, n, &k->want, s->topo->partitions);
    struct api_blob_want target = k->want;
    target.generation = 0;
    if (s->deltas->run != 0)
        api_blobs_warm(k->api->blobs, s->deltas->run, homes, n, &target, s->topo->partitions);
}

static void answer_batch(const struct look *k, const json_t *ids, struct pr_http_res *res)
{
    struct pr_err err = { 0 };
    size_t i;
    const json_t *id;
    warm(k, ids);
    PUT(&res->body, "{\"items\":[");
    json_array_foreach(ids, i, id)
    {
        struct located v;
        enum pr_code rc = locate(k, json_string_value(id), &v, &err);
        if (rc != PR_OK) {
            pr_http_fail(res, rc, &err); /* in place of what was written */
            return;
        }
        if (i > 0)
            PUT(&res->body, ",");
        put_vertex(&res->body, k, json_string_value(id), &v);
    }
    PUT(&res->body, "]}");
}

void api_vertex_batch(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct in {
        json_t *ids;
    } in = { NULL };
    static const struct api_member members[] = {
        { "ids", API_ARRAY, API_REQUIRED, offsetof(struct in, ids), 0 },
    };
    struct api_errors errs = { 0 };
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &in, &errs);
    if (in.ids != NULL)
        api_check_ids(in.ids, "ids", 1, API_MAX_BATCH, &errs);
    if (errs.n > 0) {
        api_refuse(res, 400, "Bad request", &errs);
        return;
    }
    struct look k;
    if (begin(&k, ctx, req, res))
        answer_batch(&k, in.ids, res);
    api_snapshot_unref((struct api_snapshot *)k.snap);
}
