/* Watching /v1/events: nothing skipped, nothing told twice, whoever is slow, restarted or late. */
#include "api_events_stage.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct reply r;

/* --- what is told -------------------------------------------------------------- */

static void a_change_is_told_with_its_revision(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    char want[64];
    client_watch(&c, "", NULL, &e);
    api_call(&r, "admin", "POST", "/v1/nodes", "{\"id\":\"w1\",\"host\":\"h\",\"port\":1}", NULL);
    assert_status(&r, 201);
    client_change(&c, &e, "nodes/w1");
    snprintf(want, sizeof want, "\"revision\":%lld,", api_int(&r, "revision"));
    assert_non_null(strstr(e.data, want));
    assert_non_null(strstr(e.data, "\"type\":\"created\""));
    assert_non_null(strstr(e.data, "\"state\":\"registered\""));
    api_call(&r, "admin", "DELETE", "/v1/nodes/w1", NULL, "If-Match: *");
    assert_status(&r, 204);
    client_change(&c, &e, "nodes/w1");
    assert_non_null(strstr(e.data, "\"type\":\"deleted\""));
    client_close(&c);
}

static void a_filter_tells_only_what_is_inside(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    client_watch(&c, "?resource=zones", NULL, &e);
    api_sql("UPDATE nodes SET zone_id = 'b' WHERE id = 'n1'");
    client_zone("f1");
    client_change(&c, &e, "zones/f1");
    client_close(&c);
}

static void looks_at_the_cluster_that_change_nothing_are_no_news(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    client_watch(&c, "", NULL, &e);
    api_sql("UPDATE nodes SET seen_at = now()");
    client_zone("f2");
    client_change(&c, &e, "zones/f2");
    client_close(&c);
}

/* The later transaction commits first: its row must wait, or a client that remembers its id would
 * never hear of the other. */
static void what_commits_late_is_not_skipped(void **state)
{
    (void)state;
    struct client c, again;
    struct event e, held;
    PGconn *first = PQconnectdb(fx.uri);
    client_watch(&c, "", NULL, &e);
    PQclear(PQexec(first, "BEGIN"));
    PQclear(PQexec(first, "INSERT INTO zones (id) VALUES ('early')"));
    client_zone("late");
    for (int i = 0; i < 5; i++)
        client_bookmark(&c, &held); /* and nothing else */
    PQclear(PQexec(first, "COMMIT"));
    PQfinish(first);
    client_change(&c, &e, "zones/early");
    client_change(&c, &e, "zones/late");
    client_close(&c);
    client_watch(&again, "", client_last_id(&held), &e);
    client_change(&again, &e, "zones/early");
    client_change(&again, &e, "zones/late");
    client_close(&again);
}

static void what_is_rolled_back_is_never_told(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    client_watch(&c, "", NULL, &e);
    api_call(&r, "admin", "POST", "/v1/zones?dryRun=true", "{\"id\":\"never\"}", NULL);
    assert_status(&r, 200);
    client_zone("after");
    client_change(&c, &e, "zones/after");
    client_close(&c);
}

/* --- resuming ------------------------------------------------------------------- */

static void a_watch_resumes_after_its_last_event(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    client_watch(&c, "", NULL, &e);
    client_zone("r1");
    client_change(&c, &e, "zones/r1");
    client_close(&c);
    client_zone("r2");
    client_zone("r3");
    client_watch(&c, "", client_last_id(&e), &e);
    client_change(&c, &e, "zones/r2");
    client_change(&c, &e, "zones/r3");
    client_close(&c);
}

/* More than memory holds, so the table is read first; and meanwhile more comes. */
static void who_is_far_behind_gets_everything_once(void **state)
{
    (void)state;
    enum { MANY = 9000 };
    struct client c;
    struct event e;
    client_watch(&c, "?resource=zones", NULL, &e);
    client_close(&c);
    api_sql("DO $$ BEGIN FOR i IN 1..%d LOOP INSERT INTO zones (id) VALUES ('m' || i); END LOOP; "
            "END $$",
            MANY / 2);
    client_watch(&c, "?resource=zones", client_last_id(&e), &e);
    api_sql("DO $$ BEGIN FOR i IN %d..%d LOOP INSERT INTO zones (id) VALUES ('m' || i); END LOOP; "
            "END $$",
            MANY / 2 + 1, MANY);
    for (int i = 1; i <= MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "zones/m%d", i);
        client_change(&c, &e, name);
    }
    client_close(&c);
}

