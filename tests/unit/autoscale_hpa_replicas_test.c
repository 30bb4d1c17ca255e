/* How many pods a metric asks for. Rows carry the facts of Kubernetes' replica calculator
 * tests (2026): what goes in, what comes out. */
#include "t.h"

#include "core/hpa_replicas.h"

#include <string.h>

enum { S = 1000, MIN = 60 * S, PODS = 10 };

static const struct autoscale_hpa_clock CLOCK = { .init_ms = 2 * MIN,
                                                  .readiness_delay_ms = 10 * S };

/* One letter a pod: r ready and old, u never ready, y ready but young, p pending, f failed,
 * s succeeded, d going. */
static struct autoscale_hpa_pod pod(char letter, int64_t request)
{
    struct autoscale_hpa_pod p = { .started = true,
                                   .start_ms = AUTOSCALE_HPA_LONG_AGO,
                                   .judged = true,
                                   .ready = strchr("rys", letter) != NULL,
                                   .ready_change_ms = AUTOSCALE_HPA_LONG_AGO,
                                   .read_ms = AUTOSCALE_HPA_LONG_AGO,
                                   .window_ms = MIN,
                                   .request = request };
    if (letter == 'y')
        p.start_ms = 0;
    p.phase = letter == 'p'   ? AUTOSCALE_HPA_PENDING
              : letter == 'f' ? AUTOSCALE_HPA_FAILED
              : letter == 's' ? AUTOSCALE_HPA_SUCCEEDED
                              : AUTOSCALE_HPA_RUNNING;
    p.deleting = letter == 'd';
    return p;
}

struct figures {
    const char *pods;
    int64_t request[PODS]; /* the first alone: of all */
    int64_t usage[PODS];
    int readings; /* of the first pods; more than there are: of strangers */
};

static void count(const struct figures *f, bool cpu, double target_pct,
                  struct autoscale_hpa_counts *c)
{
    struct autoscale_hpa_pod p[PODS];
    const int n = (int)strlen(f->pods);
    for (int i = 0; i < n; i++) {
        p[i] = pod(f->pods[i], f->request[i] != 0 ? f->request[i] : f->request[0]);
        p[i].metered = i < f->readings;
        p[i].usage = p[i].metered ? f->usage[i] : 0;
    }
    autoscale_hpa_count(p, (size_t)n, &CLOCK, cpu, target_pct, c);
    for (int i = n; i < f->readings; i++) {
        c->strangers++;
        c->strangers_usage += f->usage[i];
    }
}

struct share {
    const char *name;
    int current;
    double target;
    struct figures f;
    int replicas, pct, raw;
};

static void check_share(const struct share *row, double down, double up)
{
    struct autoscale_hpa_counts c;
    struct autoscale_hpa_proposal got;
    struct pr_err err;
    print_message("%s\n", row->name);
    count(&row->f, true, row->target, &c);
    assert_ok(autoscale_hpa_utilization(&c, row->current, row->target,
                                        (struct autoscale_hpa_tolerance){ down, up }, &got, &err),
              &err);
    assert_int_equal(got.replicas, row->replicas);
    assert_int_equal(got.usage, row->pct);
    if (row->raw >= 0)
        assert_int_equal(got.raw, row->raw);
}

