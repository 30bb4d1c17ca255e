/* How long to wait before the next try: exponential with full jitter. Pure: the seed is an
 * argument. Source: "Exponential Backoff And Jitter", AWS Architecture Blog. */
#ifndef PRISM_BACKOFF_H
#define PRISM_BACKOFF_H

#include <stdint.h>

struct pr_backoff {
    int64_t base_ms; /* ceiling of the first gap; < 1: 1 */
    int64_t cap_ms;  /* no gap is longer */
};

/* The ceiling of the gap after try number `attempt` (0: the first): base, 2 base, 4 base,
 * ... up to cap. */
int64_t pr_backoff_ceiling_ms(const struct pr_backoff *b, int attempt);

/* The gap after that try: 0..ceiling, evenly spread, the same for the same seed and attempt;
 * added to at_least_ms, what the server asked for (Retry-After), so that those who were all
 * told the same second do not come back in the same second. */
int64_t pr_backoff_ms(const struct pr_backoff *b, int attempt, uint64_t seed, int64_t at_least_ms);

#endif
