#include "io/region/guard.h"

#include "io/region/private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOK_US = 1000000, LOCK_US = 5000000, DEADLINE_MS = 10000 };

struct dr_guard {
    const struct dr_config *cfg;
    struct pr_s3_store store;
    struct dr_sites sites;
    const struct dr_site *site;
    struct pr_s3 *s3; /* the thread's, as the next two */
    int64_t lock_us;  /* when it is locked out again */
    bool locked;      /* by us, or perhaps by who ran before */
    atomic_bool stop;
    pthread_mutex_t mu; /* all below */
    pthread_cond_t woken;
    pthread_t thread;
    bool known;
    struct dr_marker newest;
    char used[DR_NAME];
};

/* --- who owns it ---------------------------------------------------------------------------------
 */

static void adopt(struct dr_guard *g, const struct dr_marker *m)
{
    pthread_mutex_lock(&g->mu);
    const bool news = !g->known || m->epoch > g->newest.epoch;
    const char *owner = m->epoch > 0 ? m->site : g->sites.site[0].name;
    if (news) {
        g->newest = *m;
        g->known = true;
    }
    pthread_mutex_unlock(&g->mu);
    if (news)
        pr_info(PR_EV("dr.site_owner"), PR_I("epoch", m->epoch), PR_S("owner", owner),
                PR_S("data", m->data), PR_S("site", g->cfg->site));
}

enum pr_code dr_guard_check(struct dr_guard *g, struct pr_s3 *s3, struct pr_err *err)
{
    for (;;) {
        struct dr_marker m;
        pthread_mutex_lock(&g->mu);
        const bool known = g->known;
        const uint64_t epoch = g->newest.epoch;
        pthread_mutex_unlock(&g->mu);
        /* They are numbered without a gap, so one name tells whether there is a newer one. */
        const enum pr_code rc = known ? dr_marker_read(s3, g->cfg->cluster, epoch + 1, &m, err)
                                      : dr_marker_newest(s3, g->cfg->cluster, &m, err);
        if (known && rc == PR_ENOTFOUND)
            return PR_OK;
        if (rc != PR_OK)
            return rc;
        adopt(g, &m);
        if (!known)
            return PR_OK;
    }
}

static enum dr_guard_owner owner_of(const struct dr_guard *g)
{
    if (!g->known)
        return DR_OWNER_UNKNOWN;
    /* Without a marker the file's first site ships. The other one has nothing that could be
     * mistaken for the store, or is yet to be restored: it waits, and nobody is kept out. */
    if (g->newest.epoch == 0)
        return strcmp(g->sites.site[0].name, g->cfg->site) == 0 ? DR_OWNER_US : DR_OWNER_UNKNOWN;
    return strcmp(g->newest.site, g->cfg->site) == 0 ? DR_OWNER_US : DR_OWNER_OTHER;
}

enum dr_guard_owner dr_guard_owner(struct dr_guard *g, char data[DR_NAME])
{
    pthread_mutex_lock(&g->mu);
    const enum dr_guard_owner owner = owner_of(g);
    memcpy(data, g->newest.data, DR_NAME);
    pthread_mutex_unlock(&g->mu);
    return owner;
}

bool dr_guard_ours(struct dr_guard *g)
{
    pthread_mutex_lock(&g->mu);
    const bool ours = owner_of(g) == DR_OWNER_US && strcmp(g->newest.data, g->used) == 0;
    pthread_mutex_unlock(&g->mu);
    return ours;
}

uint64_t dr_guard_failover(struct dr_guard *g)
{
    pthread_mutex_lock(&g->mu);
    const uint64_t number = g->newest.failover;
    pthread_mutex_unlock(&g->mu);
    return number;
}

void dr_guard_use(struct dr_guard *g, const char *data)
{
    pthread_mutex_lock(&g->mu);
    (void)snprintf(g->used, sizeof g->used, "%s", data);
    pthread_mutex_unlock(&g->mu);
}

/* --- keeping it out ------------------------------------------------------------------------------
 */

