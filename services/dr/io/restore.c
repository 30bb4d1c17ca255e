#include "io/restore.h"

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

enum { THREADS = 8, PATH = 4096 };

/* Redis' own names: a server started with appendonly yes takes them as its own. */
static const char FOLDER[] = "appendonlydir", BASE[] = "appendonly.aof.1.base.rdb",
                  STREAM[] = "appendonly.aof.1.incr.aof", MANIFEST[] = "appendonly.aof.manifest";

struct files {
    char tmp[PATH]; /* dir.restoring: renamed to dir when all is there */
    int base, stream;
};

struct job { /* one object, or a part of one */
    bool base;
    size_t i;    /* part, or index of the piece */
    uint64_t at; /* in the file */
};

struct fetch {
    const struct dr_restore *what;
    const struct dr_generation *g;
    const struct dr_pieces *pieces;
    const struct files *files;
    struct job *job; /* [jobs] */
    size_t jobs;
};

static enum pr_code failed(struct pr_err *err, const char *path)
{
    const enum pr_code code = errno == ENOSPC || errno == EDQUOT ? PR_EFULL : PR_EUNAVAIL;
    return pr_fail(err, code, "%s: %s", path, strerror(errno));
}

/* --- fetching --------------------------------------------------------------------------------- */

static enum pr_code write_at(int fd, const struct pr_buf *raw, uint64_t at, const char *name,
                             struct pr_err *err)
{
    size_t done = 0;
    while (done < raw->len) {
        const ssize_t n = pwrite(fd, raw->data + done, raw->len - done, (off_t)(at + done));
        if (n < 0 && errno != EINTR)
            return failed(err, name);
        done += n > 0 ? (size_t)n : 0;
    }
    return PR_OK;
}

