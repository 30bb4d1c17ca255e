#include "prism/graph_write.h"

#include "internal.h"
#include "prism/graph_out.h"

#include <stdlib.h>

struct graph_writer {
    struct graph_write_opts o;
    struct graph_out *out;
    char name[128];         /* for errors */
    uint64_t rows, entries; /* METIS */
};

enum { LONGEST_EDGE = 20 + 1 + 20 + 1 + 10 + 1 };

static char *little_endian(char *p, uint64_t v, size_t n)
{
    v = htole64(v);
    memcpy(p, &v, n);
    return p + n;
}

static enum pr_code write_head(struct graph_writer *w, struct pr_err *err)
{
    char line[80], *p = line;
    if (w->o.format == GRAPH_METIS) {
        p = graph_put_decimal(p, w->o.vertices);
        *p++ = ' ';
        p = graph_put_decimal(p, w->o.edges);
        if (w->o.weighted || w->o.vertex_weighted) {
            *p++ = ' ';
            *p++ = '0';
            *p++ = w->o.vertex_weighted ? '1' : '0';
            *p++ = w->o.weighted ? '1' : '0';
        }
        *p++ = '\n';
    } else if (w->o.format != GRAPH_SNAP && w->o.weighted) {
        memcpy(p, "PRISMEW1", 8);
        p += 8;
    }
    return graph_out_put(w->out, line, (size_t)(p - line), err);
}

enum pr_code graph_writer_open(const char *path, const struct graph_write_opts *opts,
                               struct graph_writer **out, struct pr_err *err)
{
    struct graph_writer *w = calloc(1, sizeof *w);
    if (w == NULL)
        return pr_fail(err, PR_ENOMEM, "%s: no memory", graph_name(path));
    w->o = *opts;
    if (w->o.format == GRAPH_AUTO)
        w->o.format = graph_format_of(path);
    memcpy(w->name, graph_name(path), strlen(graph_name(path)) + 1);
    enum pr_code rc = graph_out_open(path, &w->out, err);
    if (rc == PR_OK)
        rc = write_head(w, err);
    if (rc != PR_OK) {
        graph_writer_abort(w);
        return rc;
    }
    *out = w;
    return PR_OK;
}

static enum pr_code check_edge(const struct graph_writer *w, const struct graph_edge *e,
                               struct pr_err *err)
{
    if (e->weight != 1 && !w->o.weighted)
        return pr_fail(err, PR_EINVAL, "%s: edge %llu - %llu weighs %u: write it with weights",
                       w->name, (unsigned long long)e->from, (unsigned long long)e->to, e->weight);
    if (w->o.format == GRAPH_BIN32 && (e->from > UINT32_MAX || e->to > UINT32_MAX))
        return pr_fail(err, PR_EINVAL, "%s: id %llu does not fit bin32: use bin64", w->name,
                       (unsigned long long)(e->from > UINT32_MAX ? e->from : e->to));
    return PR_OK;
}

static char *put_edge(const struct graph_writer *w, const struct graph_edge *e, char *p)
{
    if (w->o.format == GRAPH_SNAP) {
        p = graph_put_decimal(p, e->from);
        *p++ = ' ';
        p = graph_put_decimal(p, e->to);
        if (w->o.weighted) {
            *p++ = ' ';
            p = graph_put_decimal(p, e->weight);
        }
        *p++ = '\n';
        return p;
    }
    const size_t bytes = w->o.format == GRAPH_BIN32 ? 4 : 8;
    p = little_endian(p, e->from, bytes);
    p = little_endian(p, e->to, bytes);
    return w->o.weighted ? little_endian(p, e->weight, 4) : p;
}

enum pr_code graph_writer_edges(struct graph_writer *w, const struct graph_edge *edge, size_t n,
                                struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (w->o.format == GRAPH_METIS)
        return pr_fail(err, PR_EINVAL, "%s: METIS files hold rows, not edges", w->name);
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        char *p;
        rc = check_edge(w, &edge[i], err);
        if (rc == PR_OK)
            rc = graph_out_room(w->out, LONGEST_EDGE, &p, err);
        if (rc == PR_OK)
            graph_out_wrote(w->out, put_edge(w, &edge[i], p));
    }
    return rc;
}

enum pr_code graph_writer_row(struct graph_writer *w, uint64_t vertex_weight, const uint32_t *to,
                              const uint32_t *weight, size_t n, struct pr_err *err)
{
    char *p;
    if (w->o.format != GRAPH_METIS)
        return pr_fail(err, PR_EINVAL, "%s: only METIS files hold rows", w->name);
    if (vertex_weight != 1 && !w->o.vertex_weighted)
        return pr_fail(err, PR_EINVAL, "%s: a vertex weighs %llu: write it with vertex weights",
                       w->name, (unsigned long long)vertex_weight);
    enum pr_code rc = graph_out_room(w->out, 32, &p, err);
    if (rc == PR_OK && w->o.vertex_weighted) {
        p = graph_put_decimal(p, vertex_weight);
        *p++ = ' ';
        graph_out_wrote(w->out, p);
    }
    for (size_t i = 0; i < n && rc == PR_OK; i++) {
        const uint32_t weighs = weight == NULL ? 1 : weight[i];
        if (weighs != 1 && !w->o.weighted)
            return pr_fail(err, PR_EINVAL, "%s: an edge weighs %u: write it with weights", w->name,
                           weighs);
        if ((rc = graph_out_room(w->out, LONGEST_EDGE, &p, err)) != PR_OK)
            return rc;
        p = graph_put_decimal(p, (uint64_t)to[i] + 1);
        *p++ = ' ';
        if (w->o.weighted) {
            p = graph_put_decimal(p, weighs);
            *p++ = ' ';
        }
        graph_out_wrote(w->out, p);
    }
    w->rows++;
    w->entries += n;
    return rc == PR_OK ? graph_out_put(w->out, "\n", 1, err) : rc;
}

enum pr_code graph_writer_close(struct graph_writer *w, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (w->o.format == GRAPH_METIS && (w->rows != w->o.vertices || w->entries != 2 * w->o.edges))
        rc = pr_fail(err, PR_EINVAL,
                     "%s: %llu rows of %llu neighbours were written, its header says %llu "
                     "vertices and %llu edges",
                     w->name, (unsigned long long)w->rows, (unsigned long long)w->entries,
                     (unsigned long long)w->o.vertices, (unsigned long long)w->o.edges);
    if (rc == PR_OK) {
        rc = graph_out_close(w->out, err);
        w->out = NULL;
    }
    graph_writer_abort(w);
    return rc;
}

void graph_writer_abort(struct graph_writer *w)
{
    if (w == NULL)
        return;
    graph_out_abort(w->out);
    free(w);
}
