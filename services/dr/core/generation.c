#include "core/generation.h"

#include "core/bytes.h"
#include "core/codec.h"

#include "prism/crc32c.h"

#include <stdlib.h>

enum { IDENTITY = 2 * DR_NAME + 8 + 4 };

/* Where it is: of which cluster, shard and generation. */
static uint8_t *put_identity(uint8_t *at, const struct dr_generation *g)
{
    memset(at, 0, IDENTITY);
    memcpy(at, g->cluster, strnlen(g->cluster, DR_NAME));
    memcpy(at + DR_NAME, g->shard, strnlen(g->shard, DR_NAME));
    at = dr_put64(at + 2 * (size_t)DR_NAME, g->id.epoch);
    return dr_put32(at, g->id.n);
}

/* Folded part by part, so that no memory is needed for them. */
void dr_generation_seal(struct dr_generation *g)
{
    uint8_t text[IDENTITY + DR_REPLID + 8 + 8] = { 0 };
    uint8_t *at = put_identity(text, g);
    memcpy(at, g->replid, strnlen(g->replid, DR_REPLID));
    at = dr_put64(at + DR_REPLID, g->offset);
    (void)dr_put64(at, g->parts);
    dr_sha256(text, sizeof text, g->chain);
    for (size_t i = 0; i < g->parts; i++) {
        uint8_t fold[DR_HASH + 8 + DR_HASH];
        at = dr_put(fold, g->chain, DR_HASH);
        at = dr_put64(at, g->part[i].bytes);
        (void)dr_put(at, g->part[i].sha256, DR_HASH);
        dr_sha256(fold, sizeof fold, g->chain);
    }
}

/* 1 to room - 1 printable characters that JSON writes as they are. */
static bool text_ok(const char *s, size_t room)
{
    const size_t n = strnlen(s, room);
    for (size_t i = 0; i < n; i++)
        if (s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\')
            return false;
    return n > 0 && n < room;
}

const char *dr_generation_wrong(const struct dr_generation *g)
{
    if (!dr_name_ok(g->cluster))
        return "cluster";
    if (!dr_name_ok(g->shard))
        return "shard";
    if (!dr_name_ok(g->group))
        return "group";
    if (!dr_generation_ok(&g->id))
        return "generation";
    if (!dr_replid_ok(g->replid))
        return "replid";
    if (g->offset > INT64_MAX)
        return "offset";
    if (!text_ok(g->source, sizeof g->source))
        return "source";
    if (!text_ok(g->server_version, sizeof g->server_version))
        return "server_version";
    if (g->keys > INT64_MAX && g->keys != UINT64_MAX)
        return "keys";
    if (g->slot_epoch > INT64_MAX)
        return "slot_epoch";
    if (g->parts < 1 || g->parts > DR_PARTS_MAX)
        return "parts";
    for (size_t i = 0; i < g->parts; i++) {
        const struct dr_part *p = &g->part[i];
        if (p->bytes < 1 || p->bytes > INT64_MAX || p->stored_bytes < 1 ||
            p->stored_bytes > INT64_MAX || (p->flags & ~(uint32_t)(DR_ZSTD | DR_AES_GCM)) != 0)
            return "parts";
    }
    return NULL;
}

void dr_generation_done(struct dr_generation *g)
{
    free(g->part);
    g->part = NULL;
    g->parts = 0;
}

static void part_identity(const struct dr_generation *g, uint32_t part,
                          const uint8_t sha256[DR_HASH], uint8_t out[DR_HASH])
{
    uint8_t text[IDENTITY + 4 + DR_HASH];
    uint8_t *at = dr_put32(put_identity(text, g), part);
    (void)dr_put(at, sha256, DR_HASH);
    dr_sha256(text, sizeof text, out);
}

enum pr_code dr_part_write(const struct dr_generation *g, uint32_t part, const void *raw, size_t n,
                           const struct dr_codec *codec, struct dr_part *out, struct pr_buf *stored,
                           struct pr_err *err)
{
    uint8_t identity[DR_HASH];
    if (n == 0 || part >= DR_PARTS_MAX)
        return pr_fail(err, PR_EINVAL, "part %u of %zu bytes: there can be none", part, n);
    struct dr_part p = { .bytes = n, .crc32c = pr_crc32c(0, raw, n) };
    dr_sha256(raw, n, p.sha256);
    part_identity(g, part, p.sha256, identity);
    const struct dr_raw whole = { .data = raw, .n = n, .sha256 = p.sha256, .identity = identity };
    pr_buf_reset(stored);
    const enum pr_code rc = dr_pack(codec, NULL, &whole, stored, &p.flags, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "part %u", part);
    p.stored_bytes = stored->len;
    *out = p;
    return PR_OK;
}

enum pr_code dr_part_view(const struct dr_generation *g, uint32_t part, const void *stored,
                          size_t n, const struct dr_codec *codec, struct pr_buf *room,
                          const char **raw, struct pr_err *err)
{
    uint8_t identity[DR_HASH];
    *raw = NULL;
    if (part >= g->parts)
        return pr_fail(err, PR_EINVAL, "part %u of %zu: there is none", part, g->parts);
    const struct dr_part *p = &g->part[part];
    part_identity(g, part, p->sha256, identity);
    const struct dr_raw of = {
        .n = (size_t)p->bytes, .crc32c = p->crc32c, .sha256 = p->sha256, .identity = identity
    };
    enum pr_code rc = PR_OK;
    if (n != p->stored_bytes)
        rc = pr_fail(err, PR_EDATA, "%zu bytes of %llu", n, (unsigned long long)p->stored_bytes);
    if (rc == PR_OK)
        rc = dr_unpack(codec, p->flags, stored, n, &of, room, raw, err);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "part %u", part);
}