static enum pr_code get(struct pr_s3 *s3, const struct dr_key *k, uint64_t at, uint64_t n,
                        char **stored, struct pr_err *err)
{
    char key[DR_KEY];
    enum pr_code rc = dr_key_print(k, key, err);
    *stored = rc == PR_OK ? malloc((size_t)n) : NULL;
    if (rc == PR_OK && *stored == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory for %llu bytes of %s", (unsigned long long)n, key);
    if (rc == PR_OK)
        rc = pr_s3_get(s3, key, at, *stored, (size_t)n, NULL, err);
    return rc == PR_ENOTFOUND ? pr_fail(err, PR_EDATA, "%s is missing", key) : rc;
}

/* Whoever reads of damage wants to know where. */
static enum pr_code opened(const struct dr_key *k, enum pr_code rc, struct pr_err *err)
{
    char key[DR_KEY];
    struct pr_err unsaid;
    if (rc != PR_EDATA || dr_key_print(k, key, &unsaid) != PR_OK)
        return rc;
    return pr_wrap(err, rc, "%s", key);
}

static enum pr_code fetch_part(const struct fetch *f, struct pr_s3 *s3, const struct job *j,
                               struct pr_buf *raw, struct pr_err *err)
{
    const struct dr_generation *g = f->g;
    struct dr_key k = { .kind = DR_KEY_BASE, .generation = g->id, .part = (uint32_t)j->i };
    char *stored = NULL;
    memcpy(k.cluster, g->cluster, sizeof k.cluster);
    memcpy(k.name, g->shard, sizeof k.name);
    enum pr_code rc = get(s3, &k, 0, g->part[j->i].stored_bytes, &stored, err);
    if (rc == PR_OK)
        rc = opened(&k,
                    dr_part_open(g, k.part, stored, (size_t)g->part[j->i].stored_bytes,
                                 f->what->codec, raw, err),
                    err);
    free(stored);
    return rc == PR_OK ? write_at(f->files->base, raw, j->at, BASE, err) : rc;
}

static enum pr_code fetch_piece(const struct fetch *f, struct pr_s3 *s3, const struct job *j,
                                struct pr_buf *raw, struct pr_err *err)
{
    struct dr_located *l = &f->pieces->piece[j->i];
    const struct dr_container c = {
        .epoch = l->epoch, .seq = l->seq, .piece = &l->piece, .pieces = 1
    };
    struct dr_key k = { .kind = DR_KEY_LOG, .epoch = l->epoch, .seq = l->seq };
    char *stored = NULL;
    memcpy(k.cluster, f->g->cluster, sizeof k.cluster);
    memcpy(k.name, f->pieces->group[j->i], sizeof k.name);
    enum pr_code rc = get(s3, &k, l->piece.at, l->piece.stored_bytes, &stored, err);
    if (rc == PR_OK)
        rc = opened(
            &k,
            dr_piece_open(&c, 0, stored, (size_t)l->piece.stored_bytes, f->what->codec, raw, err),
            err);
    free(stored);
    return rc == PR_OK ? write_at(f->files->stream, raw, j->at, STREAM, err) : rc;
}

/* What is damaged is fetched once more: it may have been on the way. */
static enum pr_code fetch_one(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    const struct fetch *f = ctx;
    const struct job *j = &f->job[i];
    enum pr_code rc = PR_EDATA;
    for (int tries = 0; tries < 2 && rc == PR_EDATA; tries++) {
        struct pr_buf raw;
        pr_buf_init(&raw, 0);
        rc = j->base ? fetch_part(f, s3, j, &raw, err) : fetch_piece(f, s3, j, &raw, err);
        pr_buf_done(&raw);
    }
    return rc;
}

static enum pr_code fetch_all(struct fetch *f, const struct dr_route *route,
                              struct dr_restored *out, struct pr_err *err)
{
    const struct dr_generation *g = f->g;
    const unsigned threads = f->what->threads > 0 ? f->what->threads : THREADS;
    f->job = calloc(g->parts + route->n + 1, sizeof *f->job);
    if (f->job == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for the restore of shard %s", g->shard);
    for (size_t i = 0; i < g->parts; i++) {
        f->job[f->jobs++] = (struct job){ true, i, out->base_bytes };
        out->base_bytes += g->part[i].bytes;
    }
    for (size_t i = 0; i < route->n; i++) {
        const struct dr_piece *p = &f->pieces->piece[route->take[i]].piece;
        f->job[f->jobs++] = (struct job){ false, route->take[i], p->from - g->offset };
    }
    out->stream_bytes = route->to - g->offset;
    const enum pr_code rc =
        dr_each(f->what->store, f->what->cancel, threads, f->jobs, fetch_one, f, err);
    free(f->job);
    f->job = NULL;
    f->jobs = 0;
    return rc;
}

/* --- files -------------------------------------------------------------------------------------
 */

enum pr_code dr_restore_check_dir(const char *dir, struct pr_err *err)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    bool empty = true;
    if (d == NULL)
        return errno == ENOENT ? PR_OK : failed(err, dir);
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
        (void)failed(err, path);
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
        return failed(err, f->tmp);
    if (mkdir(path, 0700) != 0)
        return failed(err, path);
    f->base = create(f, BASE, err);
    f->stream = f->base < 0 ? -1 : create(f, STREAM, err);
    return f->stream < 0 ? err->code : PR_OK;
}

static enum pr_code sync_folder(const char *path, struct pr_err *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    const enum pr_code rc = ok ? PR_OK : failed(err, path);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* The directory has its name only when all of it is on the disk: a server that finds it finds
 * everything, and before there is nothing to start from by mistake. */
static enum pr_code publish(struct files *f, const char *dir, struct pr_err *err)
{
    char path[PATH + 64], text[256];
    const int n =
        snprintf(text, sizeof text, "file %s seq 1 type b\nfile %s seq 1 type i\n", BASE, STREAM);
    const int fd = create(f, MANIFEST, err);
    if (fd < 0)
        return err->code;
    const bool ok = write(fd, text, (size_t)n) == n && fsync(fd) == 0 && fsync(f->base) == 0 &&
                    fsync(f->stream) == 0;
    enum pr_code rc = ok ? PR_OK : failed(err, f->tmp);
    close(fd);
    (void)snprintf(path, sizeof path, "%s/%s", f->tmp, FOLDER);
    if (rc == PR_OK)
        rc = sync_folder(path, err);
    if (rc == PR_OK)
        rc = sync_folder(f->tmp, err);
    if (rc == PR_OK && rmdir(dir) != 0 && errno != ENOENT)
        rc = failed(err, dir);
    if (rc == PR_OK && rename(f->tmp, dir) != 0)
        rc = failed(err, dir);
    return rc;
}

/* --- which -------------------------------------------------------------------------------------
 */

static enum pr_code restore_from(const struct dr_restore *w, const struct dr_generation *g,
                                 const struct dr_pieces *pieces, struct dr_restored *out,
                                 struct pr_err *err)
{
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
    struct fetch f = { .what = w, .g = g, .pieces = pieces, .files = &files };
    rc = open_files(&files, w->dir, err);
    if (rc == PR_OK)
        rc = fetch_all(&f, &route, out, err);
    if (rc == PR_OK)
        rc = publish(&files, w->dir, err);
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

static enum pr_code find_pieces(struct dr_index *ix, struct dr_index_shard *s, size_t i,
                                struct dr_restored *out, struct pr_err *err)
{
    const int64_t begun_us = pr_mono_us();
    dr_index_want_one(s, i);
    const enum pr_code rc = dr_index_read(ix, err);
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
        rc = find_pieces(ix, s, i, out, &last);
        if (rc == PR_OK)
            rc = restore_from(w, &s->g[i], &s->pieces, out, &last);
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
