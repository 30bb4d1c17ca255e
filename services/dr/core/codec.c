#include "core/codec.h"

#include "core/bytes.h"

#include "prism/crc32c.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE = 12, TAG = 16, FRONT = DR_KEY_ID + NONCE, EXTRA = FRONT + TAG };
enum { STEP = 1 << 30 }; /* libcrypto counts in int */
enum { SKIPPABLE = 12 }; /* zstd's magic, length 4, CRC-32C: a frame that unpackers pass over */
static const uint64_t most_bytes = UINT64_C(64000000000); /* AES-GCM: 64 GiB a message */

void dr_sha256(const void *data, size_t n, uint8_t out[DR_HASH])
{
    if (SHA256(data, n, out) == NULL) /* out of memory: better none than a wrong one */
        abort();
}

enum pr_code dr_buf_failed(const struct pr_buf *b, struct pr_err *err)
{
    if (b->max_bytes != 0)
        return pr_fail(err, PR_EFULL, "more than %zu bytes", b->max_bytes);
    return pr_fail(err, PR_ENOMEM, "no memory for more than %zu bytes", b->len);
}

static void derive(const uint8_t key[DR_AES_KEY], const char *use, const uint8_t of[DR_HASH],
                   uint8_t out[DR_HASH])
{
    uint8_t text[64];
    unsigned bytes = DR_HASH;
    const size_t n = strlen(use);
    memcpy(text, use, n);
    memcpy(text + n, of, DR_HASH);
    if (HMAC(EVP_sha256(), key, DR_AES_KEY, text, n + DR_HASH, out, &bytes) == NULL)
        abort(); /* as above */
}

/* What tells one key from another. */
static void key_id(const uint8_t key[DR_AES_KEY], uint8_t out[DR_HASH])
{
    static const uint8_t none[DR_HASH];
    derive(key, "prism dr key", none, out);
}

bool dr_codec_same(const struct dr_codec *codec, uint32_t flags, const uint8_t first[DR_KEY_ID])
{
    const uint8_t *aes = codec != NULL ? codec->aes_key : NULL;
    const bool secret = (flags & DR_AES_GCM) != 0;
    uint8_t id[DR_HASH];
    if (!secret || aes == NULL)
        return secret == (aes != NULL);
    key_id(aes, id);
    return memcmp(first, id, DR_KEY_ID) == 0;
}

/* Encrypts or decrypts n bytes, in place or not, `encrypt` as EVP_CipherInit_ex has it. False:
 * libcrypto has no memory, or the tag is another. */
static bool cipher(int encrypt, const uint8_t key[DR_HASH], const uint8_t nonce[NONCE],
                   const uint8_t *in, size_t n, uint8_t *out, uint8_t tag[TAG])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done = 0;
    bool ok = ctx != NULL &&
              EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
              (encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1);
    for (size_t i = 0; ok && i < n; i += STEP) {
        const int step = n - i < STEP ? (int)(n - i) : (int)STEP;
        ok = EVP_CipherUpdate(ctx, out + i, &done, in + i, step) == 1;
    }
    uint8_t none[TAG];
    ok = ok && EVP_CipherFinal_ex(ctx, none, &done) == 1 &&
         (!encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG, tag) == 1);
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

/* The frame behind a packed one of n bytes. Some bits of that one mean nothing to zstd; with this
 * one no bit is left that can change unseen. */
static void put_skippable(uint8_t *at, const void *packed, size_t n)
{
    at = dr_put32(at, ZSTD_MAGIC_SKIPPABLE_START);
    at = dr_put32(at, SKIPPABLE - 8);
    (void)dr_put32(at, pr_crc32c(0, packed, n));
}

