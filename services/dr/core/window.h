/* Which containers can hold pieces of a generation, by their names and dates alone. Pure.
 *
 * Nobody ships a generation under an epoch older than the one that it began in, and nothing of it
 * is written before its base was asked for. Once the next generation of the shard has its manifest,
 * no shipper of that one's epoch or a newer one goes back behind it; of an older epoch an upload
 * may come at any time. Clocks may differ by DR_SKEW_MS. */
#ifndef DR_WINDOW_H
#define DR_WINDOW_H

#include "core/generation.h"

struct dr_window {
    uint64_t epoch;      /* of the generation */
    int64_t from_ms;     /* nothing of it is older; Unix epoch by the bucket's clock */
    uint64_t next_epoch; /* of the next generation; 0: there is none */
    int64_t to_ms;       /* with that epoch or a newer one nothing of it is newer */
};

/* next, written_ms: the shard's next generation, whatever its manifest's state, and when that was
 * written by the bucket's clock; NULL: g is the newest. */
void dr_window_of(const struct dr_generation *g, const struct dr_generation_id *next,
                  int64_t written_ms, struct dr_window *out);
/* Whether a container of that epoch, written then by the bucket's clock (0: not known), can hold
 * pieces of it. */
bool dr_window_may(const struct dr_window *w, uint64_t epoch, int64_t modified_ms);
/* Whether in that epoch nothing that was written then or later can. */
bool dr_window_over(const struct dr_window *w, uint64_t epoch, int64_t modified_ms);

#endif
