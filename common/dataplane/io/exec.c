#include "prism/dp/exec.h"

#include "prism/io/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BACKOFF_MIN_US = 2000, BACKOFF_MAX_US = 500000 };
enum { FIXED = 4 /* FCALL name 1 key */, EXTRA = 2 /* t ishome of a claim; "existing" */ };

struct dp_exec_memory {
    size_t cap, arg_cap;
    struct pr_rcmd *cmd; /* [cap] */
    uint32_t *op;        /* [cap]: whose command it is */
    char (*key)[PR_MAX_KEY_BYTES];
    const char **argv; /* [arg_cap] */
    size_t *len;
};

void dp_vertex_of_number(struct dp_vertex *v, uint64_t id)
{
    v->id_len = (uint8_t)snprintf(v->id, sizeof v->id, "%" PRIu64, id);
    v->hash = pr_vertex_hash(v->id, v->id_len);
}

void dp_exec_done(struct dp_exec *e)
{
    if (e->memory == NULL)
        return;
    free(e->memory->cmd);
    free(e->memory->op);
    free(e->memory->key);
    free(e->memory->argv);
    free(e->memory->len);
    free(e->memory);
    e->memory = NULL;
}

static enum pr_code grow(struct dp_exec *e, const struct dp_op *ops, size_t n, struct pr_err *err)
{
    size_t args = 0;
    if (e->memory == NULL)
        e->memory = calloc(1, sizeof *e->memory);
    struct dp_exec_memory *m = e->memory;
    for (size_t i = 0; i < n; i++)
        args += FIXED + EXTRA + (size_t)ops[i].n_args;
    if (m != NULL && n > m->cap) {
        free(m->cmd);
        free(m->op);
        free(m->key);
        m->cmd = malloc(n * sizeof *m->cmd);
        m->op = malloc(n * sizeof *m->op);
        m->key = malloc(n * sizeof *m->key);
        m->cap = m->cmd != NULL && m->op != NULL && m->key != NULL ? n : 0;
    }
    if (m != NULL && args > m->arg_cap) {
        free(m->argv);
        free(m->len);
        m->argv = malloc(args * sizeof *m->argv);
        m->len = malloc(args * sizeof *m->len);
        m->arg_cap = m->argv != NULL && m->len != NULL ? args : 0;
    }
    if (m == NULL || n > m->cap || args > m->arg_cap)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu operations", n);
    return PR_OK;
}

/* --- replies ------------------------------------------------------------ */
static bool parse_stub(const redisReply *r, uint32_t partitions, uint32_t *partition,
                       uint64_t *epoch)
{
    unsigned long long p, e;
    int used = 0;
    if (r->type != REDIS_REPLY_STRING || sscanf(r->str, "%llu:%llu%n", &p, &e, &used) != 2 ||
        (size_t)used != r->len || p >= partitions)
        return false;
    *partition = (uint32_t)p;
    *epoch = e;
    return true;
}

enum pr_code dp_reply_parse(const redisReply *r, uint32_t partitions, enum client_result *result,
                            uint32_t *partition, uint64_t *epoch, struct pr_err *err)
{
    static const struct {
        const char *word;
        enum client_result result;
    } row[] = {
        { "LIVE", CLIENT_R_OK },       { "OK", CLIENT_R_OK },           { "MOVED", CLIENT_R_STUB },
        { "STUB", CLIENT_R_STUB }, /* of a claim */
        { "ABSENT", CLIENT_R_ABSENT }, { "DELETED", CLIENT_R_DELETED }, { "FULL", CLIENT_R_FULL },
    };
    *partition = 0;
    *epoch = 0;
    if (r->type != REDIS_REPLY_ARRAY || r->elements == 0 ||
        r->element[0]->type != REDIS_REPLY_STRING)
        return pr_fail(err, PR_EDATA, "function library prism: reply without a status word");
    const char *const word = r->element[0]->str;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        if (strcmp(word, row[i].word) != 0)
            continue;
        *result = row[i].result;
        if (row[i].result == CLIENT_R_STUB &&
            (r->elements < 2 || !parse_stub(r->element[1], partitions, partition, epoch)))
            return pr_fail(err, PR_EDATA, "function library prism: bad stub '%.40s'",
                           r->elements < 2 || r->element[1]->str == NULL ? "" : r->element[1]->str);
        return PR_OK;
    }
    return pr_fail(err, PR_EDATA, "function library prism: unknown status '%.40s'", word);
}

