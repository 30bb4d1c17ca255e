#include "walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A page of a large vertex may hold none of the wanted direction: each further
 * one is four times as large, up to what the library allows. */
enum { MAX_PAGES = 18, MAX_PAGE = 8192 };

/* --- bytes -------------------------------------------------------------- */
static void count_command(void *ctx, const struct dp_op *op, const struct pr_rcmd *cmd)
{
    struct walk *w = ctx;
    const struct walk_visit *v = &w->visit[w->whose[op - w->op]];
    const uint64_t bytes = (uint64_t)cmd->request_bytes + cmd->reply_bytes;
    w->tally.redirects += cmd->redirects;
    if (cmd->node_host_port[0] == '\0')
        return; /* nobody answered */
    const int zone = dp_zone_of(w->o->zones, cmd->node_host_port);
    if (zone < 0)
        w->tally.unzoned_bytes += bytes;
    else
        w->traversal[v->traversal].bytes[zone] += bytes;
    if (cmd->rc == PR_OK)
        pr_hist_add(&w->tally.latency_us, cmd->latency_us);
}

static void settle_bytes(struct walk *w)
{
    for (int t = 0; t < w->o->batch; t++) {
        const struct walk_traversal *k = &w->traversal[t];
        const int client = (int)pr_rng_below(&w->rng, (uint64_t)w->o->zones->n);
        if (k->root_zone < 0) { /* never found: the client's zone is not known */
            for (int z = 0; z < w->o->zones->n; z++)
                w->tally.dropped_bytes += k->bytes[z];
            continue;
        }
        w->tally.traversals++;
        for (int z = 0; z < w->o->zones->n; z++) {
            w->tally.bytes[k->root_zone][z] += k->bytes[z];
            if (z != client)
                w->tally.cross_random_bytes += k->bytes[z];
        }
    }
}

/* --- routes ------------------------------------------------------------- */
static uint32_t cached(const struct walk *w, const struct dp_vertex *v)
{
    uint64_t p;
    return pr_map_get(&w->routes, v->hash, &p) ? (uint32_t)p
                                               : pr_home_partition(v->hash, w->exec.partitions);
}

static void remember(struct walk *w, const struct dp_op *op)
{
    const uint32_t home = pr_home_partition(op->vertex->hash, w->exec.partitions);
    if (w->o->accessed != NULL)
        atomic_fetch_add_explicit(&w->o->accessed[op->found_at], 1, memory_order_relaxed);
    if (op->found_at == op->cached)
        return;
    w->tally.stubs_followed++;
    if (op->found_at == home)
        (void)pr_map_del(&w->routes, op->vertex->hash);
    else if (pr_map_put(&w->routes, op->vertex->hash, op->found_at) != PR_OK)
        return; /* a cache: without memory it only gets slower */
}

/* --- visits ------------------------------------------------------------- */
static struct walk_visit *add_visit(struct walk *w, uint32_t traversal)
{
    if (w->visits == w->visits_cap)
        return NULL;
    struct walk_visit *v = &w->visit[w->visits++];
    v->traversal = traversal;
    v->done = false;
    v->direction = 'o';
    v->cursor[0] = '0';
    v->cursor[1] = '\0';
    v->pages = 0;
    return v;
}

static void add_roots(struct walk *w)
{
    w->visits = 0;
    for (int t = 0; t < w->o->batch; t++) {
        const uint64_t rank = pr_zipf_next(w->zipf, &w->rng);
        w->traversal[t] = (struct walk_traversal){ .root_zone = -1 };
        struct walk_visit *v = add_visit(w, (uint32_t)t);
        if (v != NULL)
            dp_vertex_of_number(&v->vertex, w->a->id[w->rank[rank - 1]]);
    }
}

/* Up to fanout of the neighbours in r (LIVE cursor id weight ...), drawn without
 * repetition by moving the chosen ones to the front. */
static void add_sample(struct walk *w, uint32_t traversal, const redisReply *r)
{
    const size_t n = (r->elements - 2) / 2,
                 want = n < (size_t)w->o->fanout ? n : (size_t)w->o->fanout;
    for (size_t i = 0; i < want; i++) {
        const size_t pick = i + (size_t)pr_rng_below(&w->rng, n - i);
        redisReply *chosen = r->element[2 + 2 * pick];
        r->element[2 + 2 * pick] = r->element[2 + 2 * i];
        r->element[2 + 2 * i] = chosen;
        if (chosen->type != REDIS_REPLY_STRING || !pr_vertex_id_valid(chosen->str, chosen->len))
            continue;
        struct walk_visit *v = add_visit(w, traversal);
        if (v == NULL)
            return;
        memcpy(v->vertex.id, chosen->str, chosen->len + 1);
        v->vertex.id_len = (uint8_t)chosen->len;
        v->vertex.hash = pr_vertex_hash(chosen->str, chosen->len);
    }
}

