/* What becomes of a proposal. Rows carry the facts of Kubernetes' horizontal controller tests
 * (2026): stabilization, rates, min and max, the log of changes, whole steps. */
#include "t.h"

#include "core/hpa.h"

#include <string.h>

enum { S = 1000, ENTRIES = 8 };

static struct autoscale_hpa_rules rules(int pods, int pods_s, int percent, int percent_s)
{
    struct autoscale_hpa_rules r = { .select = AUTOSCALE_HPA_MAX };
    if (pods != 0)
        r.rule[r.rules++] = (struct autoscale_hpa_rule){ AUTOSCALE_HPA_PODS, pods, pods_s };
    if (percent != 0)
        r.rule[r.rules++] =
            (struct autoscale_hpa_rule){ AUTOSCALE_HPA_PERCENT, percent, percent_s };
    return r;
}

struct log {
    struct autoscale_hpa_entry entry[ENTRIES];
    struct autoscale_hpa_log log;
};

/* n changes in the middles of equal parts of the last two minutes, at whole seconds. */
static struct autoscale_hpa_log *spread(struct log *l, const int *change)
{
    int n = 0;
    while (n < ENTRIES && change[n] != 0)
        n++;
    for (int i = 0; i < n; i++)
        l->entry[i] = (struct autoscale_hpa_entry){
            .at_ms = -(int64_t)(120.0 - 120.0 / n * (i + 1) + 120.0 / n / 2) * S,
            .value = change[i],
        };
    l->log = (struct autoscale_hpa_log){ l->entry, n, ENTRIES };
    return &l->log;
}

