/* When another instance type is better than another number of members. */
#include "t.h"

#include "core/advise.h"

#include <math.h>
#include <string.h>

enum { MOST = 400 };
static const int64_t now_ms = 1000 * AUTOSCALE_MINUTE_MS;

struct case_of {
    double cpu_pct, memory_pct, network_gbps;
    int minutes; /* of them */
    bool least;
    enum autoscale_bound bound;
    int type;
    const char *words;
};

static void check(const struct autoscale_fleet *f, const struct case_of *row, size_t n)
{
    static struct autoscale_sample sample[MOST];
    for (size_t i = 0; i < n; i++) {
        const size_t minutes = (size_t)row[i].minutes;
        for (size_t m = 0; m < minutes; m++)
            sample[m] = (struct autoscale_sample){
                .at_ms = now_ms - (int64_t)(minutes - 1 - m) * AUTOSCALE_MINUTE_MS,
                .cpu_pct = row[i].cpu_pct,
                .memory_pct = row[i].memory_pct,
                .network_bps = row[i].network_gbps * 1e9,
                .backlog = NAN,
                .load = NAN,
                .serving = 48,
            };
        const struct autoscale_view v = {
            .now_ms = now_ms,
            .desired = 48,
            .serving = 48,
            .sample = sample,
            .samples = minutes,
        };
        struct autoscale_advice got;
        autoscale_advise(f, &v, row[i].least, &got);
        if (got.bound != row[i].bound || got.type != row[i].type ||
            strstr(got.text, row[i].words) == NULL)
            fail_msg("row %zu: bound %d, type %d, \"%s\"", i, (int)got.bound, got.type, got.text);
        assert_int_equal(got.bound == AUTOSCALE_UNBOUND, got.text[0] == '\0');
    }
}

static void the_reference_ladder_of_the_store(void **state)
{
    (void)state;
    struct autoscale_fleet f;
    autoscale_fleet_redis(&f);
    static const struct case_of row[] = {
        { 30, 85.1, 2, 30, false, AUTOSCALE_MEMORY_BOUND, 1, "r6i.8xlarge (256 GB) instead" },
        { 30, 85, 2, 30, false, AUTOSCALE_UNBOUND, -1, "" },
        { 56, 90, 2, 30, false, AUTOSCALE_MEMORY_BOUND, 1, "not more members" },
        { 56.1, 90, 2, 30, false, AUTOSCALE_UNBOUND, -1, "" }, /* members bring CPU as well */
        { 30, 90, 2, 15, false, AUTOSCALE_MEMORY_BOUND, 1, "r6i.8xlarge" },
        { 30, 90, 2, 14, false, AUTOSCALE_UNBOUND, -1, "" }, /* not half of 30 minutes */
        { NAN, 90, 2, 30, false, AUTOSCALE_UNBOUND, -1, "" },
        { 30, 50, 8, 30, false, AUTOSCALE_UNBOUND, -1, "" },
        { 30, 50, 8.1, 30, false, AUTOSCALE_NETWORK_BOUND, 1, "r6i.8xlarge (12.5 Gbps)" },
        { 30, 50, 10, 30, false, AUTOSCALE_NETWORK_BOUND, 1, "r6i.8xlarge (12.5 Gbps)" },
        { 30, 50, 10.1, 30, false, AUTOSCALE_NETWORK_BOUND, 2, "r6i.16xlarge (25 Gbps)" },
        { 30, 50, 20.1, 30, false, AUTOSCALE_NETWORK_BOUND, -1, "only more members" },
        { 30, 90, 9, 30, false, AUTOSCALE_MEMORY_BOUND, 1, "memory-bound" }, /* it goes first */
        { 75, 30, 2, 30, false, AUTOSCALE_CPU_BOUND, -1, "more shards" },
        { 20, 20, 1, 360, true, AUTOSCALE_UNBOUND, -1, "" }, /* there is no smaller one */
    };
    check(&f, row, PR_COUNT(row));
}

