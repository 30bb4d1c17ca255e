#include "core/merge.h"

#include "core/redis_cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE = AUTOSCALE_MINUTE_MS };
#define MOST 1e15 /* bits a second, messages: nobody has more, and sums of it stay finite */

struct entry { /* a reading that counts, its values made clean */
    const struct autoscale_reading *is;
    double value[AUTOSCALE_METRICS];
};

struct figures { /* of one member, or of the whole fleet by itself */
    double value[AUTOSCALE_METRICS];
};

struct autoscale_reading autoscale_reading_unknown(void)
{
    struct autoscale_reading r = { .member = "", .zone = "", .source = "", .why = "" };
    for (size_t m = 0; m < AUTOSCALE_METRICS; m++)
        r.value[m] = NAN;
    r.data_bytes = NAN;
    return r;
}

const char *autoscale_oddity_name(enum autoscale_oddity o)
{
    static const char *const name[AUTOSCALE_ODDITIES] = {
        [AUTOSCALE_ODD_LATE] = "late",           [AUTOSCALE_ODD_FUTURE] = "future",
        [AUTOSCALE_ODD_DUPLICATE] = "duplicate", [AUTOSCALE_ODD_UNORDERED] = "unordered",
        [AUTOSCALE_ODD_NEGATIVE] = "negative",   [AUTOSCALE_ODD_TOO_LARGE] = "too_large",
        [AUTOSCALE_ODD_EMPTY] = "empty",         [AUTOSCALE_ODD_STRANGER] = "stranger",
    };
    return (unsigned)o < AUTOSCALE_ODDITIES ? name[o] : "?";
}

/* --- which readings count ------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Members that are expected, sorted, each once. */
static const char **sorted_members(const struct autoscale_merge *in, struct pr_arena *scratch,
                                   size_t *n)
{
    const char **list = pr_arena_alloc(scratch, (in->members + 1) * sizeof(const char *));
    *n = 0;
    if (list == NULL || in->members == 0)
        return list;
    memcpy(list, in->expected, in->members * sizeof(const char *));
    qsort(list, in->members, sizeof(const char *), by_name);
    for (size_t i = 0; i < in->members; i++)
        if (i == 0 || strcmp(list[i], list[*n - 1]) != 0)
            list[(*n)++] = list[i];
    return list;
}

static double clean(enum autoscale_metric m, double v, struct autoscale_merged *out)
{
    const bool share = m == AUTOSCALE_CPU || m == AUTOSCALE_MEMORY;
    if (isnan(v))
        return NAN;
    if (v < 0) {
        out->odd[AUTOSCALE_ODD_NEGATIVE]++;
        return NAN;
    }
    if (v > MOST || (share && v > AUTOSCALE_CPU_NOISE_PCT)) {
        out->odd[AUTOSCALE_ODD_TOO_LARGE]++;
        return NAN;
    }
    return share && v > 100 ? 100 : v;
}

static bool in_minute(int64_t t, int64_t end_ms)
{
    return t > end_ms - MINUTE && t <= end_ms;
}

/* Fills e when the reading is of this minute and counts. */
static bool take(const struct autoscale_merge *in, const struct autoscale_reading *r,
                 const char *const *expected, size_t n, struct entry *e,
                 struct autoscale_merged *out)
{
    bool known = false;
    if (r->at_ms > r->received_ms + AUTOSCALE_AHEAD_MS) {
        out->odd[AUTOSCALE_ODD_FUTURE] += in_minute(r->received_ms, in->end_ms);
        return false;
    }
    if (!in_minute(r->at_ms, in->end_ms))
        return false;
    if (r->received_ms > in->end_ms + AUTOSCALE_LATE_MS) {
        out->odd[AUTOSCALE_ODD_LATE]++;
        return false;
    }
    if (r->member[0] != '\0' && n > 0 &&
        bsearch(&r->member, expected, n, sizeof(const char *), by_name) == NULL) {
        out->odd[AUTOSCALE_ODD_STRANGER]++;
        return false;
    }
    e->is = r;
    for (size_t m = 0; m < AUTOSCALE_METRICS; m++) {
        e->value[m] = clean((enum autoscale_metric)m, r->value[m], out);
        known = known || !isnan(e->value[m]);
    }
    out->odd[AUTOSCALE_ODD_EMPTY] += !known;
    return known;
}

/* --- in an order that does not depend on how they came -------------------- */

