/* Moves one slot from a source shard to a target shard. A table beside a pure
 * step function. Level-triggered: what happens next follows from the recorded
 * state and from what both shards report, never from a command having been
 * sent; so restarts, duplicates and fail-overs need no case of their own.
 * A move gives keys from the *giver* to the *taker*: source to target, and,
 * once it goes back, target to source. Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_SLOT_MACHINE_H
#define REBALANCE_SLOT_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rebalance_slot_state { /* the furthest step intended; as in steps.state */
                            REBALANCE_SLOT_PLANNED,
                            REBALANCE_SLOT_IMPORTING,
                            REBALANCE_SLOT_MIGRATING,
                            REBALANCE_SLOT_DRAINING,
                            REBALANCE_SLOT_HANDOFF,
                            REBALANCE_SLOT_VERIFIED,
                            REBALANCE_SLOT_ROLLED_BACK,
                            REBALANCE_SLOT_STUCK,
                            REBALANCE_SLOT_STATES
};

struct rebalance_slot_at { /* durable: recorded before the effect is carried out */
    enum rebalance_slot_state state;
    bool back; /* keys go back to the source */
};

/* --- what the cluster reports ------------------------------------------------ */
enum rebalance_slot_open { /* of one slot on one node; ids seen from that node */
                           REBALANCE_SLOT_CLOSED,
                           REBALANCE_SLOT_MIGRATES,       /* to the other side's present primary */
                           REBALANCE_SLOT_MIGRATES_STALE, /* to any other id */
                           REBALANCE_SLOT_IMPORTS, /* from the other side's present primary */
                           REBALANCE_SLOT_IMPORTS_STALE,
                           REBALANCE_SLOT_OPENS
};
enum rebalance_slot_map {                           /* whom a node takes for the slot's owner */
                          REBALANCE_SLOT_TO_SELF,   /* it owns the slot */
                          REBALANCE_SLOT_TO_OTHER,  /* the other side's present primary */
                          REBALANCE_SLOT_TO_FORMER, /* another node of either of the two shards */
                          REBALANCE_SLOT_TO_THIRD,  /* a node of a third shard */
                          REBALANCE_SLOT_TO_NOBODY,
                          REBALANCE_SLOT_MAPS
};

struct rebalance_slot_side { /* the shard's present primary, as last learnt */
    bool there;              /* answers, and says that it is a primary */
    bool gone;               /* the shard is no more: its members joined others when it lost its
                                last slot, or were forgotten; the rest does not matter then */
    enum rebalance_slot_open open;
    enum rebalance_slot_map map;
    int64_t keys; /* in the slot, read after open and map; -1: unknown */
};

enum rebalance_slot_refusal { /* why one side takes no more keys; the I/O's memory */
                              REBALANCE_SLOT_ACCEPTS,
                              REBALANCE_SLOT_OOM,
                              REBALANCE_SLOT_OVERSIZED, /* a key whose move would block longer than
                                                           allowed */
                              REBALANCE_SLOT_REFUSALS
};

struct rebalance_slot_view {
    struct rebalance_slot_side source, target;
    bool third;    /* neither side owns it, and the node that one of them names as the owner is of
                      a third shard and says that it owns it, or cannot be asked */
    bool cancel;   /* somebody asks for the move to be undone */
    bool conflict; /* keys may be on both sides: set after a fail-over of the giver, -IOERR,
                      BUSYKEY, and a restart with keys recorded in flight; until RESOLVE is
                      through */
    bool diverged; /* RESOLVE found a key that no rule may judge */
    bool stray;    /* a command of ours of unknown fate may still run: a MIGRATE on a former primary
                      of the giver, or anything on a connection given up; until FENCE is through */
    bool settled;  /* all live replicas of both sides hold what their primaries held after the
                      giver was last found empty (by offsets: WAIT on a connection that wrote
                      nothing waits for nothing) */
    bool outbid;   /* the taker does not know the giver's present config epoch (the columns of
                      both in CLUSTER NODES differ): a claim might take a lower one, and lose slot
                      and keys again when the giver speaks */
    bool low;      /* the owner's config epoch is not above the other side's: who has not heard
                      of it yet may never, and claims the slot once promoted */
    bool agreed;   /* every reachable primary of the cluster, and every reachable replica of the
                      two shards, maps the slot to its owner */
    enum rebalance_slot_refusal refused[2]; /* by the target [0], by the source [1] */
};

