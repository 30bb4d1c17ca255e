/* A shard's thread: to whom it attaches, how long it stays, what it does with what arrives. */
#include "io/shard_private.h"

#include "io/owned.h"
#include "io/psync.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    ACK_MS = 1000,
    RETRY_MS = 200, /* after every member was tried, growing to */
    RETRY_MAX_MS = 5000,
    BASE_RETRY_MS = 2000, /* after a base that failed, growing to */
    BASE_RETRY_MAX_MS = 120000,
    LASTED_MS = 5000,       /* a connection that held so long did not fail at once */
    SILENT_MS = 12000,      /* a primary sends PING every 10 s */
    BASE_SILENT_MS = 60000, /* saving sends an empty line a second */
    RATE_MS = 5000
};

/* --- the stream --------------------------------------------------------------------------- */

struct arrived {
    struct dr_shard *s;
    bool asks_ack;
};

/* SET prism:beat:... <ms>: how old what is durable is, when nobody else writes. */
static void look_at(void *ctx, const struct dr_command *c)
{
    struct arrived *a = ctx;
    struct dr_shard *s = a->s;
    a->asks_ack = a->asks_ack || dr_command_asks_ack(c);
    if (c->args < 3 || strcasecmp(c->arg[0], "set") != 0 ||
        strncmp(c->arg[1], DR_BEAT_KEY, sizeof DR_BEAT_KEY - 1) != 0)
        return;
    s->beats_come = true;
    if (s->beats == DR_BEATS) /* nothing becomes durable: the newest will do */
        s->beats--;
    s->beat[s->beats++] = (struct dr_shard_beat){ c->end, strtoll(c->arg[2], NULL, 10) };
}

/* The most of the last looks, half of it forgotten in about a minute. */
static void rate(struct dr_shard *s, int64_t now_us)
{
    const int64_t took_us = now_us - s->rated_us;
    if (took_us < RATE_MS * 1000)
        return;
    pthread_mutex_lock(&s->mu);
    const uint64_t bps = (s->stream.offset - s->rated) * 1000000 / (uint64_t)took_us;
    const uint64_t faded = s->status.rate_bps - s->status.rate_bps / 16;
    s->status.rate_bps = bps > faded ? bps : faded;
    s->rated = s->stream.offset;
    pthread_mutex_unlock(&s->mu);
    s->rated_us = now_us;
}

static enum pr_code heed(struct dr_shard *s, const char *data, size_t n, bool *asks_ack,
                         bool *broken, struct pr_err *err)
{
    const int64_t now_ms = pr_now_ms();
    struct arrived a = { .s = s, .asks_ack = false };
    enum pr_code rc = PR_OK;
    pthread_mutex_lock(&s->mu);
    if (!dr_spool_add(&s->spool, data, n))
        rc = pr_fail(err, PR_ENOMEM, "shard %s: no memory for its stream", s->name);
    else if ((rc = dr_stream_feed(&s->stream, data, n, look_at, &a, err)) != PR_OK)
        *broken = true;
    if (s->first_ms == 0)
        s->first_ms = now_ms;
    s->last_ms = now_ms > s->last_ms ? now_ms : s->last_ms; /* a clock set back changes no order */
    const bool much = dr_shard_packable(s) >= (size_t)s->env->cfg->cut_bytes;
    pthread_mutex_unlock(&s->mu);
    if (much)
        s->env->wake(s->env->ctx);
    *asks_ack = *asks_ack || a.asks_ack;
    return rc;
}

/* *endless: what is kept cannot be cut, and is more than anybody sends. */
static bool no_room(struct dr_shard *s, bool *endless)
{
    pthread_mutex_lock(&s->mu);
    const bool cut = dr_shard_cuttable(s);
    const size_t with = s->spool.len + DR_CHUNK;
    *endless = !cut && with > DR_UNIT_MAX;
    s->full = cut && with > (size_t)s->env->cfg->spool_bytes;
    const bool full = s->full || *endless;
    pthread_mutex_unlock(&s->mu);
    return full;
}

