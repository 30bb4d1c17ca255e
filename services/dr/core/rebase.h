/* When a shard gets a new base, so that bringing it back stays short: what has to be loaded is the
 * base and the stream behind it. Pure. */
#ifndef DR_REBASE_H
#define DR_REBASE_H

#include "core/keys.h"

#include <stddef.h>

struct dr_rebase_rule {
    int64_t age_ms;        /* of the base; 0: its age does not matter */
    uint64_t ratio;        /* stream over base, and ... */
    uint64_t stream_bytes; /* ... the stream itself has to be larger than this */
};

struct dr_rebase_shard {
    char shard[DR_NAME];
    bool has_base;   /* else its first one is under way */
    bool base_now;   /* one is being written */
    bool streaming;  /* attached: one can be asked for */
    bool wanted;     /* somebody asked: the newest generation is damaged */
    int64_t base_ms; /* Unix epoch: when the newest base ended */
    uint64_t base_bytes, stream_bytes;
};
struct dr_rebase {
    size_t shard;    /* index; SIZE_MAX: none now */
    const char *why; /* static: "damaged", "age", "stream" */
};
/* At most one at a time in a group, whatever it is for: a base costs its source a fork and the
 * memory that is written meanwhile. First what is damaged, then the one whose stream is longest by
 * the rule, then the oldest base; ties by name. */
void dr_rebase_choose(const struct dr_rebase_rule *r, const struct dr_rebase_shard *s, size_t n,
                      int64_t now_ms, struct dr_rebase *out);

#endif
