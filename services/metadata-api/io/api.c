#include "api.h"
#include "common.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/v1/rebalance.pb-c.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Idle connections are kept for longer than a load balancer keeps them (the chart's: 60 s), which
 * else sends a request on one that is being closed here, and answers 502. */
enum { KEEP_KEYS_H = 24, SWEEP_MS = 600 * 1000, MAX_BODY_BYTES = 1 << 20, IDLE_TIMEOUT_S = 75 };

#define CONFIG(...) PR_CFG_ROW(struct api_config, __VA_ARGS__)
static const struct pr_cfg_row config_rows[] = {
#include "config.def"
};
#undef CONFIG

#define METRIC(...) PR_METRIC_ROW(__VA_ARGS__)
static const struct pr_metric_row metric_rows[] = {
#include "metrics.def"
};
#undef METRIC

const struct pr_http_route api_routes[] = {
    { "GET", "/openapi.json", api_description_get, API_OPEN },
    { "GET", "/docs", api_file_get, API_OPEN },
    { "GET", "/docs.css", api_file_get, API_OPEN },
    { "GET", "/docs.js", api_file_get, API_OPEN },
    { "GET", "/", api_file_get, API_OPEN },
    { "GET", "/ui/{file}", api_file_get, API_OPEN },
    { "GET", "/v1/whoami", api_whoami_get, API_READ },
    { "GET", "/v1/vertices/{id}", api_vertex_get, API_READ },
    { "POST", "/v1/vertices:batchGet", api_vertex_batch, API_READ },
    { "GET", "/v1/routes", api_routes_get, API_READ },
    { "GET", "/v1/partitions", api_partition_list, API_READ },
    { "GET", "/v1/partitions/{id}", api_partition_get, API_READ },
    { "GET", "/v1/topology", api_topology_get, API_READ },
    { "GET", "/v1/nodes", api_node_list, API_READ },
    { "GET", "/v1/nodes/{id}", api_node_get, API_READ },
    { "POST", "/v1/nodes", api_node_create, API_FLEET },
    { "PATCH", "/v1/nodes/{id}", api_node_patch, API_FLEET },
    { "DELETE", "/v1/nodes/{id}", api_node_delete, API_FLEET },
    { "GET", "/v1/zones", api_zone_list, API_READ },
    { "GET", "/v1/zones/{id}", api_zone_get, API_READ },
    { "POST", "/v1/zones", api_zone_create, API_FLEET },
    { "PATCH", "/v1/zones/{id}", api_zone_patch, API_FLEET },
    { "GET", "/v1/placement/runs", api_run_list, API_READ },
    { "GET", "/v1/placement/runs/{id}", api_run_get, API_READ },
    { "POST", "/v1/placement/runs", api_run_create, API_RUN },
    { "GET", "/v1/placement/report", api_report_get, API_READ },
    { "GET", "/v1/placement/hints", api_hint_list, API_READ },
    { "POST", "/v1/placement/hints:suggest", api_hint_suggest, API_READ },
    { "GET", "/v1/placement/explain/{id}", api_explain_get, API_READ },
    { "GET", "/v1/rebalance/plans", api_plan_list, API_READ },
    { "GET", "/v1/rebalance/plans/{id}", api_plan_get, API_READ },
    { "POST", "/v1/rebalance/plans", api_plan_create, API_RUN },
    { "GET", "/v1/rebalance/plans/{id}/steps", api_step_list, API_READ },
    { "GET", "/v1/rebalance/plans/{id}/moves", api_move_list, API_READ },
    { "POST", "/v1/rebalance/plans/{id}:execute", api_plan_execute, API_RUN },
    { "POST", "/v1/rebalance/plans/{id}:approve", api_plan_approve, API_RUN },
    { "POST", "/v1/rebalance/plans/{id}:pause", api_plan_pause, API_RUN },
    { "POST", "/v1/rebalance/plans/{id}:resume", api_plan_resume, API_RUN },
    { "POST", "/v1/rebalance/plans/{id}:cancel", api_plan_cancel, API_RUN },
    { "POST", "/v1/rebalance:stop", api_rebalance_stop, API_RUN },
    { "POST", "/v1/rebalance:start", api_rebalance_start, API_RUN },
    { "GET", "/v1/rebalance/policy", api_policy_get, API_READ },
    { "PUT", "/v1/rebalance/policy", api_policy_put, API_FLEET },
    { "GET", "/v1/rebalance/pins", api_pin_list, API_READ },
    { "GET", "/v1/rebalance/pins/{kind}/{value}", api_pin_get, API_READ },
    { "PUT", "/v1/rebalance/pins/{kind}/{value}", api_pin_put, API_RUN },
    { "DELETE", "/v1/rebalance/pins/{kind}/{value}", api_pin_delete, API_RUN },
    { "GET", "/v1/rebalance/explain", api_rebalance_explain, API_READ },
    { "GET", "/v1/autoscale/fleets", api_fleet_list, API_READ },
    { "GET", "/v1/autoscale/fleets/{id}", api_fleet_get, API_READ },
    { "PUT", "/v1/autoscale/fleets/{id}", api_fleet_put, API_FLEET },
    { "GET", "/v1/autoscale/fleets/{id}/versions", api_fleet_versions, API_READ },
    { "GET", "/v1/autoscale/fleets/{id}/versions/{version}", api_fleet_version, API_READ },
    { "GET", "/v1/autoscale/fleets/{id}/samples", api_fleet_samples, API_READ },
    { "POST", "/v1/autoscale/fleets/{id}:enable", api_fleet_enable, API_RUN },
    { "POST", "/v1/autoscale/fleets/{id}:disable", api_fleet_disable, API_RUN },
    { "POST", "/v1/autoscale/fleets/{id}:simulate", api_fleet_simulate, API_RUN },
    { "GET", "/v1/autoscale/decisions", api_decision_list, API_READ },
    { "GET", "/v1/autoscale/decisions/{id}", api_decision_get, API_READ },
    { "GET", "/v1/autoscale/decisions/{id}/input", api_decision_input, API_READ },
    { "GET", "/v1/autoscale/decisions/{id}/explain", api_decision_explain, API_READ },
    { "GET", "/v1/autoscale/decisions/{id}/replay", api_decision_replay, API_READ },
    { "GET", "/v1/dr", api_dr_get, API_READ },
    { "GET", "/v1/dr/zones", api_dr_zones, API_READ },
    { "GET", "/v1/dr/lag", api_dr_lag, API_READ },
    { "GET", "/v1/dr/generations", api_generation_list, API_READ },
    { "GET", "/v1/dr/generations/{shard}/{generation}", api_generation_get, API_READ },
    { "GET", "/v1/dr/restores", api_restore_list, API_READ },
    { "GET", "/v1/dr/drills", api_drill_list, API_READ },
    { "GET", "/v1/dr/drills/{id}", api_drill_get, API_READ },
    { "POST", "/v1/dr/drills", api_drill_create, API_RUN },
    { "GET", "/v1/dr/cluster-restores", api_cluster_restore_list, API_READ },
    { "GET", "/v1/dr/cluster-restores/{id}", api_cluster_restore_get, API_READ },
    { "POST", "/v1/dr/cluster-restores", api_cluster_restore_create, API_FLEET },
    { "POST", "/v1/dr/cluster-restores/{id}:cancel", api_cluster_restore_cancel, API_FLEET },
    { "GET", "/v1/dr/failovers", api_failover_list, API_FAILOVER_READ },
    { "GET", "/v1/dr/failovers/{id}", api_failover_get, API_FAILOVER_READ },
    { "POST", "/v1/dr/failovers", api_failover_create, API_FAILOVER },
    { "POST", "/v1/dr/failovers/{id}:resume", api_failover_resume, API_FAILOVER },
    { "POST", "/v1/dr/failovers/{id}:abort", api_failover_abort, API_FAILOVER },
    { "GET", "/v1/coordination", api_coordination_get, API_READ },
    { "GET", "/v1/operations", api_operation_list, API_READ },
    { "GET", "/v1/operations/{id}", api_operation_get, API_READ },
    { "POST", "/v1/operations/{id}:cancel", api_operation_cancel, API_RUN },
    { "GET", "/v1/costs", api_cost_get, API_READ },
    { "GET", "/v1/audit", api_audit_list, API_TRAIL },
    { "GET", "/v1/events", api_event_list, API_READ },
    { "GET", "/v1/tokens", api_token_list, API_KEYS },
    { "GET", "/v1/tokens/{name}", api_token_get, API_KEYS },
    { "POST", "/v1/tokens", api_token_create, API_KEYS },
    { "POST", "/v1/tokens/{name}:revoke", api_token_revoke, API_KEYS },
};
const size_t api_route_count = PR_COUNT(api_routes);

