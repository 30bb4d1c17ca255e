/* Clients that write and read all the time: two of anybody's, one of vertices, and
 * a reader. A write counts as acknowledged when WAIT said, on its connection, that
 * every configured replica has it. */
#ifndef SLOTS_CLIENTS_H
#define SLOTS_CLIENTS_H

#include <stddef.h>
#include <stdint.h>

struct slots_traffic {
    long acked;  /* writes */
    long sent;   /* writes */
    long reads;  /* answered */
    long absent; /* reads that missed a key that is there */
    long old;    /* reads of less than what had been acknowledged before */
    long back;   /* reads of less than this reader had read before; told, not asserted */
    long failed; /* reads without an answer in time */
    int64_t last_wrong_us, last_failed_us; /* pr_mono_us; 0 never */
};

void slots_clients_start(uint64_t seed);
/* Half of all commands go to keys of these slots (at most SLOTS_HOT). */
void slots_clients_aim(const uint16_t *slot, size_t n);
/* Since the last call of this function. */
void slots_clients_count(struct slots_traffic *out);
void slots_clients_stop(void); /* fine when they do not run */

#endif
