/* Route tables: vertex hash -> partition, packed 12 bytes an entry (uint64
 * little-endian hash, uint32 little-endian partition), sorted by hash, unique.
 * A vertex that is not listed lives in its home partition. Blobs in
 * PostgreSQL (route_bases, route_deltas) and object storage have this form.
 * Two ids with one 64-bit hash share an entry: routes are hints, the stub at
 * home is the truth. Source: docs/reference/data-plane.md. */
#ifndef PRISM_ROUTES_H
#define PRISM_ROUTES_H

#include "prism/buf.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PR_ROUTE_BYTES = 12 };

struct pr_route {
    uint64_t hash;
    uint32_t partition;
};

/* PR_EDATA: length not a multiple of 12, unsorted, duplicate, or a partition
 * out of range; the text names the entry. */
PR_CHECKED enum pr_code pr_routes_check(const void *blob, size_t bytes, uint32_t partitions,
                                        struct pr_err *err);
size_t pr_routes_count(size_t bytes);
struct pr_route pr_routes_at(const void *blob, size_t i);
bool pr_routes_find(const void *blob, size_t bytes, uint64_t hash, uint32_t *partition);
void pr_routes_add(struct pr_buf *b, uint64_t hash, uint32_t partition);
/* Sorts packed entries in place by hash; of equal hashes the last given stays.
 * Returns the new length in bytes. */
PR_CHECKED enum pr_code pr_routes_sort(void *blob, size_t bytes, size_t *out_bytes);
/* out = base overlaid by delta (both sorted); an entry whose partition is the
 * hash's home partition is dropped: home needs no entry. */
PR_CHECKED enum pr_code pr_routes_merge(const void *base, size_t base_bytes, const void *delta,
                                        size_t delta_bytes, uint32_t partitions,
                                        struct pr_buf *out);

#endif
