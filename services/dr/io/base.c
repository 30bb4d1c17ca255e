#include "io/base.h"

#include "core/rdb.h"
#include "format/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dr_base {
    struct dr_generation g; /* part: owned, room parts */
    struct dr_base_to to;
    size_t room;
    struct pr_buf raw, stored;
    uint64_t bytes;
    bool tried; /* to write its manifest: it is as it is */
};

enum pr_code dr_base_begin(struct dr_base **out, const struct dr_generation *g,
                           const struct dr_base_to *to, struct pr_err *err)
{
    struct dr_base *b = calloc(1, sizeof *b);
    if (b == NULL)
        return pr_fail(err, PR_ENOMEM, "shard %s: no memory for a base", g->shard);
    b->g = *g;
    b->g.part = NULL;
    b->g.parts = 0;
    b->g.keys = UINT64_MAX;
    b->to = *to;
    pr_buf_init(&b->raw, 0);
    pr_buf_init(&b->stored, 0);
    *out = b;
    return PR_OK;
}

void dr_base_free(struct dr_base *b)
{
    if (b == NULL)
        return;
    pr_buf_done(&b->raw);
    pr_buf_done(&b->stored);
    free(b->g.part);
    free(b);
}

uint64_t dr_base_bytes(const struct dr_base *b)
{
    return b->bytes;
}

static enum pr_code no_memory(const struct dr_base *b, struct pr_err *err)
{
    return pr_fail(err, PR_ENOMEM, "shard %s: no memory for a part of its base", b->g.shard);
}

static enum pr_code look_at_head(struct dr_base *b, struct pr_err *err)
{
    struct dr_rdb_head head;
    if (!dr_rdb_head(b->raw.data, b->raw.len, &head))
        return pr_fail(err, PR_EDATA, "shard %s: what %s sent is no RDB", b->g.shard, b->g.source);
    if (head.has_keys)
        b->g.keys = head.keys;
    (void)snprintf(b->g.server_version, sizeof b->g.server_version, "%s", head.version);
    return PR_OK;
}

/* The same bytes may be there: the same part was uploaded before and its answer lost. */
static enum pr_code put(struct dr_base *b, const struct dr_key *k, const struct pr_buf *data,
                        const char *type, struct pr_err *err)
{
    const struct pr_s3_put how = { .if_none_match = true,
                                   .same_is_done = true,
                                   .content_type = type };
    char key[DR_KEY];
    const enum pr_code rc = dr_key_print(k, key, err);
    if (rc == PR_OK && !b->to.sure(b->to.ctx))
        return pr_fail(err, PR_EFENCED, "shard %s: base: the lease is not certain", b->g.shard);
    return rc == PR_OK ? pr_s3_put(b->to.s3, key, data->data, data->len, &how, NULL, err) : rc;
}

static void name_object(const struct dr_base *b, enum dr_key_kind kind, uint32_t part,
                        struct dr_key *k)
{
    *k = (struct dr_key){ .kind = kind, .generation = b->g.id, .part = part };
    memcpy(k->cluster, b->g.cluster, sizeof k->cluster);
    memcpy(k->name, b->g.shard, sizeof k->name);
}

static enum pr_code upload_part(struct dr_base *b, struct pr_err *err)
{
    struct dr_key k;
    if (b->g.parts == 0) {
        const enum pr_code rc = look_at_head(b, err);
        if (rc != PR_OK)
            return rc;
    }
    if (b->g.parts == b->room) {
        const size_t room = b->room == 0 ? 16 : 2 * b->room;
        struct dr_part *part = realloc(b->g.part, room * sizeof *part);
        if (part == NULL)
            return no_memory(b, err);
        b->g.part = part;
        b->room = room;
    }
    const uint32_t no = (uint32_t)b->g.parts;
    pr_buf_reset(&b->stored);
    enum pr_code rc = dr_part_write(&b->g, no, b->raw.data, b->raw.len, b->to.codec, &b->g.part[no],
                                    &b->stored, err);
    if (rc == PR_OK) {
        name_object(b, DR_KEY_BASE, no, &k);
        rc = put(b, &k, &b->stored, NULL, err);
    }
    if (rc == PR_OK) {
        b->g.parts++;
        pr_buf_reset(&b->raw);
    }
    return rc;
}

enum pr_code dr_base_add(struct dr_base *b, const void *data, size_t n, struct pr_err *err)
{
    const char *at = data;
    while (n > 0) {
        const size_t left = b->to.part_bytes - b->raw.len, take = n < left ? n : left;
        pr_buf_add(&b->raw, at, take);
        if (b->raw.failed)
            return no_memory(b, err);
        at += take;
        n -= take;
        b->bytes += take;
        if (b->raw.len == b->to.part_bytes) {
            const enum pr_code rc = upload_part(b, err);
            if (rc != PR_OK)
                return rc;
        }
    }
    return PR_OK;
}

enum pr_code dr_base_seal(struct dr_base *b, int64_t ended_ms, uint8_t chain[DR_HASH],
                          struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (b->bytes == 0)
        return pr_fail(err, PR_EDATA, "shard %s: %s sent an empty base", b->g.shard, b->g.source);
    if (b->raw.len > 0)
        rc = upload_part(b, err);
    if (rc != PR_OK)
        return rc;
    b->g.ended_ms = ended_ms;
    dr_generation_seal(&b->g);
    memcpy(chain, b->g.chain, DR_HASH);
    return PR_OK;
}

void dr_base_end(struct dr_base *b, int64_t ended_ms)
{
    if (!b->tried && ended_ms > b->g.ended_ms)
        b->g.ended_ms = ended_ms;
}

enum pr_code dr_base_publish(struct dr_base *b, bool *exists, struct pr_err *err)
{
    struct dr_key k;
    *exists = false;
    b->tried = true;
    pr_buf_reset(&b->stored);
    enum pr_code rc = dr_generation_write(&b->g, &b->stored, err);
    if (rc == PR_OK) {
        name_object(b, DR_KEY_GENERATION, 0, &k);
        rc = put(b, &k, &b->stored, "application/json", err);
        *exists = rc != PR_EFENCED && rc != PR_EEXISTS && rc != PR_EDENIED;
    }
    return rc;
}
