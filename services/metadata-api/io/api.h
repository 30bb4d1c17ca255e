/* Inside of metadata-api's shell: what every handler has at hand. */
#ifndef METADATA_API_API_H
#define METADATA_API_API_H

#include "api_access.h"
#include "api_rate.h"
#include "api_snapshot.h"
#include "blobs.h"
#include "feed.h"
#include "heat.h"
#include "json.h"
#include "jwt.h"
#include "pool.h"
#include "prism/io/service.h"
#include "refresh.h"
#include "roles.h"
#include "spec.h"
#include "standby.h"
#include "watch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CONFIG(...) PR_CFG_FIELD(__VA_ARGS__)
struct api_config {
#include "config.def"
};
#undef CONFIG

#define METRIC(...) PR_METRIC_ID(__VA_ARGS__)
enum api_metric {
#include "metrics.def"
};
#undef METRIC

/* Every route, with what it needs. */
extern const struct pr_http_route api_routes[];
extern const size_t api_route_count;
/* The file openapi.json, made an array at build time. */
extern const char api_description[];

/* What NATS said last of its streams, for /v1/coordination. */
struct api_bus_seen {
    pthread_mutex_t lock; /* both below */
    json_t *j;            /* owned; NULL: not asked yet */
    int64_t at_ms;        /* monotonic */
};

struct api {
    struct pr_service *svc; /* borrowed */
    struct api_config config;
    struct pr_http_options http;
    struct pr_service_def def;
    struct api_cell *cell;
    struct api_refresher *refresher;
    struct api_pool *pool; /* from here on: NULL until api_open */
    struct api_blobs *blobs;
    struct api_standby_gate *standby;
    struct api_feed *feed;
    struct pr_http_bell changes_bell; /* rung by feed, for watches */
    struct api_heat *heat;
    struct api_watchers *watchers;
    struct api_spec *spec;
    struct api_bus_seen bus_seen;
    struct pr_tls *tls;              /* NULL: no TLS */
    struct api_roles *roles;         /* from api_configured on */
    struct api_jwt *jwt;             /* NULL: no issuer is known */
    void *sha256;                    /* EVP_MD: fetched once */
    char (*route_label)[96];         /* [api_route_count]: "GET /v1/nodes", of metrics */
    struct api_rates reads, changes; /* of each principal */
    struct api_rates refusals;       /* of each address */
    int64_t tls_warned_ms;
    int64_t heated_ms; /* when temperatures were last written */
    int64_t swept_ms;  /* when old idempotency keys were last deleted */
};

/* How somebody is known: by a token of ours, one of the identity provider, or a certificate. */
enum api_kind_of_principal { API_BY_TOKEN, API_BY_JWT, API_BY_CERTIFICATE };
enum { API_PRINCIPAL = 280 };
struct api_principal {
    char name[API_PRINCIPAL]; /* "ci", "jwt:alice", "CN=ops-laptop" */
    enum api_kind_of_principal by;
    enum api_role role;
    unsigned char hash[API_HASH_BYTES]; /* SHA-256 of the token; else of the name */
    int64_t expires_ms;                 /* of a JWT or a certificate */
    uint64_t version;                   /* of what a JWT or a certificate was judged by */
    int access;                         /* what it was let in for */
};
static inline const char *api_who(const struct pr_http_req *req)
{
    return ((const struct api_principal *)req->principal)->name;
}

/* Makes what handlers need before the service listens; then open when the
 * service is up, stop before it closes, free after. NULL is fine for both last. */
PR_CHECKED enum pr_code api_new(struct api **api, struct pr_service *svc, struct pr_err *err);
PR_CHECKED enum pr_code api_open(struct api *api, struct pr_err *err);
enum pr_code api_tick(void *api, int64_t now_ms, struct pr_err *err);
void api_stop(struct api *api);
void api_free(struct api *api);

/* Checks the bearer token against the snapshot and the route's access. */
int api_authorise(void *api, struct pr_http_req *req, const struct pr_http_route *route,
                  struct pr_http_res *res);

/* What somebody was let in by: does it still count, and may it have that access? */
bool api_still_good(struct api *api, const struct api_snapshot *s, const struct api_principal *who,
                    int access);

/* --- what lets people in (edge.c) ------------------------------------------------- */
/* From the settings: TLS, the table of roles, the identity provider. PR_EINVAL names the setting.
 */
PR_CHECKED enum pr_code api_configured(void *api, const struct pr_common_config *common,
                                       struct pr_err *err);
/* Looks whether files were replaced, warns of a certificate that ends, and measures. */
void api_edge_tick(struct api *api, int64_t now_ms);
void api_edge_close(struct api *api);

/* Raises a counter to what was counted elsewhere. */
void api_count_to(struct pr_metrics *m, int id, const char *label, uint64_t total);

/* Cuts off watchers that do not take what they are sent. */
void api_watch_tick(struct api *api);

/* Snapshot with a reference; handlers behind a token always get one. Sets Age. */
struct api_snapshot *api_look(struct api *api, const struct pr_http_req *req,
                              struct pr_http_res *res);
