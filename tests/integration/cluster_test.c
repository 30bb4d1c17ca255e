/* The cluster client against a real Redis Cluster. */
#include "dp_tools.h"
#include "prism/dp/library.h"
#include "prism/io/redis.h"
#include "prism/slot.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pr_run_options quick = { .wait_ms = 500, .deadline_ms = 10000 };

static struct pr_cluster *open_as(const char *user)
{
    char name[64], secret[64];
    struct pr_cluster *c;
    struct pr_err err;
    (void)snprintf(name, sizeof name, "IT_%s_USER", user);
    (void)snprintf(secret, sizeof secret, "IT_%s_PASSWORD", user);
    const struct pr_redis_auth auth = { it_env(name), it_env(secret) };
    assert_ok(pr_cluster_open(&c, it_env("IT_REDIS_SEEDS"), &auth, 5000, &err), &err);
    return c;
}

static int healthy(void **state)
{
    (void)state;
    it_cluster_await(30000);
    return 0;
}

/* --- commands from words ------------------------------------------------ */
struct words {
    const char *argv[8];
    size_t len[8];
};

/* "SET k v": split at single blanks; text must live on. */
static struct pr_rcmd command(struct words *w, char *text, uint16_t slot)
{
    int n = 0;
    for (char *save = NULL, *t = strtok_r(text, " ", &save); t != NULL && n < 8;
         t = strtok_r(NULL, " ", &save), n++) {
        w->argv[n] = t;
        w->len[n] = strlen(t);
    }
    return (struct pr_rcmd){ .argc = n, .argv = w->argv, .argvlen = w->len, .slot = slot };
}

struct one { /* one command with its memory */
    char text[160];
    struct words words;
    struct pr_rcmd cmd;
};

static void make(struct one *o, uint16_t slot, const char *fmt, ...) PR_PRINTF(3, 4);
static void make(struct one *o, uint16_t slot, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(o->text, sizeof o->text, fmt, ap);
    va_end(ap);
    o->cmd = command(&o->words, o->text, slot);
}

static void free_replies(struct pr_rcmd *cmd, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (cmd[i].reply != NULL)
            freeReplyObject(cmd[i].reply);
}

static uint16_t slot_of(const char *key)
{
    return pr_slot_of_key(key, strlen(key));
}

static void run_one(struct pr_cluster *c, struct one *o, enum pr_code want)
{
    struct pr_err err = { .text = "" };
    assert_ok(pr_cluster_run(c, &o->cmd, 1, &quick, &err), &err);
    if (o->cmd.rc != want)
        fail_msg("%s: %s (%s)", o->words.argv[0], err.text, pr_code_name(o->cmd.rc));
}

static void drop(struct pr_cluster *c, const char *key)
{
    struct one o;
    make(&o, slot_of(key), "UNLINK %s", key);
    run_one(c, &o, PR_OK);
    free_replies(&o.cmd, 1);
}

/* A command on a node by port, as admin. */
static void on_node(int port, const char *fmt, ...) PR_PRINTF(2, 3);
static void on_node(int port, const char *fmt, ...)
{
    redisContext *ctx = it_redis_admin(port);
    va_list ap;
    va_start(ap, fmt);
    redisReply *reply = redisvCommand(ctx, fmt, ap);
    va_end(ap);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        fail_msg("node %d: %s: %s", port, fmt, reply == NULL ? ctx->errstr : reply->str);
    freeReplyObject(reply);
    redisFree(ctx);
}

/* A number from INFO <section>, 0 when absent. */
static long info(int port, const char *section, const char *name)
{
    redisContext *ctx = it_redis_admin(port);
    redisReply *reply = redisCommand(ctx, "INFO %s", section);
    assert_non_null(reply);
    const char *at = strstr(reply->str, name);
    const long v = at == NULL ? 0 : strtol(at + strlen(name), NULL, 10);
    freeReplyObject(reply);
    redisFree(ctx);
    return v;
}

/* Another primary than the slot's. */
static const struct pr_node *other_primary(const struct pr_topology *t, uint16_t slot)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].primary && !t->node[i].failed && t->slot_owner[slot] != (int)i)
            return &t->node[i];
    fail_msg("one primary only");
    return NULL;
}

