/* A shard's base: a generation begins. */
#include "io/shard_private.h"

#include "io/owned.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>

enum { BASE_SILENT_MS = 60000 }; /* saving sends an empty line a second */

/* As the source has them at this moment: the tables may be older, and know no epoch. */
static void say_slots(const struct dr_shard *s, const struct dr_source *from,
                      const struct dr_member *m, struct dr_generation *g)
{
    const struct dr_config *cfg = s->env->cfg;
    const struct pr_redis_auth auth = { cfg->redis_user, cfg->redis_password };
    struct pr_err err = { 0 };
    if (dr_owned_ask(m->host, m->port, &auth, (int)cfg->redis_timeout_ms, g->slots, &g->slot_epoch,
                     &err) == PR_OK)
        return;
    pr_warn(PR_EV("dr.slots_unknown"), PR_S("shard", s->name), PR_E(&err));
    memcpy(g->slots, from->slots, sizeof g->slots);
    g->slot_epoch = 0;
}

static enum pr_code describe(struct dr_shard *s, const struct dr_source *from,
                             const struct dr_member *m, const struct dr_psync_start *start,
                             struct dr_generation *g, struct pr_err *err)
{
    const unsigned n = atomic_fetch_add(s->env->generations, 1) + 1;
    if (n > DR_GENERATIONS_MAX)
        return pr_fail(err, PR_EFULL, "shard %s: no number is left in this epoch", s->name);
    *g = (struct dr_generation){ .id = { s->env->epoch, n },
                                 .offset = start->offset,
                                 .begun_ms = pr_now_ms() };
    (void)snprintf(g->cluster, sizeof g->cluster, "%s", s->env->cluster);
    (void)snprintf(g->group, sizeof g->group, "%s", s->env->group);
    memcpy(g->shard, s->name, sizeof g->shard);
    memcpy(g->replid, start->replid, sizeof g->replid);
    (void)snprintf(g->source, sizeof g->source, "%.63s:%d", m->host, m->port);
    say_slots(s, from, m, g);
    return PR_OK;
}

static enum pr_code read_base(struct dr_shard *s, struct dr_psync *link, struct dr_base *base,
                              struct pr_err *err)
{
    for (;;) {
        enum dr_psync_part part;
        size_t got;
        enum pr_code rc = dr_psync_read(link, s->chunk, DR_CHUNK, &part, &got, err);
        if (rc == PR_OK && part == DR_PSYNC_BASE)
            rc = dr_base_add(base, s->chunk, got, err);
        if (rc == PR_OK && atomic_load(&s->stop))
            rc = pr_fail(err, PR_ECANCELED, "shard %s: stopped within its base", s->name);
        if (rc == PR_OK && part == DR_PSYNC_NOTHING)
            rc = dr_shard_still_there(s, link, BASE_SILENT_MS, err);
        if (rc != PR_OK || part == DR_PSYNC_BASE_END)
            return rc;
        if (part == DR_PSYNC_NOTHING)
            dr_shard_await(s, dr_psync_fd(link), DR_ACK_MS);
        pthread_mutex_lock(&s->mu);
        s->status.base_bytes = dr_base_bytes(base);
        pthread_mutex_unlock(&s->mu);
    }
}

void dr_shard_forget(struct dr_shard *s)
{
    s->at.generation.epoch = 0;
    dr_spool_reset(&s->spool, 0);
    dr_stream_init(&s->stream, 0);
    s->first_ms = s->last_ms = 0;
    s->commands = 0;
    s->beats = 0;
    s->held = false;
}

/* The stream goes on behind the new base; what waited of the old generation is in it. */
static void switch_to(struct dr_shard *s, const struct dr_generation *g,
                      const uint8_t chain[DR_HASH], bool held)
{
    pthread_mutex_lock(&s->mu);
    dr_shard_forget(s);
    s->at = (struct dr_position){ .generation = g->id, .offset = g->offset };
    memcpy(s->at.replid, g->replid, sizeof s->at.replid);
    memcpy(s->at.chain, chain, DR_HASH);
    dr_spool_reset(&s->spool, g->offset);
    dr_stream_init(&s->stream, g->offset);
    dr_shard_gate_restart(s);
    memcpy(s->status.replid, g->replid, sizeof s->status.replid);
    s->status.before[0] = '\0'; /* another history, or one with a hole */
    s->status.durable = s->held_at = s->at;
    s->packed_ms = dr_shard_newest_ms(s);
    s->status.durable_ms = s->packed_ms;
    s->held = held;
    pthread_mutex_unlock(&s->mu);
    s->env->wake(s->env->ctx);
}

/* A base of a shard that gives slots away lacks what was given: it counts only when the takers have
 * that. The source keeps what it has for us meanwhile, up to its limit; then it hangs up. */
