#include "engine/watched.h"

#include <stdatomic.h>
#include <stddef.h>

struct watched {
    const struct placement_watch *watch;
    double done;
    void (*fn)(void *, unsigned, uint64_t, uint64_t);
    void *ctx;
    atomic_bool stop;
};

static void run_chunk(void *ctx, unsigned worker, uint64_t begin, uint64_t end)
{
    struct watched *w = ctx;
    if (atomic_load_explicit(&w->stop, memory_order_relaxed))
        return;
    if (worker == 0 && !w->watch->go_on(w->watch->ctx, w->done))
        atomic_store_explicit(&w->stop, true, memory_order_relaxed);
    else
        w->fn(w->ctx, worker, begin, end);
}

bool placement_watched_for(struct pr_pool *pool, const struct placement_watch *watch, double done,
                           uint64_t n, uint64_t grain,
                           void (*fn)(void *, unsigned, uint64_t, uint64_t), void *ctx)
{
    struct watched w = { .watch = watch, .done = done, .fn = fn, .ctx = ctx };
    if (watch == NULL || watch->go_on == NULL) {
        pr_pool_for(pool, n, grain, fn, ctx);
        return true;
    }
    pr_pool_for(pool, n, grain, run_chunk, &w);
    return !atomic_load(&w.stop);
}
