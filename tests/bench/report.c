#include "report.h"

#include <inttypes.h>
#include <stddef.h>

#define FOR_GRAPHS(g)                                                                              \
    for (const struct bench_graph *g = bench_graphs; g < bench_graphs + bench_graph_count; g++)

/* --- cells -------------------------------------------------------------------- */

static void seconds(FILE *f, const struct contender *c)
{
    if (c == NULL)
        fputs(" - |", f);
    else
        fprintf(f, " %.3f |", MEDIAN(c, work_s));
}

static void figure(FILE *f, const struct contender *c, size_t field, int digits)
{
    fputs(" ", f);
    if (c == NULL)
        fputs("-", f);
    else
        fprintf(f, "%.*f", digits, contender_median(c, field));
    fputs(" |", f);
}

static void ratio(FILE *f, const struct contender *over, const struct contender *under,
                  size_t field)
{
    if (over == NULL || under == NULL || !(contender_median(under, field) > 0))
        fputs(" - |", f);
    else
        fprintf(f, " %.3g |", contender_median(over, field) / contender_median(under, field));
}

#define FIELD(name) offsetof(struct bench_outcome, name)

static const struct contender *any_of(const struct plan *p, const struct bench_graph *g,
                                      enum bench_row row)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->c[i].graph == g && p->c[i].row == row && p->c[i].runs > 0)
            return &p->c[i];
    return NULL;
}

static bool any(const struct plan *p, enum bench_row row)
{
    FOR_GRAPHS(g)
    {
        if (any_of(p, g, row) != NULL)
            return true;
    }
    return false;
}

/* --- tables ------------------------------------------------------------------- */

static void communities(FILE *f, const struct plan *p, const char *name, const char *ours,
                        const char *two, const char *peer)
{
    fprintf(f,
            "\n| %s | ours s | modularity | igraph s | modularity | igraph / ours | ours, 2 "
            "threads s | speed-up |\n|---|---|---|---|---|---|---|---|\n",
            name);
    FOR_GRAPHS(g)
    {
        const struct contender *x = plan_find(p, g, ROW_COMMUNITIES, ours);
        const struct contender *y = plan_find(p, g, ROW_COMMUNITIES, peer);
        const struct contender *z = plan_find(p, g, ROW_COMMUNITIES, two);
        if (x == NULL && y == NULL)
            continue;
        fprintf(f, "| %s |", g->name);
        seconds(f, x);
        figure(f, x, FIELD(modularity), 4);
        seconds(f, y);
        figure(f, y, FIELD(modularity), 4);
        ratio(f, y, x, FIELD(work_s));
        seconds(f, z);
        ratio(f, x, z, FIELD(work_s));
        fputs("\n", f);
    }
}

