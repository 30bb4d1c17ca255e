#include "io/target.h"

#include "prism/dp/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 60000, EMPTY_MS = 600000 };

/* no-writes: they answer FCALL_RO too. */
static const char seal[] =
    "#!lua name=prism\n"
    "-- sealed by prism-dr: this store is being restored\n"
    "local function sealed()\n"
    "    return redis.error_reply('RESTORING this store is being restored; see prism-dr "
    "restore-cluster')\n"
    "end\n"
    "local names = {'take', 'fence', 'promote', 'route', 'delete', 'write', 'claim', 'create',\n"
    "               'load', 'get', 'neighbors', 'version'}\n"
    "for i = 1, #names do\n"
    "    redis.register_function{function_name = 'prism_' .. names[i], callback = sealed,\n"
    "                            flags = {'no-writes', 'allow-oom', 'allow-stale'}}\n"
    "end\n";

static enum pr_code is_sealed(struct pr_redis *c, bool *out, struct pr_err *err)
{
    PR_AUTO(redisReply) *reply = NULL;
    const enum pr_code rc =
        pr_redis_command(c, &reply, err, "FUNCTION LIST LIBRARYNAME prism WITHCODE");
    *out = false;
    if (rc != PR_OK || reply->type != REDIS_REPLY_ARRAY || reply->elements != 1)
        return rc;
    const redisReply *lib = reply->element[0];
    for (size_t i = 0; i < lib->elements; i++)
        *out = *out || (lib->element[i]->type == REDIS_REPLY_STRING &&
                        strcmp(lib->element[i]->str, seal) == 0);
    return PR_OK;
}

static enum pr_code check_shape(const struct pr_topology *t, struct pr_err *err)
{
    for (int s = 0; s < DR_SLOTS; s++)
        if (t->slot_owner[s] < 0)
            return pr_fail(err, PR_ECONFLICT, "the target: slot %d has no owner", s);
    if (t->open_slots)
        return pr_fail(err, PR_ECONFLICT, "the target: a slot of it is being moved");
    return PR_OK;
}

static enum pr_code add_primary(struct dr_target *t, const struct pr_node *n, struct pr_err *err)
{
    struct pr_redis *c;
    bool sealed = false;
    PR_AUTO(redisReply) *size = NULL;
    enum pr_code rc = pr_cluster_conn(t->cluster, n->id, &c, err);
    if (rc == PR_OK)
        rc = pr_redis_command(c, &size, err, "DBSIZE");
    if (rc == PR_OK)
        rc = is_sealed(c, &sealed, err);
    if (rc != PR_OK)
        return pr_wrap(err, rc, "the target %s:%d", n->host, n->port);
    pr_redis_set_timeout(c, EMPTY_MS);
    t->keys += (uint64_t)size->integer;
    t->sealed = t->sealed && sealed;
    t->primary[t->primaries++] = c;
    return PR_OK;
}

enum pr_code dr_target_open(struct dr_target *t, const char *seeds,
                            const struct pr_redis_auth *auth, struct pr_err *err)
{
    *t = (struct dr_target){ .seeds = seeds, .auth = auth, .sealed = true };
    enum pr_code rc = pr_cluster_open(&t->cluster, seeds, auth, TIMEOUT_MS, err);
    if (rc == PR_OK)
        rc = pr_cluster_check(t->cluster, 0, err);
    if (rc != PR_OK)
        return rc;
    const struct pr_topology *map = pr_cluster_topology(t->cluster);
    t->primary = calloc(map->nodes, sizeof(struct pr_redis *));
    rc = t->primary != NULL ? check_shape(map, err)
                            : pr_fail(err, PR_ENOMEM, "no memory for %zu nodes", map->nodes);
    for (size_t i = 0; i < map->nodes && rc == PR_OK; i++)
        if (pr_topology_owns_slots(map, i))
            rc = add_primary(t, &map->node[i], err);
    return rc;
}

void dr_target_close(struct dr_target *t)
{
    free(t->primary);
    pr_cluster_close(t->cluster);
    *t = (struct dr_target){ .seeds = NULL };
}