static void lock(struct dr_guard *g, bool admit)
{
    struct dr_lock l = { .nodes = 0 };
    struct dr_region_pg_lock pg = { .if_open = !admit };
    struct pr_err err = { 0 };
    enum pr_code rc = admit ? dr_lock_admit(g->site, &l, &err) : dr_lock_out(g->site, &l, &err);
    const enum pr_code pg_rc =
        dr_region_pg_lock(g->cfg, g->site, admit, &pg, rc == PR_OK ? &err : NULL);
    rc = rc == PR_OK ? pg_rc : rc;
    if (rc != PR_OK)
        pr_warn(PR_EV("dr.site_lock_failed"), PR_S("site", g->cfg->site), PR_I("admit", admit),
                PR_E(&err));
    else if (l.refused > 0)
        pr_warn(PR_EV("dr.site_lock_refused"), PR_S("site", g->cfg->site), PR_I("admit", admit),
                PR_S("nodes", l.silent_names));
    else if (l.users + l.users_on > 0 || pg.ended > 0)
        pr_warn(PR_EV(admit ? "dr.site_admitted" : "dr.site_locked_out"),
                PR_S("site", g->cfg->site), PR_I("users", l.users + l.users_on),
                PR_I("silent", l.silent), PR_I("sessions_ended", pg.ended));
    g->locked = !admit || rc != PR_OK || l.silent > 0; /* who was silent is let in later */
    dr_lock_done(&l);
}

/* Before we have begun to ship: PostgreSQL may be locked, too, so that we cannot. A marker that
 * brings the store names its data after its own epoch; one of an abort does not, nor does none. */
static bool given_back(struct dr_guard *g)
{
    char brought[DR_NAME + 24];
    pthread_mutex_lock(&g->mu);
    (void)snprintf(brought, sizeof brought, "%s.%" PRIu64, g->cfg->cluster, g->newest.epoch);
    const bool is =
        owner_of(g) == DR_OWNER_US && g->used[0] == '\0' && strcmp(g->newest.data, brought) != 0;
    pthread_mutex_unlock(&g->mu);
    return is;
}

static void look(struct dr_guard *g)
{
    struct pr_err err = { 0 };
    char data[DR_NAME];
    const enum pr_code rc = dr_guard_check(g, g->s3, &err);
    if (rc != PR_OK && rc != PR_ECANCELED)
        pr_warn(PR_EV("dr.site_unknown"), PR_S("code", pr_code_name(rc)), PR_E(&err));
    const enum dr_guard_owner owner = dr_guard_owner(g, data);
    const bool out = owner == DR_OWNER_OTHER, in = g->locked && (dr_guard_ours(g) || given_back(g));
    if ((!out && !in) || pr_mono_us() < g->lock_us)
        return;
    lock(g, in);
    g->lock_us = pr_mono_us() + LOCK_US;
}

static void *run(void *arg)
{
    struct dr_guard *g = arg;
    while (!atomic_load(&g->stop)) {
        look(g);
        const int64_t until_us = pr_mono_us() + LOOK_US;
        pthread_mutex_lock(&g->mu);
        while (!atomic_load(&g->stop) && pr_cond_until(&g->woken, &g->mu, until_us))
            ;
        pthread_mutex_unlock(&g->mu);
    }
    return NULL;
}

/* --- start and stop ------------------------------------------------------------------------------
 */

static void discard(struct dr_guard *g)
{
    pr_s3_close(g->s3);
    dr_sites_done(&g->sites);
    pthread_cond_destroy(&g->woken);
    pthread_mutex_destroy(&g->mu);
    free(g);
}

enum pr_code dr_guard_start(struct dr_guard **out, const struct dr_config *cfg,
                            const struct pr_s3_store *store, struct pr_err *err)
{
    struct dr_guard *g = calloc(1, sizeof *g);
    if (g == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory to look after the owner");
    g->cfg = cfg;
    g->locked = true; /* until we have looked: what an aborted fail-over left is let in */
    g->store = *store;
    g->store.deadline_ms = DEADLINE_MS;
    pthread_mutex_init(&g->mu, NULL);
    pr_cond_init(&g->woken);
    enum pr_code rc = dr_sites_read(cfg->sites_file, &g->sites, err);
    if (rc == PR_OK && (g->site = dr_sites_find(&g->sites, cfg->site, NULL)) == NULL)
        rc = pr_fail(err, PR_EINVAL, "PRISM_DR_SITE: %s has no site \"%s\"", cfg->sites_file,
                     cfg->site);
    if (rc == PR_OK)
        rc = pr_s3_open(&g->store, &g->stop, &g->s3, err);
    if (rc == PR_OK && pthread_create(&g->thread, NULL, run, g) != 0)
        rc = pr_fail(err, PR_ENOMEM, "no thread to look after the owner");
    if (rc != PR_OK)
        discard(g);
    else
        *out = g;
    return rc;
}

void dr_guard_stop(struct dr_guard *g)
{
    if (g == NULL)
        return;
    pthread_mutex_lock(&g->mu);
    atomic_store(&g->stop, true);
    pthread_cond_signal(&g->woken);
    pthread_mutex_unlock(&g->mu);
    pthread_join(g->thread, NULL);
    discard(g);
}
