#include "prism/dp/workload_tool.h"

#include "prism/dp/access.h"
#include "prism/io/clock.h"
#include "prism/routes.h"
#include "workload_print.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TELL_S = 5 };

static const char usage[] =
    "usage: prism-workload --graph FILE --partitions P --zones host:port=zone,...\n"
    "                      --seconds S [options]\n"
    "       prism-workload --verify --ledger FILE --partitions P [--cluster SEEDS]\n"
    "Reads and writes the store as an application would (k-hop traversals from Zipf\n"
    "roots), counts bytes per zone, and verifies every acknowledged write.\n"
    "  --cluster SEEDS    nodes to ask first     (PRISM_REDIS_SEEDS)\n"
    "  --user NAME        Redis ACL user         (PRISM_REDIS_USER)\n"
    "  --password TEXT    its password           (PRISM_REDIS_PASSWORD, or _FILE)\n"
    "  --graph FILE       the graph that was loaded: its vertices are the roots\n"
    "  --format NAME      auto, snap, metis, bin32 or bin64 (default auto)\n"
    "  --partitions P     of the store\n"
    "  --zones LIST       zone of every node\n"
    "  --seconds S        how long; 0: until SIGTERM\n"
    "  --zipf A           exponent of the roots' popularity (default 1.2)\n"
    "  --write-ratio R    writes among all operations (default 0.2)\n"
    "  --hops N           levels below the root (default 2)\n"
    "  --fanout N         neighbours followed of each vertex (default 8)\n"
    "  --seed N           default 1\n"
    "  --threads N        default 2\n"
    "  --batch N          traversals at once, a thread (default 16)\n"
    "  --replicas N       that must acknowledge a write (default: as many as there are)\n"
    "  --writer NAME      of this process in the property p:w<NAME>.<thread> that it\n"
    "                     writes (default: process id)\n"
    "  --routes FILE      packed routes of GET /v1/routes: moved vertices are read where\n"
    "                     they are from the start, not asked for at home first\n"
    "  --ledger FILE      appends every attempted and acknowledged write\n"
    "  --verify           only reads back what --ledger FILE says was acknowledged\n"
    "  --tell             tells others every few seconds which partitions were used, in\n"
    "                     prism.edges.access (PRISM_NATS_URL, _USER, _PASSWORD or _PASSWORD_FILE)\n"
    "  --json             one JSON object a line\n"
    "Exit status: 0; 1 an acknowledged write or a vertex is lost, or it failed; 2 bad\n"
    "arguments.\n";

struct args {
    struct dp_store store;
    struct dp_workload_options o;
    struct dp_zones zones;
    char *graph, *zones_text, *ledger, *writer, *routes;
    enum graph_format format;
    bool json, help, verify, have_seconds, tell;
};

static enum pr_code integer(const char *option, const char *value, long long lo, long long hi,
                            int *out, struct pr_err *err)
{
    long long n = *out;
    const enum pr_code rc = dp_arg_integer(option, value, lo, hi, &n, err);
    *out = (int)n;
    return rc;
}

static enum pr_code parse_number(struct args *a, int option, const char *value, struct pr_err *err)
{
    long long n = 0;
    enum pr_code rc;
    switch (option) {
    case 'p':
        rc = dp_arg_integer("--partitions", value, 1, PR_MAX_PARTITIONS, &n, err);
        a->store.partitions = (uint32_t)n;
        return rc;
    case 's':
        a->have_seconds = true;
        return integer("--seconds", value, 0, 1000000000, &a->o.seconds, err);
    case 'Z':
        return dp_arg_real("--zipf", value, 0.01, 10, &a->o.zipf, err);
    case 'r':
        return dp_arg_real("--write-ratio", value, 0, 0.9, &a->o.write_ratio, err);
    case 'H':
        return integer("--hops", value, 0, 8, &a->o.hops, err);
    case 'F':
        return integer("--fanout", value, 1, 1000, &a->o.fanout, err);
    case 'S':
        rc = dp_arg_integer("--seed", value, 0, INT64_MAX, &n, err);
        a->o.seed = (uint64_t)n;
        return rc;
    case 't':
        return integer("--threads", value, 1, 64, &a->o.threads, err);
    case 'b':
        return integer("--batch", value, 1, 4096, &a->o.batch, err);
    default:
        return integer("--replicas", value, 0, 16, &a->o.replicas, err);
    }
}

