#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

const char *const bench_kind_name[BENCH_KINDS] = { "prepare", "load", "cut",      "louvain",
                                                   "leiden",  "warm", "warm-own", "versions" };
const char *const bench_variant_name[BENCH_VARIANTS] = { "plain", "weighted", "unequal", "fixed",
                                                         "hard" };

void bench_task_args(const struct bench_task *t, char **args, char text[BENCH_TEXT])
{
    size_t at = 0;
    int n = 0;
#define ADD(...)                                                                                   \
    do {                                                                                           \
        args[n++] = text + at;                                                                     \
        at += (size_t)snprintf(text + at, BENCH_TEXT - at, __VA_ARGS__) + 1;                       \
    } while (0)
    ADD("%s", bench_kind_name[t->kind]);
    ADD("graph=%s", t->graph);
    ADD("out=%s", t->out);
    ADD("variant=%s", bench_variant_name[t->variant]);
    ADD("k=%u", t->blocks);
    ADD("threads=%u", t->threads);
    ADD("tries=%u", t->tries);
    ADD("seed=%llu", (unsigned long long)t->seed);
    ADD("imbalance=%.17g", t->imbalance);
    ADD("price=%.17g", t->price);
    ADD("cap=%.17g", t->cap);
    ADD("known=%d", t->known);
    ADD("coded=%d", t->coded);
    ADD("limit=%llu", (unsigned long long)t->limit_bytes);
#undef ADD
    args[n] = NULL;
}

static int index_of(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static bool value_of(const char *arg, const char *key, const char **value)
{
    const size_t n = strlen(key);
    if (strncmp(arg, key, n) != 0 || arg[n] != '=')
        return false;
    *value = arg + n + 1;
    return true;
}

static bool set(struct bench_task *t, const char *arg)
{
    const char *v;
    if (value_of(arg, "graph", &v))
        return snprintf(t->graph, sizeof t->graph, "%s", v) < (int)sizeof t->graph;
    if (value_of(arg, "out", &v))
        return snprintf(t->out, sizeof t->out, "%s", v) < (int)sizeof t->out;
    if (value_of(arg, "variant", &v)) {
        const int variant = index_of(bench_variant_name, BENCH_VARIANTS, v);
        t->variant = variant < 0 ? BENCH_PLAIN : (enum bench_variant)variant;
        return variant >= 0;
    }
    if (value_of(arg, "k", &v))
        t->blocks = (uint32_t)strtoul(v, NULL, 10);
    else if (value_of(arg, "threads", &v))
        t->threads = (uint32_t)strtoul(v, NULL, 10);
    else if (value_of(arg, "tries", &v))
        t->tries = (uint32_t)strtoul(v, NULL, 10);
    else if (value_of(arg, "seed", &v))
        t->seed = strtoull(v, NULL, 10);
    else if (value_of(arg, "imbalance", &v))
        t->imbalance = atof(v);
    else if (value_of(arg, "price", &v))
        t->price = atof(v);
    else if (value_of(arg, "cap", &v))
        t->cap = atof(v);
    else if (value_of(arg, "known", &v))
        t->known = atoi(v) != 0;
    else if (value_of(arg, "coded", &v))
        t->coded = atoi(v) != 0;
    else if (value_of(arg, "limit", &v))
        t->limit_bytes = strtoull(v, NULL, 10);
    else
        return false;
    return true;
}

enum pr_code bench_task_parse(int argc, char **argv, struct bench_task *t, struct pr_err *err)
{
    *t = (struct bench_task){
        .blocks = 3, .threads = 1, .tries = 1, .seed = 1, .imbalance = 0.05, .price = 0, .cap = 0.01
    };
    const int kind = argc < 2 ? -1 : index_of(bench_kind_name, BENCH_KINDS, argv[1]);
    if (kind < 0)
        return pr_fail(err, PR_EINVAL,
                       "which measurement? prepare, load, cut, louvain, leiden, "
                       "warm, warm-own, versions");
    t->kind = (enum bench_kind)kind;
    for (int i = 2; i < argc; i++)
        if (!set(t, argv[i]))
            return pr_fail(err, PR_EINVAL, "not understood: %s", argv[i]);
    return PR_OK;
}

double bench_wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double bench_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_outcome(const struct bench_outcome *o)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("vertices %llu, edges %llu, load %.3f s, work %.3f s (cpu %.3f s), peak %ld KiB\n"
           "cut ratio %.6f, imbalance %.4f, modularity %.5f, communities %llu, hash %016llx\n"
           "fresh %.3f s at %.6f, today %.6f, moved %.5f, by the fresh cut %.5f\n",
           (unsigned long long)o->vertices, (unsigned long long)o->edges, o->load_s, o->work_s,
           o->cpu_s, use.ru_maxrss, o->cut_ratio, o->imbalance, o->modularity,
           (unsigned long long)o->communities, (unsigned long long)o->hash, o->fresh_s,
           o->fresh_ratio, o->today_ratio, o->moved_ratio, o->fresh_moved_ratio);
}

int bench_worker(int argc, char **argv,
                 enum pr_code (*work)(const struct bench_task *t, struct bench_outcome *o,
                                      struct pr_err *err))
{
    struct bench_task t;
    struct bench_outcome o = { 0 };
    struct pr_err err = { .text = "" };
    enum pr_code rc = bench_task_parse(argc, argv, &t, &err);
    if (rc == PR_OK && t.limit_bytes > 0) {
        const struct rlimit limit = { t.limit_bytes, t.limit_bytes };
        (void)setrlimit(RLIMIT_AS, &limit);
    }
    if (rc == PR_OK)
        rc = work(&t, &o, &err);
    o.rc = rc;
    if (rc != PR_OK)
        snprintf(o.text, sizeof o.text, "%s", err.text);
    if (write(BENCH_FD, &o, sizeof o) == (ssize_t)sizeof o)
        return 0;
    if (rc == PR_OK)
        print_outcome(&o);
    if (o.text[0] != '\0')
        fprintf(rc == PR_OK ? stdout : stderr, "%s\n", o.text);
    return rc == PR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
