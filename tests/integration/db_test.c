#include "t.h"

#include "it.h"
#include "prism/io/db.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char uri[IT_URI];

static int start(void **state)
{
    (void)state;
    it_database("db", uri);
    it_sql(uri,
           "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0 CHECK (n >= 0), b bytea);"
           "CREATE TABLE child (id int REFERENCES t);",
           NULL, 0);
    return 0;
}

static struct pr_db *open_db(const char *name)
{
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    assert_ok(pr_db_open(&db, uri, name, &err), &err);
    return db;
}

/* What the server knows as the connection's process. */
static int64_t backend(struct pr_db *db)
{
    PGresult *got = NULL;
    struct pr_err err = { 0 };
    assert_ok(pr_db_exec(db, "SELECT pg_backend_pid()", NULL, 0, &got, &err), &err);
    int64_t pid = pr_cell_i64(got, 0, 0);
    PQclear(got);
    return pid;
}

static bool is_gone(void *ctx)
{
    char sql[96], cell[16];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_stat_activity WHERE pid = %lld",
                   *(long long *)ctx);
    it_sql(uri, sql, cell, sizeof cell);
    return strcmp(cell, "0") == 0;
}

static void kill_backend(int64_t pid)
{
    char sql[64];
    long long gone = pid;
    (void)snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld)", gone);
    it_sql(uri, sql, NULL, 0);
    assert_true(it_await(is_gone, &gone, 5000));
}

static enum pr_code exec(struct pr_db *db, const char *sql, struct pr_err *err)
{
    return pr_db_exec(db, sql, NULL, 0, NULL, err);
}

static void reset(struct pr_db *db)
{
    struct pr_err err = { 0 };
    assert_ok(exec(db, "DELETE FROM child", &err), &err);
    assert_ok(exec(db, "DELETE FROM t", &err), &err);
}

static int64_t count(struct pr_db *db)
{
    PGresult *got = NULL;
    struct pr_err err = { 0 };
    assert_ok(pr_db_exec(db, "SELECT count(*) FROM t", NULL, 0, &got, &err), &err);
    int64_t n = pr_cell_i64(got, 0, 0);
    PQclear(got);
    return n;
}

/* -------------------------------------------------------------------------- */

static void values_of_every_kind_go_there_and_back(void **state)
{
    static const unsigned char BYTES[] = { 0, 1, 0xff, '\\', 0 };
    struct pr_db *db = open_db("kinds");
    struct pr_err err = { 0 };
    PGresult *got = NULL;
    (void)state;

    assert_ok(pr_db_exec(db,
                         "SELECT $1::bigint, $2::float8, $3::boolean, $4::text, $5::text, "
                         "encode($6::bytea, 'hex'), length($7::bytea)",
                         PR_ARGS(pr_i64(INT64_MIN), pr_real(0.1), pr_bool(true), pr_text("a'b"),
                                 pr_text(NULL), pr_bytes(BYTES, sizeof BYTES), pr_bytes(NULL, 0)),
                         &got, &err),
              &err);
    assert_true(pr_cell_i64(got, 0, 0) == INT64_MIN);
    assert_true(pr_cell_real(got, 0, 1) == 0.1);
    assert_true(pr_cell_bool(got, 0, 2));
    assert_string_equal(pr_cell(got, 0, 3), "a'b");
    assert_null(pr_cell(got, 0, 4));
    assert_string_equal(pr_cell(got, 0, 5), "0001ff5c00");
    assert_int_equal(pr_cell_i64(got, 0, 6), 0);
    PQclear(got);

    assert_ok(pr_db_exec_binary(db, "SELECT $1::bytea", PR_ARGS(pr_bytes(BYTES, sizeof BYTES)),
                                &got, &err),
              &err);
    assert_int_equal(PQgetlength(got, 0, 0), sizeof BYTES);
    assert_memory_equal(PQgetvalue(got, 0, 0), BYTES, sizeof BYTES);
    PQclear(got);
    pr_db_close(db);
}

