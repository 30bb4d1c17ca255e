/* Stage of the tests that move slots: the cluster of the fixture stack2, a database
 * whose nodes and shards are as that cluster is, a lease, a fleet user, hands, and a writer
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
void slot_stage_move(void); /* both */
/* Loads, and starts a writer and a worker so slow that one may strike while keys move. */
void slot_stage_begin_slowly(int keys_per_slot, int bytes, bool may_miss);
void slot_stage_full_speed(void);
bool slot_stage_some_moved(void *keys);       /* unsigned long long *: at least so many */
void slot_stage_assert_moved(void);           /* all slots, by MIGRATE, and the rows say so */
long slot_stage_number(const char *sql);      /* $: the plan's id */
long slot_stage_count(const char *row_state); /* rows of the plan in this state */
void slot_stage_error(char error[512]);       /* of the plan's stuck row */
int slot_stage_owner(int slot);               /* port of its primary; 0 none */
void slot_stage_await_owner(int slot, int port);
int slot_stage_replica(int port);       /* port of one of its replicas, as when the case began */
bool slot_stage_is_replica(void *port); /* const int *: as it says itself */
const char *slot_stage_ask(int port, const char *format, ...); /* as admin; reply as text */

/* --- rebalance_slot_hand.c: by hand, as if an earlier executor, or a client, had ----------- */

void slot_hand_id(int port, char id[64]); /* of the node in the cluster */
void slot_hand_open(int slot, bool importing, bool migrating);
void slot_hand_migrate(int slot, int key, const char *how); /* a loaded key; COPY, REPLACE or "" */
void slot_hand_send(const char *key, const char *how);      /* any key, the same */
/* stage.slot[i] with its loaded keys, of which there are so many, is the target's. */
void slot_hand_over(int i, int keys, bool tell_source);
void slot_hand_at_target(const char *format, ...); /* as a client that was sent there by ASK */
/* One command to a node that does not own the slot: it imports it for that long. */
void slot_hand_leave(int port, int owner_port, int slot, const char *format, ...);
void slot_hand_row(int i, const char *set); /* of stage.slot[i]; the SET clause of an UPDATE */
void slot_hand_state(int i, const char *row_state);
void slot_hand_in_flight(int i, const char *key); /* as recorded before a MIGRATE of one key */
int slot_hand_fail_over_source(void);             /* by order; the port that was promoted */

/* --- rebalance_slot_ledger.c ------------------------------------------------------------------ */

void slot_ledger_forget(void); /* what earlier tests loaded */
/* Writes and reads all loaded keys, one after the other. may_miss: between a fail-over
 * of the source and the slot's reopening reads may find nothing; a write must stay. */
void slot_writer_start(bool may_miss);
/* Stops it; checks that every key holds its last acknowledged write or a later one.
 * Returns how many writes were acknowledged. */
unsigned long slot_writer_stop(void);
void slot_writer_abandon(void); /* ends it, if it runs, and checks nothing */
void slot_verify(void);         /* the check alone, while no writer runs */

#endif