/* Into out behind `skip` bytes of room; 0: it does not shrink. */
static size_t shrink(ZSTD_CCtx *zstd, int level, const struct dr_raw *raw, struct pr_buf *out,
                     size_t skip)
{
    uint8_t *to = (uint8_t *)out->data + out->len + skip;
    const size_t most = ZSTD_compressBound(raw->n);
    const size_t n = zstd != NULL ? ZSTD_compressCCtx(zstd, to, most, raw->data, raw->n, level)
                                  : ZSTD_compress(to, most, raw->data, raw->n, level);
    if (ZSTD_isError(n) || n + SKIPPABLE >= raw->n)
        return 0;
    put_skippable(to + n, to, n);
    return n + SKIPPABLE;
}

/* n bytes from `from`, which may be to + FRONT, into to. The identity holds the hash of the raw
 * bytes; but packed they are others when zstd or its level are others, so the nonce is made of
 * what is encrypted. */
static bool encrypt_into(const uint8_t *aes, const struct dr_raw *raw, const uint8_t *from,
                         size_t n, uint8_t *to)
{
    uint8_t key[DR_HASH], id[DR_HASH], sha256[DR_HASH], nonce[DR_HASH];
    key_id(aes, id);
    derive(aes, "prism dr object", raw->identity, key);
    if (from == raw->data)
        memcpy(sha256, raw->sha256, DR_HASH);
    else
        dr_sha256(from, n, sha256);
    derive(key, "prism dr nonce", sha256, nonce);
    memcpy(to, id, DR_KEY_ID);
    memcpy(to + DR_KEY_ID, nonce, NONCE);
    return cipher(1, key, nonce, from, n, to + FRONT, to + FRONT + n);
}

enum pr_code dr_pack(const struct dr_codec *codec, ZSTD_CCtx *zstd, const struct dr_raw *raw,
                     struct pr_buf *out, uint32_t *flags, struct pr_err *err)
{
    const uint8_t *aes = codec != NULL ? codec->aes_key : NULL;
    const int level = codec != NULL ? codec->zstd_level : 0;
    const size_t room = level != 0 ? ZSTD_compressBound(raw->n) + SKIPPABLE : raw->n;
    if (raw->n > most_bytes || room < raw->n)
        return pr_fail(err, PR_EINVAL, "%zu bytes at once", raw->n);
    if (!pr_buf_reserve(out, room + EXTRA))
        return dr_buf_failed(out, err);

    const size_t skip = aes != NULL ? FRONT : 0;
    uint8_t *const to = (uint8_t *)out->data + out->len;
    size_t n = level != 0 ? shrink(zstd, level, raw, out, skip) : 0;
    *flags = n > 0 ? DR_ZSTD : 0;
    const uint8_t *from = n > 0 ? to + skip : raw->data;
    if (n == 0)
        n = raw->n;
    if (aes != NULL) {
        if (!encrypt_into(aes, raw, from, n, to))
            return pr_fail(err, PR_ENOMEM, "encrypting %zu bytes failed", n);
        *flags |= DR_AES_GCM;
        n += EXTRA;
    } else if (from != to) {
        memcpy(to, from, n);
    }
    out->len += n;
    out->data[out->len] = '\0';
    return PR_OK;
}

/* Into out, which has the room for n - EXTRA bytes. */
static enum pr_code decrypt(const struct dr_codec *codec, const uint8_t *stored, size_t n,
                            const uint8_t *identity, uint8_t *out, struct pr_err *err)
{
    uint8_t key[DR_HASH], id[DR_HASH], tag[TAG];
    key_id(codec->aes_key, id);
    if (memcmp(stored, id, DR_KEY_ID) != 0)
        return pr_fail(err, PR_EDENIED, "encrypted with another key");
    derive(codec->aes_key, "prism dr object", identity, key);
    memcpy(tag, stored + n - TAG, TAG);
    if (!cipher(0, key, stored + DR_KEY_ID, stored + FRONT, n - EXTRA, out, tag))
        return pr_fail(err, PR_EDATA, "damaged: its tag does not agree");
    return PR_OK;
}

