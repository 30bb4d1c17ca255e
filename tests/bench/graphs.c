#include "graphs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* best_cut: of METIS, KaMinPar, Scotch, KaHIP, PuLP and HeiStream, as far as
 * they were tried: KaHIP on cnr-2000 and lfr1m, METIS on ego-twitter, KaMinPar
 * on rmat20. */
const struct bench_graph bench_graphs[] = {
    { "cnr-2000", "cnr-2000.txt.xz", NULL, SIZE_SMALL, false, true, true, true, 0.0003, 0.0001 },
    { "ego-twitter", "ego-twitter.txt.xz", NULL, SIZE_SMALL, true, true, true, true, 0.0531,
      0.0001 },
    { "road-NY", "road-NY.txt.xz", NULL, SIZE_SMALL, true, true, false, true, 0, 0 },
    { "lfr100k", NULL, "lfr 100000 20 0.3 1", SIZE_SMALL, true, false, true, true, 0, 0 },
    { "lfr1m", NULL, "lfr 1000000 20 0.3 1", SIZE_FULL, false, true, true, true, 0.212, 0.001 },
    { "rmat20", NULL, "rmat 20 16 1", SIZE_FULL, false, true, true, false, 0.365, 0.001 },
    { "lfr20m", NULL, "lfr 20000000 21.4 0.3 1", SIZE_BIG, false, false, true, true, 0, 0 },
    { "rmat24", NULL, "rmat 24 12.5 1", SIZE_BIG, false, false, true, false, 0, 0 },
    { "lfr100m", NULL, "lfr 100000000 21.4 0.3 1", SIZE_HUGE, false, false, true, true, 0, 0 },
};
const unsigned bench_graph_count = PR_COUNT(bench_graphs);

/* graphgen, by way of the shell: its arguments are a table's, not anybody's. */
static enum pr_code generate(const struct bench_files *f, const struct bench_graph *g,
                             const char *out, struct pr_err *err)
{
    char command[1024];
    snprintf(command, sizeof command, "'%s/graphgen' %s -f bin -o '%s' 2>/dev/null", f->bin,
             g->generate, out);
    /* NOLINTNEXTLINE(cert-env33-c) */
    if (system(command) != 0)
        return pr_fail(err, PR_EUNAVAIL, "cannot generate %s: %s", g->name, command);
    return PR_OK;
}

enum pr_code bench_graph_file(const struct bench_files *f, const struct bench_graph *g,
                              char path[256], struct pr_err *err)
{
    struct bench_task t = { .kind = BENCH_PREPARE };
    struct bench_outcome o = { .rc = PR_OK };
    struct stat st;
    if (snprintf(path, 256, "%s/%s.bin32", f->cache, g->name) >= 240)
        return pr_fail(err, PR_EINVAL, "path too long: %s", f->cache);
    if (stat(path, &st) == 0)
        return PR_OK;
    if (mkdir(f->cache, 0777) != 0 && errno != EEXIST)
        return pr_fail(err, PR_EUNAVAIL, "cannot make %s", f->cache);

    enum pr_code rc = PR_OK;
    fprintf(stderr, "preparing %s\n", g->name);
    if (g->data != NULL)
        snprintf(t.graph, sizeof t.graph, "%s/%s", f->data, g->data);
    else
        snprintf(t.graph, sizeof t.graph, "%s/%s.raw.bin32", f->cache, g->name);
    snprintf(t.out, sizeof t.out, "%s", path);
    if (g->data == NULL)
        rc = generate(f, g, t.graph, err);
    if (rc == PR_OK)
        rc = bench_run(f, false, &t, &o, err);
    if (rc == PR_OK && o.rc != PR_OK)
        rc = pr_fail(err, o.rc, "%s", o.text);
    if (g->data == NULL)
        (void)unlink(t.graph);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "preparing %s", g->name);
}
