#include "api_rate.h"

#include <stdatomic.h>
#include <stddef.h>

int64_t api_rate_take(const struct api_rate *r, int64_t now_us, int64_t *tat_us)
{
    const int64_t each_us = 1000000 / r->per_s;
    const int64_t due_us = *tat_us > now_us ? *tat_us : now_us;
    const int64_t early_us = due_us - now_us;
    if (early_us > r->burst_us)
        return early_us - r->burst_us;
    *tat_us = due_us + each_us;
    return 0;
}

static size_t place(struct api_rates *all, uint64_t key)
{
    for (size_t i = 0; i < API_RATE_PROBES; i++) {
        const size_t at = (size_t)(key + i) % API_RATE_SLOTS;
        uint64_t have = atomic_load_explicit(&all->slot[at].key, memory_order_relaxed);
        if (have == key)
            return at;
        if (have == 0 &&
            (atomic_compare_exchange_strong(&all->slot[at].key, &have, key) || have == key))
            return at;
    }
    return (size_t)key % API_RATE_SLOTS; /* shared */
}

int64_t api_rates_take(struct api_rates *all, const struct api_rate *r, uint64_t key,
                       int64_t now_us)
{
    const size_t at = place(all, key);
    int64_t was = atomic_load(&all->slot[at].tat_us), next, wait_us;
    do {
        next = was;
        wait_us = api_rate_take(r, now_us, &next);
    } while (wait_us == 0 && !atomic_compare_exchange_weak(&all->slot[at].tat_us, &was, next));
    return wait_us;
}
