/* One look of the carrying thread, shared by carry.c (when), carry_hand.c (what for),
 * carry_facts.c (what is) and carry_acts.c (what is done). */
#ifndef AUTOSCALE_IO_CARRY_PRIVATE_H
#define AUTOSCALE_IO_CARRY_PRIVATE_H

#include "core/carry.h"
#include "io/carry.h"
#include "io/clock.h"
#include "io/nodes.h"
#include "io/providers.h"

#include <pthread.h>
#include <stdatomic.h>

struct carried { /* what is remembered of a fleet */
    const struct autoscale_fleet_row *of;
    struct autoscale_carrier *c;
    struct autoscale_actuator *actuator; /* NULL: not opened yet, or it cannot be */
    int64_t look_us;                     /* when it is looked at again */
    int64_t retry_us;                    /* and not before, after an error */
    int64_t id;                          /* of the decision that is carried out; 0 none */
    struct autoscale_carry *record;      /* its; valid while id is not 0 */
    struct autoscale_carry *last;        /* of the one before; for strays; NULL */
    char *saved;                         /* its report, as it was saved last; NULL */
    char trouble[256];                   /* what the last act failed with */
    char said[256], strays[256];         /* what was logged last */
    struct autoscale_clock_watch clock;  /* as of who decides; it never sets anything aside */
    int64_t advised;                     /* decision of which the dry run has spoken */
};

struct autoscale_carrier {
    struct autoscale_decider_options o;
    struct pr_db *db;
    struct autoscale_fleets fleets;
    struct carried *one; /* [ones] */
    size_t ones;
    int64_t fleets_us;
    uint64_t epoch;
    char trouble[256];
    atomic_bool stopping;
    pthread_t thread;
    bool runs;
};

struct carry_look_io { /* facts of one look */
    struct carried *one;
    const struct pr_lease *lease;
    int64_t now_ms; /* fleet's time */
    struct pr_arena arena;
    struct autoscale_report report;
    struct autoscale_carry_facts facts;
    struct autoscale_carry_plan plan;
    const char **address; /* [facts.members] host:port; "" unknown */
    bool *names;
    int zone[AUTOSCALE_TARGETS], group[AUTOSCALE_TARGETS];
};

/* Asks provider and tables. What the provider did not answer is in the facts. */
PR_CHECKED enum pr_code carry_look_open(struct carry_look_io *k, struct carried *one,
                                        const struct pr_lease *lease, struct pr_err *err);
void carry_look_done(struct carry_look_io *k);
/* The plan that the record waits for, and whether another can be made. */
PR_CHECKED enum pr_code carry_look_plans(struct carry_look_io *k, int64_t plan_id,
                                         struct pr_err *err);
/* Tells the deciding thread what runs. */
void carry_tell_seen(const struct carry_look_io *k);

/* Saves the record as the decision's report, when it differs from what was saved. state: of the
 * decision from now on. PR_ECONFLICT: it was superseded. */
PR_CHECKED enum pr_code carry_save(struct carry_look_io *k, bool always, struct pr_err *err);
/* What the step says, under the lease. */
PR_CHECKED enum pr_code carry_do(struct carry_look_io *k, const struct autoscale_carry_step *step,
                                 struct pr_err *err);
/* A plan of ours that rebalance has not begun is called off; `running`: one that it has, too. */
PR_CHECKED enum pr_code carry_stop_plan(struct carried *one, const struct pr_lease *lease,
                                        int64_t plan_id, bool running, struct pr_err *err);
/* carry_hand.c */
void carry_let_go(struct carried *one); /* forgets what is in hand; what is saved stays */
struct autoscale_carry_pace carry_pace(const struct carried *one);
/* PR_EUNAVAIL: the clock is wrong: nothing is done by it. */
PR_CHECKED enum pr_code carry_look_at_clock(struct carried *one, const struct pr_lease *lease,
                                            struct pr_err *err);
/* A copy of the record of the fleet's latest decision that was begun, and that decision's id;
 * NULL: there is none, or it cannot be read. */
PR_CHECKED enum pr_code carry_load_record(struct carried *one, int64_t *id,
                                          struct autoscale_carry **out, struct pr_err *err);
struct autoscale_decision_row;
/* What a decision intends, as the facts are. PR_EUNAVAIL: they are not known now. */
PR_CHECKED enum pr_code carry_intend(struct carry_look_io *k,
                                     const struct autoscale_decision_row *row,
                                     struct autoscale_carry *out, struct pr_err *err);
PR_CHECKED enum pr_code carry_begin(struct carry_look_io *k, int64_t id, struct pr_err *err);
PR_CHECKED enum pr_code carry_resume(struct carry_look_io *k, int64_t id, struct pr_err *err);

/* carry_order.c: a join's members, first those of zones where the decision saw most traffic: of
 * zones with equally many primaries rebalance takes whoever is named first. */
PR_CHECKED enum pr_code carry_order_joiners(struct carry_look_io *k,
                                            const struct autoscale_carry_step *step,
                                            int order[AUTOSCALE_CHOSEN], struct pr_err *err);

/* Members that were marked to go and are to stay after all. */
void carry_keep_marked(struct carry_look_io *k);
bool carry_may_call(const struct carry_look_io *k, struct pr_err *err);

#endif