static void set_slot_everywhere(const struct pr_topology *t, uint16_t slot, const char *id)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (t->node[i].primary && !t->node[i].failed)
            on_node(t->node[i].port, "CLUSTER SETSLOT %d NODE %s", slot, id);
}

/* --- tests -------------------------------------------------------------- */
static void pipelines_over_every_node_in_order(void **state)
{
    (void)state;
    enum { N = 30000 };
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    struct one *set = calloc(N, sizeof *set);
    struct pr_rcmd *cmd = calloc(N, sizeof *cmd);
    struct pr_err err = { .text = "" };
    bool used[PR_MAX_NODES] = { false };
    size_t nodes = 0;
    for (size_t i = 0; i < N; i++) { /* ten INCRs a key, so the order shows */
        char key[32];
        (void)snprintf(key, sizeof key, "it:%zu", i % (N / 10));
        make(&set[i], slot_of(key), "INCR %s", key);
        cmd[i] = set[i].cmd;
    }
    assert_ok(pr_cluster_run(c, cmd, N, &quick, &err), &err);
    for (size_t i = 0; i < N; i++) {
        if (cmd[i].rc != PR_OK)
            fail_msg("command %zu: %s", i, err.text);
        assert_int_equal(cmd[i].reply->integer, i / (N / 10) + 1);
        assert_int_equal(cmd[i].redirects, 0);
        assert_int_equal(cmd[i].request_bytes, pr_resp_command_bytes(2, cmd[i].argvlen));
        assert_in_range(cmd[i].node, 0, pr_cluster_topology(c)->nodes - 1);
        if (!used[cmd[i].node]) {
            used[cmd[i].node] = true;
            nodes++;
        }
    }
    assert_true(nodes >= 3);
    free_replies(cmd, N);
    for (size_t i = 0; i < N / 10; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "it:%zu", i);
        drop(c, key);
    }
    free(cmd);
    free(set);
    pr_cluster_close(c);
}

/* 64 MiB there and back: more than every buffer between us and the server, so a
 * client that only writes, or only reads, stands still. */
static void a_pipeline_larger_than_all_buffers_does_not_deadlock(void **state)
{
    (void)state;
    enum { N = 64, BYTES = 1 << 20 };
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    char *big = malloc(BYTES);
    memset(big, 'x', BYTES);
    const char *argv[] = { "ECHO", big };
    const size_t len[] = { 4, BYTES };
    struct pr_rcmd cmd[N];
    struct pr_err err = { .text = "" };
    for (size_t i = 0; i < N; i++)
        cmd[i] = (struct pr_rcmd){ .argc = 2, .argv = argv, .argvlen = len, .slot = 1 };
    assert_ok(pr_cluster_run(c, cmd, N, &quick, &err), &err);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(cmd[i].rc, PR_OK);
        assert_int_equal(cmd[i].reply->len, BYTES);
    }
    free_replies(cmd, N);

    struct pr_redis *conn; /* the same through one plain connection */
    const struct pr_topology *t = pr_cluster_topology(c);
    assert_ok(pr_cluster_conn(c, t->node[t->slot_owner[1]].id, &conn, &err), &err);
    for (size_t i = 0; i < N; i++)
        assert_ok(pr_redis_append(conn, 2, argv, len, &err), &err);
    for (size_t i = 0; i < N; i++) {
        redisReply *reply;
        assert_ok(pr_redis_reply(conn, &reply, &err), &err);
        assert_int_equal(reply->len, BYTES);
        freeReplyObject(reply);
    }
    free(big);
    pr_cluster_close(c);
}

static void follows_moved_and_remembers(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    const char *key = "{it-moved}";
    const uint16_t slot = slot_of(key);
    const struct pr_topology *t = pr_cluster_topology(c);
    const struct pr_node from = t->node[t->slot_owner[slot]], to = *other_primary(t, slot);
    struct one o;

    set_slot_everywhere(t, slot, to.id);
    make(&o, slot, "SET %s 1", key);
    run_one(c, &o, PR_OK);
    assert_int_equal(o.cmd.redirects, 1);
    assert_string_equal(pr_cluster_topology(c)->node[o.cmd.node].id, to.id);
    char where[PR_HOST + 8];
    (void)snprintf(where, sizeof where, "%s:%d", to.host, to.port);
    assert_string_equal(o.cmd.node_host_port, where);
    /* twice the command, and the reply that sent us on */
    assert_int_equal(o.cmd.request_bytes, 2 * pr_resp_command_bytes(3, o.cmd.argvlen));
    assert_true(o.cmd.reply_bytes > strlen("+OK\r\n-MOVED \r\n"));
    free_replies(&o.cmd, 1);

    make(&o, slot, "GET %s", key);
    run_one(c, &o, PR_OK);
    assert_int_equal(o.cmd.redirects, 0);
    free_replies(&o.cmd, 1);
    drop(c, key);
    set_slot_everywhere(pr_cluster_topology(c), slot, from.id);
    pr_cluster_close(c);
}

