/* A server by its data directory: start, reach. */
#include "io/pg/self.h"

#include "io/pg/child.h"

#include "core/pg_verdict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATUS_MS = 30000, NOT_RUNNING = 3 };

static void last_line(const struct pr_buf *words, char out[DR_PG_WORDS])
{
    size_t n = words->len;
    while (n > 0 && (words->data[n - 1] == '\n' || words->data[n - 1] == ' '))
        n--;
    size_t begin = n;
    while (begin > 0 && words->data[begin - 1] != '\n')
        begin--;
    (void)snprintf(out, DR_PG_WORDS, "%.*s", (int)(n - begin > 200 ? 200 : n - begin),
                   n > 0 ? words->data + begin : "");
}

/* *status: its exit status. */
static enum pr_code run_tool(const struct dr_pg_home *h, const char *name, const char *const *arg,
                             char **env, int timeout_ms, struct pr_buf *out, int *status,
                             char words[DR_PG_WORDS], struct pr_err *err)
{
    char path[DR_PG_PATH + 64];
    const char *argv[24] = { path };
    struct pr_buf said;
    size_t n = 1;
    (void)snprintf(path, sizeof path, "%s/%s", h->bin, name);
    while (*arg != NULL && n < PR_COUNT(argv) - 1)
        argv[n++] = *arg++;
    const struct dr_child_options o = { .name = name,
                                        .argv = argv,
                                        .env = env != NULL ? env : h->env,
                                        .keep_out = out != NULL,
                                        .quiet = true };
    pr_buf_init(&said, 0);
    const enum pr_code rc = dr_child_run(&o, timeout_ms, status, out, &said, err);
    last_line(&said, words);
    pr_buf_done(&said);
    return rc;
}

enum pr_code dr_pg_tool(const struct dr_pg_home *h, const char *name, const char *const *arg,
                        char **env, int timeout_ms, struct pr_buf *out, struct pr_err *err)
{
    char words[DR_PG_WORDS];
    int status = 0;
    const enum pr_code rc = run_tool(h, name, arg, env, timeout_ms, out, &status, words, err);
    if (rc == PR_OK && status != 0)
        return pr_fail(err, PR_EUNAVAIL, "%s ended with %d: %.200s", name, status, words);
    return rc;
}

enum pr_code dr_pg_server_runs(const struct dr_pg_home *h, const char *dir, bool *runs,
                               struct pr_err *err)
{
    const char *const arg[] = { "status", "-D", dir, NULL };
    char words[DR_PG_WORDS];
    int status = 0;
    const enum pr_code rc = run_tool(h, "pg_ctl", arg, NULL, STATUS_MS, NULL, &status, words, err);
    *runs = status == 0;
    if (rc == PR_OK && status != 0 && status != NOT_RUNNING)
        return pr_fail(err, PR_EINVAL, "%s: %.200s", dir, words);
    return rc;
}

enum pr_code dr_pg_server_start(const struct dr_pg_home *h, const char *dir, const char *options,
                                int64_t wait_ms, struct pr_err *err)
{
    char log[DR_PG_PATH + 8], seconds[24], **env = NULL;
    (void)snprintf(log, sizeof log, "%s.log", dir);
    (void)snprintf(seconds, sizeof seconds, "%lld", (long long)(wait_ms / 1000 + 1));
    const char *arg[] = { "start", "-w", "-t", seconds, "-D",
                          dir,     "-l", log,  "-o",    options != NULL ? options : "",
                          NULL };
    enum pr_code rc = dr_pg_env("", &env, err); /* or it would take our port for its own */
    if (rc == PR_OK)
        rc = dr_pg_tool(h, "pg_ctl", arg, env, (int)wait_ms + STATUS_MS, NULL, err);
    dr_pg_env_free(env);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "see %s", log);
}

enum pr_code dr_pg_server_stop(const struct dr_pg_home *h, const char *dir, struct pr_err *err)
{
    const char *const arg[] = { "stop", "-D", dir, "-m", "fast", "-w", "-t", "120", NULL };
    return dr_pg_tool(h, "pg_ctl", arg, NULL, 120000 + STATUS_MS, NULL, err);
}

/* Lines of postmaster.pid: pid, directory, start, port, directory of the socket, address. */
static enum pr_code read_address(const char *dir, char host[128], char port[16], struct pr_err *err)
{
    char path[DR_PG_PATH + 32], line[6][128] = { "" };
    (void)snprintf(path, sizeof path, "%s/postmaster.pid", dir);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", path, strerror(errno));
    for (size_t i = 0; i < 6 && fgets(line[i], sizeof line[i], f) != NULL; i++)
        line[i][strcspn(line[i], "\n")] = '\0';
    fclose(f);
    (void)snprintf(port, 16, "%.15s", line[3]);
    const char *address = line[5];
    if (strcmp(address, "*") == 0 || strcmp(address, "0.0.0.0") == 0)
        address = "127.0.0.1";
    (void)snprintf(host, 128, "%s", address[0] != '\0' ? address : line[4]);
    return port[0] != '\0' && host[0] != '\0'
               ? PR_OK
               : pr_fail(err, PR_EDATA, "%s: no address in it", path);
}

enum pr_code dr_pg_server_open(const struct dr_pg_home *h, const char *dir, struct pr_db **out,
                               char address[160], struct pr_err *err)
{
    char host[128], port[16], *conninfo = NULL;
    const char *const over[] = { "host",   host,       "hostaddr",
                                 NULL,     "port",     port,
                                 "dbname", "postgres", "target_session_attrs",
                                 "any",    NULL };
    enum pr_code rc = read_address(dir, host, port, err);
    if (rc == PR_OK)
        rc = dr_pg_conninfo(h->cfg->pg_uri, over, &conninfo, err);
    if (rc == PR_OK)
        rc = pr_db_open(out, conninfo, "prism-dr-pg", err);
    free(conninfo);
    if (rc == PR_OK && address != NULL)
        (void)snprintf(address, 160, "%s:%s", host, port);
    return rc;
}