/* Answered from memory; a look-up whose routes are not there asks a worker. */
static pr_http_fn *const at_once[] = { api_vertex_get, api_file_get, api_description_get,
                                       api_whoami_get, NULL };

static void done(void *ctx, const struct pr_http_req *req, const struct pr_http_route *route,
                 int status, int64_t us)
{
    struct api *api = ctx;
    const char name[] = { (char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                          (char)('0' + status % 10), '\0' };
    pr_metrics_add(api->svc->metrics, API_M_REQUESTS, name, 1);
    /* A watch lasts as long as its client wants: that says nothing about us. */
    if (route >= api_routes && route < api_routes + api_route_count && route->fn != api_event_list)
        pr_metrics_observe(api->svc->metrics, API_M_SECONDS, api->route_label[route - api_routes],
                           (double)us / 1e6);
    (void)req;
}

/* What every request needs, made once. */
static enum pr_code prepare(struct api *api, struct pr_err *err)
{
    api->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    api->route_label = calloc(api_route_count, sizeof *api->route_label);
    if (api->sha256 == NULL || api->route_label == NULL)
        return pr_fail(err, PR_ENOMEM, "metadata-api");
    for (size_t i = 0; i < api_route_count; i++)
        (void)snprintf(api->route_label[i], sizeof api->route_label[i], "%s %s",
                       api_routes[i].method, api_routes[i].pattern);
    return api_spec_new(&api->spec, api_description, err);
}

enum pr_code api_new(struct api **out, struct pr_service *svc, struct pr_err *err)
{
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL)
        return pr_fail(err, PR_ENOMEM, "metadata-api");
    api->svc = svc;
    (void)pthread_mutex_init(&api->bus_seen.lock, NULL);
    pr_http_bell_init(&api->changes_bell);
    api->cell = api_cell_new();
    enum pr_code rc = api->cell == NULL ? pr_fail(err, PR_ENOMEM, "snapshot")
                                        : api_refresher_new(&api->refresher, api->cell, err);
    if (rc == PR_OK)
        rc = prepare(api, err);
    if (rc != PR_OK) {
        api_free(api);
        return rc;
    }
    api->http = (struct pr_http_options){
        .max_body_bytes = MAX_BODY_BYTES,
        .idle_timeout_s = IDLE_TIMEOUT_S,
        .routes = api_routes,
        .n_routes = PR_COUNT(api_routes),
        .at_once = at_once,
        .ctx = api,
        .authorise = api_authorise,
        .finish = api_finish,
        .done = done,
        .bell = &api->changes_bell,
    };
    api->def = (struct pr_service_def){
        .name = "metadata-api",
        .config = config_rows,
        .n_config = PR_COUNT(config_rows),
        .config_out = &api->config,
        .metrics = metric_rows,
        .n_metrics = PR_COUNT(metric_rows),
        .http = &api->http,
        .relay = true,
        .configured = api_configured,
        .configured_ctx = api,
        .without_db = true, /* a site in standby has none, and takes fail-overs */
    };
    *out = api;
    return PR_OK;
}

