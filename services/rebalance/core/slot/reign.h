/* Who has been the primary of a shard, as far as one scheduler can tell by looking at it now and
 * then. Pure. Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_REIGN_H
#define REBALANCE_REIGN_H

#include <stdbool.h>
#include <stdint.h>

enum { REBALANCE_ID = 41 };

struct rebalance_reign {        /* of a primary, as it says itself */
    char node[REBALANCE_ID];    /* its id in the cluster */
    char history[REBALANCE_ID]; /* INFO's master_replid, a new one at each promotion; "": unknown */
    char before[REBALANCE_ID];  /* master_replid2: the history that it went on from */
    bool open;                  /* the slot in hand is: whoever becomes a replica closes it */
    char run[REBALANCE_ID];     /* run_id, of its process; "": unknown */
};

/* How often the primary has changed between two looks. 0: it has led all the time. 1: what the
 * later one holds is what the earlier one had written when it took over, and what was written to
 * itself since. 2: or more often, or nobody can tell. */
unsigned rebalance_reigns_between(const struct rebalance_reign *was,
                                  const struct rebalance_reign *is);

/* The same node leads, restarted with its mark: 0 above. It has no more than what it had written to
 * its disk, and so may have again what it had deleted last. */
bool rebalance_reign_restarted(const struct rebalance_reign *was, const struct rebalance_reign *is);

/* Fail-overs of a shard while a slot of it is on its way. */
struct rebalance_fail_overs {
    unsigned n;       /* 2: or more, or nobody can tell */
    int64_t first_us; /* nobody was promoted before, by our clock; 0: unknown */
};
/* changes: as above, 1 at least. seen_us: when the one before them was last seen to lead. */
void rebalance_fail_overs_saw(struct rebalance_fail_overs *f, unsigned changes, int64_t seen_us);
/* There was one before we looked. */
void rebalance_fail_overs_missed(struct rebalance_fail_overs *f);

#endif
