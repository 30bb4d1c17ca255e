/* prism-dr pg: what can be asked of whoever keeps PostgreSQL safe. */
#include "cli/cli.h"
#include "io/pg/backend.h"

#include "prism/io/clock.h"
#include "prism/io/json_text.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: prism-dr pg status\n"
    "       prism-dr pg backup [--full]\n"
    "       prism-dr pg restore --dir DIR [--until TIME] [--backup LABEL] [--scratch]\n"
    "                           [--set NAME=VALUE]...\n"
    "       prism-dr pg promote --dir DIR [--options TEXT] [--wait SECONDS]\n"
    "       prism-dr pg lockout\n"
    "       prism-dr pg admit\n"
    "       prism-dr pg rewind --dir DIR [--options TEXT] [--wait SECONDS]\n"
    "\n"
    "status   the primary, the receiver, the archive, the backups\n"
    "backup   now: incremental, or full\n"
    "restore  a data directory, absent before, from a backup, the archive, and what was received;\n"
    "         to its end, or to TIME (2030-01-31T12:00:00Z); --scratch: to look at, it archives\n"
    "         nothing; --set: settings of that server, e.g. port=5433\n"
    "promote  starts the server of DIR, waits until it has all there is, and has it lead; gives\n"
    "         back what lockout took\n"
    "lockout  takes CONNECT on the database from everybody, ends sessions, and looks whether any\n"
    "         is left; admit: the other way round\n"
    "rewind   makes the old primary in DIR, stopped, a standby of the new one, and starts it\n"
    "\n"
    "The primary is that of PRISM_DR_PG_URI, the bucket that of PRISM_DR_S3_...; see prism-dr\n"
    "--print-config. Runs as the user whom PostgreSQL's files belong to. Prints JSON. Exit "
    "status:\n"
    "0; 1 failed; 2 wrong arguments.\n";

enum { SETTINGS = 32, WAIT_MS = 600000 };

struct asked {
    bool full, scratch;
    const char *dir, *options, *label;
    int64_t until_ms, wait_ms;
    const char *setting[SETTINGS + 1];
    size_t settings;
};

struct job {
    const struct dr_pg_backend *backend;
    void *self;
    const struct asked *a;
};

static const struct dr_cli_use use = { "pg", usage };

static void add_time(struct pr_buf *b, const char *name, int64_t ms)
{
    char at[32];
    dr_time_text(ms, at);
    pr_buf_printf(b, ms > 0 ? ",\"%s\":\"%s\"" : ",\"%s\":null", name, at);
}

static void add_text(struct pr_buf *b, const char *name, const char *text)
{
    pr_buf_printf(b, ",\"%s\":", name);
    pr_json_add(b, text);
}

static void add_lsn(struct pr_buf *b, const char *name, uint64_t lsn)
{
    char text[24];
    dr_pg_lsn_print(lsn, text);
    add_text(b, name, text);
}

static void add_repo(struct pr_buf *b, const struct dr_pg_repo *r)
{
    static const char *const STATE[] = { "unknown", "empty", "no backup", "ok", "error" };
    pr_buf_printf(b, "\"repository\":{\"state\":\"%s\"", STATE[r->state]);
    if (r->state == DR_PG_REPO_ERROR)
        add_text(b, "error", r->words);
    pr_buf_printf(b, ",\"full_backups\":%u,\"other_backups\":%u,\"damaged\":%u,\"bytes\":%" PRId64,
                  r->fulls, r->others, r->damaged, r->bytes);
    add_text(b, "newest", r->newest);
    add_time(b, "newest_at", r->any_ms);
    add_time(b, "full_at", r->full_ms);
    add_time(b, "restorable_from", r->oldest_ms);
    pr_buf_printf(b, ",\"under_way\":%s}", r->busy ? "true" : "false");
}

static const char *yes(bool b)
{
    return b ? "true" : "false";
}

