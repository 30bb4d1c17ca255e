#include "t.h"

#include "api_check.h"

#include <math.h>
#include <string.h>

static bool names(const struct api_errors *errs, const char *field)
{
    for (size_t i = 0; i < errs->n; i++)
        if (strcmp(errs->e[i].field, field) == 0)
            return true;
    return false;
}

static void every_bad_field_of_a_node_is_named(void **state)
{
    (void)state;
    struct api_errors errs = { 0 };
    const struct api_node_in good = { .id = "n1", .host = "10.0.0.1", .port = 7000, .zone = "a" };
    api_check_node(&good, &errs);
    assert_int_equal(errs.n, 0);

    const struct api_node_in bad = { .id = "-n", .host = "ho st", .port = 65536, .zone = "A" };
    api_check_node(&bad, &errs);
    assert_int_equal(errs.n, 4);
    assert_true(names(&errs, "id") && names(&errs, "host") && names(&errs, "port") &&
                names(&errs, "zone"));
}

static void node_ids_follow_the_table(void **state)
{
    (void)state;
    char longest[65];
    memset(longest, 'x', 64);
    longest[64] = '\0';
    const struct {
        const char *id;
        size_t errors;
    } row[] = {
        { "a", 0 }, { "A.b_c-9", 0 }, { longest + 1, 0 }, { longest, 1 },
        { "", 1 },  { ".a", 1 },      { "a/b", 1 },       { "a b", 1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_errors errs = { 0 };
        const struct api_node_in in = { .id = row[i].id, .host = "h", .port = 1 };
        api_check_node(&in, &errs);
        assert_int_equal(errs.n, row[i].errors);
    }
}

static void seeds_are_nodes_with_commas_between(void **state)
{
    (void)state;
    char many[33 * 5 + 1] = "", longest[1100];
    for (size_t i = 0; i < 33; i++)
        memcpy(many + 5 * i, "h:12,", 5);
    many[33 * 5 - 1] = '\0';
    memset(longest, 'x', sizeof longest);
    memcpy(longest + sizeof longest - 4, ":12", 4);
    const struct {
        const char *seeds;
        size_t errors;
    } row[] = {
        { "10.0.0.1:6379", 0 },
        { "a:1,b.c:65535", 0 },
        { "::1:7000", 0 },
        { many + 5, 0 },
        { many, 1 },
        { longest, 1 },
        { "", 1 },
        { "a", 1 },
        { "a:", 1 },
        { "a:0", 1 },
        { "a:65536", 1 },
        { "a:1,", 1 },
        { ",a:1", 1 },
        { "a:1, b:1", 1 },
        { ":1", 1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_errors errs = { 0 };
        api_check_seeds("target", row[i].seeds, &errs);
        if (errs.n != row[i].errors)
            fail_msg("%s: %zu errors", row[i].seeds, errs.n);
        assert_true(errs.n == 0 || names(&errs, "target"));
    }
}

static void subnets_are_networks(void **state)
{
    (void)state;
    static const struct {
        const char *subnet;
        size_t errors;
    } row[] = {
        { NULL, 0 },          { "10.0.1.0/24", 0 },  { "0.0.0.0/0", 0 },
        { "10.0.0.1/32", 0 }, { "fd00::/8", 0 },     { "10.0.1.1/24", 1 },
        { "10.0.1.0/33", 1 }, { "10.0.1.0", 1 },     { "fd00::1/64", 1 },
        { "10.0.1.0/", 1 },   { "/24", 1 },          { "10.0.1.0/024", 1 },
        { "10.0.1.0/-1", 1 }, { "10.0.1.0/24x", 1 }, { "", 1 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_errors errs = { 0 };
        const struct api_zone_in in = { .id = "a", .subnet = row[i].subnet };
        api_check_zone(&in, &errs);
        if (errs.n != row[i].errors)
            fail_msg("%s: %zu errors", row[i].subnet, errs.n);
    }
}

static void a_capacity_is_a_finite_ratio(void **state)
{
    (void)state;
    const struct {
        double ratio;
        size_t errors;
    } row[] = { { 0, 0 },      { 1, 0 },   { 1000, 0 },    { -0.1, 1 },
                { 1000.5, 1 }, { NAN, 1 }, { INFINITY, 1 } };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct api_errors errs = { 0 };
        const struct api_zone_in in = { .capacity_ratio = row[i].ratio,
                                        .has_capacity_ratio = true };
        api_check_zone(&in, &errs);
        assert_int_equal(errs.n, row[i].errors);
    }
}

static void every_bad_field_of_a_run_is_named(void **state)
{
    (void)state;
    struct api_errors errs = { 0 };
    struct api_run_in in = { .file = "/data/g.txt",
                             .format = "snap",
                             .seed = INT32_MAX,
                             .has_seed = true,
                             .imbalance = 0.05,
                             .has_imbalance = true,
                             .seeds = 16,
                             .has_seeds = true };
    api_check_run(&in, &errs);
    assert_int_equal(errs.n, 0);
    in = (struct api_run_in){ .file = "g.txt",
                              .format = "csv",
                              .seed = -1,
                              .has_seed = true,
                              .imbalance = 0.06,
                              .has_imbalance = true,
                              .seeds = 17,
                              .has_seeds = true,
                              .kind = "hint",
                              .mode = "cold",
                              .parts = "some",
                              .fixed_file = "f.txt",
                              .move_cap = -1,
                              .has_move_cap = true,
                              .move_price = -0.1,
                              .has_move_price = true };
    api_check_run(&in, &errs);
    assert_int_equal(errs.n, 11);
    assert_true(names(&errs, "params.kind") && names(&errs, "params.mode") &&
                names(&errs, "params.fixedFile") && names(&errs, "params.moveCap") &&
                names(&errs, "params.movePrice"));
    assert_true(names(&errs, "source.file") && names(&errs, "source.format") &&
                names(&errs, "params.seed") && names(&errs, "params.seeds") &&
                names(&errs, "params.imbalance"));
}

static void capacities_and_fixed_vertices_name_what_can_be(void **state)
{
    (void)state;
    struct api_errors errs = { 0 };
    api_check_capacity("a", 0, &errs);
    api_check_capacity("zone-1", 1000, &errs);
    api_check_fixed("18446744073709551615", "a", &errs);
    assert_int_equal(errs.n, 0);
    api_check_capacity("A", 1, &errs);
    api_check_capacity("a", -0.5, &errs);
    api_check_capacity("a", 1001, &errs);
    api_check_fixed("x", "a", &errs);
    api_check_fixed("1", NULL, &errs);
    api_check_fixed("1", "", &errs);
    assert_int_equal(errs.n, 6);
}

static void every_bad_field_of_a_plan_is_named(void **state)
{
    (void)state;
    struct api_errors errs = { 0 };
    const struct api_plan_in in = { .run_id = 0,
                                    .has_run_id = true,
                                    .batch_vertices = 10001,
                                    .has_batch_vertices = true,
                                    .workers = 0,
                                    .has_workers = true };
    api_check_plan(&in, &errs);
    assert_int_equal(errs.n, 3);
}

static void more_errors_than_fit_are_counted_not_written(void **state)
{
    (void)state;
    struct api_errors errs = { 0 };
    for (int i = 0; i < API_MAX_ERRORS; i++)
        api_error(&errs, "f", "%d", i);
    assert_false(errs.more);
    api_error(&errs, "f", "one more");
    assert_true(errs.more);
    assert_int_equal(errs.n, API_MAX_ERRORS);
}

static void if_match_is_a_list_of_tags_or_a_star(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool matches, well_formed;
    } row[] = {
        { "\"12\"", true, true },
        { "\"13\"", false, true },
        { "\"12-9f\"", true, true }, /* what follows the dash is of the status */
        { "\"12-\"", true, true },
        { "\"-12\"", false, true },
        { "\"13-12\"", false, true },
        { "*", true, true },
        { " * ", true, true },
        { "\"1\", \"12\"", true, true },
        { "\"1\",\"12\" ", true, true },
        { "\"012\"", false, true },
        { "\"not a number\"", false, true },
        { "\"99999999999999999999999999\"", false, true },
        { "12", false, false },
        { "\"12", false, false },
        { "", false, false },
        { "\"12\" \"13\"", false, false },
        { "\"12\",", false, false },
        { "W/\"12\"", false, false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        bool well_formed;
        bool matches = api_etag_matches(row[i].header, 12, &well_formed);
        if (matches != row[i].matches || well_formed != row[i].well_formed)
            fail_msg("If-Match: %s: matches %d, well formed %d", row[i].header, matches,
                     well_formed);
    }
}

static void numbers_are_plain_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } row[] = {
        { "0", 10, true, 0 },
        { "10", 10, true, 10 },
        { "11", 10, false, 0 },
        { "", 10, false, 0 },
        { "01", 10, false, 0 },
        { "-1", 10, false, 0 },
        { "+1", 10, false, 0 },
        { "1 ", 10, false, 0 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        uint64_t v = 0;
        assert_int_equal(api_number_parse(row[i].text, row[i].max, &v), row[i].ok);
        assert_int_equal(v, row[i].value);
    }
}

static void uuids_and_idempotency_keys_are_checked(void **state)
{
    (void)state;
    char long_key[257];
    memset(long_key, 'k', 256);
    long_key[256] = '\0';
    assert_true(api_uuid_valid("123e4567-e89b-42d3-A456-426614174000"));
    assert_false(api_uuid_valid("123e4567-e89b-42d3-a456-42661417400"));
    assert_false(api_uuid_valid("123e4567-e89b-42d3-a456-42661417400g"));
    assert_false(api_uuid_valid("123e4567e89b-42d3-a456-4266141740000"));
    assert_true(api_idempotency_key_valid(long_key + 1));
    assert_false(api_idempotency_key_valid(long_key));
    assert_false(api_idempotency_key_valid(""));
    assert_false(api_idempotency_key_valid("a\tb"));
}

static void members_become_camel_case(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } row[] = {
        { "cross_share", "crossShare" },
        { "usd_per_month", "usdPerMonth" },
        { "a", "a" },
        { "_a", "_a" },
        { "a_", "a_" },
        { "a_1", "a_1" },
        { "us-east-1a", "us-east-1a" },
        { "already Camel", "already Camel" },
    };
    char out[32], cut[5];
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        api_camel(row[i].in, out, sizeof out);
        assert_string_equal(out, row[i].out);
    }
    api_camel("abcdefgh", cut, sizeof cut);
    assert_string_equal(cut, "abcd");
}

