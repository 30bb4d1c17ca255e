#include "io/explains.h"

#include "core/explain.h"
#include "core/graph.h"
#include "io/source.h"
#include "io/store_read.h"
#include "io/vertex_edges.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/routes.h"
#include "prism/slot.h"
#include "prism/v1/placement.pb-c.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct placement_explains {
    struct pr_service *svc;
    const struct placement_config *cfg;
    pthread_mutex_t mu; /* guards db: one explanation at a time */
    struct pr_db *db;
};

/* One answer being worked out. */
struct explanation {
    struct placement_explains *x;
    uint64_t id;
    const char *vertex_id; /* its text, borrowed */
    int64_t run_id;
    char *source; /* JSON; owned */
    json_t *report;
    struct placement_store store;
    struct placement_vertex_edges edges;
    PGresult *blobs; /* targets of the homes of the vertex and its neighbours */
    uint32_t partition;
    uint64_t tie[PLACEMENT_MAX_ZONES], load[PLACEMENT_MAX_ZONES], capacity[PLACEMENT_MAX_ZONES];
    struct placement_explanation why;
};

enum pr_code placement_explains_open(struct placement_explains **out, struct pr_service *svc,
                                     const struct placement_config *cfg, struct pr_err *err)
{
    struct placement_explains *x = calloc(1, sizeof *x);
    if (x == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for explanations");
    x->svc = svc;
    x->cfg = cfg;
    (void)pthread_mutex_init(&x->mu, NULL);
    enum pr_code rc = pr_db_open(&x->db, svc->common.db_uri, "prism-placement-explain", err);
    if (rc != PR_OK) {
        placement_explains_close(x);
        return rc;
    }
    *out = x;
    return PR_OK;
}

void placement_explains_close(struct placement_explains *x)
{
    if (x == NULL)
        return;
    pr_db_close(x->db);
    (void)pthread_mutex_destroy(&x->mu);
    free(x);
}

/* --- what is known of the run ----------------------------------------------- */

static enum pr_code read_run(struct explanation *e, struct pr_err *err)
{
    PGresult *res = NULL;
    json_error_t je;
    enum pr_code rc = pr_db_exec(
        e->x->db,
        "SELECT id, source, report, report ->> 'targets_kept' FROM placement_runs "
        "WHERE state = 'done' AND coalesce(params ->> 'kind', 'placement') = 'placement' "
        "AND ($1::bigint = 0 OR id = $1) ORDER BY id DESC LIMIT 1",
        PR_ARGS(pr_i64(e->run_id)), &res, err);
    if (rc != PR_OK)
        return rc;
    if (PQntuples(res) == 0 && e->run_id == 0) {
        rc = pr_fail(err, PR_ENOTFOUND, "no placement has been computed yet");
    } else if (PQntuples(res) == 0) {
        rc =
            pr_fail(err, PR_ENOTFOUND, "there is no done placement run %lld", (long long)e->run_id);
    } else if (strcmp(pr_cell(res, 0, 3), "true") != 0) {
        rc = pr_fail(err, PR_ENOTFOUND, "the targets of run %lld are no longer kept",
                     (long long)e->run_id);
    } else {
        e->run_id = pr_cell_i64(res, 0, 0);
        e->source = strdup(pr_cell(res, 0, 1));
        e->report = json_loads(pr_cell(res, 0, 2), 0, &je);
        if (e->source == NULL || e->report == NULL)
            rc = pr_fail(err, PR_ENOMEM, "out of memory for the report of a run");
    }
    PQclear(res);
    return rc;
}

/* How full the run left the zones. */
static void read_loads(struct explanation *e)
{
    const json_t *loads = json_object_get(json_object_get(e->report, "after"), "weight");
    const json_t *capacity = json_object_get(e->report, "capacity");
    for (uint32_t z = 0; z < e->store.zones; z++) {
        const char *id = e->store.zone[z].id;
        e->load[z] = (uint64_t)json_integer_value(json_object_get(loads, id));
        e->capacity[z] = (uint64_t)json_integer_value(json_object_get(capacity, id));
    }
}

/* --- where the run puts vertices -------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t home_of(const struct explanation *e, uint64_t id)
{
    return pr_home_partition(placement_vertex_hash(id), e->store.partitions);
}

/* "{1,5,9}": the homes of the vertex and its neighbours, each once. */
static bool list_homes(const struct explanation *e, struct pr_buf *text)
{
    const size_t n = e->edges.n + 1;
    uint32_t *home = malloc(n * sizeof *home);
    if (home == NULL)
        return false;
    home[0] = home_of(e, e->id);
    for (size_t i = 1; i < n; i++)
        home[i] = home_of(e, e->edges.tie[i - 1].neighbor);
    qsort(home, n, sizeof *home, by_value);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || home[i] != home[i - 1])
            pr_buf_printf(text, "%s%u", i == 0 ? "{" : ",", home[i]);
    pr_buf_str(text, "}");
    free(home);
    return !text->failed;
}

