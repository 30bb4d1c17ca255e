/* Maintenance windows: they begin when a cron expression says so and last some
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

#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

struct rebalance_cron { /* bit n: value n */
    uint64_t minute;    /* 0..59 */
    uint32_t hour, day; /* 0..23, 1..31 */
    uint16_t month;     /* 1..12 */
    uint8_t weekday;    /* 0..6, Sunday is 0 */
    bool any_day, any_weekday;
};
/* "minute hour day-of-month month day-of-week": each *, or numbers, ranges, and
 * lists of them by commas, each with an optional /step; months and weekdays also
 * by their first three letters; 7 is Sunday too. A day matches when both its
 * fields do; when neither begins with *, one is enough.
 * PR_EINVAL names the field; a day that never comes (30 February) is refused. */
PR_CHECKED enum pr_code rebalance_cron_parse(const char *text, struct rebalance_cron *out,
                                             struct pr_err *err);
bool rebalance_cron_matches(const struct rebalance_cron *c, int64_t local_min);
/* First match at or after local_min; -1: none in 41 years. */
int64_t rebalance_cron_next(const struct rebalance_cron *c, int64_t local_min);

enum { REBALANCE_WINDOW_MAX_MIN = 7 * 24 * 60 };
struct rebalance_window {
    struct rebalance_cron cron;
    int minutes; /* 1..REBALANCE_WINDOW_MAX_MIN */
};
/* PR_EINVAL: as above, or the length. */
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

/* "Sun 2026-11-22 03:00" into text[24]. */
void rebalance_window_text(int64_t local_min, char text[24]);

#endif
