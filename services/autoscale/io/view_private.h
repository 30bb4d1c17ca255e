/* What io/view*.c share. Private to them. */
#ifndef AUTOSCALE_VIEW_PRIVATE_H
#define AUTOSCALE_VIEW_PRIVATE_H

#include "io/view.h"

#define VIEW_AT(ms) "timestamptz 'epoch' + " ms " * interval '1 millisecond'"

struct filling {
    struct autoscale_known *k;
    struct pr_db *db;
    const struct autoscale_fleet_row *fleet;
    int64_t at_ms;
    struct autoscale_input *in;
    struct autoscale_node *node;
    struct autoscale_member *member;
    struct autoscale_since *since; /* [members] */
    size_t members;
    int actual; /* members that stay; -1 unknown */
};

int view_zone(const struct autoscale_fleet *f, const char *zone); /* index; -1 */

/* view_members.c: nodes, members with their figures, since when they are there; f->actual and
 * in->view.serving as they are reported. */
PR_CHECKED enum pr_code view_members(struct filling *f, struct pr_err *err);
/* view_traffic.c: where the traffic of a fleet of shards is, as placement reports it; a fleet of
 * single nodes is measured (view_members.c). Nothing known: in->zone_traffic stays 0. */
PR_CHECKED enum pr_code view_traffic(struct filling *f, struct pr_err *err);

#endif
