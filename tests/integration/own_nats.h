/* A nats-server of the test's own, with one user per service and only the
 * rights that the bus documents, so that it may be killed and refuse things. */
#ifndef PRISM_TEST_OWN_NATS_H
#define PRISM_TEST_OWN_NATS_H

#include "prism/io/bus.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct own_nats {
    int port;
    pid_t pid;
    char dir[160], url[64];
};

void own_nats_start(struct own_nats *n);        /* with the streams of proto/subjects.def */
void own_nats_kill(struct own_nats *n);         /* SIGKILL */
void own_nats_restart(struct own_nats *n);      /* same port and store */
void own_nats_forget(const struct own_nats *n); /* while down: loses every stream */
void own_nats_set_up(const struct own_nats *n); /* the streams; as admin */
void own_nats_stop(struct own_nats *n);

/* At the next restart placement has another password, or its own again. */
void own_nats_lock_out_placement(const struct own_nats *n, bool locked);

/* user: "admin", "placement", "rebalance", "metadata-api" or "tester" (may do anything). */
struct pr_bus *own_nats_bus(const struct own_nats *n, const char *user);
bool own_nats_await_ready(struct pr_bus *bus, int timeout_ms);

/* As tester. */
uint64_t own_nats_stream_messages(const struct own_nats *n, const char *stream);
void own_nats_purge(const struct own_nats *n, const char *stream);
void own_nats_add_durable(const struct own_nats *n, const char *stream, const char *durable,
                          const char *filter, int ack_wait_ms);
void own_nats_delete_durable(const struct own_nats *n, const char *stream, const char *durable);
/* Does anybody listen to the durable consumer? */
bool own_nats_bound(const struct own_nats *n, const char *stream, const char *durable);

struct own_letter { /* at: its own subject; the rest as the headers say */
    char at[96], text[96], subject[96], reason[160], id[96];
};
void own_nats_last_letter(const struct own_nats *n, struct own_letter *out);

#endif
