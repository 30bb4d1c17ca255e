#include "io/owned.h"

#include <stdio.h>
#include <string.h>

/* The id of the node that answered: of the line that says so of itself. */
static bool own_id(const char *text, char out[PR_NODE_ID])
{
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n'), *self = strstr(line, "myself");
        if (self != NULL && (end == NULL || self < end))
            return sscanf(line, "%40[0-9a-f] ", out) == 1;
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static ptrdiff_t find(const struct pr_topology *t, const char *id)
{
    for (size_t i = 0; i < t->nodes; i++)
        if (strcmp(t->node[i].id, id) == 0)
            return (ptrdiff_t)i;
    return -1;
}

enum pr_code dr_owned_parse(const char *cluster_nodes, const char *host,
                            uint8_t slots[DR_SLOTS / 8], uint64_t *epoch, struct pr_err *err)
{
    struct pr_topology t = { .nodes = 0 };
    char id[PR_NODE_ID] = "";
    const enum pr_code rc = pr_topology_parse(cluster_nodes, host, &t, err);
    if (rc != PR_OK)
        return rc;
    ptrdiff_t at = own_id(cluster_nodes, id) ? find(&t, id) : -1;
    if (at >= 0 && !t.node[at].primary)
        at = find(&t, t.node[at].primary_id);
    memset(slots, 0, DR_SLOTS / 8);
    *epoch = at >= 0 ? t.node[at].config_epoch : 0;
    for (int s = 0; at >= 0 && s < DR_SLOTS; s++)
        if (t.slot_owner[s] == at)
            slots[s / 8] |= (uint8_t)(1u << s % 8);
    pr_topology_done(&t);
    return at >= 0 ? PR_OK
                   : pr_fail(err, PR_EDATA, "%s: CLUSTER NODES does not say whose slots it serves",
                             host);
}

enum pr_code dr_owned_ask(const char *host, int port, const struct pr_redis_auth *auth,
                          int timeout_ms, uint8_t slots[DR_SLOTS / 8], uint64_t *epoch,
                          struct pr_err *err)
{
    struct pr_redis *c = NULL;
    redisReply *got = NULL;
    enum pr_code rc = pr_redis_open(&c, host, port, auth, timeout_ms, err);
    if (rc == PR_OK)
        rc = pr_redis_command(c, &got, err, "CLUSTER NODES");
    PR_AUTO(redisReply) *r = got;
    if (rc == PR_OK && r->str == NULL)
        rc = pr_fail(err, PR_EDATA, "%s: CLUSTER NODES answers something else", host);
    if (rc == PR_OK)
        rc = dr_owned_parse(r->str, host, slots, epoch, err);
    pr_redis_close(c);
    return rc;
}
