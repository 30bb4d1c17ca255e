/* Rounds, in which the contenders take turns, and the tables. */
#include "rebalance_bench.h"

#include "prism/dp/library.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: rebalance-bench [options]\n"
    "  --quick          fewer keys, two rounds\n"
    "  --rounds N       medians of N (5)\n"
    "  --keys N         in all (1000000)\n"
    "  --ops N          of the client, per second (2000)\n"
    "  --batch N        keys of one MIGRATE of ours (the setting's default)\n"
    "  --server PATH    another redis-server; ./dev starts it\n"
    "  --only DIGITS    contenders: 0 redis-cli, 1 its pipeline 100, 2-4 ours with 1-3\n"
    "                   pairs, 5 nothing, 6 ours with one pair and without prints of the\n"
    "                   vertices, as with the library of an older release\n"
    "  --json FILE      every run\n";

enum { DEFAULT_CLI, CLI_100, OURS_1, OURS_2, OURS_3, IDLE, OURS_BARE, CONTENDERS, MAX_ROUNDS = 25 };
static const char *const NAME[] = { "redis-cli reshard (pipeline 10)",
                                    "redis-cli reshard, pipeline 100",
                                    "ours, one pair",
                                    "ours, two pairs",
                                    "ours, three pairs",
                                    "nothing moves",
                                    "ours, one pair, no prints" };

struct result {
    double keys_per_s[MAX_ROUNDS], p50_ms[MAX_ROUNDS], p99_ms[MAX_ROUNDS], max_ms[MAX_ROUNDS];
    int n;
};
struct table {
    const char *what;
    struct result of[CONTENDERS];
};

void bench_fail(const char *what, const struct pr_err *err)
{
    fprintf(stderr, "rebalance-bench: %s%s%s\n", what, err != NULL ? ": " : "",
            err != NULL ? err->text : "");
    exit(1);
}

/* --- statistics ------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
    double sorted[MAX_ROUNDS];
    memcpy(sorted, v, (size_t)n * sizeof *v);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return n == 0 ? 0 : n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double least(const double *v, int n)
{
    double m = n > 0 ? v[0] : 0;
    for (int i = 1; i < n; i++)
        m = v[i] < m ? v[i] : m;
    return m;
}

static double most(const double *v, int n)
{
    double m = n > 0 ? v[0] : 0;
    for (int i = 1; i < n; i++)
        m = v[i] > m ? v[i] : m;
    return m;
}

/* --- the cluster
 * ---------------------------------------------------------------------------------- */

static char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static const struct pr_node *replica_primary(const struct pr_topology *t, const struct pr_node *n)
{
    for (size_t i = 0; !n->primary && i < t->nodes; i++)
        if (strcmp(t->node[i].id, n->primary_id) == 0)
            return &t->node[i];
    return n;
}

static void learn(struct bench *b)
{
    struct pr_err err = { 0 };
    const struct pr_topology *t = pr_cluster_topology(b->cluster);
    int primaries = 0, first[16], index[16];
    for (int s = 0; s < 16384; s++) {
        const int owner = t->slot_owner[s];
        int k = 0;
        while (k < primaries && index[k] != owner)
            k++;
        if (k == primaries && primaries < 16 && owner >= 0) {
            index[primaries] = owner;
            first[primaries++] = s;
        }
    }
    if (primaries < 2 * BENCH_PAIRS)
        bench_fail("the cluster has too few primaries", NULL);
    /* The target's own slots are above those that come: redis-cli takes the lowest. */
    for (int p = 0; p < BENCH_PAIRS; p++) {
        const int from = p, to = p + BENCH_PAIRS;
        struct bench_pair *x = &b->pair[p];
        *x = (struct bench_pair){ .port = { t->node[index[from]].port, t->node[index[to]].port },
                                  .first = first[from] };
        memcpy(x->id[0], t->node[index[from]].id, PR_NODE_ID);
        memcpy(x->id[1], t->node[index[to]].id, PR_NODE_ID);
    }
    b->replicas = 0;
    for (size_t i = 0; i < t->nodes; i++) {
        const struct pr_node *n = &t->node[i];
        b->replicas += strcmp(n->primary_id, b->pair[0].id[0]) == 0;
        char port[16], id[16], shard[16];
        snprintf(port, sizeof port, "%d", n->port);
        snprintf(id, sizeof id, "n%d", n->port);
        snprintf(shard, sizeof shard, "s%d", replica_primary(t, n)->port);
        if (pr_db_exec(b->db,
                       "INSERT INTO nodes (id, host, port, redis_id, shard_id, state) "
                       "VALUES ($1, '127.0.0.1', $2::int, $3, $4, 'up') ON CONFLICT DO NOTHING",
                       PR_ARGS(pr_text(id), pr_text(port), pr_text(n->id), pr_text(shard)), NULL,
                       &err) != PR_OK)
            bench_fail("registering nodes", &err);
    }
}