static void what_is_not_kept_is_gone(void **state)
{
    (void)state;
    struct client c;
    struct event e, old;
    char path[128];
    client_watch(&c, "", NULL, &old);
    client_zone("g1");
    client_change(&c, &e, "zones/g1");
    client_close(&c);
    /* As the trimming does it, and as if this replica had come later. */
    api_sql("WITH gone AS (DELETE FROM changes RETURNING xid, id) UPDATE changes_floor f "
            "SET xid = g.xid, id = g.id FROM (SELECT * FROM gone ORDER BY xid DESC, id DESC "
            "LIMIT 1) g");
    assert_int_equal(it_stop(fx.service.pid), 0);
    it_service(&fx.service, "metadata-api", fx.uri, api_settings);
    client_connect(&c, "viewer", "", client_last_id(&old), 0);
    assert_int_equal(c.status, 410);
    assert_true(client_read(&c, EVENTS_WAIT_MS) || c.len > 0);
    client_close(&c);
    snprintf(path, sizeof path, "/v1/events?after=%s", old.id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 410);
    client_watch(&c, "", client_last_id(&e), &e); /* it has seen the last that was thrown away */
    client_close(&c);
}

static void an_id_of_the_future_or_of_another_life_is_gone(void **state)
{
    (void)state;
    static const char *const ids[] = { "Last-Event-ID: 1.999999999999.1\r\n",
                                       "Last-Event-ID: 77.1.1\r\n" };
    struct client c;
    for (size_t i = 0; i < PR_COUNT(ids); i++) {
        client_connect(&c, "viewer", "", ids[i], 0);
        assert_int_equal(c.status, 410);
        client_close(&c);
    }
}

static void what_is_no_id_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *query, *header;
    } row[] = {
        { "", "Last-Event-ID: x\r\n" },
        { "?after=1.2", NULL },
        { "?watch=yes", NULL },
        { "?resource=", NULL },
    };
    struct client c;
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        client_connect(&c, "viewer", row[i].query, row[i].header, 0);
        assert_int_equal(c.status, 400);
        client_close(&c);
    }
    client_connect(&c, "nobody", "", NULL, 0);
    assert_int_equal(c.status, 401);
    client_close(&c);
}

static void the_list_has_pages(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    char path[256];
    client_watch(&c, "", NULL, &e);
    client_close(&c);
    client_zone("p1");
    client_zone("p2");
    client_zone("p3");
    snprintf(path, sizeof path, "/v1/events?after=%s&pageSize=2", e.id);
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    assert_int_equal(json_array_size(json_object_get(r.j, "items")), 2);
    snprintf(path, sizeof path, "/v1/events?after=%s&pageSize=2&pageToken=%s", e.id,
             api_str(&r, "nextPageToken"));
    api_call(&r, "viewer", "GET", path, NULL, NULL);
    assert_status(&r, 200);
    const json_t *items = json_object_get(r.j, "items");
    assert_int_equal(json_array_size(items), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(items, 0), "resource")),
                        "zones/p3");
    assert_null(json_object_get(r.j, "nextPageToken"));
}

/* --- limits ---------------------------------------------------------------------- */

static void one_token_has_so_many_watches(void **state)
{
    (void)state;
    struct client c[3], more;
    struct event e;
    for (size_t i = 0; i < PR_COUNT(c); i++)
        client_watch(&c[i], "", NULL, &e);
    client_connect(&more, "viewer", "", NULL, 0);
    assert_int_equal(more.status, 429);
    assert_string_equal(more.retry_after, "1");
    client_close(&more);
    client_connect(&more, "operator", "", NULL, 0); /* another's are its own */
    assert_int_equal(more.status, 200);
    client_close(&more);
    for (size_t i = 0; i < PR_COUNT(c); i++)
        client_close(&c[i]);
}

static bool place_free(void *ctx)
{
    struct client c;
    (void)ctx;
    client_connect(&c, "viewer", "", NULL, 0);
    bool ok = c.status == 200;
    client_close(&c);
    return ok;
}

static void who_hangs_up_gives_its_place_back(void **state)
{
    (void)state;
    assert_true(it_await(place_free, NULL, EVENTS_WAIT_MS));
}