/* What a page says: neighbours, more pages, the other direction, or nothing. */
static void take_page(struct walk *w, struct walk_visit *v, const redisReply *r, bool expand)
{
    const bool some = r->elements >= 4, more = strcmp(r->element[1]->str, "0") != 0;
    if (some && expand)
        add_sample(w, v->traversal, r); /* moves no visit: the array is allocated whole */
    if (!some && more && ++v->pages < MAX_PAGES && r->element[1]->len < sizeof v->cursor) {
        memcpy(v->cursor, r->element[1]->str, r->element[1]->len + 1);
        return;
    }
    if (!some && v->direction == 'o') {
        v->direction = 'i';
        v->cursor[0] = '0';
        v->cursor[1] = '\0';
        v->pages = 0;
        return;
    }
    v->done = true;
}

static void missing(struct walk *w, const struct walk_visit *v)
{
    if (w->tally.missing++ == 0)
        memcpy(w->tally.missing_id, v->vertex.id, sizeof w->tally.missing_id);
}

/* Errors that waiting does not mend end the run. */
static bool fatal(enum pr_code rc)
{
    return rc != PR_OK && rc != PR_EUNAVAIL && rc != PR_ETIMEOUT;
}

static enum pr_code after_read(struct walk *w, const struct dp_op *op, struct walk_visit *v,
                               bool root, bool expand, struct pr_err *err)
{
    w->tally.reads++;
    if (fatal(op->rc))
        return op->rc;
    if (op->rc != PR_OK || op->outcome == CLIENT_GAVE_UP) {
        w->tally.failed_reads++;
        v->done = true;
        return PR_OK;
    }
    if (op->outcome != CLIENT_DONE) {
        missing(w, v);
        v->done = true;
        return PR_OK;
    }
    if (op->reply->elements < 2 || op->reply->element[1]->type != REDIS_REPLY_STRING)
        return pr_fail(err, PR_EDATA, "vertex %s: prism_neighbors answered no cursor",
                       v->vertex.id);
    remember(w, op);
    if (root)
        w->traversal[v->traversal].root_zone = dp_zone_of(w->o->zones, op->host_port);
    take_page(w, v, op->reply, expand);
    return PR_OK;
}

static size_t page_size(const struct walk *w, const struct walk_visit *v)
{
    const size_t n = (size_t)w->o->fanout << (2 * (v->pages < 6 ? v->pages : 6));
    return n < MAX_PAGE ? n : MAX_PAGE;
}

static size_t build_reads(struct walk *w, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        struct walk_visit *v = &w->visit[i];
        if (v->done)
            continue;
        v->arg[0] = &v->direction;
        v->len[0] = 1;
        v->arg[1] = v->cursor;
        v->len[1] = strlen(v->cursor);
        v->arg[2] = v->count;
        v->len[2] = (size_t)snprintf(v->count, sizeof v->count, "%zu", page_size(w, v));
        w->op[n] = (struct dp_op){ .vertex = &v->vertex,
                                   .op = CLIENT_READ,
                                   .function = "prism_neighbors",
                                   .arg = v->arg,
                                   .arg_len = v->len,
                                   .n_args = 3,
                                   .cached = cached(w, &v->vertex) };
        w->whose[n++] = (uint32_t)i;
    }
    return n;
}

/* Reads visits [from, to), page after page; their samples come behind. */
static enum pr_code read_level(struct walk *w, size_t from, size_t to, bool expand,
                               struct pr_err *err)
{
    for (;;) {
        const size_t n = build_reads(w, from, to);
        if (n == 0)
            return PR_OK;
        w->exec.run.wait_replicas = 0;
        w->exec.run.wait_all = false;
        enum pr_code rc = dp_exec(&w->exec, w->op, n, err);
        for (size_t k = 0; k < n; k++) {
            if (rc == PR_OK)
                rc = after_read(w, &w->op[k], &w->visit[w->whose[k]], from == 0, expand, err);
            if (w->op[k].reply != NULL)
                freeReplyObject(w->op[k].reply);
        }
        if (rc != PR_OK)
            return rc;
    }
}

/* --- writes ------------------------------------------------------------- */
struct pending {
    char value[24];
    size_t entry;
    const char *arg[3];
    size_t len[3];
};

