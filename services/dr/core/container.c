#include "core/container.h"

#include "core/bytes.h"
#include "core/codec.h"

#include "prism/crc32c.h"

#include <stdlib.h>

enum {
    FORMAT = 1,
    REPLID = DR_REPLID - 1,
    HEAD = 8 + 4 + 4 + 8 + 8 + 8 + DR_HASH,
    ENTRY = DR_NAME + 8 + 4 + 4 + REPLID + 6 * 8 + 4 + 2 * DR_HASH,
};
static const char magic[8] = "PRISMDR1";

void dr_chain_hash(const uint8_t before[DR_HASH], const struct dr_piece *p, uint8_t out[DR_HASH])
{
    uint8_t text[DR_HASH + DR_NAME + 8 + 4 + 8 + 8 + DR_HASH] = { 0 };
    (void)dr_put(text, before, DR_HASH);
    (void)dr_put(text + DR_HASH, p->shard, strnlen(p->shard, DR_NAME));
    uint8_t *at = dr_put64(text + DR_HASH + DR_NAME, p->generation.epoch);
    at = dr_put32(at, p->generation.n);
    at = dr_put64(at, p->from);
    at = dr_put64(at, p->to);
    (void)dr_put(at, p->sha256, DR_HASH);
    dr_sha256(text, sizeof text, out);
}

void dr_piece_seal(struct dr_piece *p, const uint8_t before[DR_HASH], const void *raw)
{
    const size_t n = (size_t)(p->to - p->from);
    p->crc32c = pr_crc32c(0, raw, n);
    dr_sha256(raw, n, p->sha256);
    dr_chain_hash(before, p, p->chain);
}

size_t dr_container_head_bytes(size_t pieces)
{
    return HEAD + pieces * ENTRY + DR_HASH;
}

/* NULL, or what is wrong with what stored bytes do not show. */
static const char *wrong(const struct dr_piece *p)
{
    return !dr_name_ok(p->shard)               ? "its shard has no name"
           : !dr_generation_ok(&p->generation) ? "its generation is none"
           : !dr_replid_ok(p->replid)          ? "its replication id is none"
           : p->to <= p->from                  ? "it is empty"
                                               : NULL;
}

static enum pr_code put_pieces(struct dr_container *c, const void *const *raw,
                               const struct dr_codec *codec, ZSTD_CCtx *zstd, struct pr_buf *out,
                               struct pr_err *err)
{
    for (size_t i = 0; i < c->pieces; i++) {
        struct dr_piece *p = &c->piece[i];
        const char *why = wrong(p);
        if (why == NULL && pr_crc32c(0, raw[i], (size_t)(p->to - p->from)) != p->crc32c)
            why = "its bytes are not those that were sealed";
        if (why != NULL)
            return pr_fail(err, PR_EINVAL, "piece %zu of shard \"%.63s\": %s", i, p->shard, why);
        const struct dr_raw whole = { .data = raw[i],
                                      .n = (size_t)(p->to - p->from),
                                      .sha256 = p->sha256,
                                      .identity = p->chain };
        p->at = out->len;
        const enum pr_code rc = dr_pack(codec, zstd, &whole, out, &p->flags, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "piece %zu of shard %.63s", i, p->shard);
        p->stored_bytes = out->len - p->at;
    }
    return PR_OK;
}

static uint8_t *put_entry(uint8_t *at, const struct dr_piece *p)
{
    memset(at, 0, DR_NAME);
    memcpy(at, p->shard, strlen(p->shard));
    at = dr_put64(at + DR_NAME, p->generation.epoch);
    at = dr_put32(at, p->generation.n);
    at = dr_put32(at, p->flags);
    at = dr_put(at, p->replid, REPLID);
    at = dr_put64(at, p->from);
    at = dr_put64(at, p->to);
    at = dr_put64(at, (uint64_t)p->first_ms);
    at = dr_put64(at, (uint64_t)p->last_ms);
    at = dr_put64(at, p->commands);
    at = dr_put64(at, p->stored_bytes);
    at = dr_put32(at, p->crc32c);
    at = dr_put(at, p->sha256, DR_HASH);
    return dr_put(at, p->chain, DR_HASH);
}

static void put_head(const struct dr_container *c, uint8_t *start, uint8_t check[DR_HASH])
{
    uint8_t *at = dr_put(start, magic, sizeof magic);
    at = dr_put32(at, FORMAT);
    at = dr_put32(at, (uint32_t)c->pieces);
    at = dr_put64(at, c->epoch);
    at = dr_put64(at, c->seq);
    at = dr_put64(at, (uint64_t)c->made_ms);
    at = dr_put(at, c->before, DR_HASH);
    for (size_t i = 0; i < c->pieces; i++)
        at = put_entry(at, &c->piece[i]);
    dr_sha256(start, (size_t)(at - start), check);
    (void)dr_put(at, check, DR_HASH);
}

enum pr_code dr_container_write(struct dr_container *c, const void *const *raw,
                                const struct dr_codec *codec, struct pr_buf *out,
                                uint8_t check[DR_HASH], struct pr_err *err)
{
    if (c->pieces > DR_PIECES_MAX)
        return pr_fail(err, PR_EINVAL, "container of %zu pieces: at most %d", c->pieces,
                       DR_PIECES_MAX);
    const size_t head = dr_container_head_bytes(c->pieces);
    size_t most = head;
    for (size_t i = 0; i < c->pieces; i++) /* without zstd that is all; one that overflows fails */
        most += (size_t)(c->piece[i].to - c->piece[i].from) + 32;
    pr_buf_reset(out);
    if (!pr_buf_reserve(out, out->max_bytes == 0 ? most : head))
        return dr_buf_failed(out, err);
    out->len = head;

    ZSTD_CCtx *zstd = codec != NULL && codec->zstd_level != 0 ? ZSTD_createCCtx() : NULL;
    const enum pr_code rc = put_pieces(c, raw, codec, zstd, out, err);
    (void)ZSTD_freeCCtx(zstd);
    if (rc == PR_OK)
        put_head(c, (uint8_t *)out->data, check);
    else
        pr_buf_reset(out);
    return rc;
}

