/* A new base for a shard while its old generation's stream is shipped on, so that at no moment a
 * restore would bring back less than was said to be durable:
 *
 *   begin    a second thread, the twin, takes a full synchronisation; its pieces are shipped, too,
 *            but its manifest is held back, so nobody restores from it yet
 *   freeze   it has seen as much as the first has shipped: nothing more is packed of the first
 *   swap     it has shipped as much: it takes the first one's place
 *   release  its row names its generation, so whoever takes over knows that it may come to exist:
 *            now the manifest is written, and what it shipped is said to be durable
 *
 * Until the swap the twin can be dropped without a trace but some objects. */
#include "io/group_private.h"

#include "core/rebase.h"
#include "io/catalog.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_US = 1000000,
    AGAIN_US = 60000000,
    WANTED_US = 5000000,
    PAUSE_US = 600000000,
    FROZEN_US = 20000000
};

static struct dr_group_member *find(struct dr_group *g, const char *name)
{
    for (size_t i = 0; i < g->members; i++)
        if (!g->member[i].leaving && strcmp(dr_shard_name(g->member[i].shard), name) == 0)
            return &g->member[i];
    return NULL;
}

void dr_group_stop_twin(struct dr_group *g)
{
    dr_shard_stop(g->twin.shard);
    g->twin = (struct dr_group_twin){ .next_us = g->twin.next_us, .learn = g->twin.learn };
}

/* The old one goes on as if nothing had been. */
static void give_up(struct dr_group *g, struct dr_group_member *m, const char *why)
{
    pr_warn(PR_EV("dr.rebase_failed"), PR_S("group", g->name), PR_S("shard", g->twin.name),
            PR_S("why", why));
    if (m != NULL)
        m->frozen = false;
    g->twin.next_us = pr_mono_us() + PAUSE_US;
    dr_group_stop_twin(g);
}

/* --- which -------------------------------------------------------------------------------------
 */

static enum pr_code learn_base(struct dr_group *g, struct dr_group_member *m,
                               const struct dr_generation_id *id, struct pr_err *err)
{
    struct dr_key k = { .kind = DR_KEY_GENERATION, .generation = *id };
    struct dr_generation base;
    char key[DR_KEY];
    (void)snprintf(k.cluster, sizeof k.cluster, "%s", g->o.cfg->cluster);
    (void)snprintf(k.name, sizeof k.name, "%s", dr_shard_name(m->shard));
    enum pr_code rc = dr_key_print(&k, key, err);
    if (rc == PR_OK)
        rc = dr_catalog_manifest(g->s3, key, &base, err);
    if (rc != PR_OK)
        return rc;
    m->base.of = *id;
    m->base.ended_ms = base.ended_ms;
    m->base.offset = base.offset;
    m->base.bytes = 0;
    for (size_t i = 0; i < base.parts; i++)
        m->base.bytes += base.part[i].bytes;
    dr_generation_done(&base);
    return PR_OK;
}

/* Those of whom the generation that is damaged is still the newest. */
void dr_group_read_wanted(struct dr_group *g, struct pr_db *db)
{
    PR_AUTO(PGresult) *rows = NULL;
    struct pr_err err = { 0 };
    if (pr_mono_us() < g->wanted_us)
        return;
    g->wanted_us = pr_mono_us() + WANTED_US;
    const enum pr_code rc =
        pr_db_exec(db,
                   "SELECT w.shard_id FROM dr_bases_wanted w JOIN dr_shards s USING (shard_id) "
                   "WHERE (s.generation_epoch, s.generation_n) <= (w.epoch, w.n)",
                   NULL, 0, &rows, &err);
    const size_t n = rc == PR_OK ? (size_t)PQntuples(rows) : 0;
    char(*wanted)[DR_NAME] = rc == PR_OK ? calloc(n + 1, sizeof *wanted) : NULL;
    if (wanted == NULL) {
        pr_warn(PR_EV("dr.wanted_unknown"), PR_S("group", g->name), PR_E(&err));
        return;
    }
    for (size_t i = 0; i < n; i++)
        (void)snprintf(wanted[i], DR_NAME, "%s", pr_cell(rows, (int)i, 0));
    pthread_mutex_lock(&g->mu);
    free(g->wanted);
    g->wanted = wanted;
    g->n_wanted = n;
    pthread_mutex_unlock(&g->mu);
}

static bool is_wanted(struct dr_group *g, const char *name)
{
    bool wanted = false;
    pthread_mutex_lock(&g->mu);
    for (size_t i = 0; i < g->n_wanted && !wanted; i++)
        wanted = strcmp(g->wanted[i], name) == 0;
    pthread_mutex_unlock(&g->mu);
    return wanted;
}

/* Of one member at a time, and each in its turn: a look a second is soon round. */
static enum pr_code describe(struct dr_group *g, struct dr_rebase_shard *out, struct pr_err *err)
{
    const size_t first = g->twin.learn++;
    bool learned = false;
    enum pr_code rc = PR_OK;
    for (size_t k = 0; rc == PR_OK && k < g->members; k++) {
        const size_t i = (first + k) % g->members;
        struct dr_group_member *m = &g->member[i];
        struct dr_shard_status is;
        dr_shard_status(m->shard, &is);
        const struct dr_generation_id *id = &is.durable.generation;
        bool known = id->epoch != 0 && dr_generation_compare(&m->base.of, id) == 0;
        if (id->epoch != 0 && !known && !learned) {
            learned = true;
            rc = learn_base(g, m, id, err);
            known = rc == PR_OK;
            rc = rc == PR_ENOTFOUND ? PR_OK : rc; /* it is about to be written */
        }
        out[i] = (struct dr_rebase_shard){ .has_base = known,
                                           .base_now = !is.streaming && is.base_bytes > 0,
                                           .streaming = is.streaming && !m->leaving,
                                           .base_ms = m->base.ended_ms,
                                           .base_bytes = m->base.bytes };
        (void)snprintf(out[i].shard, DR_NAME, "%s", dr_shard_name(m->shard));
        out[i].wanted = is_wanted(g, out[i].shard);
        if (known && is.durable.offset > m->base.offset)
            out[i].stream_bytes = is.durable.offset - m->base.offset;
    }
    return rc;
}

