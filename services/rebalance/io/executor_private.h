/* What executor.c, execute.c and watch.c of the executor share. */
#ifndef REBALANCE_EXECUTOR_PRIVATE_H
#define REBALANCE_EXECUTOR_PRIVATE_H

#include "io/executor.h"
#include "io/plan_rows.h"
#include "io/vertex/run.h"
#include "io/users.h"

#include "prism/stats.h"

struct rebalance_executor {
    struct rebalance_executor_options o;
    pthread_t supervisor, keeper;
    bool supervisor_runs, keeper_runs;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken;
    atomic_bool stopping;      /* drain, then leave */
    atomic_bool let_go;        /* the supervisor is gone: give the lease back */
    atomic_ullong epoch;       /* of the lease, 0: not held */
    struct rebalance_run *run; /* in hand, NULL none; under lock */

    /* The supervisor's own: */
    struct pr_db *db;
    struct pr_cluster *cluster; /* as the service's user */
    char *seeds;
    struct pr_lease lease; /* what it acts under */
    struct rebalance_user user[REBALANCE_USER_KINDS];
    uint64_t prepared;       /* epoch whose user was made everywhere */
    size_t unprepared;       /* nodes left out then: the cluster called them failed */
    uint64_t recovered;      /* epoch under which nothing unfinished is left */
    struct pr_hist probe[2]; /* PING latency in us: this window, the last */
};

bool rebalance_executor_lives(const struct rebalance_executor *e); /* holds its epoch */

/* execute.c: one plan, as far as orders and faults allow. */
PR_CHECKED enum pr_code rebalance_execute(struct rebalance_executor *e, int64_t plan_id,
                                          struct pr_err *err);
/* Unfinished batches of every plan, of executors before. */
PR_CHECKED enum pr_code rebalance_execute_recovery(struct rebalance_executor *e,
                                                   struct pr_err *err);

/* tend.c: what the supervisor does beside, while workers run. */
PR_CHECKED enum pr_code rebalance_connect(struct rebalance_executor *e, struct pr_err *err);
/* Users on every node, the topology, open slots. PR_EUNAVAIL: what is missing. */
PR_CHECKED enum pr_code rebalance_tend_cluster(struct rebalance_executor *e,
                                               struct rebalance_run *run, struct pr_err *err);
/* One PING to every primary; adjusts the run's throttle. */
void rebalance_tend_probe(struct rebalance_executor *e, struct rebalance_run *run, bool new_window);

#endif
