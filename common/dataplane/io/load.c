#include "prism/dp/load.h"

#include "prism/arena.h"
#include "prism/dp/exec.h"
#include "prism/io/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_FIELDS = 2000,        /* of one call */
    WAVE_FIELDS = 60000,      /* of one wave of a thread, about 2 MB */
    CLAIM_VERTICES = 4096,    /* taken by a thread at a time */
    WAVE_DEADLINE_MS = 30000, /* survives a fail-over */
    WAIT_MS = 20000,
    MAX_ROUNDS = 3 /* a fail-over meanwhile: everything once more */
};

struct load {
    const struct dp_adjacency *a;
    const struct dp_load_options *o;
    atomic_size_t next, vertices, edges, moved;
    _Atomic uint64_t bytes;
    atomic_bool failed;
    pthread_mutex_t lock; /* of why */
    struct pr_err why;    /* of the first failure */
};

struct worker {
    struct load *load;
    struct pr_cluster *cluster;
    pthread_t thread;
    bool started;
    struct pr_arena arena; /* of one wave */
    struct dp_exec exec;   /* for vertices that moved */
    struct call *call;     /* [calls_cap] */
    struct pr_rcmd *cmd;
    size_t calls, calls_cap, fields;
};

struct call {
    uint32_t vertex;
    struct dp_vertex id;
    const char **argv; /* FCALL prism_load 1 key, then fields */
    size_t *len;
    int fields;
};

static void fail_load(struct load *l, const struct pr_err *why)
{
    pthread_mutex_lock(&l->lock);
    if (!atomic_exchange(&l->failed, true))
        l->why = *why;
    pthread_mutex_unlock(&l->lock);
}

static bool stopped(const struct load *l)
{
    return atomic_load(&l->failed) || (l->o->stop != NULL && atomic_load(l->o->stop));
}

