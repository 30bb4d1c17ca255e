/* A trace's bytes: as they are, or decompressed. */
#include "cli/backtest_file.h"

#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 1 << 16 };

static enum pr_code read_bytes(const char *path, struct pr_buf *to, struct pr_err *err)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return pr_fail(err, PR_ENOTFOUND, "%.160s: %s", path, strerror(errno));
    char block[BLOCK];
    size_t n;
    errno = 0;
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        pr_buf_add(to, block, n);
    const int failed = ferror(f) != 0 ? (errno != 0 ? errno : EIO) : 0;
    (void)fclose(f);
    if (failed != 0)
        return pr_fail(err, PR_EUNAVAIL, "%.160s: %s", path, strerror(failed));
    return to->failed ? pr_fail(err, PR_EFULL, "%.160s is larger than 1 GiB", path) : PR_OK;
}

static enum pr_code unpack(const char *path, const struct pr_buf *from, struct pr_buf *to,
                           struct pr_err *err)
{
    lzma_stream s = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&s, UINT64_C(1) << 30, LZMA_CONCATENATED) != LZMA_OK)
        return pr_fail(err, PR_ENOMEM, "%.160s: xz", path);
    s.next_in = (const uint8_t *)from->data;
    s.avail_in = from->len;
    lzma_ret rc = LZMA_OK;
    while (rc == LZMA_OK && !to->failed) {
        uint8_t block[BLOCK];
        s.next_out = block;
        s.avail_out = sizeof block;
        rc = lzma_code(&s, LZMA_FINISH);
        pr_buf_add(to, block, sizeof block - s.avail_out);
    }
    lzma_end(&s);
    if (to->failed)
        return pr_fail(err, PR_EFULL, "%.160s is larger than 1 GiB", path);
    return rc == LZMA_STREAM_END ? PR_OK
                                 : pr_fail(err, PR_EDATA, "%.160s: damaged xz, or cut off", path);
}

enum pr_code backtest_file(const char *path, struct pr_buf *out, struct pr_err *err)
{
    static const char magic[] = { '\xfd', '7', 'z', 'X', 'Z', '\0' };
    const size_t most = (size_t)1 << 30;
    struct pr_buf raw;
    pr_buf_init(out, most);
    pr_buf_init(&raw, most);
    enum pr_code rc = read_bytes(path, &raw, err);
    if (rc == PR_OK && raw.len >= sizeof magic && memcmp(raw.data, magic, sizeof magic) == 0) {
        rc = unpack(path, &raw, out, err);
    } else if (rc == PR_OK) {
        *out = raw;
        pr_buf_init(&raw, most);
    }
    pr_buf_done(&raw);
    return rc;
}
