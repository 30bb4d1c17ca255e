/* Which of some restored shards owns a slot. Pure. */
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
 * is that one, whatever older maps say. Else, of those that have keys: who took it last; or, of
 * those, or of all when none has keys: who owned it by the newest epoch; with none of them the last
 * that has keys. Redis gives a slot that moves to its new owner with an epoch above all. */
int dr_slot_owner(const struct dr_claim *claim, size_t n);

#endif
