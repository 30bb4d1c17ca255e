/* Distinct edges of a graph file. Every contender then gets the same simple
 * graph, without weights that only tell how often a file names an edge. */
#include "input.h"

#include "prism/graph_read.h"
#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MOST_BUCKETS = 256,
    BUCKET_BYTES = 256 << 20 /* of a bucket's edges: what is sorted out in memory at once */
};

struct prepare {
    const char *out;
    FILE *bucket[MOST_BUCKETS]; /* edges by hash */
    unsigned buckets;
    uint64_t edges;
};

static enum pr_code failed(const struct prepare *p, struct pr_err *err)
{
    return pr_fail(err, PR_EUNAVAIL, "cannot write the edges of %s", p->out);
}

/* A file without a name: it is gone when it is closed, however that comes. */
static FILE *nameless(const char *beside)
{
    char path[300];
    snprintf(path, sizeof path, "%s.XXXXXX", beside);
    const int fd = mkstemp(path);
    if (fd < 0)
        return NULL;
    (void)unlink(path);
    return fdopen(fd, "w+b");
}

static enum pr_code spread(void *ctx, const struct graph_batch *batch, struct pr_err *err)
{
    struct prepare *p = ctx;
    for (size_t i = 0; i < batch->edges; i++) {
        const struct graph_edge *e = &batch->edge[i];
        if (e->from > UINT32_MAX || e->to > UINT32_MAX)
            return pr_fail(err, PR_EDATA, "id above 32 bits");
        if (e->from == e->to)
            continue;
        const uint64_t lo = e->from < e->to ? e->from : e->to, hi = e->from ^ e->to ^ lo;
        const uint64_t key = hi << 32 | lo; /* as bin32 has it: lo, hi */
        FILE *f = p->bucket[pr_mix64(key) % p->buckets];
        if (fwrite(&key, sizeof key, 1, f) != 1)
            return failed(p, err);
    }
    return PR_OK;
}

/* Open addressing; key 0 would be a loop and does not occur. */
static bool first_time(uint64_t *set, uint64_t mask, uint64_t key)
{
    uint64_t at = pr_mix64(key ^ 0x5bf03635) & mask;
    while (set[at] != 0 && set[at] != key)
        at = (at + 1) & mask;
    const bool is_new = set[at] == 0;
    set[at] = key;
    return is_new;
}

static enum pr_code write_distinct(struct prepare *p, FILE *bucket, FILE *out, struct pr_err *err)
{
    const off_t bytes = ftello(bucket);
    uint64_t size = 1024, key;
    while (size < (uint64_t)bytes / sizeof key * 2)
        size *= 2;
    uint64_t *set = calloc(size, sizeof *set);
    enum pr_code rc = PR_OK;
    if (set == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for distinct edges");
    rewind(bucket);
    while (rc == PR_OK && fread(&key, sizeof key, 1, bucket) == 1) {
        if (!first_time(set, size - 1, key))
            continue;
        p->edges++;
        if (fwrite(&key, sizeof key, 1, out) != 1)
            rc = failed(p, err);
    }
    free(set);
    return rc == PR_OK && ferror(bucket) != 0 ? failed(p, err) : rc;
}

static enum pr_code gather(struct prepare *p, struct pr_err *err)
{
    char path[300];
    enum pr_code rc = PR_OK;
    snprintf(path, sizeof path, "%s.new", p->out);
    FILE *out = fopen(path, "wb");
    if (out == NULL)
        return failed(p, err);
    for (unsigned b = 0; b < p->buckets && rc == PR_OK; b++) {
        rc = write_distinct(p, p->bucket[b], out, err);
        (void)fclose(p->bucket[b]); /* frees the disk */
        p->bucket[b] = NULL;
    }
    if (fclose(out) != 0 && rc == PR_OK)
        rc = failed(p, err);
    if (rc == PR_OK && rename(path, p->out) != 0)
        rc = failed(p, err);
    return rc;
}

enum pr_code bench_prepare(const struct bench_task *t, struct bench_outcome *o, struct pr_err *err)
{
    struct prepare p = { .out = t->out };
    struct stat st;
    if (stat(t->graph, &st) != 0)
        return pr_fail(err, PR_ENOTFOUND, "no file %s", t->graph);
    p.buckets = (unsigned)(st.st_size / BUCKET_BYTES) + 1;
    if (p.buckets > MOST_BUCKETS)
        p.buckets = MOST_BUCKETS;
    enum pr_code rc = PR_OK;
    for (unsigned b = 0; b < p.buckets && rc == PR_OK; b++) {
        p.bucket[b] = nameless(t->out);
        if (p.bucket[b] == NULL)
            rc = failed(&p, err);
    }
    if (rc == PR_OK)
        rc = graph_read_each(t->graph, GRAPH_AUTO, spread, &p, err);
    if (rc == PR_OK)
        rc = gather(&p, err);
    for (unsigned b = 0; b < p.buckets; b++)
        if (p.bucket[b] != NULL)
            (void)fclose(p.bucket[b]);
    o->edges = p.edges;
    return rc;
}
