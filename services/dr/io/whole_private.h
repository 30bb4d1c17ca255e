/* Between the parts of whole.c. */
#ifndef DR_WHOLE_PRIVATE_H
#define DR_WHOLE_PRIVATE_H

#include "io/quarantine.h"
#include "io/takes.h"
#include "io/target.h"
#include "io/whole.h"

struct dr_whole_run {
    const struct dr_whole *w;
    struct dr_whole_done *out;
    char dir[4096];               /* that is worked in */
    struct dr_quarantine *server; /* [shards] */
    struct pr_redis **conn;       /* [shards] */
    int owner[DR_SLOTS];          /* shard */
    struct dr_takes takes;        /* of those shards */
    uint32_t partitions;
    unsigned threads;
    struct pr_db *db;
    struct dr_target target;
};

/* whole_dir.c: the directory. begin: makes it, after removing what an earlier run left; it has a
 * mark of ours from then on. PR_EEXISTS: there is something else in it. */
PR_CHECKED enum pr_code dr_whole_dir_begin(struct dr_whole_run *r, struct pr_err *err);
void dr_whole_dir_remove(struct dr_whole_run *r);
/* Keys to the owner of their slot. */
PR_CHECKED enum pr_code dr_whole_gather(struct dr_whole_run *r, struct pr_err *err);
/* cluster.json, and the directory gets its name. */
PR_CHECKED enum pr_code dr_whole_publish(struct dr_whole_run *r, struct pr_err *err);

/* whole_fill.c: the cluster. look: may it be filled? */
PR_CHECKED enum pr_code dr_whole_look(struct dr_whole_run *r, struct pr_err *err);
PR_CHECKED enum pr_code dr_whole_fill(struct dr_whole_run *r, struct pr_err *err);

#endif
