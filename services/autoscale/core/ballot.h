/* How a policy fills in its vote, so that all of them say alike what they wanted, what limited
 * it and why. Pure. */
#ifndef AUTOSCALE_BALLOT_H
#define AUTOSCALE_BALLOT_H

#include "core/history.h"
#include "core/vote.h"

/* To hold at what is wanted now; everything else empty. */
void autoscale_ballot_hold(const struct autoscale_view *v, struct autoscale_vote *out);
/* To have `to`, within min and max; a wish that they leave nothing of is a vote to hold, and
 * says so in limited. */
void autoscale_ballot_want(const struct autoscale_view *v, int to, struct autoscale_vote *out);
/* To hold although it wanted `to`: the direction cools down until then. */
void autoscale_ballot_cooling(const struct autoscale_view *v, int to, int64_t until_ms,
                              struct autoscale_vote *out);

enum autoscale_direction { AUTOSCALE_OUTWARD, AUTOSCALE_INWARD, AUTOSCALE_EITHER };
/* When the last change in that direction was made, when it was after since_ms; INT64_MIN: none. */
int64_t autoscale_last_change_ms(const struct autoscale_view *v, enum autoscale_direction d,
                                 int64_t since_ms);
/* Members that were ordered after since_ms. */
int autoscale_ordered(const struct autoscale_view *v, int64_t since_ms);

#endif