/* The library says prints of vertices before they move, or has no such function. */
static void set_library(struct bench *b, bool prints)
{
    static const char NAME_IN[] = "'prism_print'", ELSE[] = "'prism_other'";
    struct pr_err err = { 0 };
    char *code = strdup(pr_library_code), *at = code == NULL ? NULL : strstr(code, NAME_IN);
    if (at == NULL)
        bench_fail("the library says no prints", NULL);
    if (!prints)
        memcpy(at, ELSE, sizeof ELSE - 1);
    if (pr_cluster_load_library(b->cluster, code, &err) != PR_OK)
        bench_fail("the library", &err);
    free(code);
}

static void set_up(struct bench *b)
{
    struct pr_err err = { 0 };
    struct pr_buf problems = { 0 };
    struct pr_cluster *service = NULL;
    struct rebalance_users_ready ready = { .says = "" };
    b->metrics = pr_metrics_new(rebalance_metric_rows, REBALANCE_METRICS);
    b->lease = (struct pr_lease){ .holder = "bench", .ttl_ms = 24 * 3600 * 1000 };
    snprintf(b->lease.name, sizeof b->lease.name, "bench-%d", (int)getpid());
    enum pr_code rc =
        pr_config_load(rebalance_config_rows, rebalance_config_count, &b->cfg, no_env, &problems);
    if (rc == PR_OK)
        rc = pr_db_open(&b->db, b->db_uri, "rebalance-bench", &err);
    if (rc == PR_OK)
        rc = pr_lease_hold(b->db, &b->lease, &err);
    if (rc == PR_OK)
        rc = pr_cluster_open(&b->cluster, b->seeds, &b->admin, 3000, &err);
    if (rc == PR_OK)
        rc = rebalance_user_init(&b->user, REBALANCE_USER_FLEET, b->lease.epoch, &err);
    if (rc == PR_OK)
        rc = pr_cluster_open(&service, b->seeds, &b->service, 3000, &err);
    if (rc == PR_OK)
        rc = rebalance_users_prepare(&ready, pr_cluster_topology(service), &b->service, &b->user, 1,
                                     pr_mono_us() + 10000000, &err);
    rebalance_users_ready_done(&ready);
    if (rc != PR_OK)
        bench_fail("setting up", &err);
    pr_cluster_close(service);
    b->plan = (int64_t)(pr_now_ms() / 1000);
    learn(b);
    set_library(b, true);
}

/* --- runs
 * ---------------------------------------------------------------------------------------------- */

