/* What the bucket holds: containers' heads and generations' manifests. */
#ifndef DR_CATALOG_H
#define DR_CATALOG_H

#include "core/chain.h"
#include "io/each.h"

struct dr_pieces { /* owned; release with dr_pieces_done */
    struct dr_located *piece;
    char (*group)[DR_NAME]; /* [n] of each piece's container: with epoch and seq, its key */
    size_t n, room;
};
void dr_pieces_done(struct dr_pieces *p);

/* Heads of the containers of a group after key `after` ("": all), of whose pieces those are
 * appended that `wanted` (NULL: all) wants. A container that cannot be read is left out with a
 * warning: what it held is then a gap. Several threads. */
PR_CHECKED enum pr_code dr_catalog_group(const struct pr_s3_store *store, const atomic_bool *cancel,
                                         const char *cluster, const char *group, const char *after,
                                         bool (*wanted)(void *ctx, const struct dr_piece *p),
                                         void *ctx, struct dr_pieces *out, struct pr_err *err);

struct dr_object {
    char key[DR_KEY];
    uint64_t size;
    int64_t modified_ms; /* Unix epoch, by the bucket's clock */
};
struct dr_objects { /* owned; release with dr_objects_done */
    struct dr_object *object;
    size_t n, room;
};
void dr_objects_done(struct dr_objects *o);
/* What has a name of ours below prefix, behind `after` ("": all), in order; at most so many (0:
 * all). */
PR_CHECKED enum pr_code dr_catalog_list(struct pr_s3 *s3, const char *prefix, const char *after,
                                        size_t most, struct dr_objects *out, struct pr_err *err);
/* Head of one container; free c->piece. PR_EDATA: it is damaged. */
PR_CHECKED enum pr_code dr_catalog_head(struct pr_s3 *s3, const struct dr_object *o,
                                        struct dr_container *c, struct pr_err *err);
/* One manifest; dr_generation_done. PR_EDATA: it is damaged. */
PR_CHECKED enum pr_code dr_catalog_manifest(struct pr_s3 *s3, const char *key,
                                            struct dr_generation *out, struct pr_err *err);

struct dr_names { /* owned; release with dr_names_done */
    char (*name)[DR_NAME];
    size_t n, room;
};
void dr_names_done(struct dr_names *n);
PR_CHECKED enum pr_code dr_catalog_groups(struct pr_s3 *s3, const char *cluster,
                                          struct dr_names *out, struct pr_err *err);
/* Shards that have generations; those that have parts of bases, finished or not. */
PR_CHECKED enum pr_code dr_catalog_shards(struct pr_s3 *s3, const char *cluster,
                                          struct dr_names *out, struct pr_err *err);

PR_CHECKED enum pr_code dr_catalog_based(struct pr_s3 *s3, const char *cluster,
                                         struct dr_names *out, struct pr_err *err);

/* Pieces of a shard (NULL: of all), of every group. */
PR_CHECKED enum pr_code dr_catalog_pieces(const struct pr_s3_store *store, struct pr_s3 *s3,
                                          const atomic_bool *cancel, const char *cluster,
                                          const char *shard, struct dr_pieces *out,
                                          struct pr_err *err);

struct dr_generation_ids { /* owned; release with free(id) */
    struct dr_generation_id *id;
    size_t n;
};
/* Every generation of a shard whose manifest is whole, oldest first; one that is not is left
 * out with a warning, and told of in *damaged (may be NULL). *out: dr_generations_free. */
PR_CHECKED enum pr_code dr_catalog_generations(struct pr_s3 *s3, const char *cluster,
                                               const char *shard, struct dr_generation **out,
                                               size_t *n, struct dr_generation_ids *damaged,
                                               struct pr_err *err);
void dr_generations_free(struct dr_generation *g, size_t n); /* NULL is fine */

#endif
