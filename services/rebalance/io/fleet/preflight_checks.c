#include "io/fleet/preflight_checks.h"

#include "io/fleet/facts_ask.h"
#include "io/topology_rows.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum pr_code preflight_zone(struct pr_db *db, const char *node, struct pr_err *err)
{
    struct pr_arena arena;
    struct rebalance_registered reg;
    bool known = false;
    pr_arena_init(&arena, 0);
    enum pr_code rc = rebalance_registered_load(db, &arena, &reg, err);
    for (size_t i = 0; rc == PR_OK && i < reg.nodes; i++)
        if (strcmp(reg.node[i].id, node) == 0)
            known = reg.node[i].zone[0] != '\0' ||
                    rebalance_subnet_zone(reg.subnet, reg.subnets, reg.node[i].host)[0] != '\0';
    pr_arena_done(&arena);
    if (rc == PR_OK && !known)
        rc = pr_fail(err, PR_ECONFLICT,
                     "node %s: its zone is unknown (register it with one, or give the zone a "
                     "subnet)",
                     node);
    return rc;
}

enum pr_code preflight_answers(struct pr_cluster *c, const struct duty_node *n, struct pr_err *err)
{
    struct node_says says;
    PR_AUTO(redisReply) *r = NULL;
    enum pr_code rc = duty_ask(c, n->redis_id, "INFO", &r, err);
    if (rc == PR_OK)
        rc = facts_read_info(r->str, &says, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %s", n->id);
}

enum pr_code preflight_server(struct pr_redis *conn, struct pr_err *err)
{
    struct node_says says = { .keys = 0 };
    PR_AUTO(redisReply) *r = NULL;
    enum pr_code rc = pr_redis_command(conn, &r, err, "INFO");
    if (rc == PR_OK)
        rc = facts_read_info(r->str == NULL ? "" : r->str, &says, err);
    if (rc == PR_OK && duty_info_number(r->str, "loading") != 0)
        rc = pr_fail(err, PR_EUNAVAIL, "it is loading its data");
    if (rc == PR_OK && duty_info_number(r->str, "cluster_enabled") != 1)
        rc = pr_fail(err, PR_ECONFLICT, "it is not in cluster mode (cluster-enabled yes)");
    if (rc == PR_OK && says.keys > 0)
        rc = pr_fail(err, PR_ECONFLICT,
                     "it holds %ld keys already (FLUSHALL them, or another node)", says.keys);
    return rc;
}

enum pr_code preflight_empty(struct pr_cluster *c, struct pr_redis *conn, const struct duty_node *n,
                             struct pr_err *err)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, n->host, address) != 1 && inet_pton(AF_INET6, n->host, address) != 1)
        return pr_fail(err, PR_EINVAL,
                       "its host is '%s': want the IP address that the cluster will report",
                       n->host);
    const struct pr_topology *t = pr_cluster_topology(c);
    struct pr_arena arena;
    pr_arena_init(&arena, 0);
    struct rebalance_view *v = pr_arena_alloc(&arena, sizeof *v);
    enum pr_code rc =
        v == NULL ? pr_fail(err, PR_ENOMEM, "a view") : duty_view(conn, n->host, &arena, v, err);
    for (size_t i = 0; rc == PR_OK && i < v->nodes; i++) {
        bool ours = v->node[i].myself || v->node[i].handshake;
        for (size_t k = 0; k < t->nodes && !ours; k++)
            ours = strcmp(t->node[k].id, v->node[i].id) == 0;
        if (!ours)
            rc = pr_fail(err, PR_ECONFLICT,
                         "it belongs to another cluster: it knows %s:%d (CLUSTER RESET it first)",
                         v->node[i].host, v->node[i].port);
    }
    if (rc == PR_OK && v->node[v->me].slots > 0)
        rc = pr_fail(err, PR_ECONFLICT, "it owns %d slots already", v->node[v->me].slots);
    if (rc == PR_OK && v->opens > 0)
        rc = pr_fail(err, PR_ECONFLICT, "slot %d is open on it", v->open[0].slot);
    pr_arena_done(&arena);
    return rc;
}

/* --- settings --------------------------------------------------------------------------- */

static enum pr_code setting(struct pr_redis *conn, const char *name, char *out, size_t size,
                            struct pr_err *err)
{
    PR_AUTO(redisReply) *r = NULL;
    enum pr_code rc = pr_redis_command(conn, &r, err, "CONFIG GET %s", name);
    if (rc != PR_OK)
        return rc;
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[1]->str == NULL)
        return pr_fail(err, PR_EDATA, "CONFIG GET %s answered something else", name);
    snprintf(out, size, "%s", r->element[1]->str);
    return PR_OK;
}

