#include "dr_restore_stage.h"

#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static redisContext *connect_to(int port)
{
    redisContext *c = redisConnect("127.0.0.1", port);
    if (c == NULL || c->err != 0)
        fail_msg("the redis-server on port %d does not answer", port);
    return c;
}

static void order(int port, const char *format, ...)
{
    redisContext *c = connect_to(port);
    va_list ap;
    va_start(ap, format);
    redisReply *r = redisvCommand(c, format, ap);
    va_end(ap);
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        fail_msg("port %d: %s: %s", port, format, r != NULL ? r->str : c->errstr);
    freeReplyObject(r);
    redisFree(c);
}

static void text_of(int port, const char *command, char *out, size_t n)
{
    redisContext *c = redisConnect("127.0.0.1", port);
    redisReply *r = c != NULL && c->err == 0 ? redisCommand(c, command) : NULL;
    (void)snprintf(out, n, "%s", r != NULL && r->str != NULL ? r->str : "");
    freeReplyObject(r);
    if (c != NULL)
        redisFree(c);
}

/* --- the cluster --------------------------------------------------------------------------------
 */

static bool all_answer(void *ctx)
{
    const struct own_cluster *c = ctx;
    char text[64];
    for (int i = 0; i < OWN_NODES; i++) {
        text_of(c->port[i], "PING", text, sizeof text);
        if (strcmp(text, "PONG") != 0)
            return false;
    }
    return true;
}

static bool all_know(void *ctx)
{
    const struct own_cluster *c = ctx;
    char text[4096];
    for (int i = 0; i < OWN_NODES; i++) {
        text_of(c->port[i], "CLUSTER INFO", text, sizeof text);
        if (strstr(text, "cluster_state:ok") == NULL ||
            strstr(text, "cluster_slots_ok:16384") == NULL ||
            strstr(text, "cluster_known_nodes:5") == NULL)
            return false;
    }
    return true;
}

static bool replica_is_in_step(void *ctx)
{
    const struct own_cluster *c = ctx;
    char text[4096];
    text_of(c->port[OWN_NODES - 1], "INFO replication", text, sizeof text);
    return strstr(text, "master_link_status:up") != NULL;
}

static void start_node(struct own_cluster *c, int i, int bus)
{
    char port[16], bus_port[16], dir[96];
    c->port[i] = it_free_port();
    (void)snprintf(port, sizeof port, "%d", c->port[i]);
    (void)snprintf(bus_port, sizeof bus_port, "%d", bus);
    (void)snprintf(dir, sizeof dir, "%s/%d", c->dir, i);
    assert_int_equal(mkdir(dir, 0700), 0);
    const char *argv[] = { "/usr/bin/redis-server",
                           "--port",
                           port,
                           "--bind",
                           "127.0.0.1",
                           "--dir",
                           dir,
                           "--save",
                           "",
                           "--cluster-enabled",
                           "yes",
                           "--cluster-port",
                           bus_port,
                           "--cluster-require-full-coverage",
                           "no",
                           "--repl-diskless-sync-delay",
                           "0",
                           NULL };
    c->pid[i] = it_spawn(NULL, argv);
}