static enum pr_code parse_option(struct args *a, int option, const char *value, struct pr_err *err)
{
    switch (option) {
    case 'c':
        return dp_set(&a->store.seeds, value, err);
    case 'u':
        return dp_set(&a->store.user, value, err);
    case 'w':
        return dp_set(&a->store.password, value, err);
    case 'g':
        return dp_set(&a->graph, value, err);
    case 'z':
        return dp_set(&a->zones_text, value, err);
    case 'l':
        return dp_set(&a->ledger, value, err);
    case 'o':
        return dp_set(&a->routes, value, err);
    case 'W':
        if (!pr_vertex_id_valid(value, strlen(value)) || strlen(value) > 24)
            return pr_fail(err, PR_EINVAL, "--writer %.40s: 1..24 visible characters", value);
        return dp_set(&a->writer, value, err);
    case 'f':
        a->format = graph_format_parse(value);
        return (int)a->format >= 0 ? PR_OK
                                   : pr_fail(err, PR_EINVAL, "--format %.40s: unknown", value);
    case 'v':
        a->verify = true;
        return PR_OK;
    case 'T':
        a->tell = true;
        return PR_OK;
    case 'j':
        a->json = true;
        return PR_OK;
    case 'h':
        a->help = true;
        return PR_OK;
    case '?':
        return pr_fail(err, PR_EINVAL, "see --help");
    default:
        return parse_number(a, option, value, err);
    }
}

static enum pr_code check_args(struct args *a, struct pr_err *err)
{
    enum pr_code rc = dp_store_check(&a->store, err);
    if (rc != PR_OK)
        return rc;
    if (a->verify && a->ledger == NULL)
        return pr_fail(err, PR_EINVAL, "--verify: give --ledger FILE");
    if (a->verify)
        return PR_OK;
    if (a->graph == NULL)
        return pr_fail(err, PR_EINVAL, "give --graph FILE");
    if (a->zones_text == NULL)
        return pr_fail(err, PR_EINVAL, "give --zones host:port=zone,...");
    if (!a->have_seconds)
        return pr_fail(err, PR_EINVAL, "give --seconds, 0 for until SIGTERM");
    return dp_zones_parse(&a->zones, a->zones_text, err);
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
        { "zones", required_argument, NULL, 'z' },
        { "seconds", required_argument, NULL, 's' },
        { "zipf", required_argument, NULL, 'Z' },
        { "write-ratio", required_argument, NULL, 'r' },
        { "hops", required_argument, NULL, 'H' },
        { "fanout", required_argument, NULL, 'F' },
        { "seed", required_argument, NULL, 'S' },
        { "threads", required_argument, NULL, 't' },
        { "batch", required_argument, NULL, 'b' },
        { "replicas", required_argument, NULL, 'R' },
        { "writer", required_argument, NULL, 'W' },
        { "ledger", required_argument, NULL, 'l' },
        { "routes", required_argument, NULL, 'o' },
        { "verify", no_argument, NULL, 'v' },
        { "tell", no_argument, NULL, 'T' },
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
    return check_args(a, err);
}

struct show {
    bool json;
    FILE *to;                 /* NULL: silent */
    struct dp_access *access; /* NULL: nobody is told */
    double told_s;
};

static void show_progress(void *ctx, const struct dp_tally *so_far, double seconds)
{
    struct show *s = ctx;
    if (s->access != NULL && seconds - s->told_s >= TELL_S) {
        s->told_s = seconds;
        dp_access_tell(s->access, pr_now_ms());
    }
    if (s->to != NULL)
        workload_print_progress(s->json, s->to, so_far, seconds);
}

