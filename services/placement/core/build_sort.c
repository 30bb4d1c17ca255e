/* Sorting one row. Rows are short as a rule, and often sorted already. */
#include "core/build_internal.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT = 32, ON_STACK = 512 };

/* Insertion; gives up (false) when it would take long: two ascending halves,
 * as two workers leave them, are no worse than any other order. */
#define DEFINE_INSERTION(name, type)                                                               \
    static bool name(type *a, size_t n)                                                            \
    {                                                                                              \
        size_t moves = n < SHORT ? SIZE_MAX : 4 * n;                                               \
        for (size_t i = 1; i < n; i++) {                                                           \
            const type x = a[i];                                                                   \
            size_t j = i;                                                                          \
            for (; j > 0 && a[j - 1] > x; j--)                                                     \
                a[j] = a[j - 1];                                                                   \
            a[j] = x;                                                                              \
            if (i - j > moves)                                                                     \
                return false;                                                                      \
            moves -= i - j;                                                                        \
        }                                                                                          \
        return true;                                                                               \
    }
DEFINE_INSERTION(insert32, uint32_t)
DEFINE_INSERTION(insert64, uint64_t)

/* Least significant byte first, of the bits from shift up to end. */
#define DEFINE_RADIX(name, type)                                                                   \
    static void name(type *a, type *other, size_t n, unsigned shift, unsigned end)                 \
    {                                                                                              \
        type *from = a, *to = other;                                                               \
        for (; shift < end; shift += 8) {                                                          \
            size_t at[256] = { 0 }, sum = 0;                                                       \
            for (size_t i = 0; i < n; i++)                                                         \
                at[from[i] >> shift & 0xff]++;                                                     \
            for (unsigned k = 0; k < 256; k++) {                                                   \
                const size_t count = at[k];                                                        \
                at[k] = sum;                                                                       \
                sum += count;                                                                      \
            }                                                                                      \
            for (size_t i = 0; i < n; i++)                                                         \
                to[at[from[i] >> shift & 0xff]++] = from[i];                                       \
            type *const swap = from;                                                               \
            from = to;                                                                             \
            to = swap;                                                                             \
        }                                                                                          \
        if (from != a)                                                                             \
            memcpy(a, from, n * sizeof *a);                                                        \
    }
DEFINE_RADIX(radix32, uint32_t)
DEFINE_RADIX(radix64, uint64_t)

static unsigned bits_below(uint32_t limit)
{
    return limit <= 1 ? 0 : 32 - (unsigned)__builtin_clz(limit - 1);
}

static void swap_entries(uint32_t *to, uint32_t *weight, size_t a, size_t b)
{
    const uint32_t t = to[a];
    to[a] = to[b];
    to[b] = t;
    if (weight != NULL) {
        const uint32_t w = weight[a];
        weight[a] = weight[b];
        weight[b] = w;
    }
}

static void sift(uint32_t *to, uint32_t *weight, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && to[child + 1] > to[child])
            child++;
        if (to[child] <= to[at])
            return;
        swap_entries(to, weight, at, child);
    }
}

/* For long rows when there is no memory beside them. */
static void heap_sort(uint32_t *to, uint32_t *weight, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(to, weight, i, n);
    for (size_t left = n; left-- > 1;) {
        swap_entries(to, weight, 0, left);
        sift(to, weight, 0, left);
    }
}

static void sort_plain(uint32_t *to, size_t n, uint32_t limit)
{
    uint32_t near[ON_STACK], *far = NULL;
    if (insert32(to, n))
        return;
    if (n > ON_STACK && (far = malloc(n * sizeof *far)) == NULL)
        heap_sort(to, NULL, n);
    else
        radix32(to, far == NULL ? near : far, n, 0, bits_below(limit));
    free(far);
}

/* Weights travel in the lower half of a 64-bit value. */
static void sort_weighted(uint32_t *to, uint32_t *weight, size_t n, uint32_t limit)
{
    uint64_t near[2 * ON_STACK], *both = near, *far = NULL;
    if (n > ON_STACK) {
        both = far = malloc(2 * n * sizeof *far);
        if (far == NULL) {
            heap_sort(to, weight, n);
            return;
        }
    }
    for (size_t i = 0; i < n; i++)
        both[i] = (uint64_t)to[i] << 32 | weight[i];
    if (!insert64(both, n))
        radix64(both, both + n, n, 32, 32 + bits_below(limit));
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint32_t)(both[i] >> 32);
        weight[i] = (uint32_t)both[i];
    }
    free(far);
}

bool row_sort(uint32_t *to, uint32_t *weight, size_t n, uint32_t limit)
{
    bool sorted = true, twice = false;
    for (size_t i = 1; i < n; i++)
        sorted &= to[i - 1] <= to[i];
    if (!sorted && weight == NULL)
        sort_plain(to, n, limit);
    else if (!sorted)
        sort_weighted(to, weight, n, limit);
    for (size_t i = 1; i < n; i++)
        twice |= to[i - 1] == to[i];
    return twice;
}
