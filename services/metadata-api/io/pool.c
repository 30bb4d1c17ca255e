#include "pool.h"

#include "prism/io/clock.h"
#include "prism/io/rest.h"

#include <pthread.h>
#include <stdlib.h>

enum { WAIT_S = 5 };

struct api_pool {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct pr_db **all, **idle; /* idle is a stack: the warmest is used first */
    int size, n_idle;
};

enum pr_code api_pool_open(struct api_pool **pool, const char *uri, const char *name, int size,
                           struct pr_err *err)
{
    struct api_pool *p = calloc(1, sizeof *p);
    if (p == NULL)
        return pr_fail(err, PR_ENOMEM, "connection pool");
    pthread_mutex_init(&p->lock, NULL);
    pr_cond_init(&p->given);
    p->all = calloc((size_t)size, sizeof(struct pr_db *));
    p->idle = calloc((size_t)size, sizeof(struct pr_db *));
    enum pr_code rc = p->all != NULL && p->idle != NULL
                          ? PR_OK
                          : pr_fail(err, PR_ENOMEM, "pool of %d connections", size);
    for (; rc == PR_OK && p->size < size; p->size++) {
        rc = pr_db_open(&p->all[p->size], uri, name, err);
        if (rc != PR_OK)
            break;
        p->idle[p->n_idle++] = p->all[p->size];
    }
    if (rc != PR_OK) {
        api_pool_close(p);
        return rc;
    }
    *pool = p;
    return PR_OK;
}

enum pr_code api_pool_take(struct api_pool *p, struct pr_db **db, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + (int64_t)WAIT_S * 1000000;
    pthread_mutex_lock(&p->lock);
    while (p->n_idle == 0 && pr_cond_until(&p->given, &p->lock, until_us))
        ;
    *db = p->n_idle > 0 ? p->idle[--p->n_idle] : NULL;
    pthread_mutex_unlock(&p->lock);
    if (*db == NULL)
        return pr_fail(err, PR_EUNAVAIL, "all %d PostgreSQL connections were busy for %d s",
                       p->size, WAIT_S);
    return PR_OK;
}

void api_pool_give(struct api_pool *p, struct pr_db *db)
{
    pthread_mutex_lock(&p->lock);
    p->idle[p->n_idle++] = db;
    pthread_cond_signal(&p->given);
    pthread_mutex_unlock(&p->lock);
}

void api_pool_close(struct api_pool *p)
{
    if (p == NULL)
        return;
    for (int i = 0; i < p->size; i++)
        pr_db_close(p->all[i]);
    free(p->all);
    free(p->idle);
    pthread_cond_destroy(&p->given);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
