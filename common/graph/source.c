/* A file's bytes, decompressed as told by its first bytes. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { RAW_BYTES = 256 * 1024, MAX_XZ_MEMORY = 1 << 30 };

enum packing { PLAIN, XZ, GZIP, ZSTD };

struct graph_source {
    char *path; /* owned */
    int fd;
    enum packing packing;
    unsigned char *raw; /* owned; [at, len) is unread */
    size_t at, len;
    uint64_t read_bytes, file_bytes;
    bool ended;  /* of the file */
    bool inside; /* of a compressed stream: an end here is a cut */
    lzma_stream xz;
    z_stream gz;
    ZSTD_DStream *zstd;
};

static enum pr_code damaged(const struct graph_source *s, struct pr_err *err, const char *what)
{
    static const char *const name[] = { "plain", "xz", "gzip", "zstd" };
    return pr_fail(err, PR_EDATA, "%s: %s: %s", s->path, name[s->packing], what);
}

static enum pr_code read_file(struct graph_source *s, void *buf, size_t cap, size_t *got,
                              struct pr_err *err)
{
    ssize_t n;
    do
        n = read(s->fd, buf, cap);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return pr_fail(err, errno == EISDIR ? PR_EINVAL : PR_EUNAVAIL, "%s: %s", s->path,
                       strerror(errno));
    *got = (size_t)n;
    s->read_bytes += *got;
    s->ended = n == 0;
    return PR_OK;
}

static enum pr_code refill(struct graph_source *s, struct pr_err *err)
{
    if (s->at < s->len || s->ended)
        return PR_OK;
    s->at = s->len = 0;
    return read_file(s, s->raw, RAW_BYTES, &s->len, err);
}

/* The first bytes of a file may come in several reads (a pipe). */
static enum pr_code read_head(struct graph_source *s, struct pr_err *err)
{
    while (s->len < 6 && !s->ended) {
        size_t got = 0;
        const enum pr_code rc = read_file(s, s->raw + s->len, RAW_BYTES - s->len, &got, err);
        if (rc != PR_OK)
            return rc;
        s->len += got;
    }
    return PR_OK;
}

static enum packing tell_packing(const unsigned char *head, size_t n)
{
    if (n >= 6 && memcmp(head, "\xfd\x37\x7a\x58\x5a\x00", 6) == 0)
        return XZ;
    if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b)
        return GZIP;
    if (n >= 4 && (memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 ||
                   ((head[0] & 0xf0) == 0x50 && memcmp(head + 1, "\x2a\x4d\x18", 3) == 0)))
        return ZSTD;
    return PLAIN;
}

static enum pr_code start_decoder(struct graph_source *s, struct pr_err *err)
{
    bool ok = true;
    if (s->packing == XZ)
        ok = lzma_stream_decoder(&s->xz, MAX_XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK;
    else if (s->packing == GZIP)
        ok = inflateInit2(&s->gz, 15 + 16) == Z_OK;
    else if (s->packing == ZSTD)
        ok = (s->zstd = ZSTD_createDStream()) != NULL && !ZSTD_isError(ZSTD_initDStream(s->zstd));
    return ok ? PR_OK : pr_fail(err, PR_ENOMEM, "%s: no memory to decompress", s->path);
}

enum pr_code graph_source_open(struct graph_source **out, const char *path, struct pr_err *err)
{
    struct stat st = { .st_mode = 0 };
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const int why = errno;
        return pr_fail(err,
                       why == ENOENT || why == ENOTDIR ? PR_ENOTFOUND
                       : why == EACCES || why == EPERM ? PR_EDENIED
                                                       : PR_EUNAVAIL,
                       "%s: %s", graph_name(path), strerror(why));
    }
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        (void)close(fd);
        return pr_fail(err, PR_EINVAL, "%s: is a directory", graph_name(path));
    }
    struct graph_source *s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)close(fd);
        return pr_fail(err, PR_ENOMEM, "%s: no memory", graph_name(path));
    }
    s->fd = fd;
    s->file_bytes = S_ISREG(st.st_mode) && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    s->xz = (lzma_stream)LZMA_STREAM_INIT;
    s->path = strdup(graph_name(path));
    s->raw = malloc(RAW_BYTES);
    enum pr_code rc = PR_OK;
    if (s->path == NULL || s->raw == NULL)
        rc = pr_fail(err, PR_ENOMEM, "%s: no memory", graph_name(path));
    if (rc == PR_OK)
        rc = read_head(s, err);
    if (rc == PR_OK) {
        s->packing = tell_packing(s->raw, s->len);
        rc = start_decoder(s, err);
    }
    if (rc != PR_OK) {
        graph_source_close(s);
        return rc;
    }
    *out = s;
    return PR_OK;
}

void graph_source_progress(const struct graph_source *s, uint64_t *read_bytes, uint64_t *file_bytes)
{
    *read_bytes = s->read_bytes - (s->len - s->at);
    *file_bytes = s->file_bytes;
}

