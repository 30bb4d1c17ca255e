#include "prism/backoff.h"

#include "prism/rng.h"

int64_t pr_backoff_ceiling_ms(const struct pr_backoff *b, int attempt)
{
    const int64_t cap = b->cap_ms < 1 ? 1 : b->cap_ms;
    int64_t ceiling = b->base_ms < 1 ? 1 : b->base_ms;

    for (int i = 0; i < attempt && ceiling < cap; i++)
        ceiling = ceiling > cap / 2 ? cap : 2 * ceiling;
    return ceiling < cap ? ceiling : cap;
}

int64_t pr_backoff_ms(const struct pr_backoff *b, int attempt, uint64_t seed, int64_t at_least_ms)
{
    const int64_t ceiling = pr_backoff_ceiling_ms(b, attempt);
    struct pr_rng r;

    pr_rng_init(&r, pr_mix64(seed) + (uint64_t)(attempt < 0 ? 0 : attempt));
    const int64_t gap = (int64_t)pr_rng_below(&r, (uint64_t)ceiling + 1);
    return at_least_ms > 0 ? at_least_ms + gap : gap;
}
