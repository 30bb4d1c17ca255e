#include "io/region/private.h"

#include "prism/io/json_text.h"
#include "prism/io/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prism/io/clock.h"

enum { WAIT_MS = 30000 };

bool dr_region_canceled(const struct dr_region_job *job)
{
    return job->run->cancel != NULL && atomic_load(job->run->cancel);
}

/* --- open ----------------------------------------------------------------------------------------
 */

static enum pr_code open_job(struct dr_region_job *job, const struct dr_region_run *run,
                             struct pr_err *err)
{
    *job = (struct dr_region_job){ .run = run };
    enum pr_code rc = dr_sites_read(run->cfg->sites_file, &job->sites, err);
    if (rc == PR_OK)
        rc = dr_store_init(&job->store, run->cfg, err);
    if (rc == PR_OK)
        rc = pr_s3_open(&job->store.s3, run->cut, &job->s3, err);
    if (rc == PR_OK)
        rc = dr_marker_newest(job->s3, run->cfg->cluster, &job->owner, err);
    return rc == PR_OK ? dr_journal_open(&job->journal, job->s3, run->cfg->cluster, err) : rc;
}

static void close_job(struct dr_region_job *job)
{
    dr_tail_done(&job->tail);
    dr_journal_done(&job->journal);
    pr_s3_close(job->s3);
    dr_sites_done(&job->sites);
    dr_store_done(&job->store);
}

static enum pr_code find_sites(struct dr_region_job *job, const char *to, struct pr_err *err)
{
    job->to = to != NULL ? dr_sites_find(&job->sites, to, &job->from) : NULL;
    return job->to != NULL ? PR_OK
                           : pr_fail(err, PR_EINVAL, "%s: there is no site \"%.63s\"",
                                     job->run->cfg->sites_file, to != NULL ? to : "");
}

static bool under_way(const struct dr_region_job *job)
{
    return job->journal.number > 0 && !job->journal.state.ended;
}

/* As its journal has them: the file may have changed since. */
static enum pr_code find_under_way(struct dr_region_job *job, const char *to, struct pr_err *err)
{
    const struct dr_region_facts *f = &job->journal.facts;
    if (!under_way(job))
        return pr_fail(err, PR_ENOTFOUND, "no fail-over is under way");
    if (to != NULL && strcmp(to, f->to) != 0)
        return pr_fail(err, PR_ECONFLICT, "the fail-over under way is to %s, not to %.63s", f->to,
                       to);
    const enum pr_code rc = find_sites(job, f->to, err);
    if (rc == PR_OK && strcmp(job->from->name, f->from) != 0)
        return pr_fail(err, PR_EINVAL, "%s: there is no site \"%s\"", job->run->cfg->sites_file,
                       f->from);
    return rc;
}

static void plan_facts(const struct dr_region_job *job, const struct dr_region_order *o,
                       struct dr_region_facts *f)
{
    *f = (struct dr_region_facts){ .old_side_is_down = o->old_side_is_down,
                                   .over_existing = o->over_existing,
                                   .accept_loss = o->accept_loss,
                                   .wait_ms = o->wait_ms > 0 ? o->wait_ms : WAIT_MS,
                                   .epoch = job->owner.epoch + 1,
                                   .rpo_ms = -1 };
    (void)snprintf(f->from, sizeof f->from, "%s", job->from->name);
    (void)snprintf(f->to, sizeof f->to, "%s", job->to->name);
    (void)snprintf(f->by, sizeof f->by, "%.63s", o->by != NULL ? o->by : "");
    (void)snprintf(f->key, sizeof f->key, "%s", o->key != NULL ? o->key : "");
    memcpy(f->data, job->owner.data, sizeof f->data);
    if (snprintf(f->next_data, sizeof f->next_data, "%s.%" PRIu64, job->run->cfg->cluster,
                 f->epoch) >= (int)sizeof f->next_data)
        f->next_data[0] = '\0'; /* no name: the check says so */
}

/* --- printing ------------------------------------------------------------------------------------
 */

static const char *state_of(const struct dr_region_job *job)
{
    const struct dr_region_state *s = &job->journal.state;
    if (s->ended)
        return s->aborting ? "aborted" : "done";
    if (job->journal.why[0] != '\0')
        return "stopped";
    return s->aborting ? "aborting" : "running";
}

static void add_ms(struct pr_buf *b, const char *name, int64_t ms, bool known)
{
    if (known)
        pr_buf_printf(b, ",\"%s\":%" PRId64, name, ms);
    else
        pr_buf_printf(b, ",\"%s\":null", name);
}

