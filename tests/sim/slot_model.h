/* A model of what moving one slot touches in a Redis 7 cluster: two shards of a
 * primary and two replicas and a third primary that only looks on. Each node
 * has its own map of the slot, what it knows of the others' epochs, its own
 * MIGRATING and IMPORTING marks (not replicated), and its copy of the keys.
 * Source: Redis 7.0 cluster.c, and what was measured (issue 3, facts 1 to 9). */
#ifndef PRISM_SIM_SLOT_MODEL_H
#define PRISM_SIM_SLOT_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum { KEYS = 3, MEMBERS = 3, NODES = 7, OBSERVER = 6, LOG = 64, NOBODY = -1 };

enum { SRC, DST }; /* shards; node n < 6 is of shard n / MEMBERS */

/* A vertex has an epoch above 0 if it was there from the start, else 0. */
enum key_type { TYPE_SET, TYPE_HASH, TYPE_STRING, TYPE_VERTEX, KEY_TYPES };

struct value {     /* of a key: the writes in it, whatever its type */
    uint32_t bits; /* bit i: write i */
    uint32_t version;
    uint32_t epoch;
    uint32_t touched; /* step number of the last write or RESTORE here */
    uint32_t noted;   /* as the primary that ran it knows */
    bool present;
};

struct data {
    struct value key[KEYS];
};

enum life { UP, PAUSED, DOWN };

struct node {
    uint8_t life;
    bool claimed;         /* by a command, and told everybody */
    bool primary, synced; /* synced: a replica that holds a prefix of its primary's log */
    int8_t map;           /* whom it takes for the slot's owner */
    int8_t migrating, importing;
    uint8_t knows[NODES]; /* the others' config epochs, its own among them */
    uint8_t cred;         /* generation of MIGRATE's password that it accepts */
    uint8_t promoted_at;  /* epoch of its election */
    uint8_t current;      /* the newest epoch that it has heard of, anybody's */
    uint32_t pos;
    uint32_t child_until; /* step: has a child process, and does not note who uses its keys */
    struct data data;
};

struct shard {
    int8_t primary;      /* the one that the cluster elected; it may be down */
    uint32_t generation; /* elections so far */
    uint32_t inherited;  /* how far the primary had come in the history of the one before */
    uint32_t head;
    struct data log[LOG];
};

struct cluster {
    struct node node[NODES];
    struct shard shard[2];
    uint8_t epoch; /* the cluster's current one */
    uint32_t now;  /* step number */
};

static inline int shard_of(int node)
{
    return node / MEMBERS;
}

void cluster_init(struct cluster *c);
struct node *primary_of(struct cluster *c, int shard);
int keys_in(const struct node *n);

/* After a change of the present primary's keys: one more position in the log. */
void log_append(struct cluster *c, int node);
void replicate(struct cluster *c, int node, uint32_t upto);
void resync(struct cluster *c, int node); /* a full copy */
/* How many replicas may one day be elected, and whether all of them have pos. */
bool all_have(const struct cluster *c, int shard, uint32_t pos, bool none_will_do);

/* --- SETSLOT; false: the node refuses ---------------------------------------- */
bool set_importing(struct cluster *c, int node, int from);
bool set_migrating(struct cluster *c, int node, int to);
bool set_owner(struct cluster *c, int node, int owner);
/* Whether `node` has heard that `other` is a primary: SETSLOT refuses others. */
bool takes_for_primary(const struct cluster *c, int node, int other);
bool del_slot(struct cluster *c, int node);
void set_stable(struct cluster *c, int node);
void bump_epoch(struct cluster *c, int node);

/* --- the bus ------------------------------------------------------------------- */
void gossip(struct cluster *c, int from, int to);
/* What is in the sockets arrives, also from who has stopped since: who claims a
 * slot tells everybody at once. */
void gossip_round(struct cluster *c);
void gossip_claims(struct cluster *c); /* of those who claimed a slot alone */
bool may_promote(const struct cluster *c, int node, bool manual);
/* False: the voters know a newer owner of what it claims; it has heard of it now. */
bool promote(struct cluster *c, int node);
void demote(struct cluster *c, int node); /* becomes a replica, not in step */

/* --- keys ------------------------------------------------------------------------ */
enum route { RUNS, GOES_TO, ASKS, NOWHERE };
struct reply {
    enum route route;
    int node;
};
/* How a node answers a write of a key. */
struct reply route_write(const struct cluster *c, int node, int key, bool asking);
void run_write(struct cluster *c, int node, int key, uint32_t write);
/* RESTORE-ASKING at a node; false: refused. */
bool may_restore(const struct cluster *c, int node);
void put_key(struct cluster *c, int node, int key, const struct value *v);
void del_key(struct cluster *c, int node, int key);

#endif
