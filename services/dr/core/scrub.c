#include "core/scrub.h"

#include <string.h>

void dr_follow_init(struct dr_follow *f, const struct dr_generation *g)
{
    *f = (struct dr_follow){ .to = g->offset };
    memcpy(f->chain, g->chain, DR_HASH);
}

void dr_follow_piece(struct dr_follow *f, const struct dr_piece *p)
{
    uint8_t want[DR_HASH];
    dr_chain_hash(f->chain, p, want);
    if (p->from != f->to || memcmp(want, p->chain, DR_HASH) != 0) {
        f->unsure = true;
        return;
    }
    f->to = p->to;
    memcpy(f->chain, p->chain, DR_HASH);
}