static enum pr_code await_gate(struct dr_shard *s, struct dr_psync *link, uint64_t base,
                               struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + (int64_t)BASE_SILENT_MS * 1000;
    enum pr_code rc = PR_OK;
    while (rc == PR_OK) {
        pthread_mutex_lock(&s->mu);
        const bool may = dr_shard_gate_base(s, base);
        char by[DR_NAME];
        memcpy(by, s->gate.by, sizeof by);
        pthread_mutex_unlock(&s->mu);
        if (may)
            break;
        if (atomic_load(&s->stop))
            rc = pr_fail(err, PR_ECANCELED, "shard %s: stopped before its base counted", s->name);
        else if (pr_mono_us() > until_us)
            rc = pr_fail(err, PR_ETIMEOUT,
                         "shard %s: its base waits for shard %s, which takes slots", s->name, by);
        else
            rc = dr_psync_ack(link, 0, err);
        dr_shard_await(s, -1, DR_ACK_MS);
    }
    return rc;
}

/* A restore at another site looks for bases after that site's marker was written: without one yet
 * it will find this. Until the bucket says so, nothing is known of it, and it is not counted. */
static enum pr_code await_owner(struct dr_shard *s, struct dr_psync *link, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + (int64_t)BASE_SILENT_MS * 1000;
    for (;;) {
        struct pr_err why = { 0 };
        enum pr_code rc = s->env->ask_owner(s->env->ctx, s->s3, &why);
        if (rc == PR_OK)
            return rc;
        if (atomic_load(&s->stop) || pr_mono_us() > until_us)
            return pr_fail(err, rc, "%s", why.text);
        rc = dr_psync_ack(link, 0, err);
        if (rc != PR_OK)
            return rc;
        dr_shard_await(s, -1, DR_ACK_MS);
    }
}

static enum pr_code make_base(struct dr_shard *s, struct dr_psync *link,
                              const struct dr_generation *g, struct pr_err *err)
{
    const struct dr_base_to to = { .s3 = s->s3,
                                   .codec = s->env->codec,
                                   .part_bytes = (size_t)s->env->cfg->part_bytes,
                                   .sure = s->env->sure,
                                   .ctx = s->env->ctx };
    struct dr_base *base = NULL;
    uint8_t chain[DR_HASH];
    bool exists = false;
    enum pr_code rc = dr_base_begin(&base, g, &to, err);
    pthread_mutex_lock(&s->mu);
    const bool hold = s->hold; /* what is held back waits for the gate with its first */
    const uint64_t number = ++s->gate.bases;
    pthread_mutex_unlock(&s->mu);
    if (rc == PR_OK)
        rc = read_base(s, link, base, err);
    if (rc == PR_OK && !hold)
        rc = await_gate(s, link, number, err);
    pthread_mutex_lock(&s->mu);
    const int64_t ended_ms = dr_shard_newest_ms(s);
    pthread_mutex_unlock(&s->mu);
    if (rc == PR_OK)
        rc = dr_base_seal(base, ended_ms, chain, err);
    if (rc == PR_OK && !hold)
        rc = dr_base_publish(base, &exists, err);
    if (rc == PR_OK && !hold)
        rc = await_owner(s, link, err);
    if (rc == PR_OK) {
        switch_to(s, g, chain, hold);
        pr_info(PR_EV("dr.base_done"), PR_S("shard", s->name), PR_I("bytes", dr_base_bytes(base)),
                PR_I("offset", g->offset));
    } else if (exists) { /* perhaps; a restore would take it for the newest: no way back */
        pthread_mutex_lock(&s->mu);
        dr_shard_forget(s);
        pthread_mutex_unlock(&s->mu);
    }
    dr_base_free(s->base);
    s->base = rc == PR_OK && hold ? base : NULL;
    if (s->base == NULL)
        dr_base_free(base);
    return rc;
}

enum pr_code dr_shard_begin(struct dr_shard *s, struct dr_psync *link, const struct dr_source *from,
                            const struct dr_member *m, const struct dr_psync_start *start,
                            struct pr_err *err)
{
    struct dr_generation g;
    enum pr_code rc = describe(s, from, m, start, &g, err);
    if (rc == PR_OK) {
        pr_info(PR_EV("dr.base_begins"), PR_S("shard", s->name), PR_S("source", g.source),
                PR_I("offset", g.offset));
        rc = make_base(s, link, &g, err);
    }
    pthread_mutex_lock(&s->mu);
    s->status.base_bytes = 0;
    if (rc == PR_OK)
        s->status.bases_failed = 0;
    else if (!atomic_load(&s->stop))
        s->status.bases_failed++;
    pthread_mutex_unlock(&s->mu);
    if (rc != PR_OK && !atomic_load(&s->stop))
        pr_metrics_add(s->env->metrics, M_BASES_FAILED, NULL, 1);
    return rc;
}
