/* Conformance cases of what an Auto Scaling group does around its policies: forecasts, warm
 * pools, zones, instance refresh. */
#include "cli/cases_aws.h"

#include "cli/cases_read.h"
#include "core/aws.h"
#include "core/aws_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_LIMIT = 1000000000, ZONES = 32 };

/* --- predictive scaling ------------------------------------------------------------------ */

static bool may_exceed(struct case_fields *f, bool otherwise)
{
    const json_t *v =
        case_any(f, "max_behavior|max_capacity_breach_behavior|breach_behavior|max_breach|"
                    "may_exceed_max|increase_max|MaxCapacityBreachBehavior");
    const char *word = json_string_value(v);
    if (v == NULL || json_is_null(v))
        return otherwise;
    if (json_is_true(v) || case_is(word, "increasemaxcapacity|increase_max_capacity|increase"))
        return true;
    if (!json_is_false(v) && !case_is(word, "honormaxcapacity|honor_max_capacity|honor"))
        case_differs(f, "no behavior at the maximum \"%.60s\"", word == NULL ? "?" : word);
    return false;
}

static bool forecast_only(struct case_fields *f)
{
    const char *mode = case_text_or(f, "mode|Mode", "ForecastAndScale");
    if (!case_is(mode, "forecastonly|forecast_only|forecastandscale|forecast_and_scale"))
        case_differs(f, "no mode \"%.60s\"", mode);
    return case_is(mode, "forecastonly|forecast_only");
}

/* A number is the capacity, or the effective maximum: that alone when the case has no actual
 * capacity or its name says so, and either when it has a buffer, since no case need say which. */
static void check_number(struct case_fields *f, const json_t *want, bool actual, int capacity,
                         const struct autoscale_forecast *p)
{
    const char *name = json_string_value(json_object_get(f->of, "name"));
    const int highest = autoscale_forecast_max(p);
    const bool is_max = !actual || case_mentions(name, "effective") ||
                        (p->buffer_pct > 0 && p->may_exceed_max && json_is_number(want) &&
                         json_number_value(want) == highest);
    case_same(f, is_max ? "effective maximum" : "expect", want, is_max ? highest : capacity);
}

static void check_forecast(struct case_fields *f, const struct autoscale_forecast *p, bool actual,
                           int dynamic)
{
    const json_t *max = case_any(f, "effective_max|expect_max|expect_effective_max");
    const json_t *want = max == NULL ? case_need(f, "expect") : case_any(f, "expect");
    const int scaled = autoscale_forecast_capacity(p);
    const int got = dynamic > scaled ? autoscale_within(dynamic, p->min, p->max) : scaled;
    if (max != NULL)
        case_same(f, "effective maximum", max, autoscale_forecast_max(p));
    if (want == NULL)
        return;
    if (!json_is_object(want)) {
        check_number(f, want, actual, got, p);
        return;
    }
    struct case_fields e = case_inside(want, "expect", f->diff);
    const json_t *capacity = case_any(&e, "capacity|desired|instances");
    const json_t *inner = case_any(&e, "effective_max|max|effective_max_capacity|max_capacity");
    if (capacity != NULL && actual)
        case_same(&e, "capacity", capacity, got);
    if (inner != NULL)
        case_same(&e, "effective_max", inner, autoscale_forecast_max(p));
    if ((capacity != NULL && !actual) || (capacity == NULL && inner == NULL))
        case_differs(&e, "asks for no capacity that follows from the case");
    case_leftover(&e);
}

