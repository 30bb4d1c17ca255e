/* A running batch: shared by cluster_run.c (where commands go) and cluster_wire.c
 * (one connection's part of it). */
#ifndef PRISM_IO_CLUSTER_RUN_H
#define PRISM_IO_CLUSTER_RUN_H

#include "cluster_internal.h"

enum { RUN_MAX_LOST = 1 }; /* a command lost with a connection is resent this often */

struct run {
    struct pr_cluster *c;
    struct pr_rcmd *cmd;
    size_t n, left; /* left: without an rc yet */
    const struct pr_run_options *o;
    struct run_state *st;
    size_t delayed;                      /* commands with due_us > 0 */
    int64_t now_us, deadline_us, due_us; /* due_us: the earliest */
    bool want_refresh, elsewhere;
    int64_t refresh_at_us;
    struct pr_err *err; /* words of the first failure */
    bool said;
};

/* cluster_run.c */
/* Puts the words of the first failure in the caller's err. */
void run_say(struct run *r, size_t i, enum pr_code code, const char *where, const char *what);
void run_finish(struct run *r, size_t i, enum pr_code rc);
/* Tried again later: the cluster is between two states. why: its rc if the
 * deadline comes first. */
void run_delay(struct run *r, size_t i, enum pr_code why);
void run_want_refresh(struct run *r, bool elsewhere);
/* Puts the command on the connection of node, opening it when needed. */
void run_assign(struct run *r, size_t i, int node);

/* cluster_wire.c */
/* Encodes and writes, reads and takes, as much as is possible now. */
void link_pump_out(struct run *r, struct link *l);
void link_pump_in(struct run *r, struct link *l);
void link_break(struct run *r, struct link *l, const char *why);

#endif