static enum pr_code status(const struct job *j, struct pr_buf *b, struct pr_err *err)
{
    struct dr_pg_status st;
    char why[DR_PG_WORDS];
    const struct dr_pg_server *s = &st.server;
    const enum pr_code rc = j->backend->status(j->self, &st, err);
    if (rc != PR_OK)
        return rc;
    pr_buf_printf(b, "{\"primary\":{\"answers\":%s", yes(s->at_ms > 0));
    if (s->at_ms == 0)
        add_text(b, "error", st.words);
    else {
        pr_buf_printf(b, ",\"system\":\"%" PRIu64 "\",\"timeline\":%u", s->system_id, s->timeline);
        add_lsn(b, "lsn", s->lsn);
        if (!dr_pg_settings_ok(s, why))
            add_text(b, "settings", why);
        pr_buf_printf(b, "},\"receiver\":{\"attached\":%s,\"synchronous\":%s", yes(s->attached),
                      yes(s->synchronous));
        if (s->attached)
            add_lsn(b, "flushed_lsn", s->flushed_lsn);
        add_text(b, "slot", dr_pg_slot_name(s->slot));
        pr_buf_printf(b, ",\"slot_bytes\":%" PRId64, s->slot_kept_bytes);
        pr_buf_printf(b, "},\"archive\":{\"waiting\":%" PRId64 ",\"failing\":%s",
                      s->archive_waiting, yes(s->archive_failing));
        add_text(b, "newest", s->archived);
    }
    pr_buf_str(b, "},");
    add_repo(b, &st.repo);
    pr_buf_str(b, "}");
    return st.repo.state == DR_PG_REPO_ERROR
               ? pr_fail(err, st.repo.code, "repository: %s", st.repo.words)
           : s->at_ms == 0 ? pr_fail(err, PR_EUNAVAIL, "%s", st.words)
                           : PR_OK;
}

static enum pr_code backup(const struct job *j, struct pr_buf *b, struct pr_err *err)
{
    struct dr_pg_repo after;
    const enum pr_code rc = j->backend->backup(j->self, j->a->full, &after, err);
    if (rc != PR_OK)
        return rc;
    pr_buf_str(b, "{");
    add_repo(b, &after);
    pr_buf_str(b, "}");
    return PR_OK;
}

static enum pr_code restore(const struct job *j, struct pr_buf *b, struct pr_err *err)
{
    struct dr_pg_restored r;
    const struct dr_pg_restore how = { .to = j->a->dir,
                                       .until_ms = j->a->until_ms,
                                       .set = j->a->label,
                                       .scratch = j->a->scratch,
                                       .setting = j->a->setting };
    const enum pr_code rc = j->backend->restore(j->self, &how, &r, err);
    if (rc != PR_OK)
        return rc;
    pr_buf_str(b, "{\"dir\":");
    pr_json_add(b, j->a->dir);
    add_text(b, "backup", r.backup);
    pr_buf_printf(b, ",\"system\":\"%" PRIu64 "\"}", r.system_id);
    return PR_OK;
}

static enum pr_code promote(const struct job *j, struct pr_buf *b, struct pr_err *err)
{
    struct dr_pg_promoted p;
    const struct dr_pg_promote how = { j->a->dir, j->a->options, j->a->wait_ms };
    const enum pr_code rc = j->backend->promote(j->self, &how, &p, err);
    if (rc != PR_OK)
        return rc;
    pr_buf_str(b, "{\"address\":");
    pr_json_add(b, p.address);
    pr_buf_printf(b, ",\"timeline\":%u", p.timeline);
    add_lsn(b, "lsn", p.lsn);
    pr_buf_printf(b, ",\"admitted\":%" PRId64 "}", p.admitted);
    return PR_OK;
}

static enum pr_code lock(const struct job *j, bool admit, struct pr_buf *b, struct pr_err *err)
{
    struct dr_pg_lockout l = { .admit = admit };
    const enum pr_code rc = j->backend->lockout(j->self, &l, err);
    if (rc != PR_OK)
        return rc;
    pr_buf_printf(b, "{\"%s\":%" PRId64, admit ? "admitted" : "locked_out", l.grants);
    if (!admit)
        pr_buf_printf(b, ",\"sessions_ended\":%" PRId64 ",\"prepared\":%" PRId64, l.ended,
                      l.prepared);
    pr_buf_str(b, "}");
    return PR_OK;
}

static enum pr_code lockout(const struct job *j, struct pr_buf *b, struct pr_err *err)
{
    return lock(j, false, b, err);
}

