/* What the service does without a person: standing orders, windows, nodes that came
 * back; and what it answers when it is asked why. */
#include "rebalance_fleet_stage.h"

#include "prism/v1/rebalance.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOKS_MS = 11000 }; /* the orders are looked at every 5 s */

static void policy(const char *spec)
{
    fs_sql("UPDATE policies SET spec = '%s' WHERE name = 'rebalance'", spec);
}

static const char *by_policy(const char *goal)
{
    return fs_text(
        "SELECT coalesce(string_agg(state, ' ' ORDER BY id), '') FROM plans WHERE "
        "created_by = 'policy rebalance' AND goal->>'kind' = '%s' AND created_at > now() "
        "- interval '2 minutes'",
        goal);
}

static const char *all_plans(void)
{
    return fs_text("SELECT string_agg(id || ' ' || (goal->>'kind') || ' ' || state || ' ' || "
                   "coalesce(error, ''), '; ' ORDER BY id) FROM plans");
}

/* Plans that the policy made in an earlier test would cool down this one's. */
static int begin(void **state)
{
    (void)fs_begin(state);
    fs_sql("UPDATE plans SET created_at = created_at - interval '2 days', started_at = started_at "
           "- interval '2 days', finished_at = finished_at - interval '2 days'");
    return 0;
}

struct text_is {
    const char *want, *goal;
};

static bool made(void *ctx)
{
    const struct text_is *t = ctx;
    return strcmp(by_policy(t->goal), t->want) == 0;
}

static void await_made(const char *goal, const char *states)
{
    struct text_is t = { states, goal };
    if (!it_await(made, &t, FS_AWAIT_MS))
        fail_msg("%s plans of the policy, want '%s': %s", goal, states, all_plans());
}

static bool changed(void *ctx)
{
    return !made(ctx);
}

static void stays_so(const char *goal, const char *states)
{
    struct text_is t = { states, goal };
    if (it_await(changed, &t, LOOKS_MS))
        fail_msg("%s plans of the policy: '%s', want '%s'", goal, by_policy(goal), states);
}

/* --- by itself ------------------------------------------------------------------------ */

static void primary_goes_home_by_itself(void **state)
{
    (void)state;
    const struct fs_shard *s = &fs.shard[2];
    fs_fail_over(s->port[1]);
    assert_string_equal(by_policy("failback"), "");
    policy("{\"auto\": [\"failback\"]}");
    await_made("failback", "done");
    fs_settle();
    assert_int_equal(fs_primary(2), s->port[0]);
    assert_int_equal(fs_number("SELECT count(*) FROM plans p JOIN operations o ON o.id = "
                               "p.execute_operation_id WHERE p.created_by = 'policy rebalance' AND "
                               "p.approved_by = 'policy rebalance' AND o.state = 'done' AND "
                               "p.state = 'done' AND p.created_at > now() - interval '2 minutes'"),
                     1);
}

static void nothing_to_do_is_canceled_once(void **state)
{
    (void)state;
    policy("{\"auto\": [\"balance\"]}");
    await_made("balance", "canceled");
    assert_string_equal(fs_text("SELECT error FROM plans ORDER BY id DESC LIMIT 1"),
                        "there is nothing to do");
    assert_int_equal(fs_number("SELECT count(*) FROM plans p JOIN operations o ON o.id = "
                               "p.operation_id WHERE o.state NOT IN ('done', 'canceled') AND "
                               "p.created_by = 'policy rebalance' AND p.created_at > now() - "
                               "interval '2 minutes'"),
                     0);
    stays_so("balance", "canceled");
}

