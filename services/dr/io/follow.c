/* A shard's stream, as long as its connection lasts: what arrives is kept, looked at, acknowledged.
 */
#include "io/shard_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    SILENT_MS = 12000, /* a primary sends PING every 10 s */
    RATE_MS = 5000
};

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

bool dr_shard_no_room(struct dr_shard *s, bool *endless)
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

void dr_shard_await(struct dr_shard *s, int fd, int64_t ms)
{
    struct pollfd f[2] = { { .fd = s->wake_fd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    uint64_t rung;
    if (poll(f, fd < 0 ? 1 : 2, ms > 0 ? (int)ms : 0) > 0 && (f[0].revents & POLLIN) != 0 &&
        read(s->wake_fd, &rung, sizeof rung) < 0)
        return;
}

/* A host that vanished, or was stopped, closes nothing. */
enum pr_code dr_shard_still_there(const struct dr_shard *s, const struct dr_psync *link,
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
int64_t dr_shard_newest_ms(const struct dr_shard *s)
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
    const int64_t ended_ms = dr_shard_newest_ms(s);
    pthread_mutex_unlock(&s->mu);
    if (!now || pr_mono_us() < s->publish_us)
        return PR_OK;
    /* Until now the generation before it was what counted: it did not end earlier. */
    dr_base_end(s->base, ended_ms);
    enum pr_code rc = dr_base_publish(s->base, &exists, &why);
    *broken = rc == PR_EEXISTS || rc == PR_EINVAL;
    if (rc == PR_OK) /* as any base: see await_owner; if it fails both are done again */
        rc = s->env->ask_owner(s->env->ctx, s->s3, &why);
    if (rc == PR_OK) {
        let_out(s, ended_ms);
        return PR_OK;
    }
    s->publish_us = pr_mono_us() + DR_ACK_MS * 1000;
    pr_warn(PR_EV("dr.base_not_live"), PR_S("shard", s->name), PR_E(&why));
    return *broken ? pr_fail(err, rc, "%s", why.text) : PR_OK;
}

enum pr_code dr_shard_follow(struct dr_shard *s, struct dr_psync *link, bool primary, bool *broken,
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
        if (dr_shard_no_room(s, broken))
            return pr_fail(err, *broken ? PR_EDATA : PR_EFULL,
                           *broken ? "shard %s: more than %lld bytes without a place to cut"
                                   : "shard %s: %lld bytes wait for the bucket: hung up",
                           s->name,
                           *broken ? (long long)DR_UNIT_MAX : (long long)s->env->cfg->spool_bytes);
        enum pr_code rc = dr_psync_read(link, s->chunk, DR_CHUNK, &part, &got, err);
        if (rc == PR_OK && part == DR_PSYNC_STREAM)
            rc = heed(s, s->chunk, got, &asks_ack, broken, err);
        const int64_t now_us = pr_mono_us();
        if (rc == PR_OK && (asks_ack || now_us - ack_us >= DR_ACK_MS * 1000)) {
            rc = acknowledge(s, link, primary, err);
            ack_us = now_us;
        }
        if (rc == PR_OK && part == DR_PSYNC_NOTHING)
            rc = dr_shard_still_there(s, link, patience_ms(s), err);
        if (rc == PR_OK)
            rc = publish_held(s, broken, err);
        if (rc != PR_OK)
            return rc;
        rate(s, now_us);
        if (part == DR_PSYNC_NOTHING)
            dr_shard_await(s, dr_psync_fd(link), DR_ACK_MS - (now_us - ack_us) / 1000);
    }
    return PR_OK;
}