static void the_reference_ladder_of_the_proxies(void **state)
{
    (void)state;
    struct autoscale_fleet f;
    autoscale_fleet_proxies(&f);
    static const struct case_of row[] = {
        { 75, 30, 2, 30, false, AUTOSCALE_CPU_BOUND, 1, "c6i.4xlarge (16 vCPUs) instead" },
        { 70, 30, 2, 30, false, AUTOSCALE_UNBOUND, -1, "" },
        { 75, 50, 2, 30, false, AUTOSCALE_UNBOUND, -1, "" },
        { 75, 30, 9, 30, false, AUTOSCALE_UNBOUND, -1, "" }, /* both: more members */
    };
    check(&f, row, PR_COUNT(row));
}

static void a_smaller_type_only_when_fewer_members_are_not_allowed(void **state)
{
    (void)state;
    struct autoscale_fleet f;
    autoscale_fleet_redis(&f);
    f.type = 2; /* 16xlarge: 64 vCPUs, 512 GB, 25 Gbps */
    static const struct case_of row[] = {
        { 10, 15, 2, 360, true, AUTOSCALE_OVERSIZED, 0, "r6i.4xlarge carries it at 0.25" },
        { 15, 15, 2, 360, true, AUTOSCALE_OVERSIZED, 1, "r6i.8xlarge carries it at 0.5" },
        { 20, 34, 2, 360, true, AUTOSCALE_OVERSIZED, 1, "r6i.8xlarge" },
        { 20, 36, 2, 360, true, AUTOSCALE_UNBOUND, -1, "" }, /* 72 % of 256 GB */
        { 10, 15, 2, 360, false, AUTOSCALE_UNBOUND, -1, "" },
        { 10, 15, 2, 179, true, AUTOSCALE_UNBOUND, -1, "" },
        { 10, 15, 2, 180, true, AUTOSCALE_OVERSIZED, 0, "r6i.4xlarge" },
        { 10, NAN, 2, 360, true, AUTOSCALE_UNBOUND, -1, "" },
    };
    check(&f, row, PR_COUNT(row));
    f.types = 0;
    static const struct case_of none = { 30, 90, 2, 30, false, AUTOSCALE_UNBOUND, -1, "" };
    check(&f, &none, 1);
}

/* A view that goes back an hour, and means of six beside it: those count. */
static void what_was_low_for_long_is_known_without_its_samples(void **state)
{
    (void)state;
    static struct autoscale_sample sample[60];
    struct autoscale_fleet f;
    autoscale_fleet_redis(&f);
    f.type = 2;
    for (int i = 0; i < 60; i++)
        sample[i] = (struct autoscale_sample){ .at_ms = now_ms - (59 - i) * AUTOSCALE_MINUTE_MS,
                                               .cpu_pct = 10,
                                               .memory_pct = 15,
                                               .network_bps = 2e9,
                                               .backlog = NAN,
                                               .load = NAN,
                                               .serving = 48 };
    static const struct {
        struct autoscale_means longer;
        enum autoscale_bound bound;
    } row[] = {
        { { 0, 0, 0, 0 }, AUTOSCALE_UNBOUND }, /* nobody has looked: an hour is not enough */
        { { 360, 10, 15, 2e9 }, AUTOSCALE_OVERSIZED },
        { { 180, 10, 15, 2e9 }, AUTOSCALE_OVERSIZED },
        { { 360, 41, 15, 2e9 }, AUTOSCALE_UNBOUND }, /* low in the last hour alone */
        { { 360, 10, NAN, 2e9 }, AUTOSCALE_UNBOUND },
        { { 170, NAN, NAN, NAN }, AUTOSCALE_UNBOUND },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_view v = { .now_ms = now_ms,
                                          .desired = 48,
                                          .serving = 48,
                                          .sample = sample,
                                          .samples = 60,
                                          .longer = row[i].longer };
        struct autoscale_advice got;
        autoscale_advise(&f, &v, true, &got);
        if (got.bound != row[i].bound)
            fail_msg("row %zu: bound %d, \"%s\"", i, (int)got.bound, got.text);
    }
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(the_reference_ladder_of_the_store),
        cmocka_unit_test(the_reference_ladder_of_the_proxies),
        cmocka_unit_test(a_smaller_type_only_when_fewer_members_are_not_allowed),
        cmocka_unit_test(what_was_low_for_long_is_known_without_its_samples),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