static enum pr_code begin(struct dr_group *g, struct pr_err *err)
{
    static const struct dr_position NOWHERE;
    const struct dr_rebase_rule rule = { .age_ms = g->o.cfg->rebase_ms,
                                         .ratio = (uint64_t)g->o.cfg->rebase_ratio,
                                         .stream_bytes = (uint64_t)g->o.cfg->rebase_bytes };
    struct dr_rebase chosen = { .shard = SIZE_MAX };
    struct dr_rebase_shard *all = calloc(g->members + 1, sizeof *all);
    if (all == NULL)
        return pr_fail(err, PR_ENOMEM, "group %s: no memory", g->name);
    enum pr_code rc = describe(g, all, err);
    if (rc == PR_OK)
        dr_rebase_choose(&rule, all, g->members, pr_now_ms(), &chosen);
    free(all);
    if (rc != PR_OK || chosen.shard == SIZE_MAX)
        return rc;
    struct dr_shard_status is;
    dr_shard_status(g->member[chosen.shard].shard, &is);
    (void)snprintf(g->twin.name, DR_NAME, "%s", dr_shard_name(g->member[chosen.shard].shard));
    g->twin.why = chosen.why;
    g->twin.frozen_us = 0;
    pr_info(PR_EV("dr.rebase_begins"), PR_S("shard", g->twin.name), PR_S("why", chosen.why));
    return dr_shard_start(&g->twin.shard, &g->env, g->twin.name, &NOWHERE, is.beat_ms, true, err);
}

/* --- from one to the other ------------------------------------------------------------------- */

static void swap(struct dr_group *g, struct dr_group_member *m)
{
    struct dr_shard *old = m->shard;
    pthread_mutex_lock(&g->mu);
    m->shard = g->twin.shard;
    m->frozen = false;
    g->twin.shard = NULL;
    pthread_mutex_unlock(&g->mu);
    memcpy(g->twin.releasing, g->twin.name, DR_NAME);
    dr_group_ask_to_save(g);
    dr_shard_stop(old);
}

static void release(struct dr_group *g)
{
    struct dr_position at;
    struct dr_group_member *m = find(g, g->twin.releasing);
    if (m == NULL || !dr_shard_held(m->shard, &at)) { /* it begins anew, by itself */
        g->twin.releasing[0] = '\0';
        if (m != NULL)
            dr_shard_release(m->shard);
        return;
    }
    pthread_mutex_lock(&g->mu);
    const bool named = dr_generation_compare(&m->known, &at.generation) == 0;
    pthread_mutex_unlock(&g->mu);
    if (!named) {
        dr_group_ask_to_save(g);
        return;
    }
    dr_shard_release(m->shard);
    pr_metrics_add(g->o.metrics, M_REBASES, g->twin.why, 1);
    g->twin.releasing[0] = '\0';
}

static void go_on(struct dr_group *g)
{
    struct dr_group_member *m = find(g, g->twin.name);
    struct dr_shard_status first, twin;
    struct dr_position at;
    dr_shard_status(g->twin.shard, &twin);
    if (m == NULL || twin.bases_failed > 0) {
        give_up(g, m, m == NULL ? "the shard left" : twin.error);
        return;
    }
    dr_shard_status(m->shard, &first);
    dr_shard_gate_copy(m->shard, g->twin.shard);
    if (!dr_shard_held(g->twin.shard, &at))
        return;
    if (!m->frozen && !dr_shard_gate_covers(m->shard, at.offset))
        return; /* the first gives slots away: its taker is not durable up to this base */
    const uint64_t shipped = m->frozen ? g->twin.frozen_at : first.durable.offset;
    if (strcmp(twin.replid, first.replid) != 0) {
        give_up(g, m, "its source has another history than the first one's");
    } else if (m->frozen && pr_mono_us() - g->twin.frozen_us > FROZEN_US) {
        give_up(g, m, "it does not come up with the first");
    } else if (at.offset >= shipped && m->frozen) {
        swap(g, m);
    } else if (!m->frozen && twin.seen >= shipped) {
        m->frozen = true;
        g->twin.frozen_at = first.durable.offset;
        g->twin.frozen_us = pr_mono_us();
    }
}

void dr_group_rebase(struct dr_group *g)
{
    struct pr_err err = { 0 };
    if (g->twin.releasing[0] != '\0') {
        release(g);
    } else if (g->twin.shard != NULL) {
        go_on(g);
    } else if (pr_mono_us() >= g->twin.next_us) {
        g->twin.next_us = pr_mono_us() + LOOK_US;
        if (begin(g, &err) != PR_OK) {
            pr_warn(PR_EV("dr.rebase_failed"), PR_S("group", g->name), PR_E(&err));
            g->twin.next_us = pr_mono_us() + AGAIN_US;
        }
    }
}