static enum pr_code admit(const struct job *j, struct pr_buf *b, struct pr_err *err)
{
    return lock(j, true, b, err);
}

static enum pr_code rewind_old(const struct job *j, struct pr_buf *b, struct pr_err *err)
{
    const struct dr_pg_rewind how = { j->a->dir, j->a->options, j->a->wait_ms, NULL };
    const enum pr_code rc = j->backend->rewind(j->self, &how, err);
    if (rc != PR_OK)
        return rc;
    pr_buf_str(b, "{\"standby\":");
    pr_json_add(b, j->a->dir);
    pr_buf_str(b, "}");
    return PR_OK;
}

static const struct verb {
    const char *name;
    enum pr_code (*run)(const struct job *j, struct pr_buf *b, struct pr_err *err);
    bool dir;
} VERB[] = { { "status", status, false },   { "backup", backup, false },
             { "restore", restore, true },  { "promote", promote, true },
             { "lockout", lockout, false }, { "admit", admit, false },
             { "rewind", rewind_old, true } };

static int run(const struct verb *v, const struct asked *a)
{
    struct dr_cli_store s;
    struct job j = { .a = a };
    struct pr_err err = { 0 };
    struct pr_buf out;
    pr_buf_init(&out, 0);
    enum pr_code rc = dr_cli_open(&s, &err);
    if (rc == PR_OK)
        rc = dr_pg_backend_find(s.cfg.pg_backend, &j.backend, &err);
    if (rc == PR_OK)
        rc = j.backend->open(&j.self, &s.cfg, &err);
    if (rc == PR_OK)
        rc = v->run(&j, &out, &err);
    if (out.len > 0)
        (void)printf("%s\n", out.data);
    if (rc != PR_OK)
        (void)fprintf(stderr, "prism-dr pg %s: %s\n", v->name, err.text);
    if (j.self != NULL)
        j.backend->close(j.self);
    dr_cli_close(&s);
    pr_buf_done(&out);
    return rc == PR_OK ? 0 : 1;
}

static const char *take(void *ctx, int c)
{
    struct asked *a = ctx;
    switch (c) {
    case 'd':
        a->dir = optarg;
        return NULL;
    case 'u':
        return pr_time_parse(optarg, &a->until_ms) ? NULL : "--until is no time";
    case 'b':
        a->label = optarg;
        return NULL;
    case 's':
        if (strchr(optarg, '=') == NULL || a->settings == SETTINGS)
            return "--set is no NAME=VALUE, or there are too many";
        a->setting[a->settings++] = optarg;
        return NULL;
    case 'o':
        a->options = optarg;
        return NULL;
    case 'w':
        a->wait_ms = strtol(optarg, NULL, 10) * 1000;
        return a->wait_ms > 0 && a->wait_ms <= 86400000 ? NULL : "--wait is not 1 to 86400";
    case 'f':
        a->full = true;
        return NULL;
    default:
        a->scratch = true;
        return NULL;
    }
}

int dr_cli_pg(int argc, char **argv)
{
    static const struct option options[] = {
        { "dir", required_argument, NULL, 'd' },     { "until", required_argument, NULL, 'u' },
        { "backup", required_argument, NULL, 'b' },  { "set", required_argument, NULL, 's' },
        { "options", required_argument, NULL, 'o' }, { "wait", required_argument, NULL, 'w' },
        { "full", no_argument, NULL, 'f' },          { "scratch", no_argument, NULL, 'x' },
        { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 }
    };
    struct asked a = { .until_ms = INT64_MAX, .wait_ms = WAIT_MS };
    int status;
    if (!dr_cli_options(&use, options, take, &a, argc, argv, &status))
        return status;
    if (optind != argc - 1)
        return dr_cli_wrong(&use, "one of its commands is wanted");
    const char *name = argv[optind];
    for (size_t i = 0; i < PR_COUNT(VERB); i++)
        if (strcmp(VERB[i].name, name) == 0)
            return (a.dir != NULL) == VERB[i].dir
                       ? run(&VERB[i], &a)
                       : dr_cli_wrong(&use, VERB[i].dir ? "--dir is wanted"
                                                        : "--dir is not for this command");
    return dr_cli_wrong(&use, "there is no such command");
}