void case_predictive(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const json_t *actual = case_any(&f, "actual|actual_capacity|current|capacity");
    const double buffer = case_number_or(
        &f, "buffer_pct|buffer|max_capacity_buffer|max_capacity_buffer_pct|MaxCapacityBuffer", -1);
    struct autoscale_forecast p = {
        .predicted = case_int(&f, "predicted|predicted_capacity|forecast"),
        .min = case_int_or(&f, "min|min_size", 0),
        .max = case_int_or(&f, "max|max_size|max_capacity", NO_LIMIT),
        .forecast_only = forecast_only(&f),
        .buffer_pct = buffer > 0 ? buffer : 0,
    };
    /* A buffer is only allowed where the maximum may be exceeded. */
    p.may_exceed_max = may_exceed(&f, buffer >= 0);
    if (actual != NULL && !json_is_number(actual))
        case_differs(&f, "field \"actual\" is no number");
    if (json_is_number(actual))
        p.actual = case_whole(&f, "actual", json_number_value(actual));
    const int dynamic =
        case_int_or(&f, "dynamic|dynamic_capacity|target_tracking|tracking|reactive", 0);
    check_forecast(&f, &p, actual != NULL || dynamic > 0, dynamic);
    case_leftover(&f);
}

/* --- sizes --------------------------------------------------------------------------------- */

void case_warm_pool(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const int max = case_int(&f, "max|max_capacity|max_size");
    const int desired = case_int(&f, "desired|desired_capacity");
    const int prepared = case_int_or(
        &f,
        "max_prepared|max_prepared_capacity|max_group_prepared_capacity|MaxGroupPreparedCapacity",
        -1);
    const int min = case_int_or(
        &f, "min_size|min|min_pool|min_pool_size|min_warm|min_warm_pool_size|MinSize", -1);
    case_expect(&f, "size|warm_pool|instances|pool",
                autoscale_warm_pool(max, desired, prepared, min));
    case_leftover(&f);
}

void case_rebalance_limit(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    const int max = case_int(&f, "max|max_capacity|max_size");
    case_expect(&f, "limit|max|capacity", autoscale_rebalance_limit(max));
    case_leftover(&f);
}

/* --- zones ----------------------------------------------------------------------------------- */

struct zones {
    const char *name[ZONES];
    int before[ZONES], after[ZONES], protect[ZONES];
    bool closed[ZONES];
    size_t n;
};

static size_t zone_of(const struct zones *z, const char *name)
{
    for (size_t i = 0; i < z->n; i++)
        if (name != NULL && strcmp(z->name[i], name) == 0)
            return i;
    return z->n;
}

static void read_zones(struct case_fields *f, struct zones *z)
{
    const json_t *of = case_need(f, "zones|availability_zones");
    const char *name = NULL;
    json_t *v = NULL;
    *z = (struct zones){ .n = 0 };
    if (of != NULL && (!json_is_object(of) || json_object_size(of) > ZONES)) {
        case_differs(f, "zones: want an object of at most %d counts", ZONES);
        return;
    }
    json_object_foreach((json_t *)of, name, v)
    {
        if (!json_is_integer(v))
            case_differs(f, "zones: \"%.40s\" is no whole number", name);
        z->name[z->n] = name;
        z->before[z->n] = z->after[z->n] = case_whole(f, "zones", json_number_value(v));
        z->n++;
    }
}

/* Zones by name: in a list, alone, or as an object of true or of counts. */
static void mark_zones(struct case_fields *f, const char *names, struct zones *z, bool closes)
{
    const json_t *v = case_any(f, names);
    const char *name = NULL;
    json_t *one = NULL;
    size_t i = 0;
    bool ok =
        v == NULL || json_is_null(v) || json_is_array(v) || json_is_object(v) || json_is_string(v);
    if (json_is_string(v)) {
        i = zone_of(z, json_string_value(v));
        ok = i < z->n;
        if (ok)
            z->closed[i] = closes, z->protect[i] = closes ? 0 : z->before[i];
    }
    json_array_foreach((json_t *)v, i, one)
    {
        const size_t at = zone_of(z, json_string_value(one));
        ok = ok && at < z->n;
        if (at < z->n)
            z->closed[at] = closes, z->protect[at] = closes ? 0 : z->before[at];
    }
    json_object_foreach((json_t *)v, name, one)
    {
        const size_t at = zone_of(z, name);
        ok = ok && at < z->n && (json_is_integer(one) || json_is_boolean(one));
        if (at == z->n || json_is_false(one))
            continue;
        z->closed[at] = closes;
        z->protect[at] = closes                 ? 0
                         : json_is_integer(one) ? case_whole(f, names, json_number_value(one))
                                                : z->before[at];
    }
    if (!ok)
        case_differs(f, "field \"%.*s\" names no zones of the case", (int)strcspn(names, "|"),
                     names);
}