/* To a primary our acknowledgement would count for WAIT: it gets one that counts for nothing. */
static enum pr_code acknowledge(struct dr_shard *s, struct dr_psync *link, bool primary,
                                struct pr_err *err)
{
    pthread_mutex_lock(&s->mu);
    const uint64_t offset = primary ? 0 : s->status.durable.offset;
    pthread_mutex_unlock(&s->mu);
    return dr_psync_ack(link, offset, err);
}

static void await(struct dr_shard *s, int fd, int64_t ms)
{
    struct pollfd f[2] = { { .fd = s->wake_fd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    uint64_t rung;
    if (poll(f, fd < 0 ? 1 : 2, ms > 0 ? (int)ms : 0) > 0 && (f[0].revents & POLLIN) != 0 &&
        read(s->wake_fd, &rung, sizeof rung) < 0)
        return;
}

/* A host that vanished, or was stopped, closes nothing. */
static enum pr_code still_there(const struct dr_shard *s, const struct dr_psync *link,
                                int64_t most_ms, struct pr_err *err)
{
    const int64_t silent_ms = (pr_mono_us() - dr_psync_heard_us(link)) / 1000;
    return silent_ms < most_ms ? PR_OK
                               : pr_fail(err, PR_EUNAVAIL, "shard %s: %s was silent for %lld ms",
                                         s->name, s->status.source, (long long)silent_ms);
}

static int64_t patience_ms(const struct dr_shard *s)
{
    const int64_t by_beats = 2 * s->env->cfg->beat_ms + 2000;
    return s->beats_come && by_beats < SILENT_MS ? by_beats : SILENT_MS;
}

/* Under mu: now, and not before anything that was packed or that a taker has. */
static int64_t newest_ms(const struct dr_shard *s)
{
    const int64_t now_ms = pr_now_ms(), floor_ms = s->gate.floor_ms;
    const int64_t ms = now_ms > floor_ms ? now_ms : floor_ms;
    return ms > s->packed_ms ? ms : s->packed_ms;
}

/* What was held back may be told now. */
static void let_out(struct dr_shard *s, int64_t ended_ms)
{
    dr_base_free(s->base);
    s->base = NULL;
    pthread_mutex_lock(&s->mu);
    s->held = false;
    s->status.durable = s->held_at;
    s->status.durable_ms = ended_ms > s->status.durable_ms ? ended_ms : s->status.durable_ms;
    while (s->beats > 0 && s->beat[0].end <= s->held_at.offset) {
        s->status.beat_ms = s->beat[0].ms;
        memmove(s->beat, s->beat + 1, --s->beats * sizeof s->beat[0]);
    }
    pthread_mutex_unlock(&s->mu);
    pr_info(PR_EV("dr.base_live"), PR_S("shard", s->name),
            PR_I("offset", s->status.durable.offset));
    s->env->wake(s->env->ctx);
}

/* A manifest that was held back and is released. broken: it never will be written. */
static enum pr_code publish_held(struct dr_shard *s, bool *broken, struct pr_err *err)
{
    bool exists = false;
    struct pr_err why = { 0 };
    pthread_mutex_lock(&s->mu);
    const bool now = s->held && !s->hold && dr_shard_gate_base(s, s->gate.bases);
    const int64_t ended_ms = newest_ms(s);
    pthread_mutex_unlock(&s->mu);
    if (!now || pr_mono_us() < s->publish_us)
        return PR_OK;
    /* Until now the generation before it was what counted: it did not end earlier. */
    dr_base_end(s->base, ended_ms);
    const enum pr_code rc = dr_base_publish(s->base, &exists, &why);
    if (rc == PR_OK) {
        let_out(s, ended_ms);
        return PR_OK;
    }
    s->publish_us = pr_mono_us() + ACK_MS * 1000;
    *broken = rc == PR_EEXISTS || rc == PR_EINVAL;
    pr_warn(PR_EV("dr.base_not_live"), PR_S("shard", s->name), PR_E(&why));
    return *broken ? pr_fail(err, rc, "%s", why.text) : PR_OK;
}

/* Until the connection ends, or there is no room. broken: the stream cannot be cut any more. */
static enum pr_code follow(struct dr_shard *s, struct dr_psync *link, bool primary, bool *broken,
                           struct pr_err *err)
{
    int64_t ack_us = 0;
    s->beats_come = false;
    s->rated_us = pr_mono_us();
    s->rated = s->stream.offset;
    while (!atomic_load(&s->stop)) {
        enum dr_psync_part part = DR_PSYNC_NOTHING;
        size_t got = 0;
        bool asks_ack = false;
        if (no_room(s, broken))
            return pr_fail(err, *broken ? PR_EDATA : PR_EFULL,
                           *broken ? "shard %s: more than %lld bytes without a place to cut"
                                   : "shard %s: %lld bytes wait for the bucket: hung up",
                           s->name,
                           *broken ? (long long)DR_UNIT_MAX : (long long)s->env->cfg->spool_bytes);
        enum pr_code rc = dr_psync_read(link, s->chunk, DR_CHUNK, &part, &got, err);
        if (rc == PR_OK && part == DR_PSYNC_STREAM)
            rc = heed(s, s->chunk, got, &asks_ack, broken, err);
        const int64_t now_us = pr_mono_us();
        if (rc == PR_OK && (asks_ack || now_us - ack_us >= ACK_MS * 1000)) {
            rc = acknowledge(s, link, primary, err);
            ack_us = now_us;
        }
        if (rc == PR_OK && part == DR_PSYNC_NOTHING)
            rc = still_there(s, link, patience_ms(s), err);
        if (rc == PR_OK)
            rc = publish_held(s, broken, err);
        if (rc != PR_OK)
            return rc;
        rate(s, now_us);
        if (part == DR_PSYNC_NOTHING)
            await(s, dr_psync_fd(link), ACK_MS - (now_us - ack_us) / 1000);
    }
    return PR_OK;
}

/* --- the base ----------------------------------------------------------------------------- */

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
            rc = still_there(s, link, BASE_SILENT_MS, err);
        if (rc != PR_OK || part == DR_PSYNC_BASE_END)
            return rc;
        if (part == DR_PSYNC_NOTHING)
            await(s, dr_psync_fd(link), ACK_MS);
        pthread_mutex_lock(&s->mu);
        s->status.base_bytes = dr_base_bytes(base);
        pthread_mutex_unlock(&s->mu);
    }
}

