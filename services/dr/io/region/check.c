/* What is there, and what is in the way. Changes nothing. */
#include "io/region/private.h"

#include "io/catalog.h"
#include "io/routes.h"
#include "io/target.h"

#include "prism/io/clock.h"
#include "prism/io/json_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void problem(struct dr_region_check *c, bool fatal, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void problem(struct dr_region_check *c, bool fatal, const char *format, ...)
{
    char text[DR_REGION_TEXT];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (fatal && c->fatal == 0)
        memcpy(c->first, text, sizeof text);
    c->fatal += fatal;
    pr_buf_str(&c->problems, c->problems.len > 0 ? ",{\"what\":" : "{\"what\":");
    pr_json_add(&c->problems, text);
    pr_buf_printf(&c->problems, ",\"fatal\":%s}", fatal ? "true" : "false");
}

/* --- the bucket ----------------------------------------------------------------------------------
 */

static enum pr_code look_at_shard(struct dr_region_job *job, const char *data, const char *shard,
                                  int64_t now_ms, struct dr_region_check *c, struct pr_err *err)
{
    struct dr_generation *g = NULL;
    char id[DR_GENERATION] = "";
    size_t n = 0;
    enum pr_code rc = dr_catalog_generations(job->s3, data, shard, &g, &n, err);
    if (rc != PR_OK)
        return rc;
    const size_t best = dr_generation_choose(g, n, NULL, INT64_MAX);
    if (best == SIZE_MAX)
        problem(c, true, "shard %s: no generation of it is whole", shard);
    else {
        const struct dr_tail_shard *t = dr_tail_find(&job->tail, shard);
        const int64_t until_ms =
            t != NULL && t->last_ms > g[best].ended_ms ? t->last_ms : g[best].ended_ms;
        dr_generation_print(&g[best].id, id);
        pr_buf_printf(&c->shards,
                      "%s{\"shard\":\"%s\",\"generation\":\"%s\",\"until_ms\":%" PRId64
                      ",\"age_ms\":%" PRId64 "}",
                      c->shards.len > 0 ? "," : "", shard, id, until_ms, now_ms - until_ms);
        if (now_ms - until_ms > c->rpo_ms)
            c->rpo_ms = now_ms - until_ms;
    }
    dr_generations_free(g, n);
    return PR_OK;
}

static enum pr_code look_at_bucket(struct dr_region_job *job, const char *data,
                                   struct dr_region_check *c, struct pr_err *err)
{
    struct dr_names shards = { .n = 0 };
    enum pr_code rc = dr_tail_read(&job->tail, job->s3, data, err);
    if (rc == PR_OK)
        rc = dr_catalog_shards(job->s3, data, &shards, err);
    if (rc == PR_OK && shards.n == 0)
        problem(c, true, "the bucket holds no shard of %s", data);
    c->of_shards = rc == PR_OK ? shards.n : 0;
    for (size_t i = 0; rc == PR_OK && i < shards.n; i++)
        rc = look_at_shard(job, data, shards.name[i], pr_now_ms(), c, err);
    dr_names_done(&shards);
    return rc;
}

/* --- the two sides -------------------------------------------------------------------------------
 */

static void look_at_target(const struct dr_region_job *job, const struct dr_region_facts *f,
                           struct dr_region_check *c)
{
    const struct pr_redis_auth auth = { job->to->user, job->to->password };
    struct dr_target t;
    struct dr_lock l;
    struct pr_err why = { 0 };
    if (dr_target_open(&t, job->to->seeds, &auth, &why) != PR_OK)
        problem(c, true, "Redis of %s: %s", job->to->name, why.text);
    else if (t.keys > 0 && !t.sealed && !f->over_existing)
        problem(c, true,
                "Redis of %s holds %" PRIu64 " keys: nothing is restored over them without "
                "--over-existing",
                job->to->name, t.keys);
    dr_target_close(&t);
    if (dr_lock_look(job->to, &l, &why) != PR_OK)
        problem(c, true, "Redis of %s: %s", job->to->name, why.text);
    else if (l.silent > 0)
        problem(c, true, "%zu of %zu Redis nodes of %s do not answer: %s", l.silent, l.nodes,
                job->to->name, l.silent_names);
    dr_lock_done(&l);
}

