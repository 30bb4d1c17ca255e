/* Vertices that must be in a zone: from a run's params, or a file of
 * "vertex zone" lines ('#' and '%' begin comments). */
#ifndef PLACEMENT_PINS_H
#define PLACEMENT_PINS_H

#include "core/graph.h"
#include "core/store.h"

struct placement_pin {
    uint64_t vertex;
    char zone[PLACEMENT_ZONE_BYTES];
};

struct placement_pins { /* zeroed: none */
    struct placement_pin *pin;
    size_t n, room;
};

/* PR_EDATA: the text is no vertex, or the zone's name is too long. */
PR_CHECKED enum pr_code placement_pins_add(struct placement_pins *p, const char *vertex,
                                           const char *zone, struct pr_err *err);
/* Adds the lines of a file, compressed or not. PR_EDATA names file and line. */
PR_CHECKED enum pr_code placement_pins_read(struct placement_pins *p, const char *path,
                                            struct pr_err *err);
void placement_pins_done(struct placement_pins *p);

/* A zone by its name, else by its number; -1: there is none. */
int placement_pins_zone(const char *const *zone, uint32_t zones, const char *name);

/* fixed[n]: zone or PLACEMENT_FREE. zone: names; a number stands for one, too,
 * where none has it as its name. PR_EINVAL: an unknown zone, a vertex that the
 * graph does not have, or one that is pinned to two zones. */
PR_CHECKED enum pr_code placement_pins_apply(const struct placement_pins *p,
                                             const struct placement_graph *g,
                                             const char *const *zone, uint32_t zones,
                                             uint16_t *fixed, struct pr_err *err);

#endif
