/* Which shards a group has: at its beginning, and as they come and go. */
#include "io/group_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_US = 1000000 };

static enum pr_code add(struct dr_group *g, const struct dr_saved *at, struct pr_err *err)
{
    struct dr_group_member m = { .known = at->at.generation };
    struct dr_group_member *more = NULL;
    enum pr_code rc =
        dr_shard_start(&m.shard, &g->env, at->shard, &at->at, at->beat_ms, false, err);
    if (rc != PR_OK)
        return rc;
    pthread_mutex_lock(&g->mu);
    if (g->members < g->room)
        more = g->member;
    else if ((more = realloc(g->member, (2 * g->room + 8) * sizeof *more)) != NULL)
        g->room = 2 * g->room + 8;
    if (more != NULL) {
        g->member = more;
        g->member[g->members++] = m;
    }
    pthread_mutex_unlock(&g->mu);
    if (more == NULL) {
        dr_shard_stop(m.shard);
        return pr_fail(err, PR_ENOMEM, "group %s: no memory for its shards", g->name);
    }
    return PR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool is_member(const struct dr_group *g, const char *name)
{
    for (size_t i = 0; i < g->members; i++)
        if (strcmp(dr_shard_name(g->member[i].shard), name) == 0)
            return true;
    return false;
}

/* Those that were told to leave, and of whom all was packed. */
static void remove_gone(struct dr_group *g)
{
    for (size_t i = g->members; i-- > 0;) {
        struct dr_shard *s = g->member[i].shard;
        if (!g->member[i].leaving)
            continue;
        pthread_mutex_lock(&g->mu);
        g->member[i] = g->member[--g->members];
        pthread_mutex_unlock(&g->mu);
        pr_info(PR_EV("dr.shard_left"), PR_S("group", g->name), PR_S("shard", dr_shard_name(s)));
        dr_shard_stop(s);
    }
}

/* A shard comes back only after it has left: under its name there is one thread. */
enum pr_code dr_group_look(struct dr_group *g, struct pr_err *err)
{
    char(*name)[DR_NAME] = NULL;
    size_t n = 0;
    if (pr_mono_us() - g->looked_us < LOOK_US)
        return PR_OK;
    g->looked_us = pr_mono_us();
    remove_gone(g);
    enum pr_code rc = dr_sources_of_group(g->o.sources, g->o.number, g->o.groups, &name, &n, err);
    for (size_t i = 0; rc == PR_OK && i < n; i++) {
        struct dr_saved at = { .beat_ms = 0 };
        if (is_member(g, name[i]))
            continue;
        memcpy(at.shard, name[i], DR_NAME);
        rc = add(g, &at, err);
        pr_info(PR_EV("dr.shard_came"), PR_S("group", g->name), PR_S("shard", name[i]));
    }
    /* A topology without any shard is one that was lost, not one that shrank. */
    for (size_t i = 0; rc == PR_OK && dr_sources_known(g->o.sources) && i < g->members; i++)
        if (bsearch(dr_shard_name(g->member[i].shard), name, n, sizeof *name, by_name) == NULL) {
            g->member[i].leaving = true;
            dr_shard_ask_to_stop(g->member[i].shard);
        }
    free(name);
    return rc;
}

enum pr_code dr_group_take_over(struct dr_group *g, struct pr_err *err)
{
    char(*name)[DR_NAME] = NULL;
    size_t n = 0;
    struct dr_state st = { .shards = 0 };
    if (!dr_sources_known(g->o.sources))
        return pr_fail(err, PR_EUNAVAIL, "group %s: the topology names no shard", g->name);
    enum pr_code rc = dr_sources_of_group(g->o.sources, g->o.number, g->o.groups, &name, &n, err);
    const struct dr_taking t = { .db = g->db,
                                 .s3 = g->s3,
                                 .store = &g->store,
                                 .codec = g->o.codec,
                                 .cancel = &g->cancel,
                                 .lease = &g->lease,
                                 .cluster = g->o.cfg->cluster,
                                 .group = g->name,
                                 .groups = g->o.groups,
                                 .name = (const char(*)[DR_NAME])name,
                                 .names = n };
    if (rc == PR_OK)
        rc = dr_state_take_over(&t, &st, err);
    free(name);
    if (rc != PR_OK)
        return rc;
    pthread_mutex_lock(&g->mu);
    g->epoch = g->env.epoch = st.epoch;
    g->seq = g->saved_to = 0;
    pthread_mutex_unlock(&g->mu);
    memset(g->check, 0, sizeof g->check);
    atomic_store(&g->generations, 0);
    g->looked_us = pr_mono_us();
    for (size_t i = 0; rc == PR_OK && i < st.shards; i++)
        rc = add(g, &st.shard[i], err);
    pr_info(PR_EV("dr.leads"), PR_S("group", g->name), PR_I("epoch", g->epoch),
            PR_I("shards", g->members));
    dr_state_done(&st);
    return rc;
}

void dr_group_let_go(struct dr_group *g)
{
    dr_group_stop_twin(g);
    pthread_mutex_lock(&g->mu);
    struct dr_group_member *member = g->member;
    const size_t n = g->members;
    g->leading = false;
    g->member = NULL;
    g->members = g->room = 0;
    pthread_mutex_unlock(&g->mu);
    g->o.changed(g->o.ctx);
    for (size_t i = 0; i < n; i++)
        dr_shard_ask_to_stop(member[i].shard);
    for (size_t i = 0; i < n; i++)
        dr_shard_stop(member[i].shard);
    free(member);
}
