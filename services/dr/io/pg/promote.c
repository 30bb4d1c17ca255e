/* A restored or a standby server becomes the primary; an old primary becomes its standby. */
#include "io/pg/primary.h"
#include "io/pg/self.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TURN_MS = 50, REWIND_MS = 6 * 3600 * 1000 };

static bool has(const char *dir, const char *name)
{
    char path[DR_PG_PATH + 64];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static enum pr_code cell_lsn(struct pr_db *db, const char *sql, bool *null, uint64_t *out,
                             struct pr_err *err)
{
    PR_AUTO(PGresult) *r = NULL;
    const enum pr_code rc = pr_db_exec(db, sql, NULL, 0, &r, err);
    if (rc != PR_OK)
        return rc;
    *null = pr_cell(r, 0, 0) == NULL;
    if (!*null && !dr_pg_lsn_parse(pr_cell(r, 0, 0), out))
        return pr_fail(err, PR_EDATA, "%s: no position", sql);
    return PR_OK;
}

/* Polls: PostgreSQL tells nobody when recovery ends or a position is replayed. sql: a row with
 * true. */
static enum pr_code await(struct pr_db *db, const char *sql, const struct pr_arg *arg, size_t n,
                          int64_t until_us, const char *what, struct pr_err *err)
{
    for (;;) {
        PR_AUTO(PGresult) *r = NULL;
        const enum pr_code rc = pr_db_exec(db, sql, arg, n, &r, err);
        if (rc == PR_OK && pr_cell_bool(r, 0, 0))
            return PR_OK;
        if (rc != PR_OK && rc != PR_EUNAVAIL)
            return rc;
        if (pr_mono_us() >= until_us)
            return pr_fail(err, PR_ETIMEOUT, "%s: not in time", what);
        (void)poll(NULL, 0, TURN_MS);
    }
}

/* What the primary that it follows has written, when that one still answers. */
static enum pr_code catch_up(const struct dr_pg_home *h, struct pr_db *db, int64_t until_us,
                             struct pr_err *err)
{
    const char *const other[] = { "dbname", dr_pg_other_database(h), NULL };
    struct pr_db *primary = NULL;
    struct pr_err why = { 0 };
    char *conninfo = NULL, text[24];
    uint64_t lsn = 0;
    bool none = true;
    enum pr_code rc = dr_pg_conninfo(h->cfg->pg_uri, other, &conninfo, err);
    if (rc == PR_OK)
        rc = pr_db_open(&primary, conninfo, "prism-dr-pg", err);
    free(conninfo);
    if (rc != PR_OK)
        return rc;
    rc = cell_lsn(primary, "SELECT pg_current_wal_flush_lsn()", &none, &lsn, &why);
    pr_db_close(primary);
    if (rc != PR_OK) {
        pr_warn(PR_EV("dr.pg.promotes_blind"), PR_E(&why));
        return PR_OK;
    }
    dr_pg_lsn_print(lsn, text);
    return await(db, "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)",
                 PR_ARGS(pr_text(text)), until_us, "replaying what the primary has", err);
}

static enum pr_code lead(const struct dr_pg_home *h, const struct dr_pg_promote *how,
                         struct pr_db *db, int64_t until_us, struct pr_err *err)
{
    /* A restored one ends its recovery by itself, when it has everything; to promote it before
     * would throw the rest away. */
    enum pr_code rc = PR_OK;
    if (has(how->at, "standby.signal")) {
        rc = catch_up(h, db, until_us, err);
        if (rc == PR_OK)
            rc = pr_db_exec(db, "SELECT pg_promote(false)", NULL, 0, NULL, err);
    }
    return rc == PR_OK ? await(db, "SELECT NOT pg_is_in_recovery()", NULL, 0, until_us,
                               "the end of recovery", err)
                       : rc;
}

static enum pr_code report(struct pr_db *db, struct dr_pg_promoted *out, struct pr_err *err)
{
    PR_AUTO(PGresult) *r = NULL;
    char timeline[9] = "";
    const enum pr_code rc = pr_db_exec(
        db, "SELECT pg_walfile_name(pg_current_wal_flush_lsn()), pg_current_wal_flush_lsn()", NULL,
        0, &r, err);
    if (rc != PR_OK)
        return rc;
    (void)snprintf(timeline, sizeof timeline, "%.8s", PQgetvalue(r, 0, 0));
    out->timeline = (uint32_t)strtoul(timeline, NULL, 16);
    return dr_pg_lsn_parse(PQgetvalue(r, 0, 1), &out->lsn)
               ? PR_OK
               : pr_fail(err, PR_EDATA, "the new primary tells no position");
}

enum pr_code dr_pg_self_promote(void *self, const struct dr_pg_promote *how,
                                struct dr_pg_promoted *out, struct pr_err *err)
{
    const struct dr_pg_home *h = &((struct dr_pg_self *)self)->home;
    const int64_t until_us = pr_mono_us() + how->wait_ms * 1000;
    struct pr_db *db = NULL;
    bool runs = false;
    *out = (struct dr_pg_promoted){ 0 };
    if (!has(how->at, "PG_VERSION"))
        return pr_fail(err, PR_ENOTFOUND, "%s is no data directory", how->at);
    enum pr_code rc = dr_pg_server_runs(h, how->at, &runs, err);
    if (rc == PR_OK && !runs)
        rc = dr_pg_server_start(h, how->at, how->options, how->wait_ms, err);
    if (rc == PR_OK)
        rc = dr_pg_server_open(h, how->at, &db, out->address, err);
    if (rc == PR_OK)
        rc = lead(h, how, db, until_us, err);
    if (rc == PR_OK)
        rc = dr_pg_admit(db, h->app, &out->admitted, err);
    if (rc == PR_OK)
        rc = report(db, out, err);
    pr_db_close(db);
    return rc;
}

/* --- rewinding ---------------------------------------------------------------------------------
 */

static bool is_conf(const char *name)
{
    const size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".conf") == 0;
}

