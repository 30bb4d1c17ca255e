/* What a group knows, into PostgreSQL: once a second, and when a generation wants to be named. By a
 * thread of its own, so that a slow PostgreSQL holds up no container. */
#include "io/group_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/io/rest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAVE_US = 1000000, AGAIN_US = 200000 };

struct named {
    struct dr_shard *shard;
    struct dr_generation_id generation;
    int64_t worst_ms;
};

/* Under mu. */
static struct named *print(struct dr_group *g, struct pr_buf *json)
{
    struct named *named = calloc(g->members + 1, sizeof *named);
    pr_buf_str(json, "[");
    for (size_t i = 0; named != NULL && i < g->members; i++) {
        struct dr_shard_status is;
        dr_shard_status(g->member[i].shard, &is); /* it may only get newer until it is printed */
        named[i] = (struct named){ g->member[i].shard, is.durable.generation, is.worst_ms };
        dr_state_print(json, g->member[i].shard);
    }
    pr_buf_str(json, "]");
    return named;
}

/* After the rest, and whatever becomes of it: what was not written down is tried with the next. */
static void keep_ages(struct dr_group *g, struct pr_db *db, const struct pr_lease *lease,
                      const char *json, const struct named *of, size_t n)
{
    struct pr_err err = { 0 };
    const enum pr_code rc = dr_state_keep_ages(db, lease, json, &err);
    if (rc != PR_OK && !atomic_exchange(&g->ages_unkept, true))
        pr_warn(PR_EV("dr.ages_not_saved"), PR_S("group", g->name), PR_S("code", pr_code_name(rc)),
                PR_E(&err));
    if (rc != PR_OK)
        return;
    atomic_store(&g->ages_unkept, false);
    pthread_mutex_lock(&g->mu);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < g->members; j++)
            if (g->member[j].shard == of[i].shard)
                dr_shard_kept(of[i].shard, of[i].worst_ms);
    pthread_mutex_unlock(&g->mu);
}

enum pr_code dr_group_save(struct dr_group *g, struct pr_db *db, struct pr_err *err)
{
    struct pr_buf json;
    char trouble[DR_TROUBLE];
    pr_buf_init(&json, 0);
    pthread_mutex_lock(&g->mu);
    const size_t n = g->members;
    const struct pr_lease lease = g->lease;
    memcpy(trouble, g->trouble, sizeof trouble);
    const struct dr_report r = {
        .group = g->name, .epoch = g->epoch, .seq = g->saved_to - 1, .trouble = trouble
    };
    struct named *named = print(g, &json);
    pthread_mutex_unlock(&g->mu);
    enum pr_code rc = named == NULL || json.failed
                          ? pr_fail(err, PR_ENOMEM, "no memory for the state of a group")
                          : dr_state_save(db, &lease, &r, json.data, err);
    pthread_mutex_lock(&g->mu);
    for (size_t i = 0; rc == PR_OK && g->epoch == r.epoch && i < n; i++)
        for (size_t j = 0; j < g->members; j++)
            if (g->member[j].shard == named[i].shard)
                g->member[j].known = named[i].generation;
    pthread_mutex_unlock(&g->mu);
    if (rc == PR_OK)
        keep_ages(g, db, &lease, json.data, named, n);
    free(named);
    pr_buf_done(&json);
    return rc;
}

void *dr_group_saver(void *group)
{
    struct dr_group *g = group;
    int64_t until_us = 0;
    bool failing = false;
    pthread_mutex_lock(&g->mu);
    while (!g->saver_stop) {
        const bool due = pr_mono_us() >= until_us;
        if (!g->leading || (!g->save_now && !due)) {
            if (due)
                (void)pthread_cond_wait(&g->save, &g->mu);
            else
                (void)pr_cond_until(&g->save, &g->mu, until_us);
            continue;
        }
        const bool asked = g->save_now;
        g->save_now = false;
        pthread_mutex_unlock(&g->mu);
        struct pr_err err = { 0 };
        const enum pr_code rc = dr_group_save(g, g->save_db, &err);
        if (rc != PR_OK && !failing)
            pr_warn(PR_EV("dr.save_failed"), PR_S("group", g->name), PR_S("code", pr_code_name(rc)),
                    PR_E(&err));
        if (rc == PR_OK)
            dr_group_read_wanted(g, g->save_db);
        failing = rc != PR_OK;
        until_us = pr_mono_us() + (rc == PR_OK ? SAVE_US : AGAIN_US);
        pthread_mutex_lock(&g->mu);
        if (asked && rc == PR_OK) { /* what waited for it can be packed */
            g->much = true;
            pthread_cond_signal(&g->woken);
        }
    }
    pthread_mutex_unlock(&g->mu);
    return NULL;
}
