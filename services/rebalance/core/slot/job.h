/* Moves slots by a job of the server (atomic slot migration: Valkey 9, Redis 8.4): the
 * server copies them while clients are served by the source, and the target takes all of
 * them over at once. What happens next follows from what both primaries report, never from
 * a job's own word alone: who owns the slots decides. Pure.
 * Source: docs/explanation/rebalance.md, "Where the server moves slots itself". */
#ifndef REBALANCE_JOB_H
#define REBALANCE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- what a server offers ------------------------------------------------------- */
enum rebalance_job_dialect {
    REBALANCE_JOB_NONE,
    REBALANCE_JOB_VALKEY, /* the source is asked: CLUSTER MIGRATESLOTS, GETSLOTMIGRATIONS,
                             CANCELSLOTMIGRATIONS */
    REBALANCE_JOB_REDIS,  /* the target is asked: CLUSTER MIGRATION IMPORT, STATUS, CANCEL */
    REBALANCE_JOB_DIALECTS
};
const char *rebalance_job_dialect_name(enum rebalance_job_dialect d); /* "none", "valkey", ... */
/* Of a pair, from what each of its primaries offers; *why is static. */
enum rebalance_job_dialect rebalance_job_agree(enum rebalance_job_dialect source,
                                               enum rebalance_job_dialect target, const char **why);

/* --- what a job is doing ------------------------------------------------------------ */
enum rebalance_job_phase {
    REBALANCE_JOB_ABSENT,   /* nothing is known of it: never begun, or its node was restarted */
    REBALANCE_JOB_RUNNING,  /* also every state that we do not know */
    REBALANCE_JOB_RETRYING, /* failed, and the server begins it again by itself */
    REBALANCE_JOB_HANDING,  /* writes are held back, the target is about to take over */
    REBALANCE_JOB_CLEANING, /* failed; the target still deletes what it had got */
    REBALANCE_JOB_DONE,
    REBALANCE_JOB_FAILED,
    REBALANCE_JOB_CANCELED, /* by somebody's command */
    REBALANCE_JOB_PHASES
};
const char *rebalance_job_phase_name(enum rebalance_job_phase p);
bool rebalance_job_runs(enum rebalance_job_phase p); /* running, retrying or handing */

struct rebalance_job_state { /* a state as a server names it */
    enum rebalance_job_dialect dialect;
    bool import; /* as the target sees it; else as the source does */
    const char *name;
    enum rebalance_job_phase phase;
};
const struct rebalance_job_state *rebalance_job_states(size_t *n);
/* error: what the server says of the job, it tells who canceled one of Redis. */
enum rebalance_job_phase rebalance_job_phase(enum rebalance_job_dialect d, bool import,
                                             const char *state, const char *error);
/* Of one job, as its two sides see it. */
enum rebalance_job_phase rebalance_job_judge(enum rebalance_job_phase at_source,
                                             enum rebalance_job_phase at_target);

/* --- which slots ---------------------------------------------------------------------- */
enum { REBALANCE_JOB_SLOTS = 512 };
/* How many of the next slots one job takes, 1 at least when n > 0: up to 1 GiB, so that it is
 * short and little is copied in vain, and REBALANCE_JOB_SLOTS. bytes[n]: expected. */
size_t rebalance_job_batch(const uint64_t *bytes, size_t n);
/* After which a job of so many bytes is given up: a minute, and a second per 4 MiB. */
int64_t rebalance_job_patience_ms(uint64_t bytes);
struct rebalance_job_range {
    int first, last; /* both included */
};
/* slot[n], sorted in place, as ranges: range[n]. Returns how many. */
size_t rebalance_job_ranges(int *slot, size_t n, struct rebalance_job_range *range);
enum { REBALANCE_JOB_ALL_SLOTS = 16384 };
struct rebalance_job_set {                       /* of slots */
    uint16_t below[REBALANCE_JOB_ALL_SLOTS + 1]; /* how many of the set are less than the index */
};
void rebalance_job_set(struct rebalance_job_set *set, const int *slot, size_t n);
/* Whether ranges as servers write them ("0-5 7 9-9") hold a slot of the set. */
bool rebalance_job_holds(const char *ranges, const struct rebalance_job_set *set);