/* Under mu: nothing of any generation is gone on with. */
static void forget(struct dr_shard *s)
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
    forget(s);
    s->at = (struct dr_position){ .generation = g->id, .offset = g->offset };
    memcpy(s->at.replid, g->replid, sizeof s->at.replid);
    memcpy(s->at.chain, chain, DR_HASH);
    dr_spool_reset(&s->spool, g->offset);
    dr_stream_init(&s->stream, g->offset);
    dr_shard_gate_restart(s);
    memcpy(s->status.replid, g->replid, sizeof s->status.replid);
    s->status.before[0] = '\0'; /* another history, or one with a hole */
    s->status.durable = s->held_at = s->at;
    s->packed_ms = newest_ms(s);
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
        await(s, -1, ACK_MS);
    }
    return rc;
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
    const int64_t ended_ms = newest_ms(s);
    pthread_mutex_unlock(&s->mu);
    if (rc == PR_OK)
        rc = dr_base_seal(base, ended_ms, chain, err);
    if (rc == PR_OK && !hold)
        rc = dr_base_publish(base, &exists, err);
    if (rc == PR_OK) {
        switch_to(s, g, chain, hold);
        pr_info(PR_EV("dr.base_done"), PR_S("shard", s->name), PR_I("bytes", dr_base_bytes(base)),
                PR_I("offset", g->offset));
    } else if (exists) { /* perhaps; a restore would take it for the newest: no way back */
        pthread_mutex_lock(&s->mu);
        forget(s);
        pthread_mutex_unlock(&s->mu);
    }
    dr_base_free(s->base);
    s->base = rc == PR_OK && hold ? base : NULL;
    if (s->base == NULL)
        dr_base_free(base);
    return rc;
}

