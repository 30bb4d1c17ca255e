#include "core/slot/job.h"

#include <stdlib.h>
#include <string.h>

#define J(name) REBALANCE_JOB_##name

enum { REST_US = 1000000 };

/* --- the rules ------------------------------------------------------------------------ */

/* Nothing is begun, handed to MIGRATE or left while one of them runs. */
static enum rebalance_job_event running(const struct rebalance_job_view *v)
{
    if (v->phase == J(HANDING)) /* it ends in a moment, and what it decides is decided */
        return J(EV_HANDING);
    if (v->ending)
        return J(EV_ENDING);
    const bool failing = v->phase == J(RETRYING) && v->retries >= J(ATTEMPTS);
    if (v->binds && (failing || v->late || v->leave))
        return J(EV_BOUND);
    if (failing)
        return J(EV_FAILING);
    if (v->late)
        return J(EV_LATE);
    return v->leave ? J(EV_LEAVING) : J(EV_RUNNING);
}

static enum rebalance_job_event landed(const struct rebalance_job_view *v)
{
    if (!v->settled)
        return J(EV_UNSETTLED);
    return v->agreed ? J(EV_LANDED) : J(EV_UNKNOWN);
}

/* Nothing of ours runs, and the source owns at least one slot. */
static enum rebalance_job_event stayed(const struct rebalance_job_view *v)
{
    if (v->phase == J(CANCELED) && v->starts > 0 && !v->told)
        return J(EV_STOPPED);
    if (v->leave || !v->may_start)
        return J(EV_LEFT);
    if (v->foreign)
        return J(EV_BUSY);
    if (v->refused)
        return J(EV_REFUSED);
    if (v->starts > 0 && !v->rested)
        return J(EV_TIRED);
    if (v->starts >= J(ATTEMPTS))
        return J(EV_FAILED);
    return v->alone ? J(EV_ALONE) : J(EV_READY);
}

static enum rebalance_job_event observe(const struct rebalance_job_view *v)
{
    if (v->target_gone)
        return J(EV_GONE);
    if (!v->target_there || (!v->source_there && !v->source_gone))
        return J(EV_MISSING);
    if (rebalance_job_runs(v->phase))
        return running(v);
    if (v->phase == J(CLEANING))
        return J(EV_CLEANING);
    if (v->place[J(STAYED)] + v->place[J(LANDED)] + v->place[J(UNSURE)] + v->place[J(THIRD)] == 0)
        return v->foreign ? J(EV_BUSY) : J(EV_NOTHING);
    if (v->place[J(UNSURE)] > 0)
        return J(EV_UNHEARD);
    if (v->place[J(THIRD)] > 0)
        return J(EV_FOREIGN);
    return v->place[J(STAYED)] > 0 ? stayed(v) : landed(v);
}

#define ROW(event, effect, why) [J(EV_##event)] = { J(EV_##event), J(DO_##effect), why }
/* clang-format off */
static const struct rebalance_job_row table[J(EVENTS)] = {
    ROW(MISSING, WAIT, "a primary is missing: wait for it or for its successor"),
    ROW(GONE, STOP, "the shard that should take the slot is no more"),
    ROW(HANDING, WATCH, "the target is about to take over: too late to cancel"),
    ROW(ENDING, WATCH, "canceled: wait until it has ended"),
    ROW(BOUND, WATCH, "it is to end, but somebody else's job would be canceled with it"),
    ROW(FAILING, CANCEL, "the server tried in vain, and would go on trying"),
    ROW(LATE, CANCEL, "it takes too long"),
    ROW(LEAVING, CANCEL, "a job cannot be held: what it copied is copied again"),
    ROW(RUNNING, WATCH, "a job is running: never a second one beside it"),
    ROW(CLEANING, WAIT, "the target deletes what a failed job left"),
    ROW(NOTHING, FINISH, "nothing is in the way"),
    ROW(UNHEARD, WAIT, "the two primaries differ on who owns a slot: one has not heard yet"),
    ROW(UNSETTLED, SETTLE, "taken over: have the target's replicas hold it, too"),
    ROW(UNKNOWN, VERIFY, "maps lag: ask again"),
    ROW(LANDED, FINISH, "the target owns them, and everybody knows"),
    ROW(FOREIGN, HAND, "a shard outside this move owns a slot"),
    ROW(STOPPED, STOP, "somebody canceled the server's job: resume the plan to go on"),
    ROW(LEFT, LEAVE, "nothing runs, and nothing is to begin"),
    ROW(BUSY, WAIT, "a job that is not ours runs on one of the primaries"),
    ROW(REFUSED, HAND, "not offered by both primaries, or not to our user"),
    ROW(FAILED, HAND, "it failed too often: MIGRATE goes on, or says why not"),
    ROW(TIRED, WAIT, "it ended without effect: try again in a moment"),
    ROW(ALONE, WAIT, "a shard has no live replica: wait for one"),
    ROW(READY, START, "the source owns them, and nothing runs"),
};
/* clang-format on */

