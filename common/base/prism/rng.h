/* Seeded random numbers: same seed, same sequence, on every machine.
 * Source: xoshiro256** and splitmix64 by Blackman and Vigna (public domain
 * algorithms, prng.di.unimi.it); Zipf by rejection-inversion, Hoermann and
 * Derflinger, ACM TOMACS 6(3), 1996. */
#ifndef PRISM_RNG_H
#define PRISM_RNG_H

#include <stddef.h>
#include <stdint.h>

struct pr_rng {
    uint64_t s[4];
};

void pr_rng_init(struct pr_rng *r, uint64_t seed);
uint64_t pr_rng_next(struct pr_rng *r);
uint64_t pr_rng_below(struct pr_rng *r, uint64_t n); /* 0..n-1, unbiased; n > 0 */
double pr_rng_unit(struct pr_rng *r);                /* [0, 1) */
uint64_t pr_mix64(uint64_t x);                       /* splitmix64 finaliser */

struct pr_zipf {
    uint64_t n;
    double exponent, h_x1, h_n, s;
};

/* Ranks 1..n with P(k) ~ k^-exponent; n >= 1, exponent > 0 and not 1 or 1. */
void pr_zipf_init(struct pr_zipf *z, uint64_t n, double exponent);
uint64_t pr_zipf_next(const struct pr_zipf *z, struct pr_rng *r); /* 1..n */

#endif
