#include "dr_slots_ledger.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 24, VALUE = 600 };

struct slots_ledger ledger;

/* --- the ledger: nobody in its thread may fail the test --------------------------------------- */

static int index_of(const char *host_port)
{
    const char *colon = strrchr(host_port, ':');
    for (size_t i = 0; colon != NULL && i < ledger.primaries; i++)
        if (ledger.at[i].port == atoi(colon + 1))
            return (int)i;
    return -1;
}

static void wrong(const char *what)
{
    if (ledger.wrong[0] == '\0')
        (void)snprintf(ledger.wrong, sizeof ledger.wrong, "%.199s", what);
}

static void ask_offsets(redisContext *const *conn)
{
    for (size_t i = 0; i < ledger.primaries; i++) {
        redisReply *r = redisCommand(conn[i], "INFO replication");
        const char *id = r != NULL && r->str != NULL ? strstr(r->str, "master_replid:") : NULL;
        const char *at = id != NULL ? strstr(id, "master_repl_offset:") : NULL;
        if (at == NULL || sscanf(id, "master_replid:%40s", ledger.at[i].replid) != 1)
            wrong("a primary does not say where it is");
        else
            ledger.at[i].offset = strtoull(at + strlen("master_repl_offset:"), NULL, 10);
        freeReplyObject(r);
    }
}

static void write_some(struct pr_cluster *c, redisContext *const *conn)
{
    static char value[BATCH][VALUE + 16];
    const char *argv[BATCH][3];
    size_t len[BATCH][3];
    int key[BATCH];
    struct pr_rcmd cmd[BATCH] = { 0 };
    const struct pr_run_options o = { .deadline_ms = 20000, .write_retry = true };
    struct pr_err err = { 0 };
    for (int i = 0; i < BATCH; i++) {
        const int k = key[i] = (int)pr_rng_below(&ledger.rng, KEYS);
        const int n = snprintf(value[i], sizeof value[i], "%u:", ++ledger.version[k]);
        memset(value[i] + n, 'a' + k % 26, VALUE);
        argv[i][0] = "SET";
        argv[i][1] = ledger.key[k];
        argv[i][2] = value[i];
        len[i][0] = 3;
        len[i][1] = strlen(ledger.key[k]);
        len[i][2] = (size_t)n + VALUE;
        cmd[i] = (struct pr_rcmd){
            .argc = 3, .argv = argv[i], .argvlen = len[i], .slot = ledger.slot[k]
        };
    }
    if (pr_cluster_run(c, cmd, BATCH, &o, &err) != PR_OK)
        wrong(err.text);
    ask_offsets(conn);
    for (int i = 0; i < BATCH; i++) {
        const int at = index_of(cmd[i].node_host_port);
        if (cmd[i].rc == PR_OK && at >= 0 && ledger.pending < PENDING)
            ledger.wait[ledger.pending++] =
                (struct pending){ key[i], at, ledger.version[key[i]], ledger.at[at].offset };
        else
            ledger.dropped++;
        ledger.writes += cmd[i].rc == PR_OK;
        if (cmd[i].reply != NULL)
            freeReplyObject(cmd[i].reply);
    }
}

static void ask_durable(struct pr_db *db)
{
    PGresult *got = NULL;
    struct pr_err err = { 0 };
    if (pr_db_exec(db, "SELECT shard_id, replid, durable_offset FROM dr_shards", NULL, 0, &got,
                   &err) != PR_OK) {
        wrong(err.text);
        return;
    }
    for (int r = 0; r < PQntuples(got); r++)
        for (size_t i = 0; i < ledger.primaries; i++)
            if (strcmp(ledger.at[i].shard, pr_cell(got, r, 0)) == 0 &&
                strcmp(ledger.at[i].replid, pr_cell(got, r, 1)) == 0)
                ledger.at[i].durable = strtoull(pr_cell(got, r, 2), NULL, 10);
    PQclear(got);
    size_t left = 0;
    for (size_t i = 0; i < ledger.pending; i++) {
        const struct pending *p = &ledger.wait[i];
        if (ledger.at[p->at].durable < p->offset) {
            ledger.wait[left++] = *p;
            continue;
        }
        if (p->version > ledger.promised[p->key])
            ledger.promised[p->key] = p->version;
        ledger.promises++;
    }
    ledger.pending = left;
}

static void *write_on(void *arg)
{
    struct pr_cluster *c = arg;
    struct pr_db *db = NULL;
    redisContext *conn[PRIMARIES] = { NULL };
    struct pr_err err = { 0 };
    if (pr_db_open(&db, dr.uri, "ledger", &err) != PR_OK)
        wrong(err.text);
    for (size_t i = 0; i < ledger.primaries; i++)
        conn[i] = it_redis_admin(ledger.at[i].port);
    while (ledger.wrong[0] == '\0' && !atomic_load(&ledger.stop)) {
        write_some(c, conn);
        ask_durable(db);
        if (atomic_exchange(&ledger.note, false)) {
            memcpy(ledger.then, ledger.promised, sizeof ledger.then);
            ledger.then_ms = pr_now_ms();
        }
    }
    for (size_t i = 0; i < ledger.primaries; i++)
        redisFree(conn[i]);
    pr_db_close(db);
    pr_cluster_close(c);
    return NULL;
}

void ledger_start(void)
{
    struct pr_cluster *c = NULL;
    const struct pr_redis_auth admin = { it_env("IT_REDIS_ADMIN_USER"),
                                         it_env("IT_REDIS_ADMIN_PASSWORD") };
    if (pr_cluster_open(&c, it_env("IT_REDIS_SEEDS"), &admin, 3000, NULL) != PR_OK)
        fail_msg("no cluster for the ledger");
    struct dr_shard_at shard[IT_MAX_NODES];
    ledger.primaries = dr_stage_shards(shard);
    assert_true(ledger.primaries <= PRIMARIES);
    for (size_t i = 0; i < ledger.primaries; i++) {
        ledger.at[i] = (struct at){ .port = shard[i].port };
        memcpy(ledger.at[i].shard, shard[i].id, sizeof ledger.at[i].shard);
    }
    ledger.pending = 0;
    ledger.writes = ledger.promises = 0;
    ledger.then_ms = 0;
    atomic_store(&ledger.stop, false);
    assert_int_equal(pthread_create(&ledger.thread, NULL, write_on, c), 0);
    ledger.runs = true;
}

void ledger_stop(void)
{
    if (!ledger.runs)
        return;
    atomic_store(&ledger.stop, true);
    pthread_join(ledger.thread, NULL);
    ledger.runs = false;
    if (ledger.wrong[0] != '\0')
        fail_msg("ledger: %s", ledger.wrong);
}
