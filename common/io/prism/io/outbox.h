/* Transactional outbox and processed-events table. A command or event is a row
 * written in the transaction of the state change; one relay thread per process
 * publishes rows (FOR UPDATE SKIP LOCKED, woken by LISTEN prism_outbox, 1 s
 * poll) with Nats-Msg-Id = outbox id, and marks them after the ack; what it published in the 5
 * minutes before a restart or reconnect it publishes again, under the same ids. A consumer records
 * (consumer, event id) in the transaction of its effect. Together: nothing is lost and no effect
 * happens twice. */
#ifndef PRISM_IO_OUTBOX_H
#define PRISM_IO_OUTBOX_H

#include "prism/io/bus.h"
#include "prism/io/db.h"

/* Inside a transaction. subject: full NATS subject. payload at most 512 KB.
 * The current thread's traceparent travels along. */
PR_CHECKED enum pr_code pr_outbox_add(struct pr_db *db, const char *subject, const void *payload,
                                      size_t n, struct pr_err *err);
/* Inside a transaction: *fresh is false when consumer has done event_id. */
PR_CHECKED enum pr_code pr_processed_once(struct pr_db *db, const char *consumer,
                                          const char *event_id, bool *fresh, struct pr_err *err);

struct pr_relay;
/* Starts the relay thread with its own connection. bus stays borrowed. */
PR_CHECKED enum pr_code pr_relay_start(struct pr_relay **r, const char *db_uri, const char *name,
                                       struct pr_bus *bus, struct pr_err *err);
void pr_relay_stop(struct pr_relay *r); /* NULL is fine; finishes the batch in hand */

#endif