static void a_refused_statement_becomes_a_code_with_words(void **state)
{
    static const struct {
        const char *sql;
        enum pr_code want;
        const char *words;
    } row[] = {
        { "INSERT INTO t (id) VALUES (1)", PR_EEXISTS, "(id)=(1)" },
        { "INSERT INTO child VALUES (77)", PR_ECONFLICT, "(id)=(77)" },
        { "INSERT INTO t (id, n) VALUES (2, -1)", PR_ECONFLICT, "check" },
        { "SELECT nothing FROM t", PR_EINVAL, "nothing" },
        { "SELECT 1/0", PR_EINVAL, "zero" },
        { "", PR_EINVAL, "no statement" },
        { "COPY t TO STDOUT", PR_EINVAL, "" },
        { "DO $$ BEGIN RAISE 'stale epoch' USING ERRCODE = 'PR001'; END $$", PR_EFENCED, "stale" },
        { "DO $$ BEGIN RAISE 'x' USING ERRCODE = '53100'; END $$", PR_EFULL, "x" },
        { "DO $$ BEGIN RAISE 'x' USING ERRCODE = '57014'; END $$", PR_ETIMEOUT, "x" },
    };
    struct pr_db *db = open_db("codes");
    struct pr_err err = { 0 };
    (void)state;

    reset(db);
    assert_ok(exec(db, "INSERT INTO t (id) VALUES (1)", &err), &err);
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        enum pr_code rc = exec(db, row[i].sql, &err);
        if (rc != row[i].want || strstr(err.text, row[i].words) == NULL)
            fail_msg("%s: %s (%s)", row[i].sql, err.text, pr_code_name(rc));
    }
    assert_int_equal(count(db), 1); /* the connection is fine */
    pr_db_close(db);

    char as_placement[IT_URI];
    it_role_uri(uri, "placement", as_placement);
    assert_ok(pr_db_open(&db, as_placement, "codes", &err), &err);
    assert_int_equal(exec(db, "SELECT * FROM t", &err), PR_EDENIED);
    pr_db_close(db);
}

static void a_server_that_is_not_there_is_unavailable(void **state)
{
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    char nowhere[96];
    (void)state;

    (void)snprintf(nowhere, sizeof nowhere, "postgresql://u:secret@127.0.0.1:%d/x", it_free_port());
    assert_ok(pr_db_open(&db, nowhere, "t", &err), &err); /* the first use connects */
    assert_int_equal(exec(db, "SELECT 1", &err), PR_EUNAVAIL);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_null(strstr(err.text, "secret"));
    pr_db_close(db);
    assert_int_equal(pr_db_open(&db, "postgresql://u:secret@h/x?nonsense=1", "t", &err), PR_EINVAL);
    assert_null(strstr(err.text, "secret"));
}

/* A host that refuses to be written is passed over: the next one in the URI. */
static void a_read_only_server_is_passed_over(void **state)
{
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    char ro[IT_URI + 64];
    (void)state;

    (void)snprintf(ro, sizeof ro, "%s%soptions=-c%%20default_transaction_read_only%%3Don", uri,
                   strchr(uri, '?') == NULL ? "?" : "&");
    assert_ok(pr_db_open(&db, ro, "t", &err), &err);
    assert_int_equal(exec(db, "SELECT 1", &err), PR_EUNAVAIL);
    assert_non_null(strstr(err.text, "read-only"));
    pr_db_close(db);
}

static void a_select_outlives_its_connection(void **state)
{
    struct pr_db *db = open_db("outlive");
    struct pr_err err = { 0 };
    (void)state;

    reset(db);
    int64_t first = backend(db);
    kill_backend(first);
    assert_int_equal(count(db), 0); /* asks again on a new connection */
    assert_int_not_equal(backend(db), first);

    kill_backend(backend(db)); /* the loss shows before the statement is sent */
    assert_ok(exec(db, "INSERT INTO t (id) VALUES (1)", &err), &err);
    assert_int_equal(count(db), 1);
    pr_db_close(db);
}