void own_cluster_start(struct own_cluster *c)
{
    int bus[OWN_NODES];
    char id[64];
    (void)snprintf(c->dir, sizeof c->dir, "/tmp/prism-own-XXXXXX");
    assert_non_null(mkdtemp(c->dir));
    for (int i = 0; i < OWN_NODES; i++)
        start_node(c, i, bus[i] = it_free_port());
    if (!it_await(all_answer, c, DR_AWAIT_MS))
        fail_msg("the cluster to restore into does not start");
    for (int i = 0; i < OWN_PRIMARIES; i++) {
        order(c->port[i], "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
        order(c->port[i], "CLUSTER ADDSLOTSRANGE %d %d", i * PR_SLOTS / OWN_PRIMARIES,
              (i + 1) * PR_SLOTS / OWN_PRIMARIES - 1);
    }
    for (int i = 1; i < OWN_NODES; i++)
        order(c->port[0], "CLUSTER MEET 127.0.0.1 %d %d", c->port[i], bus[i]);
    if (!it_await(all_know, c, DR_AWAIT_MS))
        fail_msg("the cluster to restore into does not come together");
    text_of(c->port[0], "CLUSTER MYID", id, sizeof id);
    order(c->port[OWN_NODES - 1], "CLUSTER REPLICATE %s", id);
    if (!it_await(replica_is_in_step, c, DR_AWAIT_MS))
        fail_msg("the replica does not come in step");
    (void)snprintf(c->seeds, sizeof c->seeds, "127.0.0.1:%d,127.0.0.1:%d", c->port[1], c->port[2]);
}

void own_cluster_stop(struct own_cluster *c)
{
    const char *rm[] = { "/bin/rm", "-rf", c->dir, NULL };
    for (int i = 0; i < OWN_NODES; i++)
        if (c->pid[i] > 0)
            it_kill(c->pid[i]);
    if (c->dir[0] != '\0')
        assert_int_equal(it_run(NULL, rm, NULL, 0, 20000), 0);
}

long own_cluster_keys(const struct own_cluster *c)
{
    long sum = 0;
    for (int i = 0; i < OWN_PRIMARIES; i++) {
        redisContext *conn = connect_to(c->port[i]);
        redisReply *r = redisCommand(conn, "DBSIZE");
        assert_non_null(r);
        sum += (long)r->integer;
        freeReplyObject(r);
        redisFree(conn);
    }
    return sum;
}

static uint32_t partition_of_node(int node)
{
    uint32_t p = 0;
    while (pr_partition_slot(p) / (PR_SLOTS / OWN_PRIMARIES) != node)
        p++;
    return p;
}

void own_cluster_version(const struct own_cluster *c, int node, char *out, size_t n)
{
    redisContext *conn = connect_to(c->port[node]);
    redisReply *r =
        redisCommand(conn, "FCALL_RO prism_version 1 {p%u}v:x", partition_of_node(node));
    assert_non_null(r);
    if (r->type == REDIS_REPLY_ARRAY)
        (void)snprintf(out, n, "%s %lld", r->element[0]->str, r->element[1]->integer);
    else
        (void)snprintf(out, n, "%s", r->str != NULL ? r->str : "");
    freeReplyObject(r);
    redisFree(conn);
}

/* --- looking ------------------------------------------------------------------------------------
 */

static int index_of(const char *id, size_t n)
{
    char text[32] = "";
    if (n >= sizeof text || id[0] != 'v')
        return -1;
    memcpy(text, id + 1, n - 1);
    const int number = atoi(text);
    return number >= 3 && (number - 3) % 7 == 0 && (number - 3) / 7 < STAGE_VERTICES
               ? (number - 3) / 7
               : -1;
}

static void look_at(redisContext *conn, const redisReply *key, struct own_seen *seen)
{
    uint32_t p;
    const char *id;
    size_t n;
    if (!pr_key_parse_vertex(key->str, key->len, &p, &id, &n) || index_of(id, n) < 0)
        return;
    struct own_seen *s = &seen[index_of(id, n)];
    const struct stage_vertex *v = &stage.v[index_of(id, n)];
    redisReply *r = redisCommand(conn, "HMGET %s _m _v p:n p:id", key->str);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    if (r->element[1]->str != NULL) {
        s->live++;
        s->at = p;
        s->n = strtol(r->element[2]->str, NULL, 10);
        assert_string_equal(r->element[3]->str, v->id);
    } else if (p == v->home) {
        s->home_to = strtol(r->element[0]->str, NULL, 10);
    }
    freeReplyObject(r);
}

long own_cluster_look(const struct own_cluster *c, struct own_seen *seen)
{
    long staging = 0;
    for (int i = 0; i < STAGE_VERTICES; i++)
        seen[i] = (struct own_seen){ .home_to = -1 };
    for (int i = 0; i < OWN_PRIMARIES; i++) {
        redisContext *conn = connect_to(c->port[i]);
        redisReply *keys = redisCommand(conn, "KEYS *");
        assert_int_equal(keys->type, REDIS_REPLY_ARRAY);
        for (size_t k = 0; k < keys->elements; k++) {
            staging += strstr(keys->element[k]->str, "}g:") != NULL;
            look_at(conn, keys->element[k], seen);
        }
        freeReplyObject(keys);
        redisFree(conn);
    }
    return staging;
}

/* --- the program --------------------------------------------------------------------------------
 */

int own_dr(const char *const *args, char *out, size_t n)
{
    char program[4096];
    const char *argv[24] = { program };
    (void)snprintf(program, sizeof program, "%s/prism-dr", PRISM_BIN_DIR);
    for (int i = 0; args[i] != NULL; i++)
        argv[i + 1] = args[i];
    return it_run(dr.env, argv, out, n, DR_AWAIT_MS);
}

long own_json(const char *json, const char *name)
{
    char key[64];
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    if (at == NULL)
        fail_msg("no %s in %s", key, json);
    return strtol(at + strlen(key), NULL, 10);
}
