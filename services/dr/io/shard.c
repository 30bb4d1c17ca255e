#include "io/shard_private.h"

#include "core/alarm.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void dr_shard_ring(struct dr_shard *s)
{
    const uint64_t one = 1;
    if (write(s->wake_fd, &one, sizeof one) < 0)
        return; /* it is rung already */
}

/* Under mu: what can be cut and may be taken, out of the spool and into *p and raw. */
static bool cut(struct dr_shard *s, struct dr_piece *p, struct pr_buf *raw)
{
    const struct dr_gate_mark to = dr_shard_gate_limit(s);
    const size_t n = dr_shard_packable(s);
    if (n == 0)
        return false;
    pr_buf_add(raw, dr_spool_peek(&s->spool), n);
    if (raw->failed)
        return false;
    s->packed_ms = to.ms > s->packed_ms ? to.ms : s->packed_ms;
    *p = (struct dr_piece){ .generation = s->at.generation,
                            .from = s->spool.from,
                            .to = to.offset,
                            .first_ms = s->first_ms < s->packed_ms ? s->first_ms : s->packed_ms,
                            .last_ms = s->packed_ms,
                            .commands = to.commands - s->commands };
    memcpy(p->shard, s->name, sizeof p->shard);
    memcpy(p->replid, s->status.replid, sizeof p->replid);
    dr_spool_drop(&s->spool, n);
    s->first_ms = s->spool.len > 0 ? to.ms : 0;
    s->commands = to.commands;
    s->at.offset = p->to;
    return true;
}

enum dr_take dr_shard_take(struct dr_shard *s, const struct dr_generation_id *known,
                           struct dr_piece *p, struct pr_buf *raw)
{
    uint8_t before[DR_HASH];
    const size_t begin = raw->len;
    pthread_mutex_lock(&s->mu);
    const bool named = dr_generation_compare(&s->at.generation, known) == 0;
    const bool some = s->at.generation.epoch != 0 && named && cut(s, p, raw);
    const bool unnamed = s->at.generation.epoch != 0 && !named;
    const bool resume = s->full && s->spool.len < (size_t)s->env->cfg->spool_bytes / 2;
    memcpy(before, s->at.chain, DR_HASH);
    pthread_mutex_unlock(&s->mu);
    if (!some)
        return unnamed ? DR_TAKE_UNNAMED : DR_TAKE_NOTHING;
    if (resume)
        dr_shard_ring(s);

    dr_piece_seal(p, before, raw->data + begin);
    pthread_mutex_lock(&s->mu);
    if (dr_generation_compare(&s->at.generation, &p->generation) == 0)
        memcpy(s->at.chain, p->chain, DR_HASH);
    pthread_mutex_unlock(&s->mu);
    return DR_TAKE_PIECE;
}

void dr_shard_durable(struct dr_shard *s, const struct dr_piece *p, int64_t now_ms)
{
    pthread_mutex_lock(&s->mu);
    struct dr_position *d = &s->status.durable;
    /* It may be the last of a generation that was left meanwhile. */
    const bool still = dr_generation_compare(&d->generation, &p->generation) == 0;
    size_t done = 0;
    if (still && s->held) {
        s->held_at.offset = p->to;
        memcpy(s->held_at.replid, p->replid, sizeof s->held_at.replid);
        memcpy(s->held_at.chain, p->chain, DR_HASH);
    } else if (still) {
        d->offset = p->to;
        memcpy(d->replid, p->replid, sizeof d->replid);
        memcpy(d->chain, p->chain, DR_HASH);
        /* No older than what is in the bucket says, so that it orders what depends on it. */
        if (now_ms > s->status.durable_ms)
            s->status.durable_ms = now_ms;
        if (p->last_ms > s->status.durable_ms)
            s->status.durable_ms = p->last_ms;
        if (s->beats > 0 && s->beat[0].end <= p->to) {
            const int64_t age_ms = now_ms - dr_shard_as_of(&s->status);
            s->status.worst_ms = age_ms > s->status.worst_ms ? age_ms : s->status.worst_ms;
        }
        while (done < s->beats && s->beat[done].end <= p->to)
            s->status.beat_ms = s->beat[done++].ms;
    }
    s->beats -= done;
    memmove(s->beat, s->beat + done, s->beats * sizeof s->beat[0]);
    pthread_mutex_unlock(&s->mu);
}

bool dr_shard_held(struct dr_shard *s, struct dr_position *at)
{
    pthread_mutex_lock(&s->mu);
    const bool held = s->held;
    *at = s->held_at;
    pthread_mutex_unlock(&s->mu);
    return held;
}

void dr_shard_release(struct dr_shard *s)
{
    pthread_mutex_lock(&s->mu);
    s->hold = false;
    pthread_mutex_unlock(&s->mu);
    dr_shard_ring(s);
}

void dr_shard_status(struct dr_shard *s, struct dr_shard_status *out)
{
    pthread_mutex_lock(&s->mu);
    *out = s->status;
    out->seen = s->stream.offset;
    out->spool_bytes = s->spool.len;
    out->held_ms = s->gate.since_ms;
    memcpy(out->held_by, s->gate.by, sizeof out->held_by);
    if (out->error[0] == '\0' && out->held_ms > 0 && pr_now_ms() - out->held_ms > DR_LAG_MS)
        (void)snprintf(out->error, sizeof out->error,
                       "waits until shard %s, which takes slots of it, is durable", out->held_by);
    pthread_mutex_unlock(&s->mu);
}

