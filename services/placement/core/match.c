#include "core/match.h"

#include <stdbool.h>

enum { MOST = PLACEMENT_MATCH_MOST, OVERLAP_BITS = 40 };

/* Above any sum of 64 real costs of at most 2^40, far from overflow. */
#define FORBIDDEN ((int64_t)1 << 50)
#define INFINITE  ((int64_t)1 << 60)

/* Hungarian method by shortest augmenting paths, O(k^3); rows and columns are
 * numbered from 1, 0 being the virtual start. */
struct hungarian {
    int64_t row[MOST + 1], column[MOST + 1]; /* potentials */
    uint32_t owner[MOST + 1];                /* row of a column */
    unsigned shift;                          /* bits of overlaps left out */
};

static int64_t cost(const struct hungarian *h, const struct placement_match_input *in,
                    uint32_t block, uint32_t zone)
{
    if (in->size[block] > in->capacity[zone])
        return FORBIDDEN;
    return -(int64_t)(in->overlap[(size_t)block * in->k + zone] >> h->shift);
}

static void augment(struct hungarian *h, const struct placement_match_input *in, uint32_t block)
{
    int64_t least[MOST + 1];
    uint32_t from[MOST + 1] = { 0 }, at = 0;
    bool done[MOST + 1] = { false };
    for (uint32_t j = 0; j <= in->k; j++)
        least[j] = INFINITE;
    h->owner[0] = block;
    do {
        int64_t delta = INFINITE;
        uint32_t next = 0;
        done[at] = true;
        for (uint32_t j = 1; j <= in->k; j++) {
            if (done[j])
                continue;
            const int64_t reduced =
                cost(h, in, h->owner[at] - 1, j - 1) - h->row[h->owner[at]] - h->column[j];
            if (reduced < least[j]) {
                least[j] = reduced;
                from[j] = at;
            }
            if (least[j] < delta) {
                delta = least[j];
                next = j;
            }
        }
        for (uint32_t j = 0; j <= in->k; j++) {
            if (done[j]) {
                h->row[h->owner[j]] += delta;
                h->column[j] -= delta;
            } else {
                least[j] -= delta;
            }
        }
        at = next;
    } while (h->owner[at] != 0);
    for (; at != 0; at = from[at])
        h->owner[at] = h->owner[from[at]];
}

enum pr_code placement_match(const struct placement_match_input *in, uint16_t *zone_of_block,
                             struct pr_err *err)
{
    struct hungarian h = { .row = { 0 } };
    if (in->k == 0 || in->k > MOST)
        return pr_fail(err, PR_EINVAL, "%u zones to match, 1 to %d are supported", in->k, MOST);
    for (uint32_t i = 0; i < in->k * in->k; i++)
        while (in->overlap[i] >> h.shift >> OVERLAP_BITS != 0)
            h.shift++;
    for (uint32_t block = 1; block <= in->k; block++)
        augment(&h, in, block);

    for (uint32_t zone = 1; zone <= in->k; zone++) {
        const uint32_t block = h.owner[zone] - 1;
        if (in->size[block] > in->capacity[zone - 1])
            return pr_fail(err, PR_EINVAL,
                           "no naming of the blocks fits: block %u of %llu vertices is above "
                           "every capacity left",
                           block, (unsigned long long)in->size[block]);
        zone_of_block[block] = (uint16_t)(zone - 1);
    }
    return PR_OK;
}
