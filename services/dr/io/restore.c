#include "io/restore_private.h"

#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 4096 };

/* Redis' own names: a server started with appendonly yes takes them as its own. */
static const char FOLDER[] = "appendonlydir", BASE[] = "appendonly.aof.1.base.rdb",
                  STREAM[] = "appendonly.aof.1.incr.aof", MANIFEST[] = "appendonly.aof.manifest";

struct files {
    char tmp[PATH]; /* dir.restoring: renamed to dir when all is there */
    int base, stream;
};

enum pr_code dr_restore_failed(struct pr_err *err, const char *path)
{
    const enum pr_code code = errno == ENOSPC || errno == EDQUOT ? PR_EFULL : PR_EUNAVAIL;
    return pr_fail(err, code, "%s: %s", path, strerror(errno));
}

/* --- files -------------------------------------------------------------------------------------
 */

enum pr_code dr_restore_check_dir(const char *dir, struct pr_err *err)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    bool empty = true;
    if (d == NULL)
        return errno == ENOENT ? PR_OK : dr_restore_failed(err, dir);
    while ((e = readdir(d)) != NULL)
        empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    closedir(d);
    return empty ? PR_OK
                 : pr_fail(err, PR_EEXISTS, "%s is not empty: nothing is restored over it", dir);
}

static int create(const struct files *f, const char *name, struct pr_err *err)
{
    char path[PATH + 64];
    (void)snprintf(path, sizeof path, "%s/%s/%s", f->tmp, FOLDER, name);
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        (void)dr_restore_failed(err, path);
    return fd;
}