static void goal_that_the_policy_does_not_name_waits_for_a_person(void **state)
{
    (void)state;
    policy("{\"auto\": [\"balance\"], \"maxSlots\": 3}");
    await_made("balance", "canceled");
    fs_sql("UPDATE plans SET created_at = created_at - interval '3 days'");
    policy("{}");
    const long plan = fs_proposed(fs_assign(1, 0, 900, NULL), "{}");
    fs_run(plan);
    fs_settle();
    policy("{\"auto\": [\"balance\"], \"maxSlots\": 3}");
    await_made("balance", "proposed"); /* larger than it may be */
    stays_so("balance", "proposed");
    assert_true(fs_number("SELECT (summary->>'slots')::int FROM plans ORDER BY id DESC LIMIT 1") >
                3);
}

/* What autoscale has decided is approved by that, whatever the policy lets rebalance do by itself,
 * and begun at once; but nothing is while everything was told to stop. */
static void plan_of_autoscale_is_begun_at_once(void **state)
{
    (void)state;
    policy("{\"window\": {\"cron\": \"0 3 1 1 *\", \"minutes\": 5}, \"maxSlots\": 1}");
    fs_sql("UPDATE policies SET halted = true WHERE name = 'rebalance'");
    const long plan = fs_number(
        "WITH p AS (INSERT INTO plans (operation_id, kind, goal, created_by) VALUES "
        "(gen_random_uuid(), 'fleet', '%s', 'policy autoscale') RETURNING id, operation_id), o AS "
        "(INSERT INTO operations (id, kind, resource, created_by) SELECT operation_id, "
        "'rebalance.plan', 'rebalance/plans/' || id, 'policy autoscale' FROM p) SELECT id FROM p",
        fs_assign(1, 0, 3, NULL));
    const struct timespec looks = { LOOKS_MS / 1000, 0 };
    nanosleep(&looks, NULL);
    assert_string_equal(fs_text("SELECT state FROM plans WHERE id = %ld", plan), "pending");
    fs_sql("UPDATE policies SET halted = false WHERE name = 'rebalance'");
    fs_await_plan(plan, "done");
    assert_string_equal(fs_text("SELECT approved_by FROM plans WHERE id = %ld", plan),
                        "policy autoscale");
    fs_check_done(plan);
}

/* --- windows --------------------------------------------------------------------------- */

static void approve(long plan) /* without executing it: the orders begin it */
{
    assert_int_equal(fs_number("UPDATE plans SET state = 'approved', approved_by = 'test' WHERE id "
                               "= %ld RETURNING id",
                               plan),
                     plan);
}

static bool began(void *ctx)
{
    return strcmp(fs_text("SELECT state FROM plans WHERE id = %ld", *(const long *)ctx),
                  "approved") != 0;
}

/* A window of so many minutes that begins some minutes from now. */
static void window(int from_now_min, int minutes)
{
    fs_sql("UPDATE policies SET spec = jsonb_build_object('window', jsonb_build_object('timeZone', "
           "'Asia/Tokyo', 'minutes', %d, 'cron', to_char((now() + interval '%d minutes') AT TIME "
           "ZONE 'Asia/Tokyo', 'FMMI FMHH24 * * *'))) WHERE name = 'rebalance'",
           minutes, from_now_min);
}

static void approved_plan_waits_for_its_window(void **state)
{
    (void)state;
    long plan = fs_proposed(fs_assign(1, 0, 3, NULL), "{}");
    window(120, 60);
    approve(plan);
    assert_false(it_await(began, &plan, LOOKS_MS));
    window(-2, 3); /* now, and too short for what must end a minute before it does */
    fs_sql("UPDATE plans SET summary = summary || '{\"duration_s\": 300}' WHERE id = %ld", plan);
    assert_false(it_await(began, &plan, LOOKS_MS));
    window(-2, 60);
    fs_await_plan(plan, "done");
    assert_string_equal(fs_text("SELECT approved_by FROM plans WHERE id = %ld", plan), "test");
    fs_check_done(plan);

    long repair = fs_proposed("{\"kind\": \"repair\"}", "{}");
    approve(repair); /* how long it takes is known, too */
    fs_await_plan(repair, "done");
}

/* --- nodes that came back ------------------------------------------------------------------ */

