/* Slot moves on their way into waves. Private to core/fleet. */
#ifndef REBALANCE_FLEET_WAVES_H
#define REBALANCE_FLEET_WAVES_H

#include "core/fleet/draft.h"

struct wave_move {
    int16_t slot, from, to;
    bool done, detour;
    int next; /* of the same pair */
};

struct wave_pair {
    int16_t from, to;
    int head;    /* first move; -1: none */
    double left; /* weight */
    const char *why;
};

struct schedule {
    struct draft *d;
    struct wave_move *move;
    int moves, open;
    struct wave_pair *pair;
    size_t pairs, pair_room;
    double *load;                        /* [shards] weight that still goes in or out */
    double *free;                        /* [shards] bytes that its fullest member can take */
    int *owned;                          /* [shards] slots */
    bool *busy;                          /* [shards] in this wave */
    int *primaries;                      /* [zones] that own slots */
    bool *was_half, *no_open, *no_close; /* [zones] */
    size_t *rank;                        /* order of pairs */
    int *chosen, n_chosen;               /* moves of this wave */
    int wave;
    int live_zones;
    int16_t half; /* the zone for which nothing could be chosen; NONE: none */
};

/* Index of the pair, which is made when it is new. */
size_t schedule_pair(struct schedule *s, int16_t from, int16_t to);
void schedule_add(struct schedule *s, size_t pair, int move);
/* Has the shard memory for so many bytes more? */
bool schedule_fits(const struct schedule *s, int to, double bytes);
void schedule_emit(struct schedule *s, const struct wave_move *v);
/* Sends one slot through a shard with room, in a wave of its own. PR_ECONFLICT
 * names the shard that is full when none has any. */
PR_CHECKED enum pr_code schedule_detour(struct schedule *s);

#endif