static void a_write_that_loses_its_connection_is_not_repeated(void **state)
{
    struct pr_db *db = open_db("norepeat");
    struct pr_err err = { 0 };
    (void)state;

    reset(db);
    assert_int_equal(exec(db,
                          "WITH x AS (INSERT INTO t (id) VALUES (1) RETURNING id) "
                          "SELECT pg_terminate_backend(pg_backend_pid()) FROM x",
                          &err),
                     PR_EUNAVAIL);
    assert_int_equal(count(db), 0);
    pr_db_close(db);
}

struct tx {
    int calls, lose_on;
    int64_t kill_pid;
    bool swallow;
    const char *sql;
    enum pr_code answer;
};

static enum pr_code insert_body(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct tx *tx = ctx;
    tx->calls++;
    enum pr_code rc = exec(db, "INSERT INTO t (id) VALUES (100)", err);
    if (rc != PR_OK)
        return rc;
    if (tx->calls == tx->lose_on)
        kill_backend(backend(db));
    rc = tx->sql == NULL ? PR_OK : exec(db, tx->sql, err);
    if (rc != PR_OK && !tx->swallow)
        return rc;
    rc = exec(db, "INSERT INTO t (id) VALUES (101)", err);
    if (rc != PR_OK && !tx->swallow)
        return rc;
    return tx->answer == PR_OK ? PR_OK : pr_fail(err, tx->answer, "changed my mind");
}

static void a_transaction_is_all_or_nothing(void **state)
{
    struct pr_db *db = open_db("tx");
    struct pr_err err = { 0 };
    struct tx tx = { .answer = PR_ECONFLICT };
    (void)state;

    reset(db);
    assert_int_equal(pr_db_tx(db, insert_body, &tx, &err), PR_ECONFLICT);
    assert_string_equal(err.text, "changed my mind");
    assert_int_equal(tx.calls, 1); /* the body's own refusal is final */
    assert_int_equal(count(db), 0);

    tx = (struct tx){ 0 };
    assert_ok(pr_db_tx(db, insert_body, &tx, &err), &err);
    assert_int_equal(count(db), 2);
    assert_int_equal(pr_db_tx(db, insert_body, &tx, &err), PR_EEXISTS);
    assert_int_equal(count(db), 2);
    pr_db_close(db);
}

static void a_transaction_that_lost_its_connection_starts_again(void **state)
{
    struct pr_db *db = open_db("lost");
    struct pr_err err = { 0 };
    struct tx tx = { .lose_on = 1 };
    (void)state;

    reset(db);
    assert_ok(pr_db_tx(db, insert_body, &tx, &err), &err);
    assert_int_equal(tx.calls, 2);
    assert_int_equal(count(db), 2);

    /* A body that does not look must not write outside of its transaction. */
    reset(db);
    tx = (struct tx){ .lose_on = 1, .swallow = true };
    assert_ok(pr_db_tx(db, insert_body, &tx, &err), &err);
    assert_int_equal(tx.calls, 2);
    assert_int_equal(count(db), 2);
    pr_db_close(db);
}

static void a_swallowed_refusal_does_not_commit(void **state)
{
    struct pr_db *db = open_db("swallow");
    struct pr_err err = { 0 };
    struct tx tx = { .sql = "SELECT 1/0", .swallow = true };
    (void)state;

    reset(db);
    assert_int_equal(pr_db_tx(db, insert_body, &tx, &err), PR_EINTERNAL);
    assert_int_equal(count(db), 0);
    assert_int_equal(pr_db_tx(db, insert_body, &tx, &err), PR_EINTERNAL); /* usable as before */
    pr_db_close(db);
}

static enum pr_code nested_body(struct pr_db *db, void *ctx, struct pr_err *err)
{
    return pr_db_tx(db, insert_body, ctx, err);
}

