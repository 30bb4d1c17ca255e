/* Binary edge lists: little-endian pairs of ids; triples (a 32-bit weight
 * behind each pair) when the file begins with the 8 bytes PRISMEW1. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20 };

static uint64_t little_endian(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static enum pr_code add_record(const unsigned char *p, const char *path, size_t id_bytes,
                               bool weighted, struct graph_list *g, struct pr_err *err)
{
    const uint64_t from = little_endian(p, id_bytes), to = little_endian(p + id_bytes, id_bytes);
    const uint64_t weight = weighted ? little_endian(p + 2 * id_bytes, 4) : 1;
    if (from > INT64_MAX || to > INT64_MAX)
        return pr_fail(err, PR_EDATA, "%s: edge %zu: id over 2^63-1 (negative?)", path,
                       g->edges.n + 1);
    if (weight == 0)
        return pr_fail(err, PR_EDATA, "%s: edge %zu: weight 0: want 1..4294967295", path,
                       g->edges.n + 1);
    if (!graph_list_add(g, from, to, (uint32_t)weight))
        return pr_fail(err, PR_ENOMEM, "%s: no memory for %zu edges", path, g->edges.n + 1);
    return PR_OK;
}

enum pr_code graph_read_binary(struct graph_source *s, const char *path, size_t id_bytes,
                               struct graph_list *g, struct pr_err *err)
{
    static const char magic[] = "PRISMEW1";
    unsigned char *buf = malloc(CHUNK_BYTES);
    size_t len = 0, record = 2 * id_bytes;
    bool first = true, weighted = false;
    enum pr_code rc = PR_OK;
    if (buf == NULL)
        return pr_fail(err, PR_ENOMEM, "%s: no memory", path);
    for (size_t got = 1; got > 0;) {
        rc = graph_source_read(s, buf + len, CHUNK_BYTES - len, &got, err);
        if (rc != PR_OK)
            break;
        len += got;
        if (len < 8 && got > 0)
            continue;
        size_t at = 0;
        if (first && len >= 8 && memcmp(buf, magic, 8) == 0) {
            weighted = true;
            record += 4;
            at = 8;
        }
        first = false;
        for (; rc == PR_OK && len - at >= record; at += record)
            rc = add_record(buf + at, path, id_bytes, weighted, g, err);
        if (rc != PR_OK)
            break;
        memmove(buf, buf + at, len - at);
        len -= at;
    }
    if (rc == PR_OK && len > 0)
        rc = pr_fail(err, PR_EDATA, "%s: ends inside edge %zu: %zu of its %zu bytes", path,
                     g->edges.n + 1, len, record);
    free(buf);
    return rc;
}
