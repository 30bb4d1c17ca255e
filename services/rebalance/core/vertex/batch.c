#include "core/vertex/batch.h"

#include "prism/slot.h"

#include <stdlib.h>
#include <string.h>

void rebalance_batch_add(struct pr_buf *b, const char *id, size_t id_len, uint32_t from,
                         uint32_t to)
{
    const uint8_t len = (uint8_t)id_len;
    if (!pr_buf_reserve(b, 9 + id_len))
        return;
    pr_buf_add(b, &len, 1);
    pr_buf_add(b, id, id_len);
    pr_buf_u32le(b, from);
    pr_buf_u32le(b, to);
}

static uint32_t get_u32le(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int by_hash_then_id(const void *a, const void *b)
{
    const struct rebalance_vertex *x = a, *y = b;
    const uint64_t hx = pr_vertex_hash(x->id, x->id_len), hy = pr_vertex_hash(y->id, y->id_len);
    if (hx != hy)
        return hx < hy ? -1 : 1;
    if (x->id_len != y->id_len)
        return x->id_len < y->id_len ? -1 : 1;
    return memcmp(x->id, y->id, x->id_len);
}

static size_t drop_repeats(struct rebalance_vertex *v, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || by_hash_then_id(&v[kept - 1], &v[i]) != 0)
            v[kept++] = v[i];
    return kept;
}

enum pr_code rebalance_batch_unpack(const void *data, size_t bytes, uint32_t partitions,
                                    struct rebalance_vertex *out, size_t max, size_t *n,
                                    struct pr_err *err)
{
    const unsigned char *p = data;
    size_t count = 0, at = 0;
    while (at < bytes) {
        const size_t len = p[at];
        if (bytes - at < 1 + len + 8)
            return pr_fail(err, PR_EDATA, "batch is cut at byte %zu of %zu", at, bytes);
        const char *id = (const char *)p + at + 1;
        if (!pr_vertex_id_valid(id, len))
            return pr_fail(err, PR_EDATA, "batch holds a bad vertex id at byte %zu", at);
        if (count == max)
            return pr_fail(err, PR_EFULL, "batch holds more than %zu vertices", max);
        struct rebalance_vertex v = { .id = id,
                                      .id_len = (uint8_t)len,
                                      .from = get_u32le(p + at + 1 + len),
                                      .to = get_u32le(p + at + 5 + len) };
        if (v.from >= partitions || v.to >= partitions || v.from == v.to)
            return pr_fail(err, PR_EDATA, "batch moves vertex %.*s from partition %u to %u of %u",
                           (int)len, id, v.from, v.to, partitions);
        out[count++] = v;
        at += 1 + len + 8;
    }
    if (count > 0)
        qsort(out, count, sizeof *out, by_hash_then_id);
    *n = drop_repeats(out, count);
    return PR_OK;
}
