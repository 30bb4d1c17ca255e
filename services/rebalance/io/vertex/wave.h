/* A wave: the next command of every vertex of a batch, pipelined to all nodes at
 * once, and the replies. The mover core (prism/dp/mover.h) decides what comes
 * next; a wave only carries. Source: docs/reference/data-plane.md. */
#ifndef REBALANCE_WAVE_H
#define REBALANCE_WAVE_H

#include "io/vertex/run.h"

#include "prism/dp/mover.h"

struct rebalance_mover { /* one vertex on its way */
    struct mover m;
    const char *id;
    uint64_t hash;
    redisReply *taken; /* reply of take, until it was restored */
    uint64_t number;   /* of the connection that executed its last command */
    uint64_t bytes;    /* of its dump */
    uint32_t next;     /* in the list of its link */
    int16_t link;      /* that executed its last command */
    uint8_t id_len, refusals;
    uint8_t sent;       /* enum mover_kind */
    bool over, left;    /* ended; given up: canceled, for a later sweep */
    bool busy;          /* left because it is written to all the time */
    bool fence_refused; /* was its last reply */
};

struct rebalance_wave {
    struct rebalance_run *run;
    struct rebalance_links *links;
    struct rebalance_mover *v; /* [n] */
    size_t n;
    uint64_t held_bytes, mean_bytes; /* dumps in memory; running mean of a dump */
    bool trouble;                    /* something broke: heal before the next wave */
    bool denied;                     /* a node does not know our user */
    char why[200];
};

/* Sends one command for every vertex that is not over (MOVER_NEED_EPOCH and
 * MOVER_END excepted) and gives the replies to their movers. Whatever breaks is
 * told to the movers, not returned. */
void rebalance_wave(struct rebalance_wave *w);

/* Deletes the staging keys of vertices for which want(v) holds, under every one
 * of the epochs. The caller holds the lease. False: something broke. */
bool rebalance_wave_sweep(struct rebalance_wave *w, bool (*want)(const struct rebalance_mover *),
                          const uint64_t *epochs, size_t n_epochs);

#endif
