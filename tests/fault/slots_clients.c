#include "slots_clients.h"

#include "slots_keys.h"

#include "t.h"

#include "it.h"

#include "prism/io/clock.h"
#include "prism/rng.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WRITERS = 3, VERTEX_WRITER = 0, OPS = 16, PAUSE_US = 8000, DIAL_MS = 500 };

/* Never sent twice: a write whose answer was lost stays unsure. */
static const struct pr_run_options WRITE = { .wait_replicas = 2,
                                             .wait_ms = 500,
                                             .deadline_ms = 1500 };
static const struct pr_run_options READ = { .deadline_ms = 400 };

static struct {
    pthread_t thread[WRITERS + 1]; /* the last reads */
    bool runs;
    atomic_bool stop;
    uint64_t seed;
    pthread_mutex_t lock; /* aim, count */
    uint16_t aim[SLOTS_HOT];
    size_t aims;
    struct slots_traffic count;
} clients = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* --- choosing keys ---------------------------------------------------------------- */

static int group_of(uint16_t slot)
{
    int i = 0;
    while (slots_hot[i] != slot)
        i++;
    return i;
}

static int pick(struct pr_rng *rng)
{
    int group = (int)pr_rng_below(rng, SLOTS_HOT);
    pthread_mutex_lock(&clients.lock);
    if (clients.aims > 0 && pr_rng_below(rng, 2) == 0)
        group = group_of(clients.aim[pr_rng_below(rng, clients.aims)]);
    pthread_mutex_unlock(&clients.lock);
    return group * SLOTS_PER_HOT + (int)pr_rng_below(rng, SLOTS_PER_HOT);
}

/* Every key has one writer, so that what is newest is known. */
static bool mine(int writer, const struct slots_key *k)
{
    if (k->type == SLOTS_VERTEX || writer == VERTEX_WRITER)
        return k->type == SLOTS_VERTEX && writer == VERTEX_WRITER;
    return (int)((k - slots_key) / SLOTS_TYPES) % (WRITERS - 1) + 1 == writer;
}

/* Different keys, in n tries each. */
static size_t pick_some(struct pr_rng *rng, int writer, int out[OPS])
{
    size_t n = 0;
    for (int tries = 0; tries < 40 * OPS && n < OPS; tries++) {
        const int i = pick(rng);
        bool fresh = writer < 0 || mine(writer, &slots_key[i]);
        for (size_t k = 0; k < n; k++)
            fresh = fresh && out[k] != i;
        if (fresh)
            out[n++] = i;
    }
    return n;
}

/* --- a writer ----------------------------------------------------------------------- */

struct write {
    struct slots_key *key;
    int cell;
    long seq;
};

static bool next_write(struct pr_rng *rng, int i, struct write *w)
{
    *w = (struct write){ .key = &slots_key[i] };
    if (w->key->type == SLOTS_SET) {
        w->seq = w->key->members < SLOTS_MEMBERS ? w->key->members++
                                                 : (long)pr_rng_below(rng, SLOTS_MEMBERS);
        return true;
    }
    w->cell = w->key->type == SLOTS_HASH ? (int)pr_rng_below(rng, SLOTS_FIELDS) : 0;
    struct slots_cell *l = &w->key->cell[w->cell];
    if (l->unsure)
        return false;
    w->seq = ++l->tried;
    return true;
}

/* Whether it counts as acknowledged. */
static bool note(const struct write *w, const struct pr_rcmd *c)
{
    const bool done = c->rc == PR_OK && slots_key_written(w->key, c->reply);
    if (w->key->type == SLOTS_SET) {
        if (done && c->acked >= WRITE.wait_replicas)
            atomic_fetch_or(&w->key->member[w->seq / 64], 1ULL << (w->seq % 64));
        return done && c->acked >= WRITE.wait_replicas;
    }
    struct slots_cell *l = &w->key->cell[w->cell];
    l->unsure = l->unsure || c->rc == PR_ETIMEOUT;
    if (done && c->acked >= 1)
        l->heard = w->seq;
    if (done && c->acked >= WRITE.wait_replicas)
        atomic_store(&l->acked, w->seq);
    return done && c->acked >= WRITE.wait_replicas;
}

static void write_some(struct pr_cluster *c, struct slots_batch *b, int writer, struct pr_rng *rng)
{
    struct write w[OPS];
    int at[OPS];
    size_t n = 0;
    long acked = 0;
    struct pr_err err = { 0 };
    const size_t picked = pick_some(rng, writer, at);
    for (size_t i = 0; i < picked; i++)
        if (next_write(rng, at[i], &w[n])) {
            slots_key_write(b, w[n].key, w[n].cell, w[n].seq);
            n++;
        }
    if (pr_cluster_run(c, b->cmd, n, &WRITE, &err) == PR_OK)
        for (size_t i = 0; i < n; i++)
            acked += note(&w[i], &b->cmd[i]);
    slots_batch_done(b);
    pthread_mutex_lock(&clients.lock);
    clients.count.sent += (long)n;
    clients.count.acked += acked;
    pthread_mutex_unlock(&clients.lock);
}

/* --- the reader ----------------------------------------------------------------------- */

struct look {
    const struct slots_key *key;
    int cell;
    long floor; /* acknowledged before it was sent; of a set: the member */
};

static long seen[SLOTS_KEYS][SLOTS_FIELDS];

