/* What the cases stand on: the service behind the fault proxy, writers with a ledger of what was
 * said to be durable, and restores that are compared with it. */
#ifndef FAULT_DR_SCENE_H
#define FAULT_DR_SCENE_H

#include "dr_bucket.h"
#include "dr_ledger.h"

#include "dr_cases.h"

struct dr_scene {
    struct it_proxy proxy;
    char dir[64]; /* for restores; emptied after each */
};
extern struct dr_scene dr_scene;

int dr_scene_open(void **state);
int dr_scene_close(void **state);
/* *state: the case's name. Each begins with a bucket of its own, the settings of dr_scene.c and
 * nothing running, and ends so, with every node up. */
int dr_case_begin(void **state);
int dr_case_end(void **state);

void dr_fresh(void); /* another bucket, as it were; no service runs */
void dr_rules(const char *format, ...) __attribute__((format(printf, 1, 2))); /* of the proxy */
unsigned dr_calls(void);          /* that came since the rules were set */
bool dr_rule_hit(int timeout_ms); /* a rule that is no pass was applied to a request */

void dr_serve(void); /* the service, every shard streaming, and the writers with it */
void dr_kill(void);  /* kill -9; its leases end at once */
/* Starts the service with a rule that kills it before or after the n-th call that matches ("":
 * any), and waits for that. */
void dr_kill_at(const char *match, unsigned n, bool after);

struct dr_tried {
    size_t shard;
    int status;
    uint64_t entries; /* when status is 0: whole ones, see dr_ledger_entries */
    long skipped;     /* generations */
    bool gap;
    char out[2048]; /* both outputs of the command */
};
/* prism-dr restore of a shard of the ledger with dr.env. A directory is there when it succeeded,
 * else none. */
void dr_try(size_t shard, struct dr_tried *out);
/* REFUSED: it failed, which must be so when may_refuse is not set only while nothing was said to be
 * durable. RESUMED: all is there that was. PREVIOUS: not, but no less than floor, and that is said.
 * Anything else fails the test. */
enum dr_outcome dr_judge(const struct dr_tried *t, uint64_t acked, uint64_t floor, bool may_refuse);
/* Restores the strike-th shard in turn: all that was said to be durable is there. */
void dr_check(long strike);
/* The writers stop; the service ships the rest; every shard is compared key by key. In the short
 * run only the first time. */
void dr_ends_well(void);

/* Runs prism-dr with dr.env; both outputs to out. wrap: words before it ("/usr/bin/unshare", ...),
 * NULL-terminated, may be NULL. */
int dr_command(const char *const *wrap, const char *const *args, char *out, size_t n);

/* Starts prism-dr with dr.env; before it has done anything it waits for SIGCONT. */
pid_t dr_command_stopped(const char *const *args);

#endif
