/* Binary edge lists: little-endian pairs of ids; triples (a 32-bit weight
 * behind each pair) when the file begins with the 8 bytes PRISMEW1. */
#include "internal.h"

#include <stdlib.h>

enum { CHUNK_BYTES = 1 << 18 };

struct binary {
    struct graph_feed *feed;
    size_t id_bytes, record;
    bool weighted;
    uint64_t edges; /* before the buffer's */
};

static inline uint32_t load32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

static inline uint64_t load64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

/* Whole records. */
static enum pr_code add_records(struct binary *b, const unsigned char *p, size_t n,
                                struct pr_err *err)
{
    const bool wide = b->id_bytes == 8;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; i < n && rc == PR_OK; i++, p += b->record) {
        const uint64_t from = wide ? load64(p) : load32(p),
                       to = wide ? load64(p + 8) : load32(p + 4);
        const uint32_t weight = b->weighted ? load32(p + 2 * b->id_bytes) : 1;
        if (weight == 0)
            return pr_fail(err, PR_EDATA, "%s: edge %llu: weight 0: want 1..4294967295",
                           b->feed->path, (unsigned long long)(b->edges + i + 1));
        rc = graph_feed_edge(b->feed, from, to, weight, err);
    }
    b->edges += n;
    return rc;
}

/* The first bytes tell whether there are weights; returns how many they are. */
static size_t parse_head(struct binary *b, const unsigned char *p, size_t len)
{
    static const char magic[] = "PRISMEW1";
    if (len < 8 || memcmp(p, magic, 8) != 0)
        return 0;
    b->weighted = true;
    b->record += 4;
    return 8;
}

enum pr_code graph_read_binary(struct graph_source *s, size_t id_bytes, struct graph_feed *f,
                               struct pr_err *err)
{
    struct binary b = { .feed = f, .id_bytes = id_bytes, .record = 2 * id_bytes };
    unsigned char *buf = malloc(CHUNK_BYTES);
    size_t len = 0;
    bool head = true;
    enum pr_code rc = PR_OK;
    if (buf == NULL)
        return pr_fail(err, PR_ENOMEM, "%s: no memory", f->path);
    for (size_t got = 1; got > 0;) {
        rc = graph_source_read(s, buf + len, CHUNK_BYTES - len, &got, err);
        if (rc != PR_OK)
            break;
        len += got;
        if (head && len < 8 && got > 0)
            continue;
        size_t at = head ? parse_head(&b, buf, len) : 0;
        head = false;
        const size_t n = (len - at) / b.record;
        rc = add_records(&b, buf + at, n, err);
        if (rc != PR_OK)
            break;
        at += n * b.record;
        memmove(buf, buf + at, len - at);
        len -= at;
    }
    if (rc == PR_OK && len > 0)
        rc = pr_fail(err, PR_EDATA, "%s: ends inside edge %llu: %zu of its %zu bytes", f->path,
                     (unsigned long long)(b.edges + 1), len, b.record);
    free(buf);
    return rc;
}
