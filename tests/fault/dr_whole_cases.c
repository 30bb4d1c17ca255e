/* A restore of the whole cluster is killed, in every phase. */
#include "dr_scene.h"

#include "dr_restore_stage.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OUT = 1 << 14, SEALED_MS = 150 }; /* so long the target is, here */

static struct own_cluster own;
static char scratch[128];

static long keys_of(int node)
{
    redisContext *c = redisConnect("127.0.0.1", own.port[node]);
    redisReply *r = c != NULL && c->err == 0 ? redisCommand(c, "DBSIZE") : NULL;
    assert_true(r != NULL && r->type == REDIS_REPLY_INTEGER);
    const long n = (long)r->integer;
    freeReplyObject(r);
    redisFree(c);
    return n;
}

static const char *const *command(void)
{
    static const char *args[10];
    size_t n = 0;
    args[n++] = "restore-cluster";
    args[n++] = "--into-cluster";
    args[n++] = own.seeds;
    args[n++] = "--scratch";
    args[n++] = scratch;
    args[n++] = "--partitions";
    args[n++] = "4096";
    args[n++] = "--over-existing";
    args[n] = NULL;
    return args;
}

static void restore(long keys[OWN_PRIMARIES])
{
    char out[OUT];
    if (dr_command(NULL, command(), out, sizeof out) != 0)
        fail_msg("restore-cluster: %s", strlen(out) > 800 ? out + strlen(out) - 800 : out);
    for (int i = 0; i < OWN_PRIMARIES; i++)
        keys[i] = keys_of(i);
}

/* A node that does not say that it is being restored holds all of it. How many say so. */
static int check_nodes(const long want[OWN_PRIMARIES])
{
    int sealed = 0;
    for (int i = 0; i < OWN_PRIMARIES; i++) {
        char text[256];
        own_cluster_version(&own, i, text, sizeof text);
        if (strstr(text, "RESTORING") != NULL)
            sealed++;
        else if (strstr(text, "OK") == NULL || keys_of(i) != want[i])
            fail_msg("node %d says %s, and holds %ld keys of %ld", i, text, keys_of(i), want[i]);
    }
    return sealed;
}

static void nap_ms(long ms)
{
    const struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
    (void)nanosleep(&t, NULL);
}

static bool says_restoring(void)
{
    char text[256];
    for (int i = 0; i < OWN_PRIMARIES; i++) {
        own_cluster_version(&own, i, text, sizeof text);
        if (strstr(text, "RESTORING") != NULL)
            return true;
    }
    return false;
}

/* Some at a call to the bucket, while shards are fetched; some at any moment; and some when the
 * first node is sealed or a little later: while the others are, while they are emptied, filled,
 * counted, compared. */
static bool kill_one(long strike, long took_ms)
{
    struct pr_rng rng = dr_rng("whole", strike);
    const pid_t pid = dr_command_stopped(command());
    if (strike % 3 == 0) {
        dr_rules("pass first=%u times=1 pid=%d signal=9", 1 + (unsigned)pr_rng_below(&rng, 80),
                 (int)pid);
        assert_int_equal(kill(pid, SIGCONT), 0);
        return it_wait(pid, DR_AWAIT_MS) == -SIGKILL;
    }
    assert_int_equal(kill(pid, SIGCONT), 0);
    if (strike % 3 == 1) {
        nap_ms((long)pr_rng_below(&rng, (uint64_t)took_ms));
    } else {
        while (it_alive(pid) && !says_restoring())
            ;
        nap_ms((long)pr_rng_below(&rng, SEALED_MS));
    }
    const bool in_time = it_alive(pid);
    it_kill(pid);
    return in_time;
}

void dr_whole_restore_is_killed(void **state)
{
    (void)state;
    const long strikes = dr_strikes(16);
    long want[OWN_PRIMARIES], got[OWN_PRIMARIES];
    (void)snprintf(scratch, sizeof scratch, "%s/scratch", dr_scene.dir);
    dr_stage_write(7, 300);
    dr_serve();
    dr_ledger_await_acked(30);
    dr_ledger_stop();
    dr_kill();
    own_cluster_start(&own);
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    restore(want);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    const long took_ms =
        (ended.tv_sec - begun.tv_sec) * 1000 + (ended.tv_nsec - begun.tv_nsec) / 1000000;
    assert_int_equal(check_nodes(want), 0);
    for (long i = 0; i < strikes; i++) {
        const bool struck = kill_one(i, took_ms);
        dr_rules("%s", "");
        const int sealed = check_nodes(want);
        if (struck)
            dr_struck(sealed > 0 ? DR_REFUSED : DR_RESUMED);
        if (i % 4 == 3 || i == strikes - 1) {
            restore(got);
            assert_int_equal(check_nodes(want), 0);
            assert_memory_equal(want, got, sizeof want);
        }
    }
    own_cluster_stop(&own);
}