static void a_revoked_token_ends_its_watches(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    api_sql("INSERT INTO api_tokens (name, hash, role) VALUES ('brief', sha256('tok-brief'), "
            "'viewer')");
    client_connect(&c, "brief", "", NULL, 0);
    assert_int_equal(c.status, 200);
    api_sql("UPDATE api_tokens SET revoked_at = now() WHERE name = 'brief'");
    do
        assert_true(client_next(&c, &e, EVENTS_WAIT_MS));
    while (strcmp(e.kind, "bookmark") == 0);
    assert_string_equal(e.kind, "end");
    assert_non_null(strstr(e.data, "\"why\":\"token\""));
    assert_false(client_next(&c, &e, EVENTS_WAIT_MS)); /* and it hangs up */
    client_close(&c);
}

static bool slow_was_cut(void *ctx)
{
    (void)ctx;
    api_call(&r, NULL, "GET", "/metrics", NULL, NULL);
    return strstr(r.text, "prism_api_watch_ends_total{why=\"slow\"} 1") != NULL;
}

/* What nobody reads fills the socket's buffers, then its thread waits; others go on. */
static void who_never_reads_is_cut_off_and_holds_up_nobody(void **state)
{
    (void)state;
    struct client deaf, good;
    struct event e;
    client_connect(&deaf, "operator", "", NULL, 4096);
    assert_int_equal(deaf.status, 200);
    client_watch(&good, "", NULL, &e);
    api_sql("DO $$ BEGIN FOR i IN 1..4000 LOOP INSERT INTO zones (id) VALUES ('s' || i); "
            "END LOOP; END $$");
    for (int i = 1; i <= 4000; i++) {
        char name[32];
        snprintf(name, sizeof name, "zones/s%d", i);
        client_change(&good, &e, name);
    }
    assert_true(it_await(slow_was_cut, NULL, EVENTS_WAIT_MS));
    client_close(&good);
    client_close(&deaf);
}

/* --- outages ---------------------------------------------------------------------- */

static bool postgres_answers(void *ctx)
{
    (void)ctx;
    return PQping(fx.uri) == PQPING_OK;
}

static void a_watch_outlives_postgresql(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    client_watch(&c, "", NULL, &e);
    it_server_kill("postgres", true);
    for (int i = 0; i < 5; i++)
        client_bookmark(&c, &e);
    it_server_up("postgres");
    assert_true(it_await(postgres_answers, NULL, 20000));
    client_zone("up-again");
    client_change(&c, &e, "zones/up-again");
    client_close(&c);
}

static void stopping_ends_watches_at_once(void **state)
{
    (void)state;
    struct client c;
    struct event e;
    client_watch(&c, "", NULL, &e);
    assert_int_equal(it_stop(fx.service.pid), 0);
    while (client_next(&c, &e, EVENTS_WAIT_MS))
        ;
    client_close(&c);
    it_service(&fx.service, "metadata-api", fx.uri, api_settings);
}

int main(void)
{
    static const char *const settings[] = { "PRISM_API_BOOKMARK_MS=100",
                                            "PRISM_API_WATCHERS_EACH=3", "PRISM_API_WATCH_SLOW_S=1",
                                            NULL };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_told_with_its_revision),
        cmocka_unit_test(a_filter_tells_only_what_is_inside),
        cmocka_unit_test(looks_at_the_cluster_that_change_nothing_are_no_news),
        cmocka_unit_test(what_commits_late_is_not_skipped),
        cmocka_unit_test(what_is_rolled_back_is_never_told),
        cmocka_unit_test(a_watch_resumes_after_its_last_event),
        cmocka_unit_test(who_is_far_behind_gets_everything_once),
        cmocka_unit_test(what_is_not_kept_is_gone),
        cmocka_unit_test(an_id_of_the_future_or_of_another_life_is_gone),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(the_list_has_pages),
        cmocka_unit_test(one_token_has_so_many_watches),
        cmocka_unit_test(who_hangs_up_gives_its_place_back),
        cmocka_unit_test(a_revoked_token_ends_its_watches),
        cmocka_unit_test(who_never_reads_is_cut_off_and_holds_up_nobody),
        cmocka_unit_test(a_watch_outlives_postgresql),
        cmocka_unit_test(stopping_ends_watches_at_once),
    };
    api_settings = settings;
    int failed = cmocka_run_group_tests(tests, api_small_setup, api_teardown);
    api_reply_done(&r);
    return failed;
}
