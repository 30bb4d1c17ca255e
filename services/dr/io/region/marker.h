/* Markers: CLUSTER/site/EPOCH says which site owns the store since then, and under which name its
 * dr ships. The highest epoch counts. Never written over; never deleted. */
#ifndef DR_MARKER_H
#define DR_MARKER_H

#include "core/keys.h"

#include "prism/s3/s3.h"

struct dr_marker {
    uint64_t epoch; /* 1, 2, ...; 0: there is none yet: whoever ships owns it */
    char site[DR_NAME];
    char data[DR_NAME]; /* cluster, in the names of what the site ships */
    uint64_t failover;  /* number of its journal */
    int64_t at_ms;      /* Unix epoch, by the clock of who wrote it */
};

/* epoch 0, site "", data cluster: none. PR_EDATA: it is damaged. */
PR_CHECKED enum pr_code dr_marker_newest(struct pr_s3 *s3, const char *cluster,
                                         struct dr_marker *out, struct pr_err *err);
/* That of the epoch. PR_ENOTFOUND: it is not there. One GET. */
PR_CHECKED enum pr_code dr_marker_read(struct pr_s3 *s3, const char *cluster, uint64_t epoch,
                                       struct dr_marker *out, struct pr_err *err);
/* The same one again is PR_OK. PR_EFENCED: another is there. */
PR_CHECKED enum pr_code dr_marker_write(struct pr_s3 *s3, const char *cluster,
                                        const struct dr_marker *m, struct pr_err *err);

#endif
