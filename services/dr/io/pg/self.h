/* Backend `self`: pgBackRest's repository in the bucket, and the write-ahead log that pg_receivewal
 * wrote here. */
#ifndef DR_PG_SELF_H
#define DR_PG_SELF_H

#include "io/pg/backend.h"
#include "io/pg/home.h"

#include "prism/io/db.h"

struct dr_pg_self {
    struct dr_pg_home home;
};

enum pr_code dr_pg_self_restore(void *self, const struct dr_pg_restore *how,
                                struct dr_pg_restored *out, struct pr_err *err);
enum pr_code dr_pg_self_promote(void *self, const struct dr_pg_promote *how,
                                struct dr_pg_promoted *out, struct pr_err *err);
enum pr_code dr_pg_self_rewind(void *self, const struct dr_pg_rewind *how, struct pr_err *err);

/* A database of the server that is not the one that is kept safe: sessions there outlive a
 * lock-out. */
const char *dr_pg_other_database(const struct dr_pg_home *h);

/* A program of PostgreSQL's. words, the last it said, go into the error. env: NULL: home's. */
PR_CHECKED enum pr_code dr_pg_tool(const struct dr_pg_home *h, const char *name,
                                   const char *const *arg, char **env, int timeout_ms,
                                   struct pr_buf *out, struct pr_err *err);

/* Behind what postgresql.auto.conf has: where write-ahead log comes from, no synchronous standby,
 * and "name=value"s (may be NULL). */
PR_CHECKED enum pr_code dr_pg_append_settings(const struct dr_pg_home *h, const char *dir,
                                              uint64_t system_id, const char *const *setting,
                                              struct pr_err *err);
PR_CHECKED enum pr_code dr_pg_system_of(const struct dr_pg_home *h, const char *dir, uint64_t *out,
                                        struct pr_err *err);

/* An empty file there, to stay. */
PR_CHECKED enum pr_code dr_pg_mark(const char *dir, const char *name, struct pr_err *err);

/* The server whose data directory that is. */
PR_CHECKED enum pr_code dr_pg_server_runs(const struct dr_pg_home *h, const char *dir, bool *runs,
                                          struct pr_err *err);
/* Until it takes connections. options may be NULL. */
PR_CHECKED enum pr_code dr_pg_server_start(const struct dr_pg_home *h, const char *dir,
                                           const char *options, int64_t wait_ms,
                                           struct pr_err *err);
/* Sessions are ended. */
PR_CHECKED enum pr_code dr_pg_server_stop(const struct dr_pg_home *h, const char *dir,
                                          struct pr_err *err);
/* As a superuser, database postgres; address: "host:port"; may be NULL. */
PR_CHECKED enum pr_code dr_pg_server_open(const struct dr_pg_home *h, const char *dir,
                                          struct pr_db **out, char address[160],
                                          struct pr_err *err);

#endif
