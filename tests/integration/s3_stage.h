/* What the tests of the S3 client share: a store at the fixture's server, keys, seeded
 * randomness, and data. Include t.h first. */
#ifndef PRISM_S3_STAGE_H
#define PRISM_S3_STAGE_H

#include "it.h"
#include "prism/rng.h"
#include "prism/s3/s3.h"

struct stage {
    struct pr_s3_store store;
    struct pr_aws_keys keys;
    struct pr_s3 *s3;
    struct pr_err err;
    atomic_bool cancel;
    struct pr_rng rng; /* of the client */
    int64_t clock_ms;  /* how far the client's clock is off */
    int keys_asked;
    struct pr_aws_keys next; /* access "": none; what is given from the second time on */
    char prefix[64];         /* of this program's run */
};

/* Connected to url (NULL: the server itself) below a prefix of its own. */
void stage_open(struct stage *st, const char *url);
void stage_reopen(struct stage *st); /* the store has been changed */
void stage_close(struct stage *st);  /* deletes what was written */

/* n bytes that differ by seed. Freed by the caller. */
uint8_t *stage_data(uint64_t seed, size_t n);

int64_t stage_ms(void);

/* Before the fixture's server; started by the first call. It has no rules then. */
void stage_proxy(struct it_proxy *p);
/* A stage behind it. */
void stage_open_behind(struct stage *st, struct it_proxy *p, int64_t stall_ms);

#endif