/* --- one wave ----------------------------------------------------------- */
struct wave {
    struct dp_exec *e;
    struct dp_op *ops;
    size_t n, left, cmds, args; /* args: used of the memory's */
    int64_t now_us, deadline_us;
    struct pr_err *err;
    bool said;
};

static void end_op(struct wave *w, struct dp_op *op, enum pr_code rc, const struct pr_err *why)
{
    op->rc = rc;
    op->outcome = client_outcome(&op->state);
    op->found_at = client_found_at(&op->state);
    op->ended = true;
    w->left--;
    if (op->reply != NULL && (rc != PR_OK || op->outcome != CLIENT_DONE)) {
        freeReplyObject(op->reply);
        op->reply = NULL;
    }
    if (rc != PR_OK && !w->said) {
        w->said = true;
        pr_fail(w->err, rc, "vertex %.40s: %s", op->vertex->id,
                why != NULL ? why->text : "no answer before the deadline");
    }
}

static void push(struct wave *w, const char *arg, size_t len)
{
    w->e->memory->argv[w->args] = arg;
    w->e->memory->len[w->args++] = len;
}

static void push_operation(struct wave *w, const struct dp_op *op, bool existing_only)
{
    for (int a = 0; a < op->n_args; a++)
        push(w, op->arg[a], op->arg_len[a]);
    if (existing_only)
        push(w, "existing", strlen("existing"));
}

static void push_claim(struct wave *w, struct dp_op *op, uint32_t home)
{
    const int n = snprintf(op->claim_for, sizeof op->claim_for, "%" PRIu32, op->create_at);
    push(w, op->claim_for, (size_t)n);
    push(w, op->create_at == home ? "1" : "0", 1);
}

/* A claim carries its WAIT, which has to be on the connection that executed it. */
static void build(struct wave *w, size_t i, const struct client_cmd *next)
{
    struct dp_exec_memory *m = w->e->memory;
    struct dp_op *op = &w->ops[i];
    const size_t at = w->args, k = w->cmds++;
    const bool claim = next->kind == CLIENT_CLAIM;
    const char *const call = op->op == CLIENT_READ ? "FCALL_RO" : "FCALL";
    const char *const function = claim ? "prism_claim" : op->function;
    push(w, call, strlen(call));
    push(w, function, strlen(function));
    push(w, "1", 1);
    push(w, m->key[k],
         pr_key_vertex(m->key[k], next->partition, op->vertex->id, op->vertex->id_len));
    if (claim)
        push_claim(w, op, next->partition);
    else
        push_operation(w, op, next->existing_only);
    m->op[k] = (uint32_t)i;
    m->cmd[k] = (struct pr_rcmd){ .argc = (int)(w->args - at),
                                  .argv = &m->argv[at],
                                  .argvlen = &m->len[at],
                                  .slot = pr_partition_slot(next->partition),
                                  .wait = claim || op->wait };
}

static int64_t pause_us(unsigned attempt)
{
    const int64_t us = (int64_t)BACKOFF_MIN_US << (attempt < 9 ? attempt : 9);
    return us < BACKOFF_MAX_US ? us : BACKOFF_MAX_US;
}

/* Commands of all that are ready; returns when the first of the rest is. */
static int64_t collect(struct wave *w)
{
    int64_t first_due_us = w->deadline_us;
    w->cmds = w->args = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct dp_op *op = &w->ops[i];
        if (op->ended)
            continue;
        if (op->due_us > w->now_us) {
            if (op->due_us < first_due_us)
                first_due_us = op->due_us;
            continue;
        }
        op->due_us = 0;
        struct client_cmd cmd = client_next(&op->state);
        if (cmd.kind == CLIENT_BACKOFF) { /* its pause is over */
            client_reply(&op->state, CLIENT_R_OK, 0, 0);
            cmd = client_next(&op->state);
        }
        if (cmd.kind == CLIENT_DO || cmd.kind == CLIENT_CLAIM)
            build(w, i, &cmd);
        else
            end_op(w, op, cmd.kind == CLIENT_END ? PR_OK : PR_EINTERNAL, NULL);
    }
    return first_due_us;
}

