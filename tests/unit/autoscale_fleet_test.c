/* A fleet as data: what is refused, whole units, and the floor for the loss of a zone. */
#include "t.h"

#include "core/cost.h"
#include "core/fleet.h"

#include <math.h>
#include <string.h>

static void known_fleets_are_right(void **state)
{
    (void)state;
    void (*const fleet[])(struct autoscale_fleet *) = {
        autoscale_fleet_default,
        autoscale_fleet_redis,
        autoscale_fleet_proxies,
    };
    for (size_t i = 0; i < PR_COUNT(fleet); i++) {
        struct autoscale_fleet f;
        struct pr_err err;
        fleet[i](&f);
        assert_ok(autoscale_fleet_check(&f, &err), &err);
        assert_int_equal(f.min, 48);
        assert_int_equal(f.max, 1000);
        assert_int_equal(f.zones, 3);
    }
}

static void refuses_and_names_what_is_wrong(void **state)
{
    (void)state;
    enum what {
        NAME,
        UNIT_0,
        UNIT_4,
        MIN,
        MIN_MAX,
        MAX,
        WHOLE,
        ZONES,
        ZONE_NAME,
        TWICE,
        GROUP_ZONE,
        GROUP_MAX,
        GROUP_TWICE,
        TYPE,
        VCPUS,
        PRICE,
        LOSS,
        LOSS_NAN,
        BOOT,
        ROWS
    };
    static const char *const words[ROWS] = {
        [NAME] = "no name",
        [UNIT_0] = "unit is 0",
        [UNIT_4] = "there are 3 zones",
        [MIN] = "min -1",
        [MIN_MAX] = "min 60 and max 59",
        [MAX] = "max 0",
        [WHOLE] = "no whole number of units of 3 in 49..50",
        [ZONES] = "0 zones",
        [ZONE_NAME] = "zone 1 has no name",
        [TWICE] = "two zones are named us-west-2a",
        [GROUP_ZONE] = "group redis-a-2 is in no zone",
        [GROUP_MAX] = "group redis-a-1 holds 0",
        [GROUP_TWICE] = "two placement groups are named redis-a-1",
        [TYPE] = "type 3 of 3",
        [VCPUS] = "type r6i.4xlarge: vCPUs",
        [PRICE] = "type r6i.8xlarge: its price",
        [LOSS] = "zone_loss_pct is 101",
        [LOSS_NAN] = "zone_loss_pct",
        [BOOT] = "boot and move",
    };
    for (int i = 0; i < ROWS; i++) {
        struct autoscale_fleet f;
        struct pr_err err = { .text = "" };
        autoscale_fleet_redis(&f);
        switch ((enum what)i) {
        case NAME:
            f.name[0] = '\0';
            break;
        case UNIT_0:
            f.unit = 0;
            break;
        case UNIT_4:
            f.unit = 4;
            break;
        case MIN:
            f.min = -1;
            break;
        case MIN_MAX:
            f.min = 60;
            f.max = 59;
            break;
        case MAX:
            f.min = f.max = 0;
            break;
        case WHOLE:
            f.min = 49;
            f.max = 50;
            break;
        case ZONES:
            f.zones = 0;
            f.unit = 1;
            break;
        case ZONE_NAME:
            f.zone[1][0] = '\0';
            break;
        case TWICE:
            memcpy(f.zone[2], f.zone[0], sizeof f.zone[0]);
            break;
        case GROUP_ZONE:
            f.group[1].zone = 3;
            break;
        case GROUP_MAX:
            f.group[0].max = 0;
            break;
        case GROUP_TWICE:
            memcpy(f.group[5].name, f.group[0].name, sizeof f.group[0].name);
            break;
        case TYPE:
            f.type = 3;
            break;
        case VCPUS:
            f.ladder[0].vcpus = 0;
            break;
        case PRICE:
            f.ladder[1].price_hour = NAN;
            break;
        case LOSS:
            f.zone_loss_pct = 101;
            break;
        case LOSS_NAN:
            f.zone_loss_pct = NAN;
            break;
        case BOOT:
            f.boot_ms = -1;
            break;
        case ROWS:
            break;
        }
        assert_int_equal(autoscale_fleet_check(&f, &err), PR_EINVAL);
        if (strstr(err.text, words[i]) == NULL)
            fail_msg("row %d: \"%s\" lacks \"%s\"", i, err.text, words[i]);
    }
}

