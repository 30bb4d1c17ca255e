#include "io/group_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RETRY_US = 500000, PUT_DEADLINE_MS = 20000, STOP_US = 8000000 };

static void wake(void *ctx)
{
    struct dr_group *g = ctx;
    pthread_mutex_lock(&g->mu);
    g->much = true;
    pthread_cond_signal(&g->woken);
    pthread_mutex_unlock(&g->mu);
}

static void on_lease(void *ctx, uint64_t epoch)
{
    struct dr_group *g = ctx;
    pr_info(PR_EV(epoch != 0 ? "dr.lease_held" : "dr.lease_not_held"), PR_S("group", g->name),
            PR_I("epoch", epoch));
    /* The first call may come before tenure_start has returned: then nothing is under way. */
    if (g->tenure != NULL && dr_group_lost(g))
        atomic_store(&g->cancel, true); /* what is under way ends within a second */
    wake(g);
}

bool dr_group_lost(struct dr_group *g)
{
    const uint64_t now = pr_tenure_epoch(g->tenure);
    pthread_mutex_lock(&g->mu);
    const uint64_t then = g->lease.epoch;
    pthread_mutex_unlock(&g->mu);
    return pr_tenure_taken(g->tenure) || (now != 0 && now != then);
}

bool dr_group_sure(struct dr_group *g)
{
    pthread_mutex_lock(&g->mu);
    const uint64_t epoch = g->lease.epoch;
    pthread_mutex_unlock(&g->mu);
    return pr_tenure_left_ms(g->tenure, epoch) > 0;
}

static bool sure(void *ctx)
{
    return dr_group_sure(ctx);
}

/* Of a shard's thread, with its own connection. */
static enum pr_code ask_owner(void *ctx, struct pr_s3 *s3, struct pr_err *err)
{
    const struct dr_group *g = ctx;
    return g->o.guard != NULL ? dr_guard_check(g->o.guard, s3, err) : PR_OK;
}

bool dr_group_rest(struct dr_group *g, int64_t until_us)
{
    pthread_mutex_lock(&g->mu);
    while (!g->stop && !g->much && pr_cond_until(&g->woken, &g->mu, until_us))
        ;
    g->much = false;
    const bool go_on = !g->stop;
    pthread_mutex_unlock(&g->mu);
    return go_on;
}

/* --- leading ------------------------------------------------------------------------------- */

static void no_trouble(struct dr_group *g)
{
    pthread_mutex_lock(&g->mu);
    g->trouble[0] = '\0';
    pthread_mutex_unlock(&g->mu);
}

static void begin(struct dr_group *g)
{
    no_trouble(g);
    pthread_mutex_lock(&g->mu);
    g->leading = true;
    pthread_cond_signal(&g->save);
    pthread_mutex_unlock(&g->mu);
    g->o.changed(g->o.ctx);
}

void dr_group_ask_to_save(struct dr_group *g)
{
    pthread_mutex_lock(&g->mu);
    g->save_now = true;
    pthread_cond_signal(&g->save);
    pthread_mutex_unlock(&g->mu);
}

/* Until another leads, we are to stop, or something does not work that a new turn may cure. */
static enum pr_code lead(struct dr_group *g, struct pr_err *err)
{
    const int64_t flush_us = g->o.cfg->flush_ms * 1000;
    int64_t next_us = pr_mono_us() + flush_us;
    struct pr_err unsaved = { 0 };
    enum pr_code rc = dr_group_take_over(g, err);
    bool go_on = true;
    if (rc == PR_OK) /* what a predecessor wrote last may have come after another's marker */
        rc = dr_group_ask_owner(g, err);
    if (rc == PR_OK)
        begin(g);
    while (rc == PR_OK && go_on && !dr_group_lost(g) &&
           atomic_load(&g->generations) <= DR_GENERATIONS_MAX) {
        bool unnamed = false;
        go_on = dr_group_rest(g, next_us);
        next_us = pr_mono_us() + flush_us;
        rc = dr_group_pack(g, &unnamed, err);
        if (unnamed)
            dr_group_ask_to_save(g);
        if (rc == PR_OK)
            rc = dr_group_look(g, err);
        if (rc == PR_OK)
            dr_group_rebase(g);
    }
    if (rc == PR_OK && dr_group_sure(g) && dr_group_save(g, g->db, &unsaved) != PR_OK)
        pr_warn(PR_EV("dr.save_failed"), PR_S("group", g->name), PR_E(&unsaved));
    dr_group_let_go(g);
    return rc;
}