static enum pr_code expand(const uint8_t *stored, size_t n, const struct dr_raw *raw,
                           struct pr_buf *out, struct pr_err *err)
{
    uint8_t behind[SKIPPABLE];
    if (n < SKIPPABLE)
        return pr_fail(err, PR_EDATA, "damaged: packed in %zu bytes", n);
    n -= SKIPPABLE;
    put_skippable(behind, stored, n);
    if (memcmp(behind, stored + n, SKIPPABLE) != 0)
        return pr_fail(err, PR_EDATA, "damaged: its packed form has another CRC-32C");
    /* what the frame says, before memory is asked for */
    if (ZSTD_getFrameContentSize(stored, n) != raw->n)
        return pr_fail(err, PR_EDATA, "damaged: not packed from %zu bytes", raw->n);
    if (!pr_buf_reserve(out, raw->n))
        return dr_buf_failed(out, err);
    const size_t got = ZSTD_decompress(out->data, raw->n, stored, n);
    if (ZSTD_isError(got))
        return pr_fail(err, PR_EDATA, "damaged: %s", ZSTD_getErrorName(got));
    if (got != raw->n)
        return pr_fail(err, PR_EDATA, "damaged: unpacks to %zu bytes, not %zu", got, raw->n);
    return PR_OK;
}

/* *out are raw->n bytes then, whatever they are. */
static enum pr_code open_stored(const struct dr_codec *codec, uint32_t flags, const uint8_t *stored,
                                size_t n, const struct dr_raw *raw, struct pr_buf *room,
                                const char **out, struct pr_err *err)
{
    const bool packed = (flags & DR_ZSTD) != 0, secret = (flags & DR_AES_GCM) != 0;
    enum pr_code rc = PR_OK;
    if (secret && (codec == NULL || codec->aes_key == NULL))
        return pr_fail(err, PR_EDENIED, "encrypted, and no key is given");
    if ((secret && n < EXTRA) || (!packed && n - (secret ? EXTRA : 0) != raw->n))
        return pr_fail(err, PR_EDATA, "damaged: %zu bytes are stored of %zu", n, raw->n);
    if (!secret && !packed) {
        *out = (const char *)stored;
        return PR_OK;
    }
    if (!secret) {
        rc = expand(stored, n, raw, room, err);
    } else if (!packed) {
        if (!pr_buf_reserve(room, raw->n))
            return dr_buf_failed(room, err);
        rc = decrypt(codec, stored, n, raw->identity, (uint8_t *)room->data, err);
    } else {
        uint8_t *plain = malloc(n);
        if (plain == NULL)
            return pr_fail(err, PR_ENOMEM, "no memory for %zu bytes", n);
        rc = decrypt(codec, stored, n, raw->identity, plain, err);
        if (rc == PR_OK)
            rc = expand(plain, n - EXTRA, raw, room, err);
        free(plain);
    }
    *out = room->data;
    return rc;
}

enum pr_code dr_unpack(const struct dr_codec *codec, uint32_t flags, const void *stored,
                       size_t stored_bytes, const struct dr_raw *raw, struct pr_buf *room,
                       const char **out, struct pr_err *err)
{
    uint8_t sha256[DR_HASH];
    const char *data = NULL;
    *out = NULL;
    pr_buf_reset(room);
    const enum pr_code rc = open_stored(codec, flags, stored, stored_bytes, raw, room, &data, err);
    if (rc != PR_OK) {
        pr_buf_reset(room);
        return rc;
    }
    const bool sum_ok = pr_crc32c(0, data, raw->n) == raw->crc32c;
    if (sum_ok)
        dr_sha256(data, raw->n, sha256);
    if (!sum_ok || memcmp(sha256, raw->sha256, DR_HASH) != 0) {
        pr_buf_reset(room);
        return pr_fail(err, PR_EDATA, "damaged: its %s is another", sum_ok ? "SHA-256" : "CRC-32C");
    }
    *out = data;
    return PR_OK;
}