enum pr_code preflight_settings(struct pr_redis *conn, struct pr_redis *model, struct pr_err *err)
{
    /* A node with another time-out would be called dead, or call others dead, at
     * another time; without its log it would lose on a restart what others keep. */
    static const char *const as_members[] = { "appendonly", "cluster-node-timeout" };
    char have[256], want[256];
    enum pr_code rc = setting(conn, "maxmemory-policy", have, sizeof have, err);
    if (rc == PR_OK && strcmp(have, "noeviction") != 0)
        rc = pr_fail(err, PR_ECONFLICT, "maxmemory-policy is '%s', want 'noeviction'", have);
    for (size_t i = 0; i < PR_COUNT(as_members) && rc == PR_OK; i++) {
        rc = setting(conn, as_members[i], have, sizeof have, err);
        if (rc == PR_OK)
            rc = setting(model, as_members[i], want, sizeof want, err);
        if (rc == PR_OK && strcmp(have, want) != 0)
            rc = pr_fail(err, PR_ECONFLICT, "%s is '%s', the members have '%s'", as_members[i],
                         have, want);
    }
    /* Secrets: compared, never shown. */
    static const char *const secret[] = { "masteruser", "masterauth" };
    for (size_t i = 0; i < PR_COUNT(secret) && rc == PR_OK; i++) {
        rc = setting(conn, secret[i], have, sizeof have, err);
        if (rc == PR_OK)
            rc = setting(model, secret[i], want, sizeof want, err);
        if (rc == PR_OK && strcmp(have, want) != 0)
            rc = pr_fail(err, PR_ECONFLICT,
                         "%s is not the members': it could not replicate, nor be replicated",
                         secret[i]);
    }
    return rc;
}

/* --- users ------------------------------------------------------------------------------- */

/* "user NAME flags #hash rules": ours of an epoch come and go by themselves. */
static bool of_an_epoch(const char *line)
{
    return strncmp(line, "user prism-mv-", 14) == 0 || strncmp(line, "user prism-fl-", 14) == 0;
}

static const char *same_user(const redisReply *list, const char *line)
{
    const size_t name = strcspn(line + 5, " ") + 6; /* with the blank behind it */
    for (size_t i = 0; i < list->elements; i++)
        if (strncmp(list->element[i]->str, line, name) == 0)
            return list->element[i]->str;
    return NULL;
}

static bool has_word(const char *line, const char *word, size_t n)
{
    for (const char *p = line; *p != '\0'; p += strspn(p, " ")) {
        const size_t m = strcspn(p, " ");
        if (m == n && memcmp(p, word, n) == 0)
            return true;
        p += m;
    }
    return false;
}

/* Redis lists a user's commands in the order of a hash table that differs from
 * process to process: the same words in any order are the same rights. */
static bool same_rights(const char *a, const char *b)
{
    if (strlen(a) != strlen(b))
        return false;
    for (const char *p = a; *p != '\0'; p += strspn(p, " ")) {
        const size_t n = strcspn(p, " ");
        if (!has_word(b, p, n))
            return false;
        p += n;
    }
    return true;
}

static enum pr_code list_users(struct pr_redis *conn, redisReply **out, struct pr_err *err)
{
    enum pr_code rc = pr_redis_command(conn, out, err, "ACL LIST");
    for (size_t i = 0; rc == PR_OK && i < (*out)->elements; i++)
        if ((*out)->element[i]->str == NULL || strlen((*out)->element[i]->str) < 6)
            rc = pr_fail(err, PR_EDATA, "ACL LIST answered something else");
    return rc;
}

enum pr_code preflight_users(struct pr_redis *conn, struct pr_redis *model, struct pr_err *err)
{
    PR_AUTO(redisReply) *have = NULL;
    PR_AUTO(redisReply) *want = NULL;
    enum pr_code rc = list_users(conn, &have, err);
    if (rc == PR_OK)
        rc = list_users(model, &want, err);
    for (size_t i = 0; rc == PR_OK && i < want->elements; i++) {
        const char *line = want->element[i]->str;
        const char *here = of_an_epoch(line) ? line : same_user(have, line);
        const int name = (int)strcspn(line + 5, " ");
        if (here == NULL)
            rc = pr_fail(err, PR_ECONFLICT, "it has no Redis user %.*s, which the members have",
                         name, line + 5);
        else if (!same_rights(here, line))
            rc = pr_fail(err, PR_ECONFLICT,
                         "its Redis user %.*s has other rights or another password than at the "
                         "members",
                         name, line + 5);
    }
    return rc;
}
