/* Writers on the keys of slots that move, and of each key what the dr service said to be durable.
 */
#ifndef PRISM_DR_SLOTS_LEDGER_H
#define PRISM_DR_SLOTS_LEDGER_H

#include "dr_stage.h"
#include "rebalance_slot_stage.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KEYS_PER_SLOT = 250, KEYS = STAGE_SLOTS * KEYS_PER_SLOT, PENDING = 65536, PRIMARIES = 8 };

struct at { /* a primary's shard */
    int port;
    char shard[64], replid[64];
    unsigned long long offset, durable;
};

struct pending { /* a write that is not known to be durable yet */
    int key, at;
    unsigned version;
    unsigned long long offset;
};

struct slots_ledger {
    char key[KEYS][24];
    uint16_t slot[KEYS];
    unsigned version[KEYS], promised[KEYS];
    unsigned then[KEYS]; /* promised at then_ms, when that was to be noted */
    int64_t then_ms;     /* Unix epoch; 0: not noted */
    atomic_bool note;
    struct at at[PRIMARIES];
    size_t primaries, pending, dropped;
    struct pending wait[PENDING];
    struct pr_rng rng;
    pthread_t thread;
    atomic_bool stop;
    bool runs;
    unsigned long writes, promises;
    char wrong[200];
};
extern struct slots_ledger ledger;

/* Keys, slots and rng are set before the first. */
void ledger_start(void);
void ledger_stop(void); /* fine when it does not run */

#endif
