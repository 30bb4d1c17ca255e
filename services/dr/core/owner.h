/* Which of some restored shards owns a slot, and whether that is certain. Pure. */
#ifndef DR_OWNER_H
#define DR_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DR_NO_SHARD = -1 };

struct dr_claim {   /* of a shard, to one slot */
    bool owned;     /* when its base was made, */
    uint64_t epoch; /* by this configuration epoch; 0: not known */
    uint64_t took;  /* number of its last turn at taking the slot (core/gives.h); 0: none */
    uint32_t keys;  /* of the slot that came back with it */
};
/* Index of the owner among claim [n], or DR_NO_SHARD. When one shard alone has keys of the slot it
 * is that one, whatever older maps say. Else, of those that have keys: who took it last; or, where
 * one alone did not own it when its base was made, that one, as keys came to it since; or, of
 * those, or of all when none has keys: who owned it by the newest epoch; with none of them the last
 * that has keys. Redis gives a slot that moves to its new owner with an epoch above all. */
int dr_slot_owner(const struct dr_claim *claim, size_t n);

/* That may be the wrong one: several have keys of the slot, and who took it last may be told by an
 * object that cannot be read, of which unread is the highest number (0: all could be read); or is
 * told by none, and one of them has keys though its base did not own the slot, or no epoch tells
 * the bases apart. */
bool dr_slot_unsure(const struct dr_claim *claim, size_t n, uint64_t unread);

#endif