struct open_slot {
    uint16_t slot;
    struct pr_node from, to;
};

static struct open_slot open_a_slot(struct pr_cluster *c, const char *key)
{
    const struct pr_topology *t = pr_cluster_topology(c);
    struct open_slot o = { .slot = slot_of(key) };
    o.from = t->node[t->slot_owner[o.slot]];
    o.to = *other_primary(t, o.slot);
    on_node(o.to.port, "CLUSTER SETSLOT %d IMPORTING %s", o.slot, o.from.id);
    on_node(o.from.port, "CLUSTER SETSLOT %d MIGRATING %s", o.slot, o.to.id);
    return o;
}

static void close_slot(const struct open_slot *o)
{
    on_node(o->to.port, "CLUSTER SETSLOT %d STABLE", o->slot);
    on_node(o->from.port, "CLUSTER SETSLOT %d STABLE", o->slot);
}

static void follows_ask_without_remembering(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    struct one o;
    const struct open_slot open = open_a_slot(c, "{it-ask}");
    for (int again = 0; again < 2; again++) {
        make(&o, open.slot, "SET {it-ask} 1");
        run_one(c, &o, PR_OK);
        assert_int_equal(o.cmd.redirects, 1);
        assert_string_equal(pr_cluster_topology(c)->node[o.cmd.node].id, open.to.id);
        free_replies(&o.cmd, 1);
    }
    make(&o, open.slot, "UNLINK {it-ask}"); /* it is at the target */
    run_one(c, &o, PR_OK);
    assert_int_equal(o.cmd.reply->integer, 1);
    free_replies(&o.cmd, 1);
    close_slot(&open);
    pr_cluster_close(c);
}

struct closer {
    struct open_slot open;
    long before;
};

static bool someone_must_try_again(void *ctx)
{
    const struct closer *k = ctx;
    return info(k->open.from.port, "errorstats", "errorstat_TRYAGAIN:count=") >= k->before + 2;
}

static void *close_after_two_tries(void *ctx)
{
    const struct closer *k = ctx;
    if (it_await(someone_must_try_again, ctx, 5000))
        close_slot(&k->open);
    return NULL;
}

/* Two keys of an open slot, one already gone: neither node can answer. */
static void waits_while_told_to_try_again(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    struct one o;
    struct closer k;
    struct pr_err err = { .text = "" };
    make(&o, slot_of("{it-try}"), "SET {it-try}a 1");
    run_one(c, &o, PR_OK);
    free_replies(&o.cmd, 1);
    k.open = open_a_slot(c, "{it-try}");

    const struct pr_run_options short_time = { .deadline_ms = 1000 };
    make(&o, k.open.slot, "MGET {it-try}a {it-try}b");
    assert_ok(pr_cluster_run(c, &o.cmd, 1, &short_time, &err), &err);
    assert_int_equal(o.cmd.rc, PR_EUNAVAIL);
    assert_non_null(strstr(err.text, "MGET"));
    assert_null(o.cmd.reply);

    pthread_t thread;
    k.before = info(k.open.from.port, "errorstats", "errorstat_TRYAGAIN:count=");
    assert_int_equal(pthread_create(&thread, NULL, close_after_two_tries, &k), 0);
    make(&o, k.open.slot, "MGET {it-try}a {it-try}b");
    run_one(c, &o, PR_OK);
    assert_int_equal(o.cmd.reply->elements, 2);
    free_replies(&o.cmd, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    drop(c, "{it-try}a");
    pr_cluster_close(c);
}

static int port_of_replica(const struct pr_topology *t, const char *primary_id)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (!t->node[i].primary && strcmp(t->node[i].primary_id, primary_id) == 0)
            return t->node[i].port;
    fail_msg("no replica of %s", primary_id);
    return 0;
}

