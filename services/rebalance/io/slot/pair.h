/* One pair of shards at work: what the files of this folder share. A worker owns the
 * pair: its thread opens, drains and hands over one slot at a time, as the machine
 * (core/slot/machine.h) says; beside it a scout reads the next slots' keys, records
 * what will be in flight before it is sent, and verifies what was handed over. */
#ifndef REBALANCE_SLOT_PAIR_H
#define REBALANCE_SLOT_PAIR_H

#include "io/slot/copies.h"
#include "io/slot/keys.h"
#include "io/slot/rows.h"
#include "io/slot/run.h"
#include "io/slot/shard.h"

#include "prism/stats.h"

enum { REBALANCE_LANES = 2 };

struct rebalance_piece { /* keys of one slot, recorded as in flight */
    struct rebalance_slot_step *step;
    struct rebalance_keys keys;
};
enum { REBALANCE_WINDOW_SLOTS = 256, REBALANCE_WINDOW_KEYS = 8192, REBALANCE_SLOT_KEYS = 16384 };
struct rebalance_window {
    struct rebalance_piece piece[REBALANCE_WINDOW_SLOTS];
    size_t n;
};

/* MIGRATE authenticates at the taker as this user, made for the pair alone: when it
 * is deleted there, no earlier MIGRATE can arrive any more. */
struct rebalance_carrier {
    char name[64], password[65];
    unsigned generation;
};

struct rebalance_cut { /* a batch whose MIGRATE did not say OK */
    int64_t sent_us;   /* 0: it did */
    bool judged;       /* what follows was found out, by the first who touched the copies */
    size_t kept, keys; /* rebalance_cut_kept of so many keys */
};

struct rebalance_lane { /* a connection to the giver; lanes take turns */
    struct pr_redis *conn;
    bool waits; /* a WAIT is not answered yet */
};

struct rebalance_verifier {
    struct pr_cluster *cluster; /* NULL: not connected */
    size_t next, primaries;     /* primaries: in the cluster, when it was asked last */
};

struct rebalance_probe { /* of the two primaries */
    struct pr_redis *conn[2];
    struct pr_hist ping[2];
    double cpu_s[2];
    unsigned errors[2];
};

struct rebalance_pair {
    struct rebalance_slot_run *run;
    struct rebalance_slot_pair name;
    size_t number;
    struct pr_db *db;
    struct rebalance_shard shard[2];   /* source, target; addresses of primaries under lock */
    struct rebalance_slot_step *steps; /* [n_steps] */
    size_t n_steps, next_step;         /* next_step: for the scout, under lock */
    size_t begun;                      /* of the steps, the first so many were when loaded */
    struct rebalance_carrier carrier;
    struct rebalance_drain_limits limits;
    struct rebalance_bucket bucket[2]; /* of the two nodes */
    struct pr_redis *service[2];       /* to the two primaries as the service's user */

    /* Of the slot in hand: */
    struct rebalance_slot_step *step;
    struct rebalance_slot_view view;
    struct rebalance_piece *piece;     /* keys known beforehand; NULL */
    bool known;                        /* view is what the cluster said last */
    bool calm;                         /* nothing happened since the pair was looked at */
    unsigned seen_changes[2];          /* of the shards' primaries, when they were looked at last */
    bool reopened, gap_unacknowledged; /* on a promoted giver; core/slot/drain.h */
    bool giver_failed;                 /* over, and keys on both sides are not compared yet */
    bool restarted[2]; /* the shards' primaries, and keys on both sides are not compared yet */
    bool unsure;       /* whether the giver failed over: the marks are not asked yet */
    size_t put_back;   /* rows that said more than was done */
    bool urgent;       /* to its end although a pause was asked for */
    struct rebalance_fail_overs over[2]; /* of the shards, in this slot since it was turned */
    bool resumed; /* begun by somebody else: what is in flight says the row alone */
    struct rebalance_verifier verifier;
    int64_t told_us;     /* when the order to stop was seen first; 0: not */
    int64_t clock_us[2]; /* of the primaries, minus our monotonic one */
    bool clock_known[2];
    struct rebalance_lane lane[REBALANCE_LANES];
    struct pr_redis *taker; /* for marks and WAIT */
    struct pr_redis *reader;
    bool taker_waits;
    unsigned turn;                         /* batches sent in this slot */
    struct pr_buf recent[REBALANCE_LANES]; /* the last batches' keys: their DEL may be lost */
    struct rebalance_cut cut[REBALANCE_LANES];
    struct rebalance_written deleted[REBALANCE_LANES]; /* where the giver's history has them */
    struct rebalance_keys late;                        /* keys that came after the scan */
    int live[2];            /* replicas to wait for: giver's side [0], taker's [1] by shard */
    int gives;              /* the shard of which dr knows that it gives slots to the other, if */
    bool gives_known;       /* it does */
    bool gives_asked;       /* it was told, and is to hear of the end */
    bool no_compression[2]; /* rdbcompression was turned off on that primary */
    bool touched[2];        /* and on some member of that shard */
    uint64_t busy_us;       /* of the last batch, or job */
    bool slowed;            /* by the throttle, at the last batch */
    int64_t opened_us, last_sent_us, answered_us;
    int64_t round_trip_us; /* to the giver: the shortest seen */

