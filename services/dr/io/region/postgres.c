/* PostgreSQL of the two sides, by whoever keeps it safe (io/pg/backend.h). */
#include "io/region/private.h"

#include "io/pg/backend.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH = 512, MARK = 64, TRIES = 20, TURN_MS = 250, WAIT_MS = 600000 };

struct backend {
    struct dr_config cfg; /* run's, with the site's PostgreSQL */
    const struct dr_pg_backend *is;
    void *self;
};

static enum pr_code open_backend(struct backend *b, const struct dr_config *cfg, const char *uri,
                                 const char *data, struct pr_err *err)
{
    *b = (struct backend){ .cfg = *cfg };
    b->cfg.pg_uri = (char *)(uintptr_t)uri; /* borrowed: never freed by this copy */
    b->cfg.pg_data = (char *)(uintptr_t)data;
    const enum pr_code rc = dr_pg_backend_find(cfg->pg_backend, &b->is, err);
    return rc == PR_OK ? b->is->open(&b->self, &b->cfg, err) : rc;
}

static void close_backend(struct backend *b)
{
    if (b->self != NULL)
        b->is->close(b->self);
    b->self = NULL;
}

/* --- locking out ---------------------------------------------------------------------------------
 */

enum pr_code dr_region_pg_lock(const struct dr_config *cfg, const struct dr_site *s, bool admit,
                               struct dr_region_pg_lock *out, struct pr_err *err)
{
    struct dr_pg_lockout l = { .admit = admit, .if_open = out->if_open };
    struct pr_err why = { 0 };
    struct backend b;
    *out = (struct dr_region_pg_lock){ .if_open = out->if_open };
    if (s->pg_uri == NULL)
        return PR_OK;
    enum pr_code rc = open_backend(&b, cfg, s->pg_uri, cfg->pg_data, err);
    /* A superuser is never kept out: one who was there comes back once, as the service does. */
    for (int i = 0; rc == PR_OK && i < TRIES; i++) {
        rc = b.is->lockout(b.self, &l, &why);
        if (rc != PR_ECONFLICT || i == TRIES - 1)
            break;
        (void)poll(NULL, 0, TURN_MS);
        rc = PR_OK;
    }
    close_backend(&b);
    out->grants = l.grants;
    out->ended = l.ended;
    out->silent = rc == PR_EUNAVAIL || rc == PR_ETIMEOUT;
    (void)snprintf(out->words, sizeof out->words, "%s", why.text);
    if (rc == PR_OK || out->silent)
        return PR_OK;
    return why.text[0] != '\0' ? pr_fail(err, rc, "PostgreSQL of %s: %.180s", s->name, why.text)
                               : rc;
}

/* --- the directory -------------------------------------------------------------------------------
 */

static bool holds_something(const char *path)
{
    size_t n = 0;
    DIR *d = opendir(path);
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n > 2;
}

/* In the directory, before it has its name: that what is in it is of this fail-over, not of an
 * earlier life. Numbers begin anew in another bucket. */
static void mark_name(const struct dr_region_job *job, char out[MARK])
{
    (void)snprintf(out, MARK, "prism-failover-%" PRIu64 "-%" PRId64, job->journal.number,
                   job->journal.state.begun_ms);
}

static bool marked(const struct dr_region_job *job)
{
    char path[PATH], name[MARK];
    mark_name(job, name);
    (void)snprintf(path, sizeof path, "%.400s/%s", job->to->pg_data, name);
    return access(path, F_OK) == 0;
}

enum pr_code dr_region_pg_check(const struct dr_region_job *job, bool over_existing,
                                char why[DR_REGION_TEXT], struct pr_err *err)
{
    struct dr_pg_status st;
    struct backend b;
    why[0] = '\0';
    if (job->to->pg_uri == NULL)
        return PR_OK;
    enum pr_code rc = open_backend(&b, job->run->cfg, job->from->pg_uri, job->to->pg_data, err);
    if (rc == PR_OK)
        rc = b.is->status(b.self, &st, err);
    if (rc == PR_OK && st.repo.state != DR_PG_REPO_OK)
        (void)snprintf(why, DR_REGION_TEXT, "no backup: %.200s",
                       st.repo.words[0] != '\0' ? st.repo.words : "the repository is empty");
    else if (rc == PR_OK && !over_existing && holds_something(job->to->pg_data) && !marked(job))
        (void)snprintf(why, DR_REGION_TEXT,
                       "%.160s is not empty: nothing is restored over it without --over-existing",
                       job->to->pg_data);
    close_backend(&b);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "PostgreSQL of %s", job->to->name);
}

/* --- restoring -----------------------------------------------------------------------------------
 */

static enum pr_code move_aside(const struct dr_region_job *job, char where[PATH],
                               struct pr_err *err)
{
    const char *from = job->to->pg_data;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(where, PATH, "%.400s.before-%" PRIu64 "-%d", from, job->journal.number, i);
        if (access(where, F_OK) == 0)
            continue;
        return rename(from, where) == 0 ? PR_OK
                                        : pr_fail(err, PR_EUNAVAIL, "%.100s to %.100s: %s", from,
                                                  where, strerror(errno));
    }
    return pr_fail(err, PR_EFULL, "%.200s was moved aside a thousand times", from);
}

/* What the old primary has behind the fork is nobody's; the rest is there already. */
static bool rewound(const struct dr_region_job *job, const struct backend *b)
{
    char name[MARK];
    mark_name(job, name);
    const struct dr_pg_rewind how = { job->to->pg_data, job->to->pg_options, WAIT_MS, name };
    struct pr_err why = { 0 };
    const enum pr_code rc = b->is->rewind(b->self, &how, &why);
    if (rc != PR_OK)
        pr_warn(PR_EV("dr.failover_no_rewind"), PR_S("dir", job->to->pg_data), PR_E(&why));
    return rc == PR_OK;
}

