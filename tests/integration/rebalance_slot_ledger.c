/* The writer of tests that move slots, with a ledger of what was acknowledged. */
#include "rebalance_slot_stage.h"

#include "io/slot/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    char key[STAGE_MAX_KEYS][48];
    int slot[STAGE_MAX_KEYS];
    unsigned long acked[STAGE_MAX_KEYS], tried[STAGE_MAX_KEYS];
    size_t n;
    int bytes;
    pthread_t thread;
    atomic_bool stop;
    bool runs;
    unsigned long writes, missed;
    bool may_miss;
    char wrong[200]; /* first thing that was wrong; "" nothing */
} ledger;

void slot_ledger_forget(void)
{
    memset(&ledger.acked, 0, sizeof ledger.acked);
    memset(&ledger.tried, 0, sizeof ledger.tried);
    ledger.n = 0;
    ledger.wrong[0] = '\0';
}

enum { PER_RUN = 32, VALUE = 1100 };

struct op {
    const char *argv[3];
    size_t len[3];
    unsigned long acked; /* before: a writer may be at work beside a reader */
    char value[VALUE];
};

static void complain(const char *key, const char *what, unsigned long acked)
{
    if (ledger.wrong[0] == '\0')
        snprintf(ledger.wrong, sizeof ledger.wrong, "key %s: %.80s; acknowledged was write %lu",
                 key, what, acked);
}

static void complain_of_nothing(const struct pr_rcmd *cmd, const char *key, bool check,
                                unsigned long acked)
{
    char what[80];
    snprintf(what, sizeof what, "%s nothing (reply type %d) at %.30s, %u redirects",
             check ? "check" : "writer", cmd->reply->type, cmd->node_host_port,
             (unsigned)cmd->redirects);
    complain(key, what, acked);
}

/* Every third is read, the others are written. */
static void one_run(struct pr_cluster *c, const size_t *index, size_t n, bool read_only)
{
    static _Thread_local struct op op[PER_RUN];
    struct pr_rcmd cmd[PER_RUN] = { 0 };
    const struct pr_run_options o = { .wait_replicas = 2,
                                      .wait_ms = 2000,
                                      .deadline_ms = read_only ? 10000 : 30000 };
    struct pr_err err = { 0 };
    for (size_t i = 0; i < n; i++) {
        const size_t k = index[i];
        const bool write = !read_only && i % 3 != 0;
        op[i].acked = ledger.acked[k];
        if (write)
            ledger.tried[k]++;
        int len = snprintf(op[i].value, sizeof op[i].value, "%lu:", ledger.tried[k]);
        memset(op[i].value + len, 'a' + (int)(k % 26), (size_t)ledger.bytes);
        op[i].argv[0] = write ? "SET" : "GET";
        op[i].argv[1] = ledger.key[k];
        op[i].argv[2] = op[i].value;
        op[i].len[0] = 3;
        op[i].len[1] = strlen(ledger.key[k]);
        op[i].len[2] = (size_t)len + (size_t)ledger.bytes;
        cmd[i] = (struct pr_rcmd){ .argc = write ? 3 : 2,
                                   .argv = op[i].argv,
                                   .argvlen = op[i].len,
                                   .slot = (uint16_t)ledger.slot[k],
                                   .wait = write };
    }
    if (pr_cluster_run(c, cmd, n, &o, &err) != PR_OK) { /* no assertion: not cmocka's thread */
        complain("(any)", err.text, 0);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t k = index[i];
        const redisReply *r = cmd[i].reply;
        if (cmd[i].rc == PR_OK && cmd[i].wait && cmd[i].acked >= 2) {
            ledger.acked[k] = ledger.tried[k];
            ledger.writes++;
        } else if (cmd[i].rc == PR_OK && !cmd[i].wait) {
            if (r->str == NULL && !read_only && ledger.may_miss)
                ledger.missed++;
            else if (r->str == NULL)
                complain_of_nothing(&cmd[i], ledger.key[k], read_only, op[i].acked);
            else if (strtoul(r->str, NULL, 10) < op[i].acked)
                complain(ledger.key[k], "read an older write", op[i].acked);
        } else if (read_only && !cmd[i].wait)
            complain(ledger.key[k], err.text, ledger.acked[k]);
        if (cmd[i].reply != NULL)
            freeReplyObject(cmd[i].reply);
    }
}