static bool replicates(void *ctx)
{
    const int *port = ctx; /* replica, primary */
    char want[64];
    snprintf(want, sizeof want, "master_port:%d", port[1]);
    const char *info = fs_ask(port[0], "INFO replication");
    return strstr(info, want) != NULL && strstr(info, "master_link_status:up") != NULL;
}

static bool is_empty_primary(void *ctx)
{
    const int *port = ctx;
    return fs_number("SELECT count(*) FROM nodes n JOIN shards s ON s.id = n.shard_id WHERE n.port "
                     "= %d AND n.role = 'primary' AND n.slots = 0 AND n.state = 'up' AND "
                     "s.primary_id = 'n%d'",
                     port[0], port[1]) == 1;
}

/* A former primary comes back as one without slots, as after a failure during which
 * two others took its slots over. */
static void come_back_empty(int port, int primary)
{
    fs_fail_over(primary);
    fs_sql("UPDATE policies SET halted = true WHERE name = 'rebalance'");
    char bus[16];
    const char *nodes = fs_ask(primary, "CLUSTER NODES");
    char mine[32];
    snprintf(mine, sizeof mine, "127.0.0.1:%d@", primary);
    const char *at = strstr(nodes, mine);
    assert_non_null(at);
    snprintf(bus, sizeof bus, "%d", atoi(at + strlen(mine)));
    assert_string_equal(fs_ask(port, "CLUSTER RESET SOFT"), "OK");
    assert_string_equal(fs_ask(port, "CLUSTER MEET 127.0.0.1 %d %s", primary, bus), "OK");
    int both[2] = { port, primary };
    if (!it_await(is_empty_primary, both, FS_AWAIT_MS))
        fail_msg("%d is not an empty primary of its shard: %s", port,
                 fs_text("SELECT role || ' ' || slots || ' ' || state || ' shard ' || "
                         "coalesce(shard_id, '-') FROM nodes WHERE port = %d",
                         port));
}

static void empty_primary_is_taken_back(void **state)
{
    (void)state;
    int both[2] = { fs.shard[2].port[0], fs.shard[2].port[1] };
    int slot = 0;
    while (fs_owner(slot) != both[0])
        slot += 64;
    fs_load(slot, 50, 100);
    come_back_empty(both[0], both[1]);
    fs_sql("UPDATE policies SET halted = false WHERE name = 'rebalance'");
    if (!it_await(replicates, both, FS_AWAIT_MS))
        fail_msg("%d does not replicate %d: %s", both[0], both[1], all_plans());
    await_made("join", "done");
    fs_settle();
    assert_int_equal(
        fs_number("SELECT count(*) FROM nodes WHERE port = %d AND role = 'replica' AND "
                  "shard_id = (SELECT shard_id FROM nodes WHERE port = %d)",
                  both[0], both[1]),
        1);
    assert_int_equal(fs_keys(both[0], slot), 50);
    redisContext *c = it_redis_admin(both[1]);
    redisReply *r = redisCommand(c, "GET {%s}k0", fs_tag(slot));
    assert_int_equal(r->len, 100); /* the shard's copy is the one that counts */
    freeReplyObject(r);
    redisFree(c);
}

/* --- repair ---------------------------------------------------------------------------------- */

