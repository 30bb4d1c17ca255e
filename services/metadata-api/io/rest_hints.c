/* What placement wants: /v1/placement/hints, a zone for every partition as a run has it, and
 * /v1/placement/hints:suggest, where a vertex that does not exist yet should live: the placement
 * service answers that. */
#include "api.h"
#include "api_check.h"
#include "prism/slot.h"
#include "prism/v1/placement.pb-c.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SUGGEST_MS = 10000, MAX_NEIGHBORS = 1000 };

/* The run asked for, or the newest that is done; NULL after writing a problem. Only of the newest
 * runs they are kept. */
static const char *run_of(struct api *api, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *wanted = pr_http_query(req, "run");
    uint64_t id = 0;
    if (wanted != NULL && (!api_number_parse(wanted, INT64_MAX, &id) || id == 0)) {
        pr_http_problem(res, 400, "Bad run", "a placement run's number", "run");
        return NULL;
    }
    const struct pr_arg arg = wanted == NULL ? pr_text(NULL) : pr_i64((int64_t)id);
    PR_AUTO(PGresult) *row =
        api_one_row(api,
                    "SELECT id, EXISTS (SELECT 1 FROM hints WHERE run_id = id) FROM placement_runs "
                    "WHERE id = coalesce($1::bigint, " API_NEWEST_RUN ")",
                    &arg, 1,
                    wanted == NULL ? "a placement run that is done"
                                   : pr_arena_printf(req->arena, "placement run %" PRIu64, id),
                    res);
    if (row == NULL)
        return NULL;
    if (pr_cell_bool(row, 0, 1))
        return pr_arena_printf(req->arena, "%s", pr_cell(row, 0, 0));
    pr_http_problem(res, 404, "Not found",
                    pr_arena_printf(req->arena,
                                    "placement run %s has no hints: it did not end well, places "
                                    "nothing, or newer runs took their room",
                                    pr_cell(row, 0, 0)),
                    NULL);
    return NULL;
}

void api_hint_list(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const char *const filters[] = { "zone" };
    static const struct api_list list = {
        "hints",
        "SELECT h.partition::text, json_build_object('partition', h.partition, 'run_id', h.run_id, "
        "'zone', h.zone_id, 'zone_now', s.zone_id, 'vertices', h.vertices) FROM hints h "
        "LEFT JOIN partitions p ON p.id = h.partition LEFT JOIN slots s ON s.slot = p.slot "
        "WHERE h.run_id = $3::text::bigint "
        "AND ($1::text IS NULL OR h.partition > $1::text::int) "
        "AND ($4::text IS NULL OR h.zone_id = $4) ORDER BY h.partition LIMIT $2::bigint",
        filters, 1
    };
    const char *run = run_of(ctx, req, res);
    if (run != NULL)
        api_list_rows_of(ctx, &list, run, req, res);
}

/* ---- a vertex that does not exist yet ---- */

struct newcomer {
    const char *id;
    json_t *neighbors;
};

static void check(const struct newcomer *in, struct api_errors *errs)
{
    if (!pr_vertex_id_valid(in->id, strlen(in->id)))
        api_error(errs, "id", API_VERTEX_WORDS);
    if (in->neighbors != NULL)
        api_check_ids(in->neighbors, "neighbors", 0, MAX_NEIGHBORS, errs);
}

/* Both are the caller's to free, also after a failure. */
static enum pr_code pack(const struct newcomer *in, char ***ids, uint8_t **packed, size_t *len,
                         struct pr_err *err)
{
    Prism__V1__PlacementHintRequest q = PRISM__V1__PLACEMENT_HINT_REQUEST__INIT;
    const size_t n = json_array_size(in->neighbors);
    *ids = calloc(n + 1, sizeof **ids);
    for (size_t i = 0; *ids != NULL && i < n; i++)
        (*ids)[i] = (char *)(uintptr_t)json_string_value(json_array_get(in->neighbors, i));
    q.vertex_id = (char *)(uintptr_t)in->id;
    q.neighbor_ids = *ids;
    q.n_neighbor_ids = *ids == NULL ? 0 : n;
    *packed = malloc(prism__v1__placement_hint_request__get_packed_size(&q) + 1);
    if (*ids == NULL || *packed == NULL)
        return pr_fail(err, PR_ENOMEM, "a question");
    *len = prism__v1__placement_hint_request__pack(&q, *packed);
    return PR_OK;
}

static enum pr_code suggest(struct api *api, const struct newcomer *in, json_t **out,
                            struct pr_err *err)
{
    char **ids = NULL;
    uint8_t *packed = NULL;
    void *reply = NULL;
    size_t len = 0;
    enum pr_code rc = pack(in, &ids, &packed, &len, err);
    if (rc == PR_OK)
        rc = pr_bus_request(api->svc->bus, "prism.rpc.placement.hint", packed, len, SUGGEST_MS,
                            &reply, &len, err);
    free(ids);
    free(packed);
    if (rc != PR_OK)
        return rc;
    Prism__V1__PlacementHintResponse *a =
        prism__v1__placement_hint_response__unpack(NULL, len, reply);
    free(reply);
    if (a == NULL)
        return pr_fail(err, PR_EUNAVAIL, "placement sent something else than a hint");
    *out = json_pack("{s:s,s:I,s:s,s:o}", "id", in->id, "partition", (json_int_t)a->partition,
                     "zone", a->zone, "runId",
                     a->run_id == 0 ? json_null() : json_integer((json_int_t)a->run_id));
    prism__v1__placement_hint_response__free_unpacked(a, NULL);
    return PR_OK;
}

void api_hint_suggest(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    static const struct api_member members[] = {
        { "id", API_STRING, API_REQUIRED, offsetof(struct newcomer, id), 0 },
        { "neighbors", API_ARRAY, 0, offsetof(struct newcomer, neighbors), 0 },
    };
    struct newcomer in = { NULL, NULL };
    struct api_errors errs = { 0 };
    struct pr_err err = { 0 };
    json_t *answer = NULL;
    PR_AUTO(json_t) *body = api_body(req, res);
    if (body == NULL)
        return;
    api_members(body, "", members, PR_COUNT(members), &in, &errs);
    if (errs.n == 0)
        check(&in, &errs);
    if (errs.n > 0) {
        api_refuse(res, 400, "Bad request", &errs);
        return;
    }
    const enum pr_code rc = suggest(ctx, &in, &answer, &err);
    if (rc != PR_OK)
        pr_http_fail(res, rc, &err);
    else
        api_reply(res, 200, answer);
}