static int order_ms(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* What is unknown comes last. */
static int order_value(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return a < b ? -1 : a > b;
}

static int by_member(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int o = strcmp(x->is->member, y->is->member);
    if (o == 0)
        o = strcmp(x->is->source, y->is->source);
    if (o == 0)
        o = order_ms(x->is->at_ms, y->is->at_ms);
    if (o == 0)
        o = order_ms(x->is->received_ms, y->is->received_ms);
    for (size_t m = 0; o == 0 && m < AUTOSCALE_METRICS; m++)
        o = order_value(x->value[m], y->value[m]);
    return o;
}

static bool same_source(const struct entry *a, const struct entry *b)
{
    return strcmp(a->is->member, b->is->member) == 0 && strcmp(a->is->source, b->is->source) == 0;
}

/* Drops what was said twice; returns how many are left. */
static size_t drop_duplicates(struct entry *e, size_t n, struct autoscale_merged *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && same_source(&e[i], &e[kept - 1]) && e[i].is->at_ms == e[kept - 1].is->at_ms)
            out->odd[AUTOSCALE_ODD_DUPLICATE]++;
        else
            e[kept++] = e[i];
    }
    return kept;
}

/* Counts those that came after one that was measured later. */
static void count_unordered(const struct entry *e, size_t n, struct autoscale_merged *out)
{
    int64_t earliest = INT64_MAX; /* arrival of any later one of the same source */
    for (size_t i = n; i-- > 0;) {
        if (i + 1 < n && !same_source(&e[i], &e[i + 1]))
            earliest = INT64_MAX;
        if (e[i].is->received_ms > earliest)
            out->odd[AUTOSCALE_ODD_UNORDERED]++;
        else
            earliest = e[i].is->received_ms;
    }
}

/* --- one member, one fleet ------------------------------------------------ */

static struct figures of_member(const struct entry *e, size_t n)
{
    struct figures f;
    for (size_t m = 0; m < AUTOSCALE_METRICS; m++) {
        double sum = 0, last = NAN;
        int64_t last_ms = INT64_MIN;
        size_t known = 0;
        for (size_t i = 0; i < n; i++) {
            if (isnan(e[i].value[m]))
                continue;
            sum += e[i].value[m];
            known++;
            if (e[i].is->at_ms >= last_ms) {
                last = e[i].value[m];
                last_ms = e[i].is->at_ms;
            }
        }
        f.value[m] = known == 0 ? NAN : m == AUTOSCALE_BACKLOG ? last : sum / (double)known;
    }
    return f;
}

struct fleet {            /* sums over its members */
    struct figures whole; /* what was said of all of it at once */
    double sum[AUTOSCALE_METRICS];
    size_t known[AUTOSCALE_METRICS], reporting;
};

/* Behind the last entry of the member of entry i. */
static size_t member_end(const struct entry *e, size_t n, size_t i)
{
    size_t next = i + 1;
    while (next < n && strcmp(e[i].is->member, e[next].is->member) == 0)
        next++;
    return next;
}

static void add_up(const struct entry *e, size_t n, struct fleet *f)
{
    f->whole = of_member(e, 0);
    for (size_t i = 0, next; i < n; i = next) {
        next = member_end(e, n, i);
        const struct figures one = of_member(e + i, next - i);
        if (e[i].is->member[0] == '\0') {
            f->whole = one;
            continue;
        }
        f->reporting++;
        for (size_t m = 0; m < AUTOSCALE_METRICS; m++)
            if (!isnan(one.value[m])) {
                f->sum[m] += one.value[m];
                f->known[m]++;
            }
    }
}

/* members: how many there are, silent ones included. */
static double figure(const struct fleet *f, enum autoscale_metric m, size_t members)
{
    if (!isnan(f->whole.value[m]) || f->known[m] == 0)
        return f->whole.value[m];
    const double mean = f->sum[m] / (double)f->known[m];
    const bool summed = m == AUTOSCALE_BACKLOG || m == AUTOSCALE_LOAD;
    return summed ? mean * (double)members : mean;
}

static void make_sample(const struct fleet *f, size_t expected, struct autoscale_sample *s)
{
    const size_t members = expected > 0 ? expected : f->reporting;
    const size_t cpu = f->known[AUTOSCALE_CPU];
    const size_t serving = cpu > 0 ? cpu : f->reporting;
    s->cpu_pct = figure(f, AUTOSCALE_CPU, members);
    s->memory_pct = figure(f, AUTOSCALE_MEMORY, members);
    s->network_bps = figure(f, AUTOSCALE_NETWORK, members);
    s->backlog = figure(f, AUTOSCALE_BACKLOG, members);
    s->load = figure(f, AUTOSCALE_LOAD, members);
    s->serving = (int)serving;
    /* Where nobody reports singly, nobody is silent. */
    s->silent = f->reporting == 0 ? 0 : (int)(members - serving);
}

