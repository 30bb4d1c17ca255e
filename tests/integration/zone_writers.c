/* Writers that keep a ledger of what every replica acknowledged, and how long it takes until every
 * shard takes a write again. */
#include "zone_stage.h"

#include "prism/io/clock.h"
#include "prism/slot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WRITERS = 3, KEYS = 96, BATCH = 16 };

static struct {
    pthread_t thread[WRITERS];
    bool runs;
    atomic_bool stop;
    atomic_int need;
    atomic_long acked, failed;
    long newest[WRITERS][KEYS], kept[WRITERS][KEYS]; /* written last; acknowledged last */
} writers;

static void key_of(int writer, int k, char out[48])
{
    snprintf(out, 48, "{t%d}zone:%d:%d", k * 97 + writer, writer, k);
}

struct command {
    char key[48], value[24];
    const char *argv[3];
    size_t len[3];
};

static void set(struct pr_rcmd *cmd, struct command *c, long value)
{
    snprintf(c->value, sizeof c->value, "%ld", value);
    c->argv[0] = "SET";
    c->argv[1] = c->key;
    c->argv[2] = c->value;
    for (int i = 0; i < 3; i++)
        c->len[i] = strlen(c->argv[i]);
    *cmd = (struct pr_rcmd){ .argc = 3,
                             .argv = c->argv,
                             .argvlen = c->len,
                             .slot = pr_slot_of_key(c->key, strlen(c->key)),
                             .wait = true };
}

static void *write_on(void *arg)
{
    const int w = (int)(intptr_t)arg;
    struct pr_cluster *c = NULL;
    struct pr_rcmd cmd[BATCH];
    struct command text[BATCH];
    zs_admin(&c, 500);
    for (int at = 0; !atomic_load(&writers.stop); at = (at + BATCH) % KEYS) {
        /* Every replica is waited for; need is what counts. */
        const struct pr_run_options o = { .wait_replicas = zs.replicas,
                                          .wait_ms = 200,
                                          .deadline_ms = 1000 };
        const int need = atomic_load(&writers.need);
        for (int i = 0; i < BATCH; i++) {
            key_of(w, at + i, text[i].key);
            set(&cmd[i], &text[i], ++writers.newest[w][at + i]);
        }
        const enum pr_code rc = pr_cluster_run(c, cmd, BATCH, &o, NULL);
        for (int i = 0; rc == PR_OK && i < BATCH; i++) {
            const bool ok =
                cmd[i].rc == PR_OK && cmd[i].acked >= need && need == atomic_load(&writers.need);
            if (ok)
                writers.kept[w][at + i] = writers.newest[w][at + i];
            atomic_fetch_add(ok ? &writers.acked : &writers.failed, 1);
            if (cmd[i].reply != NULL)
                freeReplyObject(cmd[i].reply);
        }
        const struct timespec pause = { 0, 5000000 };
        nanosleep(&pause, NULL);
    }
    pr_cluster_close(c);
    return NULL;
}

void zs_writers_need(int need)
{
    atomic_store(&writers.need, need);
}

void zs_writers_start(int need)
{
    memset(writers.newest, 0, sizeof writers.newest);
    memset(writers.kept, 0, sizeof writers.kept);
    atomic_store(&writers.acked, 0);
    atomic_store(&writers.failed, 0);
    atomic_store(&writers.stop, false);
    zs_writers_need(need);
    for (int w = 0; w < WRITERS; w++)
        assert_int_equal(pthread_create(&writers.thread[w], NULL, write_on, (void *)(intptr_t)w),
                         0);
    writers.runs = true;
}

void zs_writers_stop(void)
{
    atomic_store(&writers.stop, true);
    for (int w = 0; writers.runs && w < WRITERS; w++)
        pthread_join(writers.thread[w], NULL);
    writers.runs = false;
}

static bool enough(void *ctx)
{
    return atomic_load(&writers.acked) >= *(const long *)ctx;
}

void zs_writers_await(long more)
{
    long want = atomic_load(&writers.acked) + more;
    if (!it_await(enough, &want, ZS_AWAIT_MS))
        fail_msg("%ld writes were acknowledged, %ld wanted", atomic_load(&writers.acked), want);
}

long zs_writers_check(void)
{
    struct pr_err err = { 0 };
    int lost = 0;
    zs_writers_stop();
    assert_ok(pr_cluster_refresh(zs.cluster, &err), &err);
    for (int w = 0; w < WRITERS; w++)
        for (int k = 0; k < KEYS; k++) {
            char key[48];
            key_of(w, k, key);
            const char *argv[] = { "GET", key };
            const size_t len[] = { 3, strlen(key) };
            struct pr_rcmd cmd = {
                .argc = 2, .argv = argv, .argvlen = len, .slot = pr_slot_of_key(key, strlen(key))
            };
            const struct pr_run_options o = { .deadline_ms = 5000 };
            assert_ok(pr_cluster_run(zs.cluster, &cmd, 1, &o, &err), &err);
            assert_ok(cmd.rc, &err);
            const long has =
                cmd.reply->type == REDIS_REPLY_STRING ? strtol(cmd.reply->str, NULL, 10) : 0;
            freeReplyObject(cmd.reply);
            if (has >= writers.kept[w][k] && has <= writers.newest[w][k])
                continue;
            print_message("%s has %ld, %ld was acknowledged, %ld written last\n", key, has,
                          writers.kept[w][k], writers.newest[w][k]);
            lost++;
        }
    print_message("writes: %ld acknowledged, %ld not, keys with a lost one: %d of %d\n",
                  atomic_load(&writers.acked), atomic_load(&writers.failed), lost, WRITERS * KEYS);
    assert_int_equal(lost, 0);
    return atomic_load(&writers.acked);
}

int64_t zs_covered_ms(int64_t since_us, int64_t most_ms)
{
    struct pr_cluster *c = NULL;
    bool done[ZS_SHARDS] = { false };
    int left = zs.shards;
    zs_admin(&c, 300);
    while (left > 0 && pr_mono_us() - since_us < most_ms * 1000) {
        for (int s = 0; s < zs.shards; s++) {
            struct command text;
            struct pr_rcmd cmd;
            const struct pr_run_options o = { .deadline_ms = 150 };
            if (done[s])
                continue;
            snprintf(text.key, sizeof text.key, "{%s}probe", it_slot_tag(zs.slot[s]));
            set(&cmd, &text, 1);
            cmd.wait = false;
            if (pr_cluster_run(c, &cmd, 1, &o, NULL) != PR_OK)
                continue;
            done[s] = cmd.rc == PR_OK && cmd.reply->type != REDIS_REPLY_ERROR;
            left -= done[s];
            if (cmd.reply != NULL)
                freeReplyObject(cmd.reply);
        }
        const struct timespec pause = { 0, pr_cluster_refresh(c, NULL) == PR_OK ? 10000000
                                                                                : 50000000 };
        nanosleep(&pause, NULL);
    }
    pr_cluster_close(c);
    return left == 0 ? (pr_mono_us() - since_us) / 1000 : -1;
}
