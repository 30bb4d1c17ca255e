/* What the steps of one decision share. Private to core/decide*.c. */
#ifndef AUTOSCALE_DECIDE_PRIVATE_H
#define AUTOSCALE_DECIDE_PRIVATE_H

#include "core/decide.h"

enum {
    DRAFT_WINDOW_MS = 3 * AUTOSCALE_MINUTE_MS,  /* load for floors and urgency: its mean */
    DRAFT_UNKNOWN_MS = 5 * AUTOSCALE_MINUTE_MS, /* unknown for so long: somebody should look */
    DRAFT_STUCK_MS = 30 * AUTOSCALE_MINUTE_MS,
};

struct draft {
    const struct autoscale_input *in;
    const struct autoscale_fleet *fleet;
    struct autoscale_view view; /* with the limits that hold now, and the delay */
    struct autoscale_decision *out;

    /* decide_vote.c: what the votes come to */
    enum autoscale_move move;
    int target, wanted; /* wanted: without limits */

    /* decide_guard.c: what the data allow */
    bool bad;        /* the view is refused: no figure of it counts */
    double load;     /* members at 100 % CPU; NAN unknown */
    bool no_out;     /* nothing but limits that people set moves outward */
    char no_in[112]; /* why not inward; "" allowed */
    int cap;         /* outward at most */
    char cap_why[144];
    char urgent[64]; /* why no budget counts; "" not urgent */

    /* decide_floor.c */
    int set_floor, zone_floor; /* what people set: min, schedule; loss of a zone */
    int limit;                 /* most, in whole units */
    const char *alone_why;     /* what moves the size without a vote; NULL: nothing does */
    char limit_why[112];
    int scheduled; /* wanted at the begin of a schedule, in either direction; 0 none */
    char scheduled_why[112];
};

/* Appends a text, after "; " when there is one already; what does not fit is cut off. */
void draft_note(char *to, size_t bytes, const char *fmt, ...) PR_PRINTF(3, 4);
void draft_alarm(struct draft *d, const char *fmt, ...) PR_PRINTF(2, 3);

PR_CHECKED enum pr_code draft_check(const struct autoscale_input *in, struct pr_err *err);
PR_CHECKED enum pr_code draft_schedule(struct draft *d, struct pr_err *err); /* before the votes */
void draft_votes(struct draft *d, struct autoscale_memory *memory);
void draft_combine(struct draft *d);
void draft_guard(struct draft *d);
void draft_floors(struct draft *d);
void draft_size(struct draft *d); /* out->from, to, move, deciding, limited */
void draft_why(struct draft *d);

#endif
