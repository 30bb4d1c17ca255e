/* Open-addressing map from uint64 to uint64; every key is allowed. Iteration
 * order depends only on the insertions made, never on addresses. */
#ifndef PRISM_MAP_H
#define PRISM_MAP_H

#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pr_map {
    uint64_t *key, *value;
    uint8_t *used;
    size_t count, cap; /* cap: a power of two, or 0 */
};

void pr_map_init(struct pr_map *m);
void pr_map_done(struct pr_map *m);
/* Inserts or replaces. PR_ENOMEM leaves the map as it was. */
PR_CHECKED enum pr_code pr_map_put(struct pr_map *m, uint64_t key, uint64_t value);
bool pr_map_get(const struct pr_map *m, uint64_t key, uint64_t *value);
bool pr_map_del(struct pr_map *m, uint64_t key); /* true when it was there */
/* *pos starts at 0; false at the end. Do not change the map meanwhile. */
bool pr_map_each(const struct pr_map *m, size_t *pos, uint64_t *key, uint64_t *value);

#endif