static void get_entry(const uint8_t *at, struct dr_piece *p)
{
    *p = (struct dr_piece){ .at = 0 };
    memcpy(p->shard, at, DR_NAME);
    at += DR_NAME;
    p->generation = (struct dr_generation_id){ .epoch = dr_get64(at), .n = dr_get32(at + 8) };
    p->flags = dr_get32(at + 12);
    at += 16;
    memcpy(p->replid, at, REPLID);
    at += REPLID;
    p->from = dr_get64(at);
    p->to = dr_get64(at + 8);
    p->first_ms = (int64_t)dr_get64(at + 16);
    p->last_ms = (int64_t)dr_get64(at + 24);
    p->commands = dr_get64(at + 32);
    p->stored_bytes = dr_get64(at + 40);
    p->crc32c = dr_get32(at + 48);
    memcpy(p->sha256, at + 52, DR_HASH);
    memcpy(p->chain, at + 52 + DR_HASH, DR_HASH);
}

/* A name, which holds one NUL at least: nothing hides behind it. */
static bool ends_in_nuls(const char name[DR_NAME])
{
    for (size_t i = strlen(name); i < DR_NAME; i++)
        if (name[i] != '\0')
            return false;
    return true;
}

/* The pieces lie behind one another up to the end of the object. */
static enum pr_code get_index(const uint8_t *at, uint64_t size, struct dr_container *c,
                              struct pr_err *err)
{
    uint64_t used = dr_container_head_bytes(c->pieces);
    for (size_t i = 0; i < c->pieces; i++, at += ENTRY) {
        struct dr_piece *p = &c->piece[i];
        get_entry(at, p);
        const char *why = wrong(p);
        if (why == NULL && !ends_in_nuls(p->shard))
            why = "its shard's name does not end where it ends";
        if (why == NULL && (p->flags & ~(uint32_t)(DR_ZSTD | DR_AES_GCM)) != 0)
            why = "it is stored in a way that is not known here";
        if (why == NULL && p->stored_bytes > size - used)
            why = "it ends beyond the object";
        if (why != NULL)
            return pr_fail(err, PR_EDATA, "container: piece %zu: %s", i, why);
        p->at = used;
        used += p->stored_bytes;
    }
    if (used != size)
        return pr_fail(err, PR_EDATA, "container of %llu bytes: its pieces end at %llu",
                       (unsigned long long)size, (unsigned long long)used);
    return PR_OK;
}

enum pr_code dr_container_read(const void *data, size_t n, uint64_t size, struct dr_container *out,
                               uint8_t check[DR_HASH], size_t *need, struct pr_err *err)
{
    const uint8_t *start = data;
    struct dr_container c = { .pieces = 0 };
    *need = dr_container_head_bytes(0);
    if (size < *need || n > size)
        return pr_fail(err, PR_EDATA, "container of %llu bytes: too short",
                       (unsigned long long)size);
    if (n < *need)
        return PR_OK;
    if (memcmp(start, magic, sizeof magic) != 0)
        return pr_fail(err, PR_EDATA, "container: it does not begin as one");
    if (dr_get32(start + 8) != FORMAT)
        return pr_fail(err, PR_EDATA, "container of format %u: known is %d", dr_get32(start + 8),
                       FORMAT);
    c.pieces = dr_get32(start + 12);
    if (c.pieces > DR_PIECES_MAX || dr_container_head_bytes(c.pieces) > size)
        return pr_fail(err, PR_EDATA, "container of %llu bytes: not of %zu pieces",
                       (unsigned long long)size, c.pieces);
    *need = dr_container_head_bytes(c.pieces);
    if (n < *need)
        return PR_OK;
    uint8_t sum[DR_HASH];
    dr_sha256(start, *need - DR_HASH, sum);
    if (memcmp(sum, start + *need - DR_HASH, DR_HASH) != 0)
        return pr_fail(err, PR_EDATA, "container: its index is damaged");
    c.epoch = dr_get64(start + 16);
    c.seq = dr_get64(start + 24);
    c.made_ms = (int64_t)dr_get64(start + 32);
    memcpy(c.before, start + 40, DR_HASH);
    c.piece = calloc(c.pieces + 1, sizeof *c.piece);
    if (c.piece == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu pieces", c.pieces);
    const enum pr_code rc = get_index(start + HEAD, size, &c, err);
    if (rc != PR_OK) {
        free(c.piece);
        return rc;
    }
    memcpy(check, sum, DR_HASH);
    *out = c;
    return PR_OK;
}

enum pr_code dr_piece_view(const struct dr_container *c, size_t i, const void *stored, size_t n,
                           const struct dr_codec *codec, struct pr_buf *room, const char **raw,
                           struct pr_err *err)
{
    const struct dr_piece *p = &c->piece[i];
    const struct dr_raw of = { .n = (size_t)(p->to - p->from),
                               .crc32c = p->crc32c,
                               .sha256 = p->sha256,
                               .identity = p->chain };
    enum pr_code rc = PR_OK;
    *raw = NULL;
    if (n != p->stored_bytes)
        rc = pr_fail(err, PR_EDATA, "%zu bytes of %llu", n, (unsigned long long)p->stored_bytes);
    if (rc == PR_OK)
        rc = dr_unpack(codec, p->flags, stored, n, &of, room, raw, err);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "piece %zu of shard %.63s", i, p->shard);
}
