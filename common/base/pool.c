#include "prism/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Work often comes in pieces of some microseconds, so a worker looks for the
 * next one a while before it sleeps. */
enum { SPINS = 4000 };

struct pr_pool {
    unsigned threads;
    void (*fn)(void *, unsigned);
    void *ctx;
    atomic_uint round; /* grows by one a run; workers start when they see it */
    atomic_uint busy;  /* workers that have not ended the round */
    atomic_uint asleep;
    bool stop;
    pthread_mutex_t lock;
    pthread_cond_t work;
    unsigned started;
    struct worker {
        struct pr_pool *pool;
        unsigned number;
        pthread_t thread;
    } worker[PR_POOL_MAX];
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void await_round(struct pr_pool *p, unsigned seen)
{
    for (unsigned i = 0; i < SPINS; i++) {
        if (atomic_load(&p->round) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->asleep, 1);
    while (atomic_load(&p->round) == seen)
        pthread_cond_wait(&p->work, &p->lock);
    atomic_fetch_sub(&p->asleep, 1);
    pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct pr_pool *p = w->pool;
    for (unsigned seen = 0;; seen++) {
        await_round(p, seen);
        if (p->stop)
            return NULL;
        p->fn(p->ctx, w->number);
        atomic_fetch_sub(&p->busy, 1);
    }
}

/* asleep and round are both sequentially consistent: either the worker sees the
 * new round before it sleeps, or it is seen asleep here. */
static void start_round(struct pr_pool *p)
{
    atomic_store(&p->busy, p->threads - 1);
    atomic_fetch_add(&p->round, 1);
    if (atomic_load(&p->asleep) > 0) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->work);
        pthread_mutex_unlock(&p->lock);
    }
}

enum pr_code pr_pool_new(unsigned threads, struct pr_pool **out, struct pr_err *err)
{
    if (threads == 0 || threads > PR_POOL_MAX)
        return pr_fail(err, PR_EINVAL, "%u threads, 1 to %d are supported", threads, PR_POOL_MAX);
    struct pr_pool *p = calloc(1, sizeof *p);
    if (p == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %u threads", threads);
    p->threads = threads;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    for (unsigned i = 1; i < threads; i++) {
        p->worker[i] = (struct worker){ .pool = p, .number = i };
        if (pthread_create(&p->worker[i].thread, NULL, work, &p->worker[i]) != 0) {
            pr_pool_free(p);
            return pr_fail(err, PR_EUNAVAIL, "thread %u of %u could not be started", i, threads);
        }
        p->started++;
    }
    *out = p;
    return PR_OK;
}

void pr_pool_free(struct pr_pool *p)
{
    if (p == NULL)
        return;
    p->stop = true;
    start_round(p);
    for (unsigned i = 1; i <= p->started; i++)
        pthread_join(p->worker[i].thread, NULL);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

unsigned pr_pool_threads(const struct pr_pool *p)
{
    return p == NULL ? 1 : p->threads;
}

void pr_pool_run(struct pr_pool *p, void (*fn)(void *, unsigned), void *ctx)
{
    if (p == NULL || p->threads == 1) {
        fn(ctx, 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    start_round(p);
    fn(ctx, 0);
    /* The last worker is about to end; when a core is taken from it, let it in. */
    for (unsigned i = 0; atomic_load(&p->busy) > 0; i++) {
        if (i < SPINS)
            relax();
        else
            sched_yield();
    }
}

struct range {
    void (*fn)(void *, unsigned, uint64_t, uint64_t);
    void *ctx;
    uint64_t n, grain;
    atomic_ullong next;
};

static void take_chunks(void *ctx, unsigned worker)
{
    struct range *r = ctx;
    for (;;) {
        const uint64_t begin = atomic_fetch_add_explicit(&r->next, r->grain, memory_order_relaxed);
        if (begin >= r->n)
            return;
        r->fn(r->ctx, worker, begin, r->n - begin < r->grain ? r->n : begin + r->grain);
    }
}

void pr_pool_for(struct pr_pool *p, uint64_t n, uint64_t grain,
                 void (*fn)(void *, unsigned, uint64_t, uint64_t), void *ctx)
{
    struct range r = { .fn = fn, .ctx = ctx, .n = n, .grain = grain };
    if (n == 0)
        return;
    if (n <= grain) {
        fn(ctx, 0, 0, n);
        return;
    }
    pr_pool_run(p, take_chunks, &r);
}