/* --- what follows ------------------------------------------------------------ */
enum rebalance_slot_event {
    REBALANCE_SLOT_EV_MISSING,   /* a primary that is needed does not answer, or is none */
    REBALANCE_SLOT_EV_GONE,      /* the taker's shard is no more */
    REBALANCE_SLOT_EV_FOREIGN,   /* neither side owns it, a third party does */
    REBALANCE_SLOT_EV_DIVERGED,  /* a key differs and no rule says which copy is right */
    REBALANCE_SLOT_EV_STRAY,     /* a command of ours may still run */
    REBALANCE_SLOT_EV_CANCELED,  /* cancel, the source owns, no key has moved; the target is open */
    REBALANCE_SLOT_EV_UNDOING,   /* the same; the target is closed, the source open */
    REBALANCE_SLOT_EV_UNDONE,    /* the same; both are closed and everybody knows */
    REBALANCE_SLOT_EV_REFUSED,   /* forward: the target takes no more keys */
    REBALANCE_SLOT_EV_DEADLOCK,  /* back: the source does not take them either */
    REBALANCE_SLOT_EV_UNTURNED,  /* back: but the source still owns it, and the target has keys */
    REBALANCE_SLOT_EV_UNOWNED,   /* nobody owns it, the giver holds keys */
    REBALANCE_SLOT_EV_ABANDONED, /* nobody owns it, the giver is empty */
    REBALANCE_SLOT_EV_UNPREPARED, /* giver owns; the taker is closed */
    REBALANCE_SLOT_EV_MISLED,     /* giver owns; the taker imports from, or believes in, another */
    REBALANCE_SLOT_EV_UNOPENED,   /* giver owns, taker imports; the giver is closed or stale */
    REBALANCE_SLOT_EV_CONFLICT,   /* both open; keys may be on both sides */
    REBALANCE_SLOT_EV_LOADED,     /* both open; the giver holds keys */
    REBALANCE_SLOT_EV_UNSETTLED,  /* both open, the giver is empty, replicas lag */
    REBALANCE_SLOT_EV_OUTBID,     /* both open, the giver is empty everywhere; epochs not known */
    REBALANCE_SLOT_EV_EMPTY,      /* both open, the giver is empty everywhere */
    REBALANCE_SLOT_EV_LOW,        /* taker owns; its epoch is not above the giver's */
    REBALANCE_SLOT_EV_CLAIMED,    /* taker owns; the giver does not know yet */
    REBALANCE_SLOT_EV_LEFTOVERS,  /* taker owns; the giver holds keys nobody can reach */
    REBALANCE_SLOT_EV_GIVER_OPEN, /* taker owns, giver knows; a mark is left on the giver */
    REBALANCE_SLOT_EV_TAKER_OPEN, /* the same, on the taker */
    REBALANCE_SLOT_EV_UNHEARD,    /* taker owns, nothing open; not everybody knows */
    REBALANCE_SLOT_EV_KNOWN,      /* and everybody knows */
    REBALANCE_SLOT_EVENTS
};