struct rebalance_job_row rebalance_job_step(const struct rebalance_job_view *view)
{
    return table[observe(view)];
}

const struct rebalance_job_row *rebalance_job_table(size_t *n)
{
    *n = J(EVENTS);
    return table;
}

/* --- phases --------------------------------------------------------------------------- */

#define V_IN(name, phase)                                                                          \
    {                                                                                              \
        J(VALKEY), true, name, J(phase)                                                            \
    }
#define V_OUT(name, phase)                                                                         \
    {                                                                                              \
        J(VALKEY), false, name, J(phase)                                                           \
    }
#define R_IN(name, phase)                                                                          \
    {                                                                                              \
        J(REDIS), true, name, J(phase)                                                             \
    }
#define R_OUT(name, phase)                                                                         \
    {                                                                                              \
        J(REDIS), false, name, J(phase)                                                            \
    }
/* clang-format off */
static const struct rebalance_job_state states[] = {
    V_OUT("connecting", RUNNING),          V_OUT("sending-auth-command", RUNNING),
    V_OUT("reading-auth-response", RUNNING), V_OUT("sending-establish-command", RUNNING),
    V_OUT("reading-establish-response", RUNNING), V_OUT("waiting-to-snapshot", RUNNING),
    V_OUT("snapshotting", RUNNING),        V_OUT("replicating", RUNNING),
    V_OUT("waiting-to-pause", RUNNING),    V_OUT("failover-paused", HANDING),
    V_OUT("failover-granted", HANDING),    V_OUT("success", DONE),
    V_OUT("failed", FAILED),               V_OUT("cancelled", CANCELED),
    V_IN("waiting-for-ack", RUNNING),      V_IN("receiving-snapshot", RUNNING),
    V_IN("waiting-for-paused", RUNNING),   V_IN("failover-requested", HANDING),
    V_IN("failover-granted", HANDING),     V_IN("cleaning-up", CLEANING),
    V_IN("occurring-on-primary", RUNNING), V_IN("success", DONE),
    V_IN("failed", FAILED),                V_IN("cancelled", CANCELED),

    /* An import that failed stays, and is begun again every second until it is canceled. */
    R_IN("none", RUNNING),                 R_IN("connecting", RUNNING),
    R_IN("auth-reply", RUNNING),           R_IN("send-handshake", RUNNING),
    R_IN("handshake-reply", RUNNING),      R_IN("send-syncslots", RUNNING),
    R_IN("syncslots-reply", RUNNING),      R_IN("init-rdbchannel", RUNNING),
    R_IN("accumulate-buffer", RUNNING),    R_IN("ready-to-stream", RUNNING),
    R_IN("streaming-buffer", RUNNING),     R_IN("wait-stream-eof", RUNNING),
    R_IN("takeover", HANDING),             R_IN("failed", RETRYING),
    R_IN("canceled", CANCELED),            R_IN("completed", DONE),
    R_OUT("none", RUNNING),                R_OUT("connecting", RUNNING),
    R_OUT("auth-reply", RUNNING),          R_OUT("wait-rdbchannel", RUNNING),
    R_OUT("wait-bgsave-start", RUNNING),   R_OUT("send-bulk-and-stream", RUNNING),
    R_OUT("send-stream", RUNNING),         R_OUT("handoff-prep", HANDING),
    R_OUT("handoff", HANDING),             R_OUT("stream-eof", HANDING),
    R_OUT("failed", FAILED),               R_OUT("canceled", CANCELED),
    R_OUT("completed", DONE),
};
/* clang-format on */

const struct rebalance_job_state *rebalance_job_states(size_t *n)
{
    *n = sizeof states / sizeof states[0];
    return states;
}