static void a_transaction_inside_another_is_refused(void **state)
{
    struct pr_db *db = open_db("nested");
    struct pr_err err = { 0 };
    struct tx tx = { 0 };
    (void)state;

    assert_int_equal(pr_db_tx(db, nested_body, &tx, &err), PR_EINTERNAL);
    assert_int_equal(tx.calls, 0);
    pr_db_close(db);
}

static void a_connection_lost_in_commit_leaves_the_effect_unknown(void **state)
{
    struct pr_db *db = open_db("commit");
    struct pr_err err = { 0 };
    struct tx tx = { 0 };
    (void)state;

    reset(db);
    it_sql(uri,
           "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
           "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
           "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
           "FOR EACH ROW EXECUTE FUNCTION die();",
           NULL, 0);
    assert_int_equal(pr_db_tx(db, insert_body, &tx, &err), PR_ETIMEOUT);
    assert_int_equal(tx.calls, 1); /* never twice */
    it_sql(uri, "DROP TRIGGER die ON t; DROP FUNCTION die()", NULL, 0);
    assert_int_equal(count(db), 0);
    pr_db_close(db);
}

/* Two transactions add one to the same row from what they have read. */
struct racer {
    pthread_barrier_t *both_have_read;
    int calls, fail_all;
    enum pr_code rc;
};

