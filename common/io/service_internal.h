/* The parts of the service shell: service.c (life), service_args.c (command
 * line and settings), service_http.c (probes and metrics), service_signal.c. */
#ifndef PRISM_SERVICE_INTERNAL_H
#define PRISM_SERVICE_INTERNAL_H

#include "prism/io/service.h"

#include <pthread.h>
#include <stdatomic.h>

enum pr_service_state { PR_STARTING, PR_RUNNING, PR_DRAINING };

#define METRIC PR_METRIC_ID
enum {
#include "prism/io/common_metrics.def"
};
#undef METRIC

struct pr_dependency {
    const char *name;
    bool up;
    char reason[256];  /* why it is down */
    int64_t logged_us; /* 0: never */
};

enum { PR_OWN_REASONS = 16, PR_DRAIN_S = 25 };

struct pr_shell {
    struct pr_service *svc;
    pthread_mutex_t lock; /* of state, db, nats, own */
    pthread_cond_t wake;
    enum pr_service_state state;
    struct pr_dependency db, nats;
    struct {
        const char *name; /* static, of the service */
        char reason[160]; /* "": ready */
    } own[PR_OWN_REASONS];
    size_t n_own;

    atomic_bool stopping;
    pthread_mutex_t bus_lock; /* of bus, so that it is not closed while a probe asks it */
    struct pr_bus *bus;       /* svc->bus, for the HTTP threads */
    struct pr_metrics *common;
    int64_t start_us;

    pthread_t signals;
    int signal_fd, quit_fd; /* -1: not open */
    bool signals_on;
};

/* service_args.c. PR_ECANCELED: printed what was asked for. */
PR_CHECKED enum pr_code pr_service_args(struct pr_service *svc, int argc, char **argv,
                                        struct pr_err *err);
void pr_service_free_settings(struct pr_service *svc);

/* service_http.c */
PR_CHECKED enum pr_code pr_service_listen(struct pr_shell *sh, struct pr_err *err);

/* service_signal.c: a thread that waits for SIGTERM and SIGINT, and ends the
 * process when the drain takes longer than PR_DRAIN_S. */
PR_CHECKED enum pr_code pr_service_signals(struct pr_shell *sh, struct pr_err *err);
void pr_service_signals_end(struct pr_shell *sh);

#endif
