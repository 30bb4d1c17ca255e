/* The fixture's bucket, past the service: what is in it under this test's name, and changed there
 * as a bad disk would. */
#ifndef PRISM_DR_BUCKET_H
#define PRISM_DR_BUCKET_H

#include "prism/s3/s3.h"

enum { DR_BUCKET_KEY = 512 };

extern struct pr_s3_store dr_bucket_store;
extern struct pr_s3 *dr_bucket; /* NULL: not open */

void dr_bucket_open(void);
void dr_bucket_close(void);

/* Objects below CLUSTER/KIND/: "gen", "base", "log", or with more behind it: "base/SHARD". */
size_t dr_bucket_count(const char *kind);
/* The n-th of those that have so many bytes, from 0, in the order of names; false: fewer. */
bool dr_bucket_nth(const char *kind, uint64_t least, size_t n, char key[DR_BUCKET_KEY]);
void dr_bucket_last(const char *kind, uint64_t least, char key[DR_BUCKET_KEY]); /* must exist */

struct dr_bucket_object { /* as it was */
    char key[DR_BUCKET_KEY];
    char *data;
    size_t n;
};
void dr_bucket_take(const char *key, struct dr_bucket_object *out);
void dr_bucket_flip(const struct dr_bucket_object *o, size_t byte,
                    unsigned bit);                              /* of it, in the bucket */
void dr_bucket_cut(const struct dr_bucket_object *o, size_t n); /* to its first n bytes */
void dr_bucket_lose(const struct dr_bucket_object *o);
void dr_bucket_put_back(struct dr_bucket_object *o); /* and frees it */

#endif
