/* How old is what the other region has, and what does it cost? The real service between a real
 * cluster and a real S3 server: writes at a fixed rate while others ask how long until theirs are
 * durable; then writes as fast as goes, with and without it. */
#include "dr_rows.h"
#include "dr_stage.h"

#include "prism/io/bus.h"
#include "prism/io/clock.h"
#include "prism/v1/dr.pb-c.h"

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum {
    PIPE = 100,
    VALUE = 1024,
    KEYS = 20000,
    PROBES = 16,
    SAMPLES = 1 << 16,
    FAST_S = 3 /* as fast as goes: the S3 server keeps it all in 4 GiB of memory */
};

static const char usage[] = "usage: dr-bench [options]\n"
                            "  --quick       one round of 4 s\n"
                            "  --rounds N    medians of N (3)\n"
                            "  --seconds N   of a round (6)\n"
                            "  --rate N      MB/s of writes while lag is measured (30)\n";

static struct {
    int rounds, seconds;
    double rate;
    struct dr_shard_at shard[IT_MAX_NODES];
    char tag[IT_MAX_NODES][16];
    size_t shards;
    struct pr_bus *bus;
    atomic_bool stop;
    atomic_ullong written; /* bytes of values */
    double goal_bps;       /* 0: as fast as goes */
    pthread_mutex_t mu;
    double lag_ms[SAMPLES];
    size_t samples;
    unsigned unanswered;
} b = { .rounds = 3, .seconds = 6, .rate = 30, .mu = PTHREAD_MUTEX_INITIALIZER };

/* --- load ------------------------------------------------------------------------------------- */

