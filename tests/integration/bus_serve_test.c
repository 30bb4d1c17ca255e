/* Requests that take long: answered by a thread of their own, with a queue that ends. */
#include "t.h"

#include "it.h"
#include "own_nats.h"

#include "prism/io/bus.h"
#include "prism/io/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOW  "prism.rpc.placement.explain"
#define QUICK "prism.rpc.placement.hint"

static struct own_nats nats;
static struct pr_bus *server, *client;
static atomic_bool go; /* the slow ones may end */
static atomic_int begun, ended;

static enum pr_code slow(void *ctx, const struct pr_msg *m, void **reply, size_t *len,
                         struct pr_err *err)
{
    (void)ctx;
    (void)m;
    (void)err;
    atomic_fetch_add(&begun, 1);
    while (!atomic_load(&go))
        (void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    *reply = calloc(1, 1);
    *len = 1;
    return PR_OK;
}

static enum pr_code at_once(void *ctx, const struct pr_msg *m, void **reply, size_t *len,
                            struct pr_err *err)
{
    (void)ctx;
    (void)m;
    (void)err;
    *reply = calloc(1, 1);
    *len = 1;
    return PR_OK;
}

struct asking {
    pthread_t thread;
    enum pr_code rc;
    struct pr_err err;
};

static void *ask(void *arg)
{
    struct asking *a = arg;
    void *reply = NULL;
    size_t len = 0;
    a->rc = pr_bus_request(client, SLOW, "x", 1, 20000, &reply, &len, &a->err);
    free(reply);
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static bool known(void *subject)
{
    void *reply = NULL;
    size_t len = 0;
    struct pr_err err = { 0 };
    const enum pr_code rc = pr_bus_request(client, subject, "x", 1, 1000, &reply, &len, &err);
    free(reply);
    return rc == PR_OK;
}

static bool is_reached(void *ctx)
{
    return atomic_load(&begun) >= 1 && atomic_load(&ended) >= *(int *)ctx;
}

/* One is being answered, `waiting` wait, and as many as were refused have heard of it. */
static void ask_all(struct asking *asking, int n, int waiting, int patience_ms)
{
    struct pr_err err = { 0 };
    const struct pr_bus_apart apart = { waiting, patience_ms };
    static char slow_one[] = SLOW, quick_one[] = QUICK;
    int refused = n - 1 - waiting, none = 0;
    server = own_nats_bus(&nats, "placement");
    client = own_nats_bus(&nats, "metadata-api");
    assert_ok(pr_bus_serve_apart(server, SLOW, "placement", &apart, slow, NULL, &err), &err);
    assert_ok(pr_bus_serve(server, QUICK, "placement", at_once, NULL, &err), &err);
    atomic_store(&go, true);
    assert_true(it_await(known, slow_one, 10000));
    assert_true(it_await(known, quick_one, 10000));
    atomic_store(&go, false);
    atomic_store(&begun, 0);
    atomic_store(&ended, 0);
    for (int i = 0; i < n; i++) {
        asking[i] = (struct asking){ .rc = PR_EINTERNAL };
        assert_int_equal(pthread_create(&asking[i].thread, NULL, ask, &asking[i]), 0);
        if (i == 0)
            assert_true(it_await(is_reached, &none, 10000));
    }
    assert_true(it_await(is_reached, &refused, 10000));
}

static int count_of(struct asking *asking, int n, enum pr_code rc, const char *words)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += asking[i].rc == rc && strstr(asking[i].err.text, words) != NULL;
    return count;
}

static void join_all(struct asking *asking, int n)
{
    for (int i = 0; i < n; i++)
        assert_int_equal(pthread_join(asking[i].thread, NULL), 0);
}

static void what_takes_long_holds_up_itself_alone(void **state)
{
    (void)state;
    enum { ASK = 6 };
    struct asking asking[ASK];
    static char quick_one[] = QUICK;
    ask_all(asking, ASK, 2, 20000);
    assert_true(known(quick_one)); /* another subject is answered meanwhile */
    assert_int_equal(atomic_load(&begun), 1);
    atomic_store(&go, true);
    join_all(asking, ASK);
    assert_int_equal(count_of(asking, ASK, PR_OK, ""), 3);
    assert_int_equal(count_of(asking, ASK, PR_EFULL, "busy"), 3);
    pr_bus_close(client);
    pr_bus_close(server);
}

static bool is_past(void *ctx)
{
    return pr_mono_us() > *(int64_t *)ctx;
}

static void nobody_waits_any_more_for_what_waited_too_long(void **state)
{
    (void)state;
    enum { ASK = 3 };
    struct asking asking[ASK];
    ask_all(asking, ASK, 1, 20);
    int64_t until_us = pr_mono_us() + 40000;
    assert_true(it_await(is_past, &until_us, 10000));
    atomic_store(&go, true);
    join_all(asking, ASK);
    assert_int_equal(count_of(asking, ASK, PR_OK, ""), 1);
    assert_int_equal(count_of(asking, ASK, PR_EFULL, "busy"), 1);
    assert_int_equal(count_of(asking, ASK, PR_ETIMEOUT, "busy"), 1);
    assert_int_equal(atomic_load(&begun), 1);
    pr_bus_close(client);
    pr_bus_close(server);
}

static void *close_server(void *arg)
{
    (void)arg;
    pr_bus_close(server);
    return NULL;
}

static void who_waits_is_told_that_the_server_stops(void **state)
{
    (void)state;
    enum { ASK = 3 };
    struct asking asking[ASK];
    ask_all(asking, ASK, 1, 20000);
    pthread_t closing;
    assert_int_equal(pthread_create(&closing, NULL, close_server, NULL), 0);
    int two = 2; /* the refused one, and who waits: it is let go before the one that is answered */
    assert_true(it_await(is_reached, &two, 10000));
    atomic_store(&go, true);
    assert_int_equal(pthread_join(closing, NULL), 0);
    join_all(asking, ASK);
    assert_int_equal(count_of(asking, ASK, PR_OK, ""), 1);
    assert_int_equal(count_of(asking, ASK, PR_EUNAVAIL, "it stops"), 1);
    pr_bus_close(client);
}

static void limits_are_checked(void **state)
{
    (void)state;
    static const struct pr_bus_apart row[] = { { 0, 1000 }, { 65, 1000 }, { 1, 0 } };
    struct pr_err err = { 0 };
    server = own_nats_bus(&nats, "placement");
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(pr_bus_serve_apart(server, SLOW, "placement", &row[i], slow, NULL, &err),
                         PR_EINVAL);
    pr_bus_close(server);
}

static int start(void **state)
{
    (void)state;
    own_nats_start(&nats);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    own_nats_stop(&nats);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_long_holds_up_itself_alone),
        cmocka_unit_test(nobody_waits_any_more_for_what_waited_too_long),
        cmocka_unit_test(who_waits_is_told_that_the_server_stops),
        cmocka_unit_test(limits_are_checked),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
