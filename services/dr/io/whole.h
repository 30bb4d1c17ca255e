/* A cluster from the bucket: every shard restored, loaded in quarantine, made to agree with the
 * others, and brought to where it may be served. */
#ifndef DR_WHOLE_H
#define DR_WHOLE_H

#include "io/copy.h"
#include "io/digest.h"
#include "io/mend.h"
#include "io/restore.h"
#include "io/routes.h"

enum dr_whole_act { DR_WHOLE_EMPTY, DR_WHOLE_ROUTES, DR_WHOLE_UNSEAL };
enum dr_whole_step { DR_WHOLE_LIST, DR_WHOLE_FETCH, DR_WHOLE_COPY, DR_WHOLE_COMPARE };

struct dr_whole_progress { /* for others to look at meanwhile; zeroed before */
    atomic_int step;       /* enum dr_whole_step */
    atomic_uint_fast64_t shards, fetched, keys, copied; /* fetched of shards, copied of keys */
};

struct dr_whole {
    const struct pr_s3_store *store;
    const struct dr_codec *codec;
    const char *cluster; /* its name in the bucket */
    int64_t until_ms;    /* INT64_MAX: as far as it goes */
    const char *dir;     /* absent or empty, or what an earlier run left. With seeds: scratch, gone
                          * at the end. Without: holds, when all is done, a data directory for
                          * every shard and cluster.json */
    const char *seeds;   /* of the cluster to fill; NULL: none */
    struct pr_redis_auth auth; /* there */
    bool over_existing;        /* what the cluster holds is deleted */
    bool accept_loss;          /* go on though vertices are lost or rolled back */
    uint32_t partitions;       /* of the store; 0: as the database says, or there are no vertices */
    const char *db_uri;        /* routes and epochs are written there; NULL: not */
    unsigned threads;          /* that fetch, and shards that are worked on at a time; 0: 8 */
    unsigned parallel;         /* servers that are loaded at a time; 0: as many as fit */
    unsigned part, parts;      /* 1..parts: files of these shards only, beside others that have the
                                * rest; 0, 0: all */
    const char *exchange;      /* directory that every part sees, new; NULL: all */
    /* Asked last before the cluster is emptied, before routes are written, and before it is
     * unsealed: not PR_OK: leave it alone. NULL: go on. */
    enum pr_code (*may)(void *ctx, enum dr_whole_act act, struct pr_err *err);
    void *ctx;
    struct dr_whole_progress *progress; /* may be NULL */
    const atomic_bool *cancel; /* looked at for every shard and page of keys, and while the bucket
                                * is waited for: then PR_ECANCELED; may be NULL */
};

struct dr_whole_shard {
    char name[DR_NAME];
    struct dr_restored restored;
    uint64_t keys; /* after loading */
};

struct dr_whole_done {            /* owned: dr_whole_done_free */
    struct dr_whole_shard *shard; /* [shards] */
    size_t shards, parallel;
    size_t first, last; /* [first, last) are this part's */
    struct dr_mend mend;
    bool refused;          /* because of what is lost, rolled back or doubtful: see mend */
    struct pr_buf damaged; /* as of io/takes.h: moves of slots that cannot be read */
    uint64_t unsure;       /* slots of which it is not known who has the newer keys */
    uint64_t gathered;     /* keys brought to the shard that owns their slot (without seeds) */
    struct dr_copied copied;
    struct dr_digest digest;
    struct dr_routes routes;
    bool routes_written;
    int64_t oldest_ms, newest_ms; /* ends of the shards' streams: the earliest, the latest */
};

/* Fills a cluster or a directory. What it is doing goes to the log. When it fails, a cluster that
 * was touched stays sealed (io/target.h), and a repetition may fill it; a directory is not there.
 * PR_ECONFLICT with out->refused: vertices would be lost, or of keys of other kinds two shards have
 * different values and what says which is newer is damaged or gone; nothing was touched.
 * PR_EEXISTS: the cluster or directory is not empty. PR_EFULL: this machine cannot hold it, see
 * core/room.h; nothing was touched. PR_EDATA: a shard cannot be restored, or what
 * arrived is not what was sent. Of several parts each waits for what the others found; when one
 * gives up all do. */
PR_CHECKED enum pr_code dr_whole_restore(const struct dr_whole *w, struct dr_whole_done *out,
                                         struct pr_err *err);
/* What came of it as JSON, for people and programs. */
void dr_whole_report(const struct dr_whole *w, const struct dr_whole_done *d, struct pr_buf *out);
void dr_whole_done_free(struct dr_whole_done *d);

#endif