static void *load(void *arg)
{
    const size_t i = *(const size_t *)arg;
    static char value[VALUE * 64];
    redisContext *c = it_redis_admin(b.shard[i].port);
    const int64_t begun_us = pr_mono_us();
    struct pr_rng rng;
    unsigned long long mine = 0;
    pr_rng_init(&rng, i);
    while (!atomic_load(&b.stop)) {
        for (int k = 0; k < PIPE; k++)
            redisAppendCommand(c, "SET {%s}b%d %b", b.tag[i], (int)pr_rng_below(&rng, KEYS),
                               value + pr_rng_below(&rng, sizeof value - VALUE), (size_t)VALUE);
        for (int k = 0; k < PIPE; k++) {
            void *r = NULL;
            if (redisGetReply(c, &r) != REDIS_OK || ((redisReply *)r)->type == REDIS_REPLY_ERROR)
                fail_msg("load: port %d: %s", b.shard[i].port, c->errstr);
            freeReplyObject(r);
        }
        atomic_fetch_add(&b.written, (unsigned long long)PIPE * VALUE);
        mine += (unsigned long long)PIPE * VALUE;
        const double due_us =
            b.goal_bps > 0 ? (double)mine * (double)b.shards / b.goal_bps * 1e6 : 0;
        const int64_t ahead_us = (int64_t)due_us - (pr_mono_us() - begun_us);
        if (ahead_us > 0) {
            const struct timespec t = { ahead_us / 1000000, (long)(ahead_us % 1000000) * 1000 };
            (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
        }
    }
    redisFree(c);
    return NULL;
}

/* --- probes -------------------------------------------------------------------------------------
 */

static bool ask(const char *shard, const char *replid, uint64_t offset)
{
    Prism__V1__DrDurableRequest q = PRISM__V1__DR_DURABLE_REQUEST__INIT;
    uint8_t packed[256];
    void *reply = NULL;
    size_t n = 0;
    struct pr_err err = { 0 };
    bool reached = false;
    q.shard = (char *)(uintptr_t)shard;
    q.replid = (char *)(uintptr_t)replid;
    q.offset = offset;
    q.wait_ms = 20000;
    if (pr_bus_request(b.bus, "prism.rpc.dr.durable", packed,
                       prism__v1__dr_durable_request__pack(&q, packed), 22000, &reply, &n,
                       &err) == PR_OK) {
        Prism__V1__DrDurableResponse *r = prism__v1__dr_durable_response__unpack(NULL, n, reply);
        reached = r != NULL && r->reached;
        if (r != NULL)
            prism__v1__dr_durable_response__free_unpacked(r, NULL);
    }
    free(reply);
    return reached;
}

/* A write, and how long until it is durable from when it was acknowledged. */
static void *probe(void *arg)
{
    const size_t i = *(const size_t *)arg % b.shards;
    redisContext *c = it_redis_admin(b.shard[i].port);
    while (!atomic_load(&b.stop)) {
        char replid[64] = "";
        redisReply *r = redisCommand(c, "SET {%s}probe %lld", b.tag[i], (long long)pr_mono_us());
        freeReplyObject(r);
        const int64_t at_us = pr_mono_us();
        r = redisCommand(c, "INFO replication");
        const char *id = strstr(r->str, "master_replid:");
        const char *at = strstr(r->str, "master_repl_offset:");
        (void)sscanf(id, "master_replid:%63[0-9a-f]", replid);
        const uint64_t offset = strtoull(at + strlen("master_repl_offset:"), NULL, 10);
        freeReplyObject(r);
        const bool reached = ask(b.shard[i].id, replid, offset);
        pthread_mutex_lock(&b.mu);
        if (reached && b.samples < SAMPLES)
            b.lag_ms[b.samples++] = (double)(pr_mono_us() - at_us) / 1e3;
        b.unanswered += !reached;
        pthread_mutex_unlock(&b.mu);
    }
    redisFree(c);
    return NULL;
}

/* --- one round -----------------------------------------------------------------------------------
 */

/* User and system seconds of the primaries so far. */
static double primaries_cpu_s(void)
{
    double ticks = 0;
    for (size_t i = 0; i < b.shards; i++) {
        char path[64], name[32], text[1024] = "";
        unsigned long long user = 0, system = 0;
        (void)snprintf(name, sizeof name, "redis-%d", b.shard[i].port);
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)it_server_pid(name));
        FILE *f = fopen(path, "re");
        assert_non_null(f);
        assert_true(fread(text, 1, sizeof text - 1, f) > 0);
        fclose(f);
        assert_int_equal(sscanf(strrchr(text, ')'),
                                ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                                &system),
                         2);
        ticks += (double)(user + system);
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

struct round {
    double mbps, cpu_s_per_gb;
};

static void run(double goal_mbps, int seconds, bool probes, struct round *out)
{
    pthread_t loader[IT_MAX_NODES], prober[PROBES];
    size_t number[IT_MAX_NODES]; /* no fewer than PROBES */
    const struct timespec t = { seconds, 0 };
    for (size_t i = 0; i < sizeof number / sizeof number[0]; i++)
        number[i] = i;
    b.goal_bps = goal_mbps * 1e6;
    b.samples = 0;
    atomic_store(&b.written, 0);
    atomic_store(&b.stop, false);
    const double cpu = primaries_cpu_s();
    const int64_t begun_us = pr_mono_us();
    for (size_t i = 0; i < b.shards; i++)
        assert_int_equal(pthread_create(&loader[i], NULL, load, &number[i]), 0);
    for (size_t i = 0; probes && i < PROBES; i++)
        assert_int_equal(pthread_create(&prober[i], NULL, probe, &number[i]), 0);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); /* the length of a round */
    const double took_s = (double)(pr_mono_us() - begun_us) / 1e6;
    const double bytes = (double)atomic_load(&b.written);
    out->cpu_s_per_gb = (primaries_cpu_s() - cpu) / (bytes / 1e9);
    out->mbps = bytes / 1e6 / took_s;
    atomic_store(&b.stop, true);
    for (size_t i = 0; i < b.shards; i++)
        pthread_join(loader[i], NULL);
    for (size_t i = 0; probes && i < PROBES; i++)
        pthread_join(prober[i], NULL);
}

static void start(const char *flush_ms)
{
    static unsigned times;
    char name[64];
    (void)snprintf(name, sizeof name, "%s-%u", dr.cluster, ++times);
    dr_stage_set("PRISM_DR_CLUSTER", name);
    dr_stage_set("PRISM_DR_FLUSH_MS", flush_ms);
    dr_stage_set("PRISM_DR_BEAT_MS", "1000");
    it_sql(dr.uri, "DELETE FROM dr_shards", NULL, 0);
    it_sql(dr.uri, "DELETE FROM dr_groups", NULL, 0);
    dr_stage_start();
}

