/* Texts that PostgreSQL's tools read: settings of pgBackRest, the command that brings the
 * write-ahead log to a restored server. Pure. */
#ifndef DR_PG_TEXT_H
#define DR_PG_TEXT_H

#include "prism/buf.h"

#include <stdbool.h>

#define DR_PG_STANZA "prism"

struct dr_pg_conf {       /* all borrowed */
    const char *endpoint; /* https://host[:port] */
    const char *bucket, *region, *access, *secret;
    bool path_style;
    const char *ca_file; /* "": the system's */
    const char *prefix;  /* of the names of all objects */
    const char *cluster;
    const char *pass; /* the repository is encrypted with it; NULL: not */
    const char *dir;  /* for locks, spool */
    const char *data; /* the server's data directory; "": not known here */
    const char *user; /* PostgreSQL's */
    int port;
    long long queue_bytes; /* archived segments waiting for the bucket: more are dropped */
    int retain_days;
    int timeout_s; /* without a byte from the bucket */
};
/* pgbackrest.conf into out (emptied first). PR_EINVAL: the endpoint is no https URL (pgBackRest has
 * no other), or a value holds a line break. PR_ENOMEM. */
PR_CHECKED enum pr_code dr_pg_conf_write(const struct dr_pg_conf *c, struct pr_buf *out,
                                         struct pr_err *err);

/* A shell script into out (emptied first): SYSTEM FILE TO, for restore_command. A segment comes
 * from what was received, or from the repository; only when both do not have all of it, the
 * part that was received. Exit status 0, 1 there is none, 255 not known (which ends the recovery:
 * taking that for the end of the log would lose writes).
 * wal: directory that holds SYSTEM-<n> directories of received segments. PR_ENOMEM. */
PR_CHECKED enum pr_code dr_pg_fetch_script(const char *backrest, const char *conf, const char *wal,
                                           struct pr_buf *out, struct pr_err *err);

void dr_pg_add_shell(struct pr_buf *out, const char *text); /* a word of the shell */
void dr_pg_add_setting(struct pr_buf *out, const char *name,
                       const char *value);                                        /* a line of
                                                                                     postgresql.conf */
void dr_pg_add_conninfo(struct pr_buf *out, const char *name, const char *value); /* name='value' */

#endif
