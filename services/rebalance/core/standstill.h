/* For how long has a plan that waits got no further? Pure. Source: docs/runbooks/plan-paused.md. */
#ifndef REBALANCE_STANDSTILL_H
#define REBALANCE_STANDSTILL_H

#include <stdbool.h>
#include <stdint.h>

struct rebalance_standstill_seen { /* of the plan that is to run, at one look */
    int64_t plan;                  /* plans.id, 0: there is none */
    double ratio;                  /* of it that is done: its operation's */
    bool waits;                    /* or is stuck: it says so, or nobody says anything any more */
};
struct rebalance_standstill { /* zero is a good beginning */
    int64_t plan;
    double ratio;
    int64_t since_ms;  /* it has got as far as this, and waits; 0: it does not wait */
    int64_t waited_ms; /* when it was last seen to wait */
};

/* Seconds for which it has waited; 0 while it goes on, or says nothing of waiting: a sweep that
 * finds little to move takes long, and is well. A plan that begins again and again waits in
 * between, so what it said within a minute counts. now_ms: > 0, of a clock that does not jump. */
double rebalance_standstill_look(struct rebalance_standstill *s,
                                 const struct rebalance_standstill_seen *seen, int64_t now_ms);

#endif
