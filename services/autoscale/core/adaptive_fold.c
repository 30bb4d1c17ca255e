/* What adaptive learns from a minute: load, forecast, how well the signals foretold, the day's
 * and the week's shape. Only + - * / and comparisons: the same bits on every machine. */
#include "core/adaptive_private.h"

#include <math.h>
#include <string.h>

enum { RING = AUTOSCALE_ADAPTIVE_RING, SIGNALS = AUTOSCALE_ADAPTIVE_SIGNALS };
enum { TREND, DAY, WEEK };
enum {
    SLOPE = 4,         /* minutes of the trend */
    DAY_SLOT = 10,     /* minutes */
    WEEK_SLOT = 30,    /* minutes */
    WARM_UP = 3,       /* minutes that new members are busy with themselves */
    BEFORE_GROWTH = 5, /* minutes */
};
static const double forget = 0.6931471805599453 / (2 * 24 * 60); /* half in two days */
static const double ridge = 1e-4; /* a signal must explain more than noise of 1 % */
static const double weight_most = 1.5;
/* The highest of some minutes is higher than one of them, whatever signals say, and much so when
 * load is noisy: this much of the mean rise is not put down to them. */
static const double common = 0.4;
static const double signal_most = 0.7; /* as log_ratio: about twice */
static const double rise_most = 0.4;   /* a forecast is at most half as high again as the load */
static const double day_gain = 0.2, week_gain = 0.5;
static const double hidden_load = 1.15; /* at 100 % CPU the load is more than what is served */
static const double warm_up_load = 1.1; /* new members cannot bring more than that at once */

/* Near log(ratio) and exp(x) for what occurs here, exact inverses of one another. */
static double log_ratio(double ratio)
{
    return 2 * (ratio - 1) / (ratio + 1);
}
static double exp_ratio(double x)
{
    return (2 + x) / (2 - x);
}