static inline void pr_auto_api_snapshot(struct api_snapshot **s)
{
    api_snapshot_unref(*s);
}
typedef struct api_snapshot api_snapshot;

/* One page of a list being written. */
struct api_page {
    const char *list;
    uint64_t scope;
    unsigned size, shown;
    bool more;
    char after[API_NAME * 3], last[API_NAME * 3]; /* "" at the start */
    json_t *items;
};
/* Reads pageSize, pageToken and the filters (values into filter[]); false
 * after writing a problem. */
bool api_page_begin(struct api_page *p, const char *list, const char *const *names, unsigned n,
                    const char **filter, const struct pr_http_req *req, struct pr_http_res *res);
/* False when the page is full (the item is dropped). Takes over item. */
bool api_page_add(struct api_page *p, const char *key, json_t *item);
void api_page_end(struct api_page *p, struct pr_http_res *res);

/* Lists and single resources that live in PostgreSQL only. json: SQL that
 * yields one JSON object; key: SQL text of its cursor, "" in single reads. */
struct api_list {
    const char *name, *sql; /* columns key, json; $1 key or NULL, $2 rows, $3.. filters */
    const char *const *filters;
    unsigned n_filters;
};
void api_list_rows(struct api *api, const struct api_list *list, const struct pr_http_req *req,
                   struct pr_http_res *res);
/* The list of one parent: $3 is its id, the filters follow. */
void api_list_rows_of(struct api *api, const struct api_list *list, const char *of,
                      const struct pr_http_req *req, struct pr_http_res *res);
/* The one row of a query, or NULL after writing a problem (404: `what` does not exist). */
PGresult *api_one_row(struct api *api, const char *sql, const struct pr_arg *arg, size_t args,
                      const char *what, struct pr_http_res *res);
/* SQL: the newest run that placed something, as the placement service chooses it. */
#define API_NEWEST_RUN                                                                             \
    "(SELECT max(id) FROM placement_runs WHERE state = 'done' "                                    \
    "AND coalesce(params ->> 'kind', 'placement') = 'placement')"
/* sql: one column json, $1 the id. what: "placement run 7" in a 404. */
void api_get_row(struct api *api, const char *sql, const struct pr_arg *id, const char *what,
                 const struct pr_http_req *req, struct pr_http_res *res);
/* One resource as PostgreSQL wrote it, with its ETag. */
void api_reply_row(const struct pr_http_req *req, struct pr_http_res *res, const char *json);
/* JSON text as it comes from PostgreSQL, members renamed; NULL: out of memory. */
json_t *api_from_sql(const char *text);
/* Its generation; api_finish adds what tells one answer from another. */
void api_etag(const struct pr_http_req *req, struct pr_http_res *res, uint64_t generation);

json_t *api_node_json(const struct api_node *n, const char *zone);
json_t *api_zone_json(const struct api_zone *z);

/* Handlers, by resource. */
pr_http_fn api_vertex_get, api_vertex_batch;
pr_http_fn api_routes_get;
pr_http_fn api_partition_list, api_partition_get, api_topology_get;
pr_http_fn api_node_list, api_node_get, api_node_create, api_node_patch, api_node_delete;
pr_http_fn api_zone_list, api_zone_get, api_zone_create, api_zone_patch;
pr_http_fn api_run_list, api_run_get, api_run_create, api_report_get, api_explain_get;
pr_http_fn api_hint_list, api_hint_suggest;
pr_http_fn api_plan_list, api_plan_get, api_plan_create;
pr_http_fn api_plan_execute, api_plan_approve, api_plan_pause, api_plan_resume, api_plan_cancel;
pr_http_fn api_step_list, api_move_list, api_rebalance_explain;
pr_http_fn api_rebalance_stop, api_rebalance_start, api_policy_get, api_policy_put;
pr_http_fn api_pin_list, api_pin_get, api_pin_put, api_pin_delete;
pr_http_fn api_fleet_list, api_fleet_get, api_fleet_put, api_fleet_versions, api_fleet_version;
pr_http_fn api_fleet_enable, api_fleet_disable, api_fleet_samples, api_fleet_simulate;
pr_http_fn api_decision_list, api_decision_get, api_decision_input, api_decision_explain;
pr_http_fn api_decision_replay;
pr_http_fn api_dr_zones, api_dr_lag;
pr_http_fn api_dr_get, api_drill_list, api_drill_get, api_drill_create;
pr_http_fn api_generation_list, api_generation_get, api_restore_list, api_coordination_get;
pr_http_fn api_cluster_restore_list, api_cluster_restore_get, api_cluster_restore_create;
pr_http_fn api_cluster_restore_cancel;
pr_http_fn api_failover_list, api_failover_get, api_failover_create;
pr_http_fn api_failover_resume, api_failover_abort;
pr_http_fn api_operation_list, api_operation_get, api_operation_cancel;
pr_http_fn api_token_list, api_token_get, api_token_create, api_token_revoke;
pr_http_fn api_audit_list, api_event_list, api_cost_get, api_description_get;
pr_http_fn api_file_get, api_whoami_get;

#endif
