#include "io/pg/self.h"

#include "io/pg/backrest.h"
#include "io/pg/primary.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKUP_MS = 24 * 3600 * 1000, STANZA_MS = 300000 };

enum pr_code dr_pg_backend_find(const char *name, const struct dr_pg_backend **out,
                                struct pr_err *err)
{
    static const struct dr_pg_backend *const ALL[] = { &dr_pg_self };
    for (size_t i = 0; i < PR_COUNT(ALL); i++)
        if (strcmp(ALL[i]->name, name) == 0) {
            *out = ALL[i];
            return PR_OK;
        }
    return pr_fail(err, PR_EINVAL, "PRISM_DR_PG_BACKEND: there is no \"%.16s\"; there is self",
                   name);
}

static enum pr_code open_self(void **self, const struct dr_config *cfg, struct pr_err *err)
{
    struct dr_pg_self *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the backend");
    *self = s;
    return dr_pg_home_open(&s->home, cfg, err);
}

static void close_self(void *self)
{
    struct dr_pg_self *s = self;
    if (s != NULL)
        dr_pg_home_close(&s->home);
    free(s);
}

static enum pr_code look(const struct dr_pg_self *s, struct dr_pg_server *out, struct pr_err *err)
{
    struct pr_db *db = NULL;
    char *conninfo = NULL;
    enum pr_code rc = dr_pg_conninfo(s->home.cfg->pg_uri, NULL, &conninfo, err);
    if (rc == PR_OK)
        rc = pr_db_open(&db, conninfo, "prism-dr-pg", err);
    if (rc == PR_OK)
        rc = dr_pg_look(db, pr_now_ms(), out, err);
    pr_db_close(db);
    free(conninfo);
    return rc;
}

static enum pr_code status(void *self, struct dr_pg_status *out, struct pr_err *err)
{
    const struct dr_pg_self *s = self;
    struct pr_err why = { 0 };
    *out = (struct dr_pg_status){ 0 };
    if (look(s, &out->server, &why) != PR_OK)
        (void)snprintf(out->words, sizeof out->words, "%s", why.text);
    return dr_pg_info(&s->home, &out->repo, err);
}

static enum pr_code backup(void *self, bool full, struct dr_pg_repo *after, struct pr_err *err)
{
    const struct dr_pg_home *h = &((struct dr_pg_self *)self)->home;
    const char *const stanza[] = { "stanza-create", NULL };
    const char *const arg[] = { "backup", full ? "--type=full" : "--type=incr", NULL };
    if (h->cfg->pg_data[0] == '\0')
        return pr_fail(err, PR_EINVAL, "PRISM_DR_PG_DATA_PATH is not set");
    enum pr_code rc = dr_pg_run(h, stanza, STANZA_MS, NULL, err);
    if (rc == PR_OK)
        rc = dr_pg_run(h, arg, BACKUP_MS, NULL, err);
    return rc == PR_OK ? dr_pg_info(h, after, err) : rc;
}

const char *dr_pg_other_database(const struct dr_pg_home *h)
{
    return strcmp(h->app, "postgres") != 0 ? "postgres" : "template1";
}

static enum pr_code lockout(void *self, struct dr_pg_lockout *io, struct pr_err *err)
{
    const struct dr_pg_home *h = &((struct dr_pg_self *)self)->home;
    const char *const other[] = { "dbname", dr_pg_other_database(h), NULL };
    struct dr_pg_locked locked = { 0 };
    struct pr_db *db = NULL;
    char *conninfo = NULL;
    bool is = false;
    enum pr_code rc = dr_pg_conninfo(h->cfg->pg_uri, other, &conninfo, err);
    if (rc == PR_OK)
        rc = pr_db_open(&db, conninfo, "prism-dr-lockout", err);
    if (rc == PR_OK && io->if_open)
        rc = dr_pg_is_locked(db, h->app, &is, err);
    if (rc == PR_OK && io->admit)
        rc = dr_pg_admit(db, h->app, &io->grants, err);
    else if (rc == PR_OK && !is) {
        rc = dr_pg_lock_out(db, h->app, &locked, err);
        io->grants = locked.grants;
        io->ended = locked.ended;
        io->prepared = locked.prepared;
    }
    pr_db_close(db);
    free(conninfo);
    return rc;
}

static enum pr_code stop(void *self, const char *at, struct pr_err *err)
{
    const struct dr_pg_home *h = &((struct dr_pg_self *)self)->home;
    bool runs = false;
    char path[DR_PG_PATH + 16];
    (void)snprintf(path, sizeof path, "%.500s/PG_VERSION", at);
    if (access(path, F_OK) != 0)
        return PR_OK;
    const enum pr_code rc = dr_pg_server_runs(h, at, &runs, err);
    return rc == PR_OK && runs ? dr_pg_server_stop(h, at, err) : rc;
}

const struct dr_pg_backend dr_pg_self = { .name = "self",
                                          .open = open_self,
                                          .close = close_self,
                                          .status = status,
                                          .backup = backup,
                                          .restore = dr_pg_self_restore,
                                          .promote = dr_pg_self_promote,
                                          .lockout = lockout,
                                          .rewind = dr_pg_self_rewind,
                                          .stop = stop };
