/* Nodes of the local stack: a program starts and stops real Redis servers (`./dev node`).
 *     PROGRAM list               a line a node: ID HOST:PORT ZONE up|down member|outside
 *     PROGRAM add --zone ZONE    starts one more, which is in no cluster
 *     PROGRAM remove ID          ends one that is in no cluster
 * A group is a zone, and wants as many nodes as are listed there. Members of the cluster are
 * never taken away: they are drained first. */
#ifndef AUTOSCALE_LOCAL_H
#define AUTOSCALE_LOCAL_H

#include "io/actuators/actuator.h"

/* p->command: the program; p->target[].name: zones. PR_EINVAL: there is no such program. */
PR_CHECKED enum pr_code autoscale_local_open(const struct autoscale_provider *p,
                                             struct autoscale_actuator **out, struct pr_err *err);

/* One line of a list. PR_EDATA: it is none. The member's group is by its zone's name; *target is
 * targets when no group is there. */
struct autoscale_local_node {
    char id[64], address[80], zone[AUTOSCALE_TARGET_NAME];
    bool up, member;
};
PR_CHECKED enum pr_code autoscale_local_line(const char *line, struct autoscale_local_node *out,
                                             struct pr_err *err);

#endif
