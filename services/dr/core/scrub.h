/* Follows the pieces of a generation as they are read in the order of their containers: while each
 * one goes on from the last, nothing is missing. Anything else (a fork after a lease was lost, a
 * piece read out of turn, a hole) is for dr_chain_route to judge. Pure. */
#ifndef DR_SCRUB_H
#define DR_SCRUB_H

#include "core/generation.h"

struct dr_follow {
    uint64_t to;
    uint8_t chain[DR_HASH];
    bool unsure; /* once set it stays */
};

void dr_follow_init(struct dr_follow *f, const struct dr_generation *g);
void dr_follow_piece(struct dr_follow *f, const struct dr_piece *p);

#endif
