/* Brings a shard back from the bucket as the files that a redis-server starts with: its base as
 * RDB and its stream, in a multi-part append-only file. */
#ifndef DR_RESTORE_H
#define DR_RESTORE_H

#include "io/index.h"

#include "core/container.h"

#include <pthread.h>

/* Memory that parts and pieces are brought in, used again and again; by as many threads as like. */
struct dr_fetch_room;
struct dr_rooms {
    pthread_mutex_t mu; /* PTHREAD_MUTEX_INITIALIZER */
    struct dr_fetch_room *idle;
};
void dr_rooms_free(struct dr_rooms *r);

struct dr_restore {
    const struct pr_s3_store *store;
    const struct dr_codec *codec;
    const atomic_bool *cancel; /* may be NULL */
    const char *cluster, *shard;
    struct dr_index *index; /* of this cluster, with this shard; NULL: it reads the bucket itself */
    int64_t until_ms;       /* INT64_MAX: as far as it goes */
    const char *dir;  /* the server's data directory: absent, or empty. Made whole, or not at all */
    unsigned threads; /* that fetch; 0: 8 */
    bool unsynced;    /* it need not outlive the machine, or the caller syncs what is in it */
    struct dr_rooms *rooms;   /* of a run that restores many; NULL: its own */
    pthread_rwlock_t *others; /* of those that restore from the same index meanwhile; NULL: none */
};

struct dr_restored {
    struct dr_generation_id generation;
    uint64_t base_bytes, stream_bytes, base_keys; /* UINT64_MAX: not said */
    uint64_t offset; /* of the history replid, up to which it is restored */
    char replid[DR_REPLID];
    int64_t last_ms; /* arrival of the last byte, by the shipper's clock */
    size_t skipped;  /* newer generations that were found damaged; the newest of them and why: */
    struct dr_generation_id damaged;
    char damage[200];
    int64_t list_ms, fetch_ms; /* how long it took to find out what there is, and to bring it */
    size_t pieces;
    uint8_t slots[DR_SLOTS / 8]; /* owned when the base was made, by ... */
    uint64_t slot_epoch;         /* ... this configuration epoch; 0: not known */
    char why[160];               /* why it ends there; see struct dr_route */
    bool gap;                    /* newer pieces are there that nothing leads to */
};

/* The newest generation that is whole, as far as its stream goes, or to until_ms. A generation of
 * which a part or a piece is damaged is skipped (its route up to the damage is not taken: what
 * follows a damaged piece cannot be applied, and an older generation has it all); with none left
 * PR_EDATA. PR_EEXISTS: dir is not empty. PR_ENOTFOUND: nothing of that shard, or nothing so old.
 */
PR_CHECKED enum pr_code dr_restore_shard(const struct dr_restore *what, struct dr_restored *out,
                                         struct pr_err *err);

/* PR_EEXISTS: the directory is there, and not empty. */
PR_CHECKED enum pr_code dr_restore_check_dir(const char *dir, struct pr_err *err);
/* fsync: of a directory; of the one that path is in, which has its name. */
PR_CHECKED enum pr_code dr_restore_sync_folder(const char *path, struct pr_err *err);
PR_CHECKED enum pr_code dr_restore_sync_parent(const char *path, struct pr_err *err);

#endif