static void waits_for_replicas_once_a_node_on_the_writing_connection(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    struct pr_run_options o = quick;
    struct one set[8];
    struct pr_rcmd cmd[8];
    struct pr_err err = { .text = "" };
    const uint16_t slot = slot_of("{it-wait}");
    const struct pr_topology *t = pr_cluster_topology(c);
    const struct pr_node primary = t->node[t->slot_owner[slot]];
    o.wait_replicas = 1;
    for (size_t i = 0; i < 8; i++) {
        make(&set[i], slot, "SET {it-wait} %zu", i);
        cmd[i] = set[i].cmd;
        cmd[i].wait = i != 0;
    }
    const long before = info(primary.port, "commandstats", "cmdstat_wait:calls=");
    assert_ok(pr_cluster_run(c, cmd, 8, &o, &err), &err);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(cmd[i].rc, PR_OK);
        assert_int_equal(cmd[i].acked, i != 0 ? 1 : 0);
    }
    free_replies(cmd, 8);
    assert_int_equal(info(primary.port, "commandstats", "cmdstat_wait:calls="), before + 1);

    /* A WAIT on any other connection would be satisfied by nothing at all. */
    char name[32];
    (void)snprintf(name, sizeof name, "redis-%d", port_of_replica(t, primary.id));
    const pid_t replica = it_server_pid(name);
    assert_int_equal(kill(replica, SIGSTOP), 0);
    cmd[1].reply = NULL;
    const enum pr_code rc = pr_cluster_run(c, &cmd[1], 1, &o, &err);
    assert_int_equal(kill(replica, SIGCONT), 0);
    assert_ok(rc, &err);
    assert_int_equal(cmd[1].rc, PR_OK);
    assert_int_equal(cmd[1].acked, 0);
    free_replies(&cmd[1], 1);
    drop(c, "{it-wait}");
    pr_cluster_close(c);
}

static bool answered(void *ctx)
{
    return info(*(const int *)ctx, "clients", "blocked_clients:") == 0;
}

/* A write that is sent elsewhere leaves a WAIT behind where it was sent first; what that
 * answers, after the batch, is nobody else's answer. */
static void an_answer_that_comes_after_its_batch_is_not_the_next_ones(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    const struct pr_topology *t = pr_cluster_topology(c);
    const char *key = "{it-late}";
    const uint16_t slot = slot_of(key);
    const struct pr_node wrong = *other_primary(t, slot);
    uint16_t its = 0; /* a slot of the wrong one, and a key in it */
    char other[32], name[32];
    for (int i = 0; t->node[t->slot_owner[its = slot_of(other)]].port != wrong.port || i == 0; i++)
        (void)snprintf(other, sizeof other, "{it-late-%d}", i);
    struct one own, sent_on, get;
    (void)snprintf(name, sizeof name, "redis-%d", port_of_replica(t, wrong.id));
    const pid_t replica = it_server_pid(name);
    assert_int_equal(kill(replica, SIGSTOP), 0);

    make(&own, its, "SET %s kept", other);
    make(&sent_on, its, "SET %s 1", key); /* by the wrong slot, so MOVED */
    sent_on.cmd.wait = true;
    struct pr_rcmd cmds[] = { own.cmd, sent_on.cmd };
    const struct pr_run_options wait = { .wait_replicas = 1, .wait_ms = 300, .deadline_ms = 10000 };
    const enum pr_code rc = pr_cluster_run(c, cmds, 2, &wait, NULL);
    assert_int_equal(kill(replica, SIGCONT), 0);
    assert_int_equal(rc, PR_OK);
    assert_int_equal(cmds[1].rc, PR_OK);
    assert_int_equal(cmds[1].redirects, 1);
    free_replies(cmds, 2);
    assert_true(it_await(answered, (void *)&wrong.port, 5000));

    struct one length;
    make(&length, its, "STRLEN %s", other);
    make(&get, its, "GET %s", other);
    struct pr_rcmd next[] = { length.cmd, get.cmd };
    struct pr_err err;
    assert_ok(pr_cluster_run(c, next, 2, &quick, &err), &err);
    assert_int_equal(next[0].reply->type, REDIS_REPLY_INTEGER);
    assert_int_equal(next[0].reply->integer, 4);
    assert_int_equal(next[1].reply->type, REDIS_REPLY_STRING);
    free_replies(next, 2);
    drop(c, key);
    drop(c, other);
    pr_cluster_close(c);
}

