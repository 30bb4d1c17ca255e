/* How fast a principal may go. Pure: the clock and the state come in. A steady
 * rate with a burst: the generic cell rate algorithm, one number a principal.
 * Source: ITU-T I.371; services/metadata-api/README.md, "Limits". */
#ifndef METADATA_API_RATE_H
#define METADATA_API_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_rate {
    int64_t per_s;    /* requests; 1..1e6 */
    int64_t burst_us; /* how much of a second's worth, and more, may come at once */
};

/* *tat_us: when the next request would be due, of this principal alone (0 at
 * first). 0: let it in, and *tat_us has moved on; else in how many us to try
 * again. Requests of one principal at once: CAS around it. */
int64_t api_rate_take(const struct api_rate *r, int64_t now_us, int64_t *tat_us);

enum { API_RATE_SLOTS = 1024, API_RATE_PROBES = 8 };
/* Rates of many principals without a lock; all zero at the start. Who has been quiet for so long
 * that nothing is held against him gives his place up; when places are short some share one. */
struct api_rates {
    struct {
        _Atomic uint64_t key; /* 0: free */
        _Atomic int64_t tat_us;
    } slot[API_RATE_SLOTS];
};
/* key: of the principal, not 0. Any number of threads. As api_rate_take. */
int64_t api_rates_take(struct api_rates *all, const struct api_rate *r, uint64_t key,
                       int64_t now_us);
/* What api_rates_take would say, without taking. */
int64_t api_rates_wait(struct api_rates *all, const struct api_rate *r, uint64_t key,
                       int64_t now_us);

/* The key of an address of n bytes: 4, or 16 of which the first 8 count, since whoever has one of
 * those has all that share them. Not 0, whatever n is. */
uint64_t api_rate_address(const unsigned char *address, size_t n);

#endif