static enum pr_code after_write(struct walk *w, const struct dp_op *op, const struct pending *p)
{
    if (fatal(op->rc)) { /* refused by the server: not executed */
        dp_ledger_refused(&w->ledger, p->entry);
        w->tally.writes_refused++;
        return op->rc;
    }
    if (op->rc == PR_OK && op->outcome == CLIENT_DONE && op->acked >= op->wanted) {
        dp_ledger_acked(&w->ledger, p->entry);
        w->tally.writes_acked++;
        remember(w, op);
    } else if (op->rc == PR_EUNAVAIL || (op->rc == PR_OK && op->outcome == CLIENT_GAVE_UP)) {
        dp_ledger_refused(&w->ledger, p->entry);
        w->tally.writes_refused++;
    } else if (op->rc == PR_OK && op->outcome == CLIENT_NOT_FOUND) {
        dp_ledger_refused(&w->ledger, p->entry); /* the verification tells */
        missing(w, &w->visit[w->whose[op - w->op]]);
    } else if (op->rc == PR_OK && op->outcome == CLIENT_FULL) {
        dp_ledger_refused(&w->ledger, p->entry);
        w->tally.writes_refused++;
    } else if (op->rc == PR_OK && op->outcome == CLIENT_DONE) {
        dp_ledger_refused(&w->ledger, p->entry); /* done, but not on every replica: no promise */
        w->tally.writes_unknown++;
    } else {
        dp_ledger_unknown(&w->ledger, p->entry);
        w->tally.writes_unknown++;
    }
    return PR_OK;
}

static size_t build_writes(struct walk *w, struct pending *pending)
{
    /* r of all operations are writes: r / (1 - r) for each read so far. What
     * could not be written (one write of a vertex at a time) is made up for. */
    const double wanted = (double)w->tally.reads * w->o->write_ratio / (1 - w->o->write_ratio);
    const double chance = (wanted - (double)w->writes) / (double)w->visits;
    size_t n = 0;
    for (size_t i = 0; i < w->visits; i++) {
        struct walk_visit *v = &w->visit[i];
        struct pending *p = &pending[n];
        uint64_t value;
        if (pr_rng_unit(&w->rng) >= chance ||
            dp_ledger_attempt(&w->ledger, v->vertex.id, w->writer, &value, &p->entry) != PR_OK)
            continue;
        p->arg[0] = "1";
        p->len[0] = 1;
        p->arg[1] = w->field;
        p->len[1] = w->field_len;
        p->arg[2] = p->value;
        p->len[2] = (size_t)snprintf(p->value, sizeof p->value, "%" PRIu64, value);
        w->op[n] = (struct dp_op){ .vertex = &v->vertex,
                                   .op = CLIENT_WRITE,
                                   .function = "prism_write",
                                   .arg = p->arg,
                                   .arg_len = p->len,
                                   .n_args = 3,
                                   .cached = cached(w, &v->vertex),
                                   .wait = true };
        w->whose[n++] = (uint32_t)i;
        w->writes++;
    }
    return n;
}

static enum pr_code write_some(struct walk *w, struct pr_err *err)
{
    struct pending *pending = malloc((w->visits + 1) * sizeof *pending);
    enum pr_code rc = PR_OK;
    if (pending == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for writes");
    const size_t n = build_writes(w, pending);
    if (n > 0 && w->ledger_fd >= 0) /* on file before it can be in the store */
        rc = dp_ledger_flush(&w->ledger, w->ledger_fd, w->o->ledger_path, err);
    w->exec.run.wait_replicas = w->o->replicas;
    w->exec.run.wait_all = w->o->all_replicas;
    if (n > 0 && rc == PR_OK) {
        rc = dp_exec(&w->exec, w->op, n, err);
        for (size_t k = 0; k < n; k++) {
            const enum pr_code one = rc == PR_OK ? after_write(w, &w->op[k], &pending[k]) : PR_OK;
            if (w->op[k].reply != NULL)
                freeReplyObject(w->op[k].reply);
            rc = rc == PR_OK ? one : rc;
        }
    }
    if (n > 0 && rc == PR_OK && w->ledger_fd >= 0)
        rc = dp_ledger_flush(&w->ledger, w->ledger_fd, w->o->ledger_path, err);
    free(pending);
    return rc;
}

enum pr_code walk_batch(struct walk *w, struct pr_err *err)
{
    size_t from = 0;
    enum pr_code rc = PR_OK;
    w->exec.on_command = count_command;
    w->exec.ctx = w;
    add_roots(w);
    for (int level = 0; level <= w->o->hops && rc == PR_OK; level++) {
        const size_t to = w->visits;
        rc = read_level(w, from, to, level < w->o->hops, err);
        from = to;
    }
    if (rc == PR_OK)
        rc = write_some(w, err);
    settle_bytes(w);
    return rc;
}