/* What an event says changed. One that cannot be read asks for everything: the
 * snapshot comes from PostgreSQL, events only say when to look. */
static enum pr_code heard(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    struct api *api = ctx;
    (void)err;
    if (strcmp(msg->subject, "prism.evt.rebalance.routes") == 0) {
        Prism__V1__RoutesChangedEvent *e =
            prism__v1__routes_changed_event__unpack(NULL, msg->len, msg->data);
        api_refresher_ask(api->refresher, e == NULL ? API_EVERYTHING : API_DELTAS,
                          e == NULL ? 0 : (int64_t)e->delta_id);
        if (e != NULL)
            prism__v1__routes_changed_event__free_unpacked(e, NULL);
    } else if (strncmp(msg->subject, "prism.evt.topology.", 19) == 0 ||
               strncmp(msg->subject, "prism.evt.metadata.", 19) == 0) {
        /* Elsewhere a token may have been revoked. */
        api_refresher_ask(api->refresher, API_TOPO | API_TOKENS, 0);
    } else {
        api_refresher_ask(api->refresher, API_DELTAS, 0);
    }
    return PR_OK;
}

static enum pr_code heard_access(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    struct api *api = ctx;
    (void)err;
    PR_AUTO(api_snapshot) *s = api_cell_get(api->cell);
    api_heat_hear(api->heat, msg, s == NULL ? 0 : s->topo->partitions, pr_now_ms());
    return PR_OK;
}

