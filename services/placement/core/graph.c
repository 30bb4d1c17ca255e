#include "core/graph.h"

#include "prism/slot.h"

#include <stdlib.h>

void placement_graph_done(struct placement_graph *g)
{
    free(g->id);
    free(g->start);
    free(g->to);
    free(g->coded);
    free(g->weight);
    free(g->vertex_weight);
    *g = (struct placement_graph){ 0 };
}

uint64_t placement_vertex_hash(uint64_t id)
{
    char text[20];
    unsigned at = sizeof text;
    do {
        text[--at] = (char)('0' + id % 10);
        id /= 10;
    } while (id > 0);
    return pr_vertex_hash(text + at, sizeof text - at);
}
