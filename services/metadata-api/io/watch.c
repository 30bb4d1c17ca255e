#include "watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { NAME = 280 };

struct api_watcher {
    struct api_watcher *next, **link; /* of the list; link points at what points here */
    char principal[NAME];
    int socket;
    int64_t handed_ms; /* 0: nothing is on its way */
    bool cut;
};

struct api_watchers {
    pthread_mutex_t lock;
    struct api_watcher *list;
    size_t n;
};

struct api_watchers *api_watchers_new(void)
{
    struct api_watchers *w = calloc(1, sizeof *w);
    if (w != NULL)
        pthread_mutex_init(&w->lock, NULL);
    return w;
}

void api_watchers_free(struct api_watchers *w)
{
    if (w == NULL)
        return;
    pthread_mutex_destroy(&w->lock);
    free(w);
}

static size_t count_of(const struct api_watchers *w, const char *principal)
{
    size_t n = 0;
    for (const struct api_watcher *i = w->list; i != NULL; i = i->next)
        n += strcmp(i->principal, principal) == 0;
    return n;
}

static void insert(struct api_watchers *w, struct api_watcher *one)
{
    one->next = w->list;
    one->link = &w->list;
    if (one->next != NULL)
        one->next->link = &one->next;
    w->list = one;
    w->n++;
}

enum pr_code api_watchers_add(struct api_watchers *w, const struct api_watch_limits *l,
                              const char *principal, int socket, struct api_watcher **out,
                              struct pr_err *err)
{
    struct api_watcher *one = calloc(1, sizeof *one);
    if (one == NULL)
        return pr_fail(err, PR_ENOMEM, "watcher");
    (void)snprintf(one->principal, sizeof one->principal, "%s", principal);
    one->socket = socket;
    enum pr_code rc = PR_OK;
    pthread_mutex_lock(&w->lock);
    if (w->n >= (size_t)l->all)
        rc = pr_fail(err, PR_EUNAVAIL, "all %lld places of watchers are taken", (long long)l->all);
    else if (count_of(w, one->principal) >= (size_t)l->each)
        rc = pr_fail(err, PR_EFULL, "%s watches %lld times already", principal, (long long)l->each);
    else
        insert(w, one);
    pthread_mutex_unlock(&w->lock);
    if (rc == PR_OK)
        *out = one;
    else
        free(one);
    return rc;
}

void api_watchers_remove(struct api_watchers *w, struct api_watcher *one)
{
    pthread_mutex_lock(&w->lock);
    *one->link = one->next;
    if (one->next != NULL)
        one->next->link = one->link;
    w->n--;
    pthread_mutex_unlock(&w->lock);
    free(one);
}

void api_watcher_handed(struct api_watchers *w, struct api_watcher *one, int64_t at_ms)
{
    pthread_mutex_lock(&w->lock);
    one->handed_ms = at_ms;
    pthread_mutex_unlock(&w->lock);
}

size_t api_watchers_cut(struct api_watchers *w, const struct api_watch_limits *l, int64_t now_ms)
{
    size_t cut = 0;
    pthread_mutex_lock(&w->lock);
    for (struct api_watcher *i = w->list; i != NULL; i = i->next)
        if (!i->cut && i->handed_ms != 0 && now_ms - i->handed_ms > l->slow_ms) {
            (void)shutdown(i->socket, SHUT_RDWR);
            i->cut = true;
            cut++;
        }
    pthread_mutex_unlock(&w->lock);
    return cut;
}

size_t api_watchers_count(struct api_watchers *w)
{
    pthread_mutex_lock(&w->lock);
    const size_t n = w->n;
    pthread_mutex_unlock(&w->lock);
    return n;
}
