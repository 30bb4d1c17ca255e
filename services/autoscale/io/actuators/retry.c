#include "io/actuators/retry.h"

#include "prism/io/clock.h"
#include "prism/rng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t machine_now_ms(void *ctx)
{
    (void)ctx;
    return pr_mono_us() / 1000;
}

static bool machine_wait(void *ctx, int64_t ms)
{
    (void)ctx;
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
    return true;
}

void autoscale_pace_fill(struct autoscale_pace *pace)
{
    if (pace->backoff.base_ms <= 0)
        pace->backoff.base_ms = 200;
    if (pace->backoff.cap_ms <= 0)
        pace->backoff.cap_ms = 10000;
    if (pace->deadline_ms <= 0)
        pace->deadline_ms = 60000;
    if (pace->timeout_ms <= 0)
        pace->timeout_ms = 10000;
    if (pace->now_ms == NULL)
        pace->now_ms = machine_now_ms;
    if (pace->wait == NULL)
        pace->wait = machine_wait;
}

long autoscale_timeout_ms(const struct autoscale_pace *pace, const struct autoscale_try *t)
{
    const int64_t left = t->until_ms - pace->now_ms(pace->ctx);

    return left < pace->timeout_ms ? (long)left : pace->timeout_ms;
}

enum pr_code autoscale_retry(struct autoscale_pace *pace, autoscale_try_fn *once, void *ctx,
                             struct pr_err *err)
{
    struct pr_err own = { 0 }, *const e = err != NULL ? err : &own;
    const int64_t begin = pace->now_ms(pace->ctx);
    const uint64_t seed = pace->seed;

    pace->seed = pr_mix64(seed + 1); /* the next call's gaps are others */
    for (int attempt = 0;; attempt++) {
        struct autoscale_try t = { .until_ms = begin + pace->deadline_ms };
        const enum pr_code rc = once(ctx, &t, e);
        if (rc == PR_OK || !t.again)
            return rc;
        const int64_t gap = pr_backoff_ms(&pace->backoff, attempt, seed, t.at_least_ms);
        const int64_t spent = pace->now_ms(pace->ctx) - begin;
        if (spent + gap >= pace->deadline_ms) {
            const struct pr_err last = *e;
            return pr_fail(e, rc, "%.190s (gave up after %d tries in %lld ms)", last.text,
                           attempt + 1, (long long)spent);
        }
        if (!pace->wait(pace->ctx, gap))
            return pr_fail(e, PR_ECANCELED, "stopped while waiting to try again");
    }
}

bool autoscale_status_later(long status)
{
    return status == 429 || status >= 500;
}

/* --- reports -------------------------------------------------------------- */

enum pr_code autoscale_report_init(struct autoscale_report *r, size_t n, struct pr_err *err)
{
    *r = (struct autoscale_report){ .targets = n };
    r->target = calloc(n != 0 ? n : 1, sizeof *r->target);
    return r->target != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory");
}

void autoscale_report_done(struct autoscale_report *r)
{
    free(r->target);
    free(r->instance);
    *r = (struct autoscale_report){ 0 };
}

enum pr_code autoscale_report_add(struct autoscale_report *r, const struct autoscale_instance *i,
                                  struct pr_err *err)
{
    struct autoscale_reported *t = &r->target[i->target];

    switch (i->life) {
    case AUTOSCALE_COMING:
        t->coming++;
        break;
    case AUTOSCALE_IN_SERVICE:
        *(i->healthy ? &t->in_service : &t->unhealthy) += 1;
        break;
    case AUTOSCALE_LEAVING:
        t->leaving++;
        break;
    case AUTOSCALE_STANDBY:
        break;
    case AUTOSCALE_GONE:
        return PR_OK;
    }
    if (r->instances == r->room) {
        const size_t room = r->room != 0 ? 2 * r->room : 64;
        struct autoscale_instance *grown = reallocarray(r->instance, room, sizeof *grown);
        if (grown == NULL)
            return pr_fail(err, PR_ENOMEM, "no memory");
        r->instance = grown;
        r->room = room;
    }
    r->instance[r->instances++] = *i;
    return PR_OK;
}

const struct autoscale_instance *autoscale_report_find(const struct autoscale_report *r,
                                                       size_t target, const char *id)
{
    for (size_t i = 0; i < r->instances; i++)
        if (r->instance[i].target == target && strcmp(r->instance[i].id, id) == 0)
            return &r->instance[i];
    return NULL;
}

void autoscale_report_fail(struct autoscale_report *r, enum pr_code code, const char *words)
{
    for (size_t i = 0; i < r->targets; i++) {
        r->target[i] = (struct autoscale_reported){ .code = code };
        (void)snprintf(r->target[i].problem_text, sizeof r->target[i].problem_text, "%s", words);
    }
    r->instances = 0;
}

enum pr_code autoscale_may_lower(int reported, int desired_after, bool *already, struct pr_err *err)
{
    *already = reported == desired_after;
    if (*already || reported == desired_after + 1)
        return PR_OK;
    return pr_fail(err, PR_ECONFLICT, "the group wants %d members, expected %d or %d", reported,
                   desired_after + 1, desired_after);
}
