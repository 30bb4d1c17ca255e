/* Is an offset of one history covered by what is durable of another? Pure.
 *
 * A fail-over gives a history another name. Up to where the stream went on under the new one both
 * are the same bytes; behind it the old one may have had writes that the cluster has lost. */
#ifndef DR_DURABLE_H
#define DR_DURABLE_H

#include <stdint.h>

struct dr_history {
    const char *replid; /* that is followed; "": none yet */
    const char *before; /* that it went on from; "": not known */
    uint64_t before_to; /* up to here they are the same */
    uint64_t durable;   /* offset of replid */
};

enum dr_verdict {
    DR_NOT_YET, /* it may become so; also when the history is not known (yet) */
    DR_REACHED,
    DR_NEVER /* not by what is followed now */
};
enum dr_verdict dr_durable_judge(const struct dr_history *h, const char *replid, uint64_t offset);

#endif