int64_t dr_shard_as_of(const struct dr_shard_status *is)
{
    return is->beat_ms > 0 ? is->beat_ms : is->born_ms;
}

void dr_shard_kept(struct dr_shard *s, int64_t worst_ms)
{
    pthread_mutex_lock(&s->mu);
    if (s->status.worst_ms <= worst_ms)
        s->status.worst_ms = 0;
    pthread_mutex_unlock(&s->mu);
}

static void tell(const struct dr_shard *s, const struct dr_shard_status *is, unsigned was)
{
    for (unsigned i = 0; i < DR_ALARMS; i++) {
        const unsigned bit = 1U << i;
        if (((is->alarms ^ was) & bit) == 0)
            continue;
        if ((is->alarms & bit) == 0)
            pr_info(PR_EV("dr.alarm_over"), PR_S("shard", s->name),
                    PR_S("alarm", dr_alarm_name((enum dr_alarm)i)));
        else if (i == DR_ALARM_BACKLOG)
            pr_warn(PR_EV("dr.alarm"), PR_S("shard", s->name), PR_S("alarm", dr_alarm_name(i)),
                    PR_S("source", is->source), PR_I("repl_backlog_size", is->backlog_bytes),
                    PR_I("wanted", dr_backlog_wanted(is->rate_bps)));
        else if (i == DR_ALARM_TAKER)
            pr_warn(PR_EV("dr.alarm"), PR_S("shard", s->name), PR_S("alarm", dr_alarm_name(i)),
                    PR_S("taker", is->held_by));
        else
            pr_warn(PR_EV("dr.alarm"), PR_S("shard", s->name),
                    PR_S("alarm", dr_alarm_name((enum dr_alarm)i)), PR_S("error", is->error));
    }
}

void dr_shard_alarms(struct dr_shard *s, int64_t now_ms)
{
    struct dr_shard_status is;
    dr_shard_status(s, &is);
    const struct dr_alarm_input in = {
        .now_ms = now_ms,
        .since_ms = is.since_ms,
        .durable_as_of_ms = dr_shard_as_of(&is),
        .beat_ms = s->env->cfg->beat_ms,
        .streaming = is.streaming,
        .base = is.base_bytes > 0,
        .bases_failed = is.bases_failed,
        .spool_bytes = is.spool_bytes,
        .spool_max_bytes = (uint64_t)s->env->cfg->spool_bytes,
        .rate_bps = is.rate_bps,
        .backlog_bytes = is.backlog_bytes,
        .held_ms = is.held_ms,
    };
    const unsigned was = is.alarms;
    is.alarms = dr_alarms(&in);
    pthread_mutex_lock(&s->mu);
    s->status.alarms = is.alarms;
    pthread_mutex_unlock(&s->mu);
    tell(s, &is, was);
}

const char *dr_shard_name(const struct dr_shard *s)
{
    return s->name;
}

/* --- start and stop ------------------------------------------------------------------------- */

static void discard(struct dr_shard *s)
{
    dr_base_free(s->base);
    pr_s3_close(s->s3);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    dr_spool_done(&s->spool);
    pthread_mutex_destroy(&s->mu);
    free(s->chunk);
    free(s);
}

enum pr_code dr_shard_start(struct dr_shard **out, const struct dr_shard_env *env, const char *name,
                            const struct dr_position *from, int64_t beat_ms, bool hold,
                            struct pr_err *err)
{
    struct dr_shard *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "shard %s: no memory", name);
    s->env = env;
    s->hold = hold;
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    pthread_mutex_init(&s->mu, NULL);
    dr_spool_init(&s->spool, (size_t)env->cfg->spool_bytes + DR_UNIT_MAX);
    dr_spool_reset(&s->spool, from->offset);
    dr_stream_init(&s->stream, from->offset);
    s->at = s->status.durable = *from;
    s->status.beat_ms = beat_ms;
    s->status.since_ms = s->status.born_ms = pr_now_ms();
    s->born_us = pr_mono_us();
    memcpy(s->status.replid, from->replid, sizeof s->status.replid);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->chunk = malloc(DR_CHUNK);
    enum pr_code rc = s->wake_fd >= 0 && s->chunk != NULL
                          ? pr_s3_open(env->store, &s->stop, &s->s3, err)
                          : pr_fail(err, PR_ENOMEM, "shard %s: %s", name, strerror(errno));
    if (rc == PR_OK && pthread_create(&s->thread, NULL, dr_shard_run, s) != 0)
        rc = pr_fail(err, PR_ENOMEM, "shard %s: no thread", name);
    if (rc != PR_OK)
        discard(s);
    else
        *out = s;
    return rc;
}

void dr_shard_ask_to_stop(struct dr_shard *s)
{
    atomic_store(&s->stop, true);
    dr_shard_ring(s);
}

void dr_shard_stop(struct dr_shard *s)
{
    if (s == NULL)
        return;
    dr_shard_ask_to_stop(s);
    pthread_join(s->thread, NULL);
    discard(s);
}
