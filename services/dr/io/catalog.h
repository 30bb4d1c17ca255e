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

/* Piece i of a container that is read, appended. */
PR_CHECKED enum pr_code dr_pieces_add(struct dr_pieces *p, const char *group,
                                      const struct dr_container *c, size_t i, struct pr_err *err);

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
struct dr_object *dr_objects_add(struct dr_objects *o); /* one more, not set; NULL: no memory */
/* What has a name of ours below prefix, behind `after` ("": all), in order; at most so many (0:
 * all). */
PR_CHECKED enum pr_code dr_catalog_list(struct pr_s3 *s3, const char *prefix, const char *after,
                                        size_t most, struct dr_objects *out, struct pr_err *err);
/* Head of one container, of which `first` bytes are asked for first; free c->piece. PR_EDATA: it is
 * damaged. */
PR_CHECKED enum pr_code dr_catalog_head(struct pr_s3 *s3, const struct dr_object *o, size_t first,
                                        struct dr_container *c, struct pr_err *err);
/* Heads of many, several at a time: each() is called with of->object[i]'s, one call at a time, in
 * any order; with NULL, after a warning, for a container that cannot be read. */
typedef enum pr_code dr_head_fn(void *ctx, size_t i, const struct dr_container *c,
                                struct pr_err *err);
PR_CHECKED enum pr_code dr_catalog_heads(const struct pr_s3_store *store, const atomic_bool *cancel,
                                         const struct dr_objects *of, dr_head_fn *each, void *ctx,
                                         struct pr_err *err);
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

/* Manifests of a shard, by name. */
PR_CHECKED enum pr_code dr_catalog_manifests(struct pr_s3 *s3, const char *cluster,
                                             const char *shard, struct dr_objects *out,
                                             struct pr_err *err);
/* What those hold, in that order; one that is not whole is left out with a warning. *out:
 * dr_generations_free. */
PR_CHECKED enum pr_code dr_catalog_read_manifests(struct pr_s3 *s3, const struct dr_objects *found,
                                                  struct dr_generation **out, size_t *n,
                                                  struct pr_err *err);
/* Every generation of a shard whose manifest is whole, oldest first; one that is not is left
 * out with a warning. *out: dr_generations_free. */
PR_CHECKED enum pr_code dr_catalog_generations(struct pr_s3 *s3, const char *cluster,
                                               const char *shard, struct dr_generation **out,
                                               size_t *n, struct pr_err *err);
void dr_generations_free(struct dr_generation *g, size_t n); /* NULL is fine */

#endif
