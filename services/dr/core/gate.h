/* When the stream of a shard that gives slots away may be written to the bucket. Pure: no I/O, no
 * clock.
 *
 * MIGRATE has a key restored at the taker before it deletes it at the giver. Shards are cut at
 * different offsets; a cut with the deletion and without the restored copy would lose the key. So
 * the giver waits for its takers, in rounds: what has arrived of the giver's stream by a moment is
 * a mark; every taker's primary is asked after that how far its own history is, and whatever the
 * giver deleted before the mark was restored there before that offset. When the bucket has all
 * takers up to there, the giver may be written up to the mark. Offsets alone say so: no clock, and
 * nothing written to the store.
 *
 * Two shards that wait for each other would wait for ever, so a give that closes a circle is not
 * admitted before another one has ended. */
#ifndef DR_GATE_H
#define DR_GATE_H

#include "core/generation.h"

#include <stddef.h>

enum { DR_GATE_ROUNDS = 64, DR_GATE_TAKERS = 16 };

struct dr_give {
    char giver[DR_NAME], taker[DR_NAME];
    uint8_t slots[DR_SLOTS / 8]; /* as in struct dr_generation */
};
/* Whether `more` may begin beside those that are `known` [n] (whose MIGRATEs may run, or whose
 * deletions may not be durable yet): it closes no circle, its giver has room for a taker, and its
 * taker has, durably, nothing left of an earlier turn with one of the slots: whatever it has of
 * them from now on is newer than what anybody else has. */
bool dr_gate_admits(const struct dr_give *known, size_t n, const struct dr_give *more);

struct dr_gate_mark { /* of a giver's stream */
    struct dr_generation_id
        generation;            /* that is followed; offsets of another one do not compare */
    uint64_t offset, commands; /* where it may be cut, and whole commands up to there */
    uint64_t base;             /* bases that had begun */
    int64_t ms;                /* arrival of its last byte */
};

struct dr_gate_need {
    char taker[DR_NAME], replid[DR_REPLID];
    uint64_t offset; /* of replid */
    bool reached;
};

struct dr_gate_round {
    struct dr_gate_mark mark;
    struct dr_gate_need need[DR_GATE_TAKERS];
    size_t needs;
};

struct dr_gate { /* of one giver; zeroed: none has begun */
    struct dr_gate_round round[DR_GATE_ROUNDS];
    size_t rounds;              /* oldest first */
    struct dr_gate_mark passed; /* last; all 0: none */
};

/* A round for everything up to mark, which nobody was asked for yet. NULL: nothing came since the
 * last one. When all rounds are taken the newest gives way: its bytes are in this one. */
struct dr_gate_round *dr_gate_begin(struct dr_gate *g, const struct dr_gate_mark *mark);
/* To the newest round: after its mark was taken, that taker's primary was there. Where it has
 * another history than before, older rounds that wait for the former one are dropped: they may
 * wait in vain, and this one stands for them. False: no room. */
bool dr_gate_ask(struct dr_gate *g, const char *taker, const char *replid, uint64_t offset);
/* All that was given to that taker is durable as given: nothing waits for it any more. Who waited
 * still might wait in a circle, as the give has left the known ones. */
void dr_gate_closed(struct dr_gate *g, const char *taker);
void dr_gate_drop_newest(struct dr_gate *g); /* a taker did not answer */

/* The newest round whose needs are all reached: true, and *mark; it and all before it are over. */
bool dr_gate_pass(struct dr_gate *g, struct dr_gate_mark *mark);

#endif
