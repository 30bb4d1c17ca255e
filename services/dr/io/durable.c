#include "io/durable.h"

#include "core/durable.h"

#include "prism/io/clock.h"
#include "prism/io/rest.h"
#include "prism/v1/dr.pb-c.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAIT_MAX_MS = 30000, WAITERS_MAX = 1 << 16 };

struct waiter {
    struct waiter *next;
    struct pr_reply *to;
    int64_t until_us;
    uint64_t offset;
    char shard[DR_NAME], replid[DR_REPLID];
};

struct dr_durable {
    pthread_t thread;
    pthread_mutex_t mu; /* all below */
    pthread_cond_t woken, rested;
    struct waiter *came; /* not looked at yet */
    size_t waiters;      /* those, and the thread's */
    bool changed, stop, running;
    bool busy; /* it asks the groups, without the lock */
    struct dr_group *const *group;
    size_t groups;
};

/* --- one question ----------------------------------------------------------------------------- */

static void answer(const struct waiter *w, const struct dr_shard_status *is, enum dr_verdict v)
{
    Prism__V1__DrDurableResponse r = PRISM__V1__DR_DURABLE_RESPONSE__INIT;
    char generation[DR_GENERATION] = "", why[160] = "";
    uint8_t out[640];
    if (is->durable.generation.epoch != 0)
        dr_generation_print(&is->durable.generation, generation);
    if (v == DR_NEVER)
        (void)snprintf(why, sizeof why, "that history ended at offset %llu: a fail-over",
                       (unsigned long long)is->before_to);
    else if (v == DR_NOT_YET && strcmp(w->replid, is->replid) != 0)
        (void)snprintf(why, sizeof why, "that history is not known");
    else if (v == DR_NOT_YET)
        (void)snprintf(why, sizeof why, "%s", is->error[0] != '\0' ? is->error : "not yet");
    r.shard = (char *)(uintptr_t)w->shard;
    r.replid = (char *)(uintptr_t)is->replid;
    r.offset = is->durable.offset;
    r.generation = generation;
    r.reached = v == DR_REACHED;
    r.why = why;
    pr_reply_send(w->to, out, prism__v1__dr_durable_response__pack(&r, out));
}

/* True: it is over, and was answered unless somebody else has to. */
static bool settle(const struct waiter *w, struct dr_group *const *group, size_t groups,
                   int64_t now_us)
{
    struct dr_shard_status is;
    const bool ours = groups > 0 && dr_group_durable(group[dr_group_of(w->shard, (uint32_t)groups)],
                                                     w->shard, &is);
    enum dr_verdict v = DR_NOT_YET;
    if (ours && is.durable.generation.epoch != 0) {
        const struct dr_history h = { is.replid, is.before, is.before_to, is.durable.offset };
        v = dr_durable_judge(&h, w->replid, w->offset);
    }
    if (v == DR_NOT_YET && now_us < w->until_us)
        return false;
    if (ours)
        answer(w, &is, v);
    else
        pr_reply_drop(w->to);
    return true;
}

/* --- all of them
 * ---------------------------------------------------------------------------------- */

/* Those that are left, and when the first of them is over. */
static struct waiter *settle_all(struct waiter *list, struct dr_group *const *group, size_t groups,
                                 size_t *settled, int64_t *until_us)
{
    const int64_t now_us = pr_mono_us();
    struct waiter *left = NULL;
    *until_us = INT64_MAX;
    while (list != NULL) {
        struct waiter *w = list;
        list = w->next;
        if (settle(w, group, groups, now_us)) {
            free(w);
            ++*settled;
            continue;
        }
        *until_us = w->until_us < *until_us ? w->until_us : *until_us;
        w->next = left;
        left = w;
    }
    return left;
}

static void drop_all(struct waiter *list)
{
    while (list != NULL) {
        struct waiter *next = list->next;
        pr_reply_drop(list->to);
        free(list);
        list = next;
    }
}

static void rest(struct dr_durable *d, int64_t until_us)
{
    if (until_us == INT64_MAX)
        (void)pthread_cond_wait(&d->woken, &d->mu);
    else
        (void)pr_cond_until(&d->woken, &d->mu, until_us);
}

