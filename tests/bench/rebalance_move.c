/* The two contenders. */
#include "rebalance_bench.h"

#include "io/slot/pair.h"

#include "prism/io/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t lease_left(void *ctx)
{
    (void)ctx;
    return 60000;
}

static void plan(struct bench *b, int from, int pairs)
{
    struct pr_err err = { 0 };
    b->plan++;
    for (int p = 0; p < pairs; p++) {
        const struct bench_pair *x = &b->pair[from + p];
        char src[16], dst[16];
        snprintf(src, sizeof src, "n%d", x->port[x->at]);
        snprintf(dst, sizeof dst, "n%d", x->port[!x->at]);
        if (pr_db_exec(b->db,
                       "INSERT INTO steps (plan_id, step, wave, kind, slot, src_node, dst_node, "
                       "keys) SELECT $1, $2::int + s, 1, 'slot', $3::int + s, $4, $5, $7 "
                       "FROM generate_series(0, $6::int - 1) AS s",
                       PR_ARGS(pr_i64(b->plan), pr_i64(1 + p * BENCH_SLOTS), pr_i64(x->first),
                               pr_text(src), pr_text(dst), pr_i64(x->slots),
                               pr_i64(b->keys_per_slot)),
                       NULL, &err) != PR_OK)
            bench_fail("the plan", &err);
    }
}

static double move(struct bench *b, int from, int pairs)
{
    struct rebalance_slot_pair pair[BENCH_PAIRS] = { 0 };
    atomic_int stop = REBALANCE_RUN_ON;
    atomic_bool roll_back = false;
    pthread_t thread[BENCH_PAIRS];
    plan(b, from, pairs);
    for (int p = 0; p < pairs; p++) {
        const struct bench_pair *x = &b->pair[from + p];
        snprintf(pair[p].src, sizeof pair[p].src, "n%d", x->port[x->at]);
        snprintf(pair[p].dst, sizeof pair[p].dst, "n%d", x->port[!x->at]);
    }
    struct rebalance_slot_run run = { .cfg = &b->cfg,
                                      .db_uri = b->db_uri,
                                      .metrics = b->metrics,
                                      .seeds = b->seeds,
                                      .service = b->service,
                                      .mover = { b->user.name, b->user.password },
                                      .lease = b->lease,
                                      .lease_left_ms = lease_left,
                                      .plan_id = b->plan,
                                      .wave = 1,
                                      .pair = pair,
                                      .pairs = (size_t)pairs,
                                      .allow_no_replicas = b->replicas == 0,
                                      .stop = &stop,
                                      .roll_back = &roll_back,
                                      .workers_left = (size_t)pairs };
    pthread_mutex_init(&run.lock, NULL);
    const int64_t began_us = pr_mono_us();
    for (int p = 0; p < pairs; p++)
        if (pthread_create(&thread[p], NULL, rebalance_slot_worker_main, &run) != 0)
            bench_fail("no thread", NULL);
    for (int p = 0; p < pairs; p++)
        pthread_join(thread[p], NULL);
    const double seconds = (double)(pr_mono_us() - began_us) / 1e6;
    uint64_t slots = 0;
    for (int p = 0; p < pairs; p++) {
        slots += (uint64_t)b->pair[from + p].slots;
        b->pair[from + p].at = !b->pair[from + p].at;
    }
    if (run.fatal.code != PR_OK || atomic_load(&run.verified) != slots)
        bench_fail("moving", &run.fatal);
    pthread_mutex_destroy(&run.lock);
    return seconds;
}

double bench_move_ours(struct bench *b, int pairs)
{
    return move(b, 0, pairs);
}

void bench_home(struct bench *b)
{
    for (int p = 0; p < BENCH_PAIRS; p++)
        if (b->pair[p].at != 0)
            (void)move(b, p, 1);
}

double bench_move_cli(struct bench *b, int pipeline)
{
    struct bench_pair *x = &b->pair[0];
    char address[32], slots[16], batch[16];
    snprintf(address, sizeof address, "127.0.0.1:%d", x->port[0]);
    snprintf(slots, sizeof slots, "%d", x->slots);
    snprintf(batch, sizeof batch, "%d", pipeline);
    const int64_t began_us = pr_mono_us();
    const pid_t pid = fork();
    if (pid == 0) {
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDOUT_FILENO);
        (void)setenv("REDISCLI_AUTH", b->admin.password, 1);
        execlp(b->cli, b->cli, "--no-auth-warning", "--user", b->admin.user, "--cluster", "reshard",
               address, "--cluster-from", x->id[x->at], "--cluster-to", x->id[!x->at],
               "--cluster-slots", slots, "--cluster-yes", "--cluster-pipeline", batch,
               (char *)NULL);
        _exit(127);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        bench_fail("redis-cli --cluster reshard failed", NULL);
    x->at = !x->at;
    return (double)(pr_mono_us() - began_us) / 1e6;
}

static bool settled(struct bench *b, int pairs)
{
    if (pr_cluster_refresh(b->cluster, NULL) != PR_OK)
        return false;
    const struct pr_topology *t = pr_cluster_topology(b->cluster);
    for (int p = 0; p < pairs; p++)
        for (int s = 0; s < b->pair[p].slots; s++) {
            const int owner = t->slot_owner[b->pair[p].first + s];
            if (owner < 0 || t->node[owner].port != b->pair[p].port[b->pair[p].at])
                return false;
        }
    return true;
}

void bench_check(struct bench *b, int pairs)
{
    for (int i = 0; !settled(b, pairs); i++) {
        if (i == 200)
            bench_fail("slots are not where they should be", NULL);
        (void)usleep(50000);
    }
    for (int p = 0; p < pairs; p++) {
        const struct bench_pair *x = &b->pair[p];
        struct pr_redis *conn = NULL;
        struct pr_err err = { 0 };
        if (pr_cluster_conn(b->cluster, x->id[x->at], &conn, &err) != PR_OK)
            bench_fail("counting", &err);
        for (int s = 0; s < x->slots; s++) {
            redisReply *r = NULL;
            if (pr_redis_command(conn, &r, &err, "CLUSTER COUNTKEYSINSLOT %d", x->first + s) !=
                PR_OK)
                bench_fail("counting", &err);
            if (r->integer != b->keys_per_slot)
                bench_fail("a slot does not hold its keys", NULL);
            freeReplyObject(r);
        }
    }
}
