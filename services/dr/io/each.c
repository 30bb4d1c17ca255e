#include "io/each.h"

#include <pthread.h>

enum { THREADS_MAX = 64 };

struct work {
    const struct pr_s3_store *store;
    const atomic_bool *cancel;
    size_t n;
    dr_each_fn *fn;
    void *ctx;
    atomic_size_t next;
    atomic_bool failed;
    pthread_mutex_t mu;
    enum pr_code rc; /* of the first failure */
    struct pr_err err;
};

static void fail(struct work *w, enum pr_code rc, const struct pr_err *err)
{
    pthread_mutex_lock(&w->mu);
    if (w->rc == PR_OK) {
        w->rc = rc;
        w->err = *err;
    }
    pthread_mutex_unlock(&w->mu);
    atomic_store(&w->failed, true);
}

static void *work(void *arg)
{
    struct work *w = arg;
    struct pr_err err = { 0 };
    struct pr_s3 *s3 = NULL;
    enum pr_code rc = w->store != NULL ? pr_s3_open(w->store, w->cancel, &s3, &err) : PR_OK;
    while (rc == PR_OK && !atomic_load(&w->failed)) {
        const size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->n)
            break;
        rc = w->fn(w->ctx, s3, i, &err);
    }
    if (rc != PR_OK)
        fail(w, rc, &err);
    pr_s3_close(s3);
    return NULL;
}

enum pr_code dr_each(const struct pr_s3_store *store, const atomic_bool *cancel, unsigned threads,
                     size_t n, dr_each_fn *fn, void *ctx, struct pr_err *err)
{
    struct work w = { .store = store, .cancel = cancel, .n = n, .fn = fn, .ctx = ctx };
    pthread_t thread[THREADS_MAX];
    unsigned started = 0;
    pthread_mutex_init(&w.mu, NULL);
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    while (started < threads && started < n &&
           pthread_create(&thread[started], NULL, work, &w) == 0)
        started++;
    if (started == 0 && n > 0)
        (void)work(&w); /* no thread to be had: then by this one */
    for (unsigned i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&w.mu);
    return w.rc == PR_OK ? PR_OK : pr_fail(err, w.rc, "%s", w.err.text);
}
