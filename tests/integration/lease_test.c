#include "t.h"

#include "it.h"
#include "prism/io/lease.h"

#include <stdio.h>
#include <string.h>

static char uri[IT_URI];

static int start(void **state)
{
    (void)state;
    it_database("lease", uri);
    it_sql(uri, "CREATE TABLE written (epoch bigint)", NULL, 0);
    return 0;
}

static struct pr_db *open_db(void)
{
    struct pr_db *db = NULL;
    struct pr_err err = { 0 };
    assert_ok(pr_db_open(&db, uri, "lease", &err), &err);
    return db;
}

static struct pr_lease lease_of(const char *name, const char *holder, int64_t ttl_ms)
{
    struct pr_lease l = { .ttl_ms = ttl_ms };
    (void)snprintf(l.name, sizeof l.name, "%s", name);
    (void)snprintf(l.holder, sizeof l.holder, "%s", holder);
    return l;
}

/* A holder's write: checks, then writes, in one transaction. */
static enum pr_code write_body(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct pr_lease *l = ctx;
    enum pr_code rc = pr_lease_check(db, l, err);
    return rc != PR_OK ? rc
                       : pr_db_exec(db, "INSERT INTO written VALUES ($1::bigint)",
                                    PR_ARGS(pr_i64((int64_t)l->epoch)), NULL, err);
}

struct contest {
    struct pr_db *db;
    struct pr_lease *lease;
};

static bool taken(void *ctx)
{
    struct contest *c = ctx;
    return pr_lease_hold(c->db, c->lease, NULL) == PR_OK;
}

static bool fenced(void *ctx)
{
    struct contest *c = ctx;
    return pr_db_tx(c->db, write_body, c->lease, NULL) == PR_EFENCED;
}

/* -------------------------------------------------------------------------- */

static void one_holds_and_another_is_told_who(void **state)
{
    struct pr_db *db = open_db();
    struct pr_err err = { 0 };
    struct pr_lease a = lease_of("one", "rebalance-a", 60000);
    struct pr_lease b = lease_of("one", "rebalance-b", 60000);
    (void)state;

    assert_ok(pr_lease_hold(db, &a, &err), &err);
    assert_int_equal(a.epoch, 1);
    assert_ok(pr_lease_hold(db, &a, &err), &err); /* renewed */
    assert_int_equal(a.epoch, 1);
    assert_int_equal(pr_lease_hold(db, &b, &err), PR_ECONFLICT);
    assert_non_null(strstr(err.text, "rebalance-a"));
    assert_int_equal(b.epoch, 0);
    assert_ok(pr_db_tx(db, write_body, &a, &err), &err);
    assert_int_equal(pr_db_tx(db, write_body, &b, &err), PR_EFENCED);
    pr_db_close(db);
}

static void an_expired_lease_goes_to_another_under_a_higher_epoch(void **state)
{
    struct pr_db *db = open_db();
    struct pr_err err = { 0 };
    struct pr_lease a = lease_of("two", "rebalance-a", 200);
    struct pr_lease b = lease_of("two", "rebalance-b", 60000);
    (void)state;

    assert_ok(pr_lease_hold(db, &a, &err), &err);
    assert_true(it_await(taken, &(struct contest){ db, &b }, 5000));
    assert_int_equal(b.epoch, a.epoch + 1);
    /* a has not noticed; its writes are refused all the same */
    assert_int_equal(pr_db_tx(db, write_body, &a, &err), PR_EFENCED);
    assert_non_null(strstr(err.text, "rebalance-b"));
    assert_ok(pr_db_tx(db, write_body, &b, &err), &err);
    assert_int_equal(pr_lease_hold(db, &a, &err), PR_ECONFLICT);
    assert_int_equal(a.epoch, 0);
    pr_db_close(db);
}

static void an_expired_lease_is_fenced_though_nobody_took_it(void **state)
{
    struct pr_db *db = open_db();
    struct pr_err err = { 0 };
    struct pr_lease a = lease_of("three", "rebalance-a", 200);
    (void)state;

    assert_ok(pr_lease_hold(db, &a, &err), &err);
    assert_true(it_await(fenced, &(struct contest){ db, &a }, 5000));
    assert_ok(pr_lease_hold(db, &a, &err), &err); /* and may be had again: the newest epoch yet */
    assert_int_equal(a.epoch, 1);
    pr_db_close(db);
}