static void rounds_up_on_the_way_out_and_down_on_the_way_in(void **state)
{
    (void)state;
    static const struct {
        int unit, from, to, floor, want;
    } row[] = {
        { 3, 48, 53, 0, 54 },  { 3, 48, 48, 0, 48 },  { 3, 48, 49, 0, 51 },  { 3, 48, 51, 0, 51 },
        { 3, 60, 53, 0, 51 },  { 3, 60, 51, 0, 51 },  { 3, 60, 50, 0, 48 },  { 3, 60, 50, 49, 51 },
        { 3, 60, 50, 48, 48 }, { 3, 60, 59, 59, 60 }, { 3, 50, 50, 0, 50 }, /* nothing is done:
                                                                               nothing is rounded */
        { 3, 50, 49, 0, 48 },  { 3, 50, 49, 49, 50 }, /* 51 were a step outward */
        { 1, 48, 53, 0, 53 },  { 1, 60, 53, 0, 53 },  { 1, 60, 40, 48, 48 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_fleet f = { .unit = row[i].unit };
        assert_int_equal(autoscale_fleet_round(&f, row[i].from, row[i].to, row[i].floor),
                         row[i].want);
    }
}

static void two_zones_carry_what_three_do(void **state)
{
    (void)state;
    static const struct {
        int zones;
        double pct, load;
        int want;
    } row[] = {
        { 3, 100, 32, 48 },                 /* 1.5 times as many: 16 a zone, 32 are left */
        { 3, 100, 32.000000000000004, 48 }, /* the mean of equal numbers */
        { 3, 100, 32.01, 50 },              /* 33 are left when 17 of 50 go */
        { 3, 100, 66.7 / 100 * 48, 50 },    /* over the two thirds that may be used */
        { 3, 85, 0.56 * 48, 48 },           /* 56 % are 84 % of two zones */
        { 3, 85, 0.57 * 48, 50 },
        { 3, 100, 0.5, 2 }, /* one a zone, and one may go */
        { 3, 100, 0, 0 },
        { 3, 0, 32, 0 },
        { 1, 100, 32, 0 },
        { 3, 100, NAN, 0 },
        { 2, 100, 32, 64 },
        { 4, 100, 30, 40 },
        { 4, 100, 31, 42 },
        { 3, 100, -1, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const struct autoscale_fleet f = { .zones = row[i].zones, .zone_loss_pct = row[i].pct };
        assert_int_equal(autoscale_fleet_zone_floor(&f, row[i].load), row[i].want);
    }
}

static void costs_what_the_reference_costs(void **state)
{
    (void)state;
    struct autoscale_fleet f;
    autoscale_fleet_redis(&f);
    assert_true(fabs(autoscale_cost_month(&f, 1000) - 735840) < 1e-6);
    autoscale_fleet_proxies(&f);
    f.ladder[0].price_hour = 0.17; /* reserved */
    assert_true(fabs(autoscale_cost_month(&f, 1000) - 124100) < 1e-6);
    f.types = 0;
    assert_true(isnan(autoscale_cost_month(&f, 1000)));
}

int main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(known_fleets_are_right),
        cmocka_unit_test(refuses_and_names_what_is_wrong),
        cmocka_unit_test(rounds_up_on_the_way_out_and_down_on_the_way_in),
        cmocka_unit_test(two_zones_carry_what_three_do),
        cmocka_unit_test(costs_what_the_reference_costs),
    };
    return cmocka_run_group_tests(test, NULL, NULL);
}
