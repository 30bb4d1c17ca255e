/* What PostgreSQL's tools need to run, as the settings say: a private directory with their
 * settings, an environment with the connection, paths of the programs. Secrets are in files of mode
 * 0600 and in the environment, never among arguments. */
#ifndef DR_PG_HOME_H
#define DR_PG_HOME_H

#include "io/settings.h"

#include "core/pg.h"
#include "core/pg_text.h"

#include "prism/s3/s3.h"

enum { DR_PG_PATH = 512 };

struct dr_pg_home {
    const struct dr_config *cfg;
    char dir[DR_PG_PATH], conf[DR_PG_PATH], wal[DR_PG_PATH];
    char fetch[DR_PG_PATH];                                 /* dr_pg_fetch_script */
    char bin[DR_PG_PATH];                                   /* of PostgreSQL */
    char config[DR_PG_PATH + 16], include[DR_PG_PATH + 24]; /* options of pgBackRest; include: "" */
    char app[128];                                          /* the database that is kept safe */
    char **env; /* for the tools; owned, NULL-terminated */
};

/* Makes the directory and its files. Close whatever it returns. PR_EINVAL: a setting. PR_EUNAVAIL:
 * the directory cannot be written, or PostgreSQL's programs are missing. */
PR_CHECKED enum pr_code dr_pg_home_open(struct dr_pg_home *h, const struct dr_config *cfg,
                                        struct pr_err *err);
void dr_pg_home_close(struct dr_pg_home *h);

/* uri with other members, as a connection string; over: pairs of name and value, NULL-terminated;
 * a value of NULL drops the member. Its commits do not wait for the receiver: they come from whom
 * it depends on. Freed by the caller. PR_EINVAL, PR_ENOMEM. */
PR_CHECKED enum pr_code dr_pg_conninfo(const char *uri, const char *const *over, char **out,
                                       struct pr_err *err);
/* The tools' environment for another server: as above. Freed by dr_pg_env_free. */
PR_CHECKED enum pr_code dr_pg_env(const char *conninfo, char ***out, struct pr_err *err);
void dr_pg_env_free(char **env);

/* Whole or not at all. */
PR_CHECKED enum pr_code dr_pg_write_file(const char *path, unsigned mode, const struct pr_buf *text,
                                         struct pr_err *err);

#endif
