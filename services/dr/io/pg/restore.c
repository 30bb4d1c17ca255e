/* A data directory from the bucket and from what was received; it is there when all of it is. */
#include "io/pg/self.h"

#include "io/pg/backrest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RESTORE_MS = 24 * 3600 * 1000, TOOL_MS = 30000 };

static enum pr_code is_empty(const char *path, bool *there, struct pr_err *err)
{
    DIR *d = opendir(path);
    *there = d != NULL;
    if (d == NULL)
        return errno == ENOENT ? PR_OK : pr_fail(err, PR_EINVAL, "%s: %s", path, strerror(errno));
    size_t n = 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n <= 2 ? PR_OK : pr_fail(err, PR_EEXISTS, "%s is not empty", path);
}

static void moment(int64_t ms, char out[48])
{
    const time_t at = (time_t)(ms / 1000);
    struct tm tm;
    char day[32] = "";
    if (gmtime_r(&at, &tm) != NULL)
        (void)strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &tm);
    (void)snprintf(out, 48, "%s.%03d+00", day, (int)(ms % 1000));
}

/* A time before the first backup would be taken for "from the newest", which PostgreSQL then cannot
 * bring there. */
static enum pr_code reachable(const struct dr_pg_home *h, const struct dr_pg_restore *how,
                              struct pr_err *err)
{
    struct dr_pg_repo repo;
    char from[48], to[48];
    const enum pr_code rc = dr_pg_info(h, &repo, err);
    if (rc != PR_OK)
        return rc;
    if (repo.state == DR_PG_REPO_ERROR)
        return pr_fail(err, repo.code, "repository: %s", repo.words);
    if (repo.oldest_ms == 0)
        return pr_fail(err, PR_ENOTFOUND, "the repository holds no backup");
    moment(repo.oldest_ms, from);
    moment(how->until_ms < INT64_MAX ? how->until_ms : 0, to);
    return how->until_ms >= repo.oldest_ms
               ? PR_OK
               : pr_fail(err, PR_ENOTFOUND, "%s is before the oldest backup, %s", to, from);
}

static void note_set(const struct pr_buf *said, char label[DR_PG_LABEL])
{
    static const char SIGN[] = "restore backup set ";
    const char *at = said->len > 0 ? memmem(said->data, said->len, SIGN, sizeof SIGN - 1) : NULL;
    if (at == NULL)
        return;
    at += sizeof SIGN - 1;
    (void)snprintf(label, DR_PG_LABEL, "%.*s", (int)strcspn(at, ", \r\n"), at);
}

static enum pr_code fetch_base(const struct dr_pg_home *h, const struct dr_pg_restore *how,
                               const char *part, bool resume, struct dr_pg_restored *out,
                               struct pr_err *err)
{
    char path[DR_PG_PATH + 16], target[64] = "--target=", set[DR_PG_LABEL + 8];
    const char *arg[16] = { "restore", path, "--log-level-console=info" };
    struct dr_pg_home plain = *h; /* the files come here, whatever host they are of */
    struct pr_buf said;
    size_t n = 3;
    plain.include[0] = '\0';
    (void)snprintf(path, sizeof path, "--pg1-path=%s", part);
    if (resume)
        arg[n++] = "--delta";
    if (how->set != NULL) {
        (void)snprintf(set, sizeof set, "--set=%s", how->set);
        arg[n++] = set;
    }
    if (how->scratch)
        arg[n++] = "--archive-mode=off";
    if (how->until_ms < INT64_MAX) {
        moment(how->until_ms, target + strlen(target));
        arg[n++] = "--type=time";
        arg[n++] = "--target-action=promote";
        arg[n++] = target;
    } else
        arg[n++] = "--type=default";
    pr_buf_init(&said, 0);
    const enum pr_code rc = dr_pg_run(&plain, arg, RESTORE_MS, &said, err);
    note_set(&said, out->backup);
    pr_buf_done(&said);
    return rc;
}

enum pr_code dr_pg_system_of(const struct dr_pg_home *h, const char *dir, uint64_t *out,
                             struct pr_err *err)
{
    static const char SIGN[] = "Database system identifier:";
    const char *const arg[] = { "-D", dir, NULL };
    struct pr_buf text;
    pr_buf_init(&text, 0);
    enum pr_code rc = dr_pg_tool(h, "pg_controldata", arg, NULL, TOOL_MS, &text, err);
    const char *at = rc == PR_OK && text.len > 0 ? strstr(text.data, SIGN) : NULL;
    if (rc == PR_OK && at == NULL)
        rc = pr_fail(err, PR_EDATA, "%s: pg_controldata tells no system identifier", dir);
    if (rc == PR_OK)
        *out = strtoull(at + sizeof SIGN - 1, NULL, 10);
    pr_buf_done(&text);
    return rc;
}

