#include "io/hints.h"

#include "core/hint.h"
#include "io/store_read.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/routes.h"
#include "prism/slot.h"
#include "prism/v1/placement.pb-c.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NEIGHBORS = 10000 };

/* One home's target routes. Cached blobs of an older run are simply not found
 * any more and give way. */
struct cached {
    int64_t run_id; /* 0: empty */
    uint32_t home;
    void *blob; /* malloc; NULL: no entries */
    size_t bytes;
};

struct placement_hints {
    struct pr_service *svc;
    const struct placement_config *cfg;
    pthread_mutex_t mu; /* guards what follows */
    struct pr_db *db;
    struct placement_store store;
    int64_t run_id; /* newest finished; 0: none */
    int64_t read_us;
    struct cached *cache; /* [cfg->hint_cache_blobs], direct-mapped by home */
};

enum pr_code placement_hints_open(struct placement_hints **h, struct pr_service *svc,
                                  const struct placement_config *cfg, struct pr_err *err)
{
    struct placement_hints *x = calloc(1, sizeof *x);
    if (x == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for hints");
    x->svc = svc;
    x->cfg = cfg;
    (void)pthread_mutex_init(&x->mu, NULL);
    x->cache = calloc((size_t)cfg->hint_cache_blobs, sizeof *x->cache);
    enum pr_code rc = x->cache != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "out of memory for hints");
    if (rc == PR_OK)
        rc = pr_db_open(&x->db, svc->common.db_uri, "prism-placement-hints", err);
    if (rc != PR_OK) {
        placement_hints_close(x);
        return rc;
    }
    *h = x;
    return PR_OK;
}

void placement_hints_close(struct placement_hints *h)
{
    if (h == NULL)
        return;
    for (int64_t i = 0; h->cache != NULL && i < h->cfg->hint_cache_blobs; i++)
        free(h->cache[i].blob);
    free(h->cache);
    placement_store_done(&h->store);
    pr_db_close(h->db);
    (void)pthread_mutex_destroy(&h->mu);
    free(h);
}

/* Zones and newest run, read again when they are older than the setting says. */
static enum pr_code refresh(struct placement_hints *h, struct pr_err *err)
{
    const int64_t now_us = pr_mono_us();
    if (h->store.zone_of != NULL && now_us - h->read_us < h->cfg->hint_refresh_ms * 1000)
        return PR_OK;
    struct placement_store fresh;
    PGresult *res = NULL;
    enum pr_code rc = placement_store_read(h->db, &fresh, err);
    if (rc != PR_OK)
        return rc;
    rc = pr_db_exec(h->db,
                    "SELECT coalesce(max(id), 0) FROM placement_runs WHERE state = 'done' "
                    "AND coalesce(params ->> 'kind', 'placement') = 'placement'",
                    NULL, 0, &res, err);
    if (rc != PR_OK) {
        placement_store_done(&fresh);
        return rc;
    }
    h->run_id = pr_cell_i64(res, 0, 0);
    PQclear(res);
    placement_store_done(&h->store);
    h->store = fresh;
    h->read_us = now_us;
    return PR_OK;
}

static enum pr_code fetch(struct placement_hints *h, uint32_t home, struct cached *c,
                          struct pr_err *err)
{
    PGresult *res = NULL;
    pr_metrics_add(h->svc->metrics, M_HINT_READS, NULL, 1);
    enum pr_code rc = pr_db_exec_binary(
        h->db, "SELECT blob FROM route_bases WHERE kind = 'target' AND run_id = $1 AND home = $2",
        PR_ARGS(pr_i64(h->run_id), pr_i64(home)), &res, err);
    if (rc != PR_OK)
        return rc;
    void *blob = NULL;
    size_t bytes = 0;
    if (PQntuples(res) == 1) {
        bytes = (size_t)PQgetlength(res, 0, 0);
        rc = pr_routes_check(PQgetvalue(res, 0, 0), bytes, h->store.partitions, err);
        if (rc == PR_OK && (blob = malloc(bytes + 1)) == NULL)
            rc = pr_fail(err, PR_ENOMEM, "out of memory for a route blob");
        if (rc == PR_OK)
            memcpy(blob, PQgetvalue(res, 0, 0), bytes);
    }
    PQclear(res);
    if (rc != PR_OK)
        return rc;
    free(c->blob);
    *c = (struct cached){ h->run_id, home, blob, bytes };
    return PR_OK;
}

