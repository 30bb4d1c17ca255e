#include "http_trace.h"

#include "prism/rng.h"

#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

/* 00-<32 hex>-<16 hex>-<2 hex>, ids not all zero. */
static bool traceparent_valid(const char *t)
{
    if (t == NULL || strlen(t) != PR_TRACE_BYTES - 1 || strncmp(t, "00-", 3) != 0)
        return false;
    for (size_t i = 3; i < PR_TRACE_BYTES - 1; i++)
        if (i == 35 || i == 52 ? t[i] != '-' : strchr("0123456789abcdef", t[i]) == NULL)
            return false;
    return strspn(t + 3, "0") < 32 && strspn(t + 36, "0") < 16;
}

/* Ids must differ, and need not be secret: each thread seeds a generator of its own once. */
static struct pr_rng *generator(void)
{
    static _Thread_local struct pr_rng rng;
    static _Thread_local bool seeded;
    uint64_t seed;
    if (!seeded && getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed) {
        pr_rng_init(&rng, seed);
        seeded = true;
    }
    return seeded ? &rng : NULL;
}

static void put_hex(char *to, uint64_t v)
{
    for (int i = 15; i >= 0; i--, v >>= 4)
        to[i] = "0123456789abcdef"[v & 15];
}

void pr_trace_continue(char out[PR_TRACE_BYTES], const char *incoming)
{
    struct pr_rng *rng = generator();
    out[0] = '\0';
    if (rng == NULL)
        return; /* no trace is better than no answer */
    memcpy(out, "00-", 3);
    put_hex(out + 3, pr_rng_next(rng) | 1); /* never all zero */
    put_hex(out + 19, pr_rng_next(rng));
    out[35] = '-';
    put_hex(out + 36, pr_rng_next(rng) | 1);
    memcpy(out + 52, "-01", 4);
    if (traceparent_valid(incoming)) {
        memcpy(out + 3, incoming + 3, 32);
        memcpy(out + 53, incoming + 53, 2);
    }
}