/* Exit status of a run that ended. */
static int print_report(const struct args *a, const struct dp_workload_report *r)
{
    workload_print_findings(stderr, r);
    if (a->json)
        workload_print_json(stdout, r, &a->zones);
    else
        workload_print_table(stdout, r, &a->zones);
    return r->lost == 0 && r->tally.missing == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Pages of the API follow one another, so the whole is sorted here. */
static enum pr_code read_routes(const struct args *a, struct pr_buf *out, struct pr_err *err)
{
    char block[1 << 16];
    size_t n;
    if (a->routes == NULL)
        return PR_OK;
    FILE *f = fopen(a->routes, "re");
    if (f == NULL)
        return pr_fail(err, PR_ENOTFOUND, "--routes %.150s: %s", a->routes, strerror(errno));
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        pr_buf_add(out, block, n);
    const bool broken = ferror(f) != 0 || out->failed;
    (void)fclose(f);
    if (broken)
        return pr_fail(err, PR_EUNAVAIL, "--routes %.150s: cannot be read", a->routes);
    if (out->len % PR_ROUTE_BYTES == 0 && out->len > 0 &&
        pr_routes_sort(out->data, out->len, &out->len) != PR_OK)
        return pr_fail(err, PR_ENOMEM, "--routes %.150s", a->routes);
    const enum pr_code rc = pr_routes_check(out->data, out->len, a->store.partitions, err);
    return rc == PR_OK ? PR_OK : pr_wrap(err, rc, "--routes %.100s", a->routes);
}

static enum pr_code run(struct args *a, int *status, struct pr_err *err)
{
    struct graph_edges g;
    struct pr_buf routes;
    struct dp_adjacency adjacency = { .vertices = 0 };
    struct dp_workload *w = NULL;
    struct dp_workload_report r = { .lost = 0 };
    struct show show = { .json = a->json,
                         .to = a->json                      ? stdout
                               : isatty(STDERR_FILENO) != 0 ? stderr
                                                            : NULL };
    a->o.store = &a->store;
    a->o.zones = &a->zones;
    a->o.writer = a->writer;
    a->o.ledger_path = a->ledger;
    a->o.first_value = (uint64_t)pr_now_ms() * 1000; /* above whatever an earlier run wrote */
    a->o.stop = dp_stop_on_signal();
    pr_buf_init(&routes, 0);
    enum pr_code rc = read_routes(a, &routes, err);
    a->o.routes = routes.data;
    a->o.routes_bytes = routes.len;
    if (rc == PR_OK && (rc = graph_read(a->graph, a->format, &g, err)) == PR_OK) {
        rc = dp_adjacency_build(&g, &adjacency, err);
        graph_edges_done(&g);
    }
    if (rc == PR_OK && a->tell)
        rc = dp_access_open(&show.access, a->store.partitions, err);
    if (show.access != NULL)
        a->o.accessed = dp_access_counters(show.access);
    if (rc == PR_OK)
        rc = dp_workload_new(&w, &adjacency, &a->o, err);
    if (rc == PR_OK) {
        rc = dp_workload_run(w, show_progress, &show, &r, err);
        if (show.access != NULL)
            dp_access_tell(show.access, pr_now_ms());
        if (show.to == stderr)
            (void)fputc('\n', stderr);
        if (rc == PR_OK)
            *status = print_report(a, &r);
        else
            workload_print_findings(stderr, &r);
    }
    dp_workload_report_done(&r);
    dp_workload_free(w);
    dp_access_close(show.access);
    dp_adjacency_done(&adjacency);
    pr_buf_done(&routes);
    return rc;
}

static enum pr_code verify_file(const struct args *a, int *status, struct pr_err *err)
{
    struct pr_cluster *c = NULL;
    struct dp_ledger l;
    struct dp_workload_report r = { .lost = 0 };
    dp_ledger_init(&l, 0, false);
    enum pr_code rc = dp_ledger_read(&l, a->ledger, err);
    if (rc == PR_OK)
        rc = dp_store_open(&a->store, &c, err);
    if (rc == PR_OK)
        rc = dp_verify(c, a->store.partitions, &l, &r, err);
    if (rc == PR_OK) {
        workload_print_findings(stderr, &r);
        if (a->json)
            (void)printf("{\"done\":true,\"verified\":%llu,\"lost\":%llu}\n",
                         (unsigned long long)r.verified, (unsigned long long)r.lost);
        else
            (void)printf("%llu written vertices verified, acknowledged writes lost: %llu\n",
                         (unsigned long long)r.verified, (unsigned long long)r.lost);
        *status = r.lost == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    dp_workload_report_done(&r);
    pr_cluster_close(c);
    dp_ledger_done(&l);
    return rc;
}

int dp_workload_tool(int argc, char **argv)
{
    struct args a = { .format = GRAPH_AUTO,
                      .o = { .zipf = 1.2,
                             .write_ratio = 0.2,
                             .hops = 2,
                             .fanout = 8,
                             .threads = 2,
                             .batch = 16,
                             .seed = 1,
                             .replicas = -1 } };
    struct pr_err err = { .text = "" };
    char pid[16];
    int status = EXIT_SUCCESS;
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    enum pr_code rc = dp_store_from_env(&a.store, &err);
    if (rc == PR_OK)
        rc = dp_set(&a.writer, pid, &err);
    if (rc == PR_OK)
        rc = parse_args(&a, argc, argv, &err);
    if (rc != PR_OK) {
        dp_tool_failed("prism-workload", a.json, &err);
        status = 2;
    } else if (a.help) {
        (void)fputs(usage, stdout);
    } else {
        rc = a.verify ? verify_file(&a, &status, &err) : run(&a, &status, &err);
        if (rc != PR_OK) {
            dp_tool_failed("prism-workload", a.json, &err);
            status = EXIT_FAILURE;
        }
    }
    free(a.graph);
    free(a.zones_text);
    free(a.ledger);
    free(a.writer);
    free(a.routes);
    dp_zones_done(&a.zones);
    dp_store_done(&a.store);
    return status;
}
