/* Base blobs of routes, loaded at the first look-up of a home partition and
 * kept, 12 bytes a routed vertex, least recently used out first. Thread-safe:
 * a look-up waits for PostgreSQL only when the blob is cold. */
#ifndef METADATA_API_BLOBS_H
#define METADATA_API_BLOBS_H

#include "pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_blobs;

struct api_blob_key {
    int64_t run; /* 0: current routes; else the target of that run */
    uint32_t home;
};

/* What a look-up accepts. A blob of an older generation, loaded before
 * since_ms, or older than the cache's time to live is loaded again; when that
 * fails, one that is merely past its time to live is still used. */
struct api_blob_want {
    uint64_t generation;
    int64_t since_ms, now_ms; /* monotonic */
    bool here;                /* only what is in memory: when it is cold, PR_EUNAVAIL at once */
};

PR_CHECKED enum pr_code api_blobs_open(struct api_blobs **b, struct api_pool *pool,
                                       size_t max_bytes, int64_t ttl_ms, struct pr_err *err);
void api_blobs_close(struct api_blobs *b); /* NULL is fine */

/* *found is false when the vertex has no route there. */
PR_CHECKED enum pr_code api_blobs_find(struct api_blobs *b, struct api_blob_key key,
                                       const struct api_blob_want *want, uint32_t partitions,
                                       uint64_t hash, bool *found, uint32_t *partition,
                                       struct pr_err *err);
/* Loads what is cold of several homes with one statement; a failure shows in
 * the look-ups that follow. */
void api_blobs_warm(struct api_blobs *b, int64_t run, const uint32_t *homes, size_t n,
                    const struct api_blob_want *want, uint32_t partitions);

struct api_blob_stats {
    size_t bytes, entries;
    uint64_t hits, loads, evicted;
};
void api_blobs_stats(struct api_blobs *b, struct api_blob_stats *out);

#endif
