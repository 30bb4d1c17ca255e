#include "io/watcher.h"

#include "io/cluster_facts.h"
#include "io/topology_rows.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_TTL_MS = 5000, CHECK_US = 10 * 1000 * 1000 };

enum pr_code rebalance_watcher_open(struct rebalance_watcher *w, struct pr_service *svc,
                                    const struct rebalance_config *cfg, struct pr_err *err)
{
    (void)err;
    *w = (struct rebalance_watcher){ .svc = svc, .cfg = cfg };
    w->lease.ttl_ms = LEASE_TTL_MS;
    snprintf(w->lease.name, sizeof w->lease.name, "rebalance-topology");
    snprintf(w->lease.holder, sizeof w->lease.holder, "%s", svc->instance);
    pr_arena_init(&w->arena[0], 0);
    pr_arena_init(&w->arena[1], 0);
    return PR_OK;
}

void rebalance_watcher_close(struct rebalance_watcher *w)
{
    if (w->svc == NULL)
        return;
    if (w->svc->db != NULL)
        pr_lease_release(w->svc->db, &w->lease);
    pr_cluster_close(w->cluster);
    pr_arena_done(&w->arena[0]);
    pr_arena_done(&w->arena[1]);
    *w = (struct rebalance_watcher){ 0 };
}

/* Logs a change of what is going on, and tells /readyz; down: why not ready, or NULL. */
static void say(struct rebalance_watcher *w, const char *state, const char *down)
{
    pr_service_not_ready(w->svc, "redis", down);
    const char *what = down != NULL ? down : state;
    if (strcmp(w->state, what) == 0)
        return;
    snprintf(w->state, sizeof w->state, "%.*s", (int)sizeof w->state - 1, what);
    if (down != NULL)
        pr_warn(PR_EV("topology.unknown"), PR_S("why", down));
    else
        pr_info(PR_EV("topology.watched"), PR_S("state", state));
}

static void forget(struct rebalance_watcher *w)
{
    pr_cluster_close(w->cluster);
    w->cluster = NULL;
    w->written = false;
    w->members = 0;
}

/* What another replica says from now on. */
static void say_nothing(struct rebalance_watcher *w)
{
    if (w->zones.shown != 0)
        rebalance_zones_forget(&w->zones, w->svc->metrics);
    pr_metrics_set(w->svc->metrics, M_STORE_UNFIT, NULL, 0);
    pr_metrics_set(w->svc->metrics, M_UNREGISTERED, NULL, 0);
    pr_metrics_drop(w->svc->metrics, M_NODES, NULL);
    w->unfit[0] = '\0';
}

/* *c stays NULL when the system is empty. */
static enum pr_code find_cluster(struct rebalance_watcher *w, struct pr_err *err)
{
    char *seeds = NULL;
    if (w->cluster != NULL)
        return pr_cluster_refresh(w->cluster, err);
    enum pr_code rc = rebalance_seeds(w->svc->db, w->cfg, &seeds, err);
    if (rc == PR_OK && seeds[0] != '\0')
        rc = rebalance_cluster_open(&w->cluster, seeds, w->cfg, err);
    free(seeds);
    return rc;
}

/* --- one look ------------------------------------------------------------------ */

static bool changed(const struct rebalance_watcher *w, const struct rebalance_registered *before,
                    const struct rebalance_image *image)
{
    if (!w->written || !rebalance_image_same(&w->last, image))
        return true;
    for (size_t i = 0; i < image->nodes; i++)
        if (!rebalance_node_same(&before->node[i], &image->node[i]))
            return true;
    return false;
}

static void log_unregistered(const struct rebalance_watcher *w, const struct rebalance_image *image)
{
    pr_metrics_set(w->svc->metrics, M_UNREGISTERED, NULL, (double)image->n_unregistered);
    for (size_t i = 0; i < image->n_unregistered; i++)
        pr_warn(PR_EV("topology.unregistered_node"), PR_S("node", image->unregistered[i]));
}