enum rebalance_job_place {                       /* of one slot */
                           REBALANCE_JOB_STAYED, /* both primaries say: the source's */
                           REBALANCE_JOB_LANDED, /* both say: the target's */
                           REBALANCE_JOB_UNSURE, /* they differ, or name nobody or a former primary
                                                  */
                           REBALANCE_JOB_THIRD,  /* both name another shard's */
                           REBALANCE_JOB_PLACES
};
enum rebalance_job_owner {                          /* of one slot, by one primary */
                           REBALANCE_JOB_BY_SOURCE, /* the source shard's present primary */
                           REBALANCE_JOB_BY_TARGET,
                           REBALANCE_JOB_BY_FORMER, /* another member of either, or nobody */
                           REBALANCE_JOB_BY_THIRD,
                           REBALANCE_JOB_OWNERS
};
/* source_gone: its shard is no more (its last slot left), the target alone is asked. */
enum rebalance_job_place rebalance_job_place(enum rebalance_job_owner by_source,
                                             enum rebalance_job_owner by_target, bool source_gone);

/* --- what follows ----------------------------------------------------------------------- */
enum { REBALANCE_JOB_ATTEMPTS = 3 };

struct rebalance_job_view {
    bool source_there, target_there; /* primaries that answer and say they are some */
    bool source_gone, target_gone;   /* shards that are no more */
    size_t place[REBALANCE_JOB_PLACES];
    enum rebalance_job_phase phase; /* of the newest job between the two with one of the slots */
    unsigned retries;               /* by the server itself, of that job */
    bool foreign;                   /* another job runs on one of the two primaries */
    bool binds;                     /* canceling ours would end that one too */
    bool may_start;                 /* false: only to see what became of a job, or what is in
                                       the way */
    bool refused;    /* the primaries do not offer it (any more), or not to our user */
    bool leave;      /* a pause that has waited long enough, or a plan that is taken back */
    bool late;       /* the present job takes longer than it may */
    bool told;       /* the job of `phase` was told to end by us */
    bool ending;     /* one was told a moment ago: it may not have heard yet */
    bool rested;     /* a second went by since the last start, and since it was seen to run */
    bool alone;      /* a shard has no live replica, and nobody allowed that */
    unsigned starts; /* of these slots, by us */
    bool settled;    /* the target's live replicas have what it had when it was found the owner */
    bool agreed;     /* every reachable primary says so, and every replica of the two */
};

enum rebalance_job_event {
    REBALANCE_JOB_EV_MISSING, /* a primary that is needed does not answer */
    REBALANCE_JOB_EV_GONE,    /* the target's shard is no more, whatever the others say */
    REBALANCE_JOB_EV_HANDING, /* the job is about to end */
    REBALANCE_JOB_EV_ENDING,  /* it runs still, and was canceled by us a moment ago */
    REBALANCE_JOB_EV_BOUND,   /* it is to end, and another would end with it */
    REBALANCE_JOB_EV_FAILING, /* the server has tried often enough */
    REBALANCE_JOB_EV_LATE,    /* it takes too long */
    REBALANCE_JOB_EV_LEAVING, /* it runs, and we are told to stop */
    REBALANCE_JOB_EV_RUNNING,
    REBALANCE_JOB_EV_CLEANING,  /* it failed, and its remains are being deleted */
    REBALANCE_JOB_EV_NOTHING,   /* no slots are asked for, and nothing is in the way */
    REBALANCE_JOB_EV_UNHEARD,   /* the two primaries do not agree on the owner */
    REBALANCE_JOB_EV_UNSETTLED, /* taken over; replicas lag */
    REBALANCE_JOB_EV_UNKNOWN,   /* taken over; not everybody has heard of it */
    REBALANCE_JOB_EV_LANDED,
    REBALANCE_JOB_EV_FOREIGN, /* a third shard owns a slot */
    REBALANCE_JOB_EV_STOPPED, /* somebody else canceled it */
    REBALANCE_JOB_EV_LEFT,    /* nothing runs, the source owns slots, nothing is to begin */
    REBALANCE_JOB_EV_BUSY,    /* another job is in the way */
    REBALANCE_JOB_EV_REFUSED, /* not offered, or not to us */
    REBALANCE_JOB_EV_FAILED,  /* often enough */
    REBALANCE_JOB_EV_TIRED,   /* it ended without effect just now */
    REBALANCE_JOB_EV_ALONE,   /* what arrives would be on one node only */
    REBALANCE_JOB_EV_READY,
    REBALANCE_JOB_EVENTS
};

