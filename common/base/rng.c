#include "prism/rng.h"

#include <math.h>

uint64_t pr_mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

void pr_rng_init(struct pr_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = pr_mix64(seed += 0x9e3779b97f4a7c15ULL);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t pr_rng_next(struct pr_rng *r)
{
    uint64_t *s = r->s;
    const uint64_t out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

uint64_t pr_rng_below(struct pr_rng *r, uint64_t n)
{
    const uint64_t reject = (0 - n) % n; /* 2^64 mod n */
    uint64_t x;
    do
        x = pr_rng_next(r);
    while (x < reject);
    return x % n;
}

double pr_rng_unit(struct pr_rng *r)
{
    return (double)(pr_rng_next(r) >> 11) * 0x1p-53;
}

/* Integral of x^-e and its inverse, written so that e = 1 is the limit. */
static double helper1(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x * (0.5 - x * (1.0 / 3));
}

static double helper2(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x * 0.5 * (1 + x * (1.0 / 3));
}

static double h_integral(const struct pr_zipf *z, double x)
{
    const double lx = log(x);
    return helper2((1 - z->exponent) * lx) * lx;
}

static double h(const struct pr_zipf *z, double x)
{
    return exp(-z->exponent * log(x));
}

static double h_integral_inverse(const struct pr_zipf *z, double x)
{
    double t = x * (1 - z->exponent);
    if (t < -1)
        t = -1;
    return exp(helper1(t) * x);
}

void pr_zipf_init(struct pr_zipf *z, uint64_t n, double exponent)
{
    z->n = n;
    z->exponent = exponent;
    z->h_x1 = h_integral(z, 1.5) - 1;
    z->h_n = h_integral(z, (double)n + 0.5);
    z->s = 2 - h_integral_inverse(z, h_integral(z, 2.5) - h(z, 2));
}

uint64_t pr_zipf_next(const struct pr_zipf *z, struct pr_rng *r)
{
    for (;;) {
        const double u = z->h_n + pr_rng_unit(r) * (z->h_x1 - z->h_n);
        const double x = h_integral_inverse(z, u);
        double k = floor(x + 0.5);
        if (k < 1)
            k = 1;
        else if (k > (double)z->n)
            k = (double)z->n;
        if (k - x <= z->s || u >= h_integral(z, k + 0.5) - h(z, k))
            return (uint64_t)k;
    }
}