/* The second command cuts the connection behind itself: the two that follow are
 * sent, and nobody says whether they were executed. */
static void lost_answers_repeat_reads_but_never_writes(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    const uint16_t slot = slot_of("{it-cut}");
    for (int retry = 0; retry < 2; retry++) {
        struct one o[4];
        struct pr_rcmd cmd[4];
        struct pr_err err = { .text = "" };
        struct pr_run_options how = quick;
        how.write_retry = retry == 1;
        make(&o[0], slot, "SET {it-cut} 1");
        make(&o[1], slot, "CLIENT KILL TYPE normal SKIPME no");
        make(&o[2], slot, "GET {it-cut}");
        make(&o[3], slot, "SET {it-cut} 2");
        for (size_t i = 0; i < 4; i++)
            cmd[i] = o[i].cmd;
        assert_ok(pr_cluster_run(c, cmd, 4, &how, &err), &err);
        assert_int_equal(cmd[0].rc, PR_OK);
        assert_int_equal(cmd[1].rc, PR_OK);
        assert_int_equal(cmd[2].rc, PR_OK);
        assert_string_equal(cmd[2].reply->str, "1");
        assert_int_equal(cmd[3].rc, retry ? PR_OK : PR_ETIMEOUT);
        assert_true(retry || (cmd[3].reply == NULL && strstr(err.text, "{it-cut}") != NULL));
        free_replies(cmd, 4);
        drop(c, "{it-cut}");
    }
    pr_cluster_close(c);
}

static void a_connection_closed_while_idle_is_opened_again(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    const struct pr_topology *t = pr_cluster_topology(c);
    const uint16_t slot = slot_of("{it-idle}");
    struct one o;
    make(&o, slot, "SET {it-idle} 1");
    run_one(c, &o, PR_OK);
    free_replies(&o.cmd, 1);
    on_node(t->node[t->slot_owner[slot]].port, "CLIENT KILL TYPE normal SKIPME yes");
    make(&o, slot, "SET {it-idle} 2");
    run_one(c, &o, PR_OK);
    free_replies(&o.cmd, 1);
    drop(c, "{it-idle}");
    pr_cluster_close(c);
}

static void a_refused_command_is_named(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("CLIENT_REDIS");
    struct one o;
    struct pr_err err = { .text = "" };
    make(&o, slot_of("{it-no}"), "SET {it-no} 1");
    assert_ok(pr_cluster_run(c, &o.cmd, 1, &quick, &err), &err);
    assert_int_equal(o.cmd.rc, PR_EDENIED);
    assert_null(o.cmd.reply);
    assert_non_null(strstr(err.text, o.cmd.node_host_port));
    assert_non_null(strstr(err.text, "SET {it-no}"));
    assert_non_null(strstr(err.text, "NOPERM"));
    pr_cluster_close(c);
}

static void a_wrong_password_is_refused_by_user(void **state)
{
    (void)state;
    struct pr_cluster *c = NULL;
    struct pr_err err = { .text = "" };
    const struct pr_redis_auth auth = { "client", "wrong" };
    assert_int_equal(pr_cluster_open(&c, it_env("IT_REDIS_SEEDS"), &auth, 2000, &err), PR_EDENIED);
    assert_non_null(strstr(err.text, "user client"));
    assert_non_null(strstr(err.text, "WRONGPASS"));
}