static enum pr_code begin_generation(struct dr_shard *s, struct dr_psync *link,
                                     const struct dr_source *from, const struct dr_member *m,
                                     const struct dr_psync_start *start, struct pr_err *err)
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

/* The same history under another name, from where we are: that of a fail-over. */
static void go_on_as(struct dr_shard *s, const struct dr_psync_start *start)
{
    pthread_mutex_lock(&s->mu);
    struct dr_shard_status *is = &s->status;
    if (strcmp(is->replid, start->replid) != 0) {
        memcpy(is->before, is->replid, sizeof is->before);
        is->before_to = start->offset;
        memcpy(is->replid, start->replid, sizeof is->replid);
    }
    pthread_mutex_unlock(&s->mu);
}

/* --- the thread ---------------------------------------------------------------------------- */

enum choice { CHOSEN, ALL_TRIED, NOBODY };

/* Replicas in the order of the list, those of our zone first; the primary, last in it, only
 * where that is allowed and there is nobody else. */
static enum choice choose(struct dr_shard *s, struct dr_source *from, struct dr_member *out)
{
    if (!dr_sources_find(s->env->sources, s->name, from))
        return NOBODY;
    size_t n = from->members;
    if (n > 0 && from->member[n - 1].primary && (n > 1 || !s->env->cfg->primary_too))
        n--;
    for (size_t i = 0; i < n; i++) {
        if ((s->tried >> i & 1) != 0)
            continue;
        s->now = UINT32_C(1) << i;
        s->tried |= s->now;
        *out = from->member[i];
        return CHOSEN;
    }
    return n == 0 ? NOBODY : ALL_TRIED;
}

static void note(struct dr_shard *s, bool streaming, const char *source, const char *error)
{
    pthread_mutex_lock(&s->mu);
    if (s->status.streaming != streaming)
        s->status.since_ms = pr_now_ms();
    s->status.streaming = streaming;
    (void)snprintf(s->status.source, sizeof s->status.source, "%s", source);
    if (streaming || error[0] != '\0')
        (void)snprintf(s->status.error, sizeof s->status.error, "%.159s", error);
    pthread_mutex_unlock(&s->mu);
}

/* Asked of the source beforehand: its connection for the stream says nothing else any more. */
static void learn_backlog(struct dr_shard *s, const struct dr_psync_from *how)
{
    static const char NAME[] = "repl_backlog_size:";
    struct pr_redis *c = NULL;
    struct pr_err err = { 0 };
    redisReply *got = NULL;
    enum pr_code rc = pr_redis_open(&c, how->host, how->port, &how->auth, how->timeout_ms, &err);
    if (rc == PR_OK)
        rc = pr_redis_command(c, &got, &err, "INFO replication");
    PR_AUTO(redisReply) *r = got;
    const char *at = rc == PR_OK && r->str != NULL ? strstr(r->str, NAME) : NULL;
    if (rc == PR_EDENIED)
        pr_warn(PR_EV("dr.backlog_unknown"), PR_S("shard", s->name), PR_E(&err));
    pthread_mutex_lock(&s->mu);
    s->status.backlog_bytes = at != NULL ? strtoull(at + sizeof NAME - 1, NULL, 10) : 0;
    pthread_mutex_unlock(&s->mu);
    pr_redis_close(c);
}

static enum pr_code stream(struct dr_shard *s, struct dr_psync *link, const char *source,
                           const struct dr_psync_start *start, struct pr_err *err)
{
    bool broken = false;
    note(s, true, source, "");
    pr_info(PR_EV("dr.attached"), PR_S("shard", s->name), PR_S("source", source),
            PR_I("offset", start->offset));
    const int64_t begun_us = pr_mono_us();
    const enum pr_code rc = follow(s, link, start->primary, &broken, err);
    s->lasted = pr_mono_us() - begun_us > LASTED_MS * 1000;
    if (s->lasted) /* a new round; this one is its last */
        s->tried = s->now;
    if (broken) {
        pthread_mutex_lock(&s->mu);
        forget(s);
        pthread_mutex_unlock(&s->mu);
    }
    return rc;
}