    /* The scout's, and what the two tell each other under lock: */
    pthread_t scout;
    bool scout_runs;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool scout_ends; /* set by the worker */
    bool scout_idle; /* no step is left to prepare */
    bool doubt;      /* set by the scout: something handed over does not become known */
    struct rebalance_drain_limits scout_limits;
    struct rebalance_window *ready;      /* prepared and recorded; NULL */
    struct rebalance_slot_step **handed; /* [n_handed] to verify; cap n_steps */
    size_t n_handed;

    pthread_t probes;
    bool probes_run;
    atomic_bool probes_end;
    struct rebalance_probe probe;          /* the probes' */
    struct rebalance_throttle throttle[2]; /* under lock */
    bool anew[2]; /* under lock: another primary; what was measured is of the former */
    struct rebalance_throttle_limits throttle_limits; /* set before the probes start */
};

static inline int rebalance_pair_giver(const struct rebalance_pair *p)
{
    return p->step->at.back ? 1 : 0; /* index of the shard that gives keys */
}
static inline struct rebalance_shard *rebalance_giver(struct rebalance_pair *p)
{
    return &p->shard[rebalance_pair_giver(p)];
}
static inline struct rebalance_shard *rebalance_taker(struct rebalance_pair *p)
{
    return &p->shard[!rebalance_pair_giver(p)];
}

/* No key of lane i's last batch is in flight any more. */
static inline void rebalance_pair_landed(struct rebalance_pair *p, unsigned i)
{
    pr_buf_reset(&p->recent[i]);
    p->cut[i] = (struct rebalance_cut){ 0 };
}

/* After a look at the shards: a member that refused our user lost it in a restart. */
static inline void rebalance_pair_miss_users(struct rebalance_pair *p)
{
    if (p->shard[0].refused || p->shard[1].refused)
        atomic_store(&p->run->users_missing, true);
    p->shard[0].refused = p->shard[1].refused = false;
}

/* pair.c: one pair, from its rows to its end. */
PR_CHECKED enum pr_code rebalance_pair_run(struct rebalance_slot_run *run, size_t number,
                                           struct pr_err *err);

/* slot.c: the slot of *step until it is verified, rolled back or stuck; with a piece
 * and while all is calm only until it is handed over: verifying is the scout's. */
PR_CHECKED enum pr_code rebalance_pair_slot(struct rebalance_pair *p,
                                            struct rebalance_slot_step *step,
                                            struct rebalance_piece *piece, struct pr_err *err);

/* Told to stop, and long enough ago: nothing more is sent, the slot stays open. */
bool rebalance_pair_leaves(struct rebalance_pair *p);
/* Sleeps; false, and at once, when it leaves. */
bool rebalance_pair_pause(struct rebalance_pair *p, int64_t us);
/* Records what step->at and step->in_flight intend, however long PostgreSQL takes. */
PR_CHECKED enum pr_code rebalance_pair_intend(struct rebalance_pair *p,
                                              struct rebalance_slot_step *step, struct pr_err *err);
/* Writes, however long PostgreSQL takes. */
PR_CHECKED enum pr_code rebalance_pair_write(struct rebalance_pair *p,
                                             const struct rebalance_slot_write *w,
                                             struct pr_err *err);
/* Shard k has another primary than when it was seen last. */
void rebalance_pair_succeeded(struct rebalance_pair *p, int k);
void rebalance_pair_tally(struct rebalance_slot_run *run, const struct rebalance_slot_step *step);

/* effects.c: carries one out. PR_OK: done, and the view says so; anything else makes
 * the caller look again, except PR_ECANCELED (abandoned), PR_EFENCED and PR_EINVAL. */
