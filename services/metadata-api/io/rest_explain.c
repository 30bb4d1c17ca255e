/* /v1/placement/explain/{id}: why does a run want a vertex where it does? The
 * placement service answers; it reads the run's graph file for it. */
#include "api.h"
#include "prism/slot.h"
#include "prism/v1/placement.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 55000 }; /* NATS lets the service answer for a minute */

static json_t *explanation_json(const Prism__V1__PlacementExplainResponse *e)
{
    json_t *zones = json_array();
    for (size_t i = 0; i < e->n_zones; i++) {
        const Prism__V1__PlacementExplainZone *z = e->zones[i];
        json_array_append_new(zones, json_pack("{s:s,s:I,s:I,s:I}", "zone", z->zone, "edgeWeight",
                                               (json_int_t)z->edge_weight, "vertices",
                                               (json_int_t)z->vertices, "capacity",
                                               (json_int_t)z->capacity));
    }
    return json_pack("{s:s,s:I,s:I,s:s,s:I,s:o,s:s,s:I,s:s}", "vertexId", e->vertex_id, "runId",
                     (json_int_t)e->run_id, "partition", (json_int_t)e->partition, "zone", e->zone,
                     "neighbors", (json_int_t)e->neighbors, "zones", zones, "preferredZone",
                     e->preferred_zone, "gain", (json_int_t)e->gain, "why", e->why);
}

static enum pr_code ask(struct api *api, const char *id, uint64_t run, json_t **out,
                        struct pr_err *err)
{
    char vertex[PR_MAX_ID_BYTES + 1];
    uint8_t packed[PR_MAX_ID_BYTES + 32];
    void *reply = NULL;
    size_t len = 0;
    Prism__V1__PlacementExplainRequest q = PRISM__V1__PLACEMENT_EXPLAIN_REQUEST__INIT;
    snprintf(vertex, sizeof vertex, "%s", id);
    q.vertex_id = vertex;
    q.run_id = run;
    enum pr_code rc = pr_bus_request(api->svc->bus, "prism.rpc.placement.explain", packed,
                                     prism__v1__placement_explain_request__pack(&q, packed),
                                     TIMEOUT_MS, &reply, &len, err);
    if (rc != PR_OK)
        return rc;
    Prism__V1__PlacementExplainResponse *e =
        prism__v1__placement_explain_response__unpack(NULL, len, reply);
    free(reply);
    if (e == NULL)
        return pr_fail(err, PR_EUNAVAIL, "placement sent something else than an explanation");
    *out = explanation_json(e);
    prism__v1__placement_explain_response__free_unpacked(e, NULL);
    return PR_OK;
}

void api_explain_get(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    const char *id = req->param[0], *of = pr_http_query(req, "run");
    uint64_t run = 0;
    struct pr_err err = { 0 };
    json_t *body = NULL;
    if (!pr_vertex_id_valid(id, strlen(id))) {
        pr_http_problem(res, 400, "Bad vertex id", API_VERTEX_WORDS, "id");
        return;
    }
    if (of != NULL && !api_number_parse(of, INT64_MAX, &run)) {
        pr_http_problem(res, 400, "Bad run", "a placement run's number", "run");
        return;
    }
    enum pr_code rc = ask(ctx, id, run, &body, &err);
    if (rc != PR_OK)
        pr_http_fail(res, rc, &err);
    else
        api_reply(res, 200, body);
}