/* Where everybody looks, though there is nothing else to save; the same again and again is not
 * worth a line in the log. */
static void complain(struct dr_group *g, enum pr_code rc, const struct pr_err *err)
{
    struct pr_err unsaved;
    pthread_mutex_lock(&g->mu);
    const struct pr_lease lease = g->lease;
    (void)snprintf(g->trouble, sizeof g->trouble, "%.159s", err->text);
    pthread_mutex_unlock(&g->mu);
    if (dr_state_complain(g->db, &lease, g->name, g->o.groups, err->text, &unsaved) != PR_OK)
        pr_warn(PR_EV("dr.save_failed"), PR_S("group", g->name), PR_E(&unsaved));
    if (strncmp(g->said, err->text, sizeof g->said - 1) == 0)
        return;
    (void)snprintf(g->said, sizeof g->said, "%s", err->text);
    pr_warn(PR_EV("dr.group_stopped"), PR_S("group", g->name), PR_S("code", pr_code_name(rc)),
            PR_E(err));
}

static void *run(void *arg)
{
    struct dr_group *g = arg;
    bool go_on = true;
    while (go_on) {
        struct pr_err err = { 0 };
        struct pr_lease lease;
        if (pr_tenure_lease(g->tenure, &lease, &err) == PR_OK) {
            pthread_mutex_lock(&g->mu);
            g->lease = lease;
            pthread_mutex_unlock(&g->mu);
            atomic_store(&g->cancel, false);
            const enum pr_code rc = lead(g, &err);
            if (rc != PR_OK && rc != PR_ECANCELED && !dr_group_lost(g))
                complain(g, rc, &err);
            else
                g->said[0] = '\0';
        } else {
            no_trouble(g); /* it is another's to say, or nobody's */
        }
        go_on = dr_group_rest(g, pr_mono_us() + RETRY_US);
    }
    pthread_mutex_lock(&g->mu);
    g->over = true;
    pthread_cond_signal(&g->ended);
    pthread_mutex_unlock(&g->mu);
    return NULL;
}

/* --- start and stop -------------------------------------------------------------------------- */

static void discard(struct dr_group *g)
{
    pr_tenure_stop(g->tenure);
    pr_s3_close(g->s3);
    pr_db_close(g->db);
    pr_db_close(g->save_db);
    pr_buf_done(&g->raw);
    pr_buf_done(&g->out);
    free(g->wanted);
    pthread_cond_destroy(&g->woken);
    pthread_cond_destroy(&g->save);
    pthread_cond_destroy(&g->ended);
    pthread_mutex_destroy(&g->mu);
    free(g);
}

static void stop_saver(struct dr_group *g)
{
    pthread_mutex_lock(&g->mu);
    g->saver_stop = true;
    pthread_cond_signal(&g->save);
    pthread_mutex_unlock(&g->mu);
    pthread_join(g->saver, NULL);
}

static void init(struct dr_group *g, const struct dr_group_options *o)
{
    g->o = *o;
    g->store = *o->store;
    g->store.deadline_ms = PUT_DEADLINE_MS; /* then it is said to be trouble, and tried again */
    (void)snprintf(g->name, sizeof g->name, "g%u", o->number);
    pthread_mutex_init(&g->mu, NULL);
    pr_cond_init(&g->woken);
    pr_cond_init(&g->save);
    pr_cond_init(&g->ended);
    pr_buf_init(&g->raw, 0);
    pr_buf_init(&g->out, 0);
    g->env = (struct dr_shard_env){ .cluster = o->cfg->cluster,
                                    .group = g->name,
                                    .cfg = o->cfg,
                                    .store = o->store,
                                    .codec = o->codec,
                                    .sources = o->sources,
                                    .metrics = o->metrics,
                                    .generations = &g->generations,
                                    .wake = wake,
                                    .sure = sure,
                                    .ask_owner = ask_owner,
                                    .ctx = g };
}

