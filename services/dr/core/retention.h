/* What may be deleted from the bucket. Pure.
 *
 * A restore to a time takes the newest generation whose base was finished by then, or an older
 * one when that is damaged. So for every shard there is a floor: the newest generation that was
 * finished before the window began and that is verified. It and everything newer stays; what is
 * older is needed by no restore to a time within the window. A shard without a floor keeps
 * everything, so the last verified generation of a shard is never deleted, nor the last whole one,
 * nor anything newer than what is verified; also not of a shard that is gone.
 *
 * Verified is a generation of which every byte was read and found right, after the last of them was
 * written: one that has a successor counts only if it was read since the successor's base ended. */
#ifndef DR_RETENTION_H
#define DR_RETENTION_H

#include "core/generation.h"

enum { DR_SKEW_MS = 3600000, DR_ORPHAN_MS = 86400000 };
/* Slots that are asked for are on their way for less than this, or for as long as a row says so. */
static const int64_t DR_MAP_MS = 90LL * 86400000;

struct dr_retention {
    int64_t now_ms;  /* Unix epoch */
    int64_t keep_ms; /* every time from now_ms - keep_ms on can be restored to */
};

struct dr_kept { /* a generation whose manifest can be read */
    char shard[DR_NAME];
    struct dr_generation_id id;
    int64_t begun_ms, ended_ms; /* of its base, Unix epoch by the shipper's clock */
    int64_t verified_ms;        /* when reading it all began, and found it right; 0: never */
    bool damaged;
};

struct dr_floor { /* of a shard */
    char shard[DR_NAME];
    bool some;                  /* false: everything of it stays */
    struct dr_generation_id id; /* the oldest that stays */
    int64_t begun_ms;           /* of the bases from there on: no piece of any arrived before */
};

/* kept [n], any order; sorted by this. floor: [n] has room for all; *floors: one a shard that has a
 * generation, sorted by name. */
void dr_retention_floors(const struct dr_retention *r, struct dr_kept *kept, size_t n,
                         struct dr_floor *floor, size_t *floors);

/* Whether a generation of that name may go: its manifest, readable or not, and parts. */
bool dr_retention_drops(const struct dr_floor *floor, size_t floors, const char *shard,
                        const struct dr_generation_id *id);

struct dr_held {                  /* a container */
    int64_t modified_ms;          /* Unix epoch by the bucket's clock: not before its pieces came */
    bool newest;                  /* of its group */
    const struct dr_piece *piece; /* [pieces]; NULL: not read, or its head is damaged */
    size_t pieces;
};
enum dr_verdict {
    DR_STAYS,
    DR_GOES,
    DR_LOOK, /* only its pieces can tell: it stays unless they are read */
};
/* A container goes when it lies before the window and no shard needs any of its pieces; the newest
 * of a group, from whose name the next epoch is known to be new, stays. Clocks may differ by
 * DR_SKEW_MS. */
enum dr_verdict dr_retention_container(const struct dr_retention *r, const struct dr_floor *floor,
                                       size_t floors, const struct dr_held *c);

struct dr_held_map { /* an object of core/gives.h */
    uint64_t number;
    int64_t modified_ms; /* as above */
    bool newest;         /* from which the next number is known to be higher */
};
/* live: the lowest number of slots that may be on their way yet; 0: none are. One goes when keys
 * were there where they belong before any base began that is needed. */
bool dr_retention_map(const struct dr_floor *floor, size_t floors, uint64_t live,
                      const struct dr_held_map *m);

/* Whether all of the store's life before a region fail-over may go: since claim_ms (Unix epoch, by
 * a clock of ours) it ships under another name, and there every shard has a floor, so that each
 * time in the window can be had from that. floor: of the present name's shards; bare: one of them
 * has parts of a base, and no manifest. */
bool dr_retention_life(const struct dr_retention *r, const struct dr_floor *floor, size_t floors,
                       bool bare, int64_t claim_ms);

/* Whether parts without a manifest, the newest of them written then, belong to nobody: a base
 * under way writes one part after another. */
bool dr_retention_orphan(const struct dr_retention *r, int64_t modified_ms);

#endif
