/* Which pieces, in which order, bring a generation up to a point in time; and where they break
 * off. Pure.
 *
 * Each piece names by its chain hash the one piece before it, so the pieces of a generation are a
 * tree whose root is the base. It forks where a shipper lost its lease and finished an upload
 * late, while the next one, with a newer epoch, went on from what it had found durable, always at
 * the end of a piece. What counts at a fork is where the newest epoch of all lies, not which
 * epoch begins there: an upload that comes very late, of a shipper that never was acknowledged,
 * may begin where an older one was followed by the newest. So the route leads to the newest epoch
 * that is connected with the base, and then on as far as pieces go. Everybody (the next shipper,
 * restore, scrub) must take it from here.
 *
 * For a point in time that same route is cut, never another taken: a stale branch may end before
 * that time, and hold writes that the cluster has lost. */
#ifndef DR_CHAIN_H
#define DR_CHAIN_H

#include "core/generation.h"

struct dr_located { /* a piece, and the object that holds it */
    struct dr_piece piece;
    uint64_t epoch, seq; /* of its container */
    size_t index;        /* in its container */
};

struct dr_route {
    size_t *take; /* [n] indexes into the pieces given, in order; the caller frees */
    size_t n;
    uint64_t to;            /* offset reached; the base's when n is 0 */
    char replid[DR_REPLID]; /* at `to` */
    int64_t last_ms;        /* of the last piece; the base's end when n is 0 */
    uint8_t
        chain[DR_HASH]; /* of the last piece, or the generation's: what the next one chains to */
    bool reached;       /* the point in time lies within what is there: the base ended by then,
                         * and the last piece taken ends at it or the next one after it; never
                         * for INT64_MAX */
    bool gap;      /* not reached, and pieces lie beyond `to` that nothing leads to, of an epoch
                    * not older than any on the route */
    char why[160]; /* "" when reached; else why it ends there: no more pieces, a gap at ... */
};

/* The route from g's base, as far as its pieces' last_ms <= until_ms (INT64_MAX: all), chain
 * hashes checked. pieces [n] in any order, also of other shards and generations; the same piece
 * may be there twice (its newest container is taken). About n log n. PR_ENOMEM. */
PR_CHECKED enum pr_code dr_chain_route(const struct dr_generation *g,
                                       const struct dr_located *piece, size_t n, int64_t until_ms,
                                       struct dr_route *out, struct pr_err *err);

/* Does a piece of a generation newer than g lie beyond `to`? Then that generation's manifest is
 * lost, or it is about to be written. */
bool dr_chain_newer(const struct dr_generation *g, const struct dr_located *piece, size_t n,
                    uint64_t to);

/* Of several generations of a shard, in any order, the one to restore: the newest whose base
 * ended at or before until_ms; SIZE_MAX: none. skip[i] (may be NULL): found damaged. */
size_t dr_generation_choose(const struct dr_generation *g, size_t n, const bool *skip,
                            int64_t until_ms);
#endif