/* Temperatures are nice to have: a NATS user that may not hear of accesses keeps nobody from
 * looking vertices up. */
static void listen_for_accesses(struct api *api)
{
    struct pr_err err = { 0 };
    if (pr_bus_watch(api->svc->bus, "PRISM_EDGES", "prism.edges.access", heard_access, api, &err) !=
        PR_OK)
        pr_warn(PR_EV("api.accesses_unheard"), PR_E(&err));
}

enum pr_code api_open(struct api *api, struct pr_err *err)
{
    struct pr_service *svc = api->svc;
    const struct api_config *c = &api->config;
    pr_service_not_ready(svc, "snapshot", "PostgreSQL has not been read yet");
    api->watchers = api_watchers_new();
    if (api->watchers == NULL)
        return pr_fail(err, PR_ENOMEM, "watchers");
    enum pr_code rc = api_standby_open(&api->standby, c->standby_hash_file, err);
    if (rc == PR_OK)
        rc = api_pool_open(&api->pool, svc->common.db_uri, "metadata-api", (int)c->db_pool, err);
    if (rc == PR_OK)
        rc = api_blobs_open(&api->blobs, api->pool, (size_t)c->blob_bytes, c->blob_ttl_s * 1000,
                            err);
    if (rc == PR_OK)
        rc = api_feed_start(&api->feed, svc->common.db_uri, &api->changes_bell, err);
    const struct api_heat_rules heat = { c->hot_per_s, c->heat_half_life_s * 1000,
                                         c->cold_after_s * 1000 };
    if (rc == PR_OK)
        rc = api_heat_new(&api->heat, &heat, err);
    if (rc == PR_OK)
        rc = pr_bus_watch(svc->bus, "PRISM_EVT", "prism.evt.>", heard, api, err);
    if (rc == PR_OK)
        listen_for_accesses(api);
    if (rc == PR_OK)
        rc = api_refresher_start(api->refresher, svc->common.db_uri, "metadata-api snapshot",
                                 c->token_ttl_ms, c->full_refresh_s * 1000, err);
    return rc;
}

void api_count_to(struct pr_metrics *m, int id, const char *label, uint64_t total)
{
    pr_metrics_add(m, id, label, (double)total - pr_metrics_get(m, id, label));
}

