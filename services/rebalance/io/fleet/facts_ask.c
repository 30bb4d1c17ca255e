#include "io/fleet/facts_ask.h"

#include "io/fleet/duties_links.h"

#include <stdlib.h>
#include <string.h>

enum { STRANGER_MS = 1000 };

enum pr_code facts_read_info(const char *info, struct node_says *out, struct pr_err *err)
{
    const char *version = duty_info(info, "redis_version");
    if (version == NULL)
        return pr_fail(err, PR_EDATA, "INFO names no redis_version");
    if (strtol(version, NULL, 10) < 7)
        return pr_fail(err, PR_ECONFLICT, "Redis %.*s, want 7 or newer",
                       (int)strcspn(version, "\r\n"), version);
    const char *db = duty_info(info, "db0");
    const double keys = db == NULL ? 0 : strtod(db + strlen("keys="), NULL);
    *out =
        (struct node_says){ .maxmemory_bytes = duty_info_number(info, "maxmemory"),
                            .used_bytes = duty_info_number(info, "used_memory"),
                            .ops_per_s = duty_info_number(info, "instantaneous_ops_per_sec"),
                            .key_bytes =
                                keys > 0 ? duty_info_number(info, "used_memory_dataset") / keys : 0,
                            .keys = (long)keys };
    return PR_OK;
}

static enum pr_code read_reply(redisReply *got, struct node_says *out, struct pr_err *err)
{
    PR_AUTO(redisReply) *r = got;
    enum pr_code rc = pr_redis_reply_code(r, err);
    if (rc == PR_OK && r->str == NULL)
        rc = pr_fail(err, PR_EDATA, "INFO answered no text");
    return rc == PR_OK ? facts_read_info(r->str, out, err) : rc;
}

static enum pr_code member(struct pr_cluster *c, const struct pr_node *n, bool ask,
                           struct node_says *says, struct pr_err *err)
{
    static const char *const argv[] = { "INFO" };
    struct pr_redis *conn = NULL;
    redisReply *got = NULL;
    enum pr_code rc = pr_cluster_conn(c, n->id, &conn, err);
    if (rc == PR_OK && ask)
        rc = pr_redis_append(conn, 1, argv, NULL, err);
    if (rc == PR_OK && ask)
        rc = pr_redis_flush(conn, err);
    if (rc == PR_OK && !ask)
        rc = pr_redis_reply(conn, &got, err);
    if (rc == PR_OK && !ask)
        rc = read_reply(got, says, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "node %s:%d", n->host, n->port);
}

enum pr_code facts_ask_members(struct pr_cluster *c, struct node_says *says, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(c);
    enum pr_code rc = PR_OK;
    for (int ask = 1; ask >= 0; ask--)
        for (size_t i = 0; i < t->nodes && rc == PR_OK; i++)
            if (!t->node[i].failed)
                rc = member(c, &t->node[i], ask != 0, &says[i], err);
    for (size_t i = 0; i < t->nodes && rc != PR_OK; i++)
        pr_cluster_drop(c, t->node[i].id); /* replies may be under way */
    return rc;
}

bool facts_ask_stranger(const struct rebalance_config *cfg, const char *host, int port,
                        struct node_says *says)
{
    const struct pr_redis_auth auth = { cfg->redis_user[0] == '\0' ? NULL : cfg->redis_user,
                                        cfg->redis_password };
    const int timeout_ms =
        cfg->redis_timeout_ms < STRANGER_MS ? (int)cfg->redis_timeout_ms : STRANGER_MS;
    PR_AUTO(duty_conn) *conn = NULL;
    redisReply *got = NULL;
    if (pr_redis_open(&conn, host, port, &auth, timeout_ms, NULL) != PR_OK ||
        pr_redis_command(conn, &got, NULL, "INFO") != PR_OK)
        return false;
    return read_reply(got, says, NULL) == PR_OK;
}
