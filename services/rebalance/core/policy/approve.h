/* May a plan run without a person's word? The standing orders (table policies)
 * against the facts of a proposed plan. Pure.
 * Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_APPROVE_H
#define REBALANCE_APPROVE_H

#include "core/policy/window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rebalance_standing {       /* borrowed */
    const char *const *automatic; /* [n] goal kinds that may run by themselves */
    size_t n;
    double max_bytes;   /* of a plan; 0: no cap */
    uint32_t max_slots; /* 0: no cap */
    bool has_window;    /* false: at any time */
    struct rebalance_window window;
    bool halted;         /* nothing runs, nothing begins */
    int64_t cooldown_ms; /* between two plans of one goal that ran by themselves; 0: none */
};

struct rebalance_plan_facts {
    const char *goal; /* "drain", "balance", ... */
    double bytes;     /* that it copies */
    uint32_t slots;
    double eta_s;         /* negative: unknown */
    uint32_t big_keys;    /* over the block budget, without params.allow_big_keys */
    uint32_t no_replicas; /* shards without a live replica, without params.allow_no_replicas */
    bool worth;           /* of its verdict */
    const char *worth_why;
    /* Of plans of this goal that ran by themselves: how long ago the last one ended
     * (negative: never), and how many ran in the last day. */
    int64_t last_auto_ms;
    unsigned autos_last_day;
};

enum rebalance_approval {
    REBALANCE_AUTO_NOW,
    REBALANCE_WAIT_FOR_WINDOW, /* nothing else stands against it; so too while it cools down */
    REBALANCE_NEEDS_PERSON,
    REBALANCE_HALTED
};
const char *rebalance_approval_name(enum rebalance_approval a);

struct rebalance_approval_out {
    enum rebalance_approval what;
    char why[256];
};
/* Pause between automatic plans of one goal: the cooldown, doubled for each that ran
 * in the last day beyond the first; a day at most. What keeps coming back is not
 * cured by doing it more often. */
int64_t rebalance_cooldown_ms(int64_t cooldown_ms, unsigned autos_last_day);

/* local_min: wall time of the window's zone (policy/window.h); unused without one. */
void rebalance_approve(const struct rebalance_standing *s, const struct rebalance_plan_facts *p,
                       int64_t local_min, struct rebalance_approval_out *out);

#endif