struct gathered {
    struct entry *e;   /* [n], sorted, nothing twice */
    size_t n, members; /* members that are expected, each once */
};

static enum pr_code gather(const struct autoscale_merge *in, struct pr_arena *scratch,
                           struct gathered *g, struct autoscale_merged *out, struct pr_err *err)
{
    if (in->end_ms <= 0 || in->end_ms % MINUTE != 0)
        return pr_fail(err, PR_EINVAL, "%lld ms is no end of a minute", (long long)in->end_ms);
    if (in->now_ms < in->end_ms)
        return pr_fail(err, PR_ECONFLICT, "the minute that ends at %lld ms is not over: it is %lld",
                       (long long)in->end_ms, (long long)in->now_ms);
    const char **expected = sorted_members(in, scratch, &g->members);
    g->e = pr_arena_alloc(scratch, (in->readings + 1) * sizeof *g->e);
    if (expected == NULL || g->e == NULL)
        return pr_fail(err, PR_ENOMEM, "merging %zu readings of %zu members", in->readings,
                       in->members);
    g->n = 0;
    for (size_t i = 0; i < in->readings; i++)
        g->n += take(in, &in->reading[i], expected, g->members, &g->e[g->n], out);
    if (g->n > 0)
        qsort(g->e, g->n, sizeof *g->e, by_member);
    g->n = drop_duplicates(g->e, g->n, out);
    return PR_OK;
}

enum pr_code autoscale_merge(const struct autoscale_merge *in, struct pr_arena *scratch,
                             struct autoscale_merged *out, struct pr_err *err)
{
    struct gathered g = { .n = 0 };
    struct fleet fleet = { .reporting = 0 };
    *out = (struct autoscale_merged){ .sample = { .at_ms = in->end_ms } };
    const enum pr_code rc = gather(in, scratch, &g, out, err);
    if (rc != PR_OK)
        return rc;
    count_unordered(g.e, g.n, out);
    add_up(g.e, g.n, &fleet);
    make_sample(&fleet, g.members, &out->sample);
    out->taken = g.n;
    out->measured = g.n > 0;
    return PR_OK;
}

static struct autoscale_member as_member(const struct entry *e, size_t n)
{
    const struct figures f = of_member(e, n);
    struct autoscale_member m = { .id = e[0].is->member,
                                  .cpu_pct = f.value[AUTOSCALE_CPU],
                                  .memory_pct = f.value[AUTOSCALE_MEMORY],
                                  .network_bps = f.value[AUTOSCALE_NETWORK],
                                  .metric_window_ms = MINUTE };
    for (size_t i = 0; i < n; i++)
        if (e[i].is->at_ms > m.metric_at_ms)
            m.metric_at_ms = e[i].is->at_ms;
    return m;
}

enum pr_code autoscale_merge_members(const struct autoscale_merge *in, struct pr_arena *arena,
                                     struct autoscale_member **member, size_t *n,
                                     struct pr_err *err)
{
    struct gathered g = { .n = 0 };
    struct autoscale_merged counted = { .measured = false };
    const enum pr_code rc = gather(in, arena, &g, &counted, err);
    *n = 0;
    if (rc != PR_OK)
        return rc;
    *member = pr_arena_alloc(arena, (g.n + 1) * sizeof **member);
    if (*member == NULL)
        return pr_fail(err, PR_ENOMEM, "members of %zu readings", g.n);
    for (size_t i = 0, next; i < g.n; i = next) {
        next = member_end(g.e, g.n, i);
        if (g.e[i].is->member[0] != '\0')
            (*member)[(*n)++] = as_member(g.e + i, next - i);
    }
    return PR_OK;
}

/* --- when ----------------------------------------------------------------- */

static int64_t minute_at_or_before(int64_t ms)
{
    return ms < 0 ? 0 : ms / MINUTE * MINUTE;
}

struct autoscale_due autoscale_merge_due(int64_t done_ms, int64_t now_ms, int64_t settle_ms)
{
    struct autoscale_due due = { .first_ms = MINUTE, .last_ms = 0 };
    if (done_ms > 0 && now_ms < done_ms)
        return due;
    const int64_t last = minute_at_or_before(now_ms - settle_ms);
    const int64_t open = minute_at_or_before(now_ms - AUTOSCALE_LATE_MS - 1) + MINUTE;
    const int64_t undone = done_ms > 0 && done_ms + MINUTE < open ? done_ms + MINUTE : open;
    const int64_t oldest = last - (AUTOSCALE_CATCH_UP - 1) * (int64_t)MINUTE;
    due.first_ms = undone > oldest ? undone : oldest;
    due.last_ms = last;
    return due;
}