static void add_steps(struct pr_buf *b, const struct dr_journal *j)
{
    pr_buf_str(b, ",\"steps\":[");
    for (int i = 0; i < DR_REGION_STEPS; i++) {
        pr_buf_printf(b, "%s{\"step\":\"%s\",\"state\":\"%s\"", i > 0 ? "," : "",
                      dr_region_row[i].name, dr_region_at_name(j->state.step[i].at));
        add_ms(b, "begun_ms", j->state.step[i].begun_ms, j->state.step[i].begun_ms > 0);
        add_ms(b, "ended_ms", j->state.step[i].ended_ms, j->state.step[i].ended_ms > 0);
        pr_buf_str(b, ",\"text\":");
        pr_json_add(b, j->text[i]);
        pr_buf_str(b, "}");
    }
    pr_buf_str(b, "]");
}

void dr_region_print(const struct dr_region_job *job, struct pr_buf *b)
{
    const struct dr_journal *j = &job->journal;
    const struct dr_region_facts *f = &j->facts;
    struct dr_marker owner = job->owner;
    struct pr_err unsaid;
    if (dr_marker_newest(job->s3, job->run->cfg->cluster, &owner, &unsaid) != PR_OK)
        owner = job->owner; /* as it was a moment ago */
    pr_buf_printf(b, "{\"owner\":\"%s\",\"epoch\":%" PRIu64 ",\"data\":\"%s\",\"failover\":",
                  owner.site, owner.epoch, owner.data);
    if (j->number == 0 || !j->state.begun) {
        pr_buf_str(b, "null}");
        return;
    }
    pr_buf_printf(b, "{\"number\":%" PRIu64 ",\"from\":\"%s\",\"to\":\"%s\",\"by\":", j->number,
                  f->from, f->to);
    pr_json_add(b, f->by);
    pr_buf_printf(b, ",\"state\":\"%s\",\"attempt\":%u", state_of(job), j->state.attempts);
    add_ms(b, "begun_ms", j->state.begun_ms, true);
    add_ms(b, "claimed_ms", f->claim_ms, f->claim_ms > 0);
    add_ms(b, "written_ms", j->state.written_ms, true);
    add_ms(b, "ended_ms", j->state.ended_ms, j->state.ended);
    add_ms(b, "rpo_ms", f->rpo_ms, f->rpo_ms >= 0);
    add_ms(b, "rto_ms", dr_region_rto_ms(&j->state, f->verified_ms), f->verified_ms > 0);
    pr_buf_printf(b, ",\"missing\":%zu,\"can_abort\":%s,\"why\":", f->missing,
                  dr_region_no_abort(&j->state) == NULL ? "true" : "false");
    pr_json_add(b, j->why);
    add_steps(b, j);
    pr_buf_str(b, "}}");
}

static void print_plan(const struct dr_region_job *job, const struct dr_region_facts *f,
                       const struct dr_region_check *c, struct pr_buf *b)
{
    pr_buf_printf(b,
                  "{\"from\":\"%s\",\"to\":\"%s\",\"epoch\":%" PRIu64 ",\"ready\":%s,\"steps\":[",
                  f->from, f->to, f->epoch, c->fatal == 0 && !under_way(job) ? "true" : "false");
    for (int i = 0; i < DR_REGION_STEPS; i++) {
        pr_buf_printf(b, "%s{\"step\":\"%s\",\"does\":", i > 0 ? "," : "", dr_region_row[i].name);
        pr_json_add(b, dr_region_row[i].does);
        pr_buf_str(b, ",\"done_when\":");
        pr_json_add(b, dr_region_row[i].done_when);
        pr_buf_str(b, "}");
    }
    pr_buf_printf(b, "],\"problems\":[%s%s%s],\"shards\":[%s]",
                  under_way(job) ? "{\"what\":\"a fail-over is under way: resume or abort it\","
                                   "\"fatal\":true}"
                                 : "",
                  under_way(job) && c->problems.len > 0 ? "," : "",
                  c->problems.data != NULL ? c->problems.data : "",
                  c->shards.data != NULL ? c->shards.data : "");
    add_ms(b, "expected_rpo_ms", c->rpo_ms, c->rpo_ms >= 0);
    pr_buf_str(b, "}");
}

/* --- going on ------------------------------------------------------------------------------------
 */

static void tell(const struct dr_region_job *job, enum dr_region_step step, const char *state,
                 const char *text)
{
    pr_info(PR_EV("dr.failover"), PR_I("number", job->journal.number),
            PR_S("step", dr_region_row[step].name), PR_S("state", state), PR_S("text", text));
    if (job->run->progress != NULL)
        job->run->progress(job->run->ctx, dr_region_row[step].name, state, text);
}

