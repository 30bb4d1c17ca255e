/* A redis-server of our own on restored files, that nobody else can reach: on a Unix socket,
 * behind a random password that is in no file and no argument. It dies with the
 * thread that opened it. */
#ifndef DR_QUARANTINE_H
#define DR_QUARANTINE_H

#include "prism/io/redis.h"

#include <stdatomic.h>
#include <sys/types.h>

struct dr_quarantine {
    pid_t pid;                 /* 0: not open */
    const atomic_bool *cancel; /* may be set after opening: awaiting then ends with PR_ECANCELED */
    char dir[4096], socket[108], password[65];
    char socket_dir[64]; /* of its own, when dir is too long for the name of a socket; "" */
};

/* Starts it on dir, which holds an appendonlydir (io/restore.h); its log goes to dir/log. Does not
 * wait. PR_EINVAL: dir is too long, or has a quote or backslash in it. */
PR_CHECKED enum pr_code dr_quarantine_open(struct dr_quarantine *q, const char *dir,
                                           struct pr_err *err);
/* Waits until it has loaded everything. PR_EDATA: it refused the files; err has its last words.
 * PR_ECANCELED. */
PR_CHECKED enum pr_code dr_quarantine_await(struct dr_quarantine *q, struct pr_err *err);
/* A connection of the caller's own. */
PR_CHECKED enum pr_code dr_quarantine_connect(const struct dr_quarantine *q, struct pr_redis **out,
                                              struct pr_err *err);
/* Keys that its RDB held when it was loaded, those included whose time was up. */
PR_CHECKED enum pr_code dr_quarantine_loaded(struct pr_redis *c, uint64_t *keys,
                                             struct pr_err *err);
/* Whether any of its keys has a time to live. */
PR_CHECKED enum pr_code dr_quarantine_mortal(struct pr_redis *c, bool *out, struct pr_err *err);
/* Stops it so that all it was told is in its files; then removes the log and socket. */
PR_CHECKED enum pr_code dr_quarantine_stop(struct dr_quarantine *q, struct pr_err *err);
void dr_quarantine_kill(const struct dr_quarantine *q); /* and does not wait for its end */
void dr_quarantine_close(struct dr_quarantine *q);      /* kills it; fine when not open */

#endif
