/* Makes restored shards agree: judges every vertex of a survey (core/reconcile.h), and carries the
 * verdicts out on the servers. */
#ifndef DR_MEND_H
#define DR_MEND_H

#include "core/owner.h"
#include "io/survey.h"

struct dr_mend {       /* what was, or would be, done; owned: dr_mend_done */
    uint64_t vertices; /* judged: all that are not one LIVE key at home */
    uint64_t forward, rolled_back, lost, claims, nothing;
    uint64_t homes_told, dropped; /* stubs written at home; keys deleted */
    uint64_t strays;   /* keys of no vertex that were on two shards: the slot's owner kept it */
    uint64_t doubtful; /* of those: the values differ, and the slot's owner is not sure */
    uint64_t epoch;    /* of the stubs written, above every one seen; the sequence of epochs has
                        * to go on above it */
    struct pr_buf lost_ids, rolled_back_ids; /* a line each */
    struct pr_buf doubtful_keys;             /* as well; what cannot be printed as '?' */
};
void dr_mend_done(struct dr_mend *m); /* zeroed is fine */

struct dr_mend_of {
    struct dr_survey *survey;
    const int *owner;             /* [DR_SLOTS] index of the shard that owns it; DR_NO_SHARD */
    struct pr_redis *const *conn; /* [survey->shards], NULL where nothing is to be changed; NULL:
                                   * all are only judged. What is judged is the same each time */
    const uint8_t *unsure;        /* as of the survey */
};
/* Safe to repeat from a new survey: then nothing is left to do. */
PR_CHECKED enum pr_code dr_mend(const struct dr_mend_of *of, struct dr_mend *out,
                                struct pr_err *err);

#endif