static void *run(void *arg)
{
    struct dr_durable *d = arg;
    struct waiter *list = NULL;
    int64_t until_us = INT64_MAX;
    pthread_mutex_lock(&d->mu);
    while (!d->stop) {
        if (d->came == NULL && !(d->changed && list != NULL) && pr_mono_us() < until_us) {
            rest(d, until_us);
            continue;
        }
        d->changed = false;
        while (d->came != NULL) {
            struct waiter *w = d->came;
            d->came = w->next;
            w->next = list;
            list = w;
        }
        struct dr_group *const *group = d->group;
        const size_t groups = d->groups;
        size_t settled = 0;
        d->busy = true;
        pthread_mutex_unlock(&d->mu);
        list = settle_all(list, group, groups, &settled, &until_us);
        pthread_mutex_lock(&d->mu);
        d->busy = false;
        pthread_cond_broadcast(&d->rested);
        d->waiters -= settled;
    }
    pthread_mutex_unlock(&d->mu);
    drop_all(list);
    return NULL;
}

void dr_durable_changed(void *durable)
{
    struct dr_durable *d = durable;
    pthread_mutex_lock(&d->mu);
    d->changed = true;
    pthread_cond_signal(&d->woken);
    pthread_mutex_unlock(&d->mu);
}

void dr_durable_ask(void *durable, const struct pr_msg *msg, struct pr_reply *to)
{
    struct dr_durable *d = durable;
    Prism__V1__DrDurableRequest *q =
        prism__v1__dr_durable_request__unpack(NULL, msg->len, msg->data);
    struct waiter *w = q != NULL ? malloc(sizeof *w) : NULL;
    if (w == NULL || !dr_name_ok(q->shard) || !dr_replid_ok(q->replid)) {
        pr_reply_fail(to, PR_EINVAL, "durable: a shard and a replid of 40 hex digits are needed");
        free(w);
    } else {
        const uint32_t wait_ms = q->wait_ms < WAIT_MAX_MS ? q->wait_ms : WAIT_MAX_MS;
        *w = (struct waiter){ .to = to,
                              .until_us = pr_mono_us() + (int64_t)wait_ms * 1000,
                              .offset = q->offset };
        (void)snprintf(w->shard, sizeof w->shard, "%s", q->shard);
        (void)snprintf(w->replid, sizeof w->replid, "%s", q->replid);
        pthread_mutex_lock(&d->mu);
        const bool room = d->waiters < WAITERS_MAX && !d->stop;
        if (room) {
            w->next = d->came;
            d->came = w;
            d->waiters++;
            pthread_cond_signal(&d->woken);
        }
        pthread_mutex_unlock(&d->mu);
        if (!room) {
            pr_reply_fail(to, PR_EFULL, "durable: too many wait");
            free(w);
        }
    }
    if (q != NULL)
        prism__v1__dr_durable_request__free_unpacked(q, NULL);
}

/* --- start and stop
 * ------------------------------------------------------------------------------- */

enum pr_code dr_durable_open(struct dr_durable **out, struct pr_err *err)
{
    struct dr_durable *d = calloc(1, sizeof *d);
    if (d == NULL)
        return pr_fail(err, PR_ENOMEM, "durable: no memory");
    pthread_mutex_init(&d->mu, NULL);
    pr_cond_init(&d->woken);
    pr_cond_init(&d->rested);
    *out = d;
    const int failed = pthread_create(&d->thread, NULL, run, d);
    d->running = failed == 0;
    return d->running ? PR_OK : pr_fail(err, PR_ENOMEM, "durable: thread: %s", strerror(failed));
}

void dr_durable_groups(struct dr_durable *d, struct dr_group *const *group, size_t n)
{
    pthread_mutex_lock(&d->mu);
    while (d->busy)
        (void)pthread_cond_wait(&d->rested, &d->mu);
    d->group = group;
    d->groups = n;
    pthread_mutex_unlock(&d->mu);
}

void dr_durable_stop(struct dr_durable *d)
{
    if (d == NULL || !d->running)
        return;
    pthread_mutex_lock(&d->mu);
    d->stop = true;
    pthread_cond_signal(&d->woken);
    pthread_mutex_unlock(&d->mu);
    pthread_join(d->thread, NULL);
    d->running = false;
}

void dr_durable_close(struct dr_durable *d)
{
    if (d == NULL)
        return;
    dr_durable_stop(d);
    drop_all(d->came);
    pthread_cond_destroy(&d->woken);
    pthread_cond_destroy(&d->rested);
    pthread_mutex_destroy(&d->mu);
    free(d);
}
