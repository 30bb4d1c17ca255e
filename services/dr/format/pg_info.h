/* What pgBackRest prints as JSON. Pure but for jansson. */
#ifndef DR_PG_INFO_H
#define DR_PG_INFO_H

#include "core/pg.h"

#include <stddef.h>

/* `info --output=json`. That the repository cannot be read is an answer (DR_PG_REPO_ERROR), for
 * which pgBackRest ends with status 0. PR_EDATA: no such JSON; names the place. */
PR_CHECKED enum pr_code dr_pg_info_read(const char *json, size_t n, struct dr_pg_repo *out,
                                        struct pr_err *err);

/* `repo-ls --output=json` of a directory of the archive: calls each(ctx, name) with the 24 digits
 * of every whole segment in it. PR_EDATA. */
PR_CHECKED enum pr_code dr_pg_list_read(const char *json, size_t n,
                                        void (*each)(void *ctx, const char *name), void *ctx,
                                        struct pr_err *err);

#endif