/* --- building calls ----------------------------------------------------- */
static size_t put_number(char *out, uint64_t v)
{
    char tmp[20];
    size_t n = 0;
    do
        tmp[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    for (size_t i = 0; i < n; i++)
        out[i] = tmp[n - 1 - i];
    return n;
}

/* "o:<id>" and its weight, as arguments at. */
static bool put_field(struct worker *w, struct call *c, char direction, const struct dp_arc *arc)
{
    char *text = pr_arena_alloc(&w->arena, 44);
    if (text == NULL)
        return false;
    const size_t at = 4 + 2 * (size_t)c->fields++;
    text[0] = direction;
    text[1] = ':';
    const size_t name = 2 + put_number(text + 2, w->load->a->id[arc->vertex]);
    c->argv[at] = text;
    c->len[at] = name;
    c->argv[at + 1] = text + name;
    c->len[at + 1] = put_number(text + name, arc->weight);
    return true;
}

static struct call *new_call(struct worker *w, uint32_t vertex, const struct dp_vertex *id,
                             size_t fields)
{
    if (w->calls == w->calls_cap) {
        const size_t cap = w->calls_cap == 0 ? 1024 : w->calls_cap * 2;
        struct call *call = realloc(w->call, cap * sizeof *call);
        if (call != NULL)
            w->call = call;
        struct pr_rcmd *cmd = realloc(w->cmd, cap * sizeof *cmd);
        if (cmd != NULL)
            w->cmd = cmd;
        if (call == NULL || cmd == NULL)
            return NULL;
        w->calls_cap = cap;
    }
    const uint32_t home = pr_home_partition(id->hash, w->load->o->store->partitions);
    struct call *c = &w->call[w->calls];
    const size_t args = 4 + 2 * fields;
    *c = (struct call){ .vertex = vertex, .id = *id };
    c->argv = pr_arena_alloc(&w->arena, args * sizeof *c->argv);
    c->len = pr_arena_alloc(&w->arena, args * sizeof *c->len);
    char *key = pr_arena_alloc(&w->arena, PR_MAX_KEY_BYTES);
    if (c->argv == NULL || c->len == NULL || key == NULL)
        return NULL;
    static const char *const head[] = { "FCALL", "prism_load", "1" };
    for (size_t i = 0; i < 3; i++) {
        c->argv[i] = head[i];
        c->len[i] = strlen(head[i]);
    }
    c->argv[3] = key;
    c->len[3] = pr_key_vertex(key, home, id->id, id->id_len);
    w->cmd[w->calls++] = (struct pr_rcmd){
        .argc = (int)args, .argv = c->argv, .argvlen = c->len, .slot = pr_partition_slot(home)
    };
    return c;
}

/* The calls of one vertex: one, or several when it has many neighbours. */
static bool add_vertex(struct worker *w, uint32_t v)
{
    const struct dp_adjacency *a = w->load->a;
    const size_t out = a->out_first[v + 1] - a->out_first[v],
                 fields = out + a->in_first[v + 1] - a->in_first[v];
    struct dp_vertex id;
    size_t done = 0;
    dp_vertex_of_number(&id, a->id[v]);
    do {
        const size_t n = fields - done < MAX_FIELDS ? fields - done : MAX_FIELDS;
        struct call *c = new_call(w, v, &id, n);
        if (c == NULL)
            return false;
        for (size_t i = done; i < done + n; i++) {
            const bool is_out = i < out;
            const struct dp_arc *arc =
                is_out ? &a->out[a->out_first[v] + i] : &a->in[a->in_first[v] + i - out];
            if (!put_field(w, c, is_out ? 'o' : 'i', arc))
                return false;
        }
        done += n;
    } while (done < fields);
    w->fields += fields;
    return true;
}

/* --- answers ------------------------------------------------------------ */
/* Not at home any more: prism_write never creates, wherever the stub leads. */
static enum pr_code load_moved(struct worker *w, const struct call *c, struct pr_err *err)
{
    char count[16];
    const size_t args = 1 + 2 * (size_t)c->fields;
    const char **arg = pr_arena_alloc(&w->arena, args * sizeof *arg);
    size_t *len = pr_arena_alloc(&w->arena, args * sizeof *len);
    if (arg == NULL || len == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory");
    arg[0] = count;
    len[0] = put_number(count, (uint64_t)c->fields);
    memcpy(arg + 1, c->argv + 4, (args - 1) * sizeof *arg);
    memcpy(len + 1, c->len + 4, (args - 1) * sizeof *len);
    struct dp_op op = { .vertex = &c->id,
                        .op = CLIENT_WRITE,
                        .function = "prism_write",
                        .arg = arg,
                        .arg_len = len,
                        .n_args = (int)args,
                        .cached = pr_home_partition(c->id.hash, w->exec.partitions),
                        .wait = true };
    enum pr_code rc = dp_exec(&w->exec, &op, 1, err);
    if (rc != PR_OK)
        return rc;
    if (op.reply != NULL)
        freeReplyObject(op.reply);
    if (op.rc != PR_OK)
        return op.rc;
    if (op.outcome == CLIENT_FULL)
        return pr_fail(err, PR_EFULL, "VERTEX_FULL");
    if (op.outcome != CLIENT_DONE)
        return pr_fail(err, PR_EUNAVAIL, "it moved and could not be reached (outcome %d)",
                       (int)op.outcome);
    if (op.acked < op.wanted)
        return pr_fail(err, PR_EUNAVAIL, "%d of %d replicas have it", op.acked, op.wanted);
    atomic_fetch_add(&w->load->moved, 1);
    return PR_OK;
}

static enum pr_code check_reply(struct worker *w, const struct call *c, const struct pr_rcmd *cmd,
                                struct pr_err *err)
{
    enum client_result result;
    uint32_t partition;
    uint64_t epoch;
    const enum pr_code rc =
        dp_reply_parse(cmd->reply, w->load->o->store->partitions, &result, &partition, &epoch, err);
    if (rc != PR_OK)
        return rc;
    switch (result) {
    case CLIENT_R_OK:
        return PR_OK;
    case CLIENT_R_STUB:
        return load_moved(w, c, err);
    case CLIENT_R_FULL:
        return pr_fail(err, PR_EFULL, "VERTEX_FULL: over the cap on fields or bytes of a vertex");
    case CLIENT_R_DELETED:
        return pr_fail(err, PR_ECONFLICT, "it was deleted from this store");
    default:
        return pr_fail(err, PR_EDATA, "unexpected answer");
    }
}

/* write_retry is right here: setting the same fields again changes nothing. */
static enum pr_code run_wave(struct worker *w, struct pr_err *err)
{
    static const struct pr_run_options how = { .deadline_ms = WAVE_DEADLINE_MS,
                                               .write_retry = true };
    uint64_t bytes = 0;
    enum pr_code rc = pr_cluster_run(w->cluster, w->cmd, w->calls, &how, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < w->calls; i++) {
        const struct pr_rcmd *cmd = &w->cmd[i];
        bytes += cmd->request_bytes + cmd->reply_bytes;
        if (rc == PR_OK) {
            rc = cmd->rc != PR_OK ? cmd->rc : check_reply(w, &w->call[i], cmd, err);
            if (rc != PR_OK)
                (void)pr_wrap(err, rc, "vertex %s", w->call[i].id.id);
        }
        if (cmd->reply != NULL)
            freeReplyObject(cmd->reply);
    }
    atomic_fetch_add(&w->load->bytes, bytes);
    return rc;
}

static enum pr_code load_range(struct worker *w, size_t *from, size_t to, struct pr_err *err)
{
    const struct dp_adjacency *a = w->load->a;
    const size_t first = *from;
    pr_arena_reset(&w->arena);
    w->calls = w->fields = 0;
    while (*from < to && w->fields < WAVE_FIELDS)
        if (!add_vertex(w, (uint32_t)(*from)++))
            return pr_fail(err, PR_ENOMEM, "no memory for a wave of %zu fields", w->fields);
    const enum pr_code rc = run_wave(w, err);
    if (rc == PR_OK) {
        atomic_fetch_add(&w->load->vertices, *from - first);
        atomic_fetch_add(&w->load->edges, a->out_first[*from] - a->out_first[first]);
    }
    return rc;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct load *l = w->load;
    struct pr_err err = { .text = "" };
    while (!stopped(l)) {
        size_t from = atomic_fetch_add(&l->next, CLAIM_VERTICES), to = from + CLAIM_VERTICES;
        if (from >= l->a->vertices)
            break;
        if (to > l->a->vertices)
            to = l->a->vertices;
        while (from < to && !stopped(l))
            if (load_range(w, &from, to, &err) != PR_OK) {
                fail_load(l, &err);
                return NULL;
            }
    }
    return NULL;
}

/* --- workers ------------------------------------------------------------ */
static enum pr_code open_worker(struct worker *w, struct load *l, struct pr_err *err)
{
    *w = (struct worker){ .load = l };
    pr_arena_init(&w->arena, 0);
    const enum pr_code rc = dp_store_open(l->o->store, &w->cluster, err);
    if (rc != PR_OK)
        return rc;
    w->exec =
        (struct dp_exec){ .cluster = w->cluster,
                          .partitions = l->o->store->partitions,
                          .run = { .wait_replicas = dp_replicas(pr_cluster_topology(w->cluster)),
                                   .wait_all = true,
                                   .wait_ms = WAIT_MS,
                                   .deadline_ms = WAVE_DEADLINE_MS,
                                   .write_retry = true },
                          .deadline_ms = WAVE_DEADLINE_MS,
                          .max_backoffs = 64 };
    return PR_OK;
}

static void close_worker(struct worker *w)
{
    pr_cluster_close(w->cluster);
    pr_arena_done(&w->arena);
    dp_exec_done(&w->exec);
    free(w->call);
    free(w->cmd);
}

static void watch(struct load *l, int64_t began_us)
{
    if (l->o->progress != NULL)
        l->o->progress(l->o->ctx, atomic_load(&l->vertices), atomic_load(&l->edges),
                       (double)(pr_mono_us() - began_us) / 1e6);
}

/* All vertices once, by all workers. */
static enum pr_code load_all(struct load *l, struct worker *w, int64_t began_us, struct pr_err *err)
{
    atomic_store(&l->next, 0);
    atomic_store(&l->vertices, 0);
    atomic_store(&l->edges, 0);
    atomic_store(&l->moved, 0);
    for (int i = 0; i < l->o->threads; i++) {
        w[i].started = pthread_create(&w[i].thread, NULL, work, &w[i]) == 0;
        if (!w[i].started) {
            const struct pr_err why = { .code = PR_ENOMEM, .text = "cannot start a thread" };
            fail_load(l, &why);
        }
    }
    for (int i = 0; i < l->o->threads; i++) {
        struct timespec until;
        while (w[i].started) {
            (void)clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 400000000;
            until.tv_sec += until.tv_nsec / 1000000000;
            until.tv_nsec %= 1000000000;
            if (pthread_timedjoin_np(w[i].thread, NULL, &until) == 0)
                break;
            watch(l, began_us);
        }
    }
    if (atomic_load(&l->failed)) {
        if (err != NULL)
            *err = l->why;
        return l->why.code;
    }
    if (stopped(l))
        return pr_fail(err, PR_ECANCELED, "stopped after %zu of %zu vertices",
                       atomic_load(&l->vertices), l->a->vertices);
    return PR_OK;
}

/* --- replicas ----------------------------------------------------------- */
/* A WAIT covers whatever the primary executed before the write it follows: so
 * one more write of an edge already there, on every primary, and WAIT. */
static enum pr_code wait_for_replicas(struct worker *w, struct pr_err *err)
{
    const struct pr_topology *t = pr_cluster_topology(w->cluster);
    const struct dp_adjacency *a = w->load->a;
    const struct pr_run_options how = { .wait_replicas = w->exec.run.wait_replicas,
                                        .wait_all = true,
                                        .wait_ms = WAIT_MS,
                                        .deadline_ms = 2 * WAIT_MS,
                                        .write_retry = true };
    bool *seen = calloc(t->nodes, sizeof *seen);
    if (seen == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory");
    pr_arena_reset(&w->arena);
    w->calls = 0;
    enum pr_code rc = PR_OK;
    for (size_t v = 0; v < a->vertices && rc == PR_OK; v++) {
        struct dp_vertex id;
        dp_vertex_of_number(&id, a->id[v]);
        const uint32_t home = pr_home_partition(id.hash, w->load->o->store->partitions);
        const int owner = t->slot_owner[pr_partition_slot(home)];
        if (owner < 0 || seen[owner])
            continue;
        const size_t out = a->out_first[v + 1] - a->out_first[v];
        struct call *c = new_call(w, (uint32_t)v, &id, out > 0 ? 1 : 0);
        if (c == NULL || (out > 0 && !put_field(w, c, 'o', &a->out[a->out_first[v]])))
            rc = pr_fail(err, PR_ENOMEM, "no memory");
        else
            w->cmd[w->calls - 1].wait = true;
        seen[owner] = true;
    }
    free(seen);
    if (rc == PR_OK)
        rc = pr_cluster_run(w->cluster, w->cmd, w->calls, &how, err);
    if (rc != PR_OK)
        return rc;
    for (size_t i = 0; i < w->calls; i++) {
        if (rc == PR_OK && w->cmd[i].rc != PR_OK)
            rc = w->cmd[i].rc;
        else if (rc == PR_OK && w->cmd[i].acked < w->cmd[i].wanted)
            rc = pr_fail(err, PR_EUNAVAIL, "redis %s: %d of %d replicas have everything",
                         w->cmd[i].node_host_port, w->cmd[i].acked, w->cmd[i].wanted);
        if (w->cmd[i].reply != NULL)
            freeReplyObject(w->cmd[i].reply);
    }
    return rc;
}

/* Changes when a replica took over, which may lack what was not waited for. */
static uint64_t ownership(const struct pr_topology *t)
{
    uint64_t h = 0;
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++) {
        const int16_t i = t->slot_owner[s];
        h = h * 0x9e3779b97f4a7c15ULL + (i >= 0 ? pr_vertex_hash(t->node[i].id, 40) : 1);
    }
    return h;
}

static enum pr_code load_rounds(struct load *l, struct worker *w, int64_t began_us,
                                struct pr_err *err)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        enum pr_code rc = pr_cluster_refresh(w[0].cluster, err);
        const uint64_t before = ownership(pr_cluster_topology(w[0].cluster));
        if (rc == PR_OK)
            rc = load_all(l, w, began_us, err);
        if (rc == PR_OK)
            rc = wait_for_replicas(&w[0], err);
        if (rc == PR_OK)
            rc = pr_cluster_refresh(w[0].cluster, err);
        if (rc != PR_OK)
            return rc;
        if (ownership(pr_cluster_topology(w[0].cluster)) == before)
            return PR_OK;
    }
    return pr_fail(err, PR_EUNAVAIL, "slots changed hands during each of %d loads", MAX_ROUNDS);
}

enum pr_code dp_load(const struct dp_adjacency *a, const struct dp_load_options *o,
                     struct dp_load_report *report, struct pr_err *err)
{
    struct load l = { .a = a, .o = o, .lock = PTHREAD_MUTEX_INITIALIZER };
    struct worker *w = calloc((size_t)o->threads, sizeof *w);
    const int64_t began_us = pr_mono_us();
    enum pr_code rc = w == NULL ? pr_fail(err, PR_ENOMEM, "no memory") : PR_OK;
    int opened = 0;
    for (; rc == PR_OK && opened < o->threads; opened++)
        rc = open_worker(&w[opened], &l, err);
    if (rc == PR_OK)
        rc = load_rounds(&l, w, began_us, err);
    if (rc == PR_OK)
        *report = (struct dp_load_report){ .vertices = a->vertices,
                                           .edges = a->edges,
                                           .moved = atomic_load(&l.moved),
                                           .bytes = atomic_load(&l.bytes),
                                           .seconds = (double)(pr_mono_us() - began_us) / 1e6 };
    for (int i = 0; i < opened; i++)
        close_worker(&w[i]);
    free(w);
    pthread_mutex_destroy(&l.lock);
    return rc;
}