PR_CHECKED enum pr_code rebalance_pair_effect(struct rebalance_pair *p,
                                              const struct rebalance_slot_next *next,
                                              struct pr_err *err);

/* links.c: connections of the slot in hand, opened on demand. */
PR_CHECKED enum pr_code rebalance_pair_lane(struct rebalance_pair *p, unsigned i,
                                            struct pr_redis **conn, struct pr_err *err);
PR_CHECKED enum pr_code rebalance_pair_taker(struct rebalance_pair *p, struct pr_redis **conn,
                                             struct pr_err *err);
/* A second one to the giver, for reading keys. */
PR_CHECKED enum pr_code rebalance_pair_reader(struct rebalance_pair *p, struct pr_redis **conn,
                                              struct pr_err *err);
/* Address of a primary, for the scout. PR_EUNAVAIL: there is none. */
PR_CHECKED enum pr_code rebalance_pair_primary(struct rebalance_pair *p, int k,
                                               struct rebalance_shard_member *out,
                                               struct pr_err *err);
/* How many there are: the probes may learn of another at any time. */
size_t rebalance_pair_members(struct rebalance_pair *p, int k);
/* To the primary of shard k as the service's user. */
PR_CHECKED enum pr_code rebalance_pair_service(struct rebalance_pair *p, int k,
                                               struct pr_redis **conn, struct pr_err *err);
/* Drops them; a reply that had not come makes what was sent stray. */
void rebalance_pair_unlink(struct rebalance_pair *p);
/* Before every command that writes, with the longest time for which we wait for its
 * answer: PR_OK when the lease outlives that; waits for its renewal. PR_ECANCELED:
 * abandoned, or paused meanwhile. PR_EINVAL: no lease of this TTL ever does. */
PR_CHECKED enum pr_code rebalance_pair_may_send(struct rebalance_pair *p, int timeout_ms,
                                                struct pr_err *err);
/* What the lease has left at best; 0: for ever. */
int64_t rebalance_pair_lease_ms(const struct rebalance_slot_run *run);
int rebalance_pair_patience_ms(const struct rebalance_slot_run *run); /* for a plain command */
/* The carrier on every member of both shards; a next generation replaces the one before. */
PR_CHECKED enum pr_code rebalance_pair_carrier(struct rebalance_pair *p, bool next,
                                               struct pr_err *err);
void rebalance_pair_carrier_remove(struct rebalance_pair *p);
/* rdbcompression of the giver's primary: off, or what the settings say. */
void rebalance_pair_compression(struct rebalance_pair *p, int k, bool moving);
/* Learns how many replicas to wait for. PR_EUNAVAIL: none is live and nobody allowed that. */
PR_CHECKED enum pr_code rebalance_pair_replicas(struct rebalance_pair *p, struct pr_err *err);

/* dr.c: before a key moves from shard `giver` (0 or 1) to the other: waits until the dr service, if
 * it ships this cluster, knows of that. PR_ECANCELED: told to stop, or abandoned. */
PR_CHECKED enum pr_code rebalance_pair_gives(struct rebalance_pair *p, int giver,
                                             struct pr_err *err);
/* Right before keys move: nothing has changed about that since, such as that dr was started. False:
 * it has, or nobody can say; rebalance_pair_gives() is to be called again. */
bool rebalance_pair_gives_still(struct rebalance_pair *p);
/* After the pair's last slot: dr may forget it, once all is durable. */
void rebalance_pair_gave(struct rebalance_pair *p);

/* drain.c: moves keys until the giver was seen empty and all live replicas know, or
 * something happens. */
PR_CHECKED enum pr_code rebalance_pair_drain(struct rebalance_pair *p, struct pr_err *err);

/* settle.c: WAIT, which speaks of what its own connection wrote. */
/* After a batch: has the taker's replicas asked for it, without waiting. */
PR_CHECKED enum pr_code rebalance_pair_mark(struct rebalance_pair *p, struct pr_err *err);
/* Reads what WAIT answered on lane i, or on the taker's connection, if one is open. */
PR_CHECKED enum pr_code rebalance_pair_await_lane(struct rebalance_pair *p, unsigned i,
                                                  struct pr_err *err);
void rebalance_pair_hear_lanes(struct rebalance_pair *p);
PR_CHECKED enum pr_code rebalance_pair_await_taker(struct rebalance_pair *p, struct pr_err *err);
/* All live replicas of both hold everything. */
PR_CHECKED enum pr_code rebalance_pair_settle(struct rebalance_pair *p, struct pr_err *err);
/* The live replicas of shard k have all that its primary had written when asked. */
PR_CHECKED enum pr_code rebalance_pair_catch_up(struct rebalance_pair *p, int k,
                                                struct pr_err *err);
