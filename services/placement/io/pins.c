#include "io/pins.h"

#include "engine/partition.h"
#include "prism/graph_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool parse_vertex(const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

enum pr_code placement_pins_add(struct placement_pins *p, const char *vertex, const char *zone,
                                struct pr_err *err)
{
    uint64_t id;
    if (!parse_vertex(vertex, &id))
        return pr_fail(err, PR_EDATA, "%.40s is no vertex: a number up to 2^64-1", vertex);
    if (strlen(zone) >= PLACEMENT_ZONE_BYTES)
        return pr_fail(err, PR_EDATA, "unknown zone %.40s", zone);
    if (p->n == p->room) {
        const size_t room = p->room == 0 ? 64 : 2 * p->room;
        struct placement_pin *grown = realloc(p->pin, room * sizeof *grown);
        if (grown == NULL)
            return pr_fail(err, PR_ENOMEM, "out of memory for %zu fixed vertices", p->n);
        p->pin = grown;
        p->room = room;
    }
    struct placement_pin *pin = &p->pin[p->n++];
    *pin = (struct placement_pin){ .vertex = id };
    memcpy(pin->zone, zone, strlen(zone) + 1);
    return PR_OK;
}

static enum pr_code add_line(void *pins, const char *const *word, size_t words, struct pr_err *err)
{
    if (words != 2)
        return pr_fail(err, PR_EDATA, "not \"vertex zone\"");
    return placement_pins_add(pins, word[0], word[1], err);
}

enum pr_code placement_pins_read(struct placement_pins *p, const char *path, struct pr_err *err)
{
    return graph_text_each(path, add_line, p, err);
}

void placement_pins_done(struct placement_pins *p)
{
    free(p->pin);
    *p = (struct placement_pins){ 0 };
}

static bool find_vertex(const struct placement_graph *g, uint64_t id, uint32_t *v)
{
    uint32_t lo = 0, hi = g->n;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (placement_id(g, mid) < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    *v = lo;
    return lo < g->n && placement_id(g, lo) == id;
}

int placement_pins_zone(const char *const *zone, uint32_t zones, const char *name)
{
    uint64_t number;
    for (uint32_t z = 0; z < zones; z++)
        if (strcmp(zone[z], name) == 0)
            return (int)z;
    return parse_vertex(name, &number) && number < zones ? (int)number : -1;
}

enum pr_code placement_pins_apply(const struct placement_pins *p, const struct placement_graph *g,
                                  const char *const *zone, uint32_t zones, uint16_t *fixed,
                                  struct pr_err *err)
{
    for (uint32_t v = 0; v < g->n; v++)
        fixed[v] = PLACEMENT_FREE;
    for (size_t i = 0; i < p->n; i++) {
        const struct placement_pin *pin = &p->pin[i];
        const unsigned long long id = pin->vertex;
        const int z = placement_pins_zone(zone, zones, pin->zone);
        uint32_t v;
        if (z < 0)
            return pr_fail(err, PR_EINVAL, "vertex %llu is fixed to zone %s, which does not exist",
                           id, pin->zone);
        if (!find_vertex(g, pin->vertex, &v))
            return pr_fail(err, PR_EINVAL, "fixed vertex %llu is not in the graph", id);
        if (fixed[v] != PLACEMENT_FREE && fixed[v] != z)
            return pr_fail(err, PR_EINVAL, "vertex %llu is fixed to two zones", id);
        fixed[v] = (uint16_t)z;
    }
    return PR_OK;
}
