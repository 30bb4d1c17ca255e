/* Decisions with all that they were decided from, what came of them, and what a fleet's
 * policies carry on. Source: migrations, autoscale_decisions, _actions and _state. */
#ifndef AUTOSCALE_DECISIONS_H
#define AUTOSCALE_DECISIONS_H

#include "core/history.h"

#include "prism/arena.h"
#include "prism/io/db.h"
#include "prism/io/lease.h"

/* decided -> acting -> done | failed; decided may fail before it was acted on; a later
 * decision to move supersedes both. */
enum autoscale_decision_state {
    AUTOSCALE_DECISION_DECIDED,
    AUTOSCALE_DECISION_ACTING,
    AUTOSCALE_DECISION_DONE,
    AUTOSCALE_DECISION_FAILED,
    AUTOSCALE_DECISION_SUPERSEDED,
    AUTOSCALE_DECISION_STATES
};
const char *autoscale_decision_state_name(enum autoscale_decision_state s);
PR_CHECKED enum pr_code autoscale_decision_state_parse(const char *name,
                                                       enum autoscale_decision_state *out,
                                                       struct pr_err *err);

struct autoscale_state { /* what a fleet's policies carry on */
    int desired;
    const char *memory; /* JSON, kept to the byte */
    int64_t evaluated_ms;
    const char *members; /* JSON (json/since.h); NULL: not looked at */
};

struct autoscale_decision_row { /* borrowed strings when stored; in the arena when loaded */
    int64_t id, at_ms;          /* id: set when stored */
    const char *fleet;
    int64_t settings_version;
    int from, to;
    const char *move, *why; /* "hold", "out", "in", "unknown" */
    bool alarm;
    const char *alarm_why;
    const char *input, *decision; /* JSON, kept to the byte; NULL in pages */
    enum autoscale_decision_state state;
    const char *report; /* JSON of the actuator; NULL none yet */
    int64_t plan_id;    /* 0 none */
    int64_t updated_ms, revision;
    bool advice;                         /* nobody carries it out */
    const struct autoscale_state *after; /* of the fleet, stored with it; NULL: left as it is */
};

/* Stores a decision as decided, under the lease, and gives it its id, with what the fleet's
 * policies carry on, in one transaction. One that moves supersedes those of its fleet that are
 * not finished, and is an action; `hold`, `unknown` and advice leave them be and are stored as
 * done: nothing is to be done for them. The same decision again (fleet, time, JSON) changes
 * nothing. Whenever a decision's state changes, prism.evt.autoscale.decision says so.
 * PR_EEXISTS: another one is there for that time. PR_EINVAL: not JSON, or no such move. */
PR_CHECKED enum pr_code autoscale_decision_put(struct pr_db *db, const struct pr_lease *lease,
                                               struct autoscale_decision_row *row,
                                               struct pr_err *err);
/* Whole. PR_ENOTFOUND. */
PR_CHECKED enum pr_code autoscale_decision_load(struct pr_db *db, struct pr_arena *arena,
                                                int64_t id, struct autoscale_decision_row *out,
                                                struct pr_err *err);

struct autoscale_decision_page {
    const char *fleet; /* NULL: all */
    int64_t before_id; /* 0: from the newest on */
    bool moves_only;   /* without hold and unknown */
    bool open_only;    /* decided or acting */
    int limit;         /* 1..1000 */
};
/* Newest first, without input and decision. */
PR_CHECKED enum pr_code autoscale_decision_list(struct pr_db *db, struct pr_arena *arena,
                                                const struct autoscale_decision_page *page,
                                                struct autoscale_decision_row **row, size_t *n,
                                                struct pr_err *err);

/* Moves on to a state; report (JSON) and plan_id are kept where NULL and 0 are given. The state
 * it has already: only these are written. PR_ECONFLICT: its state allows no such step (names
 * it). PR_ENOTFOUND. */
PR_CHECKED enum pr_code autoscale_decision_advance(struct pr_db *db, const struct pr_lease *lease,
                                                   int64_t id, enum autoscale_decision_state to,
                                                   const char *report, int64_t plan_id,
                                                   struct pr_err *err);

/* The same as a part of somebody's transaction. */
PR_CHECKED enum pr_code autoscale_decision_advance_in(struct pr_db *db,
                                                      const struct pr_lease *lease, int64_t id,
                                                      enum autoscale_decision_state to,
                                                      const char *report, int64_t plan_id,
                                                      struct pr_err *err);
PR_CHECKED enum pr_code autoscale_action_put_in(struct pr_db *db, const struct pr_lease *lease,
                                                const char *fleet,
                                                const struct autoscale_action *action,
                                                int64_t decision_id, struct pr_err *err);
PR_CHECKED enum pr_code autoscale_state_put_in(struct pr_db *db, const struct pr_lease *lease,
                                               const char *fleet,
                                               const struct autoscale_state *state,
                                               struct pr_err *err);

/* A change of what is wanted, which the actuator was told. decision_id 0: by hand. The same
 * fleet and time again changes nothing. */
PR_CHECKED enum pr_code autoscale_action_put(struct pr_db *db, const struct pr_lease *lease,
                                             const char *fleet,
                                             const struct autoscale_action *action,
                                             int64_t decision_id, struct pr_err *err);
/* Those in (from_ms, to_ms], oldest first, in the arena. */
PR_CHECKED enum pr_code autoscale_actions_load(struct pr_db *db, struct pr_arena *arena,
                                               const char *fleet, int64_t from_ms, int64_t to_ms,
                                               struct autoscale_action **action, size_t *n,
                                               struct pr_err *err);

/* Replaces a fleet's state, under the lease, unless it was evaluated later. */
PR_CHECKED enum pr_code autoscale_state_put(struct pr_db *db, const struct pr_lease *lease,
                                            const char *fleet, const struct autoscale_state *state,
                                            struct pr_err *err);
/* PR_ENOTFOUND: the fleet was never evaluated. */
PR_CHECKED enum pr_code autoscale_state_load(struct pr_db *db, struct pr_arena *arena,
                                             const char *fleet, struct autoscale_state *out,
                                             struct pr_err *err);

enum { AUTOSCALE_FORGET_ROWS = 1000 }; /* of one call */
/* Deletes finished decisions, and actions, of more than keep_days before now_ms, the oldest
 * first, under the lease. To be called now and then. keep_days 0: nothing is deleted. */
PR_CHECKED enum pr_code autoscale_decisions_forget(struct pr_db *db, const struct pr_lease *lease,
                                                   int64_t now_ms, int64_t keep_days,
                                                   int64_t *deleted, struct pr_err *err);

#endif
