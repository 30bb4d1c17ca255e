/* A node that comes back from a failure as a primary without slots: may it be made a
 * replica of its shard again without a person's word? One that keeps failing is not
 * cured by that, and each time its shard pays for a full synchronisation. Pure.
 * Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_RETURNS_H
#define REBALANCE_RETURNS_H

#include <stdint.h>

struct rebalance_return { /* of one node, within the last day */
    const char *node;     /* nodes.id, for the text */
    unsigned tries;       /* to take it back, whatever became of them */
    unsigned returns;     /* times that it did follow its shard again */
    int64_t last_try_ms;  /* ago; negative: there was none */
    int64_t oldest_ms;    /* ago, of its returns; negative: there was none */
};
enum rebalance_return_what {
    REBALANCE_RETURN_NOW,
    REBALANCE_RETURN_RESTS, /* tried lately */
    REBALANCE_RETURN_HELD   /* too often in a day: a person looks at it */
};
struct rebalance_return_out {
    enum rebalance_return_what what;
    int64_t for_ms; /* until it may; 0: now; negative: never by itself */
    char why[256];
};
/* The pause doubles with every try of the day, from 5 s to 10 min. most_a_day 0: never. */
void rebalance_return_judge(const struct rebalance_return *r, int64_t most_a_day,
                            struct rebalance_return_out *out);

#endif
