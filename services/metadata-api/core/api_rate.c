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

/* A request of whom it is taken from, at the same moment, is counted for the one who takes it: that
 * is one request, once. */
static bool take_place(struct api_rates *all, size_t at, uint64_t from, uint64_t key)
{
    return atomic_compare_exchange_strong(&all->slot[at].key, &from, key) || from == key;
}

static size_t place(struct api_rates *all, uint64_t key, int64_t now_us)
{
    for (size_t i = 0; i < API_RATE_PROBES; i++) {
        const size_t at = (size_t)(key + i) % API_RATE_SLOTS;
        const uint64_t have = atomic_load_explicit(&all->slot[at].key, memory_order_relaxed);
        if (have == key || (have == 0 && take_place(all, at, have, key)))
            return at;
    }
    for (size_t i = 0; i < API_RATE_PROBES; i++) {
        const size_t at = (size_t)(key + i) % API_RATE_SLOTS;
        const uint64_t have = atomic_load(&all->slot[at].key);
        if (atomic_load(&all->slot[at].tat_us) <= now_us && take_place(all, at, have, key))
            return at;
    }
    return (size_t)key % API_RATE_SLOTS; /* shared */
}

int64_t api_rates_take(struct api_rates *all, const struct api_rate *r, uint64_t key,
                       int64_t now_us)
{
    const size_t at = place(all, key, now_us);
    int64_t was = atomic_load(&all->slot[at].tat_us), next, wait_us;
    do {
        next = was;
        wait_us = api_rate_take(r, now_us, &next);
    } while (wait_us == 0 && !atomic_compare_exchange_weak(&all->slot[at].tat_us, &was, next));
    return wait_us;
}

int64_t api_rates_wait(struct api_rates *all, const struct api_rate *r, uint64_t key,
                       int64_t now_us)
{
    bool room = false;
    int64_t tat_us;
    for (size_t i = 0; i < API_RATE_PROBES; i++) {
        const size_t at = (size_t)(key + i) % API_RATE_SLOTS;
        const uint64_t have = atomic_load(&all->slot[at].key);
        tat_us = atomic_load(&all->slot[at].tat_us);
        if (have == key)
            return api_rate_take(r, now_us, &tat_us);
        room = room || tat_us <= now_us;
    }
    tat_us = atomic_load(&all->slot[key % API_RATE_SLOTS].tat_us);
    return room ? 0 : api_rate_take(r, now_us, &tat_us);
}

uint64_t api_rate_address(const unsigned char *address, size_t n)
{
    uint64_t key = n;
    for (size_t i = 0; i < (n > 8 ? 8 : n); i++)
        key = (key ^ address[i]) * UINT64_C(0x9e3779b97f4a7c15);
    key ^= key >> 29;
    return key == 0 ? 1 : key;
}