static void keeps_the_rates(void **state)
{
    (void)state;
    enum {
        WITHIN = AUTOSCALE_HPA_WITHIN_RANGE,
        FEW = AUTOSCALE_HPA_TOO_FEW,
        MANY = AUTOSCALE_HPA_TOO_MANY,
        UP = AUTOSCALE_HPA_UP_LIMIT,
        DOWN = AUTOSCALE_HPA_DOWN_LIMIT
    };
    static const struct {
        int current, desired, min, max;
        int rule[4]; /* pods, their s, percent, its s: of the direction; 0: the defaults */
        int up[5], down[5];
        int replicas, why;
    } row[] = {
        { 5, 7, 3, 8, { 0 }, { 0 }, { 0 }, 7, WITHIN },
        { 3, 1, 2, 8, { 0 }, { 0 }, { 0 }, 2, FEW },
        { 1, 0, 0, 10, { 0 }, { 0 }, { 0 }, 0, WITHIN },
        { 20, 1000, 1, 10, { 0 }, { 0 }, { 0 }, 10, MANY },
        { 100, 1000, 100, 150, { 0 }, { 0 }, { 0 }, 150, MANY },
        { 3, 1000, 1, 2000, { 0, 0, 1, 60 }, { 0 }, { 0 }, 4, UP }, /* 3.03, up */
        { 10, 50, 1, 1000, { 0 }, { 0 }, { 0 }, 20, UP },
        { 10, 500, 1, 1000, { 100, 60, 100, 60 }, { 0 }, { 0 }, 110, UP },
        { 10, 500, 1, 1000, { 2, 60, 100, 60 }, { 0 }, { 0 }, 20, UP },
        { 10, 50, 1, 1000, { 100, 60 }, { 0 }, { 0 }, 50, WITHIN },
        { 10, 50, 1, 1000, { 10000, 60 }, { 0 }, { 0 }, 50, WITHIN },
        { 10, 50, 1, 1000, { 30, 60 }, { 0 }, { 0 }, 40, UP },
        { 10, 50, 1, 1000, { 0, 0, 200, 60 }, { 0 }, { 0 }, 30, UP },
        { 100, 2, 1, 1000, { 20, 60, 1, 60 }, { 0 }, { 0 }, 80, DOWN },
        { 100, 2, 1, 1000, { 2, 60, 1, 60 }, { 0 }, { 0 }, 98, DOWN },
        { 10, 0, 1, 1000, { 100, 60 }, { 0 }, { 0 }, 1, FEW },
        { 10, 2, 5, 1000, { 0, 0, 100, 60 }, { 0 }, { 0 }, 5, FEW },
        { 10, 2, 1, 1000, { 5, 60 }, { 0 }, { 0 }, 5, DOWN },
        { 10, 5, 1, 1000, { 0, 0, 50, 60 }, { 0 }, { 0 }, 5, WITHIN },
        { 100, 500, 1, 200, { 300, 60 }, { 1, 5, 9 }, { 0 }, 200, MANY },
        { 100, 500, 1, 200, { 0, 0, 10000, 60 }, { 1, 5, 9 }, { 0 }, 200, MANY },
        { 100, 500, 1, 1000, { 5, 120 }, { 1, 5, 9 }, { 0 }, 100, UP }, /* spent already */
        { 100, 500, 1, 1000, { 150, 120 }, { 1, 5, 9 }, { 0 }, 235, UP },
        { 100, 500, 1, 1000, { 0, 0, 200, 120 }, { 1, 5, 9 }, { 0 }, 255, UP },
        { 6, 24, 1, 1000, { 0, 0, 300, 300 }, { 4 }, { 2 }, 16, UP }, /* both directions count */
        { 10, 5, 1, 1000, { 0 }, { 0 }, { 1, 5, 9 }, 5, WITHIN },
        { 100, 0, 1, 1000, { 115, 120 }, { 0 }, { 1, 5, 9 }, 1, FEW },
        { 100, 0, 5, 1000, { 130, 120 }, { 0 }, { 1, 5, 9 }, 5, FEW },
        { 100, 2, 5, 1000, { 0, 0, 100, 120 }, { 0 }, { 1, 5, 9 }, 5, FEW },
        { 100, 2, 1, 1000, { 5, 120 }, { 0 }, { 1, 5, 9 }, 100, DOWN },
        { 100, 0, 1, 1000, { 0, 0, 50, 120 }, { 0 }, { 2, 4, 6 }, 56, DOWN },
        { 10, 1, 1, 1000, { 0, 0, 50, 180 }, { 2 }, { 4 }, 6, DOWN },
        { 100, 0, 1, 1000, { 0, 0, 10, 120 }, { 0 }, { 10, 10, 10 }, 100, DOWN },
        { 10, 5, 1, 1000, { 0, 0, 1000, 120 }, { 0 }, { 10, 10, 10 }, 5, WITHIN }, /* below 0 */
        { 100, 200, 1, 1000, { 1000, 60 }, { 8, 12, 9, 11 }, { 0 }, 200, WITHIN },
        { 100, 200, 1, 1000, { 1000, 120, 100, 60 }, { 8, 12, 9, 11 }, { 0 }, 200, WITHIN },
        { 100, 200, 1, 1000, { 1000, 30, 100, 60 }, { 8, 12, 9, 11 }, { 0 }, 200, WITHIN },
        { 100, 5, 1, 1000, { 1000, 60 }, { 0 }, { 8, 12, 9, 11 }, 5, WITHIN },
        { 100, 5, 1, 1000, { 1000, 120, 100, 60 }, { 0 }, { 8, 12, 9, 11 }, 5, WITHIN },
        { 100, 5, 1, 1000, { 1000, 30, 100, 60 }, { 0 }, { 8, 12, 9, 11 }, 5, WITHIN },
        { 2000000000,
          INT32_MAX,
          1,
          INT32_MAX,
          { 0, 0, 1000, 60 },
          { 0 },
          { 0 },
          INT32_MAX,
          WITHIN },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int *r = row[i].rule;
        const bool set = r[0] != 0 || r[2] != 0;
        const struct autoscale_hpa_rules own = rules(r[0], r[1], r[2], r[3]);
        const struct autoscale_hpa_rules up = set ? own : autoscale_hpa_up_rules();
        const struct autoscale_hpa_rules down = set ? own : autoscale_hpa_down_rules();
        struct log ups, downs;
        enum autoscale_hpa_reason why;
        print_message("%zu\n", i);
        assert_int_equal(
            autoscale_hpa_clamp_rate(
                (struct autoscale_hpa_bounds){ row[i].min, row[i].max, row[i].current },
                row[i].desired, &up, &down, spread(&ups, row[i].up), spread(&downs, row[i].down), 0,
                &why),
            row[i].replicas);
        assert_int_equal(why, row[i].why);
    }
}

