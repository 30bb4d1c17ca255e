#include "prism/routes.h"

#include "prism/slot.h"

#include <stdlib.h>
#include <string.h>

static uint64_t get_le(const unsigned char *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

size_t pr_routes_count(size_t bytes)
{
    return bytes / PR_ROUTE_BYTES;
}

struct pr_route pr_routes_at(const void *blob, size_t i)
{
    const unsigned char *p = (const unsigned char *)blob + i * PR_ROUTE_BYTES;
    return (struct pr_route){ get_le(p, 8), (uint32_t)get_le(p + 8, 4) };
}

enum pr_code pr_routes_check(const void *blob, size_t bytes, uint32_t partitions,
                             struct pr_err *err)
{
    if (bytes % PR_ROUTE_BYTES != 0)
        return pr_fail(err, PR_EDATA, "route blob of %zu bytes, not a multiple of %d", bytes,
                       PR_ROUTE_BYTES);
    uint64_t last = 0;
    for (size_t i = 0; i < pr_routes_count(bytes); i++) {
        struct pr_route r = pr_routes_at(blob, i);
        if (r.partition >= partitions)
            return pr_fail(err, PR_EDATA, "route entry %zu names partition %u of %u", i,
                           r.partition, partitions);
        if (i > 0 && r.hash <= last)
            return pr_fail(err, PR_EDATA, "route entry %zu is out of order", i);
        last = r.hash;
    }
    return PR_OK;
}

bool pr_routes_find(const void *blob, size_t bytes, uint64_t hash, uint32_t *partition)
{
    size_t lo = 0, hi = pr_routes_count(bytes);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        struct pr_route r = pr_routes_at(blob, mid);
        if (r.hash == hash) {
            *partition = r.partition;
            return true;
        }
        if (r.hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

void pr_routes_add(struct pr_buf *b, uint64_t hash, uint32_t partition)
{
    pr_buf_u64le(b, hash);
    pr_buf_u32le(b, partition);
}

struct indexed {
    struct pr_route r;
    size_t at; /* given order, to keep the last of equals */
};

static int by_hash(const void *a, const void *b)
{
    const struct indexed *x = a, *y = b;
    if (x->r.hash != y->r.hash)
        return x->r.hash < y->r.hash ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void put(unsigned char *p, struct pr_route r)
{
    for (unsigned i = 0; i < 8; i++)
        p[i] = (unsigned char)(r.hash >> (8 * i));
    for (unsigned i = 0; i < 4; i++)
        p[8 + i] = (unsigned char)(r.partition >> (8 * i));
}

enum pr_code pr_routes_sort(void *blob, size_t bytes, size_t *out_bytes)
{
    const size_t n = pr_routes_count(bytes);
    struct indexed *v = malloc((n + 1) * sizeof *v);
    if (v == NULL)
        return PR_ENOMEM;
    for (size_t i = 0; i < n; i++)
        v[i] = (struct indexed){ pr_routes_at(blob, i), i };
    qsort(v, n, sizeof *v, by_hash);

    unsigned char *to = blob;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && v[i + 1].r.hash == v[i].r.hash)
            continue;
        put(to, v[i].r);
        to += PR_ROUTE_BYTES;
    }
    free(v);
    *out_bytes = (size_t)(to - (unsigned char *)blob);
    return PR_OK;
}

static void add_unless_home(struct pr_buf *out, struct pr_route r, uint32_t partitions)
{
    if (pr_home_partition(r.hash, partitions) != r.partition)
        pr_routes_add(out, r.hash, r.partition);
}

enum pr_code pr_routes_merge(const void *base, size_t base_bytes, const void *delta,
                             size_t delta_bytes, uint32_t partitions, struct pr_buf *out)
{
    const size_t nb = pr_routes_count(base_bytes), nd = pr_routes_count(delta_bytes);
    size_t b = 0, d = 0;
    while (b < nb || d < nd) {
        if (d == nd) {
            add_unless_home(out, pr_routes_at(base, b++), partitions);
            continue;
        }
        struct pr_route rd = pr_routes_at(delta, d);
        if (b < nb) {
            struct pr_route rb = pr_routes_at(base, b);
            if (rb.hash < rd.hash) {
                add_unless_home(out, rb, partitions);
                b++;
                continue;
            }
            if (rb.hash == rd.hash)
                b++;
        }
        add_unless_home(out, rd, partitions);
        d++;
    }
    return out->failed ? PR_ENOMEM : PR_OK;
}