static struct look next_look(struct pr_rng *rng, int i)
{
    struct look l = { .key = &slots_key[i] };
    if (l.key->type == SLOTS_SET) {
        const size_t word = (size_t)pr_rng_below(rng, SLOTS_MEMBERS / 64);
        unsigned long long bits = atomic_load(&l.key->member[word]);
        for (int k = 0; k < 64 && bits != 0; k++, bits >>= 1)
            if ((bits & 1) != 0)
                l.floor = (long)word * 64 + k; /* the newest of the word, or m0 */
        return l;
    }
    l.cell = l.key->type == SLOTS_HASH ? (int)pr_rng_below(rng, SLOTS_FIELDS) : 0;
    l.floor = atomic_load(&l.key->cell[l.cell].acked);
    return l;
}

static void judge(struct slots_traffic *t, const struct look *l, const struct pr_rcmd *c)
{
    if (c->rc != PR_OK || c->reply->type == REDIS_REPLY_ERROR) {
        t->failed++;
        t->last_failed_us = pr_mono_us();
        return;
    }
    const long value = slots_key_value(l->key, c->reply);
    long *last = &seen[l->key - slots_key][l->cell];
    const bool old = l->key->type != SLOTS_SET && value >= 0 && value < l->floor;
    t->reads++;
    t->absent += value < 0;
    t->old += old;
    if (value < 0 || old)
        t->last_wrong_us = pr_mono_us();
    if (l->key->type == SLOTS_SET || value < 0)
        return;
    t->back += value < *last;
    *last = value;
}

static void read_some(struct pr_cluster *c, struct slots_batch *b, struct pr_rng *rng)
{
    struct look l[OPS];
    int at[OPS];
    struct slots_traffic t = { 0 };
    struct pr_err err = { 0 };
    const size_t n = pick_some(rng, -1, at);
    for (size_t i = 0; i < n; i++) {
        l[i] = next_look(rng, at[i]);
        slots_key_read(b, l[i].key, l[i].cell, l[i].floor);
    }
    if (pr_cluster_run(c, b->cmd, n, &READ, &err) == PR_OK)
        for (size_t i = 0; i < n; i++)
            judge(&t, &l[i], &b->cmd[i]);
    slots_batch_done(b);
    pthread_mutex_lock(&clients.lock);
    clients.count.reads += t.reads;
    clients.count.absent += t.absent;
    clients.count.old += t.old;
    clients.count.back += t.back;
    clients.count.failed += t.failed;
    if (t.last_wrong_us != 0)
        clients.count.last_wrong_us = t.last_wrong_us;
    if (t.last_failed_us != 0)
        clients.count.last_failed_us = t.last_failed_us;
    pthread_mutex_unlock(&clients.lock);
}

/* --- threads ----------------------------------------------------------------------------- */

static void *run(void *arg)
{
    const int who = (int)(intptr_t)arg;
    const bool vertices = who == VERTEX_WRITER;
    const struct pr_redis_auth auth = {
        it_env(vertices ? "IT_CLIENT_REDIS_USER" : "IT_REDIS_ADMIN_USER"),
        it_env(vertices ? "IT_CLIENT_REDIS_PASSWORD" : "IT_REDIS_ADMIN_PASSWORD")
    };
    struct pr_cluster *c = NULL;
    struct pr_rng rng;
    struct pr_err err = { 0 };
    struct slots_batch *b = calloc(1, sizeof *b);
    pr_rng_init(&rng, clients.seed * 16 + (uint64_t)who);
    if (b == NULL || pr_cluster_open(&c, it_env("IT_REDIS_SEEDS"), &auth, DIAL_MS, &err) != PR_OK) {
        fprintf(stderr, "client %d: %s\n", who, err.text); /* its counts stay 0: noticed */
        free(b);
        return NULL;
    }
    while (!atomic_load(&clients.stop)) {
        if (who == WRITERS)
            read_some(c, b, &rng);
        else
            write_some(c, b, who, &rng);
        /* Their pace: two cores carry the whole cluster. */
        (void)nanosleep(&(struct timespec){ 0, PAUSE_US * 1000 }, NULL);
    }
    pr_cluster_close(c);
    free(b);
    return NULL;
}

void slots_clients_start(uint64_t seed)
{
    clients.seed = seed;
    clients.count = (struct slots_traffic){ 0 };
    clients.aims = 0;
    memset(seen, 0, sizeof seen);
    atomic_store(&clients.stop, false);
    (void)it_env("IT_REDIS_SEEDS"); /* read the file before there are threads */
    for (int i = 0; i <= WRITERS; i++)
        assert_int_equal(pthread_create(&clients.thread[i], NULL, run, (void *)(intptr_t)i), 0);
    clients.runs = true;
}

void slots_clients_aim(const uint16_t *slot, size_t n)
{
    assert_true(n <= SLOTS_HOT);
    pthread_mutex_lock(&clients.lock);
    if (n > 0)
        memcpy(clients.aim, slot, n * sizeof *slot);
    clients.aims = n;
    pthread_mutex_unlock(&clients.lock);
}

void slots_clients_count(struct slots_traffic *out)
{
    pthread_mutex_lock(&clients.lock);
    *out = clients.count;
    clients.count = (struct slots_traffic){ 0 };
    pthread_mutex_unlock(&clients.lock);
}

void slots_clients_stop(void)
{
    if (!clients.runs)
        return;
    atomic_store(&clients.stop, true);
    for (int i = 0; i <= WRITERS; i++)
        pthread_join(clients.thread[i], NULL);
    clients.runs = false;
}