enum rebalance_job_effect {
    REBALANCE_JOB_DO_WAIT,  /* a moment, saying why, and look again */
    REBALANCE_JOB_DO_WATCH, /* the same; all is well */
    REBALANCE_JOB_DO_START, /* all slots that stayed */
    REBALANCE_JOB_DO_CANCEL,
    REBALANCE_JOB_DO_SETTLE, /* wait for the target's live replicas */
    REBALANCE_JOB_DO_VERIFY, /* ask the cluster */
    REBALANCE_JOB_DO_FINISH, /* over: all are verified */
    REBALANCE_JOB_DO_LEAVE,  /* over: what stayed is planned again, or taken back */
    REBALANCE_JOB_DO_HAND,   /* over: what stayed is moved by MIGRATE */
    REBALANCE_JOB_DO_STOP,   /* over: what stayed needs a person */
    REBALANCE_JOB_EFFECTS
};

struct rebalance_job_row {
    enum rebalance_job_event event;
    enum rebalance_job_effect effect;
    const char *why; /* static */
};
struct rebalance_job_row rebalance_job_step(const struct rebalance_job_view *view);

/* --- which job it is -------------------------------------------------------------------- */
enum { REBALANCE_JOB_ID = 64 };

struct rebalance_job_sight { /* by one primary: the job of ours that runs, else the newest */
    enum rebalance_job_phase phase;
    char id[REBALANCE_JOB_ID]; /* the same at both; "": there is none */
    unsigned retries;
};

/* Of one set of slots, what their jobs do not tell: which of them were begun or told to end by
 * us, and when. Zero: nothing was done yet. Times are monotonic. */
struct rebalance_job_memory {
    char before[2][REBALANCE_JOB_ID]; /* newest at source and target at the last start */
    char told[REBALANCE_JOB_ID];      /* to end */
    int64_t began_us; /* the last start, or when one was first seen to run; 0: neither */
    int64_t tried_us; /* the last start, or the last sight of one that ran; 0: neither */
    int64_t told_us;  /* the last order to end it, since the last start; 0: none */
    unsigned starts;
    bool ran; /* one was seen to */
};
/* The server is asked for one, having said seen[source, target] before. */
void rebalance_job_started(struct rebalance_job_memory *m, const struct rebalance_job_sight seen[2],
                           int64_t now_us);
/* The one that runs was told to end; refused: for certain in vain. */
void rebalance_job_told(struct rebalance_job_memory *m, const struct rebalance_job_sight seen[2],
                        bool refused, int64_t now_us);
/* Fills what the view says of time and of the newest job since the last start: phase, retries,
 * told, ending, late, rested, starts. bytes: of the slots. */
void rebalance_job_recall(struct rebalance_job_memory *m, const struct rebalance_job_sight seen[2],
                          uint64_t bytes, int64_t now_us, struct rebalance_job_view *view);

/* How long to wait before the next look when nothing changed at the last so many, us: it
 * grows to half a second. */
int64_t rebalance_job_poll_us(unsigned unchanged);

const struct rebalance_job_row *rebalance_job_table(size_t *n); /* by event */
const char *rebalance_job_event_name(enum rebalance_job_event e);
const char *rebalance_job_effect_name(enum rebalance_job_effect f);

#endif
