#include "prism/dp/load_tool.h"

#include "prism/dp/load.h"
#include "prism/io/clock.h"
#include "prism/slot.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: prism-load --graph FILE --partitions P [--cluster host:port,...] [options]\n"
    "Loads a graph into the Redis Cluster, every vertex at its hash home.\n"
    "  --cluster SEEDS   nodes to ask first      (PRISM_REDIS_SEEDS)\n"
    "  --user NAME       Redis ACL user          (PRISM_REDIS_USER)\n"
    "  --password TEXT   its password            (PRISM_REDIS_PASSWORD, or _FILE)\n"
    "  --graph FILE      SNAP text, METIS (.metis, .graph) or binary (.bin32, .bin64);\n"
    "                    plain or packed with xz, gzip or zstd\n"
    "  --format NAME     auto, snap, metis, bin32 or bin64 (default auto: by name)\n"
    "  --partitions P    of the store\n"
    "  --threads N       1..64 (default 3)\n"
    "  --json            one JSON object a line\n"
    "Exit status: 0 everything is on every primary and its replicas; 1 it is not;\n"
    "2 bad arguments.\n";

struct args {
    struct dp_store store;
    char *graph;
    enum graph_format format;
    int threads;
    bool json, help;
};

static enum pr_code parse_option(struct args *a, int option, const char *value, struct pr_err *err)
{
    long long n = 0;
    enum pr_code rc = PR_OK;
    switch (option) {
    case 'c':
        return dp_set(&a->store.seeds, value, err);
    case 'u':
        return dp_set(&a->store.user, value, err);
    case 'w':
        return dp_set(&a->store.password, value, err);
    case 'g':
        return dp_set(&a->graph, value, err);
    case 'f':
        a->format = graph_format_parse(value);
        return (int)a->format >= 0 ? PR_OK
                                   : pr_fail(err, PR_EINVAL, "--format %.40s: unknown", value);
    case 'p':
        rc = dp_arg_integer("--partitions", value, 1, PR_MAX_PARTITIONS, &n, err);
        a->store.partitions = (uint32_t)n;
        return rc;
    case 't':
        rc = dp_arg_integer("--threads", value, 1, 64, &n, err);
        a->threads = (int)n;
        return rc;
    case 'j':
        a->json = true;
        return PR_OK;
    case 'h':
        a->help = true;
        return PR_OK;
    default:
        return pr_fail(err, PR_EINVAL, "see --help");
    }
}

