#include "fuzz.h"

#include "core/build.h"
#include "core/code.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *fuzz_file(const uint8_t *data, size_t n)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        FUZZ_CHECK(fd >= 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_CHECK(ftruncate(fd, 0) == 0);
    FUZZ_CHECK(n == 0 || pwrite(fd, data, n, 0) == (ssize_t)n);
    return path;
}

static bool has(const struct placement_row *r, uint32_t to, uint32_t weight)
{
    uint32_t lo = 0, hi = r->n;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        if (r->to[mid] < to)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->n && r->to[lo] == to && placement_arc_weight(r, lo) == weight;
}

/* Every edge in the rows of both ends, ascending, no loop; sums as stated. */
static void check_graph(const struct placement_graph *g)
{
    uint64_t arcs = 0, sum = 0, vertex_sum = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row r = placement_row(g, v, NULL);
        for (uint32_t i = 0; i < r.n; i++) {
            const uint32_t w = placement_arc_weight(&r, i);
            FUZZ_CHECK(r.to[i] < g->n && r.to[i] != v && w >= 1 && w <= g->weight_max);
            FUZZ_CHECK(i == 0 || r.to[i - 1] < r.to[i]);
            const struct placement_row back = placement_row(g, r.to[i], NULL);
            FUZZ_CHECK(has(&back, v, w));
            sum += w;
        }
        FUZZ_CHECK(r.n <= g->degree_max);
        FUZZ_CHECK(v == 0 || placement_id(g, v - 1) < placement_id(g, v));
        arcs += r.n;
        vertex_sum += placement_vertex_weight(g, v);
    }
    FUZZ_CHECK(arcs == g->arcs && sum == 2 * g->weight_sum && vertex_sum == g->vertex_weight_sum);
}

/* Coded rows are the plain ones. */
static void check_coding(struct placement_graph *g)
{
    struct placement_graph plain = *g;
    if (g->weight != NULL)
        return;
    plain.to = malloc((g->arcs + 1) * sizeof *plain.to);
    plain.start = malloc(((size_t)g->n + 1) * sizeof *plain.start);
    uint32_t *const row = malloc((g->degree_max + 1) * sizeof *row);
    FUZZ_CHECK(plain.to != NULL && plain.start != NULL && row != NULL);
    memcpy(plain.to, g->to, g->arcs * sizeof *plain.to);
    memcpy(plain.start, g->start, ((size_t)g->n + 1) * sizeof *plain.start);
    FUZZ_CHECK(placement_graph_code(g, NULL, NULL) == PR_OK);
    for (uint32_t v = 0; v < g->n; v++) {
        const struct placement_row want = placement_row(&plain, v, NULL),
                                   got = placement_row(g, v, row);
        FUZZ_CHECK(got.n == want.n);
        FUZZ_CHECK(got.n == 0 || memcmp(got.to, want.to, got.n * sizeof *got.to) == 0);
    }
    free(plain.to);
    free(plain.start);
    free(row);
}

enum pr_code fuzz_graph(const char *path, enum graph_format format)
{
    const struct placement_build_opts opts = { .budget_bytes = UINT64_C(256) << 20 };
    struct placement_builder *b = NULL;
    struct placement_graph g;
    struct pr_err err = { .text = "" };
    FUZZ_CHECK(placement_builder_new(&opts, &b, &err) == PR_OK);
    const enum pr_code read = graph_read_each(path, format, placement_builder_sink, b, &err);
    enum pr_code rc = read;
    if (rc == PR_OK)
        rc = placement_builder_finish(b, &g, &err);
    placement_builder_free(b);
    if (rc != PR_OK) {
        FUZZ_CHECK(err.text[0] != '\0' && err.code == rc);
        FUZZ_CHECK(rc == PR_EDATA || rc == PR_EINVAL || rc == PR_EFULL);
        for (const char *p = err.text; *p != '\0'; p++)
            FUZZ_CHECK(*p >= ' ' && *p <= '~');
        return read;
    }
    check_graph(&g);
    check_coding(&g);
    placement_graph_done(&g);
    return read;
}
