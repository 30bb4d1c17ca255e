#include "io/pg/receiver.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Number of the directory name, "<system>-<number>"; 0: another's. */
static unsigned number_of(const char *name, uint64_t system_id)
{
    char *end;
    if (name[0] < '0' || name[0] > '9' || strtoull(name, &end, 10) != system_id || *end != '-')
        return 0;
    const unsigned long n = strtoul(end + 1, &end, 10);
    return *end == '\0' && n <= 9999 ? (unsigned)n : 0;
}

static enum pr_code open_wal(const struct dr_pg_home *h, DIR **out, struct pr_err *err)
{
    *out = opendir(h->wal);
    return *out != NULL ? PR_OK : pr_fail(err, PR_EUNAVAIL, "%s: %s", h->wal, strerror(errno));
}

enum pr_code dr_pg_wal_dir(const struct dr_pg_home *h, uint64_t system_id, bool afresh,
                           char out[DR_PG_PATH], struct pr_err *err)
{
    DIR *d = NULL;
    unsigned newest = 0;
    const enum pr_code rc = open_wal(h, &d, err);
    if (rc != PR_OK)
        return rc;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        const unsigned n = number_of(e->d_name, system_id);
        newest = n > newest ? n : newest;
    }
    closedir(d);
    if (newest == 0 || afresh)
        newest++;
    const int n =
        snprintf(out, DR_PG_PATH, "%s/%llu-%04u", h->wal, (unsigned long long)system_id, newest);
    if (n < 0 || n >= DR_PG_PATH)
        return pr_fail(err, PR_EINVAL, "PRISM_DR_PG_PATH is too long");
    if (mkdir(out, 0700) != 0 && errno != EEXIST)
        return pr_fail(err, PR_EUNAVAIL, "%s: %s", out, strerror(errno));
    return PR_OK;
}

enum pr_code dr_pg_receiver_start(const struct dr_pg_home *h, const char *dir,
                                  struct dr_child **out, struct pr_err *err)
{
    /* A primary that is gone is noticed in 15 s, as elsewhere. */
    static const char DBNAME[] = "--dbname=keepalives_idle=5 keepalives_interval=5 "
                                 "keepalives_count=2 tcp_user_timeout=15000";
    char path[DR_PG_PATH + 16];
    const char *const argv[] = { path,
                                 "--directory",
                                 dir,
                                 "--slot",
                                 DR_PG_STANDBY,
                                 "--synchronous",
                                 "--no-loop",
                                 "--no-password",
                                 "--status-interval=1",
                                 DBNAME,
                                 NULL };
    const struct dr_child_options o = { .name = "pg_receivewal", .argv = argv, .env = h->env };
    (void)snprintf(path, sizeof path, "%s/pg_receivewal", h->bin);
    return dr_child_start(out, &o, err);
}

/* --- what it wrote -----------------------------------------------------------------------------
 */

static bool add(struct dr_pg_segments *s, const char *dir, const char *name)
{
    struct stat st;
    struct dr_pg_segment *more = realloc(s->at, (s->n + 1) * sizeof *more);
    if (more == NULL)
        return false;
    s->at = more;
    struct dr_pg_segment *one = &s->at[s->n];
    memset(one, 0, sizeof *one);
    (void)snprintf(one->file.name, sizeof one->file.name, "%.24s", name);
    (void)snprintf(one->path, sizeof one->path, "%.540s/%.24s", dir, name);
    if (stat(one->path, &st) != 0)
        return true; /* it went meanwhile */
    one->file.bytes = st.st_size;
    s->n++;
    return true;
}

static bool read_one(struct dr_pg_segments *s, const char *dir)
{
    DIR *d = opendir(dir);
    bool ok = true;
    for (const struct dirent *e; d != NULL && ok && (e = readdir(d)) != NULL;)
        if (dr_wal_name_ok(e->d_name))
            ok = add(s, dir, e->d_name);
    if (d != NULL)
        closedir(d);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    const struct dr_pg_segment *x = a, *y = b;
    return strcmp(x->file.name, y->file.name);
}

enum pr_code dr_pg_segments_read(const struct dr_pg_home *h, uint64_t system_id,
                                 struct dr_pg_segments *out, struct pr_err *err)
{
    DIR *d = NULL;
    bool ok = true;
    *out = (struct dr_pg_segments){ 0 };
    const enum pr_code rc = open_wal(h, &d, err);
    if (rc != PR_OK)
        return rc;
    for (const struct dirent *e; ok && (e = readdir(d)) != NULL;) {
        char dir[DR_PG_PATH + 32];
        if (number_of(e->d_name, system_id) == 0)
            continue;
        (void)snprintf(dir, sizeof dir, "%.500s/%.30s", h->wal, e->d_name);
        ok = read_one(out, dir);
    }
    closedir(d);
    if (out->n > 0)
        qsort(out->at, out->n, sizeof *out->at, by_name);
    return ok ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory for received segments");
}

enum pr_code dr_pg_segments_decide(struct dr_pg_segments *s, int64_t keep_bytes,
                                   const char *archived, struct pr_err *err)
{
    struct dr_wal_file *file = calloc(s->n + 1, sizeof *file);
    if (file == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for received segments");
    for (size_t i = 0; i < s->n; i++)
        file[i] = s->at[i].file;
    dr_wal_decide(file, s->n, keep_bytes, archived);
    for (size_t i = 0; i < s->n; i++)
        s->at[i].file = file[i];
    free(file);
    return PR_OK;
}

void dr_pg_segments_free(struct dr_pg_segments *s)
{
    free(s->at);
    *s = (struct dr_pg_segments){ 0 };
}
