/* Start-up and join checks of a cluster, and loading the function library. */
#include "cluster_internal.h"

#include "prism/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum pr_code node_fail(const struct pr_node *n, struct pr_err *err, enum pr_code code,
                              const char *what)
{
    return pr_fail(err, code, "redis node %s:%d (%.8s): %s", n->host, n->port, n->id, what);
}

static enum pr_code check_version(struct pr_redis *conn, const struct pr_node *n,
                                  struct pr_err *err)
{
    PR_AUTO(redisReply) *reply = NULL;
    static const char mark[] = "redis_version:";
    const enum pr_code rc = pr_redis_command(conn, &reply, err, "INFO server");
    if (rc != PR_OK)
        return rc;
    const char *at = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, mark) : NULL;
    if (at == NULL)
        return node_fail(n, err, PR_EDATA, "INFO names no redis_version");
    at += sizeof mark - 1;
    if (strtol(at, NULL, 10) < 7) {
        char what[96];
        (void)snprintf(what, sizeof what, "Redis %.*s, want 7 or newer",
                       (int)strcspn(at, "\r\n") % 32, at);
        return node_fail(n, err, PR_ECONFLICT, what);
    }
    return PR_OK;
}

static const char *acl_member(const redisReply *r, const char *name)
{
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2)
        if (r->element[i]->str != NULL && strcmp(r->element[i]->str, name) == 0)
            return r->element[i + 1]->str;
    return NULL;
}

/* Redis loads its append-only file as the default user: when that one may not do
 * everything, a restart silently drops every MULTI ... EXEC in it, i.e. every
 * function that writes twice (seen in 7.0.15; github.com/redis/redis/issues/14541).
 * The user may be off. Who may not look at users (the data plane) skips this. */
static enum pr_code check_default_user(struct pr_redis *conn, const struct pr_node *n,
                                       struct pr_err *err)
{
    struct pr_err why = { .text = "" };
    PR_AUTO(redisReply) *reply = NULL;
    const enum pr_code rc = pr_redis_command(conn, &reply, &why, "ACL GETUSER default");
    if (rc == PR_EDENIED)
        return PR_OK;
    if (rc != PR_OK)
        return pr_fail(err, rc, "%s", why.text);
    const char *commands = acl_member(reply, "commands"), *keys = acl_member(reply, "keys");
    if (commands != NULL && keys != NULL && strcmp(commands, "+@all") == 0 &&
        strcmp(keys, "~*") == 0)
        return PR_OK;
    return node_fail(n, err, PR_ECONFLICT,
                     "user default may not do everything (want: user default off ~* &* +@all), so "
                     "a restart would drop transactions from the append-only file");
}

/* CONFIG GET shows every setting, passwords included, so the data plane may not
 * use it: who polices the servers is the control plane. */
static enum pr_code check_setting(struct pr_redis *conn, const struct pr_node *n, const char *name,
                                  const char *want, struct pr_err *err)
{
    struct pr_err why = { .text = "" };
    PR_AUTO(redisReply) *reply = NULL;
    const enum pr_code rc = pr_redis_command(conn, &reply, &why, "CONFIG GET %s", name);
    if (rc == PR_EDENIED)
        return PR_OK;
    if (rc != PR_OK)
        return pr_fail(err, rc, "%s", why.text);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return node_fail(n, err, PR_EDATA, "CONFIG GET answered something else");
    if (strcmp(reply->element[1]->str, want) != 0) {
        char what[160];
        (void)snprintf(what, sizeof what, "%s is '%.40s', want '%s'", name, reply->element[1]->str,
                       want);
        return node_fail(n, err, PR_ECONFLICT, what);
    }
    return PR_OK;
}

/* A vertex key whose slot belongs to the node; false when it has none. */
static bool key_of_node(const struct pr_topology *t, int16_t node, char key[PR_MAX_KEY_BYTES])
{
    for (uint32_t p = 0; p < 8 * PR_SLOTS; p++)
        if (t->slot_owner[pr_partition_slot(p)] == node) {
            (void)pr_key_vertex(key, p, "_", 1);
            return true;
        }
    return false;
}

static long reply_version(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
        return -1;
    const redisReply *v = reply->element[1];
    if (v->type == REDIS_REPLY_INTEGER)
        return (long)v->integer;
    return v->type == REDIS_REPLY_STRING ? strtol(v->str, NULL, 10) : -1;
}

/* A primary without slots runs no function (MOVED); it is checked when it gets
 * its first one. */
