/* What each step of core/region.h does. Every one may be done again. */
#include "io/region/private.h"

#include "io/pg/child.h"
#include "io/whole.h"

#include "prism/io/clock.h"
#include "prism/io/json_text.h"
#include "prism/io/log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAIN_TURN_MS = 200, ENV = 16 };

extern char **environ;

/* --- hooks ---------------------------------------------------------------------------------------
 */

enum pr_code dr_region_hook(const struct dr_region_job *job, const struct dr_site *s,
                            enum dr_hook which, struct pr_err *err)
{
    char number[32], line[6][160];
    const char *argv[] = { s->hook[which], dr_hook_name(which), NULL };
    size_t n = 0, at = 0;
    int status = 0;
    struct pr_buf words;
    if (s->hook[which] == NULL)
        return PR_OK;
    while (environ[n] != NULL)
        n++;
    char **env = calloc(n + PR_COUNT(line) + 1, sizeof *env);
    if (env == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for an environment");
    (void)snprintf(number, sizeof number, "%" PRIu64, job->journal.number);
    const char *const mine[][2] = { { "PRISM_FAILOVER_HOOK", dr_hook_name(which) },
                                    { "PRISM_FAILOVER_SITE", s->name },
                                    { "PRISM_FAILOVER_FROM", job->from->name },
                                    { "PRISM_FAILOVER_TO", job->to->name },
                                    { "PRISM_FAILOVER_NUMBER", number } };
    for (size_t i = 0; i < n; i++) /* no secret of ours is a hook's */
        if (strncmp(environ[i], "PRISM_", 6) != 0)
            env[at++] = environ[i];
    for (size_t i = 0; i < PR_COUNT(mine); i++) {
        (void)snprintf(line[i], sizeof line[i], "%s=%s", mine[i][0], mine[i][1]);
        env[at++] = line[i];
    }
    const struct dr_child_options o = { .name = dr_hook_name(which), .argv = argv, .env = env };
    pr_buf_init(&words, 0);
    const enum pr_code rc = dr_child_run(&o, s->hook_ms, &status, NULL, &words, err);
    free(env);
    if (words.len > 0 && words.data[words.len - 1] == '\n')
        words.data[--words.len] = '\0';
    if (rc != PR_OK)
        (void)pr_wrap(err, rc, "hook \"%s\" of %s", dr_hook_name(which), s->name);
    else if (status != 0)
        (void)pr_fail(err, PR_EUNAVAIL, "hook \"%s\" of %s ended with %d: %.100s",
                      dr_hook_name(which), s->name, status, words.len > 0 ? words.data : "");
    pr_buf_done(&words);
    return rc == PR_OK && status != 0 ? PR_EUNAVAIL : rc;
}

/* --- check, claim --------------------------------------------------------------------------------
 */

static enum pr_code check(struct dr_region_job *job, struct dr_region_said *said,
                          struct pr_err *err)
{
    struct dr_region_check c;
    enum pr_code rc = dr_region_look(job, &job->journal.facts, &c, err);
    if (rc == PR_OK && c.fatal > 0)
        rc = pr_fail(err, PR_ECONFLICT, "%s", c.first);
    if (rc == PR_OK)
        (void)snprintf(said->text, sizeof said->text,
                       "%zu shards in the bucket, the oldest is %" PRId64 " ms old", c.of_shards,
                       c.rpo_ms);
    dr_region_check_done(&c);
    return rc;
}

static struct dr_marker marker_of(const struct dr_region_job *job, bool back)
{
    const struct dr_region_facts *f = &job->journal.facts;
    struct dr_marker m = { .epoch = f->epoch + back,
                           .failover = job->journal.number,
                           .at_ms = f->claim_ms };
    memcpy(m.site, back ? f->from : f->to, sizeof m.site);
    memcpy(m.data, back ? f->data : f->next_data, sizeof m.data);
    return m;
}

/* claim_ms went to the journal with the intent, so it is always the same marker. */
static enum pr_code claim(struct dr_region_job *job, struct dr_region_said *said,
                          struct pr_err *err)
{
    const struct dr_marker m = marker_of(job, false);
    (void)snprintf(said->text, sizeof said->text, "epoch %" PRIu64 ": %s owns the store", m.epoch,
                   m.site);
    return dr_marker_write(job->s3, job->run->cfg->cluster, &m, err);
}

/* Also where the claim is not known to have been written: whoever was to write it may still do so,
 * and must find that it is over. */
static enum pr_code claim_back(struct dr_region_job *job, struct dr_region_said *said,
                               struct pr_err *err)
{
    const struct dr_marker m = marker_of(job, false), back = marker_of(job, true);
    enum pr_code rc = dr_marker_write(job->s3, job->run->cfg->cluster, &m, err);
    if (rc == PR_OK)
        rc = dr_marker_write(job->s3, job->run->cfg->cluster, &back, err);
    (void)snprintf(said->text, sizeof said->text, "epoch %" PRIu64 ": %s owns the store again",
                   back.epoch, back.site);
    return rc;
}

/* --- locking out
 * -----------------------------------------------------------------------------------
 */

static void add_points(struct pr_buf *b, const struct dr_lock *l)
{
    pr_buf_str(b, "\"points\":[");
    for (size_t i = 0; i < l->points; i++)
        pr_buf_printf(b, "%s{\"replid\":\"%s\",\"offset\":%" PRIu64 "}", i > 0 ? "," : "",
                      l->point[i].replid, l->point[i].offset);
    pr_buf_str(b, "]");
}

static enum pr_code judge_lock(const struct dr_region_job *job, bool stopped,
                               const struct dr_lock *l, const struct dr_region_pg_lock *pg,
                               struct pr_err *err)
{
    if (job->journal.facts.old_side_is_down || stopped)
        return PR_OK;
    if (l->silent > 0)
        return pr_fail(err, PR_EUNAVAIL,
                       "%zu of %zu Redis nodes of %s do not answer (%.100s) and may serve somebody",
                       l->silent, l->nodes, job->from->name, l->silent_names);
    return pg->silent ? pr_fail(err, PR_EUNAVAIL,
                                "PostgreSQL of %s does not answer and may serve somebody: %.120s",
                                job->from->name, pg->words)
                      : PR_OK;
}

static enum pr_code lockout(struct dr_region_job *job, struct dr_region_said *said,
                            struct pr_err *err)
{
    struct dr_lock l = { .nodes = 0 };
    struct dr_region_pg_lock pg = { .silent = false };
    const bool stops = job->from->hook[DR_HOOK_STOP] != NULL;
    struct pr_err unheard = { 0 };
    enum pr_code rc = dr_region_hook(job, job->from, DR_HOOK_STOP, &unheard);
    const bool stopped = stops && rc == PR_OK;
    if (rc != PR_OK) /* what it would have stopped is locked out here, or named below */
        pr_warn(PR_EV("dr.failover_hook"), PR_E(&unheard));
    rc = dr_lock_out(job->from, &l, err);
    const int64_t now_ms = pr_now_ms();
    if (rc == PR_OK)
        rc = dr_region_pg_lock(job->run->cfg, job->from, false, &pg, err);
    if (rc == PR_OK)
        rc = judge_lock(job, stopped, &l, &pg, err);
    if (rc == PR_OK) {
        (void)snprintf(said->text, sizeof said->text,
                       "%zu of %zu Redis nodes locked, %zu users turned off; PostgreSQL: %s",
                       l.nodes - l.silent, l.nodes, l.users,
                       job->from->pg_uri == NULL ? "none is described"
                       : pg.silent               ? "down"
                                                 : "locked");
        pr_buf_printf(&said->facts, "\"locked_ms\":%" PRId64 ",\"all_locked\":%s,", now_ms,
                      l.silent == 0 ? "true" : "false");
        add_points(&said->facts, &l);
    }
    dr_lock_done(&l);
    return rc;
}

static enum pr_code lockout_back(struct dr_region_job *job, struct dr_region_said *said,
                                 struct pr_err *err)
{
    const bool down = job->journal.facts.old_side_is_down;
    struct dr_lock l = { .nodes = 0 };
    struct dr_region_pg_lock pg = { .silent = false };
    enum pr_code rc = dr_region_hook(job, job->from, DR_HOOK_START, err);
    if (rc == PR_OK)
        rc = dr_lock_admit(job->from, &l, err);
    if (rc == PR_OK)
        rc = dr_region_pg_lock(job->run->cfg, job->from, true, &pg, err);
    if (rc == PR_OK && !down && l.silent > 0)
        rc = pr_fail(err, PR_EUNAVAIL, "Redis nodes do not answer, and may be locked: %s",
                     l.silent_names);
    if (rc == PR_OK && !down && pg.silent)
        rc = pr_fail(err, PR_EUNAVAIL, "PostgreSQL does not answer, and may be locked: %.150s",
                     pg.words);
    (void)snprintf(said->text, sizeof said->text, "%zu users turned on on %zu Redis nodes",
                   l.users_on, l.nodes - l.silent);
    dr_lock_done(&l);
    return rc;
}

/* --- the last data
 * ---------------------------------------------------------------------------------
 */

static size_t left_to_reach(const struct dr_region_job *job)
{
    const struct dr_region_facts *f = &job->journal.facts;
    size_t left = 0;
    for (size_t i = 0; i < f->points; i++)
        left += !dr_tail_reaches(&job->tail, f->point[i].replid, f->point[i].offset);
    return left;
}

/* Polls: a bucket tells nobody of what comes. */
static enum pr_code drain(struct dr_region_job *job, struct dr_region_said *said,
                          struct pr_err *err)
{
    const struct dr_region_facts *f = &job->journal.facts;
    const int64_t begun_us = pr_mono_us(), until_us = begun_us + f->wait_ms * 1000;
    size_t left;
    dr_tail_done(&job->tail); /* what was said to be down may never have been looked at */
    for (;;) {
        const enum pr_code rc = dr_tail_read(&job->tail, job->s3, f->data, err);
        if (rc != PR_OK)
            return rc;
        left = left_to_reach(job);
        if (left == 0 || pr_mono_us() >= until_us)
            break;
        if (dr_region_canceled(job))
            return pr_fail(err, PR_ECANCELED, "told to stop");
        (void)poll(NULL, 0, DRAIN_TURN_MS);
    }
    pr_buf_printf(&said->facts, "\"drained\":%s", left == 0 && f->all_locked ? "true" : "false");
    (void)snprintf(
        said->text, sizeof said->text,
        "%zu of %zu primaries that answered are in the bucket to their end, after %" PRId64 " ms",
        f->points - left, f->points, (pr_mono_us() - begun_us) / 1000);
    return PR_OK;
}

/* --- Redis
 * -----------------------------------------------------------------------------------------
 */

/* Two may be at it: one that was taken over still runs. What is emptied is noted before: later
 * it holds keys, and those are no reason to refuse it. */
static enum pr_code may(void *ctx, enum dr_whole_act act, struct pr_err *err)
{
    struct dr_journal *j = ctx;
    if (act == DR_WHOLE_EMPTY && !j->facts.emptying)
        return dr_journal_write(j, DR_REGION_NOTE, DR_REGION_REDIS, "fills the new side",
                                "\"emptying\":true", err);
    return dr_journal_still_ours(j, err);
}

static enum pr_code measure(const struct dr_region_job *job, const struct dr_whole_done *d,
                            struct dr_region_said *said, struct pr_err *err)
{
    const struct dr_region_facts *f = &job->journal.facts;
    size_t missing = 0;
    struct dr_region_shard *s = calloc(d->shards + 1, sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu shards", d->shards);
    uint64_t keys = 0;
    for (size_t i = 0; i < d->shards; i++) {
        memcpy(s[i].replid, d->shard[i].restored.replid, sizeof s[i].replid);
        s[i].offset = d->shard[i].restored.offset;
        s[i].last_ms = d->shard[i].restored.last_ms;
        keys += d->shard[i].keys;
    }
    /* While nobody of the old side answered, nothing is known of later writes: as of the claim. */
    const int64_t at_ms = f->points > 0 ? f->locked_ms : f->claim_ms;
    const int64_t rpo_ms = dr_region_rpo_ms(s, d->shards, f->point, f->points, at_ms, &missing);
    free(s);
    pr_buf_printf(&said->facts, "\"rpo_ms\":%" PRId64 ",\"missing\":%zu", rpo_ms, missing);
    (void)snprintf(said->text, sizeof said->text,
                   "%zu shards, %" PRIu64 " keys; RPO %" PRId64 " ms", d->shards, keys, rpo_ms);
    return PR_OK;
}

/* What holds keys though it was to be emptied is of this fail-over: it was found empty or was told
 * to be replaced, and nobody was sent there. */
static enum pr_code redis(struct dr_region_job *job, struct dr_region_said *said,
                          struct pr_err *err)
{
    const struct dr_config *cfg = job->run->cfg;
    const struct dr_region_facts *f = &job->journal.facts;
    struct dr_whole_done d = { .shards = 0 };
    char dir[256];
    (void)snprintf(dir, sizeof dir, "%.200s/prism-failover-%" PRIu64, cfg->scratch_dir,
                   job->journal.number);
    const struct dr_whole w = { .store = &job->store.s3,
                                .codec = &job->store.codec,
                                .cluster = f->data,
                                .until_ms = INT64_MAX,
                                .dir = dir,
                                .seeds = job->to->seeds,
                                .auth = { job->to->user, job->to->password },
                                .over_existing = f->over_existing || f->emptying,
                                .accept_loss = f->accept_loss,
                                .db_uri = dr_region_db_uri(job),
                                .may = may,
                                .ctx = &job->journal,
                                .cancel = job->run->cancel };
    enum pr_code rc = dr_whole_restore(&w, &d, err);
    if (rc == PR_OK)
        rc = dr_journal_still_ours(&job->journal, err);
    if (rc == PR_OK)
        rc = dr_region_register(job, err);
    if (rc == PR_OK)
        rc = measure(job, &d, said, err);
    dr_whole_done_free(&d);
    return rc;
}

/* --- switch, report
 * --------------------------------------------------------------------------------
 */

static enum pr_code switch_over(struct dr_region_job *job, struct dr_region_said *said,
                                struct pr_err *err)
{
    struct dr_lock l = { .nodes = 0 };
    enum pr_code rc = dr_journal_still_ours(&job->journal, err);
    if (rc == PR_OK)
        rc = dr_lock_admit(job->to, &l, err);
    if (rc == PR_OK && l.silent > 0)
        rc = pr_fail(err, PR_EUNAVAIL, "Redis nodes of %s do not answer: %s", job->to->name,
                     l.silent_names);
    (void)snprintf(said->text, sizeof said->text, "%zu users turned on; %s", l.users_on,
                   job->to->hook[DR_HOOK_SWITCH] != NULL
                       ? "the hook ended with 0"
                       : "no hook is described: point clients there by hand");
    dr_lock_done(&l);
    if (rc == PR_OK)
        rc = dr_region_hook(job, job->to, DR_HOOK_START, err);
    return rc == PR_OK ? dr_region_hook(job, job->to, DR_HOOK_SWITCH, err) : rc;
}

static enum pr_code report(struct dr_region_job *job, struct dr_region_said *said,
                           struct pr_err *err)
{
    struct pr_buf b;
    bool written = false;
    pr_buf_init(&b, 0);
    dr_region_print(job, &b);
    enum pr_code rc = b.failed ? pr_fail(err, PR_ENOMEM, "no memory for the report")
                               : dr_region_report(job, b.data, &written, err);
    pr_buf_done(&b);
    (void)snprintf(said->text, sizeof said->text, "%s",
                   written ? "in the journal, and in dr_failovers" : "in the journal");
    return rc;
}

dr_region_act *const dr_region_acts[DR_REGION_STEPS] = {
    [DR_REGION_CHECK] = check,
    [DR_REGION_CLAIM] = claim,
    [DR_REGION_LOCKOUT] = lockout,
    [DR_REGION_DRAIN] = drain,
    [DR_REGION_RESTORE] = dr_region_pg_restore,
    [DR_REGION_PROMOTE] = dr_region_pg_promote,
    [DR_REGION_REDIS] = redis,
    [DR_REGION_SWITCH] = switch_over,
    [DR_REGION_VERIFY] = dr_region_verify,
    [DR_REGION_REPORT] = report,
};

dr_region_act *const dr_region_backs[DR_REGION_STEPS] = {
    [DR_REGION_CLAIM] = claim_back,
    [DR_REGION_LOCKOUT] = lockout_back,
    [DR_REGION_RESTORE] = dr_region_pg_back,
};