static void after_reply(struct wave *w, struct dp_op *op)
{
    struct client_cmd next = client_next(&op->state);
    if (next.kind == CLIENT_WAIT_HOME) { /* the claim's answer came with its WAIT's */
        const bool safe = op->acked >= op->wanted;
        client_reply(&op->state, safe ? CLIENT_R_OK : CLIENT_R_BROKEN, 0, 0);
        next = client_next(&op->state);
    }
    if (next.kind == CLIENT_END)
        end_op(w, op, PR_OK, NULL);
    else if (next.kind == CLIENT_BACKOFF)
        op->due_us = w->now_us + pause_us(next.attempt);
}

static void feed(struct wave *w, struct pr_rcmd *cmd, struct dp_op *op, const struct pr_err *why)
{
    enum client_result result = CLIENT_R_BROKEN;
    uint32_t partition = 0;
    uint64_t epoch = 0;
    struct pr_err bad;
    if (w->e->on_command != NULL)
        w->e->on_command(w->e->ctx, op, cmd);
    if (cmd->rc == PR_EUNAVAIL) { /* not executed: the same again, a little later */
        op->due_us = w->now_us + BACKOFF_MAX_US / 10;
        return;
    }
    if (cmd->rc != PR_OK && cmd->rc != PR_ETIMEOUT) {
        end_op(w, op, cmd->rc, why);
        return;
    }
    if (cmd->rc == PR_OK) {
        const enum pr_code rc =
            dp_reply_parse(cmd->reply, w->e->partitions, &result, &partition, &epoch, &bad);
        if (rc != PR_OK) {
            freeReplyObject(cmd->reply);
            end_op(w, op, rc, &bad);
            return;
        }
        if (op->reply != NULL)
            freeReplyObject(op->reply);
        op->reply = cmd->reply;
        op->acked = cmd->acked;
        op->wanted = cmd->wanted;
        memcpy(op->host_port, cmd->node_host_port, sizeof op->host_port);
    }
    client_reply(&op->state, result, partition, epoch);
    after_reply(w, op);
}

static void sleep_until(int64_t until_us)
{
    const int64_t us = until_us - pr_mono_us();
    if (us > 0)
        (void)nanosleep(&(struct timespec){ us / 1000000, (us % 1000000) * 1000 }, NULL);
}

enum pr_code dp_exec(struct dp_exec *e, struct dp_op *ops, size_t n, struct pr_err *err)
{
    const int64_t now_us = pr_mono_us();
    struct wave w = { .e = e,
                      .ops = ops,
                      .n = n,
                      .left = n,
                      .err = err,
                      .now_us = now_us,
                      .deadline_us = now_us + (int64_t)e->deadline_ms * 1000 };
    enum pr_code rc = grow(e, ops, n, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < n; i++) {
        struct dp_op *op = &ops[i];
        op->rc = PR_EINTERNAL;
        op->reply = NULL;
        op->acked = op->wanted = 0;
        op->host_port[0] = '\0';
        op->ended = false;
        op->due_us = 0;
        client_init(&op->state, op->op, pr_home_partition(op->vertex->hash, e->partitions),
                    op->cached, op->create_at, e->max_backoffs);
    }
    while (w.left > 0) {
        const int64_t due_us = collect(&w);
        if (w.left == 0)
            break;
        if (w.cmds > 0) {
            struct pr_err why = { .text = "" };
            rc = pr_cluster_run(e->cluster, e->memory->cmd, w.cmds, &e->run, &why);
            w.now_us = pr_mono_us();
            for (size_t k = 0; k < w.cmds; k++) {
                if (rc != PR_OK) /* nothing was sent */
                    e->memory->cmd[k].rc = rc;
                feed(&w, &e->memory->cmd[k], &ops[e->memory->op[k]], &why);
            }
        } else {
            sleep_until(due_us);
            w.now_us = pr_mono_us();
        }
        for (size_t i = 0; i < n && w.now_us >= w.deadline_us; i++)
            if (!ops[i].ended)
                end_op(&w, &ops[i], PR_EUNAVAIL, NULL);
    }
    return PR_OK;
}