/* The claim's time is part of what is intended: the marker must be the same whoever writes it. */
static void intent_facts(const struct dr_region_job *job, enum dr_region_step step, bool back,
                         char out[64])
{
    out[0] = '\0';
    if (step == DR_REGION_CLAIM && !back && job->journal.facts.claim_ms == 0)
        (void)snprintf(out, 64, "\"claim_ms\":%" PRId64, pr_now_ms());
}

static enum pr_code do_step(struct dr_region_job *job, enum dr_region_step step, bool back,
                            struct pr_err *err)
{
    struct dr_journal *j = &job->journal;
    struct dr_region_said said = { .text = "" };
    struct pr_err unwritten = { 0 };
    char facts[64];
    intent_facts(job, step, back, facts);
    enum pr_code rc =
        dr_journal_write(j, back ? DR_REGION_UNDO : DR_REGION_INTENT, step, "", facts, err);
    if (rc != PR_OK)
        return rc;
    tell(job, step, "running", "");
    pr_buf_init(&said.facts, 0);
    rc = (back ? dr_region_backs : dr_region_acts)[step](job, &said, err);
    if (rc == PR_OK && said.facts.failed)
        rc = pr_fail(err, PR_ENOMEM, "no memory for what was found");
    if (rc == PR_OK) {
        rc = dr_journal_write(j, back ? DR_REGION_UNDONE : DR_REGION_DONE, step, said.text,
                              said.facts.data != NULL ? said.facts.data : "", err);
        if (rc == PR_OK)
            tell(job, step, back ? "undone" : "done", said.text);
    } else {
        (void)pr_wrap(err, rc, "%s", dr_region_row[step].name);
        tell(job, step, "failed", err->text);
        /* A note: that it stopped shows without it, too. Somebody else's journal is left alone. */
        if (rc != PR_EFENCED && dr_journal_write(j, back ? DR_REGION_STUCK : DR_REGION_FAILED, step,
                                                 err->text, "", &unwritten) != PR_OK)
            pr_warn(PR_EV("dr.failover_unwritten"), PR_E(&unwritten));
    }
    pr_buf_done(&said.facts);
    return rc;
}

static enum pr_code go_on(struct dr_region_job *job, struct pr_err *err)
{
    for (;;) {
        enum dr_region_step step = DR_REGION_CHECK;
        enum pr_code rc = PR_OK;
        switch (dr_region_next(&job->journal.state, &step)) {
        case DR_REGION_NOTHING:
            return PR_OK;
        case DR_REGION_STEP:
            rc = do_step(job, step, false, err);
            break;
        case DR_REGION_BACK:
            rc = do_step(job, step, true, err);
            break;
        case DR_REGION_FINISH:
            rc = dr_journal_write(&job->journal, DR_REGION_END, DR_REGION_REPORT, "", "", err);
            break;
        }
        if (rc != PR_OK)
            return rc;
        if (dr_region_canceled(job))
            return pr_fail(err, PR_ECANCELED, "told to stop; resume goes on");
    }
}

/* --- what is asked
 * ---------------------------------------------------------------------------------
 */

enum pr_code dr_region_plan(const struct dr_region_run *run, const struct dr_region_order *order,
                            struct pr_buf *out, struct pr_err *err)
{
    struct dr_region_check c = { .fatal = 0 };
    struct dr_region_facts f;
    struct dr_region_job job;
    enum pr_code rc = open_job(&job, run, err);
    if (rc == PR_OK)
        rc = find_sites(&job, order->to, err);
    if (rc == PR_OK) {
        plan_facts(&job, order, &f);
        rc = dr_region_look(&job, &f, &c, err);
    }
    if (rc == PR_OK)
        print_plan(&job, &f, &c, out);
    dr_region_check_done(&c);
    close_job(&job);
    return rc;
}

/* It was asked for already, and its answer may have been lost. */
static bool asked_before(const struct dr_region_job *job, const struct dr_region_order *o)
{
    return job->journal.number > 0 && o->key != NULL && o->key[0] != '\0' &&
           strcmp(o->key, job->journal.facts.key) == 0;
}