int64_t rebalance_pair_wait_ms(const struct rebalance_pair *p); /* of one WAIT */
PR_CHECKED enum pr_code rebalance_append_wait(struct pr_redis *conn, int replicas, int64_t ms,
                                              struct pr_err *err);
/* A number n with CRC16("n") mod 16384 == slot: "{n}" puts a key into the slot. */
unsigned rebalance_tag_of_slot(unsigned slot);

/* job_pair.c: slots that the servers move themselves (core/slot/job.h). *on: as in pair.c. */
/* Of steps that were begun: what became of jobs with them. Those that nothing moved are
 * planned again (fresh, counted in p->put_back). */
PR_CHECKED enum pr_code rebalance_pair_resume_jobs(struct rebalance_pair *p, bool *on,
                                                   struct pr_err *err);
/* Waits until both primaries say that no job is in the way, also of MIGRATE; then fresh steps
 * from p->next_step on, which is moved on over those that are done: all of them when both
 * offer it and nothing speaks against it. */
PR_CHECKED enum pr_code rebalance_pair_jobs(struct rebalance_pair *p, bool *on, struct pr_err *err);

/* cut.c: before copies are compared, which touches them. */
PR_CHECKED enum pr_code rebalance_pair_judge_cuts(struct rebalance_pair *p, struct pr_redis *giver,
                                                  struct pr_redis *taker, struct pr_err *err);
/* Before a copy is changed: a key that goes tells nothing of its batch any more, so what was not
 * found out by then stays unknown. */
void rebalance_pair_cuts_over(struct rebalance_pair *p);
/* The key's MIGRATE did not say OK. */
bool rebalance_pair_unanswered(const struct rebalance_pair *p, const char *key, size_t len);
/* The promoted giver's copy of the key is the one that was sent, and what was written since. */
bool rebalance_pair_kept(const struct rebalance_pair *p, const char *key, size_t len);

/* conflict.c: judges keys that may be on both sides. PR_ECONFLICT: no rule for one. */
PR_CHECKED enum pr_code rebalance_pair_resolve(struct rebalance_pair *p, bool taker_owns,
                                               struct pr_err *err);

/* verify.c: asks every primary whom it takes for the owner of the slots of steps[n];
 * ok[i]: all agree that it is the primary with that id. */
PR_CHECKED enum pr_code rebalance_verify(struct rebalance_verifier *v,
                                         const struct rebalance_slot_run *run,
                                         struct rebalance_slot_step *const *steps, size_t n,
                                         const char *owner_id, const char *other_id, bool *ok,
                                         struct pr_err *err);
int64_t rebalance_verify_every_us(const struct rebalance_verifier *v);
void rebalance_verifier_close(struct rebalance_verifier *v);

/* scout.c */
PR_CHECKED enum pr_code rebalance_scout_start(struct rebalance_pair *p, struct pr_err *err);
/* The next window, for the caller to free; NULL: nothing left, or told to stop. */
struct rebalance_window *rebalance_scout_take(struct rebalance_pair *p);
void rebalance_window_free(struct rebalance_window *w);
/* Something handed over does not become known: look at it. */
bool rebalance_scout_doubts(struct rebalance_pair *p);
void rebalance_scout_hand(struct rebalance_pair *p, struct rebalance_slot_step *step);
/* Ends it, after a last try to verify and record what was handed over. Afterwards what
 * is left of that is in p->handed. */
void rebalance_scout_stop(struct rebalance_pair *p);

/* pace.c: what the throttle and the budgets allow. */
void rebalance_pair_pace_init(struct rebalance_pair *p, int64_t now_us);
double rebalance_pair_pace(struct rebalance_pair *p); /* sleeps; factor for the batch */
void rebalance_pair_rest(struct rebalance_pair *p);   /* sleeps, between two jobs of a server */
/* Sleeps until they may flow; false: it leaves, and nothing is paid. */
bool rebalance_pair_pay(struct rebalance_pair *p, double bytes);
void rebalance_pair_repay(struct rebalance_pair *p, double bytes); /* they did not */
/* A thread that probes both primaries for the throttle. base: the limit is first
 * measured by what they are like before anything moves. */
PR_CHECKED enum pr_code rebalance_probes_start(struct rebalance_pair *p, bool base,
                                               struct pr_err *err);
void rebalance_probes_stop(struct rebalance_pair *p);

#endif
