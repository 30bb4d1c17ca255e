#include "io/pg/backrest.h"

#include "core/pg_verdict.h"
#include "format/pg_info.h"

#include <stdio.h>
#include <string.h>

enum { INFO_MS = 120000 };

/* When nobody answers it tries for four times that long. */
const char *const dr_pg_info_args[] = { "info", "--output=json", "--io-timeout=5", NULL };

void dr_pg_run_init(struct dr_pg_run *r, const struct dr_pg_home *h, const char *const *arg)
{
    size_t n = 0;
    r->argv[n++] = "pgbackrest";
    r->argv[n++] = h->config;
    if (h->include[0] != '\0')
        r->argv[n++] = h->include;
    r->argv[n++] = "--stanza=" DR_PG_STANZA;
    while (*arg != NULL && n < DR_PG_ARGS - 1)
        r->argv[n++] = *arg++;
    r->argv[n] = NULL;
    r->o = (struct dr_child_options){
        .name = "pgbackrest", .argv = r->argv, .env = h->env, .keep_out = true
    };
}

enum pr_code dr_pg_run_judge(const char *command, int status, const struct pr_buf *words,
                             struct pr_err *err)
{
    char why[DR_PG_WORDS];
    if (status == 0)
        return PR_OK;
    const enum pr_code rc = dr_pg_verdict(words->data != NULL ? words->data : "", words->len, why);
    return pr_fail(err, rc, "pgbackrest %s: %s", command, why);
}

enum pr_code dr_pg_run(const struct dr_pg_home *h, const char *const *arg, int timeout_ms,
                       struct pr_buf *out, struct pr_err *err)
{
    struct dr_pg_run r;
    struct pr_buf words;
    int status = 0;
    pr_buf_init(&words, 0);
    dr_pg_run_init(&r, h, arg);
    r.o.quiet = true;
    enum pr_code rc = dr_child_run(&r.o, timeout_ms, &status, out, &words, err);
    if (rc == PR_OK)
        rc = dr_pg_run_judge(arg[0], status, &words, err);
    pr_buf_done(&words);
    return rc;
}

enum pr_code dr_pg_info(const struct dr_pg_home *h, struct dr_pg_repo *out, struct pr_err *err)
{
    struct pr_buf text;
    pr_buf_init(&text, 0);
    enum pr_code rc = dr_pg_run(h, dr_pg_info_args, INFO_MS, &text, err);
    if (rc == PR_OK)
        rc = dr_pg_info_read(text.data != NULL ? text.data : "", text.len, out, err);
    pr_buf_done(&text);
    return rc;
}
