/* Workers, the clock, replication's bytes, the final verification. */
#include "prism/dp/workload.h"

#include "prism/io/clock.h"
#include "prism/routes.h"
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_VISITS = 1 << 20, RUN_DEADLINE_MS = 15000, OP_DEADLINE_MS = 60000, WAIT_MS = 1000 };
enum { FIRST_OFFSETS_MS = 30000, ASK_AGAIN_MS = 100 };

struct worker {
    struct walk walk;
    struct dp_workload *load;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of seen */
    struct dp_tally seen; /* copy of the walk's tally for the progress line */
};

struct dp_workload {
    const struct dp_adjacency *a;
    struct dp_workload_options o;
    uint32_t *rank;
    struct pr_zipf zipf;
    struct pr_cluster *cluster; /* main thread's own */
    struct worker *worker;      /* [opened] */
    int opened, ledger_fd;
    atomic_bool failed, over;
    pthread_mutex_t lock; /* of why */
    struct pr_err why;
};

/* --- tallies ------------------------------------------------------------ */
static void add_tally(struct dp_tally *to, const struct dp_tally *t)
{
    to->traversals += t->traversals;
    to->reads += t->reads;
    to->writes_acked += t->writes_acked;
    to->writes_unknown += t->writes_unknown;
    to->writes_refused += t->writes_refused;
    to->failed_reads += t->failed_reads;
    if (to->missing == 0 && t->missing > 0)
        memcpy(to->missing_id, t->missing_id, sizeof to->missing_id);
    to->missing += t->missing;
    to->redirects += t->redirects;
    to->stubs_followed += t->stubs_followed;
    for (int r = 0; r < DP_MAX_ZONES; r++)
        for (int z = 0; z < DP_MAX_ZONES; z++)
            to->bytes[r][z] += t->bytes[r][z];
    to->cross_random_bytes += t->cross_random_bytes;
    to->unzoned_bytes += t->unzoned_bytes;
    to->dropped_bytes += t->dropped_bytes;
    pr_hist_merge(&to->latency_us, &t->latency_us);
}

uint64_t dp_tally_total(const struct dp_tally *t)
{
    uint64_t sum = 0;
    for (int r = 0; r < DP_MAX_ZONES; r++)
        for (int z = 0; z < DP_MAX_ZONES; z++)
            sum += t->bytes[r][z];
    return sum;
}

uint64_t dp_tally_cross(const struct dp_tally *t)
{
    uint64_t sum = dp_tally_total(t);
    for (int z = 0; z < DP_MAX_ZONES; z++)
        sum -= t->bytes[z][z];
    return sum;
}