/* clang-format off */
static void asks_for_the_share_of_requests(void **state)
{
    (void)state;
    static const struct share row[] = {
        { "out", 3, 30, { "rrr", { 2000 }, { 600, 1000, 1400 }, 3 }, 5, 50, 1000 },
        { "out, container", 3, 30, { "rrr", { 1000 }, { 300, 500, 700 }, 3 }, 5, 50, 500 },
        { "out, one unready", 3, 30, { "urr", { 2000 }, { 600, 1000, 1400 }, 3 }, 4, 60, 1200 },
        { "out, one young", 3, 30, { "yrr", { 2000 }, { 600, 1000, 1400 }, 3 }, 4, 60, 1200 },
        { "unready ones damp", 3, 30, { "ruu", { 2000 }, { 800, 1000, 1400 }, 3 }, 3, 40, 800 },
        { "young ones damp", 3, 30, { "ryy", { 2000 }, { 800, 1000, 1400 }, 3 }, 3, 40, 800 },
        { "failed do not", 2, 30, { "rrff", { 2000 }, { 1000, 1400 }, 2 }, 4, 60, 1200 },
        { "succeeded do not", 2, 30, { "rrss", { 2000 }, { 1000, 1400 }, 2 }, 4, 60, 1200 },
        { "going do not", 2, 30, { "rrdd", { 2000 }, { 1000, 1400 }, 2 }, 4, 60, 1200 },
        { "in", 5, 50, { "rrrrr", { 2000 }, { 200, 600, 1000, 500, 500 }, 5 }, 3, 28, 560 },
        { "in, container", 5, 50, { "rrrrr", { 1000 }, { 100, 300, 500, 250, 250 }, 5 }, 3, 28, 280 },
        { "in, unready", 5, 50, { "rrruu", { 2000 }, { 200, 600, 1000, 500, 500 }, 5 }, 2, 30, 600 },
        { "in, pending", 5, 50, { "rpppp", { 2000 }, { 200 }, 1 }, 1, 10, 200 },
        { "in, pending with readings", 5, 50, { "rpppp", { 1000 }, { 100, 300, 500, 250, 250 }, 5 },
          1, 10, 100 },
        { "in, young", 5, 50, { "rrryy", { 2000 }, { 200, 600, 1000, 500, 500 }, 5 }, 2, 30, 600 },
        { "in, failed", 5, 50, { "rrrrrff", { 2000 }, { 200, 600, 1000, 500, 500 }, 5 }, 3, 28, 560 },
        { "in, succeeded", 5, 50, { "rrrrrss", { 2000 }, { 200, 600, 1000, 500, 500 }, 5 }, 3, 28,
          560 },
        { "in, going", 5, 50, { "rrrrrdd", { 2000 }, { 200, 600, 1000, 500, 500 }, 5 }, 3, 28, 560 },

        { "within 10 %", 3, 100, { "rrr", { 1800, 2000, 2200 }, { 2020, 2060, 2040 }, 3 }, 3, 102,
          2040 },

        { "strangers are in no share", 4, 100, { "rrrr", { 2000 }, { 8000, 19000, 6000, 14000,
          6400, 4000 }, 6 }, 24, 587, 11750 },
        { "missing count in full on the way in", 4, 100, { "rrrr", { 2000 }, { 800, 190 }, 2 }, 3,
          24, 495 },
        { "exactly on target: missing change nothing", 2, 100, { "rr", { 2000 }, { 2000 }, 1 }, 2,
          100, 2000 },
        { "missing turn nothing round, above", 2, 100, { "rr", { 2000 }, { 3800 }, 1 }, 2, 190,
          3800 },
        { "missing turn nothing round, below", 2, 100, { "rr", { 2000 }, { 1200 }, 1 }, 2, 60, 1200 },
        { "unready and missing, in tolerance", 3, 50, { "urr", { 2000 }, { 200, 900 }, 2 }, 3, 45,
          900 },
        { "young and missing, in tolerance", 3, 50, { "yrr", { 2000 }, { 200, 900 }, 2 }, 3, 45,
          900 },
        { "unready and missing, out", 3, 50, { "urr", { 2000 }, { 200, 4000 }, 2 }, 4, 200, 4000 },
        { "unready and missing, in", 4, 50, { "urrr", { 2000 }, { 200, 200, 200 }, 3 }, 3, 10, 200 },
        { "target over 100: missing use the target", 4, 300, { "urrr", { 2000, 2000, 4000, 4000 },
          { 400, 200, 200 }, 3 }, 2, 6, 200 },
        { "one more pod than wanted", 2, 50, { "rrr", { 2000 }, { 200, 200 }, 2 }, 2, 10, 200 },

        { "tolerance just breached", 10, 56, { "rrrrrrrrrr", { 6200, 5800, 6020, 5980, 6004, 5996,
          6002, 5998, 6000, 6000 }, { 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000 },
          10 }, 9, 50, 3000 },
        { "tolerance just kept", 10, 55, { "rrrrrrrrrr", { 6200, 5800, 6020, 5980, 6004, 5996,
          6002, 5998, 6000, 6000 }, { 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000 },
          10 }, 10, 50, 3000 },
        { "an overflow ends at the last integer", 1, 1, { "r", { 1 }, { INT64_MAX }, 1 },
          INT32_MAX, INT32_MAX, -1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        check_share(&row[i], 0.1, 0.1);
}

static void tolerates_more_one_way_than_the_other(void **state)
{
    (void)state;
    static const struct {
        double down, up;
        struct share share;
    } row[] = {
        { 0, 0,
          { "outside 0 %", 3, 100, { "rrr", { 1800, 2000, 2200 }, { 1818, 2020, 2222 }, 3 }, 4, 101, 2020 } },
        { 0.1, 2,
          { "within 200 % up", 3, 100, { "rrr", { 1800, 2000, 2200 }, { 3780, 3820, 3800 }, 3 }, 3, 190, 3800 } },
        { 2, 0.08,
          { "outside 8 % up", 3, 100, { "rrr", { 1800, 2000, 2200 }, { 2200, 2160, 2180 }, 3 }, 4, 109, 2180 } },
        { 0.36, 0.1,
          { "within 36 % down", 3, 100, { "rrr", { 1800, 2000, 2200 }, { 1320, 1280, 1300 }, 3 }, 3, 65, 1300 } },
        { 0.34, 0.1,
          { "outside 34 % down", 3, 100, { "rrr", { 1800, 2000, 2200 }, { 1320, 1280, 1300 }, 3 }, 2, 65, 1300 } },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        check_share(&row[i].share, row[i].down, row[i].up);
}
/* clang-format on */

static void says_what_is_missing(void **state)
{
    (void)state;
    static const struct {
        struct figures f;
        const char *words;
    } row[] = {
        { { "", { 2000 }, { 0 }, 0 }, "no pods returned by selector" },
        { { "uu", { 2000 }, { 5, 5 }, 2 }, "did not receive metrics for targeted pods" },
        { { "r", { 2000 }, { 0 }, 0 }, "did not receive metrics for targeted pods" },
        { { "", { 2000 }, { 200 }, 1 }, "no pods returned by selector" },
    };
    const struct autoscale_hpa_tolerance t = { 0.1, 0.1 };
    struct autoscale_hpa_counts c;
    struct autoscale_hpa_proposal got;
    struct pr_err err;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        count(&row[i].f, true, 50, &c);
        assert_int_equal(autoscale_hpa_utilization(&c, 1, 50, t, &got, &err), PR_EDATA);
        assert_non_null(strstr(err.text, row[i].words));
        assert_int_equal(autoscale_hpa_average(&c, 1, 50, t, &got, &err), PR_EDATA);
    }

    struct autoscale_hpa_pod p = pod('r', 0); /* it lacks a reading, and a stranger has one */
    autoscale_hpa_count(&p, 1, &CLOCK, true, 50, &c);
    c.strangers = 1;
    assert_int_equal(autoscale_hpa_utilization(&c, 1, 50, t, &got, &err), PR_EDATA);
    assert_non_null(strstr(err.text, "no metrics returned matched known pods"));
    p.metered = true;
    p.lacks_request = 2;
    p.name = "web-1";
    autoscale_hpa_count(&p, 1, &CLOCK, true, 50, &c);
    assert_int_equal(autoscale_hpa_utilization(&c, 1, 50, t, &got, &err), PR_EDATA);
    assert_non_null(
        strstr(err.text, "missing request for cpu in container container2 of Pod web-1"));
}

/* clang-format off */
static void asks_for_the_mean_of_pods(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int current;
        int64_t target;
        struct figures f;
        int replicas;
        int64_t usage;
        double up;
    } row[] = {
        { "out", 3, 15000, { "rrr", { 0 }, { 20000, 10000, 30000 }, 3 }, 4, 20000, 0.1 },
        { "readiness does not matter", 3, 15000, { "ruy", { 0 }, { 50000, 10000, 30000 }, 3 }, 6,
          30000, 0.1 },
        { "truncated mean", 3, 15000, { "uru", { 0 }, { 50000, 15000, 30000 }, 3 }, 7, 31666, 0.1 },
        { "in", 5, 20000, { "rrrrr", { 0 }, { 12000, 12000, 12000, 12000, 12000 }, 5 }, 3, 12000,
          0.1 },
        { "within 10 %", 3, 20000, { "rrr", { 0 }, { 20000, 21000, 21000 }, 3 }, 3, 20666, 0.1 },
        { "outside 1 %", 3, 20000, { "rrr", { 0 }, { 20000, 21000, 21000 }, 3 }, 4, 20666, 0.01 },
        { "missing at exactly the target", 5, 20000, { "rrrrr", { 0 }, { 20000, 19000, 21000 }, 3 },
          5, 20000, 0.1 },
        { "one more pod than wanted", 2, 17000, { "rrr", { 0 }, { 10000, 10000 }, 2 }, 2, 10000, 0.1
          },
        { "missing count the target on the way in", 4, 100, { "rrrr", { 0 }, { 10, 10 }, 2 }, 3, 10,
          0.1 },
        { "pending count 0 on the way out", 4, 100, { "rrpp", { 0 }, { 300, 300 }, 2 }, 6, 300, 0.1
          },
        { "strangers are in the mean", 2, 100, { "rr", { 0 }, { 100, 100, 400 }, 3 }, 4, 200, 0.1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct autoscale_hpa_counts c;
        struct autoscale_hpa_proposal got;
        struct pr_err err;
        print_message("%s\n", row[i].name);
        count(&row[i].f, false, 0, &c);
        assert_ok(autoscale_hpa_average(&c, row[i].current, row[i].target,
                                        (struct autoscale_hpa_tolerance){ 0.1, row[i].up }, &got,
                                        &err),
                  &err);
        assert_int_equal(got.replicas, row[i].replicas);
        assert_int_equal(got.usage, row[i].usage);
    }
}

/* clang-format on */

static void asks_by_one_figure(void **state)
{
    (void)state;
    static const struct {
        int64_t usage, target;
        int current, ready;
        double up;
        int replicas;
    } value[] = {
        { 20000, 15000, 3, 3, 0.1, 4 },  { INT64_MAX, 1, 3, 3, 0.1, INT32_MAX },
        { 50000, 10000, 3, 1, 0.1, 5 }, /* only the ready ones multiply */
        { 12000, 20000, 5, 5, 0.1, 3 },  { 20666, 20000, 3, 3, 0.1, 3 },
        { 20666, 20000, 3, 3, 0.01, 4 }, { 8600, 4400, 3, 1, 0.1, 2 },
        { 8600, 14334, 5, 5, 0.1, 3 },   { 8600, 8888, 3, 3, 0.1, 3 },
        { 8900, 8800, 3, 3, 0.01, 4 },   { INT64_MAX, INT64_MAX, 3, 3, 0.1, 3 },
        { 10000, 15000, 0, 0, 0.1, 1 }, /* from 0: by the ratio alone */
        { 15001, 15000, 0, 0, 0.1, 2 },  { 0, 15000, 0, 0, 0.1, 0 },
    };
    struct autoscale_hpa_proposal got;
    for (size_t i = 0; i < PR_COUNT(value); i++) {
        autoscale_hpa_value(value[i].usage, value[i].target, value[i].current, value[i].ready,
                            (struct autoscale_hpa_tolerance){ 0.1, value[i].up }, &got);
        assert_int_equal(got.replicas, value[i].replicas);
        assert_int_equal(got.usage, value[i].usage);
    }

    static const struct {
        int64_t usage, target;
        int current;
        double up;
        int replicas;
        int64_t each;
    } pod[] = {
        { INT64_MAX, 1, 1, 0.1, INT32_MAX, INT64_MAX },
        { INT64_MAX, INT64_MAX, 1, 0.1, 1, INT64_MAX },
        { 8600, 2150, 3, 0.1, 4, 2867 },
        { 8600, 2867, 5, 0.1, 3, 1720 },
        { 8600, 2900, 3, 0.1, 3, 2867 },
        { 8600, 2800, 3, 0.01, 4, 2867 },
        { 20000, 5000, 3, 0.1, 4, 6667 },
        { 6000, 2000, 5, 0.1, 3, 1200 },
        { 20166, 5000, 4, 0.1, 4, 5042 },
        { 20208, 5000, 4, 0.01, 5, 5052 },
        { 20000, 5000, 0, 0.1, 4, 0 },
        { 0, 5000, 0, 0.1, 0, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(pod); i++) {
        autoscale_hpa_per_pod(pod[i].usage, pod[i].target, pod[i].current,
                              (struct autoscale_hpa_tolerance){ 0.1, pod[i].up }, &got);
        assert_int_equal(got.replicas, pod[i].replicas);
        assert_int_equal(got.usage, pod[i].each);
    }
    assert_int_equal(autoscale_hpa_per_pod_usage(INT64_MAX, 0), INT64_MAX);
    assert_int_equal(autoscale_hpa_sum((int64_t[]){ INT64_MAX / 2 + 1, INT64_MAX / 2 + 1 }, 2),
                     INT64_MAX);
    assert_int_equal(autoscale_hpa_ceil(2147483647.5), INT32_MAX);
    assert_int_equal(autoscale_hpa_ceil(-1e300), INT32_MIN);
    assert_int_equal(autoscale_hpa_ceil(0.0 / (double)(got.usage - got.usage)), 0);
}

/* clang-format off */
static void groups_pods(void **state)
{
    (void)state;
    enum { NONE = -1 }; /* seconds ago; none: not known */
    static const struct {
        const char *name;
        enum autoscale_hpa_phase phase;
        bool deleting, cpu;
        int start, change; /* s ago */
        bool judged, ready;
        int read, window; /* s ago; NONE: at no known time */
        bool metered;
        enum autoscale_hpa_group want;
    } row[] = {
        { "memory", 0, false, false, NONE, NONE, false, false, 0, 60, true, AUTOSCALE_HPA_READY },
        { "no condition", 0, false, true, 0, NONE, false, false, NONE, 0, true,
          AUTOSCALE_HPA_UNREADY },
        { "no start", 0, false, true, NONE, 0, true, true, 0, 0, true, AUTOSCALE_HPA_UNREADY },
        { "young, measured while ready", 0, false, true, 60, 30, true, true, 0, 30, true,
          AUTOSCALE_HPA_READY },
        { "young, window too long", 0, false, true, 60, 30, true, true, 0, 60, true,
          AUTOSCALE_HPA_UNREADY },
        { "young, reading at no time", 0, false, true, 60, 30, true, true, NONE, 30, true,
          AUTOSCALE_HPA_UNREADY },
        { "young and unready", 0, false, true, 60, 30, true, false, 0, 30, true,
          AUTOSCALE_HPA_UNREADY },
        { "119 s is young", 0, false, true, 119, 119, true, true, 60, 60, true,
          AUTOSCALE_HPA_UNREADY },
        { "120 s is not", 0, false, true, 120, 119, true, true, 120, 60, true, AUTOSCALE_HPA_READY
          },
        { "never was ready", 0, false, true, 600, 594, true, false, NONE, 0, true,
          AUTOSCALE_HPA_UNREADY },
        { "old reading of an old one", 0, false, true, 180, 180, true, true, 120, 60, true,
          AUTOSCALE_HPA_READY },
        { "was ready", 0, false, true, 600, 540, true, false, NONE, 0, true, AUTOSCALE_HPA_READY },
        { "10 s after the start: was ready", 0, false, true, 600, 590, true, false, NONE, 0, true,
          AUTOSCALE_HPA_READY },
        { "9 s: never was", 0, false, true, 600, 591, true, false, NONE, 0, true,
          AUTOSCALE_HPA_UNREADY },
        { "no reading", 0, false, true, 180, NONE, false, false, 0, 0, false, AUTOSCALE_HPA_MISSING
          },
        { "pending", AUTOSCALE_HPA_PENDING, false, true, NONE, NONE, false, false, 0, 0, false,
          AUTOSCALE_HPA_UNREADY },
        { "going", AUTOSCALE_HPA_PENDING, true, true, NONE, NONE, false, false, 0, 0, true,
          AUTOSCALE_HPA_IGNORED },
        { "failed", AUTOSCALE_HPA_FAILED, false, true, NONE, NONE, false, false, 0, 0, true,
          AUTOSCALE_HPA_IGNORED },
        { "succeeded", AUTOSCALE_HPA_SUCCEEDED, false, true, NONE, NONE, false, false, 0, 0, true,
          AUTOSCALE_HPA_IGNORED },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_hpa_pod p = {
            .phase = row[i].phase,
            .deleting = row[i].deleting,
            .started = row[i].start != NONE,
            .start_ms = -row[i].start * (int64_t)S,
            .judged = row[i].judged,
            .ready = row[i].ready,
            .ready_change_ms =
                row[i].change == NONE ? AUTOSCALE_HPA_LONG_AGO : -row[i].change * (int64_t)S,
            .metered = row[i].metered,
            .read_ms = row[i].read == NONE ? AUTOSCALE_HPA_LONG_AGO : -row[i].read * (int64_t)S,
            .window_ms = row[i].window * (int64_t)S,
        };
        print_message("%s\n", row[i].name);
        assert_int_equal(autoscale_hpa_group(&p, &CLOCK, row[i].cpu), row[i].want);
    }
}

/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_for_the_share_of_requests),
        cmocka_unit_test(tolerates_more_one_way_than_the_other),
        cmocka_unit_test(says_what_is_missing),
        cmocka_unit_test(asks_for_the_mean_of_pods),
        cmocka_unit_test(asks_by_one_figure),
        cmocka_unit_test(groups_pods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
