/* Keys, and the client that uses them while they move. */
#include "rebalance_bench.h"

#include "io/slot/pair.h"

#include "prism/io/clock.h"
#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 64, LOAD_BATCH = 512, MIN_BYTES = 100, MAX_BYTES = 1024, EDGES = 18 };
enum { READ, WRITE, LOAD };

size_t bench_key(char out[48], int slot, int i)
{
    return (size_t)snprintf(out, 48, "k%d:{%u}", i, rebalance_tag_of_slot((unsigned)slot));
}

/* Incompressible, as in the figures that this is compared with. */
static char *noise(struct pr_rng *rng, size_t n)
{
    char *p = malloc(n + 8);
    for (size_t i = 0; p != NULL && i < n; i += 8) {
        const uint64_t v = pr_rng_next(rng);
        memcpy(p + i, &v, 8);
    }
    return p;
}

struct op {
    char key[48];
    const char *argv[4 + 2 * EDGES];
    size_t len[4 + 2 * EDGES];
};

static int say(struct op *op, int argc, const char *text, size_t n)
{
    op->argv[argc] = text;
    op->len[argc] = n;
    return argc + 1;
}

static int say_string(struct op *op, int what, size_t key, const char *value, size_t n)
{
    int argc = say(op, 0, what == READ ? "GET" : "SET", 3);
    argc = say(op, argc, op->key, key);
    return what == READ ? argc : say(op, argc, value, n);
}

/* An edge's weight is a digit of the value. */
static int say_vertex(struct op *op, int what, size_t key, const char *value)
{
    static const char *const CALL[] = { "FCALL_RO", "FCALL", "FCALL" }, *const NAME[] = {
        "prism_get", "prism_write", "prism_load"
    };
    static const char *const EDGE[EDGES] = { "o:10", "o:11", "o:12", "o:13", "o:14", "o:15",
                                             "o:16", "o:17", "o:18", "o:19", "o:20", "o:21",
                                             "o:22", "o:23", "o:24", "o:25", "o:26", "o:27" };
    static const char DIGIT[] = "12345678";
    int argc = say(op, 0, CALL[what], strlen(CALL[what]));
    argc = say(op, argc, NAME[what], strlen(NAME[what]));
    argc = say(op, argc, "1", 1);
    argc = say(op, argc, op->key, key);
    if (what == WRITE)
        argc = say(op, argc, "1", 1);
    for (int i = 0; i < (what == LOAD ? EDGES : 1); i++) {
        argc = say(op, argc, EDGE[i], 4);
        if (what != READ)
            argc = say(op, argc, &DIGIT[value[i] & 7], 1);
    }
    return argc;
}

static void set(const struct bench *b, struct op *op, struct pr_rcmd *cmd, int what, int slot,
                int i, const char *value, size_t n)
{
    const size_t key = bench_key(op->key, slot, i);
    const int argc =
        b->vertices ? say_vertex(op, what, key, value) : say_string(op, what, key, value, n);
    *cmd = (struct pr_rcmd){
        .argc = argc, .argv = op->argv, .argvlen = op->len, .slot = (uint16_t)slot
    };
}

/* A function's first word says what it found. */
static bool done_well(const struct pr_rcmd *cmd)
{
    const redisReply *r = cmd->reply;
    if (cmd->rc != PR_OK || r == NULL || r->type != REDIS_REPLY_ARRAY)
        return cmd->rc == PR_OK;
    return r->elements > 0 && r->element[0]->str != NULL &&
           (strcmp(r->element[0]->str, "OK") == 0 || strcmp(r->element[0]->str, "LIVE") == 0);
}

static uint64_t run(struct pr_cluster *c, struct pr_rcmd *cmd, size_t n, uint64_t *redirects)
{
    const struct pr_run_options o = { .deadline_ms = 20000, .write_retry = true };
    struct pr_err err = { 0 };
    uint64_t failed = 0;
    if (pr_cluster_run(c, cmd, n, &o, &err) != PR_OK)
        bench_fail("the client", &err);
    for (size_t i = 0; i < n; i++) {
        failed += !done_well(&cmd[i]);
        *redirects += cmd[i].redirects;
        if (cmd[i].reply != NULL)
            freeReplyObject(cmd[i].reply);
    }
    return failed;
}

