/* Looks through every key of some redis-servers for what dr_reconcile has to judge: keys of
 * vertices that are not simply one LIVE key at home. Used for restored shards, and for the
 * primaries of a cluster. */
#ifndef DR_SURVEY_H
#define DR_SURVEY_H

#include "core/generation.h"
#include "core/reconcile.h"
#include "io/exchange.h"

#include "prism/buf.h"
#include "prism/io/redis.h"

#include <pthread.h>
#include <stdatomic.h>

struct dr_found {  /* one key of a vertex */
    uint64_t hash; /* of its id */
    size_t id;     /* in text, id_len bytes */
    uint32_t home;
    uint8_t id_len;
    struct dr_copy copy; /* shard: index of the connection; owner: not set */
};

struct dr_stray {        /* a key of no vertex, in a slot of which several shards have keys */
    size_t key, key_len; /* in text */
    uint32_t shard;
    uint64_t value; /* digest of it, where the slot's owner is not sure; else 0 */
};

struct dr_survey {          /* owned; dr_survey_done */
    struct dr_found *found; /* [n] sorted: those of one id side by side */
    size_t n, room;
    struct dr_stray *stray; /* [strays] sorted by key */
    size_t strays, strays_room;
    struct pr_buf text;
    size_t shards;
    uint32_t (*keys)[DR_SLOTS]; /* [shards] seen in each slot; a key may be counted twice */
    uint64_t total, newest;     /* keys; the highest epoch seen in any */
};

struct dr_survey_of {
    struct pr_redis *const *conn; /* [to] one each for [from, to), for as long as it runs */
    size_t from, to;
    uint32_t partitions; /* of the store; 0: there are no vertices */
    unsigned threads;
    const atomic_bool *cancel; /* as of dr_scan */
    const uint8_t *unsure;     /* [DR_SLOTS / 8] slots whose owner is not sure; NULL: none */
};
/* All of it at once: from is 0. Keys must not change meanwhile, except that their time may be up.
 * PR_EDATA: there are vertices though partitions is 0, or in a partition beyond them. */
PR_CHECKED enum pr_code dr_survey(const struct dr_survey_of *of, struct dr_survey *out,
                                  struct pr_err *err);

/* The same where not all servers run at a time: every shard is looked at once, and what was found
 * sorted; then, into a survey of its own, again those that have an answer to what was found on
 * others; then the two are joined. joining: held while s is added to by one of several that look at
 * different shards at a time; NULL: this is the only one. */
PR_CHECKED enum pr_code dr_survey_init(struct dr_survey *s, size_t shards, struct pr_err *err);
PR_CHECKED enum pr_code dr_survey_look(const struct dr_survey_of *of, struct dr_survey *s,
                                       pthread_mutex_t *joining, struct pr_err *err);
void dr_survey_sort(struct dr_survey *s); /* each once: SCAN may tell a key twice */
bool dr_survey_asks(const struct dr_survey *s, size_t shard);
PR_CHECKED enum pr_code dr_survey_look_again(const struct dr_survey_of *of,
                                             const struct dr_survey *s, struct dr_survey *more,
                                             struct pr_err *err);
PR_CHECKED enum pr_code dr_survey_join(struct dr_survey *s, const struct dr_survey *more,
                                       struct pr_err *err);

/* What was found, and keys of the slots of shards [from, to), for another machine; and added to
 * what is there already. PR_EDATA: it is cut short. */
void dr_survey_write(const struct dr_survey *s, size_t from, size_t to, struct pr_buf *out);
PR_CHECKED enum pr_code dr_survey_read(struct dr_reader *r, size_t from, size_t to,
                                       struct dr_survey *s, struct pr_err *err);
void dr_survey_done(struct dr_survey *s); /* zeroed is fine */

/* found[from .. return value): the keys of one vertex. */
size_t dr_survey_group(const struct dr_survey *s, size_t from);
/* The key of a copy; returns its length. 256 bytes hold any. */
size_t dr_survey_key(const struct dr_survey *s, const struct dr_found *f, char out[256]);
/* More than one of the shards holds keys of the slot. */
bool dr_survey_shared(const struct dr_survey *s, uint32_t slot);

/* Calls page(ctx, keys) for every page of a SCAN of everything; keys: an array of strings.
 * cancel: looked at before each: PR_ECANCELED; may be NULL. */
typedef enum pr_code dr_page_fn(void *ctx, const redisReply *keys, struct pr_err *err);
PR_CHECKED enum pr_code dr_scan(struct pr_redis *c, const atomic_bool *cancel, dr_page_fn *page,
                                void *ctx, struct pr_err *err);

#endif
