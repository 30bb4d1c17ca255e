/* Steps of plans that change the fleet, and what they explain: rows of the rebalance service are
 * made here. */
#include "api_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct reply r;

/* Two nodes met, 6 slots n1 -> n2 in waves 1 and 2; 3 of them are over. */
static void make_steps(long long id)
{
    api_sql("INSERT INTO steps (plan_id, step, wave, kind, dst_node, state) SELECT %lld, i, 1, "
            "'meet', 'n' || i, 'verified' FROM generate_series(1, 2) i",
            id);
    api_sql("INSERT INTO steps (plan_id, step, wave, kind, slot, shard, src_node, dst_node, bytes, "
            "keys, why, state, moved_keys, moved_bytes, error) SELECT %lld, 2 + i, 1 + i / 4, "
            "'slot', 99 + i, 'n1', 'n1', 'n2', 1000, 10, 'evenness of zone a', CASE WHEN i < 4 "
            "THEN 'verified' WHEN i = 4 THEN 'stuck' ELSE 'planned' END, CASE WHEN i < 4 THEN 10 "
            "ELSE 0 END, CASE WHEN i < 4 THEN 900 ELSE 0 END, CASE WHEN i = 4 THEN 'key k7 is on "
            "both sides' END FROM generate_series(1, 6) i",
            id);
}

static void a_plan_counts_its_steps_by_kind_and_state(void **state)
{
    (void)state;
    const long long id = api_balance_plan(&r);
    api_look_at_plan(&r, id, "", 200);
    assert_int_equal(json_object_size(json_object_get(r.j, "steps")), 0);
    assert_true(json_is_null(json_object_get(r.j, "wave")));
    make_steps(id);
    api_look_at_plan(&r, id, "", 200);
    const json_t *slots = json_object_get(json_object_get(r.j, "steps"), "slot");
    const json_t *over = json_object_get(slots, "verified");
    assert_int_equal(json_integer_value(json_object_get(over, "steps")), 3);
    assert_int_equal(json_integer_value(json_object_get(over, "movedKeys")), 30);
    assert_int_equal(json_integer_value(json_object_get(over, "movedBytes")), 2700);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(slots, "stuck"), "steps")),
                     1);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(slots, "planned"), "bytes")), 2000);
    assert_int_equal(api_int(&r, "wave"), 2);
    assert_int_equal(api_int(&r, "waves"), 2);
}

static void steps_are_paged_and_filtered(void **state)
{
    (void)state;
    const long long id = api_balance_plan(&r);
    make_steps(id);
    make_steps(api_balance_plan(&r)); /* another plan's are not shown */
    static const struct {
        const char *query;
        size_t want;
    } row[] = {
        { "", 8 },
        { "?kind=meet", 2 },
        { "?wave=2", 3 },
        { "?state=planned", 2 },
        { "?slot=103", 1 },
        { "?node=n1", 7 }, /* 6 slots from it, and it was met */
        { "?node=n2&kind=slot&state=verified&wave=1", 3 },
        { "?node=n9", 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char rest[100];
        snprintf(rest, sizeof rest, "/steps%s", row[i].query);
        api_look_at_plan(&r, id, rest, 200);
        if (json_array_size(json_object_get(r.j, "items")) != row[i].want)
            fail_msg("%s: %s", rest, r.text);
    }
    api_look_at_plan(&r, id, "/steps?slot=103", 200);
    const json_t *step = json_array_get(json_object_get(r.j, "items"), 0);
    assert_string_equal(json_string_value(json_object_get(step, "from")), "n1");
    assert_string_equal(json_string_value(json_object_get(step, "to")), "n2");
    assert_string_equal(json_string_value(json_object_get(step, "state")), "stuck");
    assert_string_equal(json_string_value(json_object_get(step, "error")),
                        "key k7 is on both sides");
    api_look_at_plan(&r, 999999, "/steps", 404);

    long long seen = 0, last = 0;
    char rest[700] = "/steps?pageSize=3";
    for (;;) {
        size_t i;
        const json_t *item;
        api_look_at_plan(&r, id, rest, 200);
        json_array_foreach(json_object_get(r.j, "items"), i, item)
        {
            const long long n = json_integer_value(json_object_get(item, "step"));
            assert_true(n > last);
            last = n;
            seen++;
        }
        const char *token = json_string_value(json_object_get(r.j, "nextPageToken"));
        if (token == NULL)
            break;
        snprintf(rest, sizeof rest, "/steps?pageSize=3&pageToken=%s", token);
    }
    assert_int_equal(seen, 8);
}

static void a_page_token_belongs_to_one_plan(void **state)
{
    (void)state;
    char rest[700];
    const long long a = api_balance_plan(&r), b = api_balance_plan(&r);
    make_steps(a);
    make_steps(b);
    api_look_at_plan(&r, a, "/steps?pageSize=2", 200);
    snprintf(rest, sizeof rest, "/steps?pageSize=2&pageToken=%s", api_str(&r, "nextPageToken"));
    api_look_at_plan(&r, b, rest, 400);
    api_look_at_plan(&r, a, rest, 200);
}

static void explain(const char *query, int status)
{
    char path[200];
    snprintf(path, sizeof path, "/v1/rebalance/explain%s", query);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, status);
}

