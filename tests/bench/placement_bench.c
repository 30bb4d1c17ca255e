/* Compares the placement engine with METIS and igraph; ./dev bench placement.
 * Every measurement is a process of its own; contenders take turns. */
#include "align.h"
#include "report.h"

#include <getopt.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: placement-bench [options]\n"
    "  --quick            small graphs, one run\n"
    "  --runs N           medians of N (5)\n"
    "  --only GRAPH,...   cnr-2000, ego-twitter, road-NY, lfr100k, lfr1m, rmat20, lfr20m,\n"
    "                     rmat24, lfr100m\n"
    "  --rows ROW,...     communities, cut3, cut64, balance, warm\n"
    "  --big              200 M edges as well (8 GiB of disk, 24 GiB of memory)\n"
    "  --huge             1 G edges, gap-coded, as well (26 GiB of disk)\n"
    "  --threads T        of the big ones (all cores)\n"
    "  --seed S           of the first run (1); each run takes the next, peers as well\n"
    "  --same-seed        every run takes the same\n"
    "  --tries N          cuts from which ours keeps the best (1)\n"
    "  --price X          edge weight that a move of the warm start must save (0)\n"
    "  --cap X            share of the vertices that it may move (0.01)\n"
    "  --json FILE        every outcome\n"
    "  --markdown         tables as Markdown, for docs/reference/benchmarks.md\n"
    "  --strict           exit 1 when a must is missed\n"
    "  --cache DIR        where prepared graphs are kept\n"
    "  --data DIR         where the project's graphs are\n"
    "  --as COMMAND       what the report says was run\n";

struct args {
    struct plan_options plan;
    const char *json, *command;
    bool strict, markdown, runs_given;
};

static bool choose_rows(struct plan_options *o, char *list)
{
    for (int i = 0; i < ROWS; i++)
        o->row[i] = false;
    for (char *save = NULL, *name = strtok_r(list, ",", &save); name != NULL;
         name = strtok_r(NULL, ",", &save)) {
        int row = 0;
        while (row < ROWS && strcmp(name, bench_row_name[row]) != 0)
            row++;
        if (row == ROWS)
            return false;
        o->row[row] = true;
    }
    return true;
}

static bool take(struct args *a, int c, char *value)
{
    struct plan_options *o = &a->plan;
    switch (c) {
    case 'q':
        o->quick = true;
        return true;
    case 'n':
        o->runs = (unsigned)strtoul(value, NULL, 10);
        a->runs_given = true;
        return true;
    case 'o':
        o->only = value;
        return true;
    case 'r':
        return choose_rows(o, value);
    case 'b':
        o->big = true;
        return true;
    case 'h':
        o->huge = true;
        return true;
    case 't':
        o->threads = (uint32_t)strtoul(value, NULL, 10);
        return o->threads > 0;
    case 's':
        o->seed = strtoull(value, NULL, 10);
        return true;
    case 'v':
        o->vary = false;
        return true;
    case 'm':
        a->markdown = true;
        return true;
    case 'T':
        o->tries = (uint32_t)strtoul(value, NULL, 10);
        return o->tries > 0;
    case 'p':
        o->price = atof(value);
        return true;
    case 'C':
        o->cap = atof(value);
        return true;
    case 'j':
        a->json = value;
        return true;
    case 'S':
        a->strict = true;
        return true;
    case 'c':
        o->files.cache = value;
        return true;
    case 'd':
        o->files.data = value;
        return true;
    case 'a':
        a->command = value;
        return true;
    default:
        return false;
    }
}

static bool parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {
        { "quick", no_argument, NULL, 'q' },         { "runs", required_argument, NULL, 'n' },
        { "only", required_argument, NULL, 'o' },    { "rows", required_argument, NULL, 'r' },
        { "big", no_argument, NULL, 'b' },           { "huge", no_argument, NULL, 'h' },
        { "threads", required_argument, NULL, 't' }, { "seed", required_argument, NULL, 's' },
        { "same-seed", no_argument, NULL, 'v' },     { "markdown", no_argument, NULL, 'm' },
        { "tries", required_argument, NULL, 'T' },   { "price", required_argument, NULL, 'p' },
        { "cap", required_argument, NULL, 'C' },     { "json", required_argument, NULL, 'j' },
        { "strict", no_argument, NULL, 'S' },        { "cache", required_argument, NULL, 'c' },
        { "data", required_argument, NULL, 'd' },    { "as", required_argument, NULL, 'a' },
        { "help", no_argument, NULL, '?' },          { NULL, 0, NULL, 0 },
    };
    bool ok = true;
    for (int c; ok && (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        ok = take(a, c, optarg);
    if (a->plan.quick && !a->runs_given)
        a->plan.runs = 1;
    return ok && optind == argc && a->plan.runs >= 1 && a->plan.runs <= MOST_RUNS;
}

static enum pr_code tell(const struct args *a, const struct plan *p, const struct verdict *v,
                         unsigned n, struct pr_err *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for the report");
    report_print(f, p, &a->plan, v, n, a->command);
    if (fclose(f) != 0 || text == NULL) {
        free(text);
        return pr_fail(err, PR_ENOMEM, "out of memory for the report");
    }
    if (a->markdown)
        fputs(text, stdout);
    else
        align_tables(stdout, text);
    free(text);
    return PR_OK;
}

/* Two threads need two idle cores, and times are times only then. */
static void warn_of_others(void)
{
    double load[1];
    if (getloadavg(load, 1) == 1 && load[0] > 0.7)
        fprintf(stderr, "the machine is busy (load %.1f): do not trust times\n", load[0]);
}

static enum pr_code bench(struct args *a, bool *hold, struct pr_err *err)
{
    struct plan plan = { .c = NULL };
    struct verdict v[MOST_VERDICTS];
    unsigned n = 0;
    enum pr_code rc = plan_init(&plan, &a->plan, err);
    warn_of_others();
    if (rc == PR_OK)
        rc = plan_run(&plan, &a->plan, err);
    if (rc == PR_OK) {
        n = verdicts_of(&plan, v);
        rc = tell(a, &plan, v, n, err);
        *hold = verdicts_hold(v, n);
    }
    if (rc == PR_OK && a->json != NULL)
        rc = report_json(a->json, &plan, &a->plan, v, n, err);
    plan_done(&plan);
    return rc;
}

int main(int argc, char **argv)
{
    char self[256] = "", cache[300];
    struct args a = {
        .command = "placement-bench",
        .plan = { .runs = 5, .tries = 1, .seed = 1, .vary = true, .price = 0, .cap = 0.01 }
    };
    struct pr_err err = { .text = "" };
    bool hold = true;
    for (int i = 0; i < ROWS; i++)
        a.plan.row[i] = true;
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
        fputs("placement-bench: where am I?\n", stderr);
        return 2;
    }
    a.plan.threads = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    a.plan.files.bin = dirname(self);
    snprintf(cache, sizeof cache, "%s/bench-graphs", a.plan.files.bin);
    a.plan.files.cache = cache;
    a.plan.files.data = PRISM_SOURCE_DIR "/tests/data";
    if (!parse(argc, argv, &a)) {
        fputs(usage, stderr);
        return 2;
    }
    const enum pr_code rc = bench(&a, &hold, &err);
    if (rc != PR_OK) {
        fprintf(stderr, "placement-bench: %s\n", err.text);
        return 2;
    }
    return a.strict && !hold ? EXIT_FAILURE : EXIT_SUCCESS;
}
