/* What clients keep in the slots that are going to move, and a ledger of what was
 * acknowledged to them: strings, hashes, sets of anybody, and vertices. Beside
 * them lies ballast that nobody writes: it makes slots last and plans stay put. */
#ifndef SLOTS_KEYS_H
#define SLOTS_KEYS_H

#include "slots_batch.h"

#include "prism/slot.h"

#include <stdatomic.h>

enum {
    SLOTS_HOT = 96, /* slots with clients' keys; a third of them in each shard at first */
    SLOTS_PER_HOT = 40,
    SLOTS_KEYS = SLOTS_HOT * SLOTS_PER_HOT,
    SLOTS_BALLAST = 600,     /* keys of a hot slot */
    SLOTS_REST = 2 * 16384,  /* keys that are in every slot */
    SLOTS_PARTITIONS = 4096, /* of the store */
    SLOTS_FIELDS = 4,        /* of a hash */
    SLOTS_MEMBERS = 1024,    /* of a set, at most */
};

enum slots_type { SLOTS_STRING, SLOTS_HASH, SLOTS_SET, SLOTS_VERTEX, SLOTS_TYPES };

struct slots_cell {    /* one value, written by one client only: 0, 1, 2, ... */
    atomic_long acked; /* by every configured replica: must not be lost */
    long heard;        /* by one replica at least; told, not asserted */
    long tried;        /* the newest that was sent */
    bool unsure;       /* a write may arrive yet: nobody writes until the next audit */
};

struct slots_key {
    char name[PR_MAX_KEY_BYTES];
    uint16_t slot;
    enum slots_type type;
    struct slots_cell cell[SLOTS_FIELDS];     /* strings and vertices: the first */
    atomic_ullong member[SLOTS_MEMBERS / 64]; /* of a set: acknowledged */
    long members;                             /* of a set: tried */
};
extern struct slots_key slots_key[SLOTS_KEYS]; /* by slot: SLOTS_PER_HOT each */
extern uint16_t slots_hot[SLOTS_HOT];          /* ascending */

void slots_keys_load(struct pr_cluster *c); /* into an empty cluster */

/* The write that makes cell's value seq (of a set: adds the member seq). */
void slots_key_write(struct slots_batch *b, const struct slots_key *k, int cell, long seq);
/* Its reply says that it was executed. */
bool slots_key_written(const struct slots_key *k, const redisReply *r);
void slots_key_read(struct slots_batch *b, const struct slots_key *k, int cell, long member);
/* Value of a read; -1: not there. Of a set: 1 when the member is there, else -1. */
long slots_key_value(const struct slots_key *k, const redisReply *r);

struct slots_loss {
    long lost;      /* acknowledged by every replica, and gone */
    long heard;     /* acknowledged by some replica only, and gone */
    long strange;   /* values that nobody wrote, sets with members that nobody added */
    char what[256]; /* the first that was lost or strange */
};
/* Compares every key with the ledger, which then takes what it found for granted.
 * Nobody may write meanwhile. */
void slots_keys_judge(struct pr_cluster *c, struct slots_loss *out);

#endif
