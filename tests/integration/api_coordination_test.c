/* /v1/dr/generations, /v1/dr/restores and /v1/coordination, and their commands: rows as the
 * services write them, streams as NATS has them. */
#include "api_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct reply r;
static char out[1 << 18];

static void ctl(const char *line, int want, const char *words)
{
    const int got = api_ctl("viewer", NULL, line, out, sizeof out);
    if (got != want || strstr(out, words) == NULL)
        fail_msg("prismctl %s: %d: %s", line, got, out);
}

static void get(const char *path, int status)
{
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, status);
}

static const json_t *item(const char *list, const char *member, const char *value)
{
    size_t i;
    const json_t *each;
    json_array_foreach(json_object_get(r.j, list), i, each)
    {
        const char *v = json_string_value(json_object_get(each, member));
        if (v != NULL && strcmp(v, value) == 0)
            return each;
    }
    fail_msg("no %s with %s %s: %s", list, member, value, r.text);
    return NULL;
}

static long long whole(const json_t *of, const char *member)
{
    if (!json_is_integer(json_object_get(of, member)))
        fail_msg("%s is no number: %s", member, r.text);
    return json_integer_value(json_object_get(of, member));
}

static const char *text(const json_t *of, const char *member)
{
    const char *v = json_string_value(json_object_get(of, member));
    return v == NULL ? "" : v;
}

#define NEWEST "0000000000000012-0002" /* epoch 18 */

static void rows_of_dr(void)
{
    api_sql("INSERT INTO dr_groups (id, groups, epoch, seq, holder) "
            "VALUES ('g0', 1, 18, 41, 'dr-1')");
    api_sql("INSERT INTO dr_shards (shard_id, group_id, generation_epoch, generation_n, replid, "
            "durable_offset, chain, durable_at, beat_at, since, seen_offset, spool_bytes, "
            "streaming, base_bytes, bases_failed, rate_bps, backlog_bytes, alarms, source, error) "
            "SELECT s, 'g0', e, 2, repeat('a', 40), 1000, '', now(), now(), now(), 1500, 0, true, "
            "0, 0, 0, 0, '{}', '', '' FROM (VALUES ('n1', 18), ('n2', 0)) v (s, e)");
    api_sql("INSERT INTO dr_generations (shard_id, epoch, n, verified_at, damaged_at, reason) "
            "VALUES ('n1', 18, 2, now(), NULL, ''), ('n1', 18, 1, now(), now(), 'part 3'), "
            "('n1', 7, 4, now(), NULL, ''), ('n3', 7, 4, NULL, now(), 'no manifest')");
    api_sql("INSERT INTO dr_bases_wanted VALUES ('n1', 18, 1, 'damaged')");
    api_sql("INSERT INTO dr_drills (shard_id, asked_by, state, outcome, started_at, finished_at, "
            "generation, skipped, base_bytes, stream_bytes, keys, rto_ms, rpo_ms) VALUES "
            "('n1', 'schedule', 'done', 'good', now() - interval '1 h', now(), '" NEWEST
            "', 1, 10, 5, 3, 900, 100)");
    api_sql("INSERT INTO dr_drills (shard_id, asked_by) VALUES ('n2', 'operator')");
    api_sql("INSERT INTO dr_failovers VALUES (1, 'east', 'west', 'admin', 3, now() - interval "
            "'1 day', now(), now(), 5, 9000, 1, '{}')");
}