static void remove_files(struct files *f)
{
    static const char *const name[] = { BASE, STREAM, MANIFEST };
    char path[PATH + 64];
    for (size_t i = 0; i < PR_COUNT(name); i++) {
        (void)snprintf(path, sizeof path, "%s/%s/%s", f->tmp, FOLDER, name[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/%s", f->tmp, FOLDER);
    (void)rmdir(path);
    (void)rmdir(f->tmp);
}

static void close_files(struct files *f)
{
    if (f->base >= 0)
        close(f->base);
    if (f->stream >= 0)
        close(f->stream);
    f->base = f->stream = -1;
}

static enum pr_code open_files(struct files *f, const char *dir, struct pr_err *err)
{
    char path[PATH + 64];
    *f = (struct files){ .base = -1, .stream = -1 };
    if (snprintf(f->tmp, sizeof f->tmp, "%s.restoring", dir) >= (int)sizeof f->tmp)
        return pr_fail(err, PR_EINVAL, "%.100s...: the name is too long", dir);
    remove_files(f); /* of a restore that was killed */
    (void)snprintf(path, sizeof path, "%s/%s", f->tmp, FOLDER);
    if (mkdir(f->tmp, 0700) != 0)
        return dr_restore_failed(err, f->tmp);
    if (mkdir(path, 0700) != 0)
        return dr_restore_failed(err, path);
    f->base = create(f, BASE, err);
    f->stream = f->base < 0 ? -1 : create(f, STREAM, err);
    return f->stream < 0 ? err->code : PR_OK;
}

enum pr_code dr_restore_sync_folder(const char *path, struct pr_err *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    const enum pr_code rc = ok ? PR_OK : dr_restore_failed(err, path);
    if (fd >= 0)
        close(fd);
    return rc;
}

enum pr_code dr_restore_sync_parent(const char *path, struct pr_err *err)
{
    char parent[PATH];
    size_t n = strlen(path);
    if (n >= sizeof parent)
        return pr_fail(err, PR_EINVAL, "%.100s...: the name is too long", path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    (void)snprintf(parent, sizeof parent, "%.*s", n > 0 ? (int)n : 1, n > 0 ? path : ".");
    return dr_restore_sync_folder(parent, err);
}

static enum pr_code sync_files(const struct files *f, struct pr_err *err)
{
    char path[PATH + 64];
    (void)snprintf(path, sizeof path, "%s/%s", f->tmp, FOLDER);
    enum pr_code rc =
        fsync(f->base) == 0 && fsync(f->stream) == 0 ? PR_OK : dr_restore_failed(err, f->tmp);
    if (rc == PR_OK)
        rc = dr_restore_sync_folder(path, err);
    return rc == PR_OK ? dr_restore_sync_folder(f->tmp, err) : rc;
}

/* The directory has its name only when all of it is there, and, unless the caller sees to that, on
 * the disk: a server that finds it finds everything, and before there is nothing to start from by
 * mistake. */
static enum pr_code publish(struct files *f, const struct dr_restore *w, struct pr_err *err)
{
    char text[256];
    const int n =
        snprintf(text, sizeof text, "file %s seq 1 type b\nfile %s seq 1 type i\n", BASE, STREAM);
    const int fd = create(f, MANIFEST, err);
    if (fd < 0)
        return err->code;
    const bool ok = write(fd, text, (size_t)n) == n && (w->unsynced || fsync(fd) == 0);
    enum pr_code rc = ok ? PR_OK : dr_restore_failed(err, f->tmp);
    close(fd);
    if (rc == PR_OK && !w->unsynced)
        rc = sync_files(f, err);
    if (rc == PR_OK && rmdir(w->dir) != 0 && errno != ENOENT)
        rc = dr_restore_failed(err, w->dir);
    if (rc == PR_OK && rename(f->tmp, w->dir) != 0)
        rc = dr_restore_failed(err, w->dir);
    return rc == PR_OK && !w->unsynced ? dr_restore_sync_parent(w->dir, err) : rc;
}

/* --- which -------------------------------------------------------------------------------------
 */

/* Generation i of the shard. */
static enum pr_code restore_from(const struct dr_restore *w, const struct dr_index *ix,
                                 const struct dr_index_shard *s, size_t i, struct dr_restored *out,
                                 struct pr_err *err)
{
    const struct dr_generation *g = &s->g[i];
    const struct dr_pieces *pieces = &s->pieces;
    struct dr_route route = { .n = 0 };
    struct files files;
    enum pr_code rc = dr_chain_route(g, pieces->piece, pieces->n, w->until_ms, &route, err);
    if (rc != PR_OK)
        return rc;
    out->generation = g->id;
    out->base_keys = g->keys;
    out->base_bytes = 0;
    out->slot_epoch = g->slot_epoch;
    out->offset = route.to;
    out->last_ms = route.last_ms;
    out->pieces = route.n;
    out->gap = route.gap;
    memcpy(out->replid, route.replid, sizeof out->replid);
    memcpy(out->slots, g->slots, sizeof out->slots);
    memcpy(out->why, route.why, sizeof out->why);
    if (!route.reached && !route.gap && dr_chain_newer(g, pieces->piece, pieces->n, route.to)) {
        out->gap = true;
        (void)snprintf(out->why, sizeof out->why,
                       "pieces behind offset %llu are of a newer generation without a manifest",
                       (unsigned long long)route.to);
    }
    const char *unread = NULL;
    if (!route.reached && !out->gap &&
        dr_index_unread(ix, s, i, route.n > 0 ? route.take[route.n - 1] : SIZE_MAX, &unread)) {
        out->gap = true;
        (void)snprintf(out->why, sizeof out->why, "what may follow cannot be read: %.120s", unread);
    }
    out->stream_bytes = route.to - g->offset;
    for (size_t k = 0; k < g->parts; k++)
        out->base_bytes += g->part[k].bytes;
    rc = open_files(&files, w->dir, err);
    const struct dr_fetch f = { .what = w,
                                .g = g,
                                .pieces = pieces,
                                .route = &route,
                                .base = files.base,
                                .stream = files.stream };
    if (rc == PR_OK)
        rc = dr_fetch_all(&f, err);
    if (rc == PR_OK)
        rc = publish(&files, w, err);
    close_files(&files);
    if (rc != PR_OK)
        remove_files(&files);
    free(route.take);
    return rc;
}

static enum pr_code nothing(const struct dr_restore *w, size_t generations, size_t skipped,
                            const struct pr_err *last, struct pr_err *err)
{
    if (generations == 0)
        return pr_fail(err, PR_ENOTFOUND, "shard %s of %s: the bucket holds no generation of it",
                       w->shard, w->cluster);
    if (skipped > 0)
        return pr_fail(err, PR_EDATA, "shard %s: none of its generations is whole: %.150s",
                       w->shard, last->text);
    return pr_fail(err, PR_ENOTFOUND, "shard %s: its oldest generation is newer than that time",
                   w->shard);
}

static void note_damage(const struct dr_restore *w, const struct dr_generation *g,
                        const struct pr_err *why, struct dr_restored *out)
{
    pr_error(PR_EV("dr.generation_damaged"), PR_S("shard", w->shard), PR_E(why));
    if (out->skipped++ > 0)
        return;
    out->damaged = g->id;
    (void)snprintf(out->damage, sizeof out->damage, "%.199s", why->text);
}

/* Those that would have been preferred, if anybody could read what they are. */
static void note_unread(const struct dr_restore *w, struct dr_index *ix, struct dr_restored *out)
{
    struct dr_generation_id newest = { .n = 0 };
    const bool all = out->why[0] != '\0'; /* else the time that was asked for was reached */
    const size_t n = all ? dr_index_damaged(ix, w->shard, &out->generation, &newest) : 0;
    if (n > 0 && (out->skipped == 0 || dr_generation_compare(&newest, &out->damaged) > 0)) {
        out->damaged = newest;
        (void)snprintf(out->damage, sizeof out->damage, "its manifest is damaged");
    }
    out->skipped += n;
}

static void lock(const struct dr_restore *w, bool alone)
{
    if (w->others != NULL && alone)
        pthread_rwlock_wrlock(w->others);
    else if (w->others != NULL)
        pthread_rwlock_rdlock(w->others);
}

static void unlock(const struct dr_restore *w)
{
    if (w->others != NULL)
        pthread_rwlock_unlock(w->others);
}

/* Whoever restores holds the index as it is; who has to read more for an older generation waits for
 * the others, because their pieces move with it. Locked to read afterwards. */
static enum pr_code find_pieces(const struct dr_restore *w, struct dr_index *ix,
                                struct dr_index_shard *s, size_t i, struct dr_restored *out,
                                struct pr_err *err)
{
    const int64_t begun_us = pr_mono_us();
    enum pr_code rc = PR_OK;
    lock(w, false);
    if (s->state[i] != DR_INDEX_READ) {
        unlock(w);
        lock(w, true);
        dr_index_want_one(s, i);
        rc = dr_index_read(ix, err);
        unlock(w);
        lock(w, false);
    }
    out->list_ms += (pr_mono_us() - begun_us) / 1000;
    return rc;
}

static enum pr_code restore_newest(const struct dr_restore *w, struct dr_index *ix,
                                   struct dr_index_shard *s, struct dr_restored *out,
                                   struct pr_err *err)
{
    struct pr_err last = { 0 };
    bool *skip = calloc(s->n + 1, sizeof *skip);
    if (skip == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the generations of shard %s", w->shard);
    enum pr_code rc = PR_EDATA;
    while (rc == PR_EDATA) {
        const size_t i = dr_generation_choose(s->g, s->n, skip, w->until_ms);
        if (i == SIZE_MAX) {
            rc = nothing(w, s->n, out->skipped, &last, err);
            break;
        }
        rc = find_pieces(w, ix, s, i, out, &last);
        if (rc == PR_OK)
            rc = restore_from(w, ix, s, i, out, &last);
        unlock(w);
        skip[i] = rc == PR_EDATA;
        if (rc == PR_EDATA)
            note_damage(w, &s->g[i], &last, out);
        else if (rc != PR_OK)
            (void)pr_fail(err, rc, "%s", last.text);
    }
    free(skip);
    return rc;
}

static enum pr_code restore_by(const struct dr_restore *w, struct dr_index *ix,
                               struct dr_restored *out, struct pr_err *err)
{
    struct dr_index_shard *s = dr_index_find(ix, w->shard);
    struct dr_generation_id newest;
    const struct pr_err none = { 0 };
    if (s == NULL && dr_index_damaged(ix, w->shard, NULL, &newest) > 0)
        return pr_fail(err, PR_EDATA, "shard %s: the manifests of all its generations are damaged",
                       w->shard);
    const enum pr_code rc =
        s != NULL ? restore_newest(w, ix, s, out, err) : nothing(w, 0, 0, &none, err);
    if (rc == PR_OK)
        note_unread(w, ix, out);
    return rc;
}

enum pr_code dr_restore_shard(const struct dr_restore *w, struct dr_restored *out,
                              struct pr_err *err)
{
    struct dr_index own = { .shards = 0 };
    const int64_t begun_us = pr_mono_us();
    *out = (struct dr_restored){ .skipped = 0 };
    enum pr_code rc = dr_restore_check_dir(w->dir, err);
    if (rc == PR_OK && w->index == NULL)
        rc = dr_index_open(&own, w->store, w->cancel, w->cluster, w->shard, err);
    out->list_ms = (pr_mono_us() - begun_us) / 1000;
    if (rc == PR_OK)
        rc = restore_by(w, w->index != NULL ? w->index : &own, out, err);
    out->fetch_ms = (pr_mono_us() - begun_us) / 1000 - out->list_ms;
    dr_index_close(&own);
    return rc;
}
