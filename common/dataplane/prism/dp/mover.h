/* Moving one vertex from partition s to partition d while it is read and
 * written. Pure: the caller sends the commands and feeds the replies.
 *
 * The protocol and why each rule is there: docs/reference/data-plane.md. The
 * same core runs in the rebalance service and in the seeded simulator
 * (tests/sim), where removing any rule makes a test fail.
 *
 * Use:  mover_init; loop { cmd = mover_next(m); send; mover_reply(m, &r); }
 * until cmd.kind is MOVER_END. A restart after a crash is a fresh mover_init
 * with a fresh epoch: there is no other recovery path.
 * Many vertices are pipelined by the caller; one command is in flight per
 * vertex. Before a command is sent its record is durable under the lease. */
#ifndef PRISM_DP_MOVER_H
#define PRISM_DP_MOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mover_at { MOVER_AT_S, MOVER_AT_D, MOVER_AT_HOME };

enum mover_kind {
    MOVER_TAKE,        /* FCALL prism_take <s vertex key> E */
    MOVER_RESTORE,     /* RESTORE <d staging key of E> 0 <dump>; sent once, never resent */
    MOVER_FENCE,       /* FCALL prism_fence <s vertex key> v d E */
    MOVER_PROMOTE,     /* FCALL prism_promote <d vertex key> <d staging key of E> E */
    MOVER_ROUTE,       /* FCALL prism_route <home vertex key> d E */
    MOVER_WAIT,        /* WAIT on the connection that executed this vertex's last command there */
    MOVER_NEED_EPOCH,  /* obtain a fresh E (never used before), record it, mover_reply(epoch) */
    MOVER_DEL_STAGING, /* as lease holder only: UNLINK this move's staging keys by name */
    MOVER_END          /* see mover_outcome */
};

struct mover_cmd {
    enum mover_kind kind;
    enum mover_at at;
    uint64_t epoch;        /* E of the command (staging key, fence, promote, route) */
    uint64_t version;      /* fence: v */
    const uint64_t *sweep; /* DEL_STAGING: epochs whose staging keys to delete */
    size_t n_sweep;
};

enum mover_result {
    MOVER_R_OK,      /* fence, promote (done or already done), route, restore, wait satisfied, epoch
                        given, deleted */
    MOVER_R_LIVE,    /* take: LIVE; version and the caller keeps the dump for RESTORE */
    MOVER_R_STUB,    /* take: STUB partition:epoch */
    MOVER_R_ABSENT,  /* take: no such key */
    MOVER_R_REFUSED, /* take, fence: refused without effect */
    MOVER_R_ALARM,   /* promote: neither staging nor vertex: data would be lost; stop */
    MOVER_R_BROKEN,  /* connection lost, reply lost, or WAIT not satisfied by every replica */
};

struct mover_reply {
    enum mover_result result;
    uint64_t version;   /* LIVE */
    uint32_t partition; /* STUB */
    uint64_t epoch;     /* STUB; or the fresh E for NEED_EPOCH */
};

enum mover_outcome {
    MOVER_RUNNING,
    MOVER_MOVED,      /* lives at d, stub at s, home knows */
    MOVER_NOT_THERE,  /* absent at s, or a stub of another move: nothing to do */
    MOVER_FENCED_OFF, /* take refused: a newer mover exists; touch nothing */
    MOVER_CANCELED,   /* cancel succeeded: LIVE at s */
    MOVER_LOST,       /* promote alarm: report loudly, touch nothing */
};

enum { MOVER_MAX_SWEEP = 32 };

struct mover {
    uint32_t s, d, home;
    uint64_t epoch;                  /* current E */
    uint64_t version;                /* of the taken copy */
    uint64_t sweep[MOVER_MAX_SWEEP]; /* epochs staged under by this run and earlier ones */
    uint8_t n_sweep, step, outcome;
    bool canceling;
};

/* epoch: fresh and recorded. s != d. canceling: run the cancel procedure
 * (take with a fresh E, WAIT(s); a STUB must go forward). */
void mover_init(struct mover *m, uint32_t s, uint32_t d, uint32_t home, uint64_t epoch,
                bool canceling);
/* Adds an epoch that an earlier run of this move staged under (moves.epochs), to
 * be swept at the end. False when there is no room: its key stays, harmless. */
bool mover_add_sweep(struct mover *m, uint64_t epoch);
/* The same command until its reply is given. */
struct mover_cmd mover_next(const struct mover *m);
void mover_reply(struct mover *m, const struct mover_reply *r);
enum mover_outcome mover_outcome(const struct mover *m);

#endif
