/* Heartbeats: a key on every shard that is led here, set to the time once a second, so that what is
 * in the bucket has an age also when nobody writes. A thread of its own: a shard that does not
 * answer must hold up nobody else. */
#ifndef DR_BEAT_H
#define DR_BEAT_H

#include "io/group.h"

struct dr_beat;

struct dr_beat_options { /* borrowed */
    const struct dr_config *cfg;
    struct dr_sources *sources;
    struct dr_group *const *group; /* [groups] */
    size_t groups;
    struct pr_metrics *metrics;
};
PR_CHECKED enum pr_code dr_beat_start(struct dr_beat **out, const struct dr_beat_options *o,
                                      struct pr_err *err);
void dr_beat_stop(struct dr_beat *b); /* NULL is fine */

#endif
