/* One pass over the bucket: every part of every base and every container is read and verified, and
 * every generation's pieces must hang together. An object at a time, so that whoever runs it can
 * hold it to a rate, stop, and go on later. */
#ifndef DR_SCRUB_IO_H
#define DR_SCRUB_IO_H

#include "io/catalog.h"

struct dr_scrub;

struct dr_scrub_of { /* borrowed */
    const struct pr_s3_store *store;
    const struct dr_codec *codec;
    const atomic_bool *cancel; /* may be NULL */
    const char *cluster;
    const char *shard; /* NULL: all */
    const char *after; /* dr_scrub_at of the part of this pass that was before; "": it begins */
    /* As soon as it is found, at most once a generation in a pass. newest: of its shard. */
    void (*damaged)(void *ctx, const struct dr_generation *g, bool newest, const char *why);
    void *ctx;
};
/* Reads all manifests. One that is damaged is told of, with shard and id alone. */
PR_CHECKED enum pr_code dr_scrub_open(struct dr_scrub **out, const struct dr_scrub_of *of,
                                      struct pr_err *err);
/* Reads one object, if any is left; *bytes: its size. *done: none is left, and every generation was
 * judged. PR_EDATA is no answer: it is what `damaged` is for. */
PR_CHECKED enum pr_code dr_scrub_step(struct dr_scrub *s, uint64_t *bytes, bool *done,
                                      struct pr_err *err);
/* An object: it and all before it were read and judged, so that a pass may go on there. */
const char *dr_scrub_at(const struct dr_scrub *s);
/* When done: those found right, in this part of the pass. */
void dr_scrub_each_good(const struct dr_scrub *s,
                        void (*good)(void *ctx, const struct dr_generation *g), void *ctx);
void dr_scrub_close(struct dr_scrub *s); /* NULL is fine */

#endif