/* --- workers ------------------------------------------------------------ */
static enum pr_code open_memory(struct walk *k, struct pr_err *err)
{
    size_t visits = 1, level = 1;
    for (int h = 0; h < k->o->hops && visits <= MAX_VISITS; h++) {
        level *= (size_t)k->o->fanout;
        visits += level;
    }
    visits *= (size_t)k->o->batch;
    if (visits > MAX_VISITS)
        return pr_fail(err, PR_EINVAL,
                       "--hops %d with --fanout %d and --batch %d: over %d visits at once",
                       k->o->hops, k->o->fanout, k->o->batch, MAX_VISITS);
    k->visits_cap = k->ops_cap = visits;
    k->visit = malloc(visits * sizeof *k->visit);
    k->op = malloc(visits * sizeof *k->op);
    k->whose = malloc(visits * sizeof *k->whose);
    k->traversal = malloc((size_t)k->o->batch * sizeof *k->traversal);
    if (k->visit == NULL || k->op == NULL || k->whose == NULL || k->traversal == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu visits", visits);
    return PR_OK;
}

/* A client that was given the routes asks no home on the way. */
static enum pr_code know_routes(struct walk *k, struct pr_err *err)
{
    for (size_t i = 0; i < pr_routes_count(k->o->routes_bytes); i++) {
        const struct pr_route r = pr_routes_at(k->o->routes, i);
        if (pr_map_put(&k->routes, r.hash, r.partition) != PR_OK)
            return pr_fail(err, PR_ENOMEM, "no memory for %zu routes",
                           pr_routes_count(k->o->routes_bytes));
    }
    return PR_OK;
}

static enum pr_code open_worker(struct dp_workload *l, int index, struct pr_err *err)
{
    struct worker *w = &l->worker[index];
    struct walk *k = &w->walk;
    w->load = l;
    pthread_mutex_init(&w->lock, NULL);
    *k = (struct walk){
        .a = l->a, .o = &l->o, .rank = l->rank, .zipf = &l->zipf, .ledger_fd = l->ledger_fd
    };
    pr_map_init(&k->routes);
    dp_ledger_init(&k->ledger, l->o.first_value, l->ledger_fd >= 0);
    pr_rng_init(&k->rng, pr_mix64(l->o.seed + 1) + (uint64_t)index);
    (void)snprintf(k->writer, sizeof k->writer, "%.24s.%d", l->o.writer, index);
    k->field_len = (size_t)snprintf(k->field, sizeof k->field, "p:w%s", k->writer);
    enum pr_code rc = open_memory(k, err);
    if (rc == PR_OK)
        rc = know_routes(k, err);
    if (rc == PR_OK)
        rc = dp_store_open(l->o.store, &k->cluster, err);
    k->exec = (struct dp_exec){ .cluster = k->cluster,
                                .partitions = l->o.store->partitions,
                                .run = { .wait_ms = WAIT_MS, .deadline_ms = RUN_DEADLINE_MS },
                                .deadline_ms = OP_DEADLINE_MS,
                                .max_backoffs = 200 };
    return rc;
}

static void close_worker(struct worker *w)
{
    struct walk *k = &w->walk;
    pr_cluster_close(k->cluster);
    dp_exec_done(&k->exec);
    dp_ledger_done(&k->ledger);
    pr_map_done(&k->routes);
    free(k->visit);
    free(k->op);
    free(k->whose);
    free(k->traversal);
    pthread_mutex_destroy(&w->lock);
}

static bool ended(const struct dp_workload *l)
{
    return atomic_load(&l->failed) || atomic_load(&l->over) ||
           (l->o.stop != NULL && atomic_load(l->o.stop));
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct dp_workload *l = w->load;
    struct pr_err err = { .text = "" };
    while (!ended(l)) {
        const enum pr_code rc = walk_batch(&w->walk, &err);
        pthread_mutex_lock(&w->lock);
        w->seen = w->walk.tally;
        pthread_mutex_unlock(&w->lock);
        if (rc == PR_OK)
            continue;
        pthread_mutex_lock(&l->lock);
        if (!atomic_exchange(&l->failed, true)) {
            l->why = err;
            l->why.code = rc;
        }
        pthread_mutex_unlock(&l->lock);
    }
    return NULL;
}

/* --- start -------------------------------------------------------------- */
static enum pr_code check_zones(const struct dp_workload *l, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(l->cluster);
    for (size_t i = 0; i < t->nodes; i++) {
        char name[PR_HOST + 8];
        (void)snprintf(name, sizeof name, "%s:%d", t->node[i].host, t->node[i].port);
        if (t->node[i].port != 0 && dp_zone_of(l->o.zones, name) < 0)
            return pr_fail(err, PR_EINVAL, "--zones has no zone for node %s", name);
    }
    return PR_OK;
}

/* A seeded shuffle decides which vertices are the popular ones. */
static enum pr_code rank_vertices(struct dp_workload *l, struct pr_err *err)
{
    struct pr_rng rng;
    l->rank = malloc(l->a->vertices * sizeof *l->rank);
    if (l->rank == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu vertices", l->a->vertices);
    pr_rng_init(&rng, l->o.seed);
    for (size_t i = 0; i < l->a->vertices; i++) {
        const size_t j = (size_t)pr_rng_below(&rng, i + 1);
        l->rank[i] = l->rank[j];
        l->rank[j] = (uint32_t)i;
    }
    pr_zipf_init(&l->zipf, l->a->vertices, l->o.zipf);
    return PR_OK;
}

static enum pr_code open_ledger(struct dp_workload *l, struct pr_err *err)
{
    if (l->o.ledger_path == NULL)
        return PR_OK;
    l->ledger_fd = open(l->o.ledger_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (l->ledger_fd < 0)
        return pr_fail(err, errno == EACCES ? PR_EDENIED : PR_EUNAVAIL, "%s: %s", l->o.ledger_path,
                       strerror(errno));
    return PR_OK;
}

enum pr_code dp_workload_new(struct dp_workload **out, const struct dp_adjacency *a,
                             const struct dp_workload_options *o, struct pr_err *err)
{
    struct dp_workload *l = calloc(1, sizeof *l);
    if (l == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory");
    l->a = a;
    l->o = *o;
    l->ledger_fd = -1;
    pthread_mutex_init(&l->lock, NULL);
    enum pr_code rc = dp_store_ready(o->store, &l->cluster, err);
    if (rc == PR_OK)
        rc = check_zones(l, err);
    if (rc == PR_OK)
        rc = rank_vertices(l, err);
    if (rc == PR_OK)
        rc = open_ledger(l, err);
    l->o.all_replicas = l->o.replicas < 0;
    if (rc == PR_OK && l->o.replicas < 0)
        l->o.replicas = dp_replicas(pr_cluster_topology(l->cluster));
    if (rc == PR_OK && (l->worker = calloc((size_t)o->threads, sizeof *l->worker)) == NULL)
        rc = pr_fail(err, PR_ENOMEM, "no memory");
    for (; rc == PR_OK && l->opened < o->threads; l->opened++)
        rc = open_worker(l, l->opened, err);
    if (rc != PR_OK) {
        dp_workload_free(l);
        return rc;
    }
    *out = l;
    return PR_OK;
}

void dp_workload_free(struct dp_workload *l)
{
    if (l == NULL)
        return;
    for (int i = 0; i < l->opened; i++)
        close_worker(&l->worker[i]);
    free(l->worker);
    free(l->rank);
    pr_cluster_close(l->cluster);
    if (l->ledger_fd >= 0)
        (void)close(l->ledger_fd);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* --- replication -------------------------------------------------------- */
struct shard_offset { /* one node; the figures are its primary's */
    char id[PR_NODE_ID];
    bool primary;
    uint64_t offset;         /* master_repl_offset */
    int replicas, elsewhere; /* in all; in another zone than the primary */
};

struct offsets {
    struct shard_offset *node; /* [nodes] */
    size_t nodes;
};

static int zone_of_node(const struct dp_workload *l, const struct pr_node *n)
{
    char name[PR_HOST + 8];
    (void)snprintf(name, sizeof name, "%s:%d", n->host, n->port);
    return dp_zone_of(l->o.zones, name);
}

static enum pr_code read_offset(struct pr_cluster *c, const char *id, uint64_t *offset,
                                struct pr_err *err)
{
    static const char mark[] = "\nmaster_repl_offset:";
    struct pr_redis *conn;
    PR_AUTO(redisReply) *reply = NULL;
    enum pr_code rc = pr_cluster_conn(c, id, &conn, err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &reply, err, "INFO replication");
    if (rc != PR_OK)
        return rc;
    const char *at = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, mark) : NULL;
    if (at == NULL)
        return pr_fail(err, PR_EDATA, "INFO names no master_repl_offset");
    *offset = strtoull(at + sizeof mark - 1, NULL, 10);
    return PR_OK;
}

static void count_replicas(const struct dp_workload *l, const struct pr_topology *t,
                           const struct pr_node *primary, struct shard_offset *o)
{
    for (size_t i = 0; i < t->nodes; i++) {
        const struct pr_node *n = &t->node[i];
        if (n->primary || n->failed || strcmp(n->primary_id, primary->id) != 0)
            continue;
        o->replicas++;
        o->elsewhere += zone_of_node(l, n) != zone_of_node(l, primary);
    }
}

/* Replicas are listed with their primary's figures: one that takes over goes on
 * with its primary's offset, and is found by its own id afterwards. */
static enum pr_code read_offsets(struct dp_workload *l, struct offsets *out, struct pr_err *err)
{
    *out = (struct offsets){ .nodes = 0 };
    enum pr_code rc = pr_cluster_refresh(l->cluster, err);
    if (rc != PR_OK)
        return rc;
    const struct pr_topology *t = pr_cluster_topology(l->cluster);
    out->node = calloc(t->nodes, sizeof *out->node);
    if (out->node == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu nodes", t->nodes);
    for (size_t i = 0; rc == PR_OK && i < t->nodes; i++) {
        const struct pr_node *n = &t->node[i];
        struct shard_offset own = { .primary = true };
        if (n->failed || !n->primary)
            continue;
        rc = read_offset(l->cluster, n->id, &own.offset, err);
        count_replicas(l, t, n, &own);
        for (size_t k = 0; rc == PR_OK && k < t->nodes; k++) {
            const struct pr_node *m = &t->node[k];
            if (k != i && (m->primary || strcmp(m->primary_id, n->id) != 0))
                continue;
            struct shard_offset *o = &out->node[out->nodes++];
            *o = own;
            o->primary = k == i;
            memcpy(o->id, m->id, sizeof o->id);
        }
    }
    return rc;
}

/* A primary may die between the check of the store and this: that is an outage to
 * wait out, as the check does, and no reason to give up. */
static enum pr_code first_offsets(struct dp_workload *l, struct offsets *out, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + FIRST_OFFSETS_MS * 1000LL;
    enum pr_code rc;
    while (((rc = read_offsets(l, out, err)) == PR_EUNAVAIL || rc == PR_ETIMEOUT) && !ended(l) &&
           pr_mono_us() < until_us) {
        free(out->node);
        (void)nanosleep(&(struct timespec){ .tv_nsec = ASK_AGAIN_MS * 1000000L }, NULL);
    }
    return rc;
}

/* What each primary's stream grew by goes to each of its replicas, whether or
 * not a write waits for them. */
static void count_replication(const struct offsets *before, const struct offsets *after,
                              struct dp_workload_report *report)
{
    for (size_t i = 0; i < after->nodes; i++) {
        const struct shard_offset *a = &after->node[i];
        for (size_t k = 0; a->primary && k < before->nodes; k++) {
            const struct shard_offset *b = &before->node[k];
            if (strcmp(a->id, b->id) != 0 || a->offset <= b->offset)
                continue;
            report->replication_bytes += (a->offset - b->offset) * (uint64_t)a->replicas;
            report->replication_cross_bytes += (a->offset - b->offset) * (uint64_t)a->elsewhere;
        }
    }
}

/* --- the run ------------------------------------------------------------ */
static void sum_seen(struct dp_workload *l, struct dp_tally *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < l->opened; i++) {
        pthread_mutex_lock(&l->worker[i].lock);
        add_tally(out, &l->worker[i].seen);
        pthread_mutex_unlock(&l->worker[i].lock);
    }
}

static void run_workers(struct dp_workload *l,
                        void (*progress)(void *, const struct dp_tally *, double), void *ctx,
                        int64_t began_us)
{
    int64_t told_us = began_us;
    for (int i = 0; i < l->opened; i++) {
        struct worker *w = &l->worker[i];
        w->started = pthread_create(&w->thread, NULL, work, w) == 0;
        if (!w->started && !atomic_exchange(&l->failed, true))
            l->why = (struct pr_err){ .code = PR_ENOMEM, .text = "cannot start a thread" };
    }
    while (!ended(l)) {
        (void)nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
        const int64_t now_us = pr_mono_us();
        if (l->o.seconds > 0 && now_us - began_us >= (int64_t)l->o.seconds * 1000000)
            atomic_store(&l->over, true);
        if (progress != NULL && now_us - told_us >= 1000000) {
            struct dp_tally so_far;
            told_us = now_us;
            sum_seen(l, &so_far);
            progress(ctx, &so_far, (double)(now_us - began_us) / 1e6);
        }
    }
    for (int i = 0; i < l->opened; i++)
        if (l->worker[i].started)
            (void)pthread_join(l->worker[i].thread, NULL);
}

static enum pr_code verify_all(struct dp_workload *l, struct dp_workload_report *report,
                               struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    struct dp_ledger file;
    dp_ledger_init(&file, 0, false);
    for (int i = 0; rc == PR_OK && i < l->opened; i++)
        rc = dp_verify(l->cluster, l->o.store->partitions, &l->worker[i].walk.ledger, report, err);
    /* Earlier runs' entries, and ours once more: cheap, and proves the file. */
    if (rc == PR_OK && l->o.ledger_path != NULL && report->lost == 0) {
        rc = dp_ledger_read(&file, l->o.ledger_path, err);
        report->verified = 0;
        if (rc == PR_OK)
            rc = dp_verify(l->cluster, l->o.store->partitions, &file, report, err);
    }
    dp_ledger_done(&file);
    return rc;
}

enum pr_code dp_workload_run(struct dp_workload *l,
                             void (*progress)(void *ctx, const struct dp_tally *so_far,
                                              double seconds),
                             void *ctx, struct dp_workload_report *report, struct pr_err *err)
{
    struct offsets before, after = { .nodes = 0 };
    *report = (struct dp_workload_report){ .seconds = 0 };
    enum pr_code rc = first_offsets(l, &before, err);
    if (rc != PR_OK) {
        free(before.node);
        return rc;
    }
    const int64_t began_us = pr_mono_us();
    run_workers(l, progress, ctx, began_us);
    report->seconds = (double)(pr_mono_us() - began_us) / 1e6;
    sum_seen(l, &report->tally);
    if (atomic_load(&l->failed)) {
        rc = l->why.code;
        if (err != NULL)
            *err = l->why;
    }
    struct pr_err own;
    if (rc == PR_OK && read_offsets(l, &after, &own) == PR_OK)
        count_replication(&before, &after, report);
    free(before.node);
    free(after.node);
    /* Even after a failure: what was acknowledged must be there. */
    struct pr_err unproven;
    const enum pr_code verified = verify_all(l, report, &unproven);
    if (verified != PR_OK && rc == PR_OK) {
        rc = verified;
        if (err != NULL)
            *err = unproven;
    }
    return rc;
}

void dp_workload_report_done(struct dp_workload_report *r)
{
    free(r->finding);
    r->finding = NULL;
    r->lost = 0;
}
