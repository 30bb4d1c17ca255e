#include "io/users.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const struct {
    const char *prefix, *rules;
} KIND[] = {
    /* Exactly what the mover sends, and what the library's functions call inside
     * (Redis checks those against the caller's rights too). */
    [REBALANCE_USER_VERTICES] = { "prism-mv-",
                                  "resetchannels ~{p*}v:* ~{p*}g:* -@all "
                                  "+fcall|prism_take +fcall|prism_fence +fcall|prism_promote "
                                  "+fcall|prism_route +hmget +hget +hset +exists +dump +unlink "
                                  "+rename +restore +wait +ping +scan +info" },
    /* Slots carry keys of anybody. */
    [REBALANCE_USER_FLEET] = { "prism-fl-",
                               "resetchannels ~* -@all "
                               "+migrate +restore +restore-asking +asking +select +dump +unlink "
                               "+exists +type +set +flushall +client|kill +sunionstore +sadd "
                               "+smembers +hmget "
                               "+hget +get "
                               "+memory|usage +wait +ping +role +info +scan +config|get "
                               "+config|set +config|rewrite +function|list +function|load "
                               "+acl|getuser "
                               "+cluster|setslot +cluster|getkeysinslot +cluster|countkeysinslot "
                               "+cluster|nodes +cluster|slots +cluster|shards +cluster|myid "
                               "+cluster|info +cluster|meet +cluster|forget +cluster|replicate "
                               "+cluster|failover +cluster|reset +command|info "
                               /* slots: half-open states are never seen, copies are compared */
                               "+time +multi +exec +watch +unwatch +cluster|delslots "
                               "+cluster|bumpepoch +object|idletime +object|encoding +eval "
                               "+hset +hincrby +hexists +hgetall +hlen +scard +zcard +llen +xlen "
                               /* prints of values, from a replica where there is one */
                               "+readonly +fcall_ro|prism_print +pexpiretime +strlen +zrange "
                               "+lrange" },
};

enum pr_code rebalance_user_init(struct rebalance_user *u, enum rebalance_user_kind kind,
                                 uint64_t epoch, struct pr_err *err)
{
    unsigned char raw[32];
    if (getrandom(raw, sizeof raw, 0) != (ssize_t)sizeof raw)
        return pr_fail(err, PR_EINTERNAL, "no random bytes for a Redis password");
    *u = (struct rebalance_user){ .kind = kind, .epoch = epoch };
    snprintf(u->name, sizeof u->name, "%s%" PRIu64, KIND[kind].prefix, epoch);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(u->password + 2 * i, 3, "%02x", raw[i]);
    return PR_OK;
}

/* Where the server knows them: elsewhere ACL SETUSER refuses the name, and changes nothing. */
static const char *const FLEET_MAY_HAVE[] = {
    "+cluster|migrateslots +cluster|getslotmigrations +cluster|cancelslotmigrations", /* Valkey 9 */
    "+cluster|migration", /* Redis 8.4 */
};

/* Epoch of a user's name if it is one of this kind, 0 for any other. */
static uint64_t epoch_of(enum rebalance_user_kind kind, const char *name)
{
    const size_t n = strlen(KIND[kind].prefix);
    if (name == NULL || strncmp(name, KIND[kind].prefix, n) != 0)
        return 0;
    return strtoull(name + n, NULL, 10);
}

/* rules: words of ACL SETUSER; not anew: added to what the user may. */
static enum pr_code append_user(struct pr_redis *conn, const struct rebalance_user *u,
                                const char *rules, bool anew, struct pr_err *err)
{
    char words[1600], password[sizeof u->password + 1];
    const char *argv[120] = { "ACL", "SETUSER", u->name, "reset", "on", password };
    int argc = anew ? 6 : 3;
    snprintf(password, sizeof password, ">%s", u->password);
    snprintf(words, sizeof words, "%s", rules);
    char *save = NULL;
    for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    return pr_redis_append(conn, argc, argv, NULL, err);
}

static enum pr_code make_user(struct pr_redis *conn, const struct rebalance_user *u,
                              struct pr_err *err)
{
    const size_t more = u->kind == REBALANCE_USER_FLEET ? PR_COUNT(FLEET_MAY_HAVE) : 0;
    struct pr_err refused = { 0 };
    enum pr_code rc = append_user(conn, u, KIND[u->kind].rules, true, err), made = PR_OK;
    for (size_t i = 0; i < more && rc == PR_OK; i++)
        rc = append_user(conn, u, FLEET_MAY_HAVE[i], false, err);
    for (size_t i = 0; i <= more && rc == PR_OK; i++) {
        redisReply *got = NULL;
        rc = pr_redis_reply(conn, &got, err);
        if (rc == PR_OK && i == 0)
            made = pr_redis_reply_code(got, &refused);
        if (got != NULL)
            freeReplyObject(got);
    }
    return rc == PR_OK && made != PR_OK ? pr_fail(err, made, "%s", refused.text) : rc;
}

enum pr_code rebalance_user_make(struct pr_redis *conn, const struct rebalance_user *u,
                                 struct pr_err *err)
{
    redisReply *got = NULL;
    enum pr_code rc = pr_redis_command(conn, &got, err, "ACL USERS");
    if (rc != PR_OK)
        return rc;
    PR_AUTO(redisReply) *users = got;
    for (size_t i = 0; i < users->elements && rc == PR_OK; i++) {
        const char *name = users->element[i]->str;
        const uint64_t epoch = epoch_of(u->kind, name);
        if (epoch > u->epoch)
            return pr_fail(err, PR_EFENCED, "user %s is there already, ours is %s", name, u->name);
        if (epoch == 0 || epoch == u->epoch)
            continue;
        redisReply *gone = NULL;
        rc = pr_redis_command(conn, &gone, err, "ACL DELUSER %s", name);
        if (gone != NULL)
            freeReplyObject(gone);
    }
    return rc == PR_OK ? make_user(conn, u, err) : rc; /* there already: made the same again */
}

void rebalance_users_remove(struct pr_cluster *c, const struct rebalance_user *u)
{
    const struct pr_topology *t = pr_cluster_topology(c);
    for (size_t i = 0; i < t->nodes; i++) {
        struct pr_redis *conn = NULL;
        redisReply *gone = NULL;
        if (t->node[i].failed || pr_cluster_conn(c, t->node[i].id, &conn, NULL) != PR_OK)
            continue;
        if (pr_redis_command(conn, &gone, NULL, "ACL DELUSER %s", u->name) == PR_OK)
            freeReplyObject(gone);
    }
}
