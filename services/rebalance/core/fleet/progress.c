#include "core/fleet/progress.h"

#include "prism/text.h"

#include <stdio.h>
#include <string.h>

/* Measured on two cores (docs/reference/benchmarks.md): an almost empty slot takes
 * 3 ms with its rows, a change of roles 2 s until every node has heard of it. */
static const double SLOT_S = 0.003, OTHER_S = 2;
static const double STEP_BYTES = 64 << 10; /* what a step without bytes weighs in the ratio */

double rebalance_fleet_ratio(const struct rebalance_fleet_progress *p)
{
    const double total = p->bytes + STEP_BYTES * p->steps;
    const double moved = p->moved_bytes < p->bytes ? p->moved_bytes : p->bytes;
    const double ratio = total > 0 ? (moved + STEP_BYTES * p->verified) / total : 0;
    return ratio < 0 ? 0 : ratio > 1 ? 1 : ratio;
}

double rebalance_fleet_eta_s(const struct rebalance_fleet_progress *p)
{
    enum { TOO_EARLY_S = 1 };
    const double ratio = rebalance_fleet_ratio(p);
    if (ratio >= 1)
        return 0;
    if (ratio < 0.005 || p->running_s < TOO_EARLY_S)
        return -1;
    return p->running_s * (1 - ratio) / ratio;
}

/* --- speed ------------------------------------------------------------------------ */

enum { SECOND_US = 1000000 };

void rebalance_speed_see(struct rebalance_speed *s, int64_t now_us, double bytes)
{
    const unsigned last = (s->n + REBALANCE_SPEED_SAMPLES - 1) % REBALANCE_SPEED_SAMPLES;
    if (s->n > 0 && now_us - s->seen[last].at_us < SECOND_US)
        return;
    s->seen[s->n % REBALANCE_SPEED_SAMPLES].at_us = now_us;
    s->seen[s->n % REBALANCE_SPEED_SAMPLES].bytes = bytes;
    s->n++;
}

double rebalance_speed_per_s(const struct rebalance_speed *s, int64_t now_us, double bytes)
{
    const unsigned oldest = s->n > REBALANCE_SPEED_SAMPLES ? s->n % REBALANCE_SPEED_SAMPLES : 0;
    const int64_t us = s->n == 0 ? 0 : now_us - s->seen[oldest].at_us;
    if (us < SECOND_US || bytes <= s->seen[oldest].bytes)
        return 0;
    return (bytes - s->seen[oldest].bytes) / ((double)us / SECOND_US);
}

/* --- what is told --------------------------------------------------------------------- */

/* The words go into JSON and a message: what cutting left of a character would spoil both. */
static void set_reason(struct rebalance_fleet_told *told, const char *first, const char *second)
{
    const char *why = first != NULL && first[0] != '\0' ? first : second;
    (void)snprintf(told->reason, sizeof told->reason, "%s", why != NULL ? why : "");
    pr_utf8_mend(told->reason, strlen(told->reason));
    for (char *c = told->reason; *c != '\0'; c++) /* one line */
        *c = (unsigned char)*c < ' ' ? '?' : *c;
}

/* Verified slots count as expected, the others as measured: the greater is nearer. */
static double bytes_done(const struct rebalance_fleet_seen *seen, double before)
{
    double done = seen->wave_bytes + seen->moving_bytes;
    done = done > seen->bytes_verified ? done : seen->bytes_verified;
    done = done < seen->bytes ? done : seen->bytes;
    return done > before ? done : before;
}

void rebalance_fleet_tell(const struct rebalance_fleet_seen *seen, int64_t now_us,
                          struct rebalance_speed *speed, struct rebalance_fleet_told *told)
{
    /* All steps may be verified before the plan is over: it is done when its row says so. */
    static const double ALMOST = 0.999;
    struct rebalance_fleet_told t = { .wave = seen->wave,
                                      .waves = seen->waves,
                                      .steps = seen->steps,
                                      .steps_done = seen->verified,
                                      .steps_running = seen->begun,
                                      .steps_stuck = seen->stuck,
                                      .slots = seen->slots,
                                      .slots_done = seen->slots_verified,
                                      .bytes = seen->bytes,
                                      .bytes_done = bytes_done(seen, told->bytes_done) };
    const struct rebalance_fleet_progress p = { .steps = (double)seen->steps,
                                                .verified = (double)seen->verified,
                                                .bytes = seen->bytes,
                                                .moved_bytes = t.bytes_done,
                                                .running_s = seen->running_s };
    t.ratio = rebalance_fleet_ratio(&p);
    t.ratio = t.ratio < ALMOST ? t.ratio : ALMOST;
    t.ratio = t.ratio > told->ratio ? t.ratio : told->ratio;
    t.eta_s = rebalance_fleet_eta_s(&p);
    rebalance_speed_see(speed, now_us, t.bytes_done);
    t.bytes_per_s = rebalance_speed_per_s(speed, now_us, t.bytes_done);
    set_reason(&t, seen->stuck_why, seen->waits_for);
    *told = t;
}

void rebalance_fleet_tell_state(struct rebalance_fleet_told *told, const char *state,
                                const char *why)
{
    const bool done = strcmp(state, "done") == 0;
    if (strcmp(state, "running") == 0)
        return;
    told->bytes_per_s = 0;
    told->eta_s = done ? 0 : -1;
    if (done || (why != NULL && why[0] != '\0'))
        set_reason(told, why, "");
    if (strcmp(state, "paused") == 0) /* slots may be held open */
        return;
    told->steps_running = 0;
    told->ratio = done ? 1 : told->ratio;
}

/* --- beforehand ------------------------------------------------------------------------- */

double rebalance_fleet_duration_s(const struct rebalance_fleet_work *w)
{
    const double pairs = w->pairs > 0 ? (double)w->pairs : 1;
    const double bytes_s = w->bytes_per_s > 0 ? w->bytes / w->bytes_per_s : 0;
    return bytes_s + (double)w->slots * SLOT_S / pairs + (double)w->others * OTHER_S;
}