static void half_moved_slot_and_stray_key_are_repaired(void **state)
{
    (void)state;
    char a[64], b[64];
    int slot = 1;
    const int src = fs.shard[0].port[0], dst = fs.shard[2].port[0];
    while (fs_owner(slot) != src)
        slot += 64;
    int other = slot + 1;
    while (fs_owner(other) != src)
        other++;
    snprintf(a, sizeof a, "%.40s", fs_ask(src, "CLUSTER MYID"));
    snprintf(b, sizeof b, "%.40s", fs_ask(dst, "CLUSTER MYID"));
    fs_load(slot, 60, 100);
    assert_string_equal(fs_ask(dst, "CLUSTER SETSLOT %d IMPORTING %s", slot, a), "OK");
    assert_string_equal(fs_ask(src, "CLUSTER SETSLOT %d MIGRATING %s", slot, b), "OK");
    for (int i = 0; i < 20; i++) /* as a reshard that was killed leaves it */
        assert_string_equal(fs_ask(src, "MIGRATE 127.0.0.1 %d {%s}k%d 0 5000 AUTH2 admin %s", dst,
                                   fs_tag(slot), i, it_env("IT_REDIS_ADMIN_PASSWORD")),
                            "OK");
    redisContext *c = it_redis_admin(dst); /* and a key where nobody looks for it */
    assert_string_equal(fs_ask(dst, "CLUSTER SETSLOT %d IMPORTING %s", other, a), "OK");
    freeReplyObject(redisCommand(c, "ASKING"));
    freeReplyObject(redisCommand(c, "SET {%s}stray 1", fs_tag(other)));
    redisFree(c);
    assert_string_equal(fs_ask(dst, "CLUSTER SETSLOT %d STABLE", other), "OK");
    assert_int_equal(fs_keys(dst, other), 1);

    const long plan = fs_proposed("{\"kind\": \"repair\"}", "{}");
    assert_int_equal(
        fs_number("SELECT (summary->>'open_slots')::int FROM plans WHERE id = %ld", plan), 1);
    fs_run(plan);
    print_message("  %s\n", fs_text("SELECT result FROM plans WHERE id = %ld", plan));
    assert_int_equal(fs_open_marks(), 0);
    assert_int_equal(fs_keys(fs_owner(slot), slot), 60);
    assert_int_equal(fs_keys(src, other), 1);
    assert_int_equal(fs_keys(dst, other), 0);
}

/* --- explanations ------------------------------------------------------------------------------
 */

static enum pr_code explain(Prism__V1__RebalanceExplainRequest *r, char *out, size_t size,
                            struct pr_err *err)
{
    uint8_t packed[128];
    void *reply = NULL;
    size_t len = 0;
    assert_true(prism__v1__rebalance_explain_request__get_packed_size(r) <= sizeof packed);
    const size_t n = prism__v1__rebalance_explain_request__pack(r, packed);
    enum pr_code rc =
        pr_bus_request(fs.bus, "prism.rpc.rebalance.explain", packed, n, 10000, &reply, &len, err);
    if (rc != PR_OK)
        return rc;
    Prism__V1__RebalanceExplainResponse *a =
        prism__v1__rebalance_explain_response__unpack(NULL, len, reply);
    assert_non_null(a);
    snprintf(out, size, "%s|%s", a->code, a->text);
    prism__v1__rebalance_explain_response__free_unpacked(a, NULL);
    free(reply);
    return PR_OK;
}

static void explanations_are_given_in_words(void **state)
{
    (void)state;
    char text[1024], node[16], nobody[] = "nobody";
    struct pr_err err = { 0 };
    Prism__V1__RebalanceExplainRequest r = PRISM__V1__REBALANCE_EXPLAIN_REQUEST__INIT;
    r.about_case = PRISM__V1__REBALANCE_EXPLAIN_REQUEST__ABOUT_SLOT;
    r.slot = 77;
    assert_ok(explain(&r, text, sizeof text, &err), &err);
    print_message("  slot 77: %s\n", text);
    assert_true(strlen(text) > 20);
    snprintf(node, sizeof node, "n%d", fs_owner(77));
    assert_non_null(strstr(text, node));
    r.slot = 16384;
    assert_int_equal(explain(&r, text, sizeof text, &err), PR_EINVAL);
    assert_non_null(strstr(err.text, "16384"));

    r.about_case = PRISM__V1__REBALANCE_EXPLAIN_REQUEST__ABOUT_NODE;
    r.node = node;
    assert_ok(explain(&r, text, sizeof text, &err), &err);
    print_message("  %s: %s\n", node, text);
    assert_non_null(strstr(text, "primary"));
    r.node = nobody;
    assert_int_equal(explain(&r, text, sizeof text, &err), PR_ENOTFOUND);
    assert_non_null(strstr(err.text, "nobody"));

    r = (Prism__V1__RebalanceExplainRequest)PRISM__V1__REBALANCE_EXPLAIN_REQUEST__INIT;
    assert_int_equal(explain(&r, text, sizeof text, &err), PR_EINVAL);
}