static void measure(struct api *api)
{
    struct pr_metrics *m = api->svc->metrics;
    struct api_refresher_stats reads;
    struct api_blob_stats blobs;
    api_refresher_stats(api->refresher, &reads);
    api_blobs_stats(api->blobs, &blobs);
    api_count_to(m, API_M_REFRESHES, "all", reads.reads);
    api_count_to(m, API_M_REFRESHES, "failed", reads.failed);
    pr_metrics_set(m, API_M_BLOB_BYTES, NULL, (double)blobs.bytes);
    pr_metrics_set(m, API_M_BLOBS, NULL, (double)blobs.entries);
    api_count_to(m, API_M_BLOB_EVENTS, "hit", blobs.hits);
    api_count_to(m, API_M_BLOB_EVENTS, "load", blobs.loads);
    api_count_to(m, API_M_BLOB_EVENTS, "evict", blobs.evicted);

    struct api_feed_stats feed;
    api_feed_stats(api->feed, &feed);
    api_count_to(m, API_M_FEED_CHANGES, NULL, feed.changes);
    pr_metrics_set(m, API_M_FEED_HELD, NULL, (double)feed.held_ms / 1e3);

    struct api_heat_stats heat;
    api_heat_stats(api->heat, &heat);
    api_count_to(m, API_M_ACCESS_EVENTS, "heard", heat.heard);
    api_count_to(m, API_M_ACCESS_EVENTS, "dropped", heat.dropped);
    api_count_to(m, API_M_HEAT_WRITES, NULL, heat.written);

    PR_AUTO(api_snapshot) *s = api_cell_get(api->cell);
    const int64_t now_ms = pr_mono_us() / 1000;
    api_standby_saw(api->standby,
                    api_db_away(api_standby_up_ms(api->standby, now_ms),
                                s == NULL ? -1 : now_ms - s->tokens_at_ms),
                    now_ms);
    if (s == NULL)
        return;
    int64_t oldest = s->topo_at_ms < s->deltas_at_ms ? s->topo_at_ms : s->deltas_at_ms;
    pr_metrics_set(m, API_M_SNAPSHOT_AGE, NULL, (double)(pr_mono_us() / 1000 - oldest) / 1e3);
    pr_metrics_set(m, API_M_SNAPSHOT_REVISION, NULL, (double)s->topo->revision);
    pr_metrics_set(m, API_M_SNAPSHOT_DELTAS, NULL, (double)s->deltas->routes.len / 12);
    pr_service_not_ready(api->svc, "snapshot", NULL);
}

enum pr_code api_tick(void *ctx, int64_t now_ms, struct pr_err *err)
{
    struct api *api = ctx;
    measure(api);
    api_edge_tick(api, now_ms);
    api_watch_tick(api);
    enum pr_code rc = api_standby_audit(api->standby, api->svc->db, err);
    if (rc == PR_OK && now_ms - api->heated_ms >= api->config.heat_write_s * 1000) {
        rc = api_heat_write(api->heat, api->svc->db, now_ms, err);
        api->heated_ms = now_ms;
    }
    if (rc != PR_OK || now_ms - api->swept_ms < SWEEP_MS)
        return rc;
    rc = pr_db_exec(api->svc->db,
                    "DELETE FROM idempotency WHERE created_at < now() - make_interval(hours => $1)",
                    PR_ARGS(pr_i64(KEEP_KEYS_H)), NULL, err);
    if (rc == PR_OK)
        rc = api_feed_trim(api->svc->db, api->config.events_keep_h, err);
    if (rc == PR_OK)
        api->swept_ms = now_ms;
    return rc;
}

void api_stop(struct api *api)
{
    if (api != NULL)
        api_refresher_stop(api->refresher);
}

void api_free(struct api *api)
{
    if (api == NULL)
        return;
    api_refresher_free(api->refresher);
    api_blobs_close(api->blobs);
    api_feed_free(api->feed);
    api_heat_free(api->heat);
    api_watchers_free(api->watchers);
    api_spec_free(api->spec);
    json_decref(api->bus_seen.j);
    pthread_mutex_destroy(&api->bus_seen.lock);
    pr_http_bell_done(&api->changes_bell);
    free(api->route_label);
    EVP_MD_free(api->sha256);
    api_pool_close(api->pool);
    api_cell_free(api->cell);
    api_standby_close(api->standby);
    api_edge_close(api);
    free(api);
}
