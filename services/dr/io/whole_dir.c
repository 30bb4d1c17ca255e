#include "io/whole_private.h"

#include "prism/io/log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 4200 };

/* Only a directory with this file in it is ever removed. */
static const char MARK[] = "prism-dr-restoring";

static enum pr_code failed(const char *path, struct pr_err *err)
{
    return pr_fail(err, errno == ENOSPC ? PR_EFULL : PR_EUNAVAIL, "%s: %s", path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* The mark goes last: what is left of a removal that was cut short can still be removed. */
static int remove_but_mark(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    const bool mark = at->level == 1 && strcmp(path + at->base, MARK) == 0;
    return at->level == 0 || mark ? 0 : remove_one(path, st, kind, at);
}

static void remove_tree(const char *dir)
{
    char mark[PATH];
    (void)snprintf(mark, sizeof mark, "%s/%s", dir, MARK);
    if (access(mark, F_OK) != 0)
        return;
    (void)nftw(dir, remove_but_mark, 16, FTW_DEPTH | FTW_PHYS);
    (void)unlink(mark);
    (void)rmdir(dir);
}

/* A file may be synced by anybody, and whoever does learns what went wrong with it. */
static int sync_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    if (kind == FTW_DNR || kind == FTW_NS) { /* what cannot be read may not be there */
        errno = EACCES;
        return -1;
    }
    if (kind != FTW_F && kind != FTW_DP)
        return 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int rc = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Without a cluster to fill the work is done beside dir, which gets its name when all is there. */
enum pr_code dr_whole_dir_begin(struct dr_whole_run *r, struct pr_err *err)
{
    char mark[PATH];
    const bool beside = r->w->seeds == NULL;
    const int n = snprintf(r->dir, sizeof r->dir, "%s%s", r->w->dir, beside ? ".restoring" : "");
    if (n >= (int)sizeof r->dir)
        return pr_fail(err, PR_EINVAL, "%.100s...: the name is too long", r->w->dir);
    remove_tree(r->dir);
    enum pr_code rc = dr_restore_check_dir(r->dir, err);
    if (rc == PR_OK)
        rc = dr_restore_check_dir(r->w->dir, err);
    if (rc != PR_OK)
        return rc;
    if (mkdir(r->dir, 0700) != 0 && errno != EEXIST)
        return failed(r->dir, err);
    (void)snprintf(mark, sizeof mark, "%s/%s", r->dir, MARK);
    const int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(mark, err);
    close(fd);
    return PR_OK;
}

void dr_whole_dir_remove(struct dr_whole_run *r)
{
    remove_tree(r->dir);
}

/* --- done ---------------------------------------------------------------------------------------
 */

static size_t part_of(const struct dr_whole_run *r, size_t shard)
{
    size_t part = 1;
    while (r->out->shards * part / r->w->parts <= shard)
        part++;
    return part;
}

static void print_shard(FILE *f, const struct dr_whole_run *r, size_t i, bool last)
{
    const char *comma = "";
    (void)fprintf(f, "  {\"dir\": \"%s\", ", r->out->shard[i].name);
    if (r->w->parts > 0) /* where the directory is */
        (void)fprintf(f, "\"part\": %zu, ", part_of(r, i));
    (void)fprintf(f, "\"slots\": [");
    for (int s = 0; s < DR_SLOTS; s++) {
        if (r->owner[s] != (int)i)
            continue;
        int end = s;
        while (end + 1 < DR_SLOTS && r->owner[end + 1] == (int)i)
            end++;
        (void)fprintf(f, "%s[%d, %d]", comma, s, end);
        comma = ", ";
        s = end;
    }
    (void)fprintf(f, "]}%s\n", last ? "" : ",");
}

static enum pr_code write_slots(const struct dr_whole_run *r, struct pr_err *err)
{
    char path[PATH];
    (void)snprintf(path, sizeof path, "%s/cluster.json", r->dir);
    FILE *f = fopen(path, "we");
    if (f == NULL)
        return failed(path, err);
    (void)fprintf(f, "{\"cluster\": \"%s\", \"shards\": [\n", r->w->cluster);
    for (size_t i = 0; i < r->out->shards; i++)
        print_shard(f, r, i, i + 1 == r->out->shards);
    (void)fprintf(f, "]}\n");
    const bool ok = ferror(f) == 0 && fflush(f) == 0; /* dr_whole_publish syncs all */
    const enum pr_code rc = ok ? PR_OK : failed(path, err);
    return fclose(f) == 0 || rc != PR_OK ? rc : failed(path, err);
}

enum pr_code dr_whole_publish(struct dr_whole_run *r, struct pr_err *err)
{
    char mark[PATH];
    enum pr_code rc = PR_OK;
    for (size_t i = r->from; i < r->to && rc == PR_OK; i++)
        rc = dr_quarantine_stop(&r->server[i], err);
    if (rc == PR_OK)
        rc = write_slots(r, err);
    if (rc != PR_OK)
        return rc;
    if (nftw(r->dir, sync_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return failed(r->dir, err);
    if (rmdir(r->w->dir) != 0 && errno != ENOENT)
        return failed(r->w->dir, err);
    if (rename(r->dir, r->w->dir) != 0)
        return failed(r->w->dir, err);
    rc = dr_restore_sync_parent(r->w->dir, err);
    if (rc != PR_OK)
        return rc;
    (void)snprintf(mark, sizeof mark, "%s/%s", r->w->dir, MARK);
    if (unlink(mark) != 0) /* from here on it is data, that nothing removes */
        return failed(mark, err);
    rc = dr_restore_sync_folder(r->w->dir, err);
    if (rc != PR_OK)
        return rc;
    pr_info(PR_EV("dr.restore_published"), PR_S("dir", r->w->dir));
    return PR_OK;
}