static void generations_say_what_reading_them_found(void **state)
{
    (void)state;
    char path[700];
    rows_of_dr();
    get("/v1/dr/generations?pageSize=2", 200);
    const json_t *g = json_array_get(json_object_get(r.j, "items"), 0);
    assert_string_equal(text(g, "shard"), "n1"); /* by shard, newest first */
    assert_string_equal(text(g, "generation"), NEWEST);
    assert_true(json_is_true(json_object_get(g, "current")));
    assert_string_equal(text(g, "state"), "verified");
    assert_int_equal(whole(g, "durableOffset"), 1000);
    assert_int_equal(whole(g, "lagBytes"), 500);
    assert_string_equal(text(json_object_get(g, "drill"), "outcome"), "good");
    g = json_array_get(json_object_get(r.j, "items"), 1);
    assert_string_equal(text(g, "state"), "damaged");
    assert_string_equal(text(g, "reason"), "part 3");
    assert_string_equal(text(g, "newBaseWanted"), "damaged");
    assert_true(json_is_null(json_object_get(g, "durableOffset"))); /* it is written no more */
    snprintf(path, sizeof path, "/v1/dr/generations?pageSize=2&pageToken=%s",
             api_str(&r, "nextPageToken"));
    get(path, 200);
    g = json_array_get(json_object_get(r.j, "items"), 0);
    assert_string_equal(text(g, "generation"), "0000000000000007-0004");
    g = json_array_get(json_object_get(r.j, "items"), 1);
    assert_string_equal(text(g, "shard"), "n3");
    assert_null(json_object_get(r.j, "nextPageToken")); /* n2 has none yet */

    get("/v1/dr/generations?state=damaged", 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 2);
    get("/v1/dr/generations?shard=n3", 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
    get("/v1/dr/generations/n1/" NEWEST, 200);
    assert_string_equal(api_str(&r, "generation"), NEWEST);
    get("/v1/dr/generations/n2/" NEWEST, 404);
    get("/v1/dr/generations/n1/12-2", 400);
    api_sql("DELETE FROM dr_generations WHERE epoch = 18 AND n = 2");
    get("/v1/dr/generations/n1/" NEWEST, 200); /* it is written, but nobody has read it */
    assert_string_equal(api_str(&r, "state"), "unread");
    ctl("dr generations --shard n1", 0, "damaged");
    ctl("dr generations n1 " NEWEST, 0, "unread");
    ctl("dr generations n1", 2, ""); /* of a shard, one by its name */
    ctl("dr drills 1", 0, "good");
    ctl("dr drills 99", 5, "");
    api_call(&r, NULL, "GET", "/v1/dr/generations", NULL, NULL);
    assert_status(&r, 401);
}

static void restores_are_drills_and_failovers(void **state)
{
    (void)state;
    char path[700];
    get("/v1/dr/restores?pageSize=1", 200);
    const json_t *one = json_array_get(json_object_get(r.j, "items"), 0);
    assert_string_equal(text(one, "kind"), "drill"); /* the one that is open is none yet */
    assert_int_equal(whole(one, "bytes"), 15);
    assert_int_equal(whole(one, "rtoMs"), 900);
    snprintf(path, sizeof path, "/v1/dr/restores?pageSize=1&pageToken=%s",
             api_str(&r, "nextPageToken"));
    get(path, 200);
    one = json_array_get(json_object_get(r.j, "items"), 0);
    assert_string_equal(text(one, "kind"), "failover");
    assert_string_equal(text(one, "site"), "west");
    assert_true(json_is_null(json_object_get(one, "shard")));
    assert_null(json_object_get(r.j, "nextPageToken"));
    get("/v1/dr/restores?shard=n1&outcome=good", 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
    get("/v1/dr/restores?kind=failover", 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 1);
    ctl("dr restores", 0, "failover");
}

static void coordination_is_members_streams_backlogs_and_marks(void **state)
{
    (void)state;
    api_sql("INSERT INTO leases VALUES ('held', 'r-1', 3, now() + interval '1 h'), "
            "('left', 'r-2', 4, '-infinity')");
    api_sql("INSERT INTO outbox (service, subject, payload) VALUES ('nobody', 'x', ''), "
            "('nobody', 'x', '')");
    api_call(&r, "operator", "POST", "/v1/placement/runs", "{\"source\":{\"file\":\"/g\"}}", NULL);
    assert_status(&r, 202); /* a command that nobody takes */
    get("/v1/coordination", 200);
    assert_true(json_is_true(json_object_get(item("members", "lease", "held"), "held")));
    const json_t *left = item("members", "lease", "left");
    assert_false(json_is_true(json_object_get(left, "held")));
    assert_true(json_is_null(json_object_get(left, "expiresAt")));
    assert_int_equal(whole(item("outbox", "service", "nobody"), "waiting"), 2);
    const json_t *mark = item("marks", "shard", "n1");
    assert_int_equal(whole(mark, "container"), 41);
    assert_int_equal(whole(mark, "durableOffset"), 1000);
    assert_true(json_is_null(json_object_get(r.j, "error")));
    assert_int_equal(json_array_size(json_object_get(r.j, "streams")), 5);
    assert_true(json_is_null(json_object_get(item("streams", "name", "PRISM_DLQ"), "lastAt")));
    const json_t *c = item("consumers", "name", "placement");
    assert_string_equal(text(c, "stream"), "PRISM_CMD");
    assert_false(json_is_true(json_object_get(c, "bound"))); /* no placement service runs */
    ctl("coordination", 0, "PRISM_CMD");
    ctl("-o json coordination", 0, "acknowledgedSequence");
}

static bool has_arrived(void *ctx)
{
    (void)ctx;
    get("/v1/coordination", 200);
    return whole(item("streams", "name", "PRISM_CMD"), "messages") == 1 &&
           whole(item("consumers", "name", "placement"), "waiting") == 1;
}

static void a_command_that_waits_is_seen_at_its_consumer(void **state)
{
    (void)state;
    assert_true(it_await(has_arrived, NULL, 60000));
}

static bool nats_is_missed(void *ctx)
{
    (void)ctx;
    get("/v1/coordination", 200);
    return json_is_string(json_object_get(r.j, "error"));
}

static bool nats_is_back(void *ctx)
{
    return !nats_is_missed(ctx);
}

static double seconds_of_a_look(void)
{
    struct timespec a, b;
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    get("/v1/coordination", 200);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

/* A server that has stopped lets whoever asks it wait for 2 s; who looks right after that takes
 * what the other one heard. Tried again: the second may be late on a busy machine. */
static bool the_second_need_not_wait(void *ctx)
{
    (void)ctx;
    const double first = seconds_of_a_look(), second = seconds_of_a_look();
    return first > 1.9 && second < 1;
}

static void nats_is_not_asked_again_for_everybody_who_looks(void **state)
{
    (void)state;
    const pid_t nats = it_server_pid("nats");
    assert_true(nats > 0);
    assert_int_equal(kill(nats, SIGSTOP), 0);
    const bool shared = it_await(the_second_need_not_wait, NULL, 30000);
    assert_int_equal(kill(nats, SIGCONT), 0);
    assert_true(shared);
    assert_true(it_await(nats_is_back, NULL, 30000));
}

/* However that ended: who comes next needs NATS. */
static int nats_goes_on(void **state)
{
    (void)state;
    const pid_t nats = it_server_pid("nats");
    return nats > 0 ? kill(nats, SIGCONT) : 0;
}

static void without_nats_the_rest_is_answered(void **state)
{
    (void)state;
    it_server_kill("nats", true);
    assert_true(it_await(nats_is_missed, NULL, 60000));
    (void)item("members", "lease", "held");
    ctl("coordination", 0, "NATS did not tell all");
    it_server_up("nats");
    assert_true(it_await(nats_is_back, NULL, 60000));
}

static int teardown(void **state)
{
    api_reply_done(&r);
    return api_teardown(state);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generations_say_what_reading_them_found),
        cmocka_unit_test(restores_are_drills_and_failovers),
        cmocka_unit_test(coordination_is_members_streams_backlogs_and_marks),
        cmocka_unit_test(a_command_that_waits_is_seen_at_its_consumer),
        cmocka_unit_test_teardown(nats_is_not_asked_again_for_everybody_who_looks, nats_goes_on),
        cmocka_unit_test(without_nats_the_rest_is_answered),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, api_small_setup, teardown);
}