static enum pr_code copy_file(const char *from_dir, const char *to_dir, const char *name,
                              struct pr_err *err)
{
    char from[DR_PG_PATH + 300], to[DR_PG_PATH + 300], buf[8192];
    struct pr_buf text;
    size_t n;
    (void)snprintf(from, sizeof from, "%s/%s", from_dir, name);
    (void)snprintf(to, sizeof to, "%s/%s", to_dir, name);
    FILE *f = fopen(from, "re");
    if (f == NULL)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", from, strerror(errno));
    pr_buf_init(&text, 0);
    while ((n = fread(buf, 1, sizeof buf, f)) > 0)
        pr_buf_add(&text, buf, n);
    const bool ok = ferror(f) == 0 && !text.failed;
    fclose(f);
    const enum pr_code rc = ok ? dr_pg_write_file(to, 0600, &text, err)
                               : pr_fail(err, PR_EUNAVAIL, "%s cannot be read", from);
    pr_buf_done(&text);
    return rc;
}

static enum pr_code copy_confs(const char *from_dir, const char *to_dir, struct pr_err *err)
{
    DIR *d = opendir(from_dir);
    enum pr_code rc = PR_OK;
    if (d == NULL)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", from_dir, strerror(errno));
    for (const struct dirent *e; rc == PR_OK && (e = readdir(d)) != NULL;)
        if (is_conf(e->d_name))
            rc = copy_file(from_dir, to_dir, e->d_name, err);
    closedir(d);
    return rc;
}

/* pg_rewind takes the other server's settings, too. This one's own are kept beside, complete before
 * they are needed and until they are back: a rewind that was killed is done again. */
static enum pr_code keep_confs(const char *dir, const char *kept, struct pr_err *err)
{
    char part[DR_PG_PATH + 32];
    if (access(kept, F_OK) == 0)
        return PR_OK;
    (void)snprintf(part, sizeof part, "%s.new", kept);
    if (mkdir(part, 0700) != 0 && errno != EEXIST)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", part, strerror(errno));
    const enum pr_code rc = copy_confs(dir, part, err);
    if (rc == PR_OK && rename(part, kept) != 0)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", kept, strerror(errno));
    return rc;
}