static double capped(double x, double lo, double hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

int adaptive_ahead(const struct autoscale_view *view)
{
    const int64_t ms =
        view->useful_after_ms > 0 ? view->useful_after_ms : INT64_C(10) * AUTOSCALE_MINUTE_MS;
    const int64_t minutes = (ms + AUTOSCALE_MINUTE_MS - 1) / AUTOSCALE_MINUTE_MS + 1;
    return minutes > ADAPTIVE_AHEAD_MOST ? ADAPTIVE_AHEAD_MOST : (int)minutes;
}

static double load_at(const struct autoscale_adaptive_memory *m, int64_t minute)
{
    return minute > m->minute - RING && minute <= m->minute ? m->load[adaptive_at(minute)] : -1;
}

/* Highest known load of the minutes after `from` up to `to`; -1 none. */
static double highest(const struct autoscale_adaptive_memory *m, int64_t from, int64_t to)
{
    double most = -1;
    for (int64_t t = from + 1; t <= to; t++)
        most = load_at(m, t) > most ? load_at(m, t) : most;
    return most;
}

/* --- the day's and the week's shape ---------------------------------------------------- */

/* Of all time; of those that come again, it is the remainder. */
static int64_t slot_number(int64_t minute, int slot)
{
    return minute / slot - (minute % slot < 0);
}

static size_t slot_of(int64_t minute, int slot, size_t slots)
{
    const int64_t i = slot_number(minute, slot) % (int64_t)slots;
    return (size_t)(i < 0 ? i + (int64_t)slots : i);
}

/* Time went on from one minute to another: if that was in another slot, its mean is known. */
static void close_slot(double *shape, size_t slots, int slot, double gain, int64_t from, int64_t to,
                       double *sum, int32_t *n)
{
    if (slot_number(from, slot) == slot_number(to, slot))
        return;
    if (*n > 0) {
        double *mean = &shape[slot_of(from, slot, slots)];
        *mean += *mean > 0 ? gain * (*sum / *n - *mean) : *sum / *n;
    }
    *sum = 0;
    *n = 0;
}

/* Each time of day keeps two days apart: what one of them has shown may have been an attack. */
static void close_held(struct autoscale_adaptive_memory *m, int64_t to)
{
    if (slot_number(m->minute, DAY_SLOT) == slot_number(to, DAY_SLOT))
        return;
    if (m->held_n > 0) {
        double *held = &m->held[2 * slot_of(m->minute, DAY_SLOT, AUTOSCALE_ADAPTIVE_DAY)];
        held[1] = held[0];
        held[0] = m->held_sum / m->held_n;
    }
    m->held_sum = 0;
    m->held_n = 0;
}

static void forget_held(struct autoscale_adaptive_memory *m)
{
    memset(m->held, 0, sizeof m->held);
    m->held_sum = 0;
    m->held_n = 0;
}

static void forget_minutes(struct autoscale_adaptive_memory *m)
{
    for (int i = 0; i < RING; i++)
        m->load[i] = m->forecast[i] = -1;
    memset(m->signal, 0, sizeof m->signal);
    m->hot_since = m->same_since = m->grown = 0;
    m->serving = m->hot_serving = m->same_least = m->same_most = 0;
    m->cpu_pct = m->grown_load = -1;
}

/* Moves on to a minute; those that nobody measured are unknown. */
static void enter(struct autoscale_adaptive_memory *m, int64_t minute)
{
    if (m->begun == 0 || minute - m->minute >= RING || minute < m->minute)
        forget_minutes(m);
    else
        for (int64_t t = m->minute + 1; t <= minute; t++) {
            m->load[adaptive_at(t)] = m->forecast[adaptive_at(t)] = -1;
            memset(&m->signal[adaptive_at(t) * SIGNALS], 0, SIGNALS * sizeof *m->signal);
        }
    if (minute < m->minute) /* one day must not count as two */
        forget_held(m);
    if (m->begun != 0) {
        close_held(m, minute);
        close_slot(m->day, AUTOSCALE_ADAPTIVE_DAY, DAY_SLOT, day_gain, m->minute, minute,
                   &m->day_sum, &m->day_n);
        close_slot(m->week, AUTOSCALE_ADAPTIVE_WEEK, WEEK_SLOT, week_gain, m->minute, minute,
                   &m->week_sum, &m->week_n);
    }
    m->begun = 1;
    m->minute = minute;
}

/* --- load ---------------------------------------------------------------------------- */

static void watch(const struct autoscale_adaptive *p, struct autoscale_adaptive_memory *m,
                  double cpu, int serving)
{
    /* Exactly: a metric that lives, moves. */
    if (!(cpu >= m->cpu_pct && cpu <= m->cpu_pct)) {
        m->cpu_pct = cpu;
        m->same_since = m->minute;
        m->same_least = m->same_most = serving;
    }
    m->same_least = serving < m->same_least ? serving : m->same_least;
    m->same_most = serving > m->same_most ? serving : m->same_most;

    if (cpu < p->saturated_pct) {
        m->hot_serving = 0;
    } else if (m->hot_serving == 0) {
        m->hot_since = m->minute;
        m->hot_serving = serving;
    }
}

/* Members that have just come are busy with starting: the mean CPU rises, the load does not. */
static double without_warm_up(struct autoscale_adaptive_memory *m, double load, double cpu,
                              int serving)
{
    if (m->serving > 0 && serving > m->serving) {
        m->grown = m->minute;
        m->grown_load = highest(m, m->minute - 1 - BEFORE_GROWTH, m->minute - 1);
    }
    const bool warming = m->grown_load > 0 && m->minute - m->grown < WARM_UP;
    /* When the fleet is short whatever the reason, nothing is explained away. */
    if (!warming || cpu >= 85 || load <= m->grown_load * warm_up_load)
        return load;
    return m->grown_load * warm_up_load;
}

static double measured(const struct autoscale_adaptive *p, struct autoscale_adaptive_memory *m,
                       const struct autoscale_sample *s, int serving)
{
    const bool own = !isnan(s->load);
    if (serving <= 0 || (isnan(s->cpu_pct) && !own))
        return -1;
    double load = s->load;
    if (!own) {
        load = s->cpu_pct / 100 * serving;
        if (s->cpu_pct >= 99.95)
            load *= hidden_load;
        load = without_warm_up(m, load, s->cpu_pct, serving);
    }
    if (own) { /* CPU does not matter then */
        m->cpu_pct = -1;
        m->hot_serving = 0;
    } else {
        watch(p, m, s->cpu_pct, serving);
    }
    m->serving = serving;
    return load;
}

/* --- signals ------------------------------------------------------------------------- */

/* By how much a straight line through the last minutes would raise it until then. */
static double trend(const struct autoscale_adaptive_memory *m, int ahead)
{
    double slope = 0;
    for (int i = 0; i < SLOPE; i++) {
        const double load = load_at(m, m->minute - i);
        if (load < 0)
            return 0;
        slope += ((SLOPE - 1) / 2.0 - i) * load; /* weights sum to 0 */
    }
    slope /= SLOPE * (SLOPE * SLOPE - 1) / 12.0;
    const double now = load_at(m, m->minute);
    if (!(slope > 0 && now > 0))
        return 0;
    return capped(log_ratio(1 + slope * ahead / now), 0, signal_most);
}

/* How much higher than now it was, the days before, at what comes next. */
static double season(const double *shape, size_t slots, int slot, int64_t minute, int ahead)
{
    const size_t here = slot_of(minute, slot, slots);
    const double last = shape[(here + slots - 1) % slots], now = (shape[here] + last) / 2;
    double most = 0;
    if (!(shape[here] > 0 && last > 0))
        return 0;
    for (int i = 1; i <= (ahead + slot) / slot; i++) {
        const double next = shape[(here + (size_t)i) % slots];
        most = next > most ? next : most;
    }
    return most > now ? capped(log_ratio(most / now), 0, signal_most) : 0;
}

double adaptive_usual(const struct autoscale_adaptive_memory *m)
{
    const double *held = &m->held[2 * slot_of(m->minute, DAY_SLOT, AUTOSCALE_ADAPTIVE_DAY)];
    const double day = held[0] < held[1] ? held[0] : held[1];
    const double week = m->week[slot_of(m->minute, WEEK_SLOT, AUTOSCALE_ADAPTIVE_WEEK)];
    return week > 0 && week < day ? week : day;
}

/* --- weights ------------------------------------------------------------------------- */

static size_t pair_of(int i, int j)
{
    const int lo = i < j ? i : j, hi = i < j ? j : i;
    return (size_t)(lo * SIGNALS - lo * (lo - 1) / 2 + hi - lo);
}

/* Mean of signal x signal, without what both have in common with every minute. */
static double pair(const struct autoscale_adaptive_memory *m, int i, int j)
{
    return m->pair[pair_of(i, j)] - common * m->mean[i] * m->mean[j];
}

/* What the signals of `ahead` minutes ago foretold, against what came. */
static void learn(struct autoscale_adaptive_memory *m, int ahead)
{
    const int64_t then = m->minute - ahead;
    const double was = load_at(m, then), most = highest(m, then, m->minute);
    if (!(was > 0 && load_at(m, m->minute) >= 0 && most >= 0))
        return;
    const double *signal = &m->signal[adaptive_at(then) * SIGNALS];
    const double came = log_ratio(most / was);
    m->came += forget * (came - m->came);
    for (int i = 0; i < SIGNALS; i++) {
        for (int j = i; j < SIGNALS; j++)
            m->pair[pair_of(i, j)] += forget * (signal[i] * signal[j] - m->pair[pair_of(i, j)]);
        m->rise[i] += forget * (signal[i] * came - m->rise[i]);
        m->mean[i] += forget * (signal[i] - m->mean[i]);
    }
    /* Least squares, never negative, by coordinates: from where it was, so that few rounds do. */
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < SIGNALS; i++) {
            double rest = m->rise[i] - common * m->mean[i] * m->came;
            for (int j = 0; j < SIGNALS; j++)
                if (j != i)
                    rest -= pair(m, i, j) * m->weight[j];
            m->weight[i] = capped(rest / (pair(m, i, i) + ridge), 0, weight_most);
        }
}

