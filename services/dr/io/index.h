/* What a run knows of the bucket, read once for all shards: their generations, and where the pieces
 * of those are that matter. Heads of containers are read only where their names and dates do not
 * rule them out (core/window.h), and never twice. For one thread. */
#ifndef DR_INDEX_H
#define DR_INDEX_H

#include "core/window.h"
#include "io/catalog.h"

enum dr_index_state { DR_INDEX_KNOWN, DR_INDEX_WANTED, DR_INDEX_READ };

struct dr_index_shard {
    char name[DR_NAME];
    struct dr_generation *g;    /* [n] whose manifests are whole, oldest first */
    struct dr_window *window;   /* [n] */
    enum dr_index_state *state; /* [n] */
    size_t n;
    struct dr_pieces pieces;          /* all of generations that are read, and of others some */
    struct dr_generation_id *damaged; /* [n_damaged] whose manifests are not whole, oldest first */
    size_t n_damaged;
};

struct dr_index {
    const struct pr_s3_store *store;
    const atomic_bool *cancel;
    char cluster[DR_NAME];
    struct dr_index_shard *shard; /* [shards] by name */
    size_t shards;
    struct dr_names groups;
    struct dr_objects *have; /* [groups.n] containers whose heads were read, in the order of keys */
    struct dr_objects unread;  /* containers whose heads could not be */
    size_t listed, read;       /* containers seen in listings; heads read */
    int64_t begun_ms, took_ms; /* when its first reading began, Unix epoch; what all took */
};

/* The generations of one shard, which need not exist, or of all (NULL). No container is read yet.
 */
PR_CHECKED enum pr_code dr_index_open(struct dr_index *ix, const struct pr_s3_store *store,
                                      const atomic_bool *cancel, const char *cluster,
                                      const char *shard, struct pr_err *err);
void dr_index_close(struct dr_index *ix); /* zeroed is fine */
/* NULL: it has no generation whose manifest is whole. */
struct dr_index_shard *dr_index_find(struct dr_index *ix, const char *shard);
/* Of how many of its generations newer than `than` (NULL: of any) the manifest is not whole; the
 * newest of those is *newest. */
size_t dr_index_damaged(struct dr_index *ix, const char *shard, const struct dr_generation_id *than,
                        struct dr_generation_id *newest);
/* Whether a container that could not be read may hold what follows a piece (its index in s->pieces;
 * SIZE_MAX: the base) of generation i; *key is its name. */
bool dr_index_unread(const struct dr_index *ix, const struct dr_index_shard *s, size_t i,
                     size_t piece, const char **key);
/* Of every shard the generation that a restore to until_ms begins with. A shard of which nothing is
 * wanted when containers are first read has no pieces ever. */
void dr_index_want(struct dr_index *ix, int64_t until_ms);
void dr_index_want_some(struct dr_index *ix, size_t from, size_t to,
                        int64_t until_ms); /* of these */
void dr_index_want_all(struct dr_index *ix);
void dr_index_want_one(struct dr_index_shard *s, size_t i); /* no effect when it is read already */
/* Reads what is wanted and was not read yet; nothing is asked when that is nothing. */
PR_CHECKED enum pr_code dr_index_read(struct dr_index *ix, struct pr_err *err);

#endif
