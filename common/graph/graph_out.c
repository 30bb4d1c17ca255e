/* Files written whole or not at all. */
#include "prism/graph_out.h"

#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

/* Levels: what a graph of some GiB can wait for. */
enum {
    PLAIN_BYTES = 1 << 18,
    PACKED_BYTES = 1 << 17,
    XZ_LEVEL = 2,
    GZIP_LEVEL = 4,
    ZSTD_LEVEL = 3
};

enum packer { PLAIN, XZ, GZIP, ZSTD };

struct graph_out {
    char path[PATH_MAX];  /* where links lead to */
    char other[PATH_MAX]; /* the name until it is whole; "": written directly */
    int fd;
    enum packer packer;
    char *buf; /* [PLAIN_BYTES] */
    size_t len;
    unsigned char *packed; /* [PACKED_BYTES]; NULL for plain files */
    lzma_stream xz;
    z_stream gz;
    ZSTD_CStream *zstd;
};

static enum pr_code failed(const struct graph_out *o, int why, struct pr_err *err)
{
    enum pr_code rc = PR_EUNAVAIL;
    if (why == ENOENT || why == ENOTDIR)
        rc = PR_ENOTFOUND;
    else if (why == EACCES || why == EPERM || why == EROFS)
        rc = PR_EDENIED;
    else if (why == ENOSPC || why == EDQUOT || why == EFBIG)
        rc = PR_EFULL;
    else if (why == EISDIR || why == ENAMETOOLONG)
        rc = PR_EINVAL;
    return pr_fail(err, rc, "%s: %s", graph_name(o->path), strerror(why));
}

/* --- opening ------------------------------------------------------------------ */

static enum packer packer_of(const char *path)
{
    static const char *const ending[] = { [XZ] = ".xz", [GZIP] = ".gz", [ZSTD] = ".zst" };
    const size_t n = strlen(path);
    for (size_t i = XZ; i < PR_COUNT(ending); i++)
        if (n >= strlen(ending[i]) && strcmp(path + n - strlen(ending[i]), ending[i]) == 0)
            return (enum packer)i;
    return PLAIN;
}

