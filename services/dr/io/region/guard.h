/* What a running service does about who owns the store (PRISM_DR_SITE): asks the bucket for the
 * marker of the next epoch, after every container and once a second.
 *
 * While another site owns it, nothing is said to be durable (dr_guard_ours), and this side is kept
 * locked out, again every few seconds: servers that restart forget what users were turned off. When
 * this side is the owner again and goes on under the same name, a fail-over was aborted: whoever
 * was locked out from here is let in, once also at every start. Under another name a fail-over
 * brought the store here, and lets users in when it has. Thread-safe. */
#ifndef DR_GUARD_H
#define DR_GUARD_H

#include "io/region/marker.h"
#include "io/settings.h"

struct dr_guard;

/* Reads PRISM_DR_SITES_PATH; the bucket may be away. store, cfg: borrowed. */
PR_CHECKED enum pr_code dr_guard_start(struct dr_guard **out, const struct dr_config *cfg,
                                       const struct pr_s3_store *store, struct pr_err *err);
void dr_guard_stop(struct dr_guard *g); /* NULL is fine */

/* PR_OK: the owner is known as of now. Else nothing is known, and nothing may be said. s3: of the
 * calling thread. */
PR_CHECKED enum pr_code dr_guard_check(struct dr_guard *g, struct pr_s3 *s3, struct pr_err *err);

/* This side owns the store, as far as was seen, and ships under the name that it has to. */
bool dr_guard_ours(struct dr_guard *g);

/* UNKNOWN also at the second site of the file while there is no marker. */
enum dr_guard_owner { DR_OWNER_UNKNOWN, DR_OWNER_US, DR_OWNER_OTHER };
/* data: of US: under which it has to ship. */
enum dr_guard_owner dr_guard_owner(struct dr_guard *g, char data[DR_NAME]);
/* That the newest marker is of; 0: none. */
uint64_t dr_guard_failover(struct dr_guard *g);
void dr_guard_use(struct dr_guard *g, const char *data); /* it does from now on */

#endif
