/* Whether the whole cluster knows who owns a slot. */
#include "io/slot/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* On a large fleet the primaries take turns at being asked: gossip that reached this
 * many reaches the others too, and watching them is the watcher's work. */
enum { MOST_ASKED = 32, LARGE = 50, SOON_US = 100000, LATER_US = 1000000 };

/* What every node says of a large fleet is long: once a second is often enough. */
int64_t rebalance_verify_every_us(const struct rebalance_verifier *v)
{
    return v->primaries > LARGE ? LATER_US : SOON_US;
}

void rebalance_verifier_close(struct rebalance_verifier *v)
{
    pr_cluster_close(v->cluster);
    v->cluster = NULL;
}

static void judge(const char *text, struct rebalance_slot_step *const *steps, size_t n,
                  const char *owner_id, bool is_party, bool *ok)
{
    struct pr_topology t;
    char id[PR_NODE_ID];
    const bool read = pr_topology_parse(text, NULL, &t, NULL) == PR_OK;
    for (size_t i = 0; i < n; i++) {
        const int owner = read ? t.slot_owner[steps[i]->slot] : -1;
        ok[i] = ok[i] && owner >= 0 && strcmp(t.node[owner].id, owner_id) == 0 &&
                (!is_party || rebalance_slot_mark(text, (unsigned)steps[i]->slot, id) == 0);
    }
    if (read)
        pr_topology_done(&t);
}

static bool wanted(const struct rebalance_verifier *v, const struct pr_topology *t, size_t i,
                   const char *owner_id, const char *other_id, size_t primaries)
{
    const struct pr_node *n = &t->node[i];
    if (n->failed)
        return false;
    if (!n->primary) /* a replica of either may be promoted, and then claims what it knows */
        return strcmp(n->primary_id, owner_id) == 0 || strcmp(n->primary_id, other_id) == 0;
    if (strcmp(n->id, owner_id) == 0 || strcmp(n->id, other_id) == 0 || primaries <= MOST_ASKED)
        return true;
    return (i + t->nodes - v->next % t->nodes) % t->nodes < MOST_ASKED;
}

enum pr_code rebalance_verify(struct rebalance_verifier *v, const struct rebalance_slot_run *run,
                              struct rebalance_slot_step *const *steps, size_t n,
                              const char *owner_id, const char *other_id, bool *ok,
                              struct pr_err *err)
{
    static const char *const NODES[] = { "CLUSTER", "NODES" };
    enum pr_code rc = v->cluster != NULL ? pr_cluster_refresh(v->cluster, err)
                                         : pr_cluster_open(&v->cluster, run->seeds, &run->service,
                                                           rebalance_pair_patience_ms(run), err);
    if (rc != PR_OK)
        return rc;
    const struct pr_topology *t = pr_cluster_topology(v->cluster);
    struct pr_redis **asked = calloc(t->nodes + 1, sizeof(struct pr_redis *));
    size_t primaries = 0, heard = 0;
    if (asked == NULL)
        return pr_fail(err, PR_ENOMEM, "%zu nodes", t->nodes);
    for (size_t i = 0; i < t->nodes; i++)
        primaries += t->node[i].primary && !t->node[i].failed;
    v->primaries = primaries;
    for (size_t i = 0; i < t->nodes; i++) {
        struct pr_redis *conn = NULL;
        if (wanted(v, t, i, owner_id, other_id, primaries) &&
            pr_cluster_conn(v->cluster, t->node[i].id, &conn, NULL) == PR_OK &&
            pr_redis_append(conn, 2, NODES, NULL, NULL) == PR_OK &&
            pr_redis_flush(conn, NULL) == PR_OK)
            asked[i] = conn;
    }
    for (size_t i = 0; i < n; i++)
        ok[i] = true;
    for (size_t i = 0; i < t->nodes; i++) {
        redisReply *got = NULL;
        const bool owner = strcmp(t->node[i].id, owner_id) == 0,
                   party = owner || strcmp(t->node[i].id, other_id) == 0;
        const bool answered = asked[i] != NULL && pr_redis_reply(asked[i], &got, NULL) == PR_OK &&
                              got->str != NULL && got->type != REDIS_REPLY_ERROR;
        if (answered)
            judge(got->str, steps, n, owner_id, party, ok);
        else if (asked[i] != NULL)
            pr_cluster_drop(v->cluster, t->node[i].id);
        heard += answered && owner;
        if (got != NULL)
            freeReplyObject(got);
    }
    v->next += MOST_ASKED;
    free(asked);
    return heard == 1 ? PR_OK : pr_fail(err, PR_EUNAVAIL, "the owner does not answer");
}