/* Every verb in every state of a plan. */
static void plan_verbs_are_accepted_where_they_make_sense(void **state)
{
    (void)state;
    static const char *const states[] = { "pending", "proposed", "approved", "running",  "paused",
                                          "done",    "failed",   "canceled", API_WAITING };
    static const struct {
        const char *want[9]; /* a state to set, "stop", or NULL: refused */
    } verb[API_VERB_COUNT] = {
        [API_EXECUTE] = { { [1] = "approved", [8] = "approved" } },
        [API_APPROVE] = { { [1] = "approved" } },
        [API_PAUSE] = { { [3] = "paused" } },
        [API_RESUME] = { { [4] = "running" } },
        [API_CANCEL] = { { "stop", "canceled", "stop", "stop", "stop", [8] = "canceled" } },
    };
    for (int v = 0; v < API_VERB_COUNT; v++)
        for (size_t s = 0; s < PR_COUNT(states); s++) {
            struct api_verdict got = api_plan_verb((enum api_verb)v, states[s]);
            const char *want = verb[v].want[s];
            if (want == NULL) {
                assert_int_equal(got.effect, API_REFUSE);
            } else if (strcmp(want, "stop") == 0) {
                assert_int_equal(got.effect, API_ASK_STOP);
            } else {
                assert_int_equal(got.effect, API_SET_STATE);
                assert_string_equal(got.to, want);
            }
        }
    char text[96];
    api_plan_verb_states(API_EXECUTE, text, sizeof text);
    assert_string_equal(text, "proposed or approved, not executed");
    api_plan_verb_states(API_CANCEL, text, sizeof text);
    assert_string_equal(text, "proposed or approved, not executed or pending or approved or "
                              "running or paused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_field_of_a_node_is_named),
        cmocka_unit_test(node_ids_follow_the_table),
        cmocka_unit_test(seeds_are_nodes_with_commas_between),
        cmocka_unit_test(subnets_are_networks),
        cmocka_unit_test(a_capacity_is_a_finite_ratio),
        cmocka_unit_test(every_bad_field_of_a_run_is_named),
        cmocka_unit_test(capacities_and_fixed_vertices_name_what_can_be),
        cmocka_unit_test(every_bad_field_of_a_plan_is_named),
        cmocka_unit_test(more_errors_than_fit_are_counted_not_written),
        cmocka_unit_test(if_match_is_a_list_of_tags_or_a_star),
        cmocka_unit_test(numbers_are_plain_decimals),
        cmocka_unit_test(uuids_and_idempotency_keys_are_checked),
        cmocka_unit_test(members_become_camel_case),
        cmocka_unit_test(plan_verbs_are_accepted_where_they_make_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
