#include "io/ahead.h"

#include "prism/io/clock.h"
#include "prism/io/rest.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { THREADS_MAX = 16, LOOK_US = 100 * 1000 };

struct dr_ahead {
    size_t from, to, next;
    dr_ahead_fn *fn;
    void *ctx;
    const atomic_bool *cancel;
    atomic_bool stop;
    pthread_t thread[THREADS_MAX];
    unsigned threads;
    pthread_mutex_t mu;
    pthread_cond_t wake;
    bool *there;     /* [to - from] */
    enum pr_code rc; /* of the first failure */
    struct pr_err err;
};

/* Under mu. */
static void do_one(struct dr_ahead *a, const atomic_bool *stop)
{
    const size_t i = a->next++;
    struct pr_err err = { 0 };
    pthread_mutex_unlock(&a->mu);
    const enum pr_code rc = a->fn(a->ctx, i, stop, &err);
    pthread_mutex_lock(&a->mu);
    if (rc == PR_OK) {
        a->there[i - a->from] = true;
    } else if (a->rc == PR_OK) {
        a->rc = rc;
        a->err = err;
        atomic_store(&a->stop, true);
    }
    pthread_cond_broadcast(&a->wake);
}

static bool goes_on(struct dr_ahead *a)
{
    return a->rc == PR_OK && !atomic_load(&a->stop) && a->next < a->to;
}

static void *work(void *arg)
{
    struct dr_ahead *a = arg;
    pthread_mutex_lock(&a->mu);
    while (goes_on(a))
        do_one(a, &a->stop);
    pthread_mutex_unlock(&a->mu);
    return NULL;
}

enum pr_code dr_ahead_begin(struct dr_ahead **out, size_t from, size_t to, unsigned threads,
                            dr_ahead_fn *fn, void *ctx, const atomic_bool *cancel,
                            struct pr_err *err)
{
    struct dr_ahead *a = calloc(1, sizeof *a);
    bool *there = calloc(to - from + 1, sizeof *there);
    *out = NULL;
    if (a == NULL || there == NULL) {
        free(a);
        free(there);
        return pr_fail(err, PR_ENOMEM, "no memory for %zu at a time", to - from);
    }
    *a = (struct dr_ahead){
        .from = from, .to = to, .next = from, .fn = fn, .ctx = ctx, .cancel = cancel, .there = there
    };
    pthread_mutex_init(&a->mu, NULL);
    pr_cond_init(&a->wake);
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    while (a->threads < threads && a->threads < to - from &&
           pthread_create(&a->thread[a->threads], NULL, work, a) == 0)
        a->threads++;
    *out = a;
    return PR_OK;
}

enum pr_code dr_ahead_await(struct dr_ahead *a, size_t i, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    pthread_mutex_lock(&a->mu);
    while (a->rc == PR_OK && !a->there[i - a->from]) {
        if (a->cancel != NULL && atomic_load(a->cancel)) {
            a->rc = pr_fail(&a->err, PR_ECANCELED, "told to stop");
            atomic_store(&a->stop, true);
        } else if (a->threads == 0) { /* none to be had: then by this one, nobody else tells it */
            do_one(a, a->cancel != NULL ? a->cancel : &a->stop);
        } else {
            (void)pr_cond_until(&a->wake, &a->mu, pr_mono_us() + LOOK_US); /* then cancel again */
        }
    }
    if (a->rc != PR_OK)
        rc = pr_fail(err, a->rc, "%s", a->err.text);
    pthread_mutex_unlock(&a->mu);
    return rc;
}

void dr_ahead_end(struct dr_ahead *a)
{
    if (a == NULL)
        return;
    atomic_store(&a->stop, true);
    for (unsigned i = 0; i < a->threads; i++)
        pthread_join(a->thread[i], NULL);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->mu);
    free(a->there);
    free(a);
}
