/* The placement service on real PostgreSQL and NATS, and what a user does with
 * it: shared by its tests. */
#ifndef PLACEMENT_STAGE_H
#define PLACEMENT_STAGE_H

#include "t.h"

#include "it.h"

#include "prism/io/bus.h"
#include "prism/v1/placement.pb-c.h"

#include <pthread.h>
#include <stdbool.h>

enum { GROUP = 200, GROUPS = 3, AWAIT_MS = 20000 };

extern char dir[64];        /* graph files, allowed to the service */
extern char graph_path[96]; /* three groups of vertices, dense inside */
extern char uri[IT_URI];
extern struct pr_bus *bus; /* as admin: may send everything */
extern struct it_service service;

/* The newest event. */
extern struct seen {
    pthread_mutex_t mu;
    Prism__V1__PlacementFinishedEvent last;
    char state[16];
    unsigned finished;
} seen;

/* cmocka fixtures: of the group, and of a test (64 partitions, three zones, slot
 * n in zone n mod 3; no runs). */
int open_stage(void **state);
int close_stage(void **state);
int fresh_store(void **state);
void start_service(void);

void sql(const char *text);
void assert_sql(const char *text, const char *want);
long number(const char *text);

/* JSON in, the run's id out. */
long add_run(const char *source, const char *params);
long add_groups_run(void);
void command(long run, const char *msg_id);
long carried_out(long run); /* sends the command and waits until the run has ended; its id */
void assert_run(long run, const char *column, const char *want);
void carry_out_moves(long run); /* as rebalance would */

/* For it_await; ctx: the run's id. */
bool ended(void *run);
bool announced(void *run);

#endif
