/* The simulated world: one vertex, PARTS partitions each on a shard of its own,
 * a mover that carries out a list of moves, clients that read, write, delete
 * and create, and faults. What happens next is always a choice: drawn from a
 * seed, or enumerated by sim_explore. */
#ifndef PRISM_SIM_WORLD_H
#define PRISM_SIM_WORLD_H

#include "shard.h"

#include "prism/dp/client.h"
#include "prism/dp/mover.h"
#include "prism/rng.h"

enum {
    PARTS = 4,
    MAX_ROWS = 3,
    MAX_CLIENTS = 3,
    MAX_RECORDS = 28, /* one field each; field 0 is there from the start */
    MAX_EPOCHS = 96,
    MAX_CHOICES = 4096,
    ANY_PART = 255,
};

struct sim_config {
    uint32_t home; /* moves begin at 0 */
    uint32_t rows;
    uint8_t to[MAX_ROWS];            /* target of each move; ANY_PART: a choice */
    uint32_t replicas, clients, ops; /* ops: of each client */
    bool absent;                     /* the vertex does not exist at first; creators */
    bool writes, deletes, creates, cancel;
    bool zombie;     /* a stale mover goes on, unchecked, until it needs a new epoch */
    bool long_sweep; /* earlier runs left as many epochs as a mover can hold */
    uint32_t faults; /* at most this many */
};

enum record_status { PENDING, ACKED, FAILED, UNKNOWN };

struct record {        /* one operation of a client, as the clients know it */
    uint64_t inv, ack; /* step numbers */
    enum client_op op;
    uint32_t field;
    uint8_t status;
};

struct conn { /* of one actor to one shard */
    uint32_t generation, position;
    bool up;
};

struct row { /* one move, as in the database */
    uint32_t s, d;
    uint64_t epochs[MAX_EPOCHS];
    uint32_t n_epochs;
    bool begun, canceling, swept, done;
};

struct mover_actor {
    bool alive, zombie;
    struct mover m;
    uint32_t row, lease;
    enum mover_kind last; /* the command before, and what it found */
    enum mover_result last_result;
    uint32_t last_partition;
    struct model_key dump;
    struct conn conn[PARTS];
};

struct client_actor {
    struct client c;
    bool busy, waiting, strong, found_claim;
    uint32_t ops_left, cache, record;
    enum client_op op;
    uint64_t inv;
    uint32_t done_at; /* partition of the command being waited for */
    struct model_key seen;
    struct conn conn[PARTS];
};

struct late { /* one command that a server has yet to execute */
    bool used, restore, zombie;
    uint32_t part, row;
    uint64_t name;
    struct model_key copy;
    struct model_call call;
};

struct choices { /* what was chosen, and what else could have been */
    bool enumerate;
    struct pr_rng rng;
    uint32_t n, n_forced;
    uint32_t forced_at[4];
    uint8_t forced[4];
    uint8_t alternatives[MAX_CHOICES];
};

enum sim_count { /* what has happened, over all runs: a simulator proves nothing about what it never
                    does */
                 SAW_MOVED,
                 SAW_NOT_THERE,
                 SAW_FENCED_OFF,
                 SAW_CANCELED,
                 SAW_CANCEL_WENT_ON,
                 SAW_TRIM,
                 SAW_CRASH,
                 SAW_STOLEN_LEASE,
                 SAW_STALE_REFUSED,
                 SAW_FAIL_OVER,
                 SAW_LOST_EFFECTS,
                 SAW_BROKEN_WAIT,
                 SAW_LATE,
                 SAW_ACKED,
                 SAW_UNKNOWN,
                 SAW_BACKOFF,
                 SAW_DELETED,
                 SAW_CLAIM_FOUND,
                 SIM_COUNTS
};

struct world {
    struct sim_config cfg;
    struct row rows[MAX_ROWS];
    struct mover_actor holder, stale;
    struct client_actor client[MAX_CLIENTS];
    struct late late;
    struct record record[MAX_RECORDS];
    uint32_t n_records, row, lives_at, lease, faults_left, turn;
    uint64_t epoch, now;
    bool quiet;            /* faults have stopped and every move is done */
    const char *broken;    /* the violation; NULL: none */
    struct choices choose; /* from here on not cleared at the start of a run */
    struct shard shard[PARTS];
    uint64_t saw[SIM_COUNTS];
};

/* One run; returns the violation or NULL. */
const char *sim_run(struct world *w, const struct sim_config *cfg, uint64_t seed);
/* Every run that differs from the undisturbed one in at most `depth` choices.
 * Returns the first violation or NULL; *runs counts. */
const char *sim_explore(struct world *w, const struct sim_config *cfg, uint32_t depth,
                        uint64_t *runs);

/* --- between the parts of the simulator --- */
uint32_t choose(struct world *w, uint32_t n); /* 0..n-1; 0 is the undisturbed one */
bool faulty(struct world *w);                 /* a fault here? spends one of faults_left */
void violation(struct world *w, const char *what);
void server_run(struct world *w, uint32_t part, const struct model_call *call,
                struct model_reply *r);
void late_run(struct world *w);
void conn_used(struct world *w, struct conn *c, uint32_t part);
bool conn_wait(struct world *w, struct conn *c, uint32_t part); /* WAIT: satisfied? */

void mover_spawn(struct world *w);
void mover_cancel(struct world *w);
void mover_step(struct world *w, struct mover_actor *a);

void client_step(struct world *w, struct client_actor *a);
bool client_idle(const struct client_actor *a);

void check_copies(struct world *w);
void check_read(struct world *w, uint64_t inv, const struct model_key *seen); /* NULL: not found */
void check_known(struct world *w, const struct model_key *seen);
void check_end(struct world *w);

#endif
