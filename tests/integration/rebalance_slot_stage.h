/* Stage of the tests that move slots: the cluster of the fixture stack2, a database
 * whose nodes and shards are as that cluster is, a lease, a fleet user, and a writer
 * with a ledger of acknowledged writes. */
#ifndef PRISM_REBALANCE_SLOT_STAGE_H
#define PRISM_REBALANCE_SLOT_STAGE_H

#include "t.h"

#include "io/slot/run.h"
#include "io/users.h"
#include "it.h"

enum { STAGE_SLOTS = 12, STAGE_MAX_KEYS = 20000, STAGE_AWAIT_MS = 90000 };

struct slot_stage {
    char uri[IT_URI], role[IT_URI];
    struct pr_db *db;
    struct pr_cluster *cluster; /* as admin */
    struct rebalance_config cfg;
    struct pr_metrics *metrics;
    struct pr_lease lease;
    struct rebalance_user user;
    const char *seeds;     /* of the cluster that the worker moves in; NULL: the fixture's */
    char src[16], dst[16]; /* nodes.id of the primaries of two shards */
    int src_port, dst_port;
    int slot[STAGE_SLOTS]; /* of src, with keys */
    int kept[2];           /* a slot of src and one of dst that stay */
    int64_t plan;
    struct rebalance_slot_pair pair;
    struct rebalance_slot_run run;
    atomic_int stop;
    atomic_bool roll_back;
    bool allow_big_keys;
    int64_t (*lease_left_ms)(void *ctx); /* of the next worker; NULL: always enough */
    pthread_t worker;
    bool worker_runs;
};
extern struct slot_stage stage;

int slot_stage_open(void **state);
int slot_stage_close(void **state);
/* Everything moved before lies where it lies; learns the topology anew, empties the
 * cluster, and chooses src, dst and slots. Registered shards are as reported. */
int slot_stage_begin(void **state);
int slot_stage_end(void **state); /* no slot is open, all are served, marks are gone */

void slot_stage_load(int keys_per_slot, int bytes); /* strings, written by the ledger */
void slot_stage_plan(const char *state); /* rows for all slots of the stage, src to dst */
void slot_stage_start(void);             /* a worker */
void slot_stage_join(void);
void slot_stage_move(void);                   /* both */
long slot_stage_number(const char *sql);      /* $: the plan's id */
long slot_stage_count(const char *row_state); /* rows of the plan in this state */
int slot_stage_owner(int slot);               /* port of its primary; 0 none */
void slot_stage_await_owner(int slot, int port);
const char *slot_stage_ask(int port, const char *format, ...); /* as admin; reply as text */

/* Writes and reads all loaded keys, one after the other. may_miss: between a fail-over
 * of the source and the slot's reopening reads may find nothing; a write must stay. */
void slot_writer_start(bool may_miss);
/* Stops it; checks that every key holds its last acknowledged write or a later one.
 * Returns how many writes were acknowledged. */
unsigned long slot_writer_stop(void);
void slot_verify(void); /* the check alone, while no writer runs */

#endif