static void picks_among_rules(void **state)
{
    (void)state;
    struct autoscale_hpa_rules r = rules(2, 60, 50, 60);
    struct autoscale_hpa_entry entry[1] = { { -60 * S, 7, 0 } };
    struct autoscale_hpa_log none = { entry, 0, 1 }, some = { entry, 1, 1 };
    static const struct {
        enum autoscale_hpa_select select;
        int up_of_1, down_of_5;
    } row[] = { { AUTOSCALE_HPA_MIN, 2, 3 }, /* ceil(1.5); 3 above 2.5 cut to 2 */
                { AUTOSCALE_HPA_MAX, 3, 2 },
                { AUTOSCALE_HPA_DISABLED, 1, 5 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        r.select = row[i].select;
        assert_int_equal(autoscale_hpa_up_limit(1, &none, &none, &r, 0), row[i].up_of_1);
        assert_int_equal(autoscale_hpa_down_limit(5, &none, &none, &r, 0), row[i].down_of_5);
    }
    /* a change counts until its period is over */
    assert_int_equal(autoscale_hpa_changed(&some, 60, 0), 0);
    assert_int_equal(autoscale_hpa_changed(&some, 60, -1), 7);
    r = rules(10, 60, 0, 0);
    assert_int_equal(autoscale_hpa_up_limit(20, &some, &none, &r, -1), 23);
    assert_int_equal(autoscale_hpa_up_limit(20, &some, &none, &r, 0), 30);
    r.rules = 0; /* nothing is allowed by no rule */
    enum autoscale_hpa_reason why;
    assert_int_equal(autoscale_hpa_clamp_rate((struct autoscale_hpa_bounds){ 1, 9, 5 }, 8, &r, &r,
                                              &none, &none, 0, &why),
                     5);
}

static void has_a_rate_of_its_own(void **state)
{
    (void)state;
    static const struct {
        int current, desired, min, max, replicas;
        const char *why;
    } row[] = {
        { 5, 7, 3, 8, 7, "DesiredWithinRange" },    { 3, 1, 2, 8, 2, "TooFewReplicas" },
        { 1, 0, 0, 10, 0, "DesiredWithinRange" },   { 20, 1000, 1, 10, 10, "TooManyReplicas" },
        { 3, 1000, 1, 2000, 6, "ScaleUpLimit" },    { 1, 1000, 1, 2000, 4, "ScaleUpLimit" },
        { 0, 1000, 0, 2000, 4, "ScaleUpLimit" },    { 3, 1000, 1, 6, 6, "TooManyReplicas" },
        { 2, 4, 1, 2000, 4, "DesiredWithinRange" }, { 2, 5, 1, 2000, 4, "ScaleUpLimit" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        enum autoscale_hpa_reason why;
        assert_int_equal(autoscale_hpa_clamp((struct autoscale_hpa_bounds){ row[i].min, row[i].max,
                                                                            row[i].current },
                                             row[i].desired, &why),
                         row[i].replicas);
        assert_string_equal(autoscale_hpa_reason_name(why), row[i].why);
    }
    assert_string_equal(autoscale_hpa_reason_name(AUTOSCALE_HPA_DOWN_LIMIT), "ScaleDownLimit");
}

struct past {
    int value, ago_s;
};

static struct autoscale_hpa_log *logged(struct log *l, const struct past *past)
{
    l->log = (struct autoscale_hpa_log){ l->entry, 0, ENTRIES };
    for (; past->value != 0; past++)
        l->entry[l->log.n++] =
            (struct autoscale_hpa_entry){ -(int64_t)past->ago_s * S, past->value, 0 };
    return &l->log;
}

static void stabilizes(void **state)
{
    (void)state;
    static const struct {
        struct past past[5];
        int desired, replicas, log;
    } down[] = {
        { { { 0, 0 } }, 5, 5, 1 },
        { { { 4, 120 }, { 5, 60 } }, 3, 5, 3 },
        { { { 1, 120 }, { 2, 60 } }, 3, 3, 3 },
        { { { 10, 600 }, { 9, 540 } }, 3, 3, 2 },
        { { { 10, 600 }, { 4, 60 }, { 5, 120 }, { 9, 540 } }, 3, 5, 4 },
        { { { 9, 300 } }, 3, 9, 2 }, /* the window's end is in it */
        { { { 9, 301 } }, 3, 3, 1 },
    };
    struct log l;
    for (size_t i = 0; i < PR_COUNT(down); i++) {
        assert_int_equal(
            autoscale_hpa_stabilize_down(logged(&l, down[i].past), down[i].desired, 300 * S, 0),
            down[i].replicas);
        assert_int_equal(l.log.n, down[i].log);
    }

    static const struct {
        struct past past[5];
        int current, desired, up_s, down_s, replicas, log[6];
    } both[] = {
        { { { 0, 0 } }, 100, 5, 0, 0, 5, { 5 } },
        { { { 4, 120 }, { 5, 60 } }, 100, 3, 0, 180, 5, { 4, 5, 3 } },
        { { { 4, 120 }, { 5, 60 } }, 1, 7, 300, 0, 4, { 4, 5, 7 } },
        { { { 1, 120 }, { 2, 60 } }, 100, 3, 300, 0, 3, { 1, 2, 3 } },
        { { { 4, 120 }, { 5, 60 } }, 1, 3, 0, 300, 3, { 4, 5, 3 } },
        { { { 10, 600 }, { 9, 540 } }, 100, 3, 0, 0, 3, { 10, 3 } },
        { { { 10, 600 }, { 9, 540 } }, 1, 100, 0, 0, 100, { 10, 100 } },
        { { { 10, 600 }, { 4, 60 }, { 5, 120 }, { 9, 540 } }, 100, 3, 0, 180, 5, { 10, 4, 5, 3 } },
        { { { 10, 6000 }, { 6, 60 }, { 5, 120 }, { 9, 180 } },
          1,
          100,
          300,
          0,
          5,
          { 100, 6, 5, 9 } },
        { { { 2, 6000 }, { 3, 180 } }, 2, 1, 300, 300, 2, { 1, 3 } },
        { { { 2, 6000 }, { 1, 180 } }, 2, 3, 300, 300, 2, { 3, 1 } },
        { { { 9, 300 } }, 9, 3, 0, 300, 3, { 9, 3 } }, /* the end is neither in nor old */
        { { { 9, 299 } }, 9, 3, 0, 300, 9, { 9, 3 } },
    };
    for (size_t i = 0; i < PR_COUNT(both); i++) {
        print_message("%zu\n", i);
        assert_int_equal(autoscale_hpa_stabilize(logged(&l, both[i].past), both[i].current,
                                                 both[i].desired, both[i].up_s, both[i].down_s, 0),
                         both[i].replicas);
        for (int k = 0; both[i].log[k] != 0 || k < l.log.n; k++)
            assert_int_equal(l.entry[k].value, both[i].log[k]);
    }
}

static void logs_changes(void **state)
{
    (void)state;
    static const struct {
        struct past past[5];
        int rule[4];
        int changed;
        int log[6], outdated; /* outdated: which one; -1 none */
    } row[] = {
        { { { 0, 0 } }, { 10, 60, 100, 60 }, 0, { 5 }, -1 },
        { { { 7, 61 } }, { 10, 60, 100, 60 }, 0, { 5 }, -1 },
        { { { 7, 58 } }, { 10, 60, 100, 60 }, 7, { 7, 5 }, -1 },
        { { { 7, 61 }, { 6, 59 } }, { 10, 60 }, 6, { 5, 6 }, -1 },
        { { { 8, 29 }, { 6, 59 }, { 7, 61 }, { 9, 61 } },
          { 10, 60, 100, 30 },
          14,
          { 8, 6, 7, 5 },
          2 },
        { { { 7, 58 }, { 6, 59 } }, { 10, 120, 100, 30 }, 13, { 7, 6, 5 }, -1 },
    };
    struct log l;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const int *r = row[i].rule;
        const struct autoscale_hpa_rules rule = rules(r[0], r[1], r[2], r[3]);
        logged(&l, row[i].past);
        assert_int_equal(autoscale_hpa_changed(&l.log, 60, 0), row[i].changed);
        autoscale_hpa_store(&l.log, 5, &rule, 0, 0);
        int n = 0;
        for (; row[i].log[n] != 0; n++) {
            assert_int_equal(l.entry[n].value, row[i].log[n]);
            assert_int_equal(l.entry[n].outdated, n == row[i].outdated);
        }
        assert_int_equal(l.log.n, n);
    }
    /* a log that is full of what still counts loses the oldest */
    const struct autoscale_hpa_rules long_rule = rules(1, 1800, 0, 0);
    logged(&l, (struct past[]){ { 1, 5 }, { 2, 9 }, { 3, 7 }, { 0, 0 } });
    l.log.cap = 3;
    autoscale_hpa_store(&l.log, 4, &long_rule, 0, 0);
    assert_int_equal(l.log.n, 3);
    assert_int_equal(l.entry[1].value, 4);
}

static void steps(void **state)
{
    (void)state;
    enum {
        ACTIVE = AUTOSCALE_HPA_ACTIVE,
        OFF = AUTOSCALE_HPA_OFF,
        BOUNDS = AUTOSCALE_HPA_BOUNDS,
        UNKNOWN = AUTOSCALE_HPA_UNKNOWN,
        NO = AUTOSCALE_HPA_WITHIN_RANGE
    };
    static const struct {
        const char *name;
        int min, max, current;
        int metric[3], metrics; /* proposals; -1 failed */
        int history;            /* before 1 min; 0 none, -1 nothing yet */
        int up_percent;         /* a behavior with it a minute; 0 none */
        int state, replicas, limited;
    } row[] = {
        { "out to max", 2, 6, 4, { 24 }, 1, -1, 0, ACTIVE, 6, AUTOSCALE_HPA_TOO_MANY },
        { "in at once without history", 2, 6, 4, { 3 }, 1, 0, 0, ACTIVE, 3, NO },
        { "a first step does not go in", 2, 6, 4, { 3 }, 1, -1, 0, ACTIVE, 4, NO },
        { "nor below what was asked for", 2, 6, 5, { 2 }, 1, 4, 0, ACTIVE, 4, NO },
        { "to min", 2, 5, 3, { 0 }, 1, 0, 0, ACTIVE, 2, AUTOSCALE_HPA_TOO_FEW },
        { "to 0", 0, 5, 3, { 0 }, 1, 0, 0, ACTIVE, 0, NO },
        { "0 stays 0", 3, 5, 0, { 9 }, 1, -1, 0, OFF, 0, NO },
        { "below min", 3, 5, 2, { -1 }, 1, -1, 0, BOUNDS, 3, NO },
        { "above max", 3, 5, 10, { -1 }, 1, -1, 0, BOUNDS, 5, NO },
        { "all failed", 2, 6, 4, { -1, -1 }, 2, 0, 0, UNKNOWN, 4, NO },
        { "no metric at all", 2, 6, 4, { 0 }, 0, 0, 0, UNKNOWN, 4, NO },
        { "one failed: no way in", 2, 6, 5, { 3, -1 }, 2, 0, 0, UNKNOWN, 5, NO },
        { "one failed: a way out", 2, 6, 3, { -1, 4 }, 2, 0, 0, ACTIVE, 4, NO },
        { "one failed: as many", 2, 6, 3, { -1, 3 }, 2, 0, 0, ACTIVE, 3, NO },
        { "the largest wins", 2, 9, 5, { 3, 7, 6 }, 3, 0, 0, ACTIVE, 7, NO },
        { "its own rate", 1, 100, 3, { 60 }, 1, -1, 0, ACTIVE, 6, AUTOSCALE_HPA_UP_LIMIT },
        { "a behavior's rate", 1, 100, 3, { 60 }, 1, -1, 700, ACTIVE, 24, AUTOSCALE_HPA_UP_LIMIT },
        { "max below the rate", 1, 20, 3, { 60 }, 1, -1, 700, ACTIVE, 20, AUTOSCALE_HPA_TOO_MANY },
        { "a behavior's window", 1, 20, 8, { 2 }, 1, 6, 700, ACTIVE, 6, NO },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_hpa_memory memory = { .begun = row[i].history >= 0 };
        if (row[i].history > 0)
            memory.recommendation[memory.recommendations++] =
                (struct autoscale_hpa_entry){ -60 * S, row[i].history, 0 };
        const struct autoscale_hpa_step s = {
            .bounds = { row[i].min, row[i].max, row[i].current },
            .behavior = row[i].up_percent != 0,
            .up = rules(0, 0, row[i].up_percent, 60),
            .down = autoscale_hpa_down_rules(),
            .down_window_ms = 300 * S,
        };
        int32_t metric[3];
        for (int k = 0; k < 3; k++)
            metric[k] = row[i].metric[k];
        struct autoscale_hpa_outcome o;
        print_message("%s\n", row[i].name);
        autoscale_hpa_step(&s, metric, (size_t)row[i].metrics, &memory, &o);
        assert_int_equal(o.state, row[i].state);
        assert_int_equal(o.replicas, row[i].replicas);
        assert_int_equal(o.limited, row[i].limited);
    }
}

/* 0 by its own doing: it comes back, by the ratio or to a min that rose meanwhile. */
static void comes_back_from_0(void **state)
{
    (void)state;
    struct autoscale_hpa_memory memory = { 0 };
    struct autoscale_hpa_outcome o;
    struct autoscale_hpa_step s = { .bounds = { 0, 6, 0 },
                                    .scaled_to_zero = true,
                                    .down_window_ms = 300 * S };
    autoscale_hpa_step(&s, (int32_t[]){ 3 }, 1, &memory, &o);
    assert_int_equal(o.replicas, 3);
    s.bounds.min = 2;
    autoscale_hpa_step(&s, (int32_t[]){ 1 }, 1, &(struct autoscale_hpa_memory){ 0 }, &o);
    assert_int_equal(o.replicas, 2);
    assert_int_equal(o.limited, AUTOSCALE_HPA_TOO_FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_rates),       cmocka_unit_test(picks_among_rules),
        cmocka_unit_test(has_a_rate_of_its_own), cmocka_unit_test(stabilizes),
        cmocka_unit_test(logs_changes),          cmocka_unit_test(steps),
        cmocka_unit_test(comes_back_from_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