static void lag(const char *flush_ms, const char *goal)
{
    struct row p50 = { .n = 0 }, p99 = { .n = 0 }, mbps = { .n = 0 };
    char what[80];
    start(flush_ms);
    for (int i = 0; i < b.rounds; i++) {
        struct round r;
        run(b.rate, b.seconds, true, &r);
        if (b.samples == 0)
            fail_msg("nothing became durable");
        qsort(b.lag_ms, b.samples, sizeof b.lag_ms[0], row_by_value);
        p50.v[p50.n++] = b.lag_ms[b.samples / 2];
        p99.v[p99.n++] = b.lag_ms[b.samples * 99 / 100];
        mbps.v[mbps.n++] = r.mbps;
    }
    assert_int_equal(it_stop(dr.dr.pid), 0);
    (void)snprintf(what, sizeof what, "flush %s ms: writes", flush_ms);
    row_print(what, &mbps, "MB/s", "");
    (void)snprintf(what, sizeof what, "flush %s ms: durable after, p50", flush_ms);
    row_print(what, &p50, "ms", "");
    (void)snprintf(what, sizeof what, "flush %s ms: durable after, p99", flush_ms);
    row_print(what, &p99, "ms", goal);
}

static void cost(void)
{
    struct row fast[2] = { { .n = 0 }, { .n = 0 } }, cpu[2] = { { .n = 0 }, { .n = 0 } };
    static const char *const WITH[] = { "without it", "with it" };
    char what[80];
    for (int i = 0; i < 2 * b.rounds; i++) { /* in turns */
        struct round r;
        const int with = i % 2;
        if (with)
            start("1000");
        run(0, FAST_S, false, &r);
        fast[with].v[fast[with].n++] = r.mbps;
        run(b.rate, b.seconds, false, &r);
        cpu[with].v[cpu[with].n++] = r.cpu_s_per_gb;
        if (with)
            assert_int_equal(it_stop(dr.dr.pid), 0);
    }
    for (int with = 0; with < 2; with++) {
        (void)snprintf(what, sizeof what, "as fast as goes, %s", WITH[with]);
        row_print(what, &fast[with], "MB/s", "");
    }
    for (int with = 0; with < 2; with++) {
        (void)snprintf(what, sizeof what, "CPU of primaries at %.0f MB/s, %s", b.rate, WITH[with]);
        row_print(what, &cpu[with], "s/GB", with ? "+5 %" : "");
    }
}

static void options(int argc, char **argv)
{
    static const struct option LONG[] = {
        { "quick", no_argument, NULL, 'q' },         { "rounds", required_argument, NULL, 'r' },
        { "seconds", required_argument, NULL, 's' }, { "rate", required_argument, NULL, 'm' },
        { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 }
    };
    for (int o; (o = getopt_long(argc, argv, "", LONG, NULL)) != -1;) {
        if (o == 'q') {
            b.rounds = 1;
            b.seconds = 4;
        } else if (o == 'r')
            b.rounds = atoi(optarg);
        else if (o == 's')
            b.seconds = atoi(optarg);
        else if (o == 'm')
            b.rate = atof(optarg);
        else {
            fputs(usage, o == 'h' ? stdout : stderr);
            exit(o == 'h' ? 0 : 2);
        }
    }
    if (b.rounds < 1 || b.rounds > MAX_ROUNDS || b.seconds < 1 || b.rate <= 0) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    void *state = NULL;
    struct utsname is;
    struct pr_err err = { 0 };
    options(argc, argv);
    (void)dr_stage_open(&state);
    b.shards = dr_stage_shards(b.shard);
    for (size_t i = 0; i < b.shards; i++)
        dr_stage_tag(&b.shard[i], b.tag[i]);
    const struct pr_bus_options o = { .url = it_env("IT_NATS_URL"),
                                      .user = it_env("IT_METADATA_API_NATS_USER"),
                                      .password = it_env("IT_METADATA_API_NATS_PASSWORD"),
                                      .name = "dr-bench" };
    if (pr_bus_open(&b.bus, &o, &err) != PR_OK)
        fail_msg("%s", err.text);
    (void)uname(&is);
    printf(
        "%s %s, %ld cores shared by the cluster (%zu shards, a replica each), S3 server and load; "
        "%d rounds of %d s, medians\n",
        is.sysname, is.release, sysconf(_SC_NPROCESSORS_ONLN), b.shards, b.rounds, b.seconds);
    row_head();
    lag("1000", "<= 2000");
    lag("100", "<= 250");
    cost();
    if (b.unanswered > 0)
        printf("%u questions were not answered in 20 s\n", b.unanswered);
    pr_bus_close(b.bus);
    return b.unanswered > 0;
}
