#include "core/pg_plan.h"

#include <string.h>

enum { MIN_MS = 60000 };

static const struct pr_backoff RECEIVER_PAUSE = { 200, 2000 };
static const struct pr_backoff JOB_PAUSE = { 2000, 300000 };

static const char *const JOB[] = { "none",        "info",        "stanza-create", "check",
                                   "backup full", "backup incr", "list",          "archive-push" };

const char *dr_pg_job_name(enum dr_pg_job j)
{
    return JOB[j];
}

bool dr_pg_receiver_gone(const char *words, size_t n)
{
    static const char *const SIGN[] = { "has already been removed",
                                        "ahead of the WAL flush position",
                                        "is not in this server's history" };
    for (size_t i = 0; i < PR_COUNT(SIGN); i++)
        if (memmem(words, n, SIGN[i], strlen(SIGN[i])) != NULL)
            return true;
    return false;
}

enum dr_pg_receiver_do dr_pg_receiver_next(const struct dr_pg_receiver *r,
                                           const struct dr_pg_server *s, int64_t now_ms,
                                           const char **why)
{
    char no[DR_PG_WORDS];
    if (r->running) {
        *why = "runs";
        return DR_PG_RECEIVER_WAIT;
    }
    if (s->at_ms == 0) {
        *why = "the primary was not seen yet";
        return DR_PG_RECEIVER_WAIT;
    }
    if (r->failures > 0 &&
        now_ms < r->ended_ms + pr_backoff_ms(&RECEIVER_PAUSE, r->failures - 1, r->seed, 0)) {
        *why = "pauses after it ended";
        return DR_PG_RECEIVER_WAIT;
    }
    if (s->slot == DR_PG_SLOT_LOST || r->gone) {
        *why = r->gone ? "the primary has not what follows" : "the slot is lost";
        return DR_PG_RECEIVER_AFRESH;
    }
    if (!dr_pg_settings_ok(s, no)) {
        *why = "the primary's settings do not allow it";
        return DR_PG_RECEIVER_WAIT;
    }
    *why = s->slot == DR_PG_SLOT_NONE ? "a first time" : "goes on";
    return DR_PG_RECEIVER_START;
}

static int64_t last(const struct pr_cron *c, int64_t now_ms)
{
    const int64_t at = pr_cron_last(c, now_ms / MIN_MS);
    return at < 0 ? 0 : at * MIN_MS;
}

int64_t dr_pg_due_ms(const struct dr_pg_schedule *s, int64_t now_ms)
{
    if (!s->backups)
        return 0;
    const int64_t full = last(&s->full, now_ms), incr = last(&s->incr, now_ms);
    const int64_t due = full > incr ? full : incr;
    return due > 0 ? due : 1;
}

static enum dr_pg_job backup_due(const struct dr_pg_schedule *s, const struct dr_pg_repo *r,
                                 int64_t now_ms)
{
    if (r->full_ms == 0 || r->full_ms < last(&s->full, now_ms))
        return DR_PG_JOB_FULL;
    return r->any_ms < last(&s->incr, now_ms) ? DR_PG_JOB_INCR : DR_PG_JOB_NONE;
}

enum dr_pg_job dr_pg_job_next(const struct dr_pg_schedule *s, const struct dr_pg_work *w,
                              int64_t now_ms)
{
    if (w->failures > 0 &&
        now_ms < w->failed_ms + pr_backoff_ms(&JOB_PAUSE, w->failures - 1, w->seed, 0))
        return DR_PG_JOB_NONE;
    if (w->info_ms == 0 || now_ms >= w->info_ms + s->look_ms || w->repo->state == DR_PG_REPO_ERROR)
        return DR_PG_JOB_INFO;
    if (!w->primary || w->repo->busy)
        return DR_PG_JOB_NONE;
    if (s->backups) {
        if (w->repo->state == DR_PG_REPO_EMPTY)
            return DR_PG_JOB_STANZA;
        if (w->checked_ms == 0)
            return DR_PG_JOB_CHECK;
        const enum dr_pg_job due = backup_due(s, w->repo, now_ms);
        if (due != DR_PG_JOB_NONE)
            return due;
    }
    if (w->repo->state == DR_PG_REPO_EMPTY)
        return DR_PG_JOB_NONE;
    if (w->missed)
        return DR_PG_JOB_PUSH;
    return w->list_ms < w->info_ms ? DR_PG_JOB_LIST : DR_PG_JOB_NONE;
}