/* Ties are free (AWS takes any): the outcome is right when each zone that got or gave one could
 * have been next at the last moment, and the sum is. */
static bool right_outcome(const struct zones *z, const int *want, bool launch)
{
    int sum = 0, computed = 0;
    for (size_t i = 0; i < z->n; i++) {
        sum += want[i] - z->before[i];
        computed += z->after[i] - z->before[i];
        const int moved = launch ? want[i] - z->before[i] : z->before[i] - want[i];
        if (moved < 0 || (moved > 0 && launch && z->closed[i]) || want[i] < 0 ||
            (moved > 0 && !launch && want[i] < z->protect[i]))
            return false;
        for (size_t k = 0; k < z->n && moved > 0; k++) {
            const bool could = launch ? !z->closed[k] : want[k] > z->protect[k];
            if (could && (launch ? want[i] - 1 > want[k] : want[i] + 1 < want[k]))
                return false;
        }
    }
    return sum == computed;
}

static void check_zones(struct case_fields *f, const struct zones *z, bool launch)
{
    const json_t *expect = case_need(f, "expect");
    int want[ZONES];
    memcpy(want, z->before, sizeof want);
    bool understood = true;
    size_t i = 0, found = 0;
    const char *name = NULL;
    json_t *v = NULL;
    if (json_is_string(expect)) { /* the one zone */
        i = zone_of(z, json_string_value(expect));
        understood = i < z->n;
        if (understood)
            want[i] += launch ? 1 : -1;
    } else if (json_is_array(expect)) { /* one zone after the other */
        json_array_foreach((json_t *)expect, i, v)
        {
            const size_t at = zone_of(z, json_string_value(v));
            understood = understood && at < z->n;
            if (at < z->n)
                want[at] += launch ? 1 : -1;
        }
    } else if (json_is_object(expect)) {
        json_object_foreach((json_t *)expect, name, v)
        {
            const size_t at = zone_of(z, name);
            understood = understood && at < z->n && json_is_integer(v);
            if (at < z->n)
                want[at] = case_whole(f, "expect", json_number_value(v));
            found++;
        }
        understood = understood && found == z->n;
    } else {
        understood = false;
    }
    if (expect == NULL)
        return;
    if (!understood) {
        case_differs(f, "expect: neither counts of the zones nor names of them");
        return;
    }
    if (right_outcome(z, want, launch))
        return;
    for (i = 0; i < z->n; i++)
        if (want[i] != z->after[i])
            case_differs(f, "expect: zone %.40s: computed %d, want %d", z->name[i], z->after[i],
                         want[i]);
}

void case_zone_launch(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    struct zones z;
    read_zones(&f, &z);
    const int add = case_int_or(&f, "add|launch|count", 1);
    mark_zones(&f,
               "failed|failing|fails|unavailable|closed|unhealthy|no_capacity|full|launch_fails",
               &z, true);
    (void)autoscale_zones_launch(z.after, z.n, z.closed, add);
    check_zones(&f, &z, true);
    case_leftover(&f);
}

void case_zone_terminate(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    struct zones z;
    read_zones(&f, &z);
    const int remove = case_int_or(&f, "remove|terminate|count", 1);
    mark_zones(&f, "protected|protect|scale_in_protected", &z, false);
    (void)autoscale_zones_terminate(z.after, z.n, z.protect, remove);
    check_zones(&f, &z, false);
    case_leftover(&f);
}

/* --- instance refresh ------------------------------------------------------------------------ */

static size_t read_checkpoints(struct case_fields *f, double pct[AUTOSCALE_CHECKPOINTS])
{
    const json_t *list = case_any(f, "checkpoints|checkpoint_percentages|CheckpointPercentages");
    const size_t n = json_array_size(list);
    if (list == NULL || json_is_null(list))
        return 0;
    if (!json_is_array(list) || n > AUTOSCALE_CHECKPOINTS) {
        case_differs(f, "checkpoints: want at most %d in an array", AUTOSCALE_CHECKPOINTS);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        pct[i] = json_number_value(v);
        if (!json_is_number(v) || pct[i] < 0 || pct[i] > 100 || (i > 0 && pct[i] <= pct[i - 1]))
            case_differs(f, "checkpoints: entry %zu is no per cent above the one before", i + 1);
    }
    return n;
}

