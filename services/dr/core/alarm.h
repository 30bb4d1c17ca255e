/* What about a shard needs somebody's attention. Pure. docs/runbooks/dr-alarm.md says what to do.
 */
#ifndef DR_ALARM_H
#define DR_ALARM_H

#include <stdbool.h>
#include <stdint.h>

enum dr_alarm {
    DR_ALARM_LAG,      /* what is durable is older than 4 s: the limit is 5 s */
    DR_ALARM_DETACHED, /* no stream and no base for 10 s */
    DR_ALARM_SPOOL,    /* half of the spool is full */
    DR_ALARM_BASE,     /* a base failed, and none was finished since */
    DR_ALARM_BACKLOG,  /* the source's is too short to come back to after a minute */
    DR_ALARM_TAKER,    /* it gives slots away, and waits for over 4 s until the shard that takes
                        * them is durable */
    DR_ALARMS
};
const char *dr_alarm_name(enum dr_alarm a); /* "lag", ... */

enum { DR_LAG_MS = 4000, DR_DETACHED_MS = 10000, DR_BACKLOG_S = 60 };

struct dr_alarm_input {
    int64_t now_ms, since_ms; /* Unix epoch; since: it streams, or has ceased to */
    int64_t durable_as_of_ms; /* time of the newest durable heartbeat, else when we began */
    int64_t beat_ms;          /* between heartbeats */
    bool streaming, base;     /* base: one is under way */
    unsigned bases_failed;    /* one after another */
    uint64_t spool_bytes, spool_max_bytes;
    uint64_t rate_bps, backlog_bytes; /* backlog 0: not known */
    int64_t held_ms;                  /* it waits for a taker since then; 0: it does not */
};
unsigned dr_alarms(const struct dr_alarm_input *in); /* bits 1 << enum dr_alarm */

/* What it should be for that rate: a minute of it, and some. */
uint64_t dr_backlog_wanted(uint64_t rate_bps);

#endif
