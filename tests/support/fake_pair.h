/* Two shards of a cluster in this process, as far as moving slots needs them: two
 * primaries with a replica each, that speak RESP on ports of their own and do jobs of
 * atomic slot migration in the words of either server, with faults on order. They hold no
 * data, only numbers of keys; what one node learns all know at once, unless a fault says
 * otherwise. A job takes a step whenever the node that was asked for it is asked about it,
 * so nothing depends on time; all jobs of a test are of the same second. Anybody may log in. */
#ifndef PRISM_FAKE_PAIR_H
#define PRISM_FAKE_PAIR_H

#include <stdbool.h>

enum { FAKE_SOURCE, FAKE_TARGET, FAKE_SOURCE_REPLICA, FAKE_TARGET_REPLICA, FAKE_NODES };

enum fake_server { FAKE_REDIS7, FAKE_VALKEY9, FAKE_REDIS84 };

enum fake_fault {
    FAKE_NO_FAULT,
    FAKE_FAILS,   /* the job fails in the middle; the server's retries count, too */
    FAKE_HANGS,   /* it goes on once the fault is taken away */
    FAKE_LIES,    /* it says that it succeeded, and nothing moved */
    FAKE_REFUSES, /* to begin one */
    FAKE_FORBIDS, /* all that concerns jobs, to everybody */
    FAKE_DEAF,    /* begins the job, closes the connection instead of answering */
    FAKE_MUTE     /* closes the connection when it is asked what it offers */
};

enum fake_cancels { /* what becomes of the next order to cancel */
                    FAKE_OBEYS,
                    FAKE_HANGS_UP, /* it is carried out, the connection is closed instead of
                                      answering */
                    FAKE_IGNORES,  /* it is answered that there is nothing to cancel */
                    FAKE_FORGETS   /* it is answered that it was done, and the job goes on */
};

void fake_pair_open(enum fake_server source, enum fake_server target);
void fake_pair_close(void);

int fake_port(int node);
const char *fake_id(int node);
int fake_owner(int slot); /* a node, as its present primary sees it; -1: they differ */
void fake_keys(int slot, int n);
void fake_own_only(const int *slot, int n); /* of the source's, the target has the others */

void fake_fault(enum fake_fault f, int times); /* the next so many; -1: all */
void fake_job_by_hand(int first, int last);    /* as if a person had asked for it */
void fake_cancel_by_hand(void);                /* what runs */
void fake_fail_over(int node);                 /* it dies, its replica leads */
void fake_return(int node);                    /* as a replica of who leads now */
void fake_gossip(bool flows);                  /* false: the source does not hear of a takeover */
void fake_next_cancel(enum fake_cancels how);
void fake_open(int slot);     /* halfway: the source migrates it, the target imports it */
void fake_dissolve(int node); /* it and its replica follow the other primary */
void fake_busy(bool busy);    /* the primaries' CPU is what is short */

/* How nodes say prints (FCALL_RO prism_print): of a key its name, unless told otherwise. */
struct fake_prints {
    int late_ms;      /* every answer is late by that */
    unsigned refused; /* the call of this number, from 1, is answered with ASK */
    bool another;     /* from the first call on it follows another primary */
    bool none;        /* it is no replica */
};
void fake_say_prints(struct fake_prints how);
unsigned fake_printed(void); /* calls that were answered, since they were opened */

/* Since they were opened. */
unsigned fake_started(void), fake_canceled(void), fake_setslots(void), fake_asked(void);
bool fake_runs(void); /* a job does */
/* Jobs that ran at once, at most; commands that nobody should have sent. */
unsigned fake_most_at_once(void), fake_unknown(void);

#endif
