/* Decisions of moving one slot's keys: what a key costs, how many go in one
 * MIGRATE, whose copy counts when a key is on both sides, and how many replicas to
 * wait for. Pure.
 * Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_DRAIN_H
#define REBALANCE_DRAIN_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rebalance_key_type {                       /* as TYPE says */
                          REBALANCE_TYPE_OTHER, /* a module's, or not asked: judged by bytes alone
                                                 */
                          REBALANCE_TYPE_STRING,
                          REBALANCE_TYPE_LIST,
                          REBALANCE_TYPE_SET,
                          REBALANCE_TYPE_ZSET,
                          REBALANCE_TYPE_HASH,
                          REBALANCE_TYPE_STREAM
};
enum rebalance_key_type rebalance_key_type(const char *name, size_t len); /* reply to TYPE */
const char *rebalance_key_type_name(enum rebalance_key_type t);

/* --- sizes ------------------------------------------------------------------ */
struct rebalance_key_size {
    enum rebalance_key_type type;
    uint64_t bytes;    /* MEMORY USAGE (or the length of DUMP) */
    uint64_t elements; /* HLEN, SCARD, ...; 0 for a string or when unknown */
};

/* Just after its renewal a lease lacks this of its TTL: who holds it stops a second early,
 * and renewing takes a moment. */
enum { REBALANCE_LEASE_MARGIN_MS = 1100 };

struct rebalance_drain_limits { /* 0: the default */
    uint32_t max_keys;          /* of a MIGRATE: 200; at most 1000 */
    uint64_t max_bytes;         /* of a MIGRATE: 1 MiB */
    double batch_block_ms;      /* a MIGRATE of several keys blocks the source at most: 5 */
    double block_budget_ms;     /* a key that blocks longer needs approval: 1000 */
    int64_t node_timeout_ms;    /* cluster-node-timeout: 15000; a third of it is the end */
    int64_t patience_ms;        /* for a plain command: 1000 */
    int64_t lease_ms;           /* within which every answer must come; 0: whenever */
    double slowness;            /* measured / predicted block of this machine: 1 */
};

/* Predicted time for which one MIGRATE of the key, or of n keys, blocks its source. */
double rebalance_key_block_ms(const struct rebalance_key_size *k, double slowness);
double rebalance_batch_block_ms(const struct rebalance_key_size *k, size_t n, double slowness);
/* limits.slowness after a batch that was predicted (with slowness 1) and measured:
 * moves a tenth of the way, within 0.2..20. */
double rebalance_slowness(double slowness, double predicted_ms, double measured_ms);
/* Time-out of a MIGRATE (it is per I/O); its reply is waited for twice as long. Below
 * cluster-node-timeout: a target that is paused must be given up before its replica can
 * be promoted, or it takes keys that the promoted one never sees. */
int rebalance_migrate_timeout_ms(double predicted_ms, const struct rebalance_drain_limits *limits);

enum rebalance_key_verdict {
    REBALANCE_KEY_NORMAL,
    REBALANCE_KEY_ALONE,          /* a batch of its own */
    REBALANCE_KEY_NEEDS_APPROVAL, /* over the block budget: goes alone once approved */
    REBALANCE_KEY_REFUSED         /* over a third of the node time-out: would risk a fail-over;
                                     or its MIGRATE could outlive the lease */
};
struct rebalance_key_judgement {
    enum rebalance_key_verdict verdict;
    double block_ms;
    char why[256]; /* names key, size and time; empty when NORMAL */
};
/* key[len] is for the text alone (unprintable bytes are shown as ?). */
void rebalance_key_judge(const char *key, size_t len, const struct rebalance_key_size *k,
                         const struct rebalance_drain_limits *limits,
                         struct rebalance_key_judgement *out);

/* How many of the first keys go in the next MIGRATE: within keys, bytes and block
 * budget, each times factor (0..1, of the throttle); at least 1 when n > 0; a key
 * that is not NORMAL goes alone. Verdicts are the caller's to heed: judge first. */
size_t rebalance_batch_cut(const struct rebalance_key_size *k, size_t n, double factor,
                           const struct rebalance_drain_limits *limits);

/* --- a key on both sides ---------------------------------------------------- */
/* source is the side that gives keys, target the one that takes them: the other way
 * round while a slot goes back. */