enum rebalance_job_phase rebalance_job_phase(enum rebalance_job_dialect d, bool import,
                                             const char *state, const char *error)
{
    enum rebalance_job_phase p = J(RUNNING);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (states[i].dialect == d && states[i].import == import &&
            strcmp(states[i].name, state) == 0)
            p = states[i].phase;
    /* Redis cancels jobs for reasons of its own, too: those just failed. */
    if (p == J(CANCELED) && d == J(REDIS) && strstr(error, "user request") == NULL)
        p = J(FAILED);
    return p;
}

bool rebalance_job_runs(enum rebalance_job_phase p)
{
    return p == J(RUNNING) || p == J(RETRYING) || p == J(HANDING);
}

/* Whatever runs or is being cleaned up on one side counts; of two that ended, what was done
 * to it before how it ended. */
enum rebalance_job_phase rebalance_job_judge(enum rebalance_job_phase at_source,
                                             enum rebalance_job_phase at_target)
{
    static const enum rebalance_job_phase order[] = { J(HANDING),  J(RETRYING), J(RUNNING),
                                                      J(CLEANING), J(CANCELED), J(FAILED),
                                                      J(DONE) };
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (at_source == order[i] || at_target == order[i])
            return order[i];
    return J(ABSENT);
}

enum rebalance_job_dialect rebalance_job_agree(enum rebalance_job_dialect source,
                                               enum rebalance_job_dialect target, const char **why)
{
    *why = "both primaries offer atomic slot migration";
    if (source == target && source != J(NONE))
        return source;
    if (source == target)
        *why = "neither primary offers atomic slot migration";
    else if (source == J(NONE))
        *why = "the source does not offer atomic slot migration";
    else if (target == J(NONE))
        *why = "the target does not offer atomic slot migration";
    else
        *why = "the primaries offer different kinds of atomic slot migration";
    return J(NONE);
}

/* --- slots ------------------------------------------------------------------------------ */

size_t rebalance_job_batch(const uint64_t *bytes, size_t n)
{
    const uint64_t most = (uint64_t)1 << 30;
    uint64_t sum = 0;
    size_t k = 0;
    while (k < n && k < J(SLOTS) && (k == 0 || (bytes[k] <= most && sum + bytes[k] <= most)))
        sum += bytes[k++];
    return k;
}

int64_t rebalance_job_patience_ms(uint64_t bytes)
{
    return 60000 + (int64_t)(bytes >> 22) * 1000;
}

