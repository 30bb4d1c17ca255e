#include "io/pg/repo.h"

#include "format/pg_info.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIRECTORY = 16, SHORT_S = 180, LONG_S = 24 * 3600, STOP_MS = 5000 };

enum pr_code dr_pg_worker_init(struct dr_pg_worker *w, const struct dr_pg_home *h,
                               struct pr_metrics *metrics, struct pr_err *err)
{
    const struct dr_config *cfg = h->cfg;
    *w = (struct dr_pg_worker){ .home = h, .metrics = metrics };
    w->work = (struct dr_pg_work){ .repo = &w->repo, .seed = (uint64_t)getpid() };
    w->schedule.look_ms = cfg->pg_look_ms;
    w->schedule.backups = cfg->pg_data[0] != '\0';
    enum pr_code rc = pr_cron_parse(cfg->pg_full_cron, &w->schedule.full, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "PRISM_DR_PG_FULL_CRON");
    rc = pr_cron_parse(cfg->pg_incr_cron, &w->schedule.incr, err);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "PRISM_DR_PG_INCR_CRON");
}

/* --- starting ----------------------------------------------------------------------------------
 */

/* arg[]: room for the command's; text: for one that is made. */
static void command(const struct dr_pg_worker *w, const char *arg[8], char text[256])
{
    size_t n = 0;
    switch (w->job) {
    case DR_PG_JOB_INFO:
        while (dr_pg_info_args[n] != NULL) {
            arg[n] = dr_pg_info_args[n];
            n++;
        }
        break;
    case DR_PG_JOB_STANZA:
        arg[n++] = "stanza-create";
        break;
    case DR_PG_JOB_CHECK:
        arg[n++] = "check";
        arg[n++] = "--archive-timeout=30";
        break;
    case DR_PG_JOB_FULL:
    case DR_PG_JOB_INCR:
        arg[n++] = "backup";
        arg[n++] = w->job == DR_PG_JOB_FULL ? "--type=full" : "--type=incr";
        break;
    case DR_PG_JOB_LIST:
        (void)snprintf(text, 256, "archive/" DR_PG_STANZA "/%s/%.*s", w->repo.archive, DIRECTORY,
                       w->segments.at[w->at].file.name);
        arg[n++] = "repo-ls";
        arg[n++] = "--output=json";
        arg[n++] = "--io-timeout=5";
        arg[n++] = text;
        break;
    case DR_PG_JOB_PUSH:
        arg[n++] = "archive-push";
        arg[n++] = "--no-archive-async";
        /* With a limit it looks for the server's queue beside the segment, where there is none. */
        arg[n++] = "--reset-archive-push-queue-max";
        arg[n++] = "--reset-pg1-host"; /* the segment is here */
        arg[n++] = w->segments.at[w->at].path;
        break;
    default:
        break;
    }
    arg[n] = NULL;
}

static void failed(struct dr_pg_worker *w, const struct pr_err *err, int64_t now_ms)
{
    if (strcmp(w->error, err->text) != 0)
        pr_warn(PR_EV("dr.pg.job_failed"), PR_S("job", dr_pg_job_name(w->job)),
                PR_S("code", pr_code_name(err->code)), PR_E(err));
    (void)snprintf(w->error, sizeof w->error, "%s", err->text);
    w->work.failures++;
    w->work.failed_ms = now_ms;
    pr_metrics_add(w->metrics, M_PG_JOBS, "failed", 1);
}

static void start(struct dr_pg_worker *w, int64_t now_ms)
{
    const bool archive = w->job == DR_PG_JOB_LIST || w->job == DR_PG_JOB_PUSH;
    const bool backup = w->job == DR_PG_JOB_FULL || w->job == DR_PG_JOB_INCR;
    struct pr_err err = { 0 };
    struct dr_pg_run run;
    const char *arg[8];
    char text[256];
    command(w, arg, text);
    dr_pg_run_init(&run, w->home, arg);
    run.o.quiet = archive;
    if (dr_child_start(&w->child, &run.o, &err) != PR_OK) {
        failed(w, &err, now_ms);
        w->job = DR_PG_JOB_NONE;
        return;
    }
    w->began_us = pr_mono_us();
    w->timeout_us = (backup ? LONG_S : SHORT_S) * 1000000LL;
    if (w->job != DR_PG_JOB_INFO && !archive)
        pr_info(PR_EV("dr.pg.job"), PR_S("job", dr_pg_job_name(w->job)));
}

/* --- what was received, against what the repository has ------------------------------------------
 */

static void mark(void *ctx, const char *name)
{
    struct dr_pg_segments *s = ctx;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->at[i].file.name, name) == 0)
            s->at[i].file.in_repository = true;
}

/* The first segment of the next directory of the repository. */
static size_t next_directory(const struct dr_pg_worker *w)
{
    size_t i = w->at;
    while (i < w->segments.n &&
           strncmp(w->segments.at[i].file.name, w->segments.at[w->at].file.name, DIRECTORY) == 0)
        i++;
    return i;
}

static bool next_missed(struct dr_pg_worker *w)
{
    while (w->at < w->segments.n && w->segments.at[w->at].file.todo != DR_WAL_PUSH)
        w->at++;
    return w->at < w->segments.n;
}