static void one_run(struct bench *b, struct table *t, int who, int round)
{
    struct bench_client seen;
    const int pairs = who == OURS_3 ? 3 : who == OURS_2 ? 2 : 1;
    if (who == OURS_BARE)
        set_library(b, false);
    struct bench_load *client = bench_client_start(b, pairs, (unsigned)round + 1);
    (void)usleep(200000); /* it is under way */
    double seconds = 2;
    if (who == IDLE)
        (void)sleep(2);
    else
        seconds = who == DEFAULT_CLI ? bench_move_cli(b, 10)
                  : who == CLI_100   ? bench_move_cli(b, 100)
                                     : bench_move_ours(b, pairs);
    bench_client_stop(client, &seen);
    if (who == OURS_BARE)
        set_library(b, true);
    const double keys = (double)pairs * b->pair[0].slots * b->keys_per_slot;
    struct result *r = &t->of[who];
    r->keys_per_s[r->n] = who == IDLE ? 0 : keys / seconds;
    r->p50_ms[r->n] = seen.p50_ms;
    r->p99_ms[r->n] = seen.p99_ms;
    r->max_ms[r->n++] = seen.max_ms;
    fprintf(stderr,
            "round %d: %-32s %7.0f keys/s, client p99 %.2f ms, max %.1f, %llu redirects%s\n",
            round + 1, NAME[who], r->keys_per_s[r->n - 1], seen.p99_ms, seen.max_ms,
            (unsigned long long)seen.redirects, seen.errors > 0 ? ", ERRORS" : "");
    if (seen.errors > 0)
        bench_fail("the client's operations failed", NULL);
    bench_check(b, BENCH_PAIRS);
}

struct part {
    const char *what, *contenders;
    int slots, keys_per_slot; /* of each pair */
    bool vertices;
};

static const char *only = "0123456"; /* contenders */

static void measure(struct bench *b, struct table *t, const struct part *part, int rounds)
{
    *t = (struct table){ .what = part->what };
    fprintf(stderr, "%s: %d slots x %d keys a pair, %d replica(s)\n", part->what, part->slots,
            part->keys_per_slot, b->replicas);
    b->vertices = part->vertices;
    bench_load(b, BENCH_PAIRS, part->slots, part->keys_per_slot);
    for (int r = 0; r < rounds; r++)
        for (int who = 0; who < CONTENDERS; who++)
            if (strchr(part->contenders, '0' + who) != NULL && strchr(only, '0' + who) != NULL)
                one_run(b, t, who, r);
    bench_home(b);
}

/* --- reports
 * -------------------------------------------------------------------------------------------- */

static void print_table(const struct table *t)
{
    printf("\n%s\n\n| mover | keys/s median (spread) | to the first | client p50 | p99 (median) | "
           "max |\n|---|---|---|---|---|---|\n",
           t->what);
    double base = 0;
    for (int who = 0; who < CONTENDERS && base <= 0; who++)
        base = median(t->of[who].keys_per_s, t->of[who].n);
    for (int who = 0; who < CONTENDERS; who++) {
        const struct result *r = &t->of[who];
        if (r->n == 0)
            continue;
        const double m = median(r->keys_per_s, r->n);
        if (who == IDLE)
            printf("| %s | | |", NAME[who]);
        else
            printf("| %s | %.0f (%.0f-%.0f) | %.2f |", NAME[who], m, least(r->keys_per_s, r->n),
                   most(r->keys_per_s, r->n), base > 0 ? m / base : 0);
        printf(" %.2f ms | %.2f ms | %.1f ms |\n", median(r->p50_ms, r->n), median(r->p99_ms, r->n),
               most(r->max_ms, r->n));
    }
}

static json_t *numbers(const double *v, int n)
{
    json_t *a = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(a, json_real(v[i]));
    return a;
}

static json_t *table_json(const struct table *t)
{
    json_t *o = json_object();
    for (int who = 0; who < CONTENDERS; who++) {
        const struct result *r = &t->of[who];
        if (r->n > 0)
            json_object_set_new(
                o, NAME[who],
                json_pack("{s:o, s:o, s:o, s:o}", "keysPerS", numbers(r->keys_per_s, r->n), "p50Ms",
                          numbers(r->p50_ms, r->n), "p99Ms", numbers(r->p99_ms, r->n), "maxMs",
                          numbers(r->max_ms, r->n)));
    }
    return json_pack("{s:s, s:o}", "what", t->what, "movers", o);
}