static void cuts(FILE *f, const struct plan *p, enum bench_row row, unsigned k)
{
    fprintf(
        f,
        "\n| cut, k = %u, 5 %% | ours | METIS | ratio | imbalance ours | METIS | ours s | METIS "
        "s | ratio | ours, 2 threads s | speed-up | 4 seeds | best known |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        k);
    FOR_GRAPHS(g)
    {
        const struct contender *x = plan_find(p, g, row, "ours");
        const struct contender *y = plan_find(p, g, row, "metis");
        const struct contender *z = plan_find(p, g, row, "ours-2t");
        const struct contender *best = plan_find(p, g, row, "ours-4s");
        if (x == NULL && y == NULL)
            continue;
        fprintf(f, "| %s |", g->name);
        figure(f, x, FIELD(cut_ratio), 5);
        figure(f, y, FIELD(cut_ratio), 5);
        ratio(f, x, y, FIELD(cut_ratio));
        figure(f, x, FIELD(imbalance), 3);
        figure(f, y, FIELD(imbalance), 3);
        seconds(f, x);
        seconds(f, y);
        ratio(f, x, y, FIELD(work_s));
        seconds(f, z);
        ratio(f, x, z, FIELD(work_s));
        figure(f, best, FIELD(cut_ratio), 5);
        if (row == ROW_CUT3 && g->best_cut > 0)
            fprintf(f, " %g |\n", g->best_cut);
        else
            fputs(" - |\n", f);
    }
}

static void memory_cell(FILE *f, const struct contender *c)
{
    if (c == NULL)
        fputs(" - |", f);
    else
        fprintf(f, " %.1f |", (double)contender_peak(c) / (double)c->outcome[0].edges);
}

static void memory(FILE *f, const struct plan *p)
{
    fputs("\n| peak memory, bytes per edge | m/n | cut k = 3 | k = 64 | Louvain | Leiden | METIS k "
          "= 3 | igraph Louvain |\n|---|---|---|---|---|---|---|---|\n",
          f);
    FOR_GRAPHS(g)
    {
        const struct contender *c = any_of(p, g, ROW_CUT3);
        c = c == NULL ? any_of(p, g, ROW_COMMUNITIES) : c;
        if (c == NULL)
            continue;
        fprintf(f, "| %s | %.1f |", g->name,
                (double)c->outcome[0].edges / (double)c->outcome[0].vertices);
        memory_cell(f, plan_find(p, g, ROW_CUT3, "ours"));
        memory_cell(f, plan_find(p, g, ROW_CUT64, "ours"));
        memory_cell(f, plan_find(p, g, ROW_COMMUNITIES, "louvain"));
        memory_cell(f, plan_find(p, g, ROW_COMMUNITIES, "leiden"));
        memory_cell(f, plan_find(p, g, ROW_CUT3, "metis"));
        memory_cell(f, plan_find(p, g, ROW_COMMUNITIES, "igraph-louvain"));
        fputs("\n", f);
    }
}

static void warm(FILE *f, const struct plan *p)
{
    static const struct {
        const char *who, *what;
    } of[] = { { "random", "random edges" },
               { "random-unknown", "random edges, not told which" },
               { "own", "its own edges" } };
    fputs("\n| +1 % edges, warm | new | moved % | by a fresh cut % | cut, nothing moved | warm | "
          "fresh | warm / fresh | warm s | fresh s | ratio |\n"
          "|---|---|---|---|---|---|---|---|---|---|---|\n",
          f);
    FOR_GRAPHS(g)
    {
        for (unsigned i = 0; i < PR_COUNT(of); i++) {
            const struct contender *c = plan_find(p, g, ROW_WARM, of[i].who);
            if (c == NULL)
                continue;
            fprintf(
                f, "| %s | %s | %.3f | %.1f | %.5f | %.5f | %.5f | %.4f | %.4f | %.3f | %.4f |\n",
                g->name, of[i].what, 100 * MEDIAN(c, moved_ratio),
                100 * MEDIAN(c, fresh_moved_ratio), MEDIAN(c, today_ratio), MEDIAN(c, cut_ratio),
                MEDIAN(c, fresh_ratio), MEDIAN(c, cut_ratio) / MEDIAN(c, fresh_ratio),
                MEDIAN(c, work_s), MEDIAN(c, fresh_s), MEDIAN(c, work_s) / MEDIAN(c, fresh_s));
        }
    }
}

static void balance(FILE *f, const struct plan *p)
{
    fputs("\n| in balance | k | ours: imbalance | cut | s | METIS: imbalance | cut | s |\n"
          "|---|---|---|---|---|---|---|---|\n",
          f);
    FOR_GRAPHS(g)
    {
        for (int v = BENCH_WEIGHTED; v < BENCH_VARIANTS; v++)
            for (unsigned k = 3; k <= 64; k += 61) {
                char ours[64], metis[64];
                snprintf(ours, sizeof ours, "ours-%s-%u", bench_variant_name[v], k);
                snprintf(metis, sizeof metis, "metis-%s-%u", bench_variant_name[v], k);
                const struct contender *x = plan_find(p, g, ROW_BALANCE, ours);
                const struct contender *y = plan_find(p, g, ROW_BALANCE, metis);
                if (x == NULL && y == NULL)
                    continue;
                fprintf(f, "| %s, %s | %u |", g->name, bench_variant_name[v], k);
                figure(f, x, FIELD(imbalance), 4);
                figure(f, x, FIELD(cut_ratio), 5);
                seconds(f, x);
                figure(f, y, FIELD(imbalance), 4);
                figure(f, y, FIELD(cut_ratio), 5);
                seconds(f, y);
                fputs("\n", f);
            }
    }
}

static void big(FILE *f, const struct plan *p)
{
    fputs("\n| big, k = 3 | vertices | edges | rows | threads | load s | cut s | cut | imbalance | "
          "peak GiB |\n|---|---|---|---|---|---|---|---|---|---|\n",
          f);
    FOR_GRAPHS(g)
    {
        const struct contender *c = plan_find(p, g, ROW_BIG, "ours");
        if (c == NULL)
            continue;
        const struct bench_outcome *o = &c->outcome[0];
        fprintf(f,
                "| %s | %" PRIu64 " | %" PRIu64 " | %s | %u | %.1f | %.1f | %.4f | %.4f | %.1f |\n",
                g->name, o->vertices, o->edges, c->task.coded ? "gap-coded" : "plain",
                c->task.threads, o->load_s, o->work_s, o->cut_ratio, o->imbalance,
                (double)o->peak_bytes / (double)(UINT64_C(1) << 30));
    }
}

static void verdicts(FILE *f, const struct verdict *v, unsigned n)
{
    fputs("| | measured | must | | aim | |\n|---|---|---|---|---|---|\n", f);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, "| %s | %s | %s | %s | %s | %s |\n", v[i].what, v[i].measured,
                v[i].must == NULL ? "" : v[i].must,
                v[i].must == NULL ? "" : judged_name[v[i].must_is],
                v[i].aim == NULL ? "" : v[i].aim, v[i].aim == NULL ? "" : judged_name[v[i].aim_is]);
}

void report_print(FILE *f, const struct plan *p, const struct plan_options *o,
                  const struct verdict *v, unsigned n, const char *command)
{
    const struct machine m = report_machine();
    fprintf(f, "`%s`: medians of %u, %u %s a cut, seed %" PRIu64 "%s.\n", command, o->runs,
            o->tries, o->tries == 1 ? "try" : "tries", o->seed,
            o->vary && o->runs > 1 ? " and up" : "");
    fprintf(f, "Machine: %s, %ld cores, %.0f GiB; %s; compiler %s; peers: %s.\n\n", m.cpu, m.cores,
            m.memory_gib, m.system, __VERSION__, p->peers);
    verdicts(f, v, n);
    if (any(p, ROW_CUT3))
        cuts(f, p, ROW_CUT3, 3);
    if (any(p, ROW_CUT64))
        cuts(f, p, ROW_CUT64, 64);
    if (any(p, ROW_COMMUNITIES)) {
        communities(f, p, "Louvain", "louvain", "louvain-2t", "igraph-louvain");
        communities(f, p, "Leiden", "leiden", "leiden-2t", "igraph-leiden");
    }
    if (any(p, ROW_CUT3) || any(p, ROW_COMMUNITIES))
        memory(f, p);
    if (any(p, ROW_WARM))
        warm(f, p);
    if (any(p, ROW_BALANCE))
        balance(f, p);
    if (any(p, ROW_BIG))
        big(f, p);
}
