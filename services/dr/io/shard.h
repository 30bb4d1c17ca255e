/* Follows one shard's replication stream, in a thread of its own: attaches to a replica, writes
 * the base of a generation when the server wants a full synchronisation, and keeps what
 * arrives until the group packs it. It never makes the source wait: when what is kept reaches
 * its limit it hangs up, and goes on where it was when there is room again. */
#ifndef DR_SHARD_H
#define DR_SHARD_H

#include "io/settings.h"
#include "io/sources.h"

#include "core/container.h"
#include "core/gate.h"

#include "prism/s3/s3.h"

struct dr_shard;

/* SET of a key that begins so, to the time in Unix ms, is a heartbeat. */
#define DR_BEAT_KEY "prism:beat:"

enum { DR_GENERATIONS_MAX = 65535 }; /* of an epoch: what their names have digits for */

struct dr_shard_env { /* of a group, borrowed */
    const char *cluster, *group;
    uint64_t epoch;
    const struct dr_config *cfg;
    const struct pr_s3_store *store;
    const struct dr_codec *codec;
    struct dr_sources *sources;
    struct pr_metrics *metrics;
    atomic_uint *generations; /* begun in this epoch, of all its shards */
    void (*wake)(void *ctx);  /* there is much to pack, or a generation to name */
    bool (*sure)(void *ctx);  /* the lease is ours for certain */
    /* Learns whose store it is, now that a base is there: see dr_group_ask_owner. */
    enum pr_code (*ask_owner)(void *ctx, struct pr_s3 *s3, struct pr_err *err);
    void *ctx;
};

struct dr_position {                    /* where a stream goes on */
    struct dr_generation_id generation; /* epoch 0: there is none yet */
    char replid[DR_REPLID];
    uint64_t offset;
    uint8_t chain[DR_HASH]; /* of the piece that ends there, or of the generation */
};

/* hold: it begins with a base of its own, whose manifest is held back: its pieces can be written
 * while nobody restores from it yet. See dr_shard_held. */
PR_CHECKED enum pr_code dr_shard_start(struct dr_shard **out, const struct dr_shard_env *env,
                                       const char *name, const struct dr_position *from,
                                       int64_t beat_ms, bool hold, struct pr_err *err);
void dr_shard_ask_to_stop(struct dr_shard *s); /* so that many stop at once */
void dr_shard_stop(struct dr_shard *s);        /* NULL is fine */
const char *dr_shard_name(const struct dr_shard *s);

/* What the group calls, from one thread. */
enum dr_take { DR_TAKE_NOTHING, DR_TAKE_PIECE, DR_TAKE_UNNAMED };
/* The next piece of that generation, sealed, all of the stream up to where it may be cut; its raw
 * bytes are appended to raw. UNNAMED: the shard follows another generation. */
enum dr_take dr_shard_take(struct dr_shard *s, const struct dr_generation_id *known,
                           struct dr_piece *piece, struct pr_buf *raw);
/* That piece is in the bucket, and so is all before it. */
void dr_shard_durable(struct dr_shard *s, const struct dr_piece *piece, int64_t now_ms);

/* Whether a manifest is held back, and how far its generation would lead. */
bool dr_shard_held(struct dr_shard *s, struct dr_position *at);
/* Its thread writes it, as soon as it can; only then is what it shipped said to be durable. No
 * older generation may be gone on with from now on. */
void dr_shard_release(struct dr_shard *s);

/* shard_gate.c: what of its stream may be taken. A shard begins with a closed gate; see io/gate.h,
 * whose thread calls these. */
void dr_shard_gate_open(struct dr_shard *s, int64_t floor_ms);
/* What has arrived may be taken, what comes from now on only as it is let pass. */
void dr_shard_gate_hold(struct dr_shard *s);
/* False: it is open, or not known yet whether it is. */
bool dr_shard_gate_mark(struct dr_shard *s, struct dr_gate_mark *out, int64_t *born_us);
void dr_shard_gate_pass(struct dr_shard *s, const struct dr_gate_mark *mark, int64_t floor_ms);
void dr_shard_gate_waits(struct dr_shard *s, const char *taker);
/* The same for a twin of it, that follows the same history. */
void dr_shard_gate_copy(struct dr_shard *first, struct dr_shard *twin);
bool dr_shard_gate_covers(struct dr_shard *s, uint64_t offset);

struct dr_shard_status {
    struct dr_position durable;
    char replid[DR_REPLID]; /* of the history that arrives, and of the one that it goes on from: */
    char before[DR_REPLID]; /* up to before_to they are the same; "": none */
    uint64_t before_to;
    int64_t durable_ms; /* when it became so; 0: not yet by us */
    int64_t beat_ms;    /* of the newest heartbeat that is durable; 0: none seen */
    int64_t since_ms;   /* when it began to stream, or to have none */
    int64_t born_ms;    /* when we began with it */
    int64_t worst_ms;   /* what is durable was that old at most; since dr_shard_kept */
    unsigned alarms;    /* core/alarm.h; as of the last dr_shard_alarms */
    uint64_t seen;      /* offset that has arrived */
    size_t spool_bytes;
    bool streaming;         /* attached, no base under way */
    uint64_t base_bytes;    /* of the base under way; 0: none */
    unsigned bases_failed;  /* since the last one that was finished */
    uint64_t rate_bps;      /* bytes a second that arrived, the most of late */
    uint64_t backlog_bytes; /* of the source; 0: it does not say */
    char source[PR_HOST + 8];
    char error[160]; /* of the last attempt; "" when streaming */
    int64_t held_ms; /* what came since then waits for the shard held_by, which takes slots; 0 */
    char held_by[DR_NAME];
};
/* Looks at what needs attention, and logs what came or went of it. Once a second, by one thread. */
void dr_shard_alarms(struct dr_shard *s, int64_t now_ms);
void dr_shard_status(struct dr_shard *s, struct dr_shard_status *out);
/* What is durable is as of then: the newest heartbeat; without one, when we began. */
int64_t dr_shard_as_of(const struct dr_shard_status *is);
void dr_shard_kept(struct dr_shard *s, int64_t worst_ms); /* that is written down */

#endif