static int by_number(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

size_t rebalance_job_ranges(int *slot, size_t n, struct rebalance_job_range *range)
{
    size_t ranges = 0;
    qsort(slot, n, sizeof *slot, by_number);
    for (size_t i = 0; i < n; i++) {
        if (ranges > 0 && slot[i] <= range[ranges - 1].last + 1)
            range[ranges - 1].last = slot[i];
        else
            range[ranges++] = (struct rebalance_job_range){ slot[i], slot[i] };
    }
    return ranges;
}

void rebalance_job_set(struct rebalance_job_set *set, const int *slot, size_t n)
{
    memset(set, 0, sizeof *set);
    for (size_t i = 0; i < n; i++)
        set->below[slot[i] + 1] = 1; /* named twice, it is in it once */
    for (int s = 0; s < J(ALL_SLOTS); s++)
        set->below[s + 1] = (uint16_t)(set->below[s + 1] + set->below[s]);
}

static long within(long slot)
{
    return slot < 0 ? 0 : slot > J(ALL_SLOTS) ? J(ALL_SLOTS) : slot;
}

bool rebalance_job_holds(const char *ranges, const struct rebalance_job_set *set)
{
    for (const char *p = ranges; *p != '\0';) {
        char *end;
        const long first = strtol(p, &end, 10);
        if (end == p) { /* a blank, or nothing that we know */
            p++;
            continue;
        }
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        if (first <= last && set->below[within(last + 1)] != set->below[within(first)])
            return true;
        p = end;
    }
    return false;
}

enum rebalance_job_place rebalance_job_place(enum rebalance_job_owner by_source,
                                             enum rebalance_job_owner by_target, bool source_gone)
{
    static const enum rebalance_job_place place[J(OWNERS)] = { J(STAYED), J(LANDED), J(UNSURE),
                                                               J(THIRD) };
    if (!source_gone && by_source != by_target)
        return J(UNSURE);
    /* Nobody is there to hand over: it waits for somebody to own the slot. */
    return source_gone && by_target == J(BY_SOURCE) ? J(UNSURE) : place[by_target];
}

/* --- which job it is ---------------------------------------------------------------------- */

/* Where an end is told of a job that was there before the last start, that one is over. */
static enum rebalance_job_phase since_start(const struct rebalance_job_memory *m, int k,
                                            const struct rebalance_job_sight *s)
{
    const bool old = m->starts > 0 && !rebalance_job_runs(s->phase) && s->phase != J(CLEANING) &&
                     strcmp(s->id, m->before[k]) == 0;
    return old ? J(ABSENT) : s->phase;
}

/* The one that the view's phase is of. */
static const struct rebalance_job_sight *decides(const struct rebalance_job_memory *m,
                                                 const struct rebalance_job_sight seen[2],
                                                 enum rebalance_job_phase phase)
{
    return &seen[since_start(m, 0, &seen[0]) != phase];
}

void rebalance_job_started(struct rebalance_job_memory *m, const struct rebalance_job_sight seen[2],
                           int64_t now_us)
{
    for (int k = 0; k < 2; k++)
        memcpy(m->before[k], seen[k].id, sizeof m->before[k]);
    m->told[0] = '\0';
    m->told_us = 0;
    m->began_us = m->tried_us = now_us;
    m->starts++;
}

void rebalance_job_told(struct rebalance_job_memory *m, const struct rebalance_job_sight seen[2],
                        bool refused, int64_t now_us)
{
    const enum rebalance_job_phase p =
        rebalance_job_judge(since_start(m, 0, &seen[0]), since_start(m, 1, &seen[1]));
    m->told_us = now_us;
    if (!refused)
        memcpy(m->told, decides(m, seen, p)->id, sizeof m->told);
}

void rebalance_job_recall(struct rebalance_job_memory *m, const struct rebalance_job_sight seen[2],
                          uint64_t bytes, int64_t now_us, struct rebalance_job_view *v)
{
    v->phase = rebalance_job_judge(since_start(m, 0, &seen[0]), since_start(m, 1, &seen[1]));
    const struct rebalance_job_sight *s = decides(m, seen, v->phase);
    const bool runs = rebalance_job_runs(v->phase);
    if (runs) {
        m->began_us = m->began_us == 0 ? now_us : m->began_us;
        m->tried_us = now_us;
        m->ran = true;
    }
    v->retries = s->retries;
    v->told = s->id[0] != '\0' && strcmp(s->id, m->told) == 0;
    v->ending = m->told_us > 0 && now_us - m->told_us < REST_US;
    v->late = runs && now_us - m->began_us > rebalance_job_patience_ms(bytes) * 1000;
    v->rested = now_us - m->tried_us >= REST_US;
    v->starts = m->starts;
}

int64_t rebalance_job_poll_us(unsigned unchanged)
{
    static const int64_t us[] = { 50000, 50000, 75000, 110000, 170000, 250000, 375000, 500000 };
    const size_t last = sizeof us / sizeof us[0] - 1;
    return us[unchanged < last ? unchanged : last];
}

/* --- names ---------------------------------------------------------------------------- */
static const char *const dialect_name[J(DIALECTS)] = { "none", "valkey", "redis" };
static const char *const phase_name[J(PHASES)] = { "absent",   "running", "retrying", "handing",
                                                   "cleaning", "done",    "failed",   "canceled" };
static const char *const event_name[J(EVENTS)] = {
    "missing", "gone",     "handing", "ending",  "bound",     "failing", "late",   "leaving",
    "running", "cleaning", "nothing", "unheard", "unsettled", "unknown", "landed", "foreign",
    "stopped", "left",     "busy",    "refused", "failed",    "tired",   "alone",  "ready"
};
static const char *const effect_name[J(EFFECTS)] = { "wait",   "watch",  "start",  "cancel",
                                                     "settle", "verify", "finish", "leave",
                                                     "hand",   "stop" };

const char *rebalance_job_dialect_name(enum rebalance_job_dialect d)
{
    return d < J(DIALECTS) ? dialect_name[d] : "unknown";
}

const char *rebalance_job_phase_name(enum rebalance_job_phase p)
{
    return p < J(PHASES) ? phase_name[p] : "unknown";
}

const char *rebalance_job_event_name(enum rebalance_job_event e)
{
    return e < J(EVENTS) ? event_name[e] : "unknown";
}

const char *rebalance_job_effect_name(enum rebalance_job_effect f)
{
    return f < J(EFFECTS) ? effect_name[f] : "unknown";
}
