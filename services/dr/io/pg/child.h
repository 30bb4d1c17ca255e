/* Programs that the service runs: in a process group of their own, killed when the thread that
 * started them ends, their words forwarded to the log line by line. Not thread-safe. */
#ifndef DR_PG_CHILD_H
#define DR_PG_CHILD_H

#include "prism/buf.h"

#include <poll.h>

struct dr_child;

struct dr_child_options {
    const char *name;        /* in the log: "pg_receivewal"; borrowed for as long */
    const char *const *argv; /* argv[0]: its path; NULL-terminated */
    char *const *env;        /* all of it; NULL-terminated */
    const char *dir;         /* NULL: ours */
    bool keep_out;           /* standard output is collected, not logged */
    bool quiet;              /* what it says is not logged (but kept) */
};
PR_CHECKED enum pr_code dr_child_start(struct dr_child **out, const struct dr_child_options *o,
                                       struct pr_err *err);
/* Reads what it said without waiting. false: it has ended. */
bool dr_child_runs(struct dr_child *c);
/* What to wait for: two of poll(2)'s. */
void dr_child_fds(const struct dr_child *c, struct pollfd fd[2]);
/* Of one that has ended: its exit status, or -signal. */
int dr_child_status(const struct dr_child *c);
const struct pr_buf *dr_child_out(const struct dr_child *c);   /* keep_out */
const struct pr_buf *dr_child_words(const struct dr_child *c); /* the last it said */
/* SIGTERM to the group, then SIGKILL after wait_ms; frees. NULL is fine. */
void dr_child_stop(struct dr_child *c, int wait_ms);

/* Start to end. *status as dr_child_status. PR_ETIMEOUT: killed after timeout_ms. out and words
 * (either may be NULL) are appended to. */
PR_CHECKED enum pr_code dr_child_run(const struct dr_child_options *o, int timeout_ms, int *status,
                                     struct pr_buf *out, struct pr_buf *words, struct pr_err *err);

#endif