void graph_source_close(struct graph_source *s)
{
    if (s == NULL)
        return;
    lzma_end(&s->xz);
    if (s->packing == GZIP)
        (void)inflateEnd(&s->gz);
    ZSTD_freeDStream(s->zstd);
    (void)close(s->fd);
    free(s->raw);
    free(s->path);
    free(s);
}

static enum pr_code step_plain(struct graph_source *s, void *buf, size_t cap, size_t *n, bool *done,
                               struct pr_err *err)
{
    if (s->at < s->len) { /* what the first bytes were told from */
        *n = s->len - s->at < cap ? s->len - s->at : cap;
        memcpy(buf, s->raw + s->at, *n);
        s->at += *n;
        return PR_OK;
    }
    const enum pr_code rc = s->ended ? PR_OK : read_file(s, buf, cap, n, err);
    *done = s->ended;
    return rc;
}

/* --- one step of each decoder: some input in, some output out ----------- */
static enum pr_code step_xz(struct graph_source *s, void *buf, size_t cap, size_t *n, bool *done,
                            struct pr_err *err)
{
    s->xz.next_in = s->raw + s->at;
    s->xz.avail_in = s->len - s->at;
    s->xz.next_out = buf;
    s->xz.avail_out = cap;
    const lzma_ret rc = lzma_code(&s->xz, s->ended ? LZMA_FINISH : LZMA_RUN);
    s->at = s->len - s->xz.avail_in;
    *n = cap - s->xz.avail_out;
    *done = rc == LZMA_STREAM_END;
    if (rc == LZMA_OK || rc == LZMA_STREAM_END)
        return PR_OK;
    return damaged(s, err,
                   rc == LZMA_BUF_ERROR        ? "the stream is cut off"
                   : rc == LZMA_MEMLIMIT_ERROR ? "needs over 1 GiB of memory"
                   : rc == LZMA_MEM_ERROR      ? "no memory"
                                               : "the stream is damaged");
}

static enum pr_code step_gzip(struct graph_source *s, void *buf, size_t cap, size_t *n, bool *done,
                              struct pr_err *err)
{
    if (s->ended && s->at == s->len && !s->inside) {
        *n = 0;
        *done = true;
        return PR_OK;
    }
    s->gz.next_in = s->raw + s->at;
    s->gz.avail_in = (uInt)(s->len - s->at);
    s->gz.next_out = buf;
    s->gz.avail_out = (uInt)cap;
    s->inside = true;
    const int rc = inflate(&s->gz, Z_NO_FLUSH);
    s->at = s->len - s->gz.avail_in;
    *n = cap - s->gz.avail_out;
    if (rc == Z_STREAM_END) { /* another member may follow */
        s->inside = false;
        return inflateReset(&s->gz) == Z_OK ? PR_OK : damaged(s, err, "the stream is damaged");
    }
    if (rc != Z_OK && rc != Z_BUF_ERROR)
        return damaged(s, err, "the stream is damaged");
    if (s->ended && s->at == s->len && *n == 0) /* nothing was held back either */
        return damaged(s, err, "the stream is cut off");
    return PR_OK;
}

static enum pr_code step_zstd(struct graph_source *s, void *buf, size_t cap, size_t *n, bool *done,
                              struct pr_err *err)
{
    ZSTD_inBuffer in = { s->raw, s->len, s->at };
    ZSTD_outBuffer out = { buf, cap, 0 };
    const size_t rc = ZSTD_decompressStream(s->zstd, &out, &in);
    const bool read_some = in.pos > s->at;
    s->at = in.pos;
    *n = out.pos;
    if (ZSTD_isError(rc))
        return damaged(s, err, ZSTD_getErrorName(rc));
    if (rc == 0)
        s->inside = false;
    else if (read_some || out.pos > 0)
        s->inside = true;
    if (s->ended && s->at == s->len && out.pos == 0) {
        *done = true;
        return s->inside ? damaged(s, err, "the stream is cut off") : PR_OK;
    }
    return PR_OK;
}

enum pr_code graph_source_read(struct graph_source *s, void *buf, size_t cap, size_t *n,
                               struct pr_err *err)
{
    bool done = false;
    *n = 0;
    if (cap > (1U << 30))
        cap = 1U << 30; /* zlib counts in 32 bits */
    while (*n == 0 && !done) {
        enum pr_code rc = s->packing == PLAIN ? PR_OK : refill(s, err);
        if (rc != PR_OK)
            return rc;
        switch (s->packing) {
        case XZ:
            rc = step_xz(s, buf, cap, n, &done, err);
            break;
        case GZIP:
            rc = step_gzip(s, buf, cap, n, &done, err);
            break;
        case ZSTD:
            rc = step_zstd(s, buf, cap, n, &done, err);
            break;
        case PLAIN:
            rc = step_plain(s, buf, cap, n, &done, err);
            break;
        }
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}