static enum pr_code replace(struct dr_region_job *job, const struct backend *b, bool *done,
                            struct dr_region_said *said, struct pr_err *err)
{
    char aside[PATH];
    enum pr_code rc = b->is->stop(b->self, job->to->pg_data, err);
    if (rc != PR_OK)
        return rc;
    *done = rewound(job, b);
    if (*done) {
        (void)snprintf(said->text, sizeof said->text, "%.160s follows %s", job->to->pg_data,
                       job->from->name);
        return PR_OK;
    }
    rc = b->is->stop(b->self, job->to->pg_data, err);
    return rc == PR_OK ? move_aside(job, aside, err) : rc;
}

enum pr_code dr_region_pg_restore(struct dr_region_job *job, struct dr_region_said *said,
                                  struct pr_err *err)
{
    char name[MARK];
    const struct dr_pg_restore how = {
        .to = job->to->pg_data, .until_ms = INT64_MAX, .setting = job->to->pg_setting, .mark = name
    };
    struct dr_pg_restored r;
    struct backend b;
    bool done = false;
    mark_name(job, name);
    if (job->to->pg_uri == NULL || marked(job)) {
        (void)snprintf(said->text, sizeof said->text, "%s",
                       job->to->pg_uri == NULL ? "no PostgreSQL is described" : "it is there");
        return PR_OK;
    }
    enum pr_code rc = open_backend(&b, job->run->cfg, job->from->pg_uri, job->to->pg_data, err);
    if (rc == PR_OK && holds_something(job->to->pg_data)) {
        if (!job->journal.facts.over_existing)
            rc = pr_fail(err, PR_EEXISTS, "%.160s is not empty: resume with --over-existing",
                         job->to->pg_data);
        else
            rc = replace(job, &b, &done, said, err);
    }
    if (rc == PR_OK && !done) {
        rc = b.is->restore(b.self, &how, &r, err);
        if (rc == PR_OK)
            (void)snprintf(said->text, sizeof said->text, "backup %.63s in %.120s", r.backup,
                           job->to->pg_data);
    }
    close_backend(&b);
    return rc;
}

enum pr_code dr_region_pg_back(struct dr_region_job *job, struct dr_region_said *said,
                               struct pr_err *err)
{
    struct backend b;
    if (job->to->pg_uri == NULL || !holds_something(job->to->pg_data))
        return PR_OK;
    enum pr_code rc = open_backend(&b, job->run->cfg, job->from->pg_uri, job->to->pg_data, err);
    if (rc == PR_OK)
        rc = b.is->stop(b.self, job->to->pg_data, err);
    close_backend(&b);
    (void)snprintf(said->text, sizeof said->text, "%.160s is stopped and stays", job->to->pg_data);
    return rc;
}

/* --- promoting -----------------------------------------------------------------------------------
 */

/* Whoever held them is on the old side. A new holder has a higher epoch all the same. */
static enum pr_code end_leases(const struct dr_region_job *job, struct pr_err *err)
{
    struct pr_db *db = NULL;
    enum pr_code rc = pr_db_open(&db, job->to->pg_uri, "prism-dr-failover", err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "UPDATE leases SET expires_at = now() WHERE expires_at > now()", NULL,
                        0, NULL, err);
    pr_db_close(db);
    return rc;
}

enum pr_code dr_region_pg_promote(struct dr_region_job *job, struct dr_region_said *said,
                                  struct pr_err *err)
{
    const struct dr_pg_promote how = { job->to->pg_data, job->to->pg_options, WAIT_MS };
    struct dr_pg_promoted p;
    struct backend b;
    if (job->to->pg_uri == NULL) {
        (void)snprintf(said->text, sizeof said->text, "no PostgreSQL is described");
        return PR_OK;
    }
    enum pr_code rc = dr_journal_still_ours(&job->journal, err);
    if (rc != PR_OK)
        return rc;
    /* By the old one's address: a standby first replays what that has. */
    rc = open_backend(&b, job->run->cfg, job->from->pg_uri, job->to->pg_data, err);
    if (rc == PR_OK)
        rc = b.is->promote(b.self, &how, &p, err);
    close_backend(&b);
    if (rc == PR_OK) /* from now on its files name the new one */
        rc = open_backend(&b, job->run->cfg, job->to->pg_uri, job->to->pg_data, err);
    close_backend(&b);
    if (rc == PR_OK)
        rc = end_leases(job, err);
    if (rc == PR_OK)
        (void)snprintf(said->text, sizeof said->text, "%.100s, timeline %u", p.address, p.timeline);
    return rc;
}

enum pr_code dr_region_pg_verify(const struct dr_region_job *job, struct pr_err *err)
{
    PR_AUTO(PGresult) *r = NULL;
    struct pr_db *db = NULL;
    if (job->to->pg_uri == NULL)
        return PR_OK;
    enum pr_code rc = pr_db_open(&db, job->to->pg_uri, "prism-dr-failover", err);
    /* A write that is committed and changes nothing. */
    if (rc == PR_OK)
        rc = pr_db_exec(db, "SELECT pg_is_in_recovery(), txid_current()", NULL, 0, &r, err);
    if (rc == PR_OK && pr_cell_bool(r, 0, 0))
        rc = pr_fail(err, PR_EUNAVAIL, "it is in recovery");
    pr_db_close(db);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "PostgreSQL of %s", job->to->name);
}