static void count_states(const struct rebalance_watcher *w, const struct rebalance_image *image)
{
    int n[REBALANCE_GONE + 1] = { 0 };
    for (size_t i = 0; i < image->nodes; i++)
        n[image->node[i].state]++;
    for (int s = 0; s <= REBALANCE_GONE; s++)
        pr_metrics_set(w->svc->metrics, M_NODES,
                       rebalance_node_state_name((enum rebalance_node_state)s), n[s]);
}

/* Settings and library of the cluster: at the start, when a node joins, and now and then, for a
 * node may come back with others. While they are wrong at every look, so that it ends when they
 * are mended. */
static void check_store(struct rebalance_watcher *w)
{
    struct pr_err err = { 0 };
    const size_t members = pr_cluster_topology(w->cluster)->nodes;
    const bool others = members != w->members;
    if (!others && pr_mono_us() < w->next_check_us)
        return;
    const enum pr_code rc = pr_cluster_check(w->cluster, PR_LIBRARY_VERSION, &err);
    const bool fit = rc == PR_OK;
    w->members = members;
    w->next_check_us = fit || pr_retryable(rc) ? pr_mono_us() + CHECK_US : 0;
    if (pr_retryable(rc)) /* nobody knows; the topology says who is away */
        return;
    pr_metrics_set(w->svc->metrics, M_STORE_UNFIT, NULL, !fit);
    const char *why = fit ? "" : err.text;
    if (fit && (others || w->unfit[0] != '\0'))
        pr_info(PR_EV("store.fit"), PR_I("nodes", members));
    else if (strncmp(w->unfit, why, sizeof w->unfit - 1) != 0)
        pr_warn(PR_EV("store.unfit"), PR_E(&err));
    snprintf(w->unfit, sizeof w->unfit, "%.*s", (int)sizeof w->unfit - 1, why);
}

static enum pr_code look(struct rebalance_watcher *w, struct pr_err *err)
{
    struct pr_arena *arena = &w->arena[1 - w->at];
    struct rebalance_registered before;
    struct rebalance_image image;
    int rows = 0;
    pr_arena_reset(arena);
    enum pr_code rc = rebalance_registered_load(w->svc->db, arena, &before, err);
    if (rc == PR_OK)
        rc = rebalance_cluster_image(&before, pr_cluster_topology(w->cluster), arena, &image, err);
    if (rc == PR_OK) /* first: it compares with the rows as they were */
        rc = rebalance_zones_look(&w->zones, w->svc->db, &w->lease, w->svc->metrics,
                                  pr_cluster_topology(w->cluster), &before, &image, arena, err);
    if (rc != PR_OK || !changed(w, &before, &image))
        return rc;
    rc = rebalance_topology_write(w->svc->db, &w->lease, &before, &image, &rows, err);
    if (rc != PR_OK)
        return rc;
    w->last = image;
    w->at = 1 - w->at;
    w->written = true;
    count_states(w, &image);
    log_unregistered(w, &image);
    if (rows > 0) {
        pr_metrics_add(w->svc->metrics, M_TOPOLOGY, NULL, 1);
        pr_info(PR_EV("topology.changed"), PR_I("rows", rows), PR_I("nodes", image.nodes),
                PR_I("shards", image.shards), PR_I("slots", image.slots_owned));
    }
    return PR_OK;
}

enum pr_code rebalance_watcher_tick(struct rebalance_watcher *w, struct pr_err *err)
{
    enum pr_code rc = pr_lease_hold(w->svc->db, &w->lease, err);
    if (rc == PR_ECONFLICT) {
        forget(w);
        say_nothing(w);
        say(w, "another replica watches", NULL);
        return PR_OK;
    }
    if (rc != PR_OK)
        return rc;
    rc = find_cluster(w, err);
    if (rc != PR_OK) {
        char why[sizeof err->text];
        snprintf(why, sizeof why, "%s", err->text);
        forget(w);
        say(w, "", why);
        return PR_OK;
    }
    if (w->cluster == NULL) {
        say(w, "empty", NULL);
        return PR_OK;
    }
    rc = look(w, err);
    if (rc == PR_EFENCED) {
        w->lease.epoch = 0;
        return PR_OK;
    }
    if (rc != PR_OK)
        return rc;
    check_store(w);
    say(w, "watching", NULL);
    return PR_OK;
}
