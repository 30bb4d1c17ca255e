/* Writers on every shard, and what the dr service said was durable: kept to be compared with what
 * a restore brings back. */
#ifndef PRISM_DR_LEDGER_H
#define PRISM_DR_LEDGER_H

#include "dr_stage.h"

#include <stdint.h>

enum { DR_LEDGER_SHARDS = 8 };

/* Threads write to every shard, through whatever happens, and ask how far that is durable. */
void dr_ledger_start(uint64_t seed);
void dr_ledger_stop(void);      /* fine when it does not run */
void dr_ledger_forget(void);    /* what was durable: the bucket is another. No service runs */
void dr_ledger_anew(void);      /* all of it: the store is another, and empty */
uint64_t dr_ledger_acked(void); /* entries of all shards that were said to be durable */
void dr_ledger_await_acked(uint64_t more); /* until so many more are */
uint64_t dr_ledger_refused(void);          /* answers "never": histories that ended */
/* Restores every shard, or the n-th alone: everything that was said to be durable is there, without
 * a hole. same: and the digests are those of the primaries (nobody writes). */
enum { DR_LEDGER_ALL = -1 };
void dr_ledger_check(int only, bool same);

/* Shards of the ledger, as dr_stage_shards has them; of one: the entries that were said to be
 * durable, and those that are in DIR/<its name>, as a redis-server loads them: without a hole, and
 * no MULTI is cut. */
size_t dr_ledger_shards(void);
const char *dr_ledger_shard(size_t i);
uint64_t dr_ledger_acked_of(size_t i);
uint64_t dr_ledger_entries(size_t i, const char *dir);
/* Of a shard: keys {tag}log (1, 2, 3 ...) and {tag}count, and how much of it. */
struct dr_ledger_line {
    char shard[64], tag[16];
    uint64_t written, acked; /* newest entry that was answered; that was said to be durable */
};
size_t dr_ledger_lines(struct dr_ledger_line out[DR_LEDGER_SHARDS]);

/* One question; the reply of the service. */
struct dr_answer {
    enum pr_code rc;
    bool reached;
    uint64_t offset;
    char replid[64], generation[64], why[200];
};
void dr_ledger_ask(const char *shard, const char *replid, uint64_t offset, uint32_t wait_ms,
                   struct dr_answer *out);
/* Of a server: the history that it has, and how far. */
void dr_ledger_history(int port, char replid[64], uint64_t *offset);

#endif