static enum pr_code zone_of(struct placement_hints *h, const char *id, uint16_t *zone,
                            struct pr_err *err)
{
    const uint64_t hash = pr_vertex_hash(id, strlen(id));
    const uint32_t home = pr_home_partition(hash, h->store.partitions);
    struct cached *c = &h->cache[home % (uint64_t)h->cfg->hint_cache_blobs];
    if (c->run_id != h->run_id || c->home != home) {
        enum pr_code rc = fetch(h, home, c, err);
        if (rc != PR_OK)
            return rc;
    }
    uint32_t partition = home;
    (void)pr_routes_find(c->blob, c->bytes, hash, &partition);
    *zone = h->store.zone_of[partition];
    return PR_OK;
}

static enum pr_code check(const Prism__V1__PlacementHintRequest *r, struct pr_err *err)
{
    if (!pr_vertex_id_valid(r->vertex_id, strlen(r->vertex_id)))
        return pr_fail(err, PR_EINVAL, "vertex_id: not a vertex id");
    if (r->n_neighbor_ids > MAX_NEIGHBORS)
        return pr_fail(err, PR_EINVAL, "neighbor_ids: %zu, at most %d", r->n_neighbor_ids,
                       MAX_NEIGHBORS);
    for (size_t i = 0; i < r->n_neighbor_ids; i++)
        if (!pr_vertex_id_valid(r->neighbor_ids[i], strlen(r->neighbor_ids[i])))
            return pr_fail(err, PR_EINVAL, "neighbor_ids[%zu]: not a vertex id", i);
    return PR_OK;
}

/* Under h->mu. */
static enum pr_code choose(struct placement_hints *h, const Prism__V1__PlacementHintRequest *r,
                           Prism__V1__PlacementHintResponse *out, char zone[PLACEMENT_ZONE_BYTES],
                           struct pr_err *err)
{
    enum pr_code rc = refresh(h, err);
    if (rc != PR_OK)
        return rc;
    struct placement_hint_input in = { .store = &h->store,
                                       .hash = pr_vertex_hash(r->vertex_id, strlen(r->vertex_id)) };
    for (size_t i = 0; h->run_id != 0 && i < r->n_neighbor_ids; i++) {
        uint16_t z;
        rc = zone_of(h, r->neighbor_ids[i], &z, err);
        if (rc != PR_OK)
            return rc;
        in.votes[z]++;
    }
    const struct placement_hint hint = placement_hint_choose(&in);
    memcpy(zone, h->store.zone[hint.zone].id, PLACEMENT_ZONE_BYTES);
    out->partition = hint.partition;
    out->run_id = (uint64_t)h->run_id;
    return PR_OK;
}

static enum pr_code answer(struct placement_hints *h, const struct pr_msg *msg, void **reply,
                           size_t *len, uint64_t *run_id, struct pr_err *err)
{
    char zone[PLACEMENT_ZONE_BYTES];
    Prism__V1__PlacementHintResponse out = PRISM__V1__PLACEMENT_HINT_RESPONSE__INIT;
    Prism__V1__PlacementHintRequest *r =
        prism__v1__placement_hint_request__unpack(NULL, msg->len, msg->data);
    if (r == NULL)
        return pr_fail(err, PR_EDATA, "not a PlacementHintRequest (%zu bytes)", msg->len);
    enum pr_code rc = check(r, err);
    if (rc == PR_OK) {
        (void)pthread_mutex_lock(&h->mu);
        rc = choose(h, r, &out, zone, err);
        (void)pthread_mutex_unlock(&h->mu);
    }
    prism__v1__placement_hint_request__free_unpacked(r, NULL);
    if (rc != PR_OK)
        return rc;
    out.zone = zone;
    *run_id = out.run_id;
    *reply = malloc(prism__v1__placement_hint_response__get_packed_size(&out) + 1);
    if (*reply == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for a hint");
    *len = prism__v1__placement_hint_response__pack(&out, *reply);
    return PR_OK;
}

enum pr_code placement_hints_answer(void *ctx, const struct pr_msg *msg, void **reply, size_t *len,
                                    struct pr_err *err)
{
    struct placement_hints *h = ctx;
    const int64_t begin_us = pr_mono_us();
    uint64_t run_id = 0;
    enum pr_code rc = answer(h, msg, reply, len, &run_id, err);
    pr_metrics_add(h->svc->metrics, M_HINTS,
                   rc != PR_OK   ? "error"
                   : run_id != 0 ? "run"
                                 : "home",
                   1);
    pr_metrics_observe(h->svc->metrics, M_HINT_SECONDS, NULL,
                       (double)(pr_mono_us() - begin_us) / 1e6);
    if (rc != PR_OK)
        pr_warn(PR_EV("placement.hint_failed"), PR_E(err));
    return rc;
}