static enum pr_code attach(struct dr_shard *s, const struct dr_source *from,
                           const struct dr_member *m, struct pr_err *err)
{
    struct dr_psync_start start;
    struct dr_psync *link = NULL;
    char source[PR_HOST + 8], replid[DR_REPLID] = "";
    (void)snprintf(source, sizeof source, "%.63s:%d", m->host, m->port);
    pthread_mutex_lock(&s->mu);
    if (s->at.generation.epoch != 0)
        memcpy(replid, s->status.replid, sizeof replid);
    const uint64_t offset = s->stream.offset;
    pthread_mutex_unlock(&s->mu);
    const struct dr_psync_from how = {
        .host = m->host,
        .port = m->port,
        .auth = { s->env->cfg->redis_user, s->env->cfg->redis_password },
        .timeout_ms = (int)s->env->cfg->redis_timeout_ms,
        .stop = &s->stop,
        .primary_too = s->env->cfg->primary_too,
        .replid = replid,
        .offset = offset,
    };
    note(s, false, source, "");
    enum pr_code rc = dr_psync_open(&link, &how, &start, err);
    if (rc == PR_OK)
        learn_backlog(s, &how);
    if (rc == PR_OK && start.full)
        rc = begin_generation(s, link, from, m, &start, err);
    else if (rc == PR_OK)
        go_on_as(s, &start);
    if (rc == PR_OK)
        rc = stream(s, link, source, &start, err);
    dr_psync_close(link);
    return rc;
}

struct pauses {
    int64_t round_ms, base_ms;
};

/* How long until the next attempt. */
static int64_t pause_after(struct dr_shard *s, enum choice choice, enum pr_code rc,
                           unsigned bases_failed, struct pauses *p)
{
    if (bases_failed > 0 && rc != PR_ECANCELED) { /* a base is work for the source, too */
        p->base_ms = p->base_ms == 0 ? BASE_RETRY_MS : 2 * p->base_ms;
        p->base_ms = p->base_ms < BASE_RETRY_MAX_MS ? p->base_ms : BASE_RETRY_MAX_MS;
        return p->base_ms;
    }
    p->base_ms = 0;
    if (choice == CHOSEN) { /* the next member at once */
        p->round_ms = s->lasted ? 0 : p->round_ms;
        s->lasted = false;
        return rc == PR_EFULL ? RETRY_MS : 0;
    }
    s->tried = 0;
    p->round_ms = p->round_ms == 0 ? RETRY_MS : 2 * p->round_ms;
    p->round_ms = p->round_ms < RETRY_MAX_MS ? p->round_ms : RETRY_MAX_MS;
    return p->round_ms;
}

void *dr_shard_run(void *shard)
{
    struct dr_shard *s = shard;
    struct pauses pauses = { 0, 0 };
    unsigned failed_before = 0;
    while (!atomic_load(&s->stop)) {
        struct pr_err err = { 0 };
        struct dr_source from;
        struct dr_member m;
        bool endless;
        enum pr_code rc = PR_EUNAVAIL;
        const enum choice choice = choose(s, &from, &m);
        if (choice == CHOSEN)
            rc = attach(s, &from, &m, &err);
        else if (choice == NOBODY)
            rc = pr_fail(&err, PR_EUNAVAIL, "shard %s: no replica is up", s->name);
        if (atomic_load(&s->stop))
            break;
        note(s, false, "", err.text);
        if (choice == CHOSEN)
            pr_warn(PR_EV("dr.detached"), PR_S("shard", s->name), PR_S("code", pr_code_name(rc)),
                    PR_E(&err));
        const unsigned failed = s->status.bases_failed; /* this thread's to write */
        const int64_t pause_ms =
            pause_after(s, choice, rc, failed > failed_before ? failed : 0, &pauses);
        failed_before = failed;
        while (!atomic_load(&s->stop) && no_room(s, &endless)) /* rung when there is */
            await(s, -1, RETRY_MAX_MS);
        if (pause_ms > 0)
            await(s, -1, pause_ms);
    }
    return NULL;
}
