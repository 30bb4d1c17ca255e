/* What the supervisor looks after while workers run: users, topology, open
 * slots, latency. */
#include "io/executor_private.h"

#include "io/cluster_facts.h"
#include "io/topology_rows.h"

#include "prism/io/clock.h"

#include <stdlib.h>
#include <string.h>

enum { USERS_MS = 2000, ONE_NODE_MS = 3000 }; /* the longest that a tick is held up */

enum pr_code rebalance_connect(struct rebalance_executor *e, struct pr_err *err)
{
    if (e->cluster != NULL)
        return PR_OK;
    free(e->seeds);
    e->seeds = NULL;
    enum pr_code rc = rebalance_seeds(e->db, e->o.cfg, &e->seeds, err);
    if (rc == PR_OK && e->seeds[0] == '\0')
        rc = pr_fail(err, PR_EUNAVAIL, "no Redis node is registered");
    return rc == PR_OK ? rebalance_cluster_open(&e->cluster, e->seeds, e->o.cfg, err) : rc;
}

/* Under the lease: a stale holder must not make its user again. */
static enum pr_code prepare_users(struct rebalance_executor *e, struct pr_err *err)
{
    PGresult *got = NULL;
    enum pr_code rc = pr_db_exec(
        e->db, "SELECT epoch, expires_at > clock_timestamp() FROM leases WHERE name = $1",
        PR_ARGS(pr_text(e->lease.name)), &got, err);
    if (rc != PR_OK)
        return rc;
    PR_AUTO(PGresult) *res = got;
    if (PQntuples(res) != 1 || (uint64_t)pr_cell_i64(res, 0, 0) != e->lease.epoch ||
        !pr_cell_bool(res, 0, 1))
        return pr_fail(err, PR_EFENCED, "lease %s: lost", e->lease.name);
    const struct rebalance_config *cfg = e->o.cfg;
    const struct pr_redis_auth service = { cfg->redis_user[0] == '\0' ? NULL : cfg->redis_user,
                                           cfg->redis_password };
    /* What was begun within the lease ends within it; a short lease leaves less for that. */
    const int64_t spare_ms =
        cfg->lease_ttl_ms / 4 < ONE_NODE_MS ? cfg->lease_ttl_ms / 4 : ONE_NODE_MS;
    int64_t ms = rebalance_lease_left_ms(e) - spare_ms;
    ms = ms < USERS_MS ? ms : USERS_MS;
    return rebalance_users_prepare(&e->ready, pr_cluster_topology(e->cluster), &service, e->user,
                                   REBALANCE_USER_KINDS, pr_mono_us() + ms * 1000, err);
}

static enum pr_code find_open_slots(struct rebalance_executor *e, struct rebalance_run *run,
                                    struct pr_err *err)
{
    uint8_t open[2048];
    enum pr_code rc = rebalance_cluster_open_slots(e->db, e->cluster, open, err);
    for (size_t i = 0; rc == PR_OK && i < sizeof open; i++)
        atomic_store_explicit(&run->open_slot[i], open[i], memory_order_relaxed);
    return rc;
}

/* A node that does not answer holds up nothing but what concerns it. */
enum pr_code rebalance_tend_users(struct rebalance_executor *e, bool again, struct pr_err *err)
{
    if (again || e->prepared != e->lease.epoch)
        rebalance_users_ready_done(&e->ready);
    e->prepared = e->lease.epoch;
    return rebalance_users_due(&e->ready, pr_cluster_topology(e->cluster), pr_mono_us())
               ? prepare_users(e, err)
               : PR_OK;
}

static enum pr_code owners_serve(const struct pr_topology *t, const int16_t *slot_owner,
                                 bool *is_down, struct pr_err *err)
{
    *is_down = false;
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++) {
        if (slot_owner[s] < 0)
            return pr_fail(err, PR_EUNAVAIL, "slot %zu has no owner", s);
        const struct pr_node *owner = &t->node[slot_owner[s]];
        *is_down = owner->failed;
        if (*is_down)
            return pr_fail(err, PR_EUNAVAIL, "primary %s:%d is down", owner->host, owner->port);
    }
    return PR_OK;
}

/* A dead owner may have been succeeded, as the rows have it: they are asked for only then. */
static enum pr_code all_serve(struct rebalance_executor *e, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(e->cluster);
    struct rebalance_registered reg;
    struct rebalance_image image;
    struct pr_arena arena;
    bool is_down;
    enum pr_code rc = owners_serve(t, t->slot_owner, &is_down, err);
    if (!is_down)
        return rc;
    pr_arena_init(&arena, 0);
    rc = rebalance_registered_load(e->db, &arena, &reg, err);
    if (rc == PR_OK)
        rc = rebalance_cluster_image(&reg, t, &arena, &image, err);
    if (rc == PR_OK)
        rc = owners_serve(t, image.owner, &is_down, err);
    pr_arena_done(&arena);
    return rc;
}

enum pr_code rebalance_tend_cluster(struct rebalance_executor *e, struct rebalance_run *run,
                                    struct pr_err *err)
{
    rebalance_takeover_tend(e);
    rebalance_chains_tend(e);
    enum pr_code rc = pr_cluster_refresh(e->cluster, err);
    if (rc == PR_OK)
        rc = rebalance_tend_users(e, atomic_exchange(&run->users_missing, false), err);
    if (rc != PR_OK)
        return rc;
    rc = all_serve(e, err);
    return rc == PR_OK ? find_open_slots(e, run, err) : rc;
}

void rebalance_tend_probe(struct rebalance_executor *e, struct rebalance_run *run, bool new_window)
{
    const struct pr_topology *t = pr_cluster_topology(e->cluster);
    for (size_t i = 0; i < t->nodes; i++) {
        struct pr_redis *conn = NULL;
        redisReply *got = NULL;
        if (!t->node[i].primary || t->node[i].failed ||
            pr_cluster_conn(e->cluster, t->node[i].id, &conn, NULL) != PR_OK)
            continue;
        const int64_t from_us = pr_mono_us();
        if (pr_redis_command(conn, &got, NULL, "PING") != PR_OK) {
            pr_cluster_drop(e->cluster, t->node[i].id);
            continue;
        }
        freeReplyObject(got);
        pr_hist_add(&e->probe[0], (uint64_t)(pr_mono_us() - from_us));
    }
    if (!new_window)
        return;
    pr_hist_merge(&e->probe[1], &e->probe[0]);
    const uint64_t p99_us = pr_hist_quantile(&e->probe[1], 0.99);
    const int pause_ms = rebalance_throttle_ms(atomic_load(&run->throttle_ms), p99_us,
                                               (uint64_t)e->o.cfg->probe_p99_ms * 1000);
    atomic_store(&run->throttle_ms, pause_ms);
    pr_metrics_set(e->o.metrics, M_PROBE_P99, NULL, (double)p99_us / 1e6);
    pr_metrics_set(e->o.metrics, M_THROTTLE, NULL, pause_ms / 1e3);
    e->probe[1] = e->probe[0];
    e->probe[0] = (struct pr_hist){ 0 };
}