static void a_released_lease_is_free_at_once(void **state)
{
    struct pr_db *db = open_db();
    struct pr_err err = { 0 };
    struct pr_lease a = lease_of("four", "rebalance-a", 60000);
    struct pr_lease b = lease_of("four", "rebalance-b", 60000);
    (void)state;

    assert_ok(pr_lease_hold(db, &a, &err), &err);
    struct pr_lease late = a;
    pr_lease_release(db, &a);
    assert_int_equal(a.epoch, 0);
    assert_ok(pr_lease_hold(db, &b, &err), &err);
    assert_int_equal(b.epoch, 2);
    pr_lease_release(db, &late); /* an older holder takes nothing away */
    assert_ok(pr_db_tx(db, write_body, &b, &err), &err);
    pr_db_close(db);
}

static void a_restarted_holder_of_the_same_name_is_another(void **state)
{
    struct pr_db *db = open_db();
    struct pr_err err = { 0 };
    struct pr_lease before = lease_of("five", "rebalance-host-1", 200);
    struct pr_lease after = lease_of("five", "rebalance-host-1", 60000);
    (void)state;

    assert_ok(pr_lease_hold(db, &before, &err), &err);
    assert_true(it_await(taken, &(struct contest){ db, &after }, 5000));
    assert_int_equal(after.epoch, before.epoch + 1);
    assert_int_equal(pr_db_tx(db, write_body, &before, &err), PR_EFENCED);
    pr_db_close(db);
}

/* While a checked transaction runs nobody can take the lease from under it. */
static enum pr_code check_then_contend(struct pr_db *db, void *ctx, struct pr_err *err)
{
    const struct contest *c = ctx;
    enum pr_code rc = pr_lease_check(db, c->lease, err);
    if (rc != PR_OK)
        return rc;
    struct pr_db *other = open_db();
    struct pr_lease thief = lease_of(c->lease->name, "thief", 1000);
    struct pr_err refused = { 0 };
    assert_ok(pr_db_exec(other, "SET lock_timeout = '100ms'", NULL, 0, NULL, &refused), &refused);
    it_sql(uri, "SELECT pg_sleep(0.3)", NULL, 0); /* past the end of the lease, by its clock */
    assert_int_equal(pr_lease_hold(other, &thief, &refused), PR_ECONFLICT);
    assert_non_null(strstr(refused.text, "lock"));
    pr_db_close(other);
    return PR_OK;
}

static void a_checked_transaction_keeps_the_lease_until_it_ends(void **state)
{
    struct pr_db *db = open_db();
    struct pr_err err = { 0 };
    struct pr_lease a = lease_of("six", "rebalance-a", 250);
    (void)state;

    assert_ok(pr_lease_hold(db, &a, &err), &err);
    assert_ok(pr_db_tx(db, check_then_contend, &(struct contest){ db, &a }, &err), &err);
    pr_db_close(db);
}

static void a_lease_that_nobody_made_is_not_held(void **state)
{
    struct pr_db *db = open_db();
    struct pr_err err = { 0 };
    struct pr_lease a = lease_of("seven", "rebalance-a", 1000);
    (void)state;

    a.epoch = 3;
    assert_int_equal(pr_db_tx(db, write_body, &a, &err), PR_EFENCED);
    pr_lease_release(db, &a);
    pr_lease_release(db, &a);
    pr_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_holds_and_another_is_told_who),
        cmocka_unit_test(an_expired_lease_goes_to_another_under_a_higher_epoch),
        cmocka_unit_test(an_expired_lease_is_fenced_though_nobody_took_it),
        cmocka_unit_test(a_released_lease_is_free_at_once),
        cmocka_unit_test(a_restarted_holder_of_the_same_name_is_another),
        cmocka_unit_test(a_checked_transaction_keeps_the_lease_until_it_ends),
        cmocka_unit_test(a_lease_that_nobody_made_is_not_held),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
