#include "dp_tools.h"

#include "prism/dp/library.h"
#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_BYTES = 1 << 16, MAX_WORDS = 32 };

struct pr_cluster *admin;

/* Environment of a tool as a user of the stack: "CLIENT_REDIS", "REBALANCE_REDIS". */
const char *const *tool_env(const char *user)
{
    static char seeds[4096], name[160], password[256];
    static char nats[300], nats_password[300];
    static const char *env[7];
    char key[64];
    (void)snprintf(seeds, sizeof seeds, "PRISM_REDIS_SEEDS=%s", it_env("IT_REDIS_SEEDS"));
    (void)snprintf(key, sizeof key, "IT_%s_USER", user);
    (void)snprintf(name, sizeof name, "PRISM_REDIS_USER=%s", it_env(key));
    (void)snprintf(key, sizeof key, "IT_%s_PASSWORD", user);
    (void)snprintf(password, sizeof password, "PRISM_REDIS_PASSWORD=%s", it_env(key));
    env[0] = seeds;
    env[1] = name;
    env[2] = password;
    (void)snprintf(nats, sizeof nats, "PRISM_NATS_URL=%s", it_env("IT_NATS_URL"));
    (void)snprintf(nats_password, sizeof nats_password, "PRISM_NATS_PASSWORD=%s",
                   it_env("IT_CLIENT_NATS_PASSWORD"));
    env[3] = nats;
    env[4] = "PRISM_NATS_USER=client";
    env[5] = nats_password;
    env[6] = NULL;
    return env;
}

/* Runs a tool with --json; its last line comes back parsed. */
json_t *run_tool(const char *user, const char *const *argv, int want_status)
{
    static char out[OUT_BYTES];
    const int status = it_run(tool_env(user), argv, out, sizeof out, 90000);
    if (status != want_status)
        fail_msg("%s: status %d, not %d: %s", argv[0], status, want_status, out);
    size_t n = strlen(out);
    while (n > 0 && out[n - 1] == '\n')
        out[--n] = '\0';
    const char *last = strrchr(out, '\n');
    json_error_t why;
    json_t *line = json_loads(last != NULL ? last + 1 : out, 0, &why);
    if (line == NULL)
        fail_msg("%s: '%s' is no JSON: %s", argv[0], out, why.text);
    return line;
}

long long number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v))
        fail_msg("no number '%s'", key);
    return (long long)json_number_value(v);
}

double real(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v))
        fail_msg("no number '%s'", key);
    return json_number_value(v);
}

void assert_error(json_t *line, const char *says)
{
    const char *text = json_string_value(json_object_get(line, "error"));
    if (text == NULL || strstr(text, says) == NULL)
        fail_msg("'%s' does not say '%s'", text != NULL ? text : "(no error)", says);
    assert_null(json_object_get(line, "done"));
    json_decref(line);
}

/* A file of text in the stack's directory; removed by the caller's next put. */
const char *put_file(const char *name, const char *text)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", getenv("PRISM_IT_DIR"), name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    return path;
}

/* The key of a vertex in a partition, or at home (partition < 0). */
static void key_of(char key[PR_MAX_KEY_BYTES], const char *id, int partition)
{
    const uint32_t home = pr_home_partition(pr_vertex_hash(id, strlen(id)), PARTITIONS);
    (void)pr_key_vertex(key, partition < 0 ? home : (uint32_t)partition, id, strlen(id));
}

/* A command of blank-separated words on the primary of its key, as admin. */
static redisReply *ask(const char *key, const char *text)
{
    char copy[512];
    const char *argv[MAX_WORDS];
    size_t len[MAX_WORDS];
    int n = 0;
    struct pr_err err = { .text = "" };
    const struct pr_run_options o = { .deadline_ms = 20000 };
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *save = NULL, *w = strtok_r(copy, " ", &save); w != NULL && n < MAX_WORDS;
         w = strtok_r(NULL, " ", &save), n++) {
        argv[n] = w;
        len[n] = strlen(w);
    }
    struct pr_rcmd cmd = {
        .argc = n, .argv = argv, .argvlen = len, .slot = pr_slot_of_key(key, strlen(key))
    };
    assert_ok(pr_cluster_run(admin, &cmd, 1, &o, &err), &err);
    if (cmd.rc != PR_OK)
        fail_msg("%s: %s", text, err.text);
    return cmd.reply;
}

/* The command with the vertex's key in place of %s. */
redisReply *ask_vertex(const char *id, int partition, const char *fmt)
{
    char key[PR_MAX_KEY_BYTES], text[512];
    const char *at = strstr(fmt, "%s");
    assert_non_null(at);
    key_of(key, id, partition);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - fmt), fmt, key, at + 2);
    return ask(key, text);
}

/* A field of a vertex at home; NULL when absent. Valid until the next call. */
const char *field(const char *id, const char *name)
{
    static char value[256];
    char text[256];
    (void)snprintf(text, sizeof text, "HGET %%s %s", name);
    redisReply *r = ask_vertex(id, -1, text);
    const bool there = r->type == REDIS_REPLY_STRING;
    if (there)
        (void)snprintf(value, sizeof value, "%s", r->str);
    freeReplyObject(r);
    return there ? value : NULL;
}

int tools_start(void **state)
{
    (void)state;
    struct pr_err err = { .text = "" };
    const struct pr_redis_auth auth = { it_env("IT_REDIS_ADMIN_USER"),
                                        it_env("IT_REDIS_ADMIN_PASSWORD") };
    it_redis_flush();
    assert_ok(pr_cluster_open(&admin, it_env("IT_REDIS_SEEDS"), &auth, 5000, &err), &err);
    assert_ok(pr_cluster_load_library(admin, pr_library_code, &err), &err);
    return 0;
}

int tools_stop(void **state)
{
    (void)state;
    pr_cluster_close(admin);
    it_redis_flush();
    return 0;
}

/* --- after a fail-over -------------------------------------------------- */
/* Does the node asked see the one at port, and as many others as it should, as
 * primaries? */
static bool sees_primary(int asked, int port, size_t primaries)
{
    redisContext *c = it_redis_admin(asked);
    redisReply *r = redisCommand(c, "CLUSTER NODES");
    struct pr_topology t = { .nodes = 0 };
    bool there = false;
    size_t n = 0;
    if (r != NULL && pr_topology_parse(r->str, "127.0.0.1", &t, NULL) == PR_OK)
        for (size_t i = 0; i < t.nodes; i++) {
            n += t.node[i].primary;
            there = there || (t.node[i].primary && t.node[i].port == port);
        }
    pr_topology_done(&t);
    if (r != NULL)
        freeReplyObject(r);
    redisFree(c);
    return there && n == primaries;
}

static bool everyone_sees_primary(void *ctx)
{
    const int *want = ctx;
    int port[IT_MAX_NODES];
    const size_t n = it_redis_ports(port);
    for (size_t i = 0; i < n; i++)
        if (!sees_primary(port[i], *want, n / (size_t)(1 + atoi(it_env("IT_REPLICAS")))))
            return false;
    return true;
}

/* A replica that has only just synchronized may let its request time out (5 s). */
void fail_back(int port)
{
    bool done = false;
    for (int again = 0; again < 5 && !done; again++) {
        redisContext *c = it_redis_admin(port);
        redisReply *r = redisCommand(c, "CLUSTER FAILOVER");
        assert_non_null(r); /* refused when it is a primary already */
        freeReplyObject(r);
        redisFree(c);
        done = it_await(everyone_sees_primary, &port, 7000);
    }
    if (!done)
        fail_msg("node %d is not everybody's primary after 35 s", port);
    it_cluster_await(60000);
}
