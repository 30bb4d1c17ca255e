#include "core/alarm.h"

#include <stddef.h>

static const char *const NAME[DR_ALARMS] = {
    "lag", "detached", "spool", "base", "backlog", "taker"
};

const char *dr_alarm_name(enum dr_alarm a)
{
    return NAME[a];
}

uint64_t dr_backlog_wanted(uint64_t rate_bps)
{
    return rate_bps * DR_BACKLOG_S;
}

unsigned dr_alarms(const struct dr_alarm_input *in)
{
    /* Heartbeats that come seldom make what is durable look old. */
    const int64_t seldom_ms = in->beat_ms > 1000 ? in->beat_ms - 1000 : 0;
    const bool raised[DR_ALARMS] = {
        [DR_ALARM_LAG] = in->now_ms - in->durable_as_of_ms > DR_LAG_MS + seldom_ms,
        [DR_ALARM_DETACHED] =
            !in->streaming && !in->base && in->now_ms - in->since_ms > DR_DETACHED_MS,
        [DR_ALARM_SPOOL] = in->spool_bytes > in->spool_max_bytes / 2,
        [DR_ALARM_BASE] = in->bases_failed > 0,
        [DR_ALARM_BACKLOG] =
            in->backlog_bytes > 0 &&
            in->backlog_bytes<dr_backlog_wanted(in->rate_bps), [DR_ALARM_TAKER] = in->held_ms> 0 &&
            in->now_ms - in->held_ms > DR_LAG_MS,
    };
    unsigned bits = 0;
    for (size_t i = 0; i < DR_ALARMS; i++)
        bits |= (unsigned)raised[i] << i;
    return bits;
}