static struct pr_cluster *writers_cluster(void)
{
    struct pr_cluster *c = NULL;
    const struct pr_redis_auth admin = { it_env("IT_REDIS_ADMIN_USER"),
                                         it_env("IT_REDIS_ADMIN_PASSWORD") };
    if (pr_cluster_open(&c, it_env("IT_REDIS_SEEDS"), &admin, 1000, NULL) != PR_OK)
        fail_msg("no cluster for the writer");
    return c;
}

void slot_stage_load(int keys_per_slot, int bytes)
{
    struct pr_cluster *c = writers_cluster();
    size_t index[PER_RUN], n = 0;
    ledger.bytes = bytes;
    for (int s = 0; s < STAGE_SLOTS; s++)
        for (int i = 0; i < keys_per_slot; i++) {
            const size_t k = ledger.n++;
            assert_true(k < STAGE_MAX_KEYS);
            ledger.slot[k] = stage.slot[s];
            snprintf(ledger.key[k], sizeof ledger.key[k], "k%d:{%u}", i,
                     rebalance_tag_of_slot((unsigned)stage.slot[s]));
        }
    for (size_t k = 0; k < ledger.n; k++) { /* all are written: two in three of a run are */
        if (n % 3 == 0)
            index[n++] = k == 0 ? 0 : k - 1;
        index[n++] = k;
        if (n >= PER_RUN - 2 || k + 1 == ledger.n) {
            one_run(c, index, n, false);
            n = 0;
        }
    }
    ledger.wrong[0] = '\0'; /* the first reads found nothing yet */
    pr_cluster_close(c);
    for (size_t k = 0; k < ledger.n; k++)
        if (ledger.acked[k] == 0)
            fail_msg("key %s was not loaded", ledger.key[k]);
}

static void *write_on(void *arg)
{
    struct pr_cluster *c = arg;
    size_t index[PER_RUN], k = 0;
    while (!atomic_load(&ledger.stop)) {
        for (size_t i = 0; i < PER_RUN; i++) {
            index[i] = k;
            k = (k + 7919) % ledger.n;
        }
        one_run(c, index, PER_RUN, false);
    }
    pr_cluster_close(c);
    return NULL;
}

void slot_writer_start(bool may_miss)
{
    ledger.may_miss = may_miss;
    ledger.missed = 0;
    atomic_store(&ledger.stop, false);
    ledger.writes = 0;
    assert_int_equal(pthread_create(&ledger.thread, NULL, write_on, writers_cluster()), 0);
    ledger.runs = true;
}

void slot_verify(void)
{
    struct pr_cluster *c = writers_cluster();
    size_t index[PER_RUN];
    for (size_t k = 0; k < ledger.n && ledger.wrong[0] == '\0';) {
        size_t n = 0;
        while (n < PER_RUN && k < ledger.n)
            index[n++] = k++;
        one_run(c, index, n, true);
    }
    pr_cluster_close(c);
    if (ledger.wrong[0] != '\0')
        fail_msg("%s", ledger.wrong);
}

void slot_writer_abandon(void)
{
    if (!ledger.runs)
        return;
    atomic_store(&ledger.stop, true);
    pthread_join(ledger.thread, NULL);
    ledger.runs = false;
}

unsigned long slot_writer_stop(void)
{
    slot_writer_abandon();
    if (ledger.missed > 0)
        print_message("%lu reads found nothing for a moment\n", ledger.missed);
    slot_verify();
    return ledger.writes;
}
