/* What the files of fake_pair share; everything under fake.lock. */
#ifndef PRISM_FAKE_PAIR_INTERNAL_H
#define PRISM_FAKE_PAIR_INTERNAL_H

#include "fake_pair.h"

#include "prism/buf.h"

#include <pthread.h>

enum { FAKE_SLOTS = 16384, FAKE_JOBS = 64, FAKE_ARGS = 1100 };

struct fake_job {
    char id[41], ranges[4096];
    int source, target; /* nodes */
    int step;           /* 0..4; the fourth is the takeover */
    enum fake_end { FAKE_RUNS, FAKE_DONE, FAKE_FAILED, FAKE_CANCELED } end;
    bool redis; /* whose words */
    int retries;
    const char *error;
};

struct fake_node {
    char id[41];
    int port, listener;
    bool alive, primary;
    int primary_of; /* of a replica: its primary's number */
    unsigned epoch;
    signed char owner[FAKE_SLOTS]; /* nodes, as it sees it */
    int keys[FAKE_SLOTS];
    char mark[FAKE_SLOTS]; /* '>', '<' or 0 */
    signed char towards[FAKE_SLOTS];
    enum fake_server server;
};

struct fake_state {
    pthread_mutex_t lock;
    struct fake_node node[FAKE_NODES];
    struct fake_job job[FAKE_JOBS]; /* oldest first */
    int jobs;
    enum fake_fault fault;
    int times;
    bool gossip, busy;
    enum fake_cancels cancels;
    struct fake_prints prints;
    unsigned printed;
    unsigned started, canceled, setslots, asked, most_at_once, unknown, infos;
};
extern struct fake_state fake;

/* Answers one command at a node into out; false: closes the connection instead. */
bool fake_command(int node, int argc, char **argv, struct pr_buf *out);
/* Of jobs; false: not one of theirs. */
bool fake_job_command(int node, int argc, char **argv, struct pr_buf *out, bool *hang_up);

void fake_bulk(struct pr_buf *out, const char *text);
bool fake_takes(enum fake_fault f); /* whether it is due now: one less is left then */
int fake_number(const char *id);    /* of a node; -1: none has it */
void fake_give(int slot, int to);   /* everybody learns of it */

#endif
