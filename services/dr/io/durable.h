/* Answers whether an offset of a shard is durable, when it is: prism.rpc.dr.durable. Every replica
 * keeps every question until its time is up, and answers those about shards that it leads: so one
 * that takes over answers what its predecessor left open. */
#ifndef DR_DURABLE_IO_H
#define DR_DURABLE_IO_H

#include "io/group.h"

#include "prism/io/bus.h"

struct dr_durable;

PR_CHECKED enum pr_code dr_durable_open(struct dr_durable **out, struct pr_err *err);
/* Borrowed [n], until others are set or dr_durable_stop: those before are left alone when this
 * returns. */
void dr_durable_groups(struct dr_durable *d, struct dr_group *const *group, size_t n);
void dr_durable_stop(struct dr_durable *d);  /* before the groups end; open questions are dropped */
void dr_durable_close(struct dr_durable *d); /* after the bus; NULL is fine */

void dr_durable_ask(void *durable, const struct pr_msg *msg, struct pr_reply *to); /* pr_later_fn */
void dr_durable_changed(void *durable);

#endif
