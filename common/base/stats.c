#include "prism/stats.h"

static unsigned bucket_of(uint64_t v)
{
    if (v < 16)
        return (unsigned)v;
    unsigned top = 63 - (unsigned)__builtin_clzll(v); /* >= 4 */
    return (top - 3) * 16 + (unsigned)((v >> (top - 4)) & 15);
}

static uint64_t bucket_max(unsigned b)
{
    if (b < 16)
        return b;
    unsigned top = b / 16 + 3;
    uint64_t step = 1ULL << (top - 4);
    return (16 + (uint64_t)(b % 16)) * step + (step - 1);
}

void pr_hist_add(struct pr_hist *h, uint64_t v)
{
    h->count++;
    h->sum += v;
    if (v > h->max)
        h->max = v;
    h->bucket[bucket_of(v)]++;
}

void pr_hist_merge(struct pr_hist *into, const struct pr_hist *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
    for (unsigned b = 0; b < PR_HIST_BUCKETS; b++)
        into->bucket[b] += from->bucket[b];
}

uint64_t pr_hist_quantile(const struct pr_hist *h, double q)
{
    if (h->count == 0)
        return 0;
    uint64_t rank = (uint64_t)(q * (double)h->count);
    if (rank >= h->count)
        rank = h->count - 1;
    uint64_t seen = 0;
    for (unsigned b = 0; b < PR_HIST_BUCKETS; b++) {
        seen += h->bucket[b];
        if (seen > rank)
            return bucket_max(b) < h->max ? bucket_max(b) : h->max;
    }
    return h->max;
}
