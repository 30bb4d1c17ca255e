/* Carrying a decision out, as a state machine without I/O: what is intended, what provider,
 * tables and cluster report, one next act. Whoever holds the lease saves the record, then acts,
 * then looks again; so a crash at any point only makes somebody look again. Nothing counts as
 * done because it was told. Source: docs/explanation/autoscale.md.
 *
 * Intended is: so many members that stay in each group of the provider's, and those who leave.
 * Out: the provider is told numbers; who came is registered and joined by a plan; done when
 * they serve. In: a plan drains who leaves; connections close; they are terminated; done when
 * the provider reports them gone. A fleet of single nodes needs no plans. */
#ifndef AUTOSCALE_CARRY_H
#define AUTOSCALE_CARRY_H

#include "core/decide.h"
#include "core/settle.h"

enum {
    AUTOSCALE_CARRY_TARGETS = 80,
    AUTOSCALE_CARRY_ID = 64,  /* of who is named: nodes.id has 63 characters at most */
    AUTOSCALE_CARRY_PLANS = 3 /* for one goal, then it is given up */
};

enum autoscale_phase { /* what is waited for */
                       AUTOSCALE_PHASE_BEGUN,
                       AUTOSCALE_PHASE_ORDERING,
                       AUTOSCALE_PHASE_ARRIVING,
                       AUTOSCALE_PHASE_JOINING,
                       AUTOSCALE_PHASE_DRAINING,
                       AUTOSCALE_PHASE_CLOSING, /* connections of who was drained */
                       AUTOSCALE_PHASE_TERMINATING,
                       AUTOSCALE_PHASE_DONE,
                       AUTOSCALE_PHASE_FAILED,
                       AUTOSCALE_PHASES
};
const char *autoscale_phase_name(enum autoscale_phase p);

struct autoscale_carry_target {
    int want;                           /* members that stay */
    int from;                           /* what the provider wanted before the last order */
    int ordered;                        /* what it was last told; -1 nothing */
    int64_t sent_ms, done_ms, known_ms; /* as of autoscale_wanted */
    bool lapsed; /* single nodes: it has not answered since nobody looked for long */
};
struct autoscale_leaver {
    char id[AUTOSCALE_CARRY_ID];
    int target;      /* -1: in none */
    int64_t out_ms;  /* since when it serves nothing any more; 0: it does */
    int64_t told_ms; /* when the provider was last told to terminate it */
    int64_t late_ms; /* since when it should be going: first told, or seen so; 0 not yet */
};
struct autoscale_own { /* came by our order, and was registered or asked to join */
    char id[AUTOSCALE_CARRY_ID];
};

/* What is saved: a plain value. Large: keep it on the heap. */
struct autoscale_carry {
    enum autoscale_phase phase;
    int64_t begun_ms, phase_ms, ended_ms;
    int64_t looked_ms; /* in whole minutes: somebody last looked at it; 0 not yet */
    bool lapsed;       /* nobody did for long: nobody else is ordered, joined or drained */
    int64_t groups;    /* autoscale_carry_groups of these targets; others void what is here */
    size_t targets;
    struct autoscale_carry_target target[AUTOSCALE_CARRY_TARGETS];
    size_t leavers;
    struct autoscale_leaver leaver[AUTOSCALE_CHOSEN];
    size_t owns;
    struct autoscale_own own[AUTOSCALE_CHOSEN];
    int64_t plan_id;             /* that is waited for; 0 none */
    bool plan_cancel;            /* it was told to stop: its end is no failure */
    bool plan_given_up;          /* it was told to, because nobody began it */
    int join_plans, drain_plans; /* that have ended and left something to do */
    int64_t plan_after_ms;       /* nothing more is done about plans before */
    int64_t settled_ms; /* not over before: a plan that was called off may have done something */
    int64_t held_ms;    /* since when a plan waits, or cannot be made; 0: none does */
    char failing[256];  /* what could not be done; the rest is, then it has failed */
    bool alarm;
    char why[256]; /* what is waited for, for people */
};

enum autoscale_presence { /* by the provider */
                          AUTOSCALE_ABSENT,
                          AUTOSCALE_ARRIVING,
                          AUTOSCALE_HERE, /* in service and healthy */
                          AUTOSCALE_AILING,
                          AUTOSCALE_GOING,
                          AUTOSCALE_ASIDE /* exists and does not count */
};

struct autoscale_carry_member {
    const char *id;
    int target; /* -1: in none */
    enum autoscale_presence presence;
    bool registered; /* of a cluster: has a row */
    bool addressed;  /* its address is known, so that it can be registered */
    bool member;     /* of a cluster: is in it */
    bool up;         /* and answers */
    bool useful;     /* has its share of the work */
};

