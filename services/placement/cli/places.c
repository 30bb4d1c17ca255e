#include "cli/cli.h"

#include "engine/partition.h"
#include "io/pins.h"

#include <stdlib.h>

static bool reserve(struct cli_places *p, uint32_t n)
{
    p->partition = malloc(((size_t)n + 1) * sizeof *p->partition);
    p->zone = malloc(((size_t)n + 1) * sizeof *p->zone);
    for (uint32_t v = 0; p->partition != NULL && p->zone != NULL && v < n; v++)
        p->partition[v] = p->zone[v] = GRAPH_NONE;
    return p->partition != NULL && p->zone != NULL;
}

/* Rows and vertices both ascend by id. */
static void join(const struct graph_assigns *rows, const struct placement_graph *g,
                 struct cli_places *p)
{
    size_t at = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const uint64_t id = placement_id(g, v);
        for (; at < rows->n && rows->row[at].vertex < id; at++)
            p->strange++;
        if (at == rows->n || rows->row[at].vertex != id) {
            p->first_absent = p->absent++ == 0 ? id : p->first_absent;
            continue;
        }
        const struct graph_assign *r = &rows->row[at++];
        p->partition[v] = r->partition;
        p->zone[v] = r->zone;
        if (r->partition != GRAPH_NONE && r->partition >= p->partitions)
            p->partitions = r->partition + 1;
        if (r->zone != GRAPH_NONE && r->zone >= p->zones)
            p->zones = r->zone + 1;
    }
    p->strange += rows->n - at;
}

enum pr_code cli_places_read(const char *path, const struct placement_graph *g,
                             struct cli_places *out, struct pr_err *err)
{
    struct graph_assigns rows = { 0 };
    *out = (struct cli_places){ 0 };
    enum pr_code rc = graph_assign_read(path, NULL, &rows, err);
    if (rc != PR_OK)
        return rc;
    if (reserve(out, g->n))
        join(&rows, g, out);
    else
        rc = pr_fail(err, PR_ENOMEM, "out of memory for the places of %u vertices", g->n);
    graph_assigns_done(&rows);
    return rc;
}

void cli_places_done(struct cli_places *p)
{
    free(p->partition);
    free(p->zone);
    p->partition = p->zone = NULL;
}

enum pr_code cli_fixed_read(const char *path, const struct cli_fleet *fleet,
                            const struct placement_graph *g, uint16_t *fixed, struct pr_err *err)
{
    const char *name[PLACEMENT_MAX_ZONES];
    struct placement_pins pins = { 0 };
    for (uint32_t z = 0; z < fleet->zones; z++)
        name[z] = fleet->name[z];
    enum pr_code rc = placement_pins_read(&pins, path, err);
    if (rc == PR_OK)
        rc = placement_pins_apply(&pins, g, name, fleet->zones, fixed, err);
    placement_pins_done(&pins);
    return rc;
}

static enum pr_code fix_part(const struct placement_pin *pin, const struct cli_fleet *fleet,
                             const struct cli_places *today, uint16_t *of_part, struct pr_err *err)
{
    const char *name[PLACEMENT_MAX_ZONES];
    const unsigned long long part = pin->vertex;
    for (uint32_t z = 0; z < fleet->zones; z++)
        name[z] = fleet->name[z];
    const int z = placement_pins_zone(name, fleet->zones, pin->zone);
    if (z < 0)
        return pr_fail(err, PR_EINVAL, "partition %llu is fixed to zone %s, which does not exist",
                       part, pin->zone);
    if (part >= today->partitions)
        return pr_fail(err, PR_EINVAL, "fixed partition %llu is not in --warm", part);
    if (of_part[part] != PLACEMENT_FREE && of_part[part] != z)
        return pr_fail(err, PR_EINVAL, "partition %llu is fixed to two zones", part);
    of_part[part] = (uint16_t)z;
    return PR_OK;
}

enum pr_code cli_fixed_parts_read(const char *path, const struct cli_fleet *fleet,
                                  const struct cli_places *today, uint32_t n, uint16_t *fixed,
                                  struct pr_err *err)
{
    struct placement_pins pins = { 0 }; /* partitions in the place of vertices */
    uint16_t *of_part = malloc(((size_t)today->partitions + 1) * sizeof *of_part);
    enum pr_code rc = of_part == NULL ? pr_fail(err, PR_ENOMEM, "out of memory for %u partitions",
                                                today->partitions)
                                      : placement_pins_read(&pins, path, err);
    for (uint32_t p = 0; of_part != NULL && p < today->partitions; p++)
        of_part[p] = PLACEMENT_FREE;
    for (size_t i = 0; rc == PR_OK && i < pins.n; i++)
        rc = fix_part(&pins.pin[i], fleet, today, of_part, err);
    for (uint32_t v = 0; rc == PR_OK && v < n; v++)
        if (fixed[v] == PLACEMENT_FREE && today->partition[v] != GRAPH_NONE)
            fixed[v] = of_part[today->partition[v]];
    free(of_part);
    placement_pins_done(&pins);
    return rc;
}
