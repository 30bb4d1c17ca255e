/* What a decision is made of: samples, members, nodes and actions of a fleet as tables and
 * provider have them. Read only. */
#ifndef AUTOSCALE_VIEW_H
#define AUTOSCALE_VIEW_H

#include "core/carry.h"
#include "core/since.h"
#include "io/fleets.h"
#include "io/nodes.h"
#include "io/seen.h"

struct autoscale_known {   /* of one fleet at one time; open, done */
    struct pr_arena arena; /* holds everything below */
    bool evaluated;        /* there is a state */
    int64_t evaluated_ms;
    const char *memory;            /* JSON; NULL */
    struct autoscale_sinces since; /* as of the last decision; once the view is filled, of this */
    bool dated;                    /* it is: to be kept */
    int stored_desired;
    int64_t open_id; /* decision that is carried out; 0 none */
    int open_to;
    struct autoscale_carry *carry; /* of the latest one that was begun; NULL */
    struct autoscale_node_row *row;
    size_t rows;
    bool provider; /* sight is known */
    struct autoscale_sight sight;
};

PR_CHECKED enum pr_code autoscale_known_open(struct autoscale_known *k, struct pr_db *db,
                                             struct autoscale_seen *seen,
                                             const struct autoscale_fleet_row *fleet,
                                             struct pr_err *err);
void autoscale_known_done(struct autoscale_known *k); /* also after a failure */

/* Ids whose figures count, in the arena; none: nobody knows them singly. */
PR_CHECKED enum pr_code autoscale_known_expected(struct autoscale_known *k,
                                                 const struct autoscale_fleet_row *fleet,
                                                 const char ***id, size_t *n, struct pr_err *err);

/* Fills *in but for its memory; at_ms: the minute that is decided for. PR_ENOTFOUND: nobody
 * knows yet how many members there are. */
PR_CHECKED enum pr_code autoscale_view_fill(struct autoscale_known *k, struct pr_db *db,
                                            const struct autoscale_fleet_row *fleet, int64_t at_ms,
                                            struct autoscale_input *in, struct pr_err *err);

/* The record of the fleet's latest decision that was begun, in the arena: NULL there is none.
 * *id: of that decision. */
PR_CHECKED enum pr_code autoscale_carry_load(struct pr_db *db, struct pr_arena *arena,
                                             const char *fleet, int64_t *id,
                                             struct autoscale_carry **out, struct pr_err *err);

#endif
