/* Rows of dr_gives: who gives slots to whom. See core/gate.h. */
#ifndef DR_GIVES_IO_H
#define DR_GIVES_IO_H

#include "core/gate.h"

#include "prism/io/db.h"
#include "prism/io/lease.h"

struct dr_gives_row {
    int64_t id, at_ms; /* at: when it was asked for, then admitted */
    uint64_t number;   /* 0: not admitted yet */
    bool known, ended;
    struct dr_give give;
};
/* All, oldest first; *rows is one malloc. */
PR_CHECKED enum pr_code dr_gives_read(struct pr_db *db, struct dr_gives_row **rows, size_t *n,
                                      struct pr_err *err);

/* Under the lease of the giver's group, one of all replicas after the other: gives it a number
 * above `floor` and all before if the others allow it, and the time; one that has a number keeps
 * both. row->number 0: they do not. PR_EFENCED: another leads. */
PR_CHECKED enum pr_code dr_gives_admit(struct pr_db *db, const struct pr_lease *lease,
                                       struct dr_gives_row *row, uint64_t floor,
                                       struct pr_err *err);
/* Its giver's stream is held back, and the bucket has its object. */
PR_CHECKED enum pr_code dr_gives_tell(struct pr_db *db, const struct pr_lease *lease, int64_t id,
                                      struct pr_err *err);
PR_CHECKED enum pr_code dr_gives_delete(struct pr_db *db, const struct pr_lease *lease, int64_t id,
                                        struct pr_err *err);

/* The lowest number of a row; 0: there is none. Slots of lower numbers are at rest. */
PR_CHECKED enum pr_code dr_gives_live(struct pr_db *db, uint64_t *number, struct pr_err *err);

struct dr_far { /* a shard, as whoever leads it has said last */
    char shard[DR_NAME], replid[DR_REPLID];
    uint64_t offset;    /* durable */
    int64_t durable_ms; /* since then; 0: never */
};
PR_CHECKED enum pr_code dr_gives_far(struct pr_db *db, struct dr_far **far, size_t *n,
                                     struct pr_err *err);

#endif
