#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_row_name[ROWS] = {
    "communities", "cut3", "cut64", "balance", "warm", "big"
};

/* --- who is measured ---------------------------------------------------------- */

static struct contender *add(struct plan *p, const struct bench_graph *g, enum bench_row row,
                             const char *who, bool peer, struct bench_task task)
{
    if (p->n == MOST_CONTENDERS)
        abort(); /* the tables below are ours */
    struct contender *c = &p->c[p->n++];
    *c = (struct contender){ .graph = g, .row = row, .who = who, .peer = peer, .task = task };
    return c;
}

static void add_communities(struct plan *p, const struct bench_graph *g, struct bench_task t)
{
    t.kind = BENCH_LOUVAIN;
    add(p, g, ROW_COMMUNITIES, "louvain", false, t);
    add(p, g, ROW_COMMUNITIES, "igraph-louvain", true, t);
    t.threads = 2;
    add(p, g, ROW_COMMUNITIES, "louvain-2t", false, t);
    t.threads = 1;
    t.kind = BENCH_LEIDEN;
    add(p, g, ROW_COMMUNITIES, "leiden", false, t);
    add(p, g, ROW_COMMUNITIES, "igraph-leiden", true, t);
    t.threads = 2;
    add(p, g, ROW_COMMUNITIES, "leiden-2t", false, t);
}

static void add_cuts(struct plan *p, const struct bench_graph *g, const struct plan_options *o,
                     struct bench_task t)
{
    t.kind = BENCH_CUT;
    if (o->row[ROW_CUT3]) {
        add(p, g, ROW_CUT3, "ours", false, t);
        add(p, g, ROW_CUT3, "metis", true, t);
        t.threads = 2;
        add(p, g, ROW_CUT3, "ours-2t", false, t);
        t.threads = 1;
        t.tries = 4;
        add(p, g, ROW_CUT3, "ours-4s", false, t);
        t.tries = o->tries;
    }
    if (o->row[ROW_CUT64]) {
        t.blocks = 64;
        add(p, g, ROW_CUT64, "ours", false, t);
        add(p, g, ROW_CUT64, "metis", true, t);
    }
}

/* Only balance is judged: once is enough, results repeat. */
static void add_balance(struct plan *p, const struct bench_graph *g, struct bench_task t)
{
    static const char *const ours[BENCH_VARIANTS][2] = {
        [BENCH_WEIGHTED] = { "ours-weighted-3", "ours-weighted-64" },
        [BENCH_UNEQUAL] = { "ours-unequal-3", "ours-unequal-64" },
        [BENCH_FIXED] = { "ours-fixed-3", "ours-fixed-64" },
        [BENCH_HARD] = { "ours-hard-3", "ours-hard-64" },
    };
    static const char *const metis[BENCH_VARIANTS][2] = {
        [BENCH_WEIGHTED] = { "metis-weighted-3", "metis-weighted-64" },
        [BENCH_UNEQUAL] = { "metis-unequal-3", "metis-unequal-64" },
    };
    t.kind = BENCH_CUT;
    for (int v = BENCH_WEIGHTED; v < BENCH_VARIANTS; v++)
        for (unsigned k = 0; k < 2; k++) {
            t.variant = (enum bench_variant)v;
            t.blocks = k == 0 ? 3 : 64;
            add(p, g, ROW_BALANCE, ours[v][k], false, t);
            if (metis[v][k] != NULL)
                add(p, g, ROW_BALANCE, metis[v][k], true, t);
        }
}

static void add_warm(struct plan *p, const struct bench_graph *g, struct bench_task t)
{
    t.kind = BENCH_WARM;
    t.known = true;
    add(p, g, ROW_WARM, "random", false, t);
    t.known = false;
    add(p, g, ROW_WARM, "random-unknown", false, t);
    t.kind = BENCH_WARM_OWN;
    t.known = true;
    add(p, g, ROW_WARM, "own", false, t);
}

static bool wanted(const struct plan_options *o, const struct bench_graph *g)
{
    if (o->only != NULL) {
        const size_t n = strlen(g->name);
        for (const char *at = o->only; at != NULL; at = strchr(at, ',')) {
            at += *at == ',';
            if (strncmp(at, g->name, n) == 0 && (at[n] == '\0' || at[n] == ','))
                return true;
        }
        return false;
    }
    switch (g->size) {
    case SIZE_BIG:
        return o->big;
    case SIZE_HUGE:
        return o->huge;
    default:
        return o->quick ? g->quick : g->full;
    }
}