static void check_batches(struct case_fields *f, const json_t *want,
                          const struct autoscale_batch *got, size_t n)
{
    if (!json_is_array(want)) {
        case_differs(f, "expect: no array of batches");
        return;
    }
    if (json_array_size(want) != n)
        case_differs(f, "expect: computed %zu batches, want %zu", n, json_array_size(want));
    for (size_t i = 0; i < n && i < json_array_size(want); i++) {
        char at[32];
        snprintf(at, sizeof at, "batch %zu", i + 1);
        struct case_fields b = case_inside(json_array_get(want, i), at, f->diff);
        case_same(&b, "at_min", case_need(&b, "at_min|minute|t_min"), got[i].at_min);
        case_same(&b, "replace", case_need(&b, "replace|replaced|instances"), got[i].replace);
        case_leftover(&b);
    }
}

void case_refresh_timeline(const json_t *one, struct pr_buf *diff)
{
    enum { WARMUP_MIN = 0, MIN_HEALTHY_PCT = 90 };
    struct case_fields f = case_open(one, diff);
    struct autoscale_refresh r = {
        .instances = case_int(&f, "instances|size|capacity|desired"),
        .min_healthy_pct =
            case_number_or(&f, "min_healthy_pct|min_healthy|MinHealthyPercentage", MIN_HEALTHY_PCT),
        .warmup_min = case_number_or(&f, "warmup_min|instance_warmup_min", WARMUP_MIN),
        .delay_min = case_number_or(&f, "delay_min|checkpoint_delay_min", 0),
    };
    r.checkpoints = read_checkpoints(&f, r.checkpoint_pct);
    if (r.instances < 0 || r.instances > AUTOSCALE_BATCHES || !(r.min_healthy_pct >= 0) ||
        r.min_healthy_pct > 100) {
        case_differs(&f, "instances are not from 0 to %d, or no per cent is healthy",
                     AUTOSCALE_BATCHES);
        return;
    }
    struct autoscale_batch *batch = calloc(AUTOSCALE_BATCHES, sizeof *batch);
    if (batch == NULL) {
        case_differs(&f, "out of memory");
        return;
    }
    double done = 0;
    const size_t n = autoscale_refresh_timeline(&r, batch, &done);
    const json_t *expect = case_need(&f, "expect");
    const json_t *end = case_any(&f, "done_min|done_at_min|end_min");
    if (json_is_object(expect)) {
        struct case_fields e = case_inside(expect, "expect", diff);
        check_batches(&e, case_need(&e, "timeline|batches|steps"), batch, n);
        const json_t *inner = case_any(&e, "done_min|done_at_min|end_min");
        if (inner != NULL)
            case_same(&e, "done_min", inner, done);
        case_leftover(&e);
    } else if (expect != NULL) {
        check_batches(&f, expect, batch, n);
    }
    if (end != NULL)
        case_same(&f, "done_min", end, done);
    free(batch);
    case_leftover(&f);
}

void case_refresh_checkpoint(const json_t *one, struct pr_buf *diff)
{
    struct case_fields f = case_open(one, diff);
    double pct[AUTOSCALE_CHECKPOINTS];
    const int instances = case_int(&f, "instances|size|capacity|desired");
    const int replaced = case_int(&f, "replaced");
    const size_t n = read_checkpoints(&f, pct);
    const double got = autoscale_refresh_checkpoint(pct, n, instances, replaced);
    const json_t *want = json_object_get(one, "expect");
    if (got >= 0 || want == NULL)
        case_expect(&f, "checkpoint|notify", got);
    else if (case_need(&f, "expect") != NULL && !json_is_null(want) && !json_is_false(want) &&
             !case_is(json_string_value(want), "none|no|nothing"))
        case_differs(&f, "expect: no checkpoint is reached");
    case_leftover(&f);
}