enum pr_code dr_pg_append_settings(const struct dr_pg_home *h, const char *dir, uint64_t system_id,
                                   const char *const *setting, struct pr_err *err)
{
    char path[DR_PG_PATH + 32], command[DR_PG_PATH + 64];
    struct pr_buf text;
    (void)snprintf(path, sizeof path, "%s/postgresql.auto.conf", dir);
    pr_buf_init(&text, 0);
    pr_buf_str(&text, "\n# prism-dr\n");
    struct pr_buf word;
    pr_buf_init(&word, 0);
    dr_pg_add_shell(&word, h->fetch);
    (void)snprintf(command, sizeof command, "%s %llu %%f \"%%p\"",
                   word.data != NULL ? word.data : "", (unsigned long long)system_id);
    pr_buf_done(&word);
    dr_pg_add_setting(&text, "restore_command", command);
    /* Whoever is named there is not there yet: nobody could commit. */
    dr_pg_add_setting(&text, "synchronous_standby_names", "");
    for (size_t i = 0; setting != NULL && setting[i] != NULL; i++) {
        char name[64];
        const size_t n = strcspn(setting[i], "=");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, setting[i]);
        dr_pg_add_setting(&text, name, setting[i][n] == '=' ? setting[i] + n + 1 : "");
    }
    FILE *f = fopen(path, "ae");
    bool ok = f != NULL && !text.failed && fwrite(text.data, 1, text.len, f) == text.len &&
              fflush(f) == 0 && fsync(fileno(f)) == 0;
    const int why = errno;
    if (f != NULL && fclose(f) != 0)
        ok = false;
    pr_buf_done(&text);
    return ok ? PR_OK : pr_fail(err, PR_EUNAVAIL, "%s: %s", path, strerror(why));
}

static enum pr_code sync_dir(const char *path, struct pr_err *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    const int why = errno;
    if (fd >= 0)
        close(fd);
    return ok ? PR_OK : pr_fail(err, PR_EUNAVAIL, "%s: %s", path, strerror(why));
}

enum pr_code dr_pg_mark(const char *dir, const char *name, struct pr_err *err)
{
    char path[DR_PG_PATH + 128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", path, strerror(errno));
    close(fd);
    return sync_dir(dir, err); /* it is its name only */
}

static enum pr_code publish(const char *part, const char *to, struct pr_err *err)
{
    char parent[DR_PG_PATH];
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(to, '/') - to), to);
    if (rename(part, to) != 0)
        return pr_fail(err, PR_EUNAVAIL, "%s to %s: %s", part, to, strerror(errno));
    return sync_dir(parent[0] != '\0' ? parent : "/", err);
}

enum pr_code dr_pg_self_restore(void *self, const struct dr_pg_restore *how,
                                struct dr_pg_restored *out, struct pr_err *err)
{
    const struct dr_pg_home *h = &((struct dr_pg_self *)self)->home;
    char part[DR_PG_PATH];
    bool there = false, begun = false;
    *out = (struct dr_pg_restored){ .system_id = 0 };
    const size_t n = strlen(how->to);
    if (how->to[0] != '/' || n + 6 > sizeof part || how->to[n - 1] == '/')
        return pr_fail(err, PR_EINVAL, "\"%.100s\": an absolute path without / at its end",
                       how->to);
    (void)snprintf(part, sizeof part, "%s.part", how->to);
    enum pr_code rc = is_empty(how->to, &there, err);
    if (rc == PR_OK)
        rc = reachable(h, how, err);
    if (rc != PR_OK)
        return rc;
    if (is_empty(part, &begun, NULL) == PR_OK && !begun && mkdir(part, 0700) != 0)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", part, strerror(errno));
    rc = fetch_base(h, how, part, begun, out, err);
    if (rc == PR_OK)
        rc = dr_pg_system_of(h, part, &out->system_id, err);
    if (rc == PR_OK)
        rc = dr_pg_append_settings(h, part, out->system_id, how->setting, err);
    if (rc == PR_OK && how->mark != NULL)
        rc = dr_pg_mark(part, how->mark, err);
    return rc == PR_OK ? publish(part, how->to, err) : rc;
}
