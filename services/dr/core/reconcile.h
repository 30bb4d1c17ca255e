/* What is left of one vertex after shards were restored that were cut at different offsets.
 * Pure. Source: docs/reference/data-plane.md.
 *
 * A vertex goes from partition to partition under rising epochs, and each partition's key shows
 * the vertex as it was there at that shard's cut: on an early cut it is still there, on a late
 * one it already arrived or left again. What is latest is found by the epochs, because
 *   - LIVE keeps the epoch of the newest attempt at moving it (_e), and _e never falls on the way;
 *   - while DR is on, a vertex is fenced only after its staged copy is durable, so the newest stub
 *     of all leads to a partition whose cut holds the copy: staged, LIVE, or already sent on by a
 *     stub that is newer still.
 * So the newest stub d:E leads to the vertex, unless a LIVE copy has a newer epoch: then the cut of
 * where it lives is later than that of whoever sent it on. Where nothing is at the stub's end
 * (the rule was broken: DR was off, or a time was asked for within a fail-over) the best copy that
 * remains is taken back, and that is reported. */
#ifndef DR_RECONCILE_H
#define DR_RECONCILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dr_copy_kind {
    DR_COPY_LIVE,  /* {p}v:<id> with _v: the vertex, or its tombstone */
    DR_COPY_STUB,  /* {p}v:<id> with _m; a claim when e is 0 */
    DR_COPY_STAGED /* {p}g:<id>:<name> */
};

enum dr_fate {
    DR_FATE_KEEP,
    DR_FATE_DROP,   /* the key is deleted on that shard */
    DR_FATE_PROMOTE /* STAGED: renamed to the partition's vertex key */
};

struct dr_copy { /* one key on one restored shard */
    uint32_t shard, partition;
    enum dr_copy_kind kind;
    bool owner;        /* the shard owns the key's slot by the newest slot map */
    uint64_t v;        /* LIVE, STAGED: _v */
    uint64_t e;        /* LIVE, STAGED: _e; STUB: its epoch */
    uint64_t name;     /* STAGED: the epoch in its key */
    uint32_t to;       /* STUB: its partition */
    enum dr_fate fate; /* out */
};

enum dr_verdict_kind {
    DR_VERDICT_VERTEX,      /* it is where its epochs say */
    DR_VERDICT_FORWARD,     /* its newest copy was staged only, and is promoted */
    DR_VERDICT_ROLLED_BACK, /* its newest stub leads to nothing: the best older copy is taken */
    DR_VERDICT_CLAIM,       /* somebody was about to create it: the claim stays */
    DR_VERDICT_NOTHING,     /* leftovers only of what never was: all dropped */
    DR_VERDICT_LOST         /* its stubs lead to nothing and no copy remains; all dropped */
};

struct dr_verdict {
    enum dr_verdict_kind kind;
    size_t winner;  /* index of the copy that is the vertex; SIZE_MAX: there is none */
    uint32_t at;    /* its partition */
    bool put_home;  /* home's key becomes the stub at:epoch (in place of what is there) */
    bool raise;     /* the vertex's _e becomes epoch: no stub may be newer than what it leads to,
                     * or the next restore would miss a copy */
    uint64_t epoch; /* of both */
    size_t changes; /* copies that are not kept, and those two: 0 when all was well */
};

/* Judges copy[n], all of one vertex, n > 0, in any order; of a key that is on two shards (its
 * slot was being moved while they were cut) only one stays. home: the vertex's home partition.
 * fresh: an epoch above every one seen on any shard. About n squared. */
void dr_reconcile(struct dr_copy *copy, size_t n, uint32_t home, uint64_t fresh,
                  struct dr_verdict *out);

#endif