static enum pr_code add_one(struct pr_db *db, void *ctx, struct pr_err *err)
{
    struct racer *r = ctx;
    PGresult *got = NULL;
    enum pr_code rc = exec(db, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", err);
    if (rc == PR_OK)
        rc = pr_db_exec(db, "SELECT n FROM t WHERE id = 1", NULL, 0, &got, err);
    if (rc != PR_OK)
        return rc;
    int64_t n = pr_cell_i64(got, 0, 0);
    PQclear(got);
    if (r->calls++ == 0)
        pthread_barrier_wait(r->both_have_read);
    return pr_db_exec(db, "UPDATE t SET n = $1::int WHERE id = 1", PR_ARGS(pr_i64(n + 1)), NULL,
                      err);
}

static void *race(void *arg)
{
    struct racer *r = arg;
    struct pr_db *db = NULL;
    r->rc = pr_db_open(&db, uri, "racer", NULL);
    if (r->rc == PR_OK)
        r->rc = pr_db_tx(db, add_one, r, NULL);
    pr_db_close(db);
    return NULL;
}

static void a_serialization_failure_is_tried_again(void **state)
{
    struct pr_db *db = open_db("race");
    struct pr_err err = { 0 };
    pthread_barrier_t barrier;
    struct racer racer[2] = { { .both_have_read = &barrier }, { .both_have_read = &barrier } };
    pthread_t thread[2];
    PGresult *got = NULL;
    (void)state;

    reset(db);
    assert_ok(exec(db, "INSERT INTO t (id) VALUES (1)", &err), &err);
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, race, &racer[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(racer[0].rc, PR_OK);
    assert_int_equal(racer[1].rc, PR_OK);
    assert_true(racer[0].calls + racer[1].calls >= 3);
    assert_ok(pr_db_exec(db, "SELECT n FROM t WHERE id = 1", NULL, 0, &got, &err), &err);
    assert_int_equal(pr_cell_i64(got, 0, 0), 2); /* no increment lost */
    PQclear(got);
    pr_db_close(db);
}

static enum pr_code always_conflict(struct pr_db *db, void *ctx, struct pr_err *err)
{
    ++*(int *)ctx;
    return exec(db, "DO $$ BEGIN RAISE 'again' USING ERRCODE = '40001'; END $$", err);
}

static void retries_end_after_five(void **state)
{
    struct pr_db *db = open_db("five");
    struct pr_err err = { 0 };
    int calls = 0;
    (void)state;

    assert_int_equal(pr_db_tx(db, always_conflict, &calls, &err), PR_ECONFLICT);
    assert_int_equal(calls, 5);
    pr_db_close(db);
}

static void a_plan_that_became_stale_is_made_anew(void **state)
{
    struct pr_db *db = open_db("stale");
    struct pr_err err = { 0 };
    PGresult *got = NULL;
    (void)state;

    it_sql(uri, "CREATE TABLE grows (a int)", NULL, 0);
    assert_ok(exec(db, "SELECT * FROM grows", &err), &err);
    it_sql(uri, "ALTER TABLE grows ADD b int", NULL, 0);
    assert_ok(pr_db_exec(db, "SELECT * FROM grows", NULL, 0, &got, &err), &err);
    assert_int_equal(PQnfields(got), 2);
    PQclear(got);

    assert_ok(exec(db, "DEALLOCATE ALL", &err), &err); /* behind our back */
    assert_ok(exec(db, "SELECT * FROM grows", &err), &err);
    pr_db_close(db);
}

static void thousands_of_texts_do_not_fill_the_server(void **state)
{
    struct pr_db *db = open_db("many");
    struct pr_err err = { 0 };
    PGresult *got = NULL;
    (void)state;

    for (int i = 0; i < 1500; i++) {
        char sql[48];
        (void)snprintf(sql, sizeof sql, "SELECT %d", i);
        assert_ok(exec(db, sql, &err), &err);
    }
    assert_ok(pr_db_exec(db, "SELECT count(*) FROM pg_prepared_statements", NULL, 0, &got, &err),
              &err);
    assert_true(pr_cell_i64(got, 0, 0) <= 1024);
    PQclear(got);
    pr_db_close(db);
}

static bool await_news(struct pr_db *db, int turns)
{
    struct pr_err err = { 0 };
    bool news = false;
    for (int i = 0; i < turns && !news; i++)
        assert_ok(pr_db_wait(db, 100, &news, &err), &err);
    return news;
}

static void a_notification_wakes_even_after_a_lost_connection(void **state)
{
    struct pr_db *db = open_db("listen");
    struct pr_err err = { 0 };
    bool news = true;
    (void)state;

    assert_ok(pr_db_listen(db, "Odd \"name\"", &err), &err);
    assert_true(await_news(db, 1)); /* just connected: look for yourself */
    assert_ok(pr_db_wait(db, 20, &news, &err), &err);
    assert_false(news);
    it_sql(uri, "SELECT pg_notify('Odd \"name\"', '')", NULL, 0);
    assert_true(await_news(db, 50));

    kill_backend(backend(db));
    assert_true(await_news(db, 1)); /* connected again: something may have been missed */
    assert_ok(pr_db_wait(db, 20, &news, &err), &err);
    assert_false(news);
    it_sql(uri, "SELECT pg_notify('Odd \"name\"', '')", NULL, 0);
    assert_true(await_news(db, 50));
    pr_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind_go_there_and_back),
        cmocka_unit_test(a_refused_statement_becomes_a_code_with_words),
        cmocka_unit_test(a_server_that_is_not_there_is_unavailable),
        cmocka_unit_test(a_read_only_server_is_passed_over),
        cmocka_unit_test(a_select_outlives_its_connection),
        cmocka_unit_test(a_write_that_loses_its_connection_is_not_repeated),
        cmocka_unit_test(a_transaction_is_all_or_nothing),
        cmocka_unit_test(a_transaction_that_lost_its_connection_starts_again),
        cmocka_unit_test(a_swallowed_refusal_does_not_commit),
        cmocka_unit_test(a_transaction_inside_another_is_refused),
        cmocka_unit_test(a_connection_lost_in_commit_leaves_the_effect_unknown),
        cmocka_unit_test(a_serialization_failure_is_tried_again),
        cmocka_unit_test(retries_end_after_five),
        cmocka_unit_test(a_plan_that_became_stale_is_made_anew),
        cmocka_unit_test(thousands_of_texts_do_not_fill_the_server),
        cmocka_unit_test(a_notification_wakes_even_after_a_lost_connection),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