static enum pr_code parse_args(struct args *a, int argc, char **argv, struct pr_err *err)
{
    static const struct option options[] = {
        { "cluster", required_argument, NULL, 'c' },
        { "user", required_argument, NULL, 'u' },
        { "password", required_argument, NULL, 'w' },
        { "graph", required_argument, NULL, 'g' },
        { "format", required_argument, NULL, 'f' },
        { "partitions", required_argument, NULL, 'p' },
        { "threads", required_argument, NULL, 't' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    enum pr_code rc = PR_OK;
    for (int o; rc == PR_OK && (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        rc = parse_option(a, o, optarg, err);
    if (rc != PR_OK || a->help)
        return rc;
    if (optind < argc)
        return pr_fail(err, PR_EINVAL, "unexpected argument '%.60s'", argv[optind]);
    if (a->graph == NULL)
        return pr_fail(err, PR_EINVAL, "give --graph FILE");
    return dp_store_check(&a->store, err);
}

struct show {
    bool json, tty;
    size_t edges; /* in all */
};

static void show_progress(void *ctx, size_t vertices, size_t edges, double seconds)
{
    const struct show *s = ctx;
    const double ratio = s->edges > 0 ? (double)edges / (double)s->edges : 1,
                 rate = seconds > 0 ? (double)edges / seconds : 0;
    if (s->json) {
        (void)printf("{\"phase\":\"load\",\"done_ratio\":%.4f,\"vertices\":%zu,\"edges\":%zu,"
                     "\"edges_per_s\":%.0f}\n",
                     ratio, vertices, edges, rate);
        (void)fflush(stdout);
    } else if (s->tty) {
        (void)fprintf(stderr, "\rloading %3.0f %%  %zu vertices  %zu edges  %.0f edges/s ",
                      100 * ratio, vertices, edges, rate);
    }
}

static enum pr_code load_graph(const struct args *a, struct dp_adjacency *adjacency,
                               size_t *edges_in_file, struct pr_err *err)
{
    struct graph_edges g = { .n = 0 };
    enum pr_code rc = graph_read(a->graph, a->format, &g, err);
    if (rc == PR_OK)
        rc = dp_adjacency_build(&g, adjacency, err);
    *edges_in_file = g.n;
    graph_edges_done(&g);
    return rc;
}

static enum pr_code check_store(const struct args *a, struct pr_err *err)
{
    struct pr_cluster *c;
    const enum pr_code rc = dp_store_ready(&a->store, &c, err);
    pr_cluster_close(c);
    return rc;
}

static void report(const struct args *a, const struct dp_load_report *r, size_t in_file,
                   double read_s)
{
    const double rate = r->seconds > 0 ? (double)in_file / r->seconds : 0;
    if (a->json)
        (void)printf("{\"done\":true,\"vertices\":%zu,\"edges\":%zu,\"edges_in_file\":%zu,"
                     "\"seconds\":%.3f,\"read_seconds\":%.3f,\"edges_per_s\":%.0f,\"bytes\":%llu,"
                     "\"moved\":%zu}\n",
                     r->vertices, r->edges, in_file, r->seconds, read_s, rate,
                     (unsigned long long)r->bytes, r->moved);
    else
        (void)printf("loaded %s: %zu vertices, %zu distinct edges of %zu in the file, both "
                     "directions, on every replica\n"
                     "read in %.2f s, loaded in %.2f s: %.0f edges/s, %.1f MB on the wire\n",
                     a->graph, r->vertices, r->edges, in_file, read_s, r->seconds, rate,
                     (double)r->bytes / 1e6);
    (void)fflush(stdout);
}

static enum pr_code run(const struct args *a, struct pr_err *err)
{
    struct dp_adjacency adjacency = { .vertices = 0 };
    struct dp_load_report r;
    struct show show = { .json = a->json, .tty = isatty(STDERR_FILENO) != 0 };
    size_t in_file = 0;
    const int64_t began_us = pr_mono_us();
    enum pr_code rc = check_store(a, err); /* before a long read */
    if (rc == PR_OK)
        rc = load_graph(a, &adjacency, &in_file, err);
    const double read_s = (double)(pr_mono_us() - began_us) / 1e6;
    show.edges = adjacency.edges;
    const struct dp_load_options o = { .store = &a->store,
                                       .threads = a->threads,
                                       .stop = dp_stop_on_signal(),
                                       .progress = show_progress,
                                       .ctx = &show };
    if (rc == PR_OK)
        rc = dp_load(&adjacency, &o, &r, err);
    if (show.tty && !a->json)
        (void)fputc('\n', stderr);
    if (rc == PR_OK)
        report(a, &r, in_file, read_s);
    dp_adjacency_done(&adjacency);
    return rc;
}

int dp_load_tool(int argc, char **argv)
{
    struct args a = { .format = GRAPH_AUTO, .threads = 3 };
    struct pr_err err = { .text = "" };
    int status = EXIT_SUCCESS;
    enum pr_code rc = dp_store_from_env(&a.store, &err);
    if (rc == PR_OK)
        rc = parse_args(&a, argc, argv, &err);
    if (rc != PR_OK) {
        dp_tool_failed("prism-load", a.json, &err);
        status = 2;
    } else if (a.help) {
        (void)fputs(usage, stdout);
    } else if (run(&a, &err) != PR_OK) {
        dp_tool_failed("prism-load", a.json, &err);
        status = EXIT_FAILURE;
    }
    free(a.graph);
    dp_store_done(&a.store);
    return status;
}
