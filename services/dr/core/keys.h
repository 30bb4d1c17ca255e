/* Names of the objects in the bucket. Every key carries the epoch of the lease under which
 * it was written, so that a shipper that lost its lease overwrites nothing; names sort in the
 * order of writing. Pure.
 *
 *   <cluster>/log/<group>/<epoch>/<seq>          container: pieces of the streams of a group
 *   <cluster>/base/<shard>/<generation>/<part>   part of a base (RDB)
 *   <cluster>/gen/<shard>/<generation>           its manifest, written last
 *   <cluster>/map/<epoch>/<seq>                  who takes which slots: core/gives.h; epoch: a
 *                                                number above all before; seq: the copy
 *   <cluster>/site/<epoch>                       marker: which site owns the store (io/region)
 *   <cluster>/failover/<epoch>/<seq>             journal of a region fail-over: its number as epoch
 *
 * cluster, group and shard: 1 to 63 of [A-Za-z0-9._-], but not "." and "..", which clients of HTTP
 * take away. epoch and seq: 16 hex digits.
 * generation: <epoch>-<n>, 16 and 4 hex digits. part: 5 hex digits. */
#ifndef DR_KEYS_H
#define DR_KEYS_H

#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { DR_NAME = 64, DR_KEY = 320, DR_GENERATION = 22, DR_REPLID = 41 }; /* with the NUL */

struct dr_generation_id {
    uint64_t epoch; /* of the lease of the group */
    uint32_t n;     /* 1..65535 */
};
/* < 0: a is older; 0: the same; > 0: a is newer. */
int dr_generation_compare(const struct dr_generation_id *a, const struct dr_generation_id *b);
bool dr_generation_ok(const struct dr_generation_id *id);
void dr_generation_print(const struct dr_generation_id *id, char out[DR_GENERATION]);
bool dr_generation_parse(const char *text, struct dr_generation_id *out); /* the whole text */

enum dr_key_kind {
    DR_KEY_LOG,
    DR_KEY_BASE,
    DR_KEY_GENERATION,
    DR_KEY_MAP,
    DR_KEY_SITE,
    DR_KEY_FAILOVER
};

struct dr_key {
    enum dr_key_kind kind;
    char cluster[DR_NAME];
    char name[DR_NAME];                 /* group (LOG) or shard (BASE, GENERATION); else "" */
    uint64_t epoch, seq;                /* LOG, MAP, FAILOVER; SITE: epoch alone */
    struct dr_generation_id generation; /* BASE, GENERATION */
    uint32_t part;                      /* BASE, from 0 */
};

/* PR_EINVAL: a name is not one, naming it; a number is out of its digits. */
PR_CHECKED enum pr_code dr_key_print(const struct dr_key *k, char out[DR_KEY], struct pr_err *err);
/* False: not one of ours. */
bool dr_key_parse(const char *text, struct dr_key *out);
bool dr_name_ok(const char *name);
bool dr_replid_ok(const char *replid); /* 40 hex digits */

#endif
