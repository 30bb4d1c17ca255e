/* pg_receivewal: where it writes, how it is started. */
#ifndef DR_PG_RECEIVER_H
#define DR_PG_RECEIVER_H

#include "io/pg/child.h"
#include "io/pg/home.h"

#include "core/pg_wal.h"

/* The newest directory for the server's write-ahead log, made if there is none; afresh: the next.
 */
PR_CHECKED enum pr_code dr_pg_wal_dir(const struct dr_pg_home *h, uint64_t system_id, bool afresh,
                                      char out[DR_PG_PATH], struct pr_err *err);
PR_CHECKED enum pr_code dr_pg_receiver_start(const struct dr_pg_home *h, const char *dir,
                                             struct dr_child **out, struct pr_err *err);

/* The whole segments of that server, in all its directories, by name. Two of one name are the
 * same. */
struct dr_pg_segment {
    struct dr_wal_file file;
    char path[DR_PG_PATH + 64];
};
struct dr_pg_segments {
    struct dr_pg_segment *at; /* [n]; owned */
    size_t n;
};
PR_CHECKED enum pr_code dr_pg_segments_read(const struct dr_pg_home *h, uint64_t system_id,
                                            struct dr_pg_segments *out, struct pr_err *err);
/* Decides all of them; see core/pg_wal.h. */
PR_CHECKED enum pr_code dr_pg_segments_decide(struct dr_pg_segments *s, int64_t keep_bytes,
                                              const char *archived, struct pr_err *err);
void dr_pg_segments_free(struct dr_pg_segments *s);

#endif