static void fold(const struct autoscale_adaptive *p, struct autoscale_adaptive_memory *m,
                 const struct autoscale_sample *s, int serving, int ahead)
{
    enter(m, adaptive_minute(s->at_ms));
    const size_t at = adaptive_at(m->minute);
    const double load = measured(p, m, s, serving);
    double *signal = &m->signal[at * SIGNALS];
    m->load[at] = load;
    if (load > 0) {
        signal[TREND] = trend(m, ahead);
        signal[DAY] = season(m->day, AUTOSCALE_ADAPTIVE_DAY, DAY_SLOT, m->minute, ahead);
        signal[WEEK] = season(m->week, AUTOSCALE_ADAPTIVE_WEEK, WEEK_SLOT, m->minute, ahead);
    }
    double rise = 0;
    for (int i = 0; i < SIGNALS; i++)
        rise += m->weight[i] * signal[i];
    m->forecast[at] = load < 0 ? -1 : load * exp_ratio(capped(rise, 0, rise_most));
    /* Learning comes last: a minute's own load does not weigh its own signals. */
    learn(m, ahead);
    if (load > 0) {
        m->day_sum += load;
        m->day_n++;
        m->week_sum += load;
        m->week_n++;
        if (m->hot_serving == 0) { /* else nobody knows what the load is */
            m->held_sum += load;
            m->held_n++;
        }
    }
}

/* Whose load it is. Those who are silent are taken to be as busy as those who tell: they are in
 * service, and neither their silence nor its end is a change of the load. No more of them can be
 * silent than are wanted. */
static int members_of(const struct autoscale_sample *s, const struct autoscale_view *view)
{
    const int64_t most = s->serving > view->desired ? s->serving : view->desired;
    const int64_t all = (int64_t)s->serving + s->silent, n = all < most ? all : most;
    const int64_t members = s->serving > 0 ? n : view->serving;
    return members > AUTOSCALE_MEMBERS_MOST ? AUTOSCALE_MEMBERS_MOST : (int)members;
}

void adaptive_fold(const struct autoscale_adaptive *p, struct autoscale_adaptive_memory *m,
                   const struct autoscale_view *view)
{
    const int ahead = adaptive_ahead(view);
    size_t first = view->samples;
    if (first == 0)
        return;
    const int64_t newest = adaptive_minute(view->sample[first - 1].at_ms);
    if (m->begun != 0 && newest < m->minute) /* our clock went back */
        enter(m, newest - RING);
    while (first > 0 &&
           (m->begun == 0 || adaptive_minute(view->sample[first - 1].at_ms) > m->minute))
        first--;
    for (size_t i = first; i < view->samples; i++) {
        const struct autoscale_sample *s = &view->sample[i];
        if (i > first && adaptive_minute(s->at_ms) == m->minute)
            continue; /* one a minute */
        fold(p, m, s, members_of(s, view), ahead);
    }
}