enum rebalance_slot_effect { /* G giver, T taker; ids are those of the present primaries.
                                {}: one script, so that no client sees it half done: it refuses
                                itself when the node's TIME is past a deadline (a node that was
                                paused runs what is in its sockets before it learns that it was
                                voted out), and stops at the first SETSLOT that is refused. Where
                                the node has a mark of the other kind it is preceded by STABLE:
                                MIGRATING hides IMPORTING, and outlives NODE */
                             REBALANCE_SLOT_DO_NOTHING, /* final */
                             REBALANCE_SLOT_DO_LOOK,    /* observe again at once */
                             REBALANCE_SLOT_DO_WAIT,    /* poll the members of both shards again in
                                                           20-50 ms */
                             REBALANCE_SLOT_DO_FENCE,   /* on both: CLIENT KILL USER (ours); on T: a
                                                           new password for   MIGRATE's AUTH2, the
                                                           former one withdrawn */
                             REBALANCE_SLOT_DO_IMPORT,  /* on T: {SETSLOT IMPORTING G} */
                             REBALANCE_SLOT_DO_CURE, /* on T: {SETSLOT NODE G, SETSLOT IMPORTING G}
                                                      */
                             REBALANCE_SLOT_DO_MIGRATE, /* on G: {SETSLOT MIGRATING T} */
                             REBALANCE_SLOT_DO_RESOLVE, /* judge every key that may be on both
                                                           sides; then clear the record of keys in
                                                           flight */
                             REBALANCE_SLOT_DO_DRAIN, /* batches of MIGRATE from G to T, until empty
                                                         or trouble */
                             REBALANCE_SLOT_DO_SETTLE,  /* wait until the live replicas of both hold
                                                           everything */
                             REBALANCE_SLOT_DO_CLAIM,   /* on T: {SETSLOT IMPORTING G, SETSLOT NODE
                                                           T}: after IMPORTING,   NODE takes a new
                                                           epoch
                                                         */
                             REBALANCE_SLOT_DO_RELEASE, /* on G: SETSLOT NODE T */
                             REBALANCE_SLOT_DO_TURN, /* on T (the source): {DELSLOTS, SETSLOT NODE
                                                        G, SETSLOT IMPORTING G}: gives the slot away
                                                        while it holds keys */
                             REBALANCE_SLOT_DO_RECLAIM, /* on G: {SETSLOT IMPORTING T, SETSLOT NODE
                                                           G, SETSLOT MIGRATING T} */
                             REBALANCE_SLOT_DO_CLOSE_G, /* on G: SETSLOT STABLE */
                             REBALANCE_SLOT_DO_CLOSE_T, /* on T: SETSLOT STABLE */
                             REBALANCE_SLOT_DO_BUMP,    /* on T: BUMPEPOCH */
                             REBALANCE_SLOT_DO_VERIFY,  /* ask every primary, and the replicas of
                                  both, again; after 1 s of  dissent BUMPEPOCH on the owner, once a
                                  second: a node that was  voted out after it claimed may be believed
                                  still */
                             REBALANCE_SLOT_DO_STOP,    /* report: plan and slot need a person */
                             REBALANCE_SLOT_EFFECTS
};

struct rebalance_slot_row {
    enum rebalance_slot_state from;
    enum rebalance_slot_event event;
    enum rebalance_slot_state to; /* VERIFIED stands for ROLLED_BACK when going back */
    enum rebalance_slot_effect effect;
    const char *why; /* static */
};

struct rebalance_slot_next {
    struct rebalance_slot_at at; /* record it when it differs, then carry out the effect */
    enum rebalance_slot_event event;
    enum rebalance_slot_effect effect;
    const char *why;
};

/* The event that a view amounts to. */
enum rebalance_slot_event rebalance_slot_observe(struct rebalance_slot_at at,
                                                 const struct rebalance_slot_view *view);
/* Observes and looks the row up. */
struct rebalance_slot_next rebalance_slot_step(struct rebalance_slot_at at,
                                               const struct rebalance_slot_view *view);
bool rebalance_slot_final(enum rebalance_slot_state s); /* verified, rolled back, stuck */

const struct rebalance_slot_row *rebalance_slot_table(size_t *n);
const char *rebalance_slot_state_name(enum rebalance_slot_state s);
const char *rebalance_slot_event_name(enum rebalance_slot_event e);
const char *rebalance_slot_effect_name(enum rebalance_slot_effect f);

/* steps.state to state; false: no such name. */
bool rebalance_slot_state_parse(const char *name, enum rebalance_slot_state *out);

/* Whether a node may be told this of a slot: all but DELSLOTS and STABLE want the id of a node, and
 * of one that never answered there is none. */
bool rebalance_slot_named(const char *verb, const char *id);

#endif
