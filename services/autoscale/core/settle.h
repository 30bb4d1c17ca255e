/* Wanted against reported: whether an order is done is what the provider reports, never that
 * it was sent. Pure. Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_SETTLE_H
#define AUTOSCALE_SETTLE_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why members that were asked for do not come. */
enum autoscale_problem {
    AUTOSCALE_NO_PROBLEM,
    AUTOSCALE_NO_CAPACITY, /* the provider has none left there */
    AUTOSCALE_QUOTA,       /* a limit of the account or namespace */
    AUTOSCALE_SUSPENDED,   /* somebody told the provider to launch none */
    AUTOSCALE_OTHER_PROBLEM
};

struct autoscale_reported { /* of one target: an Auto Scaling group, a Deployment, ... */
    enum pr_code code;      /* PR_OK: the provider answered; else problem_text says why not */
    int desired, min, max;  /* max < 0: the provider has no limits */
    int in_service;         /* run and are healthy (or ready) */
    int unhealthy;          /* run and are not */
    int coming, leaving;
    bool members_known; /* false: in_service is what the provider counts, ready or not */
    enum autoscale_problem problem;
    char problem_text[256]; /* the provider's own words */
};

struct autoscale_wanted {
    int desired;         /* after the order */
    int from;            /* before it */
    int64_t sent_ms;     /* when it was given; 0: not yet */
    int64_t done_ms;     /* when it was last seen done; 0: never since */
    int64_t known_ms;    /* when the provider last answered; 0 never */
    int64_t patience_ms; /* until what has not come, or not gone, is late */
};

/* From good to bad. */
enum autoscale_outcome {
    AUTOSCALE_DONE,
    AUTOSCALE_WAITING,       /* told, and on its way */
    AUTOSCALE_DIFFERS,       /* the provider wants another number: to be sent (again) */
    AUTOSCALE_UNKNOWN_STATE, /* no answer: hold */
    AUTOSCALE_EXCESS,        /* more run than were asked for, and do not go */
    AUTOSCALE_PARTIAL,       /* some came, the others do not */
    AUTOSCALE_REFUSED,       /* none came, or the order cannot be carried out as it is */
    AUTOSCALE_OUTCOMES
};
const char *autoscale_outcome_name(enum autoscale_outcome o); /* "done", "waiting", ... */

struct autoscale_settlement {
    enum autoscale_outcome outcome;
    int wanted, has, coming, leaving;
    int missing; /* wanted - has - coming, at least 0 */
    bool alarm;
    enum pr_code code; /* PR_OK unless refused or unknown; the reason's kind */
    char why[256];
};

void autoscale_settle(const struct autoscale_wanted *w, const struct autoscale_reported *r,
                      int64_t now_ms, struct autoscale_settlement *out);

/* Of a whole fleet: the sums, and the worst outcome with its words. n 0: done. */
void autoscale_settle_all(const struct autoscale_settlement *one, size_t n,
                          struct autoscale_settlement *out);

#endif