enum autoscale_plan_state {
    AUTOSCALE_PLAN_WAITS, /* pending, proposed, approved */
    AUTOSCALE_PLAN_RUNS,
    AUTOSCALE_PLAN_PAUSED, /* by a person, or because it cannot go on */
    AUTOSCALE_PLAN_DONE,
    AUTOSCALE_PLAN_FAILED,
    AUTOSCALE_PLAN_CANCELED
};
struct autoscale_carry_plan {
    int64_t id;
    enum autoscale_plan_state state;
    bool drains;             /* else joins */
    const char *why;         /* its error or phase; "" */
    const char *const *node; /* [nodes] that it is about */
    size_t nodes;
};

struct autoscale_carry_facts {
    int64_t now_ms;
    bool cluster; /* members of the Redis Cluster; else single nodes */
    int unit;
    const struct autoscale_reported *reported; /* [targets] */
    const bool *names;                         /* [targets] it terminates whom we name */
    size_t targets;
    const struct autoscale_carry_member *member; /* [members] sorted by id */
    size_t members;
    const struct autoscale_carry_plan *plan; /* of plan_id; NULL: there is none */
    const char *busy;                        /* why no plan can be made now; "" it can */
    const char *trouble;                     /* what the last act failed with; "" it did not */
};

struct autoscale_carry_pace {
    int64_t drain_ms;    /* for connections of who serves nothing any more */
    int64_t patience_ms; /* until what has not come, or not gone, is late */
    int64_t give_up_ms;  /* until waiting for anything else has failed; a plan that runs may */
    int64_t again_ms;    /* the same order is not given again before */
    int64_t settle_ms;   /* until the tables show what a plan has done */
    int64_t lapse_ms;    /* nobody looked at it for so long: it is given up; 0: it never is */
};

enum autoscale_act {
    AUTOSCALE_ACT_WAIT,
    AUTOSCALE_ACT_ORDER,      /* target wants n */
    AUTOSCALE_ACT_REGISTER,   /* chosen get rows */
    AUTOSCALE_ACT_JOIN,       /* a plan for chosen; record.plan_id is its id */
    AUTOSCALE_ACT_DRAIN,      /* the same */
    AUTOSCALE_ACT_CANCEL,     /* the plan is told to stop */
    AUTOSCALE_ACT_TERMINATE,  /* chosen, all of target, which wants n after the last */
    AUTOSCALE_ACT_UNREGISTER, /* chosen lose their rows */
    AUTOSCALE_ACT_END,        /* record.phase: done or failed */
    AUTOSCALE_ACTS
};
const char *autoscale_act_name(enum autoscale_act a);

struct autoscale_carry_step {
    enum autoscale_act act;
    size_t target;
    int n;
    size_t chosen;
    int chose[AUTOSCALE_CHOSEN]; /* indexes of facts.member */
};

/* The intent of a decision. before: of the fleet's decision before this one; NULL none. Ids are
 * those of the decision's nodes. PR_EINVAL: a place has no target. */
struct autoscale_intent {
    const struct autoscale_fleet *fleet;
    const struct autoscale_place *place; /* [places] */
    size_t places;
    int to;
    const char *const *leave, *const *back; /* [leaves], [backs] ids */
    size_t leaves, backs;
    const int *zone, *group; /* [targets] of facts: where each is */
};
PR_CHECKED enum pr_code autoscale_carry_begin(const struct autoscale_intent *intent,
                                              const struct autoscale_carry *before,
                                              const struct autoscale_carry_facts *facts,
                                              struct autoscale_carry *out, struct pr_err *err);

/* May a decision that nobody has begun yet still be carried out? Settings that were changed since,
 * and time, void it: it is decided anew. */
enum autoscale_fitness {
    AUTOSCALE_FIT,
    AUTOSCALE_NOT_YET, /* of settings that are newer than ours */
    AUTOSCALE_STALE
};
enum autoscale_fitness autoscale_carry_fitness(const struct autoscale_carry_pace *pace,
                                               int64_t decided_ms, int64_t decided_version,
                                               int64_t now_ms, int64_t version, char why[256]);

/* A number that tells groups of the provider's from others, or from the same in another order: one
 * after another is folded into it, from 0 on. Exact in JSON, whoever reads it. */
int64_t autoscale_carry_groups(int64_t before, const char *name, const char *zone,
                               const char *group);

/* One look: changes the record, which is to be saved before the act. Calling it again with the
 * same facts and the record as saved gives the same act, or WAIT where it was given just now. */
void autoscale_carry_step(const struct autoscale_carry_pace *pace,
                          const struct autoscale_carry_facts *facts, struct autoscale_carry *record,
                          struct autoscale_carry_step *out);

/* Who runs and is in no use: came and never joined, or is wanted by nobody. record: the fleet's
 * latest; NULL none. Indexes of facts.member; returns how many there are, at most n are given. */
size_t autoscale_carry_strays(const struct autoscale_carry_facts *facts,
                              const struct autoscale_carry *record, int *stray, size_t n);

const struct autoscale_carry_member *autoscale_carry_find(const struct autoscale_carry_facts *facts,
                                                          const char *id);
bool autoscale_carry_leaves(const struct autoscale_carry *record, const char *id);

#endif
