/* Maintenance windows: they begin when a cron expression (prism/cron.h) says so and last some
 * minutes. Pure; time is the wall clock of the window's time zone, counted in
 * minutes since 1970-01-01 00:00 there. Source: docs/explanation/rebalance.md.
 *
 * The shell asks PostgreSQL for it every time it decides:
 *     floor(extract(epoch FROM now() AT TIME ZONE $1) / 60)::bigint
 * so a change to or from daylight saving time shows as a jump. Across a jump
 * forward a window that lies over it is an hour shorter, and what was said to be
 * left before it is an hour too much: decide again before each step. Across a
 * jump back it is an hour longer. A begin in the hour that is left out counts:
 * the window is on from the jump. */
#ifndef REBALANCE_WINDOW_H
#define REBALANCE_WINDOW_H

#include "prism/cron.h"

#include <stdbool.h>
#include <stdint.h>

enum { REBALANCE_WINDOW_MAX_MIN = 7 * 24 * 60 };
struct rebalance_window {
    struct pr_cron cron;
    int minutes; /* 1..REBALANCE_WINDOW_MAX_MIN */
};
/* PR_EINVAL: as of pr_cron_parse, or the length. */
PR_CHECKED enum pr_code rebalance_window_parse(const char *cron, int64_t minutes,
                                               struct rebalance_window *out, struct pr_err *err);

struct rebalance_window_at {
    bool inside;
    int64_t ends_min; /* inside: first minute outside. Windows that touch or overlap are
                       * one, looked at for four weeks ahead. */
    int64_t left_min; /* inside: until then; else 0 */
    int64_t next_min; /* begin of the next one after this; -1: none */
};
struct rebalance_window_at rebalance_window_look(const struct rebalance_window *w,
                                                 int64_t local_min);
/* Whether what takes eta_s may start: inside, and done before the end. The minute
 * that runs counts as gone; a negative eta_s is unknown and may not. */
bool rebalance_window_may_start(const struct rebalance_window_at *at, double eta_s);

#endif
