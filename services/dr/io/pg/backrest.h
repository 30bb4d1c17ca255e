/* Runs of pgBackRest. */
#ifndef DR_PG_BACKREST_H
#define DR_PG_BACKREST_H

#include "io/pg/child.h"
#include "io/pg/home.h"

#include "core/pg.h"

enum { DR_PG_ARGS = 24 };

struct dr_pg_run { /* the arguments of one; argv borrows from here and from home */
    const char *argv[DR_PG_ARGS];
    struct dr_child_options o;
};
/* arg: command and options, NULL-terminated, borrowed. */
void dr_pg_run_init(struct dr_pg_run *r, const struct dr_pg_home *h, const char *const *arg);
/* What the end of one means. */
PR_CHECKED enum pr_code dr_pg_run_judge(const char *command, int status, const struct pr_buf *words,
                                        struct pr_err *err);
/* Start to end; its output, when out is not NULL, is appended there. */
PR_CHECKED enum pr_code dr_pg_run(const struct dr_pg_home *h, const char *const *arg,
                                  int timeout_ms, struct pr_buf *out, struct pr_err *err);
/* `info`. */
PR_CHECKED enum pr_code dr_pg_info(const struct dr_pg_home *h, struct dr_pg_repo *out,
                                   struct pr_err *err);

extern const char *const dr_pg_info_args[]; /* NULL-terminated */

#endif
