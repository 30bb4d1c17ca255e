/* What look-ups answer from: an immutable, reference counted picture of the
 * store. Pure: filled by the loader, then only read; any number of threads may
 * read one snapshot. It is made of parts (topology, route deltas, tokens) that
 * several snapshots share, so that a new delta does not copy the topology.
 * Source: docs/explanation/architecture.md, "Look-ups". */
#ifndef METADATA_API_SNAPSHOT_H
#define METADATA_API_SNAPSHOT_H

#include "api_access.h"
#include "prism/arena.h"
#include "prism/buf.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { API_NAME = 64, API_NONE = -1, API_HASH_BYTES = 32 };

struct api_zone {
    char id[32], subnet[64]; /* subnet "": none */
    double capacity_ratio;
    uint64_t revision;
};

struct api_node {
    char id[API_NAME], host[256], placement_group[API_NAME], redis_id[48], shard[API_NAME];
    char role[12], state[16], seen_at[40]; /* "" where unknown */
    int port, slots, zone;                 /* zone: index or API_NONE */
    uint64_t revision, generation;         /* generation: revision of what is wanted of it */
};

struct api_shard {
    char id[API_NAME], home_zone[32]; /* home_zone "": unknown */
    int primary;                      /* index of a node or API_NONE */
    int *replica;                     /* [replicas], indexes of nodes; in the topology's arena */
    int replicas, slots;
    uint64_t revision;
};

struct api_slot {
    int16_t node, zone, shard; /* indexes or API_NONE */
};

struct api_load { /* what is known of one partition's content */
    int64_t vertices, bytes;
    char accessed_at[40], temperature[8]; /* temperature "": nothing known */
};

struct api_topo {
    int refs_;
    struct pr_arena arena;
    uint32_t partitions;   /* 0: there is no store */
    struct api_zone *zone; /* all sorted by id */
    struct api_node *node;
    struct api_shard *shard;
    size_t zones, nodes, shards;
    struct api_slot *slot;    /* [PR_SLOTS] */
    uint16_t *partition_slot; /* [partitions] */
    struct api_load *load;    /* [partitions] */
    size_t covered;           /* slots with an owner */
    uint64_t revision;        /* of the newest row in it */
};

struct api_deltas {
    int refs_;
    int64_t *id; /* [n], ascending: the rows merged */
    size_t n;
    struct pr_buf routes; /* packed, sorted; an entry may name its home */
    int64_t run;          /* newest finished placement run; 0 none */
    uint64_t revision;    /* of that run */
    uint64_t generation;  /* grows when base blobs changed under the deltas */
    int64_t newest;       /* highest delta id ever seen */
};

struct api_token {
    unsigned char hash[API_HASH_BYTES]; /* SHA-256 of the token */
    char name[API_NAME];
    enum api_role role;
    int64_t expires_ms; /* Unix epoch; INT64_MAX: never */
    bool revoked;
};

struct api_tokens {
    int refs_;
    struct api_token *token;
    size_t n;
};

struct api_snapshot {
    int refs_;
    struct api_topo *topo; /* never NULL; each holds a reference */
    struct api_deltas *deltas;
    struct api_tokens *tokens;
    int64_t topo_at_ms, deltas_at_ms, tokens_at_ms; /* monotonic: when confirmed */
};

/* Empty parts with one reference; NULL without memory. */
struct api_topo *api_topo_new(void);
struct api_deltas *api_deltas_new(void);
struct api_tokens *api_tokens_new(size_t n);
void api_topo_unref(struct api_topo *t); /* NULL is fine */
void api_deltas_unref(struct api_deltas *d);
void api_tokens_unref(struct api_tokens *t);

/* Takes references of its own to the parts. */
struct api_snapshot *api_snapshot_new(struct api_topo *t, struct api_deltas *d,
                                      struct api_tokens *k);
struct api_snapshot *api_snapshot_ref(struct api_snapshot *s);
void api_snapshot_unref(struct api_snapshot *s); /* NULL is fine */

/* Fixes the number of partitions and allocates what depends on it. */
PR_CHECKED enum pr_code api_topo_size(struct api_topo *t, uint32_t partitions, struct pr_err *err);

/* Indexes by id, API_NONE when absent. */
int api_topo_zone(const struct api_topo *t, const char *id);
int api_topo_node(const struct api_topo *t, const char *id);
int api_topo_shard(const struct api_topo *t, const char *id);

/* out = older overlaid by newer (both packed and sorted). Unlike
 * pr_routes_merge it keeps an entry that names its home: it hides the base's. */
PR_CHECKED enum pr_code api_deltas_merge(const struct pr_buf *older, const void *newer,
                                         size_t newer_bytes, struct pr_buf *out);

/* How to get from the delta rows merged so far to those that exist now. */
struct api_delta_step {
    bool same;    /* nothing to do */
    bool rebuild; /* merge all of now[]; otherwise now[first..] over what there is */
    bool folded;  /* rows went into the base blobs: the blobs changed */
    size_t first;
};
/* now: [n], ascending. heard: highest delta id any event named; when it was
 * never seen as a row it came and was folded between two looks. */
struct api_delta_step api_deltas_step(const struct api_deltas *have, const int64_t *now, size_t n,
                                      int64_t heard);

/* Where a partition lives now. */
struct api_place {
    uint32_t partition;
    uint16_t slot;
    const struct api_node *node;   /* primary; NULL: the slot has no owner */
    const struct api_zone *zone;   /* NULL: unknown */
    const struct api_shard *shard; /* NULL as node */
};
struct api_place api_place_of(const struct api_topo *t, uint32_t partition);

/* Token with this hash, compared in constant time whatever the hash; NULL when
 * there is none. */
const struct api_token *api_token_find(const struct api_tokens *t,
                                       const unsigned char hash[API_HASH_BYTES]);

#endif