static void forget_confs(const char *kept)
{
    DIR *d = opendir(kept);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (is_conf(e->d_name))
            (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
    (void)rmdir(kept);
}

static enum pr_code open_source(const struct dr_pg_home *h, struct pr_db **db, struct pr_err *err)
{
    const char *const other[] = { "dbname", dr_pg_other_database(h), NULL };
    char *conninfo = NULL;
    enum pr_code rc = dr_pg_conninfo(h->cfg->pg_uri, other, &conninfo, err);
    if (rc == PR_OK)
        rc = pr_db_open(db, conninfo, "prism-dr-pg", err);
    free(conninfo);
    return rc;
}

/* What was rewound is consistent once it has replayed to where the source inserts next, behind the
 * header of a page that may have no record yet: a source that is locked out, and so idle, would
 * never write one. */
static enum pr_code wake_source(const struct dr_pg_home *h, struct pr_err *err)
{
    struct pr_db *db = NULL;
    enum pr_code rc = open_source(h, &db, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "SELECT pg_create_restore_point('prism: rewound')", NULL, 0, NULL, err);
    pr_db_close(db);
    return rc;
}

/* Without a checkpoint since its promotion the source would look as if it had not forked. */
static enum pr_code prepare_source(const struct dr_pg_home *h, char lsn[24], uint64_t *system_id,
                                   struct pr_err *err)
{
    PR_AUTO(PGresult) *r = NULL;
    struct pr_db *db = NULL;
    enum pr_code rc = open_source(h, &db, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "CHECKPOINT", NULL, 0, NULL, err);
    if (rc == PR_OK)
        rc = pr_db_exec(db,
                        "SELECT pg_current_wal_flush_lsn(), system_identifier "
                        "FROM pg_control_system()",
                        NULL, 0, &r, err);
    if (rc == PR_OK) {
        (void)snprintf(lsn, 24, "%.23s", PQgetvalue(r, 0, 0));
        *system_id = strtoull(PQgetvalue(r, 0, 1), NULL, 10);
    }
    pr_db_close(db);
    return rc;
}

static enum pr_code rewind_files(const struct dr_pg_home *h, const char *dir, const char *public,
                                 struct pr_err *err)
{
    char source[2200], data[DR_PG_PATH + 24];
    (void)snprintf(source, sizeof source, "--source-server=%s", public);
    (void)snprintf(data, sizeof data, "--target-pgdata=%s", dir);
    const char *const arg[] = { data, source, "--restore-target-wal", NULL };
    return dr_pg_tool(h, "pg_rewind", arg, NULL, REWIND_MS, NULL, err);
}

static enum pr_code follow(const struct dr_pg_home *h, const char *dir, uint64_t system_id,
                           const char *conninfo, struct pr_err *err)
{
    char path[DR_PG_PATH + 64];
    char *line = NULL;
    struct pr_buf none;
    pr_buf_init(&none, 0);
    (void)snprintf(path, sizeof path, "%s/standby.signal", dir);
    if (asprintf(&line, "primary_conninfo=%s", conninfo) < 0)
        return pr_fail(err, PR_ENOMEM, "no memory for a connection string");
    const char *const setting[] = { line, NULL };
    enum pr_code rc = dr_pg_append_settings(h, dir, system_id, setting, err);
    if (rc == PR_OK)
        rc = dr_pg_write_file(path, 0600, &none, err);
    free(line);
    return rc;
}

/* Until the server replays what the source had before. */
static enum pr_code await_follower(const struct dr_pg_home *h, const struct dr_pg_rewind *how,
                                   const char *lsn, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + how->wait_ms * 1000;
    struct pr_db *db = NULL;
    enum pr_code rc = dr_pg_server_start(h, how->at, how->options, how->wait_ms, err);
    if (rc == PR_OK)
        rc = dr_pg_server_open(h, how->at, &db, NULL, err);
    if (rc == PR_OK)
        rc = await(db,
                   "SELECT pg_is_in_recovery() AND "
                   "coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AND "
                   "EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')",
                   PR_ARGS(pr_text(lsn)), until_us, "following the new primary", err);
    pr_db_close(db);
    return rc;
}

enum pr_code dr_pg_self_rewind(void *self, const struct dr_pg_rewind *how, struct pr_err *err)
{
    const struct dr_pg_home *h = &((struct dr_pg_self *)self)->home;
    const char *const no_password[] = { "password", NULL,     "options",
                                        NULL,       "dbname", dr_pg_other_database(h),
                                        NULL };
    const char *const as_standby[] = { "dbname", NULL, "target_session_attrs", NULL, NULL };
    char kept[DR_PG_PATH + 16], lsn[24] = "", *public = NULL, *conninfo = NULL;
    uint64_t source = 0, target = 0;
    bool runs = false;
    if (!has(how->at, "PG_VERSION"))
        return pr_fail(err, PR_ENOTFOUND, "%s is no data directory", how->at);
    (void)snprintf(kept, sizeof kept, "%s.conf-kept", how->at);
    enum pr_code rc = dr_pg_server_runs(h, how->at, &runs, err);
    if (rc == PR_OK && runs)
        rc = pr_fail(err, PR_ECONFLICT, "the server of %s runs: stop it first", how->at);
    if (rc == PR_OK)
        rc = prepare_source(h, lsn, &source, err);
    if (rc == PR_OK)
        rc = dr_pg_system_of(h, how->at, &target, err);
    if (rc == PR_OK && source != target)
        rc = pr_fail(err, PR_EINVAL, "%s is of another server than the new primary", how->at);
    if (rc == PR_OK)
        rc = dr_pg_conninfo(h->cfg->pg_uri, no_password, &public, err);
    if (rc == PR_OK)
        rc = dr_pg_conninfo(h->cfg->pg_uri, as_standby, &conninfo, err);
    if (rc == PR_OK)
        rc = keep_confs(how->at, kept, err);
    if (rc == PR_OK) /* where pg_rewind finds log that this server has removed */
        rc = dr_pg_append_settings(h, how->at, target, NULL, err);
    if (rc == PR_OK)
        rc = rewind_files(h, how->at, public, err);
    if (rc == PR_OK)
        rc = copy_confs(kept, how->at, err);
    if (rc == PR_OK)
        rc = follow(h, how->at, target, conninfo, err);
    if (rc == PR_OK)
        rc = wake_source(h, err);
    if (rc == PR_OK && how->mark != NULL)
        rc = dr_pg_mark(how->at, how->mark, err);
    free(public);
    free(conninfo);
    if (rc == PR_OK)
        forget_confs(kept);
    return rc == PR_OK ? await_follower(h, how, lsn, err) : rc;
}