static void add_graph(struct plan *p, const struct bench_graph *g, const struct plan_options *o,
                      const struct bench_task *base)
{
    struct bench_task t = *base;
    if (g->size >= SIZE_BIG) {
        t.kind = BENCH_CUT;
        t.threads = o->threads;
        t.coded = g->size == SIZE_HUGE;
        add(p, g, ROW_BIG, "ours", false, t);
        return;
    }
    if (o->row[ROW_COMMUNITIES] && g->communities)
        add_communities(p, g, t);
    add_cuts(p, g, o, t);
    if (o->row[ROW_BALANCE])
        add_balance(p, g, t);
    if (o->row[ROW_WARM])
        add_warm(p, g, t);
}

enum pr_code plan_init(struct plan *p, const struct plan_options *o, struct pr_err *err)
{
    const struct bench_task base = { .blocks = 3,
                                     .threads = 1,
                                     .tries = o->tries,
                                     .seed = o->seed,
                                     .imbalance = 0.05,
                                     .price = o->price,
                                     .cap = o->cap };
    *p = (struct plan){ .c = calloc(MOST_CONTENDERS, sizeof *p->c) };
    if (p->c == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for results");
    for (unsigned i = 0; i < bench_graph_count; i++)
        if (wanted(o, &bench_graphs[i]))
            add_graph(p, &bench_graphs[i], o, &base);
    return p->n > 0 ? PR_OK : pr_fail(err, PR_EINVAL, "nothing to measure");
}

void plan_done(struct plan *p)
{
    free(p->c);
    *p = (struct plan){ .c = NULL };
}

/* --- measuring ----------------------------------------------------------------- */

static void tell(const struct contender *c, const struct bench_outcome *o)
{
    fprintf(stderr, "%-12s %-11s %-18s ", c->graph->name, bench_row_name[c->row], c->who);
    if (o->rc != PR_OK)
        fprintf(stderr, "failed: %s\n", o->text);
    else if (c->row == ROW_COMMUNITIES)
        fprintf(stderr, "%8.3f s  modularity %.4f\n", o->work_s, o->modularity);
    else
        fprintf(stderr, "%8.3f s  cut %.5f  imbalance %.4f\n", o->work_s, o->cut_ratio,
                o->imbalance);
}

static enum pr_code run_once(struct contender *c, const struct plan_options *o, unsigned run,
                             struct pr_err *err)
{
    struct bench_task t = c->task;
    struct bench_outcome out;
    enum pr_code rc = bench_graph_file(&o->files, c->graph, t.graph, err);
    if (o->vary)
        t.seed += run;
    if (rc == PR_OK)
        rc = bench_run(&o->files, c->peer, &t, &out, err);
    if (rc != PR_OK)
        return rc;
    tell(c, &out);
    if (out.rc == PR_OK)
        c->outcome[c->runs++] = out;
    return PR_OK;
}

static bool once(const struct contender *c)
{
    return c->row == ROW_BALANCE || c->row == ROW_BIG;
}

static void ask_versions(struct plan *p, const struct plan_options *o)
{
    const struct bench_task t = { .kind = BENCH_VERSIONS };
    struct bench_outcome out;
    if (bench_run(&o->files, true, &t, &out, NULL) == PR_OK)
        snprintf(p->peers, sizeof p->peers, "%s", out.text);
}

enum pr_code plan_run(struct plan *p, const struct plan_options *o, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    ask_versions(p, o);
    for (unsigned from = 0, to; from < p->n && rc == PR_OK; from = to) {
        for (to = from + 1;
             to < p->n && p->c[to].graph == p->c[from].graph && p->c[to].row == p->c[from].row;)
            to++;
        for (unsigned run = 0; run < o->runs && rc == PR_OK; run++)
            for (unsigned i = from; i < to && rc == PR_OK; i++)
                if (p->c[i].runs == run && !(run > 0 && once(&p->c[i]))) /* not failed before */
                    rc = run_once(&p->c[i], o, run, err);
    }
    return rc;
}

/* --- results -------------------------------------------------------------------- */

const struct contender *plan_find(const struct plan *p, const struct bench_graph *g,
                                  enum bench_row row, const char *who)
{
    for (unsigned i = 0; i < p->n; i++) {
        const struct contender *c = &p->c[i];
        if (c->graph == g && c->row == row && strcmp(c->who, who) == 0 && c->runs > 0)
            return c;
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double contender_median(const struct contender *c, size_t field)
{
    double value[MOST_RUNS];
    for (unsigned i = 0; i < c->runs; i++)
        memcpy(&value[i], (const char *)&c->outcome[i] + field, sizeof value[i]);
    qsort(value, c->runs, sizeof *value, by_size);
    return (value[(c->runs - 1) / 2] + value[c->runs / 2]) / 2;
}

uint64_t contender_peak(const struct contender *c)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < c->runs; i++)
        if (c->outcome[i].peak_bytes > most)
            most = c->outcome[i].peak_bytes;
    return most;
}
