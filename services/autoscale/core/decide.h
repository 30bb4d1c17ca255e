/* One decision of all policies' votes: floors, limits, budgets, whole units, where members
 * come from and which ones go, what it costs. Pure. Source: docs/explanation/autoscale.md. */
#ifndef AUTOSCALE_DECIDE_H
#define AUTOSCALE_DECIDE_H

#include "core/fleet.h"
#include "core/policy.h"
#include "core/schedule.h"

enum { AUTOSCALE_POLICIES = 8, AUTOSCALE_CHOSEN = 1024 };

struct autoscale_budget {
    int actions_per_day; /* 0: no budget. Outward moves that are urgent are never refused. */
    int flaps_per_day;   /* a flap: a reversal within flap_ms */
    int64_t flap_ms;     /* 30 min */
};

struct autoscale_settings {
    struct autoscale_policy policy[AUTOSCALE_POLICIES];
    size_t policies; /* the first decides; the others' votes are recorded beside it, unless
                        combine says otherwise */
    enum {
        AUTOSCALE_FIRST,   /* the first policy alone */
        AUTOSCALE_LARGEST, /* out if any, largest wins; in only if all agree */
    } combine;
    struct autoscale_schedule schedule;
    struct autoscale_budget budget;
};

/* So far back a view's samples must go for every window of these policies. */
int64_t autoscale_settings_look_back_ms(const struct autoscale_settings *s);

struct autoscale_input {
    struct autoscale_fleet fleet;
    struct autoscale_settings settings;
    struct autoscale_view view;        /* borrowed arrays */
    const struct autoscale_node *node; /* [nodes] */
    size_t nodes;
    double zone_traffic[AUTOSCALE_ZONES]; /* share of the traffic that wants to be there; all 0:
                                             unknown, zones are evened */
    char traffic_from[48];                /* who says so: "placement run 12" */
    int64_t decided_ms; /* when it was decided last, for schedules that begin; 0: a minute ago */
    struct autoscale_memory memory[AUTOSCALE_POLICIES];
};

struct autoscale_place {
    int zone, group; /* group -1 none */
    int give, get;   /* members that go, new members */
    int back;        /* members whose drain is called off */
    int primaries;   /* of get: new shards' primaries should be there */
};

struct autoscale_decision {
    enum autoscale_move move;
    int from, to;             /* instances; equal: nothing is done */
    int units_from, units_to; /* of fleet.unit */
    int deciding; /* index of the policy whose vote it is; -1: a floor or a limit alone */
    struct autoscale_vote vote[AUTOSCALE_POLICIES];
    int floor;           /* the largest of all floors, instances */
    char floor_why[128]; /* which one */
    char limited[256];   /* what changed the vote: floor, unit, budget, limits */
    char why[1024];      /* for people */
    bool alarm;          /* somebody should look: unknown metrics, at max and short, ... */
    char alarm_why[256];
    struct autoscale_place place[AUTOSCALE_ZONES + AUTOSCALE_GROUPS];
    size_t places;
    char place_why[512];          /* why there, and why those who leave; "" nobody comes or goes */
    int leaves[AUTOSCALE_CHOSEN]; /* indexes of nodes, first to go first */
    size_t n_leaves;
    int returns[AUTOSCALE_CHOSEN]; /* indexes of leaving nodes whose drain is called off */
    size_t n_returns;
    double cost_month_before, cost_month_after; /* USD, 730 h */
    int64_t useful_ms;                          /* until an order given now helps */
    char advice[256];                           /* vertical: a larger or smaller type; "" none */
};

/* PR_EINVAL: names the policy or setting that is wrong. */
PR_CHECKED enum pr_code autoscale_settings_check(const struct autoscale_settings *s,
                                                 struct pr_err *err);

/* Reads input; writes what the policies remember to memory[policies] and the decision. memory
 * may be in->memory: then nothing is copied. What the limits of view are is ignored: they are
 * the fleet's, narrowed by the schedule. useful_after_ms 0: the fleet's boot and move.
 * PR_EINVAL: fleet or settings are wrong; bad samples are no error but votes to hold.
 * PR_ENOMEM. On failure *out is untouched and memory is as it was or as after the votes. */
PR_CHECKED enum pr_code autoscale_decide(const struct autoscale_input *in,
                                         struct autoscale_memory *memory,
                                         struct autoscale_decision *out, struct pr_err *err);

#endif
