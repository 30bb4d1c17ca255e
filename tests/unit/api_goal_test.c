#include "t.h"

#include "api_goal.h"

#include <math.h>
#include <string.h>

static bool names(const struct api_errors *errs, const char *field)
{
    for (size_t i = 0; i < errs->n; i++)
        if (strcmp(errs->e[i].field, field) == 0)
            return true;
    return false;
}

static const char *const two[] = { "n13", "n14" };

static void each_kind_takes_its_own_members(void **state)
{
    (void)state;
    static const char *const groups[] = { "0-5460", "5461,5462-16383" };
    static const struct {
        struct api_goal_in in;
        const char *bad; /* field; NULL: fine */
    } row[] = {
        { { .kind = "join", .nodes = two, .n_nodes = 2, .has_nodes = true }, NULL },
        { { .kind = "join", .nodes = two, .n_nodes = 2, .has_nodes = true, .role = "replica" },
          NULL },
        { { .kind = "drain", .nodes = two, .n_nodes = 1, .has_nodes = true }, NULL },
        { { .kind = "replace", .node = "n3", .with = "n13" }, NULL },
        { { .kind = "move-replica", .node = "n9", .shard = "n1" }, NULL },
        { { .kind = "balance" }, NULL },
        { { .kind = "failback" }, NULL },
        { { .kind = "repair" }, NULL },
        { { .kind = "assign", .groups = groups, .n_groups = 2, .has_groups = true }, NULL },
        { { .kind = "join" }, "goal.nodes" },
        { { .kind = "join", .nodes = two, .has_nodes = true }, "goal.nodes" },
        { { .kind = "join", .nodes = two, .n_nodes = 2, .has_nodes = true, .role = "leader" },
          "goal.role" },
        { { .kind = "drain", .nodes = two, .n_nodes = 2, .has_nodes = true, .role = "auto" },
          "goal.role" },
        { { .kind = "drain", .node = "n3" }, "goal.node" },
        { { .kind = "replace", .node = "n3" }, "goal.with" },
        { { .kind = "replace", .node = "n3", .with = "n3" }, "goal.with" },
        { { .kind = "move-replica", .shard = "n1" }, "goal.node" },
        { { .kind = "move-replica", .node = "n9", .shard = "-" }, "goal.shard" },
        { { .kind = "balance", .nodes = two, .n_nodes = 2, .has_nodes = true }, "goal.nodes" },
        { { .kind = "repair", .shard = "n1" }, "goal.shard" },
        { { .kind = "assign" }, "goal.groups" },
        { { .kind = "assign", .groups = groups, .has_groups = true }, "goal.groups" },
        { { .kind = "shrink" }, "goal.kind" },
        { { .kind = NULL }, "goal.kind" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_errors errs = { 0 };
        api_check_goal(&row[i].in, &errs);
        if (row[i].bad == NULL ? errs.n != 0 : !names(&errs, row[i].bad))
            fail_msg("row %zu (%s): %zu errors, first %s: %s", i, row[i].in.kind, errs.n,
                     errs.e[0].field, errs.e[0].detail);
    }
}

static void a_node_is_named_once_and_by_a_name(void **state)
{
    (void)state;
    static const char *const list[] = { "n1", "n2", "n1", NULL, "a b" };
    struct api_errors errs = { 0 };
    const struct api_goal_in in = {
        .kind = "drain", .nodes = list, .n_nodes = 5, .has_nodes = true
    };
    api_check_goal(&in, &errs);
    assert_int_equal(errs.n, 3);
    assert_true(names(&errs, "goal.nodes[2]") && names(&errs, "goal.nodes[3]") &&
                names(&errs, "goal.nodes[4]"));
}

static void groups_hold_each_slot_once(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool ok;
    } row[] = {
        { "0", "1", true },      { "0-16383", "0", false }, { "0-5,6,7-9", "10", true },
        { "5-5", "6", true },    { "0-5", "5", false },     { "1,1", "2", false },
        { "16384", "0", false }, { "5-4", "0", false },     { "", "0", false },
        { "1,", "2", false },    { "1-", "2", false },      { "-1", "2", false },
        { "1 ", "2", false },    { "0x1", "2", false },     { "999999999999", "0", false },
        { "00001", "2", true },  { "0-5-6", "7", false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const char *const groups[] = { row[i].a, row[i].b };
        struct api_errors errs = { 0 };
        const struct api_goal_in in = {
            .kind = "assign", .groups = groups, .n_groups = 2, .has_groups = true
        };
        api_check_goal(&in, &errs);
        if ((errs.n == 0) != row[i].ok)
            fail_msg("%s and %s: %zu errors", row[i].a, row[i].b, errs.n);
    }
}

static void caps_of_a_fleet_plan_are_numbers_that_can_be(void **state)
{
    (void)state;
    struct api_errors errs = { 0 };
    struct api_fleet_params_in in = { .max_slots = 16384,
                                      .has_max_slots = true,
                                      .pairs = 16,
                                      .has_pairs = true,
                                      .max_bytes = 1,
                                      .has_max_bytes = true };
    api_check_fleet_params(&in, &errs);
    assert_int_equal(errs.n, 0);
    in.max_slots = 16385;
    in.pairs = 17; /* the executor has no more threads */
    in.max_bytes = NAN;
    api_check_fleet_params(&in, &errs);
    assert_true(names(&errs, "params.maxSlots") && names(&errs, "params.pairs") &&
                names(&errs, "params.maxBytes"));
}

static void a_cron_text_has_five_fields_in_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } row[] = {
        { "0 3 * * 0", true },        { "*/15 0-6 1,15 * 1-5", true },
        { "59 23 31 12 7", true },    { "0 3  * * 0", true },
        { "60 3 * * 0", false },      { "0 24 * * 0", false },
        { "0 3 0 * 0", false },       { "0 3 * 13 0", false },
        { "0 3 * * 8", false },       { "0 3 * *", false },
        { "0 3 * * 0 0", false },     { "", false },
        { "0 3 * * sun", true },      { "0 3 * * 0 ", false },
        { " 0 3 * * 0", false },      { "5-2 3 * * 0", false },
        { "*/0 3 * * 0", false },     { "1, 3 * * 0", false },
        { "@weekly", false },         { "-1 3 * * 0", false },
        { "0 3 30 2 *", false },      { "0 3 29 2 *", true },
        { "0 3 30 2 0", true },       { "0 3 31 4,6 */2", false },
        { "30/10 3 * * 0", true },    { "0 0 30 2 *", false },
        { "0 0 30 feb *", false },    { "0 0 31 jun,sep *", false },
        { "0 0 31 jun,Oct *", true }, { "0 0 29 FEB mon", true },
        { "0 3 * * fri-sun", true },  { "0 3 * * Mon-fri/2", true },
        { "0 3 * dec-jan *", false }, { "0 3 * * sunday", false },
        { "0 3 * * ju", false },      { "0 jan * * *", false },
        { "0 3 * sun *", false },     { "0 3 * * jan", false },
        { "0 3 * * */sun", false },   { "0 3 * * 5-0", true },
        { "0 3 * * 0-0", true },      { "0 3 30 2 */2", false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        if (api_cron_valid(row[i].text) != row[i].ok)
            fail_msg("cron \"%s\" is %s", row[i].text, row[i].ok ? "refused" : "taken");
}

static void every_bad_field_of_a_policy_is_named(void **state)
{
    (void)state;
    static const char *const good[] = { "failback", "repair" }, *const bad[] = { "failback",
                                                                                 "vertices",
                                                                                 "failback", NULL };
    struct api_errors errs = { 0 };
    struct api_policy_in in = { .automatic = good,
                                .n_automatic = 2,
                                .has_window = true,
                                .cron = "0 3 * * 0",
                                .time_zone = "UTC",
                                .minutes = 10080,
                                .max_slots = 1,
                                .has_max_slots = true };
    api_check_policy(&in, &errs);
    assert_int_equal(errs.n, 0);
    in = (struct api_policy_in){ .automatic = bad,
                                 .n_automatic = 4,
                                 .has_window = true,
                                 .cron = "weekly",
                                 .time_zone = "",
                                 .minutes = 0,
                                 .has_max_slots = true,
                                 .has_max_bytes = true };
    api_check_policy(&in, &errs);
    assert_int_equal(errs.n, 8);
    assert_true(names(&errs, "auto[1]") && names(&errs, "auto[2]") && names(&errs, "auto[3]") &&
                names(&errs, "window.cron") && names(&errs, "window.timeZone") &&
                names(&errs, "window.minutes") && names(&errs, "maxSlots") &&
                names(&errs, "maxBytes"));
    errs.n = 0;
    in = (struct api_policy_in){ .n_automatic = 0 }; /* nothing runs by itself */
    api_check_policy(&in, &errs);
    assert_int_equal(errs.n, 0);
}

static void pins_are_of_slots_shards_and_nodes(void **state)
{
    (void)state;
    char why[502];
    memset(why, 'w', 501);
    why[501] = '\0';
    static const struct {
        const char *kind, *value, *bad;
    } row[] = {
        { "slot", "0", NULL },       { "slot", "16383", NULL },    { "shard", "n1", NULL },
        { "node", "redis-1", NULL }, { "slot", "16384", "value" }, { "slot", "n1", "value" },
        { "node", "a b", "value" },  { "zone", "a", "kind" },      { "", "a", "kind" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_errors errs = { 0 };
        api_check_pin(row[i].kind, row[i].value, NULL, &errs);
        if (row[i].bad == NULL ? errs.n != 0 : !names(&errs, row[i].bad))
            fail_msg("%s/%s: %zu errors", row[i].kind, row[i].value, errs.n);
    }
    struct api_errors errs = { 0 };
    api_check_pin("slot", "1", why, &errs);
    assert_true(names(&errs, "why"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_takes_its_own_members),
        cmocka_unit_test(a_node_is_named_once_and_by_a_name),
        cmocka_unit_test(groups_hold_each_slot_once),
        cmocka_unit_test(caps_of_a_fleet_plan_are_numbers_that_can_be),
        cmocka_unit_test(a_cron_text_has_five_fields_in_range),
        cmocka_unit_test(every_bad_field_of_a_policy_is_named),
        cmocka_unit_test(pins_are_of_slots_shards_and_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