static void judge_segments(struct dr_pg_worker *w, const struct dr_pg_server *s, int64_t now_ms)
{
    struct pr_err err = { 0 };
    if (dr_pg_segments_decide(&w->segments, w->home->cfg->pg_keep_bytes, s->archived, &err) !=
        PR_OK) {
        failed(w, &err, now_ms);
        return;
    }
    for (size_t i = 0; i < w->segments.n; i++)
        if (w->segments.at[i].file.todo == DR_WAL_DROP)
            (void)unlink(w->segments.at[i].path);
    w->at = 0;
    w->work.list_ms = now_ms;
    w->work.missed = next_missed(w);
}

static enum pr_code list_begin(struct dr_pg_worker *w, const struct dr_pg_server *s,
                               struct pr_err *err)
{
    w->at = 0;
    dr_pg_segments_free(&w->segments);
    return dr_pg_segments_read(w->home, s->system_id, &w->segments, err);
}

/* --- ending ------------------------------------------------------------------------------------
 */

static enum pr_code took_info(struct dr_pg_worker *w, const struct pr_buf *out, int64_t now_ms,
                              struct pr_err *err)
{
    const enum pr_code rc =
        dr_pg_info_read(out->data != NULL ? out->data : "", out->len, &w->repo, err);
    if (rc != PR_OK)
        return rc;
    w->work.info_ms = now_ms;
    return w->repo.state == DR_PG_REPO_ERROR
               ? pr_fail(err, w->repo.code, "repository: %.200s", w->repo.words)
               : PR_OK;
}

static enum pr_code took(struct dr_pg_worker *w, const struct dr_pg_server *s, int64_t now_ms,
                         struct pr_err *err)
{
    const struct pr_buf *out = dr_child_out(w->child);
    enum pr_code rc = PR_OK;
    switch (w->job) {
    case DR_PG_JOB_INFO:
        return took_info(w, out, now_ms, err);
    case DR_PG_JOB_CHECK:
        w->work.checked_ms = now_ms;
        return PR_OK;
    case DR_PG_JOB_LIST:
        rc = dr_pg_list_read(out->data != NULL ? out->data : "", out->len, mark, &w->segments, err);
        w->at = next_directory(w);
        if (rc == PR_OK && w->at == w->segments.n)
            judge_segments(w, s, now_ms);
        return rc;
    case DR_PG_JOB_PUSH:
        pr_info(PR_EV("dr.pg.pushed"), PR_S("segment", w->segments.at[w->at].file.name));
        pr_metrics_add(w->metrics, M_PG_PUSHED, NULL, 1);
        w->at++;
        w->work.missed = next_missed(w);
        return PR_OK;
    default: /* what it did is asked of the repository */
        w->work.info_ms = 0;
        return PR_OK;
    }
}

static void finish(struct dr_pg_worker *w, const struct dr_pg_server *s, int64_t now_ms)
{
    struct pr_err err = { 0 };
    enum pr_code rc = dr_pg_run_judge(dr_pg_job_name(w->job), dr_child_status(w->child),
                                      dr_child_words(w->child), &err);
    if (rc == PR_OK)
        rc = took(w, s, now_ms, &err);
    dr_child_stop(w->child, 0);
    w->child = NULL;
    if (rc != PR_OK)
        failed(w, &err, now_ms);
    else {
        w->work.failures = 0;
        w->error[0] = '\0';
        pr_metrics_add(w->metrics, M_PG_JOBS, "ok", 1);
    }
    w->job = DR_PG_JOB_NONE;
}

void dr_pg_worker_turn(struct dr_pg_worker *w, const struct dr_pg_server *s, bool primary,
                       int64_t now_ms)
{
    struct pr_err err = { 0 };
    if (w->child != NULL && dr_child_runs(w->child)) {
        if (pr_mono_us() - w->began_us < w->timeout_us)
            return;
        (void)pr_fail(&err, PR_ETIMEOUT, "pgbackrest %s: not done after %lld s",
                      dr_pg_job_name(w->job), (long long)(w->timeout_us / 1000000));
        dr_child_stop(w->child, STOP_MS);
        w->child = NULL;
        failed(w, &err, now_ms);
    } else if (w->child != NULL)
        finish(w, s, now_ms);
    w->work.primary = primary;
    /* A listing of several directories goes on where it was. */
    const bool listing = w->at > 0 && w->at < w->segments.n && w->work.list_ms < w->work.info_ms &&
                         w->work.failures == 0;
    w->job = dr_pg_job_next(&w->schedule, &w->work, now_ms);
    if (w->job == DR_PG_JOB_LIST && !listing) {
        if (list_begin(w, s, &err) != PR_OK) {
            failed(w, &err, now_ms);
            w->job = DR_PG_JOB_NONE;
        } else if (w->segments.n == 0) {
            judge_segments(w, s, now_ms);
            w->job = DR_PG_JOB_NONE;
        }
    }
    if (w->job != DR_PG_JOB_NONE)
        start(w, now_ms);
}

void dr_pg_worker_stop(struct dr_pg_worker *w)
{
    dr_child_stop(w->child, STOP_MS);
    w->child = NULL;
    w->job = DR_PG_JOB_NONE;
    w->work.info_ms = w->work.list_ms = w->work.checked_ms = 0;
    w->work.missed = false;
    w->work.failures = 0;
    dr_pg_segments_free(&w->segments);
}