/* --- nodes that come back again and again --------------------------------------------------- */

static bool held_are(void *ctx)
{
    static char text[256 * 1024];
    char want[64];
    snprintf(want, sizeof want, "\nprism_rebalance_nodes_held_back %d\n", *(int *)ctx);
    return it_http(fs.service.port, "GET", "/metrics", NULL, NULL, text, sizeof text) == 200 &&
           strstr(text, want) != NULL;
}

static void node_that_comes_back_too_often_waits_for_a_person(void **state)
{
    (void)state;
    int both[2] = { fs.shard[2].port[0], fs.shard[2].port[1] }, none = 0, one = 1;
    char text[1024], node[16], goal[128];
    struct pr_err err = { 0 };
    Prism__V1__RebalanceExplainRequest r = PRISM__V1__REBALANCE_EXPLAIN_REQUEST__INIT;
    snprintf(node, sizeof node, "n%d", both[0]);
    fs_sql("DELETE FROM node_returns");
    fs_sql("INSERT INTO node_returns (node_id, at, follows) SELECT '%s', now() - i * interval '3 "
           "hours', true FROM generate_series(1, 6) i",
           node);
    come_back_empty(both[0], both[1]);
    fs_sql("UPDATE policies SET halted = false WHERE name = 'rebalance'");
    assert_true(it_await(held_are, &one, FS_AWAIT_MS));
    assert_false(it_await(replicates, both, LOOKS_MS));
    assert_string_equal(by_policy("join"), "");
    r.about_case = PRISM__V1__REBALANCE_EXPLAIN_REQUEST__ABOUT_NODE;
    r.node = node;
    assert_ok(explain(&r, text, sizeof text, &err), &err);
    print_message("  %s\n", text);
    assert_int_equal(strncmp(text, "held_back|", 10), 0);
    assert_non_null(strstr(text, "6 times"));

    snprintf(goal, sizeof goal, "{\"kind\": \"join\", \"role\": \"replica\", \"nodes\": [\"%s\"]}",
             node);
    fs_run(fs_proposed(goal, "{}"));
    assert_true(it_await(replicates, both, FS_AWAIT_MS));
    fs_settle();
    assert_true(it_await(held_are, &none, FS_AWAIT_MS));
    /* One of the six is of another day now, and the seventh was a person's: it may again. */
    fs_sql("UPDATE node_returns SET at = at - interval '7 hours'");
    come_back_empty(both[0], fs_primary(2));
    fs_sql("UPDATE policies SET halted = false WHERE name = 'rebalance'");
    await_made("join", "done");
    both[1] = fs_primary(2);
    assert_true(it_await(replicates, both, FS_AWAIT_MS));
    assert_int_equal(fs_number("SELECT count(*) FROM node_returns r JOIN plans p ON p.id = "
                               "r.plan_id WHERE r.node_id = '%s' AND p.state = 'done'",
                               node),
                     1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, fs_end)

int main(int argc, char **argv)
{
    if (argc > 1) /* a pattern of names */
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(primary_goes_home_by_itself),
        TEST(nothing_to_do_is_canceled_once),
        TEST(plan_of_autoscale_is_begun_at_once),
        TEST(goal_that_the_policy_does_not_name_waits_for_a_person),
        TEST(approved_plan_waits_for_its_window),
        TEST(empty_primary_is_taken_back),
        TEST(half_moved_slot_and_stray_key_are_repaired),
        TEST(explanations_are_given_in_words),
        TEST(node_that_comes_back_too_often_waits_for_a_person),
    };
    return cmocka_run_group_tests(tests, fs_open, fs_close);
}
