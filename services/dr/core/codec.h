/* The stored form of bytes: packed by zstd, then encrypted with AES-256-GCM, each when asked for.
 * container.h says how. The core's own. */
#ifndef DR_CODEC_H
#define DR_CODEC_H

#include "core/container.h"

#include <zstd.h>

struct dr_raw {
    const void *data;
    size_t n;
    uint32_t crc32c;
    const uint8_t *sha256;   /* [DR_HASH] */
    const uint8_t *identity; /* [DR_HASH] what it is and where it belongs; never of two things */
};

/* Appends the stored form to out. zstd: to be used for many; may be NULL. codec may be
 * NULL. PR_EFULL, PR_ENOMEM, PR_EINVAL (too long). */
PR_CHECKED enum pr_code dr_pack(const struct dr_codec *codec, ZSTD_CCtx *zstd,
                                const struct dr_raw *raw, struct pr_buf *out, uint32_t *flags,
                                struct pr_err *err);

/* The n raw bytes that raw describes (data: NULL) from their stored form: *out is in stored itself
 * when they are stored as they are, else in room, which is emptied first. Errors as of
 * dr_piece_view; *out is NULL then. */
PR_CHECKED enum pr_code dr_unpack(const struct dr_codec *codec, uint32_t flags, const void *stored,
                                  size_t stored_bytes, const struct dr_raw *raw,
                                  struct pr_buf *room, const char **out, struct pr_err *err);

enum pr_code dr_buf_failed(const struct pr_buf *b, struct pr_err *err); /* PR_EFULL or PR_ENOMEM */

#endif