enum pr_code dr_group_start(struct dr_group **out, const struct dr_group_options *o,
                            struct pr_err *err)
{
    struct dr_group *g = calloc(1, sizeof *g);
    char lease[64];
    if (g == NULL)
        return pr_fail(err, PR_ENOMEM, "group %u: no memory", o->number);
    init(g, o);
    (void)snprintf(lease, sizeof lease, "dr-g%u", o->number);
    const struct pr_tenure_options t = { .db_uri = o->db_uri,
                                         .lease = lease,
                                         .holder = o->holder,
                                         .ttl_ms = o->cfg->lease_ttl_ms,
                                         .max_apart_ms = DR_CLOCKS_APART_MS,
                                         .changed = on_lease,
                                         .ctx = g };
    enum pr_code rc = pr_db_open(&g->db, o->db_uri, "prism-dr-group", err);
    if (rc == PR_OK)
        rc = pr_db_open(&g->save_db, o->db_uri, "prism-dr-saver", err);
    if (rc == PR_OK)
        rc = pr_s3_open(&g->store, &g->cancel, &g->s3, err);
    if (rc == PR_OK)
        rc = pr_tenure_start(&g->tenure, &t, err);
    if (rc == PR_OK && pthread_create(&g->saver, NULL, dr_group_saver, g) != 0)
        rc = pr_fail(err, PR_ENOMEM, "group %s: no thread", g->name);
    else if (rc == PR_OK && pthread_create(&g->thread, NULL, run, g) != 0) {
        rc = pr_fail(err, PR_ENOMEM, "group %s: no thread", g->name);
        stop_saver(g);
    }
    if (rc != PR_OK)
        discard(g);
    else
        *out = g;
    return rc;
}

void dr_group_stop(struct dr_group *g)
{
    if (g == NULL)
        return;
    const int64_t until_us = pr_mono_us() + STOP_US;
    pthread_mutex_lock(&g->mu);
    g->stop = true;
    pthread_cond_signal(&g->woken);
    while (!g->over && pr_cond_until(&g->ended, &g->mu, until_us))
        ;
    pthread_mutex_unlock(&g->mu);
    atomic_store(&g->cancel, true); /* a bucket that does not answer has had its time */
    pthread_join(g->thread, NULL);
    stop_saver(g);
    discard(g);
}

/* --- what it knows ------------------------------------------------------------------------------
 */

bool dr_group_durable(struct dr_group *g, const char *shard, struct dr_shard_status *out)
{
    bool found = false;
    pthread_mutex_lock(&g->mu);
    for (size_t i = 0; g->leading && i < g->members && !found; i++) {
        found = strcmp(dr_shard_name(g->member[i].shard), shard) == 0;
        if (found)
            dr_shard_status(g->member[i].shard, out);
    }
    const uint64_t epoch = g->lease.epoch;
    pthread_mutex_unlock(&g->mu);
    /* Asked last: nobody else can have begun before what was read was in the bucket; and of what
     * was found to be another site's that was noted before it became part of what was read. */
    return found && pr_tenure_left_ms(g->tenure, epoch) > 0 &&
           (g->o.guard == NULL || dr_guard_ours(g->o.guard));
}

bool dr_group_leads(struct dr_group *g)
{
    pthread_mutex_lock(&g->mu);
    const bool leading = g->leading;
    pthread_mutex_unlock(&g->mu);
    return leading;
}

bool dr_group_lease(struct dr_group *g, struct pr_lease *out)
{
    pthread_mutex_lock(&g->mu);
    const bool leading = g->leading;
    *out = g->lease;
    pthread_mutex_unlock(&g->mu);
    return leading;
}

void dr_group_shards(struct dr_group *g, bool (*each)(void *ctx, struct dr_shard *s), void *ctx)
{
    bool pack = false;
    pthread_mutex_lock(&g->mu);
    for (size_t i = 0; i < g->members; i++)
        pack = each(ctx, g->member[i].shard) || pack;
    if (pack) {
        g->much = true;
        pthread_cond_signal(&g->woken);
    }
    pthread_mutex_unlock(&g->mu);
}

void dr_group_each(struct dr_group *g, int64_t now_ms,
                   void (*each)(void *ctx, const char *name, const struct dr_shard_status *is),
                   void *ctx, char trouble[DR_TROUBLE])
{
    pthread_mutex_lock(&g->mu);
    for (size_t i = 0; i < g->members; i++) {
        struct dr_shard_status is;
        dr_shard_alarms(g->member[i].shard, now_ms);
        dr_shard_status(g->member[i].shard, &is);
        each(ctx, dr_shard_name(g->member[i].shard), &is);
    }
    memcpy(trouble, g->trouble, DR_TROUBLE);
    pthread_mutex_unlock(&g->mu);
}
