/* What one policy wants, and why. */
#ifndef AUTOSCALE_VOTE_H
#define AUTOSCALE_VOTE_H

#include <stdint.h>

enum autoscale_move {
    AUTOSCALE_HOLD,
    AUTOSCALE_OUT,
    AUTOSCALE_IN,
    AUTOSCALE_UNKNOWN /* cannot tell: holds, and forbids scaling in */
};
const char *autoscale_move_name(enum autoscale_move m); /* "hold", "out", "in", "unknown" */

struct autoscale_vote {
    enum autoscale_move move;
    int desired;   /* instances, within min..max; HOLD and UNKNOWN: what is wanted now */
    int wanted;    /* what it would have asked for without whatever limited it */
    char rule[48]; /* which of its rules spoke: "cpu>70 for 5 min" */
    double observed, threshold; /* of that rule's metric; NAN none */
    int64_t window_ms;          /* observed is a mean over it; 0: one value */
    int64_t cooldown_until_ms;  /* of the direction that it wanted; 0 none */
    char limited[96];           /* what limited it: "max 1000", "cooldown until ..."; "" nothing */
    char why[256];              /* a sentence for people */
};

#endif
