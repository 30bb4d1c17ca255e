/* What the bus decides about messages. Pure: no I/O, clock or globals.
 * Source: NATS ADR-15 (acknowledgement subjects). */
#ifndef PRISM_IO_BUS_RULES_H
#define PRISM_IO_BUS_RULES_H

#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PR_BUS_MAX_DELIVER = 5,      /* a handler that failed this often gives up */
    PR_BUS_CRASH_DELIVER = 20,   /* so many without an answer: it kills its handler */
    PR_BUS_ACK_WAIT_MS = 30000,  /* redelivered after this silence */
    PR_BUS_PROGRESS_MS = 10000,  /* how often we say that we are at it */
    PR_BUS_MAX_ACK_PENDING = 64, /* of one durable consumer */
    PR_BUS_TOKEN = 64
};

/* Parsed from the reply subject of a JetStream message. */
struct pr_ack {
    char stream[PR_BUS_TOKEN], consumer[PR_BUS_TOKEN];
    uint64_t deliveries, stream_seq;
};
/* "$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>",
 * or with <domain>.<account> after ACK and further tokens at the end. */
bool pr_ack_parse(const char *reply, struct pr_ack *out);

enum pr_verdict {
    PR_VERDICT_ACK,
    PR_VERDICT_NAK,  /* deliver again after delay_ms */
    PR_VERDICT_DEAD, /* to the dead letters, then terminate */
    PR_VERDICT_DROP  /* terminate: a watched event, a fresher one will come */
};
/* rc: what the handler said. dead_letters: false for a watch. */
enum pr_verdict pr_bus_verdict(enum pr_code rc, uint64_t deliveries, bool dead_letters,
                               int *delay_ms);

/* Inverse of pr_code_name; PR_EINTERNAL for a name that is unknown or "ok". */
enum pr_code pr_code_of_name(const char *name);

#endif