static void a_slot_that_a_plan_moves_is_explained_by_its_step(void **state)
{
    (void)state;
    char query[100];
    const long long id = api_balance_plan(&r);
    make_steps(id);
    snprintf(query, sizeof query, "?plan=%lld&slot=100", id);
    explain(query, 200);
    assert_string_equal(api_str(&r, "code"), "moved");
    assert_string_equal(api_str(&r, "text"), "evenness of zone a");
    assert_string_equal(json_string_value(json_object_get(json_object_get(r.j, "step"), "to")),
                        "n2");
    snprintf(query, sizeof query, "?plan=%lld&slot=103", id);
    explain(query, 200);
    assert_string_equal(api_str(&r, "code"), "stuck");
    snprintf(query, sizeof query, "?plan=%lld&slot=105", id);
    explain(query, 200);
    assert_string_equal(api_str(&r, "code"), "moves");
    snprintf(query, sizeof query, "?plan=%lld&slot=7", id);
    explain(query, 503); /* the planner knows, and nobody plans here */
    explain("?plan=999999&slot=7", 404);
    explain("?slot=7", 503);
    explain("?node=n1", 503);
    explain("", 400);
    explain("?slot=7&node=n1", 400);
    explain("?slot=16384", 400);
    explain("?slot=1&plan=x", 400);
    explain("?node=a%20b", 400);
}

static void a_shard_says_in_which_zone_it_belongs(void **state)
{
    (void)state;
    api_sql("UPDATE shards SET home_zone = 'b' WHERE id = 'n1'");
    api_call(&r, "admin", "PATCH", "/v1/zones/a", "{\"capacityRatio\":1}", "If-Match: *");
    assert_status(&r, 200); /* which has the snapshot read again */
    api_call(&r, "viewer", "GET", "/v1/topology", NULL, NULL);
    const json_t *shards = json_object_get(r.j, "shards"), *first = json_array_get(shards, 0);
    assert_string_equal(json_string_value(json_object_get(first, "homeZone")), "b");
    assert_string_equal(json_string_value(json_object_get(first, "zone")), "a");
    assert_true(json_is_null(json_object_get(json_array_get(shards, 1), "homeZone")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_counts_its_steps_by_kind_and_state),
        cmocka_unit_test(steps_are_paged_and_filtered),
        cmocka_unit_test(a_page_token_belongs_to_one_plan),
        cmocka_unit_test(a_slot_that_a_plan_moves_is_explained_by_its_step),
        cmocka_unit_test(a_shard_says_in_which_zone_it_belongs),
    };
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