/* A file of another name in the same directory, so that it can be renamed. */
static int open_other(struct graph_out *o)
{
    for (unsigned i = 0; i < 1000; i++) {
        const int n =
            snprintf(o->other, sizeof o->other, "%s.%ld-%u.part", o->path, (long)getpid(), i);
        if (n < 0 || (size_t)n >= sizeof o->other) {
            errno = ENAMETOOLONG;
            break;
        }
        const int fd = open(o->other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static enum pr_code open_file(struct graph_out *o, const char *path, struct pr_err *err)
{
    struct stat st;
    if (realpath(path, o->path) == NULL) { /* does not exist yet, or leads nowhere */
        const int n = snprintf(o->path, sizeof o->path, "%s", path);
        if (n < 0 || (size_t)n >= sizeof o->path)
            return failed(o, ENAMETOOLONG, err);
    }
    if (stat(o->path, &st) == 0 && !S_ISREG(st.st_mode)) {
        if (S_ISDIR(st.st_mode))
            return failed(o, EISDIR, err);
        o->fd = open(o->path, O_WRONLY | O_CLOEXEC);
    } else {
        o->fd = open_other(o);
    }
    if (o->fd < 0) {
        const int why = errno;
        o->other[0] = '\0'; /* it is not ours */
        return failed(o, why, err);
    }
    return PR_OK;
}

static enum pr_code start_packer(struct graph_out *o, struct pr_err *err)
{
    bool ok = true;
    o->buf = malloc(PLAIN_BYTES);
    if (o->packer != PLAIN)
        ok = (o->packed = malloc(PACKED_BYTES)) != NULL;
    if (ok && o->packer == XZ)
        ok = lzma_easy_encoder(&o->xz, XZ_LEVEL, LZMA_CHECK_CRC64) == LZMA_OK;
    else if (ok && o->packer == GZIP)
        ok = deflateInit2(&o->gz, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    else if (ok && o->packer == ZSTD)
        ok = (o->zstd = ZSTD_createCStream()) != NULL &&
             !ZSTD_isError(ZSTD_initCStream(o->zstd, ZSTD_LEVEL));
    if (!ok || o->buf == NULL)
        return pr_fail(err, PR_ENOMEM, "%s: no memory to write", graph_name(o->path));
    return PR_OK;
}

enum pr_code graph_out_open(const char *path, struct graph_out **out, struct pr_err *err)
{
    struct graph_out *o = calloc(1, sizeof *o);
    if (o == NULL)
        return pr_fail(err, PR_ENOMEM, "%s: no memory to write", graph_name(path));
    o->fd = -1;
    o->packer = packer_of(path);
    o->xz = (lzma_stream)LZMA_STREAM_INIT;
    enum pr_code rc = open_file(o, path, err);
    if (rc == PR_OK)
        rc = start_packer(o, err);
    if (rc != PR_OK) {
        graph_out_abort(o);
        return rc;
    }
    *out = o;
    return PR_OK;
}

/* --- writing ------------------------------------------------------------------ */

static enum pr_code write_all(struct graph_out *o, const void *bytes, size_t n, struct pr_err *err)
{
    for (const char *p = bytes; n > 0;) {
        const ssize_t wrote = write(o->fd, p, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return failed(o, errno, err);
        p += wrote;
        n -= (size_t)wrote;
    }
    return PR_OK;
}

/* One step: some input taken, some output made. *left: input that is not taken;
 * *done: nothing more will come. */
static enum pr_code pack_xz(struct graph_out *o, const char *in, size_t *left, bool end,
                            size_t *made, bool *done)
{
    o->xz.next_in = (const uint8_t *)in;
    o->xz.avail_in = *left;
    o->xz.next_out = o->packed;
    o->xz.avail_out = PACKED_BYTES;
    const lzma_ret rc = lzma_code(&o->xz, end ? LZMA_FINISH : LZMA_RUN);
    *left = o->xz.avail_in;
    *made = PACKED_BYTES - o->xz.avail_out;
    *done = end ? rc == LZMA_STREAM_END : *left == 0;
    return rc == LZMA_OK || rc == LZMA_STREAM_END ? PR_OK : PR_ENOMEM;
}

static enum pr_code pack_gzip(struct graph_out *o, const char *in, size_t *left, bool end,
                              size_t *made, bool *done)
{
    o->gz.next_in = (const Bytef *)in;
    o->gz.avail_in = (uInt)*left;
    o->gz.next_out = o->packed;
    o->gz.avail_out = PACKED_BYTES;
    const int rc = deflate(&o->gz, end ? Z_FINISH : Z_NO_FLUSH);
    *left = o->gz.avail_in;
    *made = PACKED_BYTES - o->gz.avail_out;
    *done = end ? rc == Z_STREAM_END : *left == 0;
    return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? PR_OK : PR_ENOMEM;
}

static enum pr_code pack_zstd(struct graph_out *o, const char *in, size_t *left, bool end,
                              size_t *made, bool *done)
{
    ZSTD_inBuffer from = { in, *left, 0 };
    ZSTD_outBuffer to = { o->packed, PACKED_BYTES, 0 };
    const size_t rc = ZSTD_compressStream2(o->zstd, &to, &from, end ? ZSTD_e_end : ZSTD_e_continue);
    *left -= from.pos;
    *made = to.pos;
    *done = end ? rc == 0 : *left == 0;
    return ZSTD_isError(rc) ? PR_ENOMEM : PR_OK;
}

/* What is in buf, packed, to the file; with end also what the packer holds back. */
static enum pr_code drain(struct graph_out *o, bool end, struct pr_err *err)
{
    size_t left = o->len;
    o->len = 0;
    if (o->packer == PLAIN)
        return write_all(o, o->buf, left, err);
    const size_t n = left;
    for (bool done = !end && left == 0; !done;) {
        size_t made = 0;
        const char *const in = o->buf + (n - left);
        enum pr_code rc = o->packer == XZ     ? pack_xz(o, in, &left, end, &made, &done)
                          : o->packer == GZIP ? pack_gzip(o, in, &left, end, &made, &done)
                                              : pack_zstd(o, in, &left, end, &made, &done);
        if (rc != PR_OK)
            return pr_fail(err, rc, "%s: no memory to compress", graph_name(o->path));
        if ((rc = write_all(o, o->packed, made, err)) != PR_OK)
            return rc;
    }
    return PR_OK;
}

enum pr_code graph_out_room(struct graph_out *o, size_t n, char **at, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (n > PLAIN_BYTES - o->len)
        rc = drain(o, false, err);
    *at = o->buf + o->len;
    return rc;
}

void graph_out_wrote(struct graph_out *o, const char *end)
{
    o->len = (size_t)(end - o->buf);
}

enum pr_code graph_out_put(struct graph_out *o, const void *bytes, size_t n, struct pr_err *err)
{
    for (const char *p = bytes; n > 0;) {
        char *at;
        const size_t take = n < GRAPH_OUT_ROOM ? n : GRAPH_OUT_ROOM;
        const enum pr_code rc = graph_out_room(o, take, &at, err);
        if (rc != PR_OK)
            return rc;
        memcpy(at, p, take);
        graph_out_wrote(o, at + take);
        p += take;
        n -= take;
    }
    return PR_OK;
}

/* --- ending ------------------------------------------------------------------- */

/* Only when its bytes are on the disk does the file get its name. */
static enum pr_code publish(struct graph_out *o, struct pr_err *err)
{
    if (o->other[0] != '\0' && fsync(o->fd) != 0)
        return failed(o, errno, err);
    const int fd = o->fd;
    o->fd = -1;
    if (close(fd) != 0)
        return failed(o, errno, err);
    if (o->other[0] != '\0' && rename(o->other, o->path) != 0)
        return failed(o, errno, err);
    o->other[0] = '\0';
    return PR_OK;
}

enum pr_code graph_out_close(struct graph_out *o, struct pr_err *err)
{
    enum pr_code rc = drain(o, true, err);
    if (rc == PR_OK)
        rc = publish(o, err);
    graph_out_abort(o);
    return rc;
}

void graph_out_abort(struct graph_out *o)
{
    if (o == NULL)
        return;
    if (o->fd >= 0)
        (void)close(o->fd);
    if (o->other[0] != '\0')
        (void)unlink(o->other);
    lzma_end(&o->xz);
    if (o->packer == GZIP)
        (void)deflateEnd(&o->gz);
    ZSTD_freeCStream(o->zstd);
    free(o->packed);
    free(o->buf);
    free(o);
}