struct rebalance_copy {
    enum rebalance_key_type type;
    bool vertex;             /* hash with _v and _e, neither stub (_m) nor tombstone (_x) */
    bool odd_vertex;         /* a stub or a tombstone */
    bool integer;            /* OBJECT ENCODING is int: may be a counter */
    uint64_t epoch, version; /* of a vertex */
    int64_t idle_s; /* OBJECT IDLETIME, asked before DUMP, HLEN... (they touch); -1 unknown */
};
struct rebalance_conflict {
    bool in_flight;          /* in the recorded window: its DEL may not have been replicated */
    bool source_failed_over; /* since the slot was opened; or its MIGRATING mark was lost */
    /* It was restarted, and led all the time: what it deleted last may be there again. */
    bool source_restarted;
    /* Its MIGRATE broke off, and the source went on serving clients for a while before it
     * failed over: either copy may have been written since. */
    bool served_on;
    /* The slot was open again on the promoted source before a replica of it was in
     * step: no write made there meanwhile can have been acknowledged by WAIT. */
    bool gap_unacknowledged;
    bool unanswered; /* its MIGRATE, or answered with an error */
    /* What the promoted source has of it is what was sent to the target, and what clients wrote
     * since: rebalance_cut_kept says so. */
    bool kept;
    /* A copy has the print that was taken before the key was sent, of a state that the promoted
     * source inherited (rebalance_sent). Of vertices alone. */
    bool source_as_sent, target_as_sent;
    bool covers; /* rebalance_copies_cover: the source's has all that the target's has */
    /* The DUMPs are; or, since a hash or set that is a hash table dumps in an order
     * of its own on each node, the fields or members are. */
    bool equal;
    bool strings_are_set; /* nobody APPENDs, SETRANGEs or SETBITs: the later string is whole */
    int64_t source_promoted_ms; /* ago; 0 unknown */
    struct rebalance_copy source, target;
};
enum rebalance_resolution {
    REBALANCE_KEEP_SOURCE, /* MIGRATE it again with REPLACE */
    REBALANCE_KEEP_TARGET, /* DEL at the source */
    REBALANCE_EITHER,      /* equal: DEL at the source */
    REBALANCE_UNION_SETS,  /* SADD the source's members at the target, DEL at the source */
    REBALANCE_OVERLAY,     /* hash made anew on a promoted source: HSET its fields (not _v, _e) over
                            * the target's, HINCRBY _v 1 if there is one, in one script; DEL at
                            * the source */
    REBALANCE_STOP         /* stuck, with the key's name: a person decides */
};
const char *rebalance_resolution_name(enum rebalance_resolution r);
/* *why is static. */
enum rebalance_resolution rebalance_conflict_resolve(const struct rebalance_conflict *c,
                                                     const char **why);

/* --- a MIGRATE without a good answer ---------------------------------------- */
struct rebalance_cut_key {                /* in the order in which they were sent */
    bool on_source, on_target;            /* on_source: on the promoted one, now */
    int64_t source_idle_s, target_idle_s; /* OBJECT IDLETIME, before anything touched them; -1
                                             unknown */
};
/* The first key that the promoted source has had since before its fail-over; n: none, or
 * it says nothing. MIGRATE deletes its keys in order and replicates that as one command,
 * so the source's copies of those behind it are the ones that were sent, too; and since
 * their deletion is not in the replicas' history, no client was told to look for them at
 * the target. Were clients seen there all the same, or is a key on the target alone, then
 * n. sent_ms, promoted_ms: ago; promoted_ms: at the earliest. */
size_t rebalance_cut_kept(const struct rebalance_cut_key *k, size_t n, int64_t sent_ms,
                          int64_t promoted_ms);

/* --- replicas to wait for --------------------------------------------------- */
struct rebalance_wait {
    int replicas;        /* WAIT's argument; 0: no WAIT */
    bool needs_approval; /* none is live, and nobody allowed that */
    char why[200];
};
/* live: connected and in step; wanted: configured for the shard. shard: for the text. */
struct rebalance_wait rebalance_wait_policy(const char *shard, int live, int wanted,
                                            bool allow_no_replicas);

#endif