static void server_version(struct bench *b, char out[64])
{
    struct pr_redis *conn = NULL;
    redisReply *r = NULL;
    out[0] = '\0';
    if (pr_cluster_conn(b->cluster, b->pair[0].id[0], &conn, NULL) != PR_OK ||
        pr_redis_command(conn, &r, NULL, "INFO server") != PR_OK)
        return;
    const char *at = r->str == NULL ? NULL : strstr(r->str, "redis_version:");
    if (at != NULL)
        snprintf(out, 64, "%.*s", (int)strcspn(at + 14, "\r\n"), at + 14);
    freeReplyObject(r);
}

static void report(struct bench *b, const struct table *t, size_t n, const char *path)
{
    char version[64];
    server_version(b, version);
    printf(
        "\nRedis %s, %ld cores, %d replica(s), client %d op/s (20 %% reads) on the moving slots, "
        "batches of %lld keys\n",
        version, sysconf(_SC_NPROCESSORS_ONLN), b->replicas, b->ops_per_s,
        (long long)b->cfg.slot_batch_keys);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        print_table(&t[i]);
        json_array_append_new(list, table_json(&t[i]));
    }
    json_t *all = json_pack("{s:s, s:i, s:i, s:i, s:o}", "redis", version, "cores",
                            (int)sysconf(_SC_NPROCESSORS_ONLN), "replicas", b->replicas, "opsPerS",
                            b->ops_per_s, "tables", list);
    if (path != NULL && json_dump_file(all, path, JSON_INDENT(1)) != 0)
        bench_fail("cannot write the results", NULL);
    json_decref(all);
}

static const char *from_env(const char *name)
{
    const char *v = getenv(name);
    if (v == NULL)
        bench_fail("run it by ./dev bench rebalance", NULL);
    return v;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "quick", no_argument, NULL, 'q' },
                                             { "rounds", required_argument, NULL, 'r' },
                                             { "keys", required_argument, NULL, 'k' },
                                             { "ops", required_argument, NULL, 'o' },
                                             { "batch", required_argument, NULL, 'b' },
                                             { "only", required_argument, NULL, 'y' },
                                             { "json", required_argument, NULL, 'j' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    static struct bench b = { .ops_per_s = 2000, .cli = "redis-cli" };
    static struct table table[3];
    int rounds = 5, keys = 1000000, batch = 0, c;
    const char *json = NULL;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (c) {
        case 'q':
            rounds = 2;
            keys = 150000;
            break;
        case 'r':
            rounds = atoi(optarg) < MAX_ROUNDS ? atoi(optarg) : MAX_ROUNDS;
            break;
        case 'k':
            keys = atoi(optarg);
            break;
        case 'o':
            b.ops_per_s = atoi(optarg);
            break;
        case 'b':
            batch = atoi(optarg);
            break;
        case 'y':
            only = optarg;
            break;
        case 'j':
            json = optarg;
            break;
        default:
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    pr_log_init("bench", PR_WARN);
    b.seeds = from_env("BENCH_SEEDS");
    b.db_uri = from_env("BENCH_DB_URI");
    b.admin = (struct pr_redis_auth){ from_env("BENCH_ADMIN"), from_env("BENCH_ADMIN_PASSWORD") };
    b.service =
        (struct pr_redis_auth){ from_env("BENCH_SERVICE"), from_env("BENCH_SERVICE_PASSWORD") };
    set_up(&b);
    if (batch > 0)
        b.cfg.slot_batch_keys = batch;
    const struct part part[] = {
        { "Dense slots", "012345", 33, keys / (33 * BENCH_PAIRS), false },
        { "Sparse slots", "0125", 600, 61, false },
        { "Vertices in dense slots", "26", 33, keys / (4 * 33 * BENCH_PAIRS), true },
    };
    const size_t parts = b.replicas > 0 ? PR_COUNT(part) : 2; /* a replica says the prints */
    for (size_t i = 0; i < parts; i++)
        measure(&b, &table[i], &part[i], rounds);
    report(&b, table, parts, json);
    return 0;
}
