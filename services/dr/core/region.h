/* A region fail-over as steps: what each does, when it is done, how it is taken back, and which
 * comes next. The table is what plan prints, what execute goes through, and what the runbook is
 * made from. Pure.
 *
 * What happened is a journal of records; the state is what they add up to (dr_region_apply). Before
 * a step acts its INTENT is written, after it DONE or FAILED; so after a crash whoever goes on
 * repeats at most the step that was under way, and every step can be repeated. */
#ifndef DR_REGION_H
#define DR_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dr_region_step {
    DR_REGION_CHECK,
    DR_REGION_CLAIM,
    DR_REGION_LOCKOUT,
    DR_REGION_DRAIN,
    DR_REGION_RESTORE,
    DR_REGION_PROMOTE,
    DR_REGION_REDIS,
    DR_REGION_SWITCH,
    DR_REGION_VERIFY,
    DR_REGION_REPORT,
    DR_REGION_STEPS
};

struct dr_region_row {
    const char *name;      /* "claim" */
    const char *does;      /* a sentence, as the next three */
    const char *done_when; /* that is looked at, not believed */
    const char *undo;      /* what abort does; NULL: there is nothing to take back */
    const char *person;    /* what somebody has to do when it stops here */
};
extern const struct dr_region_row dr_region_row[DR_REGION_STEPS];
bool dr_region_step_find(const char *name, enum dr_region_step *out);

enum dr_region_kind {
    DR_REGION_BEGIN,   /* first of all */
    DR_REGION_ATTEMPT, /* somebody took it over: resume, or abort */
    DR_REGION_INTENT,  /* of a step, to act */
    DR_REGION_DONE,
    DR_REGION_FAILED, /* it may have done some of it */
    DR_REGION_NOTE,   /* of a step that runs: a fact that has to be known before it goes on */
    DR_REGION_ABORT,  /* from now on backwards */
    DR_REGION_UNDO,   /* intent to take a step back */
    DR_REGION_UNDONE,
    DR_REGION_STUCK, /* taking back failed */
    DR_REGION_END,   /* done, or after ABORT all taken back */
    DR_REGION_KINDS
};
const char *dr_region_kind_name(enum dr_region_kind k);
bool dr_region_kind_find(const char *name, enum dr_region_kind *out);

struct dr_region_record {
    enum dr_region_kind kind;
    enum dr_region_step step; /* of INTENT, DONE, FAILED, NOTE, UNDO, UNDONE, STUCK */
    bool postgres;            /* of BEGIN: the sites have one */
    int64_t at_ms;            /* Unix epoch, by the clock of who wrote it; tells, decides nothing */
};

enum dr_region_at {
    DR_REGION_WAITING,
    DR_REGION_RUNNING,
    DR_REGION_IS_DONE,
    DR_REGION_IS_FAILED,
    DR_REGION_IS_UNDONE
};
const char *dr_region_at_name(enum dr_region_at at);

struct dr_region_state { /* zeroed: an empty journal */
    bool begun, postgres, aborting, ended;
    uint32_t attempts; /* 1: BEGIN's */
    struct {
        enum dr_region_at at;
        int64_t begun_ms, ended_ms; /* of the last try; 0: not */
    } step[DR_REGION_STEPS];
    int64_t begun_ms, ended_ms, written_ms;
};

/* NULL, or why the record cannot come next: then the journal is damaged, and nothing is changed. */
const char *dr_region_apply(struct dr_region_state *s, const struct dr_region_record *r);

enum dr_region_do {
    DR_REGION_NOTHING, /* it has ended, or never begun */
    DR_REGION_STEP,    /* INTENT, the step, DONE or FAILED */
    DR_REGION_BACK,    /* UNDO, taking it back, UNDONE or STUCK */
    DR_REGION_FINISH   /* END */
};
enum dr_region_do dr_region_next(const struct dr_region_state *s, enum dr_region_step *step);

/* NULL, or why it can no longer be aborted: from the intent on to promote PostgreSQL the new side
 * may have writes of its own; without one, from the intent on of redis, the database that both
 * sides use may have the new side's rows. */
const char *dr_region_no_abort(const struct dr_region_state *s);

/* --- how much is missing -------------------------------------------------------------------- */

struct dr_region_point { /* where an old primary was when nobody could write there any more */
    char replid[41];
    uint64_t offset;
};
struct dr_region_shard { /* what was brought back of one */
    char replid[41];
    uint64_t offset;
    int64_t last_ms; /* when its last byte had arrived, by the shipper's clock */
};
/* The age of the oldest shard: 0 for one that ends where its primary did (or behind), else from
 * its last byte to at_ms. complete: point [points] are all primaries that there were; then shards
 * that end at none of them are of other histories, and *missing counts points that no shard
 * reaches. */
int64_t dr_region_rpo_ms(const struct dr_region_shard *shard, size_t shards,
                         const struct dr_region_point *point, size_t points, int64_t at_ms,
                         size_t *missing);
/* From execute to verified_ms, by clocks of two machines perhaps: never below 0. */
int64_t dr_region_rto_ms(const struct dr_region_state *s, int64_t verified_ms);

#endif