static enum pr_code read_targets(struct explanation *e, struct pr_err *err)
{
    struct pr_buf homes;
    pr_buf_init(&homes, 0);
    enum pr_code rc = PR_OK;
    if (!list_homes(e, &homes))
        rc = pr_fail(err, PR_ENOMEM, "out of memory for %zu neighbours", e->edges.n);
    else
        rc = pr_db_exec_binary(e->x->db,
                               "SELECT home::bigint, blob FROM route_bases WHERE kind = 'target' "
                               "AND run_id = $1 AND home = ANY ($2::int[]) ORDER BY home",
                               PR_ARGS(pr_i64(e->run_id), pr_text(homes.data)), &e->blobs, err);
    pr_buf_done(&homes);
    for (int i = 0; rc == PR_OK && i < PQntuples(e->blobs); i++)
        rc = pr_routes_check(PQgetvalue(e->blobs, i, 1), (size_t)PQgetlength(e->blobs, i, 1),
                             e->store.partitions, err);
    return rc;
}

static uint32_t home_at(const struct explanation *e, int row)
{
    uint32_t home = 0; /* big-endian bigint */
    const unsigned char *p = (const unsigned char *)PQgetvalue(e->blobs, row, 0);
    for (int i = 4; i < 8; i++)
        home = home << 8 | p[i];
    return home;
}

static uint32_t target_of(const struct explanation *e, uint64_t id)
{
    const uint64_t hash = placement_vertex_hash(id);
    const uint32_t home = home_of(e, id);
    uint32_t partition = home;
    int lo = 0, hi = PQntuples(e->blobs);
    while (lo < hi) {
        const int mid = lo + (hi - lo) / 2;
        if (home_at(e, mid) < home)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < PQntuples(e->blobs) && home_at(e, lo) == home)
        (void)pr_routes_find(PQgetvalue(e->blobs, lo, 1), (size_t)PQgetlength(e->blobs, lo, 1),
                             hash, &partition);
    return partition;
}

static void work_out(struct explanation *e)
{
    e->partition = target_of(e, e->id);
    for (size_t i = 0; i < e->edges.n; i++)
        e->tie[e->store.zone_of[target_of(e, e->edges.tie[i].neighbor)]] += e->edges.tie[i].weight;
    const struct placement_explain_input in = {
        .zones = e->store.zones,
        .tie = e->tie,
        .load = e->load,
        .capacity = e->capacity,
        .weight = e->edges.weight,
        .zone = e->store.zone_of[e->partition],
    };
    placement_explain(&in, &e->why);
}

/* --- the answer -------------------------------------------------------------- */

static bool go_on(void *ctx, double done)
{
    (void)done;
    return !pr_service_stopping(((struct explanation *)ctx)->x->svc);
}

static enum pr_code find_out(struct explanation *e, struct pr_err *err)
{
    struct placement_source source = { .path = "" };
    const struct placement_watch watch = { go_on, e };
    enum pr_code rc = read_run(e, err);
    if (rc == PR_OK)
        rc = placement_store_read(e->x->db, &e->store, err);
    if (rc == PR_OK)
        rc = placement_source_parse(e->source, NULL, e->x->cfg, &source, err);
    if (rc == PR_OK)
        rc = placement_vertex_edges_read(source.path, source.format, e->id, &watch, NULL, &e->edges,
                                         err);
    placement_source_done(&source);
    if (rc == PR_OK && !e->edges.found)
        rc = pr_fail(err, PR_ENOTFOUND, "vertex %s is not in the graph of run %lld", e->vertex_id,
                     (long long)e->run_id);
    if (rc == PR_OK)
        rc = read_targets(e, err);
    if (rc != PR_OK)
        return rc;
    read_loads(e);
    work_out(e);
    return PR_OK;
}