static void look_at_old_side(const struct dr_region_job *job, const struct dr_region_facts *f,
                             struct dr_region_check *c)
{
    struct dr_lock l;
    struct pr_err why = { 0 };
    if (dr_lock_look(job->from, &l, &why) != PR_OK)
        problem(c, false, "Redis of %s: %s", job->from->name, why.text);
    else if (l.silent > 0 && !f->old_side_is_down)
        problem(c, false,
                "%zu of %zu Redis nodes of %s do not answer (%s): unless they do by then, "
                "--old-side-is-down is needed",
                l.silent, l.nodes, job->from->name, l.silent_names);
    dr_lock_done(&l);
}

/* Where PostgreSQL comes with the fail-over leases end with the old side. */
static enum pr_code look_at_executor(const struct dr_region_job *job, struct dr_region_check *c,
                                     struct pr_err *err)
{
    char holder[DR_EXECUTOR] = "";
    struct pr_db *db = NULL;
    if (dr_region_db_uri(job) == NULL)
        problem(c, true, "%s", DR_REGION_NO_DB);
    if (job->to->pg_uri != NULL || job->run->db_uri == NULL)
        return PR_OK;
    enum pr_code rc = pr_db_open(&db, job->run->db_uri, "prism-dr-failover", err);
    if (rc == PR_OK)
        rc = dr_routes_executor(db, holder, err);
    if (holder[0] != '\0')
        problem(c, true, "%.100s may execute plans: stop the rebalance service", holder);
    pr_db_close(db);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "PRISM_DB_URI");
}

static void look_at_hooks(const struct dr_site *s, struct dr_region_check *c)
{
    for (int h = 0; h < DR_HOOKS; h++)
        if (s->hook[h] != NULL && access(s->hook[h], X_OK) != 0)
            problem(c, true, "site %s: hook \"%s\": %.100s is no program", s->name,
                    dr_hook_name((enum dr_hook)h), s->hook[h]);
}

static void look_at_names(const struct dr_region_job *job, const struct dr_region_facts *f,
                          struct dr_region_check *c)
{
    const char *owner = job->owner.site;
    if (strcmp(owner, f->to) == 0)
        problem(c, true, "%s is the owner already, since epoch %" PRIu64, f->to, job->owner.epoch);
    else if (owner[0] != '\0' && strcmp(owner, f->from) != 0)
        problem(c, true, "the owner is %s, which PRISM_DR_SITES_PATH does not describe", owner);
    if (!dr_name_ok(f->next_data))
        problem(c, true, "PRISM_DR_CLUSTER is too long: %s is more than 63 bytes", f->next_data);
}

enum pr_code dr_region_look(struct dr_region_job *job, const struct dr_region_facts *f,
                            struct dr_region_check *c, struct pr_err *err)
{
    char why[DR_REGION_TEXT] = "";
    *c = (struct dr_region_check){ .rpo_ms = -1 };
    pr_buf_init(&c->problems, 0);
    pr_buf_init(&c->shards, 0);
    look_at_names(job, f, c);
    enum pr_code rc = look_at_bucket(job, f->data, c, err);
    if (rc == PR_OK)
        rc = dr_region_pg_check(job, f->over_existing, why, err);
    if (rc == PR_OK)
        rc = look_at_executor(job, c, err);
    if (rc != PR_OK)
        return rc;
    if (why[0] != '\0')
        problem(c, true, "PostgreSQL of %s: %s", f->to, why);
    look_at_target(job, f, c);
    look_at_old_side(job, f, c);
    look_at_hooks(job->from, c);
    look_at_hooks(job->to, c);
    if (c->problems.failed || c->shards.failed)
        return pr_fail(err, PR_ENOMEM, "no memory for what was seen");
    return PR_OK;
}

void dr_region_check_done(struct dr_region_check *c)
{
    pr_buf_done(&c->problems);
    pr_buf_done(&c->shards);
}
