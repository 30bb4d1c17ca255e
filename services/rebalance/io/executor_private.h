/* What executor.c, execute.c and watch.c of the executor share. */
#ifndef REBALANCE_EXECUTOR_PRIVATE_H
#define REBALANCE_EXECUTOR_PRIVATE_H

#include "io/executor.h"
#include "io/plan_rows.h"
#include "io/users.h"
#include "io/vertex/run.h"

#include "prism/arena.h"
#include "prism/stats.h"

struct rebalance_executor {
    struct rebalance_executor_options o;
    pthread_t supervisor, keeper;
    bool supervisor_runs, keeper_runs;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken;
    atomic_bool stopping;       /* drain, then leave */
    atomic_bool let_go;         /* the supervisor is gone: give the lease back */
    atomic_ullong epoch;        /* of the lease, 0: not held */
    atomic_llong good_until_us; /* of the lease, by our clock, on the safe side of PostgreSQL's */
    atomic_int *stop;           /* of the run in hand, NULL none; under lock */
    uint64_t stop_epoch;        /* that the run in hand acts under; under lock */
    uint8_t news[REBALANCE_EVENT_BYTES]; /* of the plan in hand; under lock */
    size_t news_bytes;                   /* 0: none, or taken */

    /* The supervisor's own: */
    struct pr_db *db;
    struct pr_cluster *cluster; /* as the service's user */
    char *seeds;
    struct pr_lease lease; /* what it acts under */
    struct rebalance_user user[REBALANCE_USER_KINDS];
    uint64_t prepared; /* epoch whose users ready speaks of */
    struct rebalance_users_ready ready;
    uint64_t recovered;       /* epoch under which nothing unfinished is left */
    int64_t next_forget_us;   /* when steps of old plans are deleted again */
    int64_t next_standing_us; /* when the standing orders are looked at again */
    int64_t next_takeover_us; /* when it is looked whether somebody must take over unelected */
    int64_t next_chains_us;   /* when it is looked whether a replica follows a replica */
    int64_t chained_since_us;
    char chained[PR_NODE_ID]; /* one that does; "": none */
    char takeover_said[200];  /* of that, what was logged last */
    int64_t held_up_plan;     /* of the fleet, whose step did not come to its end last time, */
    char held_up[200];        /* and why; "": none */
    uint64_t held;            /* hash of the nodes that came back too often, as logged last */
    struct pr_hist probe[2];  /* PING latency in us: this window, the last */
};

bool rebalance_executor_lives(const struct rebalance_executor *e); /* holds its epoch */
/* How long the lease is ours for certain; 0 or less: not. ctx: the executor. */
int64_t rebalance_lease_left_ms(void *ctx);
/* From here the keeper of the lease sets *stop to REBALANCE_ABANDON when it is
 * lost; NULL: nothing runs any more. */
void rebalance_executor_runs(struct rebalance_executor *e, atomic_int *stop);
/* For rebalance_executor_news; NULL: what was not taken is out of date. */
void rebalance_executor_post(struct rebalance_executor *e, const struct rebalance_plan_news *n);
/* Ends a plan, trying again while PostgreSQL is away for a moment. */
PR_CHECKED enum pr_code rebalance_finish(struct rebalance_executor *e,
                                         const struct rebalance_plan *p, const char *state,
                                         const char *result, const char *error, struct pr_err *err);

/* execute.c: one plan, as far as orders and faults allow. */
PR_CHECKED enum pr_code rebalance_execute(struct rebalance_executor *e, int64_t plan_id,
                                          struct pr_err *err);
/* fleet/execute.c: the same for a plan that changes the fleet. */
PR_CHECKED enum pr_code rebalance_fleet_execute(struct rebalance_executor *e,
                                                struct rebalance_plan *plan, struct pr_err *err);
/* fleet/standing.c: plans that the standing orders ask for, and those that wait for
 * their window. Does nothing more often than it should. */
PR_CHECKED enum pr_code rebalance_standing_orders(struct rebalance_executor *e, struct pr_err *err);
/* fleet/takeover.c: where nobody can elect, what the setting allows. Every other second at most;
 * what is wrong is logged, and looked at again. */
void rebalance_takeover_tend(struct rebalance_executor *e);
/* fleet/chains.c: a replica that has followed another one for some seconds follows its shard's
 * primary again. Every other second at most. */
void rebalance_chains_tend(struct rebalance_executor *e);
/* fleet/spares.c: nodes that shall stand in for replicas which were lost with a zone, by
 * core/zones.h; *n is 0 when none shall. In the arena. */
PR_CHECKED enum pr_code rebalance_spares(struct rebalance_executor *e, struct pr_arena *arena,
                                         const char ***node, size_t *n, struct pr_err *err);
/* Unfinished batches of every plan, of executors before. */
PR_CHECKED enum pr_code rebalance_execute_recovery(struct rebalance_executor *e,
                                                   struct pr_err *err);

/* tend.c: what the supervisor does beside, while workers run. */
PR_CHECKED enum pr_code rebalance_connect(struct rebalance_executor *e, struct pr_err *err);
/* Our users on every node that answers, unless they are there; e->ready.says names those
 * without. again: one was refused where they had been made. */
PR_CHECKED enum pr_code rebalance_tend_users(struct rebalance_executor *e, bool again,
                                             struct pr_err *err);
/* Users on every node, the topology, open slots. PR_EUNAVAIL: what is missing. */
PR_CHECKED enum pr_code rebalance_tend_cluster(struct rebalance_executor *e,
                                               struct rebalance_run *run, struct pr_err *err);
/* One PING to every primary; adjusts the run's throttle. */
void rebalance_tend_probe(struct rebalance_executor *e, struct rebalance_run *run, bool new_window);

#endif