void bench_load(struct bench *b, int pairs, int slots, int keys_per_slot)
{
    static struct op op[LOAD_BATCH];
    static struct pr_rcmd cmd[LOAD_BATCH];
    struct pr_rng rng;
    uint64_t redirects = 0;
    pr_rng_init(&rng, 1);
    char *bytes = noise(&rng, 1 << 20);
    const struct pr_topology *t = pr_cluster_topology(b->cluster);
    for (size_t i = 0; i < t->nodes; i++) {
        struct pr_redis *conn = NULL;
        redisReply *r = NULL;
        if (t->node[i].primary &&
            pr_cluster_conn(b->cluster, t->node[i].id, &conn, NULL) == PR_OK &&
            pr_redis_command(conn, &r, NULL, "FLUSHALL") == PR_OK)
            freeReplyObject(r);
    }
    b->keys_per_slot = keys_per_slot;
    size_t n = 0;
    for (int p = 0; p < pairs; p++) {
        b->pair[p].slots = slots;
        for (int s = 0; s < slots; s++)
            for (int i = 0; i < keys_per_slot; i++) {
                const size_t size = MIN_BYTES + pr_rng_below(&rng, MAX_BYTES - MIN_BYTES);
                set(b, &op[n], &cmd[n], LOAD, b->pair[p].first + s, i,
                    bytes + pr_rng_below(&rng, (1 << 20) - MAX_BYTES), size);
                if (++n == LOAD_BATCH ||
                    (p + 1 == pairs && s + 1 == slots && i + 1 == keys_per_slot)) {
                    if (run(b->cluster, cmd, n, &redirects) > 0)
                        bench_fail("loading", NULL);
                    n = 0;
                }
            }
    }
    free(bytes);
}

/* --- the client ------------------------------------------------------------------------- */

struct bench_load {
    struct bench *b;
    int pairs;
    struct pr_rng rng;
    pthread_t thread;
    atomic_bool stop;
    struct pr_hist latency_us;
    uint64_t errors, redirects;
};

/* Operations are due at fixed times; one that had to wait for others counts from when
 * it was due. */
static void *use(void *arg)
{
    struct bench_load *l = arg;
    struct bench *b = l->b;
    struct pr_cluster *c = NULL;
    struct pr_err err = { 0 };
    static struct op op[BATCH];
    static struct pr_rcmd cmd[BATCH];
    char *bytes = noise(&l->rng, 1 << 16);
    if (pr_cluster_open(&c, b->seeds, &b->admin, 3000, &err) != PR_OK)
        bench_fail("the client", &err);
    const double gap_us = 1e6 / b->ops_per_s;
    const int64_t began_us = pr_mono_us();
    for (uint64_t done = 0; !atomic_load(&l->stop);) {
        const int64_t due_us = began_us + (int64_t)((double)done * gap_us), now_us = pr_mono_us();
        if (now_us < due_us) {
            const struct timespec ts = { 0, (long)(due_us - now_us) * 1000 };
            (void)nanosleep(&ts, NULL);
        }
        size_t n = (size_t)((double)(pr_mono_us() - due_us) / gap_us) + 1;
        n = n < BATCH ? n : BATCH;
        for (size_t i = 0; i < n; i++) {
            const struct bench_pair *p = &b->pair[pr_rng_below(&l->rng, (uint64_t)l->pairs)];
            const int slot = p->first + (int)pr_rng_below(&l->rng, (uint64_t)p->slots);
            const int what = pr_rng_below(&l->rng, 5) == 0 ? READ : WRITE;
            const size_t size = MIN_BYTES + pr_rng_below(&l->rng, MAX_BYTES - MIN_BYTES);
            set(b, &op[i], &cmd[i], what, slot,
                (int)pr_rng_below(&l->rng, (uint64_t)b->keys_per_slot),
                bytes + pr_rng_below(&l->rng, (1 << 16) - MAX_BYTES), size);
        }
        l->errors += run(c, cmd, n, &l->redirects);
        const int64_t end_us = pr_mono_us();
        for (size_t i = 0; i < n; i++)
            pr_hist_add(&l->latency_us,
                        (uint64_t)(end_us - due_us - (int64_t)((double)i * gap_us)));
        done += n;
    }
    pr_cluster_close(c);
    free(bytes);
    return NULL;
}

struct bench_load *bench_client_start(struct bench *b, int pairs, unsigned seed)
{
    struct bench_load *l = calloc(1, sizeof *l);
    if (l == NULL)
        bench_fail("no memory", NULL);
    l->b = b;
    l->pairs = pairs;
    pr_rng_init(&l->rng, seed);
    if (pthread_create(&l->thread, NULL, use, l) != 0)
        bench_fail("no thread", NULL);
    return l;
}

void bench_client_stop(struct bench_load *l, struct bench_client *out)
{
    atomic_store(&l->stop, true);
    pthread_join(l->thread, NULL);
    *out = (struct bench_client){
        .ops = l->latency_us.count,
        .errors = l->errors,
        .redirects = l->redirects,
        .p50_ms = (double)pr_hist_quantile(&l->latency_us, 0.5) / 1e3,
        .p99_ms = (double)pr_hist_quantile(&l->latency_us, 0.99) / 1e3,
        .max_ms = (double)l->latency_us.max / 1e3,
    };
    free(l);
}