static enum pr_code check_library(struct pr_cluster *c, struct pr_redis *conn,
                                  const struct pr_node *n, int want, struct pr_err *err)
{
    PR_AUTO(redisReply) *reply = NULL;
    char key[PR_MAX_KEY_BYTES], what[128];
    if (!key_of_node(&c->topology, (int16_t)(n - c->topology.node), key))
        return PR_OK;
    const enum pr_code rc = pr_redis_command(conn, &reply, err, "FCALL_RO prism_version 1 %s", key);
    if (rc == PR_EINVAL && strstr(err->text, "Function not found") != NULL)
        return node_fail(n, err, PR_ECONFLICT, "function library prism is not loaded");
    if (rc == PR_EINVAL && strstr(err->text, ": MOVED ") != NULL)
        return node_fail(n, err, PR_EUNAVAIL, "its slots are moving; check again");
    if (rc != PR_OK)
        return rc;
    const long have = reply_version(reply);
    if (have == want)
        return PR_OK;
    (void)snprintf(what, sizeof what, "function library prism has version %ld, want %d", have,
                   want);
    return node_fail(n, err, PR_ECONFLICT, what);
}

static enum pr_code check_node(struct pr_cluster *c, const struct pr_node *n, int library_version,
                               struct pr_err *err)
{
    struct pr_redis *conn;
    enum pr_code rc = pr_cluster_conn(c, n->id, &conn, err);
    if (rc == PR_OK)
        rc = check_version(conn, n, err);
    if (rc == PR_OK)
        rc = check_setting(conn, n, "maxmemory-policy", "noeviction", err);
    if (rc == PR_OK)
        rc = check_setting(conn, n, "cluster-require-full-coverage", "no", err);
    if (rc == PR_OK)
        rc = check_default_user(conn, n, err);
    if (rc == PR_OK && library_version > 0)
        rc = check_library(c, conn, n, library_version, err);
    return rc;
}

/* A primary that died after its replica took over stays listed, without slots,
 * until it comes back as a replica. */
static bool replaced(const struct pr_topology *t, size_t node)
{
    return t->node[node].failed && !pr_topology_owns_slots(t, node);
}

enum pr_code pr_cluster_check(struct pr_cluster *c, int library_version, struct pr_err *err)
{
    struct pr_err own;
    if (err == NULL)
        err = &own; /* words decide below */
    for (size_t i = 0; i < c->topology.nodes; i++) {
        const struct pr_node *n = &c->topology.node[i];
        if (!n->primary || replaced(&c->topology, i))
            continue;
        if (n->failed)
            return node_fail(n, err, PR_EUNAVAIL, "primary is marked failed");
        const enum pr_code rc = check_node(c, n, library_version, err);
        if (rc != PR_OK)
            return rc;
    }
    return PR_OK;
}

/* FUNCTION LIST LIBRARYNAME prism WITHCODE -> [[name, value, ...]] */
static bool has_code(const redisReply *list, const char *code)
{
    if (list->type != REDIS_REPLY_ARRAY || list->elements != 1 ||
        list->element[0]->type != REDIS_REPLY_ARRAY)
        return false;
    const redisReply *lib = list->element[0];
    for (size_t i = 0; i + 1 < lib->elements; i += 2)
        if (lib->element[i]->type == REDIS_REPLY_STRING &&
            strcmp(lib->element[i]->str, "library_code") == 0 &&
            lib->element[i + 1]->type == REDIS_REPLY_STRING)
            return strcmp(lib->element[i + 1]->str, code) == 0;
    return false;
}

enum pr_code pr_cluster_load_library(struct pr_cluster *c, const char *code, struct pr_err *err)
{
    struct pr_err own;
    if (err == NULL)
        err = &own; /* words decide below */
    for (size_t i = 0; i < c->topology.nodes; i++) {
        const struct pr_node *n = &c->topology.node[i];
        struct pr_redis *conn;
        if (!n->primary || replaced(&c->topology, i))
            continue;
        if (n->failed)
            return node_fail(n, err, PR_EUNAVAIL, "primary is marked failed");
        PR_AUTO(redisReply) *list = NULL, *loaded = NULL;
        enum pr_code rc = pr_cluster_conn(c, n->id, &conn, err);
        if (rc == PR_OK)
            rc = pr_redis_command(conn, &list, err, "FUNCTION LIST LIBRARYNAME prism WITHCODE");
        if (rc == PR_OK && !has_code(list, code))
            rc = pr_redis_command(conn, &loaded, err, "FUNCTION LOAD REPLACE %b", code,
                                  strlen(code));
        /* It was made a replica a moment ago, and not every map says so yet: it gets the library
         * from its primary. */
        if (rc != PR_OK && strstr(err->text, "READONLY") != NULL &&
            !pr_topology_owns_slots(&c->topology, i))
            continue;
        if (rc != PR_OK)
            return pr_wrap(err, rc, "load library prism");
    }
    return PR_OK;
}
