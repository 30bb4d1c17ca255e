/* One slot's move by the real machine over the model cluster, with clients and
 * faults. What happens next is a choice: drawn from a seed, or enumerated. */
#ifndef PRISM_SIM_SLOT_WORLD_H
#define PRISM_SIM_SLOT_WORLD_H

#include "slot_model.h"
#include "slot_switches.h"

#include "core/slot/machine.h"
#include "prism/rng.h"

enum { CLIENTS = 2, MAX_WRITES = 20, MAX_CHOICES = 4096 };

struct slot_config {
    enum key_type type[KEYS];
    uint32_t keys;         /* there from the start; the others are created by clients */
    uint32_t ops;          /* of each client */
    uint32_t faults;       /* at most this many */
    bool fail_overs;       /* kill, pause, manual fail-over */
    bool cancel;           /* somebody may cancel */
    uint32_t target_holds; /* keys before the target is out of memory; 0: never */
    bool source_full;      /* nor does the source take any back */
    bool copy_first;       /* MIGRATE COPY, WAIT, delete if unchanged; else plain MIGRATE */
    bool prompt;           /* what a primary answered is in its replicas' sockets: only a machine's
                              loss, not a process's, keeps it from them */
    bool slow; /* the scheduler may be too slow: a promoted source's replica gets in step
                  before keys on both sides are compared */
    bool strings_are_set;
    bool replicas;  /* they are killed now and then, and hear nothing meanwhile */
    bool forks;     /* nodes have child processes now and then */
    bool cut_first; /* nothing fails over before a MIGRATE was cut short */
};

enum write_status { PENDING, ACKED, FAILED, UNKNOWN };

struct write {
    uint8_t status, key;
};

struct client {
    bool waiting, asking;
    int8_t node; /* whom it asks next */
    uint8_t key;
    uint32_t ops_left, write, tries;
    bool sent;
    int8_t at; /* where it ran: pending there */
    uint32_t generation, pos;
};

enum command_kind { CMD_SETSLOT, CMD_MIGRATE };
struct command {      /* of ours that a server has yet to run, sent by who no longer waits for it */
    bool used, stale; /* stale: by a scheduler whose user may be deleted */
    int8_t node, peer;
    uint8_t cred;
    enum command_kind kind;
    enum rebalance_slot_effect effect;
    uint32_t keys;
};

struct opened { /* the giver's primary on which the slot was opened and found sound */
    int8_t node;
    uint8_t epoch; /* of its election: the same node may be voted out and in again */
};

struct db { /* what is recorded */
    struct rebalance_slot_at at;
    struct opened giver;
    uint32_t in_flight; /* keys */
    uint32_t in_flight_since;
    struct print {
        uint32_t version, epoch, bits; /* of each key at a replica; version 0: unknown */
    } print[KEYS];
    int8_t printed_at;                 /* a replica of that shard, */
    uint32_t printed_in, printed_upto; /* its generation and position then */
};

enum phase { LOOK_SOURCE, LOOK_TARGET, ACT };

struct scheduler {
    bool alive;
    enum phase phase;
    struct rebalance_slot_view view;
    int8_t primary[2]; /* as last learnt */
    uint8_t elected[2];
    uint32_t reign[2];   /* generation of each shard, then */
    struct opened giver; /* memory of db.giver */
    bool conflict, stray, settled, gap_at_open, diverged;
    bool watched;      /* it has seen the primary on which the slot was opened */
    uint32_t since[2]; /* elections of each shard since, as far as it knows */
    bool uncertain;    /* whether the giver went on serving what is recorded as in flight */
    bool full[2];
    uint8_t cred;
    uint32_t dissent;
    uint32_t batch, batch_pos, versions[KEYS];
    bool cut_judged;
    uint32_t cut, cut_at, kept; /* keys of a MIGRATE that was not answered, when it was sent,
                                   and those that count at the giver */
    uint32_t seen_at[2], promoted_at[2]; /* by side; 0: never */
};

struct choices {
    bool enumerate;
    struct pr_rng rng;
    uint32_t n, n_forced;
    uint32_t forced_at[4];
    uint8_t forced[4];
    uint8_t alternatives[MAX_CHOICES];
};

enum slot_count {
    SAW_VERIFIED,
    SAW_ROLLED_BACK,
    SAW_STUCK,
    SAW_CRASH,
    SAW_STALE,
    SAW_KILL,
    SAW_PAUSE,
    SAW_MANUAL,
    SAW_PROMOTED_SOURCE,
    SAW_PROMOTED_TARGET,
    SAW_VOTE_REFUSED,
    SAW_LATE,
    SAW_LATE_REFUSED,
    SAW_CUT_MIGRATE,
    SAW_CUT_SHORT,
    SAW_CUT_KEPT,
    SAW_PRINT_SOURCE,
    SAW_PRINT_TARGET,
    SAW_CONFLICT,
    SAW_TURN,
    SAW_ACKED,
    SAW_UNKNOWN,
    SAW_ASK,
    SLOT_COUNTS
};

struct world {
    struct slot_config cfg;
    struct cluster c;
    struct db db;
    struct scheduler s;
    struct client client[CLIENTS];
    struct write write[MAX_WRITES];
    struct command late;
    uint32_t n_writes, faults_left, turn, epoch; /* epoch: of the scheduler's lease */
    bool cancel, quiet;
    bool was_cut; /* a MIGRATE, short */
    bool allowed; /* that it is stuck: no rule could know which copy is right */
    const char *stuck_why;
    const char *broken;
    struct choices choose; /* from here on not cleared at the start of a run */
    uint64_t saw[SLOT_COUNTS], events[REBALANCE_SLOT_EVENTS], effects[REBALANCE_SLOT_EFFECTS];
    bool trace;
};

const char *slot_run(struct world *w, const struct slot_config *cfg, uint64_t seed);
const char *slot_explore(struct world *w, const struct slot_config *cfg, uint32_t depth,
                         uint64_t *runs);

/* --- between the parts --- */
uint32_t slot_choose(struct world *w, uint32_t n);
bool slot_faulty(struct world *w);
bool electable(const struct world *w, int shard);
void slot_violation(struct world *w, const char *what);
void slot_trace(const struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void scheduler_spawn(struct world *w);
void scheduler_step(struct world *w);
void late_run(struct world *w);
bool scheduler_ready(const struct world *w); /* nothing on both sides is left to compare */
void client_step(struct world *w, struct client *cl);
bool client_idle(const struct client *cl);
void clients_settle(struct world *w);        /* acknowledge what all replicas have */
void clients_cut(struct world *w, int node); /* end every connection to it */
void slot_check_known(struct world *w);      /* who answers maps the slot to its owner */
void slot_check_end(struct world *w);

#endif
