/* The record of keys that may be in flight, with prints of their values from before they were sent.
 * Pure. Source: docs/explanation/rebalance.md. */
#ifndef REBALANCE_FLIGHT_H
#define REBALANCE_FLIGHT_H

#include "core/slot/reign.h"

#include "prism/buf.h"
#include "prism/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A point in a primary's history, from its INFO replication, or that of a replica of it. */
struct rebalance_written {
    char history[REBALANCE_ID]; /* master_replid; "": unknown */
    long long offset;
};
/* Of a key before it was sent. */
struct rebalance_sent {
    uint64_t print;                 /* of its value and expiry; 0: unknown */
    struct rebalance_written point; /* the state that was printed is of then, or before */
};

/* In memory: for each key its length (uint32, little endian; below 2^30) and its bytes. With 2^31
 * added to the length its print (uint64) follows; a length of 2^30 is no key, but the point (40
 * bytes, int64) of the prints that follow. */
void rebalance_in_flight_add(struct pr_buf *b, const void *key, size_t len);
void rebalance_in_flight_point(struct pr_buf *b, const struct rebalance_written *point);
void rebalance_in_flight_print(struct pr_buf *b, const void *key, size_t len, uint64_t print);
struct rebalance_in_flight { /* a reader; borrows data */
    const unsigned char *data;
    size_t len, at, keys;       /* keys: in all */
    struct rebalance_sent sent; /* of the key that was read last */
};
/* PR_EDATA: malformed; the reader is then empty. */
PR_CHECKED enum pr_code rebalance_in_flight_open(const void *data, size_t len,
                                                 struct rebalance_in_flight *out,
                                                 struct pr_err *err);
/* false: no more. */
bool rebalance_in_flight_next(struct rebalance_in_flight *r, const char **key, size_t *len);
/* sent: NULL, or of the key. */
bool rebalance_in_flight_find(const struct rebalance_in_flight *r, const void *key, size_t len,
                              struct rebalance_sent *sent);
static inline bool rebalance_in_flight_has(const struct rebalance_in_flight *r, const void *key,
                                           size_t len)
{
    return rebalance_in_flight_find(r, key, len, NULL);
}
/* As it is recorded: steps.in_flight has the keys alone, as releases before prints read and write
 * them; steps.prints the rest (lengths without the keys' own; points; prints), empty without any
 * print. The two are joined again only when they fit; else the keys are without prints. */
void rebalance_in_flight_part(const void *data, size_t len, struct pr_buf *keys,
                              struct pr_buf *prints);
void rebalance_in_flight_join(const void *keys, size_t len, const void *prints, size_t prints_len,
                              struct pr_buf *out);

#endif