static enum pr_code begin(struct dr_region_job *job, const struct dr_region_order *order,
                          struct pr_err *err)
{
    struct dr_region_check c = { .fatal = 0 };
    struct dr_region_facts f;
    enum pr_code rc = PR_OK;
    if (under_way(job))
        return pr_fail(err, PR_ECONFLICT,
                       "fail-over %" PRIu64 " to %s is under way: resume or abort it",
                       job->journal.number, job->journal.facts.to);
    rc = find_sites(job, order->to, err);
    if (rc == PR_OK) {
        plan_facts(job, order, &f);
        rc = dr_region_look(job, &f, &c, err);
    }
    if (rc == PR_OK && c.fatal > 0)
        rc = pr_fail(err, PR_ECONFLICT, "%s", c.first);
    dr_region_check_done(&c);
    dr_tail_done(&job->tail);
    if (rc == PR_OK)
        rc = dr_journal_begin(&job->journal, &f, job->to->pg_uri != NULL, err);
    /* Of two that begin at once this one is too late: nothing was changed by it. */
    return rc == PR_EFENCED
               ? pr_fail(err, PR_ECONFLICT, "somebody else began a fail-over at the same time")
               : rc;
}

enum pr_code dr_region_execute(const struct dr_region_run *run, const struct dr_region_order *order,
                               struct pr_buf *out, struct pr_err *err)
{
    struct dr_region_job job;
    enum pr_code rc = open_job(&job, run, err);
    const bool before = rc == PR_OK && asked_before(&job, order);
    if (before && (order->to == NULL || strcmp(order->to, job.journal.facts.to) != 0))
        rc = pr_fail(err, PR_ECONFLICT, "this key was used for a fail-over to %s",
                     job.journal.facts.to);
    if (rc == PR_OK && !before)
        rc = begin(&job, order, err);
    if (rc == PR_OK) {
        rc = before ? PR_OK : go_on(&job, err);
        dr_region_print(&job, out);
    }
    close_job(&job);
    return rc;
}

static enum pr_code take_over(struct dr_region_job *job, const struct dr_region_order *o,
                              struct pr_err *err)
{
    char facts[160];
    size_t n = 0;
    const enum pr_code rc = find_under_way(job, o->to, err);
    if (rc != PR_OK)
        return rc;
    facts[0] = '\0';
    if (o->old_side_is_down)
        n += (size_t)snprintf(facts + n, sizeof facts - n, ",\"old_side_is_down\":true");
    if (o->over_existing)
        n += (size_t)snprintf(facts + n, sizeof facts - n, ",\"over_existing\":true");
    if (o->accept_loss)
        n += (size_t)snprintf(facts + n, sizeof facts - n, ",\"accept_loss\":true");
    if (o->wait_ms > 0)
        n += (size_t)snprintf(facts + n, sizeof facts - n, ",\"wait_ms\":%" PRId64, o->wait_ms);
    return dr_journal_write(&job->journal, DR_REGION_ATTEMPT, DR_REGION_CHECK, o->by,
                            n > 0 ? facts + 1 : "", err);
}

enum pr_code dr_region_resume(const struct dr_region_run *run, const struct dr_region_order *order,
                              struct pr_buf *out, struct pr_err *err)
{
    struct dr_region_job job;
    enum pr_code rc = open_job(&job, run, err);
    if (rc == PR_OK)
        rc = find_under_way(&job, order->to, err);
    if (rc == PR_OK && job.journal.state.aborting)
        rc = pr_fail(err, PR_ECONFLICT, "it is being aborted: go on with abort");
    if (rc == PR_OK && dr_region_db_uri(&job) == NULL)
        rc = pr_fail(err, PR_EINVAL, "%s", DR_REGION_NO_DB);
    if (rc == PR_OK)
        rc = take_over(&job, order, err);
    if (rc == PR_OK) {
        rc = go_on(&job, err);
        dr_region_print(&job, out);
    }
    close_job(&job);
    return rc;
}

enum pr_code dr_region_abort(const struct dr_region_run *run, const struct dr_region_order *order,
                             struct pr_buf *out, struct pr_err *err)
{
    struct dr_region_job job;
    enum pr_code rc = open_job(&job, run, err);
    if (rc == PR_OK)
        rc = find_under_way(&job, order->to, err);
    const char *why = rc == PR_OK ? dr_region_no_abort(&job.journal.state) : NULL;
    if (why != NULL)
        rc = pr_fail(err, PR_ECONFLICT, "%s", why);
    if (rc == PR_OK)
        rc = take_over(&job, order, err);
    if (rc == PR_OK && !job.journal.state.aborting)
        rc = dr_journal_write(&job.journal, DR_REGION_ABORT, DR_REGION_CHECK, "", "", err);
    if (rc == PR_OK) {
        rc = go_on(&job, err);
        dr_region_print(&job, out);
    }
    close_job(&job);
    return rc;
}

enum pr_code dr_region_status(const struct dr_region_run *run, struct pr_buf *out,
                              struct pr_err *err)
{
    struct dr_region_job job;
    const enum pr_code rc = open_job(&job, run, err);
    if (rc == PR_OK)
        dr_region_print(&job, out);
    close_job(&job);
    return rc;
}
