/* Between the two parts of the simulated scheduler. */
#ifndef PRISM_SIM_SLOT_SCHEDULER_H
#define PRISM_SIM_SLOT_SCHEDULER_H

#include "slot_world.h"

int giver_of(const struct world *w); /* the shard that gives */
struct opened giver_now(const struct world *w);
/* The slot was opened on another primary than the present one; or on the other
 * side, and was never properly turned. */
bool reopened(const struct world *w);
bool in_step(const struct world *w, int shard); /* a live replica follows its primary */

/* The command goes out; now and then its reply is not waited for, and it runs
 * whenever its node comes to it. Returns whether that is so. */
bool send_late(struct world *w, const struct command *cmd);

bool has_room(const struct world *w, int node);

enum migrated { MIGRATED, BUSYKEY, IOERR, FULL };
/* MIGRATE at its source, key after key: RESTORE there, DEL here. */
enum migrated migrate(struct world *w, int from, int to, uint32_t keys, uint8_t cred, bool copy);

void drain(struct world *w, int g, int t);
void resolve(struct world *w, int g, int t);

#endif
