/* A shard's thread: to whom it attaches, and when it tries again. */
#include "io/shard_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 200, /* after every member was tried, growing to */
    RETRY_MAX_MS = 5000,
    BASE_RETRY_MS = 2000, /* after a base that failed, growing to */
    BASE_RETRY_MAX_MS = 120000,
    LASTED_MS = 5000 /* a connection that held so long did not fail at once */
};

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
    const enum pr_code rc = dr_shard_follow(s, link, start->primary, &broken, err);
    s->lasted = pr_mono_us() - begun_us > LASTED_MS * 1000;
    if (s->lasted) /* a new round; this one is its last */
        s->tried = s->now;
    if (broken) {
        pthread_mutex_lock(&s->mu);
        dr_shard_forget(s);
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
        rc = dr_shard_begin(s, link, from, m, &start, err);
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

/* False: stopped. */
static bool await_takers(struct dr_shard *s)
{
    for (bool waited = false; !atomic_load(&s->stop); waited = true) {
        pthread_mutex_lock(&s->mu);
        const bool may = dr_shard_gate_next(s);
        char by[DR_NAME];
        memcpy(by, s->gate.by, sizeof by);
        pthread_mutex_unlock(&s->mu);
        if (may)
            return true;
        if (!waited)
            pr_info(PR_EV("dr.base_waits"), PR_S("shard", s->name), PR_S("taker", by));
        dr_shard_await(s, -1, RETRY_MAX_MS); /* rung when it may */
    }
    return false;
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
        if (!await_takers(s))
            break;
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
        while (!atomic_load(&s->stop) && dr_shard_no_room(s, &endless)) /* rung when there is */
            dr_shard_await(s, -1, RETRY_MAX_MS);
        if (pause_ms > 0)
            dr_shard_await(s, -1, pause_ms);
    }
    return NULL;
}