static void the_check_names_the_node_and_what_is_wrong(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    struct pr_err err = { .text = "" };
    const struct pr_topology *t = pr_cluster_topology(c);
    const struct pr_node bad = t->node[t->slot_owner[77]];
    char where[PR_HOST + 8];
    (void)snprintf(where, sizeof where, "%s:%d", bad.host, bad.port);
    assert_ok(pr_cluster_load_library(c, pr_library_code, &err), &err);
    assert_ok(pr_cluster_check(c, PR_LIBRARY_VERSION, &err), &err);
    assert_ok(pr_cluster_load_library(c, pr_library_code, &err), &err); /* changes nothing */

    static const struct {
        const char *set, *reset, *says;
    } row[] = {
        { "CONFIG SET maxmemory-policy allkeys-lfu", "CONFIG SET maxmemory-policy noeviction",
          "maxmemory-policy is 'allkeys-lfu'" },
        { "CONFIG SET cluster-require-full-coverage yes",
          "CONFIG SET cluster-require-full-coverage no", "cluster-require-full-coverage is 'yes'" },
        { "FUNCTION DELETE prism", "PING", "library prism is not loaded" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        redisContext *ctx = it_redis_admin(bad.port);
        redisReply *reply = redisCommand(ctx, row[i].set);
        assert_true(reply != NULL && reply->type == REDIS_REPLY_STATUS);
        freeReplyObject(reply);
        const enum pr_code rc = pr_cluster_check(c, PR_LIBRARY_VERSION, &err);
        reply = redisCommand(ctx, row[i].reset);
        freeReplyObject(reply);
        redisFree(ctx);
        assert_int_equal(rc, PR_ECONFLICT);
        if (strstr(err.text, row[i].says) == NULL || strstr(err.text, where) == NULL)
            fail_msg("'%s' does not say '%s' of %s", err.text, row[i].says, where);
    }
    assert_ok(pr_cluster_load_library(c, pr_library_code, &err), &err);
    assert_int_equal(pr_cluster_check(c, PR_LIBRARY_VERSION + 1, &err), PR_ECONFLICT);
    assert_non_null(strstr(err.text, "has version"));
    pr_cluster_close(c);
}

static void a_read_outlives_the_primary_that_should_answer(void **state)
{
    (void)state;
    struct pr_cluster *c = open_as("REDIS_ADMIN");
    struct pr_run_options o = { .wait_replicas = 1, .wait_ms = 2000, .deadline_ms = 40000 };
    struct pr_err err = { .text = "" };
    const uint16_t slot = slot_of("{it-dead}");
    const struct pr_topology *t = pr_cluster_topology(c);
    const struct pr_node dead = t->node[t->slot_owner[slot]];
    struct one k;
    make(&k, slot, "SET {it-dead} alive");
    k.cmd.wait = true;
    assert_ok(pr_cluster_run(c, &k.cmd, 1, &o, &err), &err);
    assert_int_equal(k.cmd.acked, 1);
    free_replies(&k.cmd, 1);

    char name[32];
    (void)snprintf(name, sizeof name, "redis-%d", dead.port);
    it_server_kill(name, true);
    make(&k, slot, "GET {it-dead}");
    const enum pr_code rc = pr_cluster_run(c, &k.cmd, 1, &o, &err);
    it_server_up(name);
    it_cluster_await(60000);
    assert_ok(rc, &err);
    if (k.cmd.rc != PR_OK)
        fail_msg("%s", err.text);
    assert_string_equal(k.cmd.reply->str, "alive");
    assert_string_not_equal(pr_cluster_topology(c)->node[k.cmd.node].id, dead.id);
    free_replies(&k.cmd, 1);
    drop(c, "{it-dead}");
    fail_back(dead.port);
    pr_cluster_close(c);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelines_over_every_node_in_order),
        cmocka_unit_test(a_pipeline_larger_than_all_buffers_does_not_deadlock),
        cmocka_unit_test(follows_moved_and_remembers),
        cmocka_unit_test(follows_ask_without_remembering),
        cmocka_unit_test(waits_while_told_to_try_again),
        cmocka_unit_test(an_answer_that_comes_after_its_batch_is_not_the_next_ones),
        cmocka_unit_test(waits_for_replicas_once_a_node_on_the_writing_connection),
        cmocka_unit_test(lost_answers_repeat_reads_but_never_writes),
        cmocka_unit_test(a_connection_closed_while_idle_is_opened_again),
        cmocka_unit_test(a_refused_command_is_named),
        cmocka_unit_test(a_wrong_password_is_refused_by_user),
        cmocka_unit_test(the_check_names_the_node_and_what_is_wrong),
        cmocka_unit_test(a_read_outlives_the_primary_that_should_answer),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, healthy, NULL);
}