static enum pr_code command(struct pr_redis *c, int argc, const char *const *argv,
                            const size_t *len, struct pr_err *err)
{
    PR_AUTO(redisReply) *reply = NULL;
    enum pr_code rc = pr_redis_append(c, argc, argv, len, err);
    if (rc == PR_OK)
        rc = pr_redis_reply(c, &reply, err);
    return rc == PR_OK ? pr_redis_reply_code(reply, err) : rc;
}

/* All are sealed before the first is emptied: nobody sees one half of the store. */
enum pr_code dr_target_empty(struct dr_target *t, struct pr_err *err)
{
    static const char *const load[] = { "FUNCTION", "LOAD", "REPLACE", seal };
    static const char *const flush[] = { "FLUSHALL" };
    for (size_t i = 0; i < t->primaries; i++) {
        const enum pr_code rc = command(t->primary[i], 4, load, NULL, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "sealing the target");
    }
    t->sealed = true;
    for (size_t i = 0; i < t->primaries; i++) {
        const enum pr_code rc = command(t->primary[i], 1, flush, NULL, err);
        if (rc != PR_OK)
            return pr_wrap(err, rc, "emptying the target");
    }
    t->keys = 0;
    return PR_OK;
}

enum pr_code dr_target_functions(struct pr_redis *from, struct pr_buf *out, struct pr_err *err)
{
    redisReply *got = NULL, *dumped = NULL;
    pr_buf_reset(out);
    enum pr_code rc = pr_redis_command(from, &got, err, "FUNCTION LIST LIBRARYNAME prism");
    PR_AUTO(redisReply) *list = got;
    if (rc != PR_OK || list->elements != 1)
        return rc;
    rc = pr_redis_command(from, &dumped, err, "FUNCTION DUMP");
    PR_AUTO(redisReply) *dump = dumped;
    if (rc == PR_OK)
        pr_buf_add(out, dump->str, dump->len);
    return rc == PR_OK && out->failed ? pr_fail(err, PR_ENOMEM, "no memory for functions") : rc;
}

enum pr_code dr_target_unseal(struct dr_target *t, const struct pr_buf *functions,
                              struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    if (functions->len == 0) { /* primaries without slots, too: who they are may have changed */
        rc = pr_cluster_refresh(t->cluster, err);
        return rc == PR_OK ? pr_cluster_load_library(t->cluster, pr_library_code, err) : rc;
    }
    for (size_t i = 0; i < t->primaries && rc == PR_OK; i++) {
        const char *argv[] = { "FUNCTION", "RESTORE", functions->data, "REPLACE" };
        const size_t len[] = { 8, 7, functions->len, 7 };
        rc = command(t->primary[i], 4, argv, len, err);
    }
    return rc == PR_OK ? rc : pr_wrap(err, rc, "loading the functions that were backed up");
}

enum pr_code dr_target_count(struct dr_target *t, uint32_t slot[DR_SLOTS], struct pr_err *err)
{
    const struct pr_topology *map = pr_cluster_topology(t->cluster);
    for (size_t i = 0; i < map->nodes; i++) {
        struct pr_redis *c = NULL;
        enum pr_code rc = PR_OK;
        char number[16];
        const char *argv[] = { "CLUSTER", "COUNTKEYSINSLOT", number };
        for (int s = 0; s < DR_SLOTS && rc == PR_OK; s++) {
            if (map->slot_owner[s] != (int)i)
                continue;
            (void)snprintf(number, sizeof number, "%d", s);
            if (c == NULL)
                rc = pr_cluster_conn(t->cluster, map->node[i].id, &c, err);
            if (rc == PR_OK)
                rc = pr_redis_append(c, 3, argv, NULL, err);
        }
        for (int s = 0; s < DR_SLOTS && rc == PR_OK; s++) {
            PR_AUTO(redisReply) *reply = NULL;
            if (map->slot_owner[s] != (int)i)
                continue;
            rc = pr_redis_reply(c, &reply, err);
            if (rc == PR_OK)
                rc = pr_redis_reply_code(reply, err);
            if (rc == PR_OK)
                slot[s] = (uint32_t)reply->integer;
        }
        if (rc != PR_OK)
            return pr_wrap(err, rc, "counting keys of the target");
    }
    return PR_OK;
}