static enum pr_code pack(struct explanation *e, void **reply, size_t *len, struct pr_err *err)
{
    Prism__V1__PlacementExplainResponse out = PRISM__V1__PLACEMENT_EXPLAIN_RESPONSE__INIT;
    Prism__V1__PlacementExplainZone zone[PLACEMENT_MAX_ZONES], *zones[PLACEMENT_MAX_ZONES];
    char vertex[PR_MAX_ID_BYTES + 1], why[128];
    for (uint32_t z = 0; z < e->store.zones; z++) {
        prism__v1__placement_explain_zone__init(&zone[z]);
        zone[z].zone = e->store.zone[z].id;
        zone[z].edge_weight = e->tie[z];
        zone[z].vertices = e->load[z];
        zone[z].capacity = e->capacity[z];
        zones[z] = &zone[z];
    }
    (void)snprintf(vertex, sizeof vertex, "%s", e->vertex_id);
    (void)snprintf(why, sizeof why, "%s", e->why.why);
    out.vertex_id = vertex;
    out.run_id = (uint64_t)e->run_id;
    out.partition = e->partition;
    out.zone = e->store.zone[e->why.zone].id;
    out.neighbors = e->edges.n;
    out.zones = zones;
    out.n_zones = e->store.zones;
    out.preferred_zone = e->store.zone[e->why.preferred].id;
    out.gain = e->why.gain;
    out.why = why;
    *reply = malloc(prism__v1__placement_explain_response__get_packed_size(&out) + 1);
    if (*reply == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for an explanation");
    *len = prism__v1__placement_explain_response__pack(&out, *reply);
    return PR_OK;
}

/* A graph file's ids are numbers, and a vertex's id is the number's text. */
static enum pr_code parse_vertex(const char *text, uint64_t *id, struct pr_err *err)
{
    char *end = NULL;
    if (!pr_vertex_id_valid(text, strlen(text)))
        return pr_fail(err, PR_EINVAL, "vertex_id: not a vertex id");
    errno = 0;
    *id = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
        (text[0] == '0' && text[1] != '\0'))
        return pr_fail(err, PR_ENOTFOUND, "vertex %s is not in the graph: its ids are numbers",
                       text);
    return PR_OK;
}

static enum pr_code answer(struct placement_explains *x,
                           const Prism__V1__PlacementExplainRequest *r, void **reply, size_t *len,
                           struct pr_err *err)
{
    struct explanation *e = calloc(1, sizeof *e);
    if (e == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for an explanation");
    e->x = x;
    e->vertex_id = r->vertex_id;
    e->run_id = r->run_id > INT64_MAX ? INT64_MAX : (int64_t)r->run_id;
    enum pr_code rc = parse_vertex(r->vertex_id, &e->id, err);
    if (rc == PR_OK) {
        (void)pthread_mutex_lock(&x->mu);
        rc = find_out(e, err);
        (void)pthread_mutex_unlock(&x->mu);
    }
    if (rc == PR_OK)
        rc = pack(e, reply, len, err);
    placement_vertex_edges_done(&e->edges);
    placement_store_done(&e->store);
    PQclear(e->blobs);
    json_decref(e->report);
    free(e->source);
    free(e);
    return rc;
}

enum pr_code placement_explains_answer(void *ctx, const struct pr_msg *msg, void **reply,
                                       size_t *len, struct pr_err *err)
{
    struct placement_explains *x = ctx;
    const int64_t begin_us = pr_mono_us();
    Prism__V1__PlacementExplainRequest *r =
        prism__v1__placement_explain_request__unpack(NULL, msg->len, msg->data);
    if (r == NULL)
        return pr_fail(err, PR_EDATA, "not a PlacementExplainRequest (%zu bytes)", msg->len);
    enum pr_code rc = answer(x, r, reply, len, err);
    prism__v1__placement_explain_request__free_unpacked(r, NULL);
    pr_metrics_add(x->svc->metrics, M_EXPLANATIONS, rc == PR_OK ? "ok" : "error", 1);
    pr_metrics_observe(x->svc->metrics, M_EXPLAIN_SECONDS, NULL,
                       (double)(pr_mono_us() - begin_us) / 1e6);
    if (rc != PR_OK && rc != PR_ENOTFOUND && rc != PR_EINVAL)
        pr_warn(PR_EV("placement.explain_failed"), PR_E(err));
    return rc;
}
