/* Is the new side fit to serve, and the old one still locked out? */
#include "io/region/private.h"

#include "prism/io/clock.h"
#include "prism/slot.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, OK_MS = 20000, TURN_MS = 100 };

/* A key in a slot of the node. */
static bool key_of(const struct pr_topology *t, size_t node, char key[64])
{
    for (int i = 0; i < 40 * PR_SLOTS; i++) {
        const int n = snprintf(key, 64, "prism:probe:%d", i);
        if (t->slot_owner[pr_slot_of_key(key, (size_t)n)] == (int)node)
            return true;
    }
    return false;
}

static enum pr_code probe(struct pr_redis *c, const char *key, uint64_t number, struct pr_err *err)
{
    PR_AUTO(redisReply) *set = NULL;
    PR_AUTO(redisReply) *get = NULL;
    PR_AUTO(redisReply) *del = NULL;
    char value[32];
    (void)snprintf(value, sizeof value, "%" PRIu64, number);
    enum pr_code rc = pr_redis_command(c, &set, err, "SET %s %s EX 60", key, value);
    if (rc == PR_OK)
        rc = pr_redis_command(c, &get, err, "GET %s", key);
    if (rc == PR_OK && (get->type != REDIS_REPLY_STRING || strcmp(get->str, value) != 0))
        rc = pr_fail(err, PR_EDATA, "what was written to %s is not what is read", key);
    return rc == PR_OK ? pr_redis_command(c, &del, err, "DEL %s", key) : rc;
}

static enum pr_code look_at_node(struct pr_cluster *c, const struct pr_topology *t, size_t i,
                                 uint64_t number, size_t *primaries, struct pr_err *err)
{
    PR_AUTO(redisReply) *info = NULL;
    const struct pr_node *n = &t->node[i];
    struct pr_redis *conn = NULL;
    char key[64];
    enum pr_code rc = pr_cluster_conn(c, n->id, &conn, err);
    if (rc == PR_OK)
        rc = pr_redis_command(conn, &info, err, "CLUSTER INFO");
    if (rc == PR_OK && (strstr(info->str, "cluster_state:ok") == NULL ||
                        strstr(info->str, "cluster_slots_ok:16384") == NULL))
        rc = pr_fail(err, PR_EUNAVAIL, "it does not say that the cluster is ok");
    if (rc == PR_OK && n->primary && key_of(t, i, key)) {
        ++*primaries;
        rc = probe(conn, key, number, err);
    }
    return rc == PR_OK ? rc : pr_wrap(err, rc, "redis %s:%d", n->host, n->port);
}

static bool is_of_site(const struct dr_site *s, const struct pr_node *n)
{
    for (size_t i = 0; i < s->nodes; i++)
        if (s->node[i].port == n->port && strcmp(s->node[i].host, n->host) == 0)
            return true;
    return false;
}

static enum pr_code look_at_cluster(const struct dr_region_job *job, struct dr_region_said *said,
                                    struct pr_err *err)
{
    const struct pr_redis_auth auth = { job->to->user, job->to->password };
    struct pr_cluster *c = NULL;
    size_t primaries = 0, nodes = 0;
    enum pr_code rc = pr_cluster_open(&c, job->to->seeds, &auth, TIMEOUT_MS, err);
    const struct pr_topology *t = rc == PR_OK ? pr_cluster_topology(c) : NULL;
    for (int s = 0; rc == PR_OK && s < PR_SLOTS; s++)
        if (t->slot_owner[s] < 0)
            rc = pr_fail(err, PR_ECONFLICT, "slot %d of %s has no owner", s, job->to->name);
        else if (is_of_site(job->from, &t->node[t->slot_owner[s]]))
            rc = pr_fail(err, PR_ECONFLICT, "slot %d of %s is owned by a node of %s", s,
                         job->to->name, job->from->name);
    nodes = rc == PR_OK ? t->nodes : 0;
    for (size_t i = 0; rc == PR_OK && i < nodes; i++)
        rc = look_at_node(c, t, i, job->journal.number, &primaries, err);
    pr_cluster_close(c);
    if (rc == PR_OK)
        (void)snprintf(said->text, sizeof said->text,
                       "%zu nodes are ok, %zu primaries took a probe", nodes, primaries);
    return rc;
}

/* A node may need a moment to hear of the others. */
static enum pr_code await_cluster(const struct dr_region_job *job, struct dr_region_said *said,
                                  struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + OK_MS * 1000;
    for (;;) {
        const enum pr_code rc = look_at_cluster(job, said, err);
        if (rc != PR_EUNAVAIL || pr_mono_us() >= until_us || dr_region_canceled(job))
            return rc;
        (void)poll(NULL, 0, TURN_MS);
    }
}

/* Not only looked at: what came back since is locked out here. */
static enum pr_code look_at_old_side(const struct dr_region_job *job, struct pr_err *err)
{
    struct dr_lock l = { .nodes = 0 };
    struct dr_region_pg_lock pg = { .if_open = true };
    enum pr_code rc = dr_lock_out(job->from, &l, err);
    if (rc == PR_OK && l.refused > 0 && !job->journal.facts.old_side_is_down)
        rc = pr_fail(err, PR_EDENIED, "%zu Redis nodes cannot be locked out: %s", l.refused,
                     l.silent_names);
    dr_lock_done(&l);
    if (rc == PR_OK)
        rc = dr_region_pg_lock(job->run->cfg, job->from, false, &pg, err);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "the old side");
}

static enum pr_code look_at_marker(const struct dr_region_job *job, struct pr_err *err)
{
    struct dr_marker m;
    const enum pr_code rc = dr_marker_newest(job->s3, job->run->cfg->cluster, &m, err);
    if (rc == PR_OK && m.epoch != job->journal.facts.epoch)
        return pr_fail(err, PR_EFENCED, "the owner changed meanwhile: %s, epoch %" PRIu64, m.site,
                       m.epoch);
    return rc;
}

enum pr_code dr_region_verify(struct dr_region_job *job, struct dr_region_said *said,
                              struct pr_err *err)
{
    enum pr_code rc = await_cluster(job, said, err);
    if (rc == PR_OK)
        rc = dr_region_pg_verify(job, err);
    if (rc == PR_OK)
        rc = look_at_old_side(job, err);
    if (rc == PR_OK)
        rc = look_at_marker(job, err);
    if (rc == PR_OK)
        pr_buf_printf(&said->facts, "\"verified_ms\":%" PRId64, pr_now_ms());
    return rc;
}
