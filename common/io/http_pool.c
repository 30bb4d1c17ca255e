#include "http_pool.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { STACK_BYTES = 1 << 20 };

struct pr_http_pool {
    pthread_mutex_t lock;       /* all below; taken before those of libmicrohttpd */
    pthread_cond_t work, quiet; /* something is queued; nothing runs */
    struct queue {
        struct pr_http_job *first, **last;
    } soon, later;               /* those without a limit, and with one */
    struct pr_http_job *resting; /* they had nothing to tell */
    size_t queued, queue;        /* of later, and their limit */
    size_t running;
    uint64_t told; /* times: what was told while a job ran, it may have missed */
    bool stopping;
    unsigned workers;
    pthread_t *worker; /* [workers] */
};

static void push(struct pr_http_pool *p, struct pr_http_job *job)
{
    struct queue *q = job->unlimited ? &p->soon : &p->later;
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
    p->queued += !job->unlimited;
    pthread_cond_signal(&p->work);
}

static bool is_idle(const struct pr_http_pool *p)
{
    return p->soon.first == NULL && p->later.first == NULL;
}

static struct pr_http_job *pop(struct pr_http_pool *p)
{
    struct queue *q = p->soon.first != NULL ? &p->soon : &p->later;
    struct pr_http_job *job = q->first;
    q->first = job->next;
    if (q->first == NULL)
        q->last = &q->first;
    p->queued -= !job->unlimited;
    return job;
}

static void drop(struct pr_http_job *job)
{
    job->dropped = true;
    MHD_resume_connection(job->mhd);
}

/* With the lock held, which is given back meanwhile. */
static void run_one(struct pr_http_pool *p)
{
    struct pr_http_job *job = pop(p);
    const uint64_t told = p->told;
    p->running++;
    pthread_mutex_unlock(&p->lock);
    const bool done = job->run(job);
    if (done)
        MHD_resume_connection(job->mhd); /* from here on the loop may free it */
    pthread_mutex_lock(&p->lock);
    if (!done && p->stopping)
        drop(job);
    else if (!done && p->told != told)
        push(p, job);
    else if (!done) {
        job->next = p->resting;
        p->resting = job;
    }
    if (--p->running == 0)
        pthread_cond_broadcast(&p->quiet);
}

static void *work(void *arg)
{
    struct pr_http_pool *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping)
        if (is_idle(p))
            pthread_cond_wait(&p->work, &p->lock);
        else
            run_one(p);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static bool start(struct pr_http_pool *p, unsigned workers)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    while (p->workers < workers && pthread_create(&p->worker[p->workers], &attr, work, p) == 0)
        p->workers++;
    pthread_attr_destroy(&attr);
    return p->workers == workers;
}

enum pr_code pr_http_pool_open(struct pr_http_pool **out, unsigned workers, size_t queue,
                               struct pr_err *err)
{
    struct pr_http_pool *p = calloc(1, sizeof *p);
    if (p == NULL || (p->worker = calloc(workers + 1, sizeof *p->worker)) == NULL) {
        free(p);
        return pr_fail(err, PR_ENOMEM, "HTTP server: out of memory");
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->quiet, NULL);
    p->soon.last = &p->soon.first;
    p->later.last = &p->later.first;
    p->queue = queue;
    if (!start(p, workers)) {
        const unsigned had = p->workers;
        pr_http_pool_stop(p);
        pr_http_pool_close(p);
        return pr_fail(err, PR_EUNAVAIL, "HTTP server: %u threads of %u", had, workers);
    }
    *out = p;
    return PR_OK;
}

bool pr_http_pool_add(struct pr_http_pool *p, struct pr_http_job *job)
{
    pthread_mutex_lock(&p->lock);
    const size_t most = job->stranger ? (p->queue + 3) / 4 : p->queue;
    const bool room = !p->stopping && (job->unlimited || p->queued < most);
    if (room) {
        MHD_suspend_connection(job->mhd); /* before a worker can resume it */
        push(p, job);
    }
    pthread_mutex_unlock(&p->lock);
    return room;
}

void pr_http_pool_tell(struct pr_http_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->told++;
    while (p->resting != NULL) {
        struct pr_http_job *job = p->resting;
        p->resting = job->next;
        push(p, job);
    }
    pthread_mutex_unlock(&p->lock);
}

void pr_http_pool_stop(struct pr_http_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    while (p->resting != NULL) {
        struct pr_http_job *job = p->resting;
        p->resting = job->next;
        drop(job);
    }
    while (!is_idle(p))
        drop(pop(p));
    while (p->running > 0)
        pthread_cond_wait(&p->quiet, &p->lock);
    pthread_mutex_unlock(&p->lock);
    for (; p->workers > 0; p->workers--)
        (void)pthread_join(p->worker[p->workers - 1], NULL);
}

void pr_http_pool_close(struct pr_http_pool *p)
{
    if (p == NULL)
        return;
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->quiet);
    pthread_mutex_destroy(&p->lock);
    free(p->worker);
    free(p);
}
