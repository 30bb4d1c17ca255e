/* Does the store still hold every acknowledged write? */
#include "prism/dp/exec.h"
#include "prism/dp/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096, DEADLINE_MS = 60000 };

struct check { /* one chunk of entries being read */
    struct dp_op op[CHUNK];
    struct dp_vertex vertex[CHUNK];
    char field[CHUNK][DP_WRITER_BYTES + 4];
    const char *arg[CHUNK];
    size_t len[CHUNK];
};

static enum pr_code add_finding(struct dp_workload_report *r, const struct dp_entry *e, bool found,
                                uint64_t value, struct pr_err *err)
{
    struct dp_lost *grown = realloc(r->finding, (r->lost + 1) * sizeof *grown);
    if (grown == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %llu findings",
                       (unsigned long long)r->lost + 1);
    r->finding = grown;
    struct dp_lost *f = &r->finding[r->lost++];
    *f = (struct dp_lost){
        .acked = e->acked, .attempted = e->attempted, .value = value, .found = found
    };
    memcpy(f->vertex, e->vertex, sizeof f->vertex);
    memcpy(f->writer, e->writer, sizeof f->writer);
    return PR_OK;
}

/* LIVE v value -> value; 0 when the property is absent. */
static enum pr_code value_of(const redisReply *r, const char *vertex, uint64_t *value,
                             struct pr_err *err)
{
    *value = 0;
    if (r->elements != 3)
        return pr_fail(err, PR_EDATA, "vertex %s: prism_get answered %zu elements", vertex,
                       r->elements);
    const redisReply *v = r->element[2];
    if (v->type == REDIS_REPLY_NIL)
        return PR_OK;
    char *end = NULL;
    errno = 0;
    if (v->type == REDIS_REPLY_STRING)
        *value = strtoull(v->str, &end, 10);
    if (end == NULL || end == v->str || *end != '\0' || errno != 0)
        return pr_fail(err, PR_EDATA, "vertex %s: '%.40s' is no value that was written", vertex,
                       v->str != NULL ? v->str : "");
    return PR_OK;
}

static void prepare(struct check *c, size_t i, const struct dp_entry *e, uint32_t partitions)
{
    struct dp_vertex *v = &c->vertex[i];
    v->id_len = (uint8_t)strlen(e->vertex);
    memcpy(v->id, e->vertex, (size_t)v->id_len + 1);
    v->hash = pr_vertex_hash(v->id, v->id_len);
    c->len[i] = (size_t)snprintf(c->field[i], sizeof c->field[i], "p:w%s", e->writer);
    c->arg[i] = c->field[i];
    c->op[i] = (struct dp_op){ .vertex = v,
                               .op = CLIENT_READ,
                               .function = "prism_get",
                               .arg = &c->arg[i],
                               .arg_len = &c->len[i],
                               .n_args = 1,
                               .cached = pr_home_partition(v->hash, partitions) };
}

static enum pr_code judge(const struct dp_op *op, const struct dp_entry *e,
                          struct dp_workload_report *r, struct pr_err *err)
{
    uint64_t value = 0;
    const bool found = op->outcome == CLIENT_DONE;
    if (op->rc != PR_OK)
        return op->rc;
    if (!found && op->outcome != CLIENT_NOT_FOUND)
        return pr_fail(err, PR_EUNAVAIL, "vertex %s: moving all the time, not verified", e->vertex);
    if (found) {
        const enum pr_code rc = value_of(op->reply, e->vertex, &value, err);
        if (rc != PR_OK)
            return rc;
    }
    r->verified++;
    return dp_ledger_judge(e, found, value) == DP_KEPT ? PR_OK
                                                       : add_finding(r, e, found, value, err);
}

enum pr_code dp_verify(struct pr_cluster *c, uint32_t partitions, const struct dp_ledger *l,
                       struct dp_workload_report *report, struct pr_err *err)
{
    struct dp_exec exec = { .cluster = c,
                            .partitions = partitions,
                            .run = { .deadline_ms = 15000 },
                            .deadline_ms = DEADLINE_MS,
                            .max_backoffs = 200 };
    struct check *chunk = malloc(sizeof *chunk);
    enum pr_code rc = chunk == NULL ? pr_fail(err, PR_ENOMEM, "no memory to verify") : PR_OK;
    for (size_t from = 0; rc == PR_OK && from < l->n; from += CHUNK) {
        const size_t n = l->n - from < CHUNK ? l->n - from : CHUNK;
        for (size_t i = 0; i < n; i++)
            prepare(chunk, i, &l->entry[from + i], partitions);
        rc = dp_exec(&exec, chunk->op, n, err);
        for (size_t i = 0; i < n; i++) {
            if (rc == PR_OK)
                rc = judge(&chunk->op[i], &l->entry[from + i], report, err);
            if (chunk->op[i].reply != NULL)
                freeReplyObject(chunk->op[i].reply);
        }
    }
    dp_exec_done(&exec);
    free(chunk);
    return rc;
}
