/* Handlers that wait, beside a loop that does not: workers, the queue before them, and their end.
 */
#include "http_stage.h"

#include "prism/io/clock.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Everything here on one loop, so that whoever held it up would hold up all. */
enum { CLIENTS = 12, ASKS = 300, WORKERS = 2, QUEUE = 3 };

static atomic_int tried, answered;

/* Number n is answered by the loop, a worker, or first one and then the other. */
static void number(const struct pr_http_req *req, struct pr_http_res *res)
{
    res->header[0].name = "X-By";
    res->header[0].value = req->may_wait ? "worker" : "loop";
    atomic_fetch_add(&answered, 1);
    pr_buf_printf(&res->body, "<%s>", req->param[0]);
}

static void loop(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    number(req, res);
}

static void worker(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    number(req, res);
}

static void both(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    if (req->may_wait) {
        number(req, res);
        return;
    }
    atomic_fetch_add(&tried, 1);
    res->status = 418;
    res->header[1].name = "X-First";
    res->header[1].value = "try";
    pr_buf_str(&res->body, "half");
    res->again = true;
}

static void gate(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    if (!req->may_wait)
        abort();
    pthread_mutex_lock(&http_gate.lock);
    http_gate.inside++;
    pthread_cond_broadcast(&http_gate.changed);
    while (!http_gate.open)
        pthread_cond_wait(&http_gate.changed, &http_gate.lock);
    http_gate.done++;
    pthread_mutex_unlock(&http_gate.lock);
    pr_buf_str(&res->body, "waited");
}

static void length(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    (void)ctx;
    pr_buf_printf(&res->body, "%zu bytes of %s", req->body_len, (const char *)req->principal);
}

/* Who is "slow" cannot be told without waiting. */
static int authorise(void *ctx, struct pr_http_req *req, const struct pr_http_route *route,
                     struct pr_http_res *res)
{
    const char *who = pr_http_header(req, "X-Who");
    (void)ctx;
    (void)route;
    if (who != NULL && strncmp(who, "slow", 4) == 0 && !req->may_wait) {
        atomic_fetch_add(&tried, 1);
        res->again = true;
        return 0;
    }
    if (who == NULL || strcmp(who, "slow-stranger") == 0) {
        pr_http_problem(res, 401, "Unauthorized", "who are you?", NULL);
        return 401;
    }
    req->principal = pr_arena_strdup(req->arena, who);
    return 0;
}

static pr_http_fn *const at_once[] = { loop, both, NULL };

static struct pr_http *serve(void)
{
    static const struct pr_http_route routes[] = {
        { "GET", "/loop/{n}", loop, 0 },  { "GET", "/worker/{n}", worker, 0 },
        { "GET", "/both/{n}", both, 0 },  { "GET", "/gate", gate, 0 },
        { "POST", "/length", length, 1 },
    };
    struct pr_http_options o = http_options();
    o.routes = routes;
    o.n_routes = PR_COUNT(routes);
    o.at_once = at_once;
    o.authorise = authorise;
    o.workers = WORKERS;
    o.queue = QUEUE;
    atomic_store(&tried, 0);
    atomic_store(&answered, 0);
    return http_start(o);
}

static void who_has_to_wait_is_asked_again_by_a_worker(void **state)
{
    (void)state;
    static const struct {
        const char *path, *by;
    } row[] = { { "/loop/1", "loop" }, { "/worker/1", "worker" }, { "/both/1", "worker" } };
    struct pr_http *h = serve();
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        struct http_reply r = http_get(h, row[i].path);
        http_assert_text(&r, 200, "<1>");
        assert_int_equal(r.body.len, 3);
        assert_string_equal(http_header(&r, "X-By"), row[i].by);
        assert_string_equal(http_header(&r, "X-First"), ""); /* nothing of the first try */
        http_forget(&r);
    }
    assert_int_equal(atomic_load(&tried), 1);
    assert_int_equal(atomic_load(&answered), PR_COUNT(row));
    pr_http_close(h);
}

/* By a worker too, and still before the body is read. */
static void who_it_is_may_have_to_be_waited_for(void **state)
{
    (void)state;
    static char body[HTTP_BODY_LIMIT];
    static const struct {
        const char *who;
        long status;
        const char *says;
    } row[] = { { "X-Who: me", 200, "1000 bytes of me" },
                { "X-Who: slow", 200, "1000 bytes of slow" },
                { "X-Who: slow-stranger", 401, "who are you?" } };
    struct pr_http *h = serve();
    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < PR_COUNT(row); i++)
        for (int expects = 0; expects < 2; expects++) {
            const char *const headers[] = { row[i].who,
                                            expects ? "Expect: 100-continue" : "Expect:", NULL };
            struct http_reply r = http_once(h, "POST", "/length", body, sizeof body, headers);
            http_assert_text(&r, row[i].status, row[i].says);
            http_forget(&r);
        }
    assert_int_equal(atomic_load(&tried), 4);
    static const char asks[] = "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                               "X-Who: slow-stranger\r\nExpect: 100-continue\r\n\r\n";
    assert_memory_equal(http_raw(h, asks, sizeof asks - 1), "HTTP/1.1 401", 12);
    pr_http_close(h);
}

static int ask_gate(const struct pr_http *h)
{
    static const char asks[] = "GET /gate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const int s = http_dial(h);
    assert_true(s >= 0);
    assert_int_equal(send(s, asks, sizeof asks - 1, MSG_NOSIGNAL), sizeof asks - 1);
    return s;
}

/* All of an answer; "" when there is none. */
static const char *answer_of(int s)
{
    static char text[4096];
    size_t got = 0;
    ssize_t more;
    while (got < sizeof text - 1 && (more = recv(s, text + got, sizeof text - 1 - got, 0)) > 0)
        got += (size_t)more;
    text[got] = '\0';
    close(s);
    return text;
}

/* Workers are busy, and as many wait as the queue holds: some of those that were here first, or of
 * those that looked, which went away and kept their places. */
static void fill(const struct pr_http *h, int waits[WORKERS + QUEUE])
{
    const struct timeval soon = { .tv_usec = 200000 };
    char head[13] = "";
    for (int i = 0; i < WORKERS + QUEUE; i++) {
        waits[i] = ask_gate(h);
        http_gate_await(i < WORKERS ? i + 1 : WORKERS);
    }
    for (int64_t until_us = pr_mono_us() + 30000000; head[0] == '\0';) {
        const int s = ask_gate(h);
        (void)setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
        if (recv(s, head, 12, 0) > 0)
            assert_string_equal(head, "HTTP/1.1 503");
        close(s);
        assert_true(pr_mono_us() < until_us);
    }
}

static void a_full_queue_is_503_at_once_and_the_loop_goes_on(void **state)
{
    (void)state;
    int waits[WORKERS + QUEUE], waited = 0;
    struct pr_http *h = serve();
    fill(h, waits);
    struct http_reply r = http_get(h, "/gate");
    http_assert_problem(&r, 503, "too many requests wait");
    assert_string_equal(http_header(&r, "Retry-After"), "1");
    http_forget(&r);
    r = http_get(h, "/both/1");
    assert_int_equal(r.status, 503);
    http_forget(&r);
    r = http_get(h, "/loop/7");
    http_assert_text(&r, 200, "<7>");
    http_forget(&r);
    http_gate_open();
    for (int i = 0; i < WORKERS + QUEUE; i++) {
        const char *text = answer_of(waits[i]);
        if (strstr(text, "waited") == NULL && (i < WORKERS || strstr(text, " 503 ") == NULL))
            fail_msg("%d: %s", i, text);
        waited += strstr(text, "waited") != NULL;
    }
    do { /* and there is room again */
        r = http_get(h, "/worker/8");
        http_forget(&r);
    } while (r.status == 503);
    assert_int_equal(r.status, 200);
    assert_int_equal(http_gate.done, waited); /* nothing was done for who went away */
    pr_http_close(h);
}

struct client {
    pthread_t thread;
    int port;
    unsigned seed;
    int n, wrong;
    bool all; /* not until it is closed */
};

/* Each answer is that to its own question. */
static void *ask_many(void *arg)
{
    struct client *k = arg;
    static const char *const kind[] = { "loop", "worker", "both" };
    CURL *c = curl_easy_init();
    for (int i = 0; i < ASKS; i++) {
        char path[64], want[32];
        struct http_reply r;
        const unsigned id = k->seed * ASKS + (unsigned)i;
        (void)snprintf(path, sizeof path, "/%s/%u", kind[(id + k->seed) % 3], id);
        (void)snprintf(want, sizeof want, "<%u>", id);
        const CURLcode rc = http_ask_port(c, &r, k->port, "GET", path, NULL, 0, NULL);
        const bool good = rc == CURLE_OK &&
                          (r.status == 503 ||
                           (r.status == 200 && r.body.len > 0 && strcmp(r.body.data, want) == 0));
        k->n += good && r.status == 200;
        k->wrong += !good && (k->all || rc == CURLE_OK);
        http_forget(&r);
        if (!good)
            break;
    }
    curl_easy_cleanup(c);
    return NULL;
}

static struct pr_http *serve_many(int loops)
{
    static const struct pr_http_route routes[] = { { "GET", "/loop/{n}", loop, 0 },
                                                   { "GET", "/worker/{n}", worker, 0 },
                                                   { "GET", "/both/{n}", both, 0 } };
    struct pr_http_options o = http_options();
    o.routes = routes;
    o.n_routes = PR_COUNT(routes);
    o.at_once = at_once;
    o.loops = loops;
    o.workers = 3;
    atomic_store(&answered, 0);
    return http_start(o);
}

static void start(struct client *k, const struct pr_http *h, bool all)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        k[i] = (struct client){ .port = pr_http_port(h), .seed = i, .all = all };
        assert_int_equal(pthread_create(&k[i].thread, NULL, ask_many, &k[i]), 0);
    }
}

static int join(struct client *k)
{
    int n = 0;
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(k[i].thread, NULL), 0);
        assert_int_equal(k[i].wrong, 0);
        n += k[i].n;
    }
    return n;
}

static void no_answer_is_lost_doubled_or_somebody_elses(void **state)
{
    (void)state;
    struct client k[CLIENTS];
    for (int loops = 1; loops <= 2; loops++) {
        struct pr_http *h = serve_many(loops);
        start(k, h, true);
        assert_int_equal(join(k), CLIENTS * ASKS);
        assert_int_equal(atomic_load(&answered), CLIENTS * ASKS);
        pr_http_close(h);
    }
}

static void it_closes_under_load(void **state)
{
    (void)state;
    struct client k[CLIENTS];
    for (int i = 0; i < 10; i++) {
        struct pr_http *h = serve_many(1 + i % 2);
        start(k, h, false);
        while (atomic_load(&answered) < 50 * (i + 1))
            (void)sched_yield();
        pr_http_close(h);
        const int handled = atomic_load(&answered);
        assert_true(join(k) <= handled);
        assert_int_equal(atomic_load(&answered), handled);
    }
}

static void *close_server(void *h)
{
    pr_http_close(h);
    return NULL;
}

/* Handlers that take longer than closing waits for answers: they are waited for all the same, and
 * whoever waits for a worker hears that nobody comes. */
static void closing_waits_for_handlers_and_drops_the_queue(void **state)
{
    (void)state;
    int waits[WORKERS + QUEUE];
    struct pr_http *h = serve();
    fill(h, waits);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, close_server, h), 0);
    for (int i = WORKERS; i < WORKERS + QUEUE; i++)
        if (strstr(answer_of(waits[i]), " 503 ") == NULL)
            fail_msg("%d was not told", i);
    assert_int_equal(http_gate.done, 0);
    http_gate_open();
    assert_int_equal(pthread_join(closer, NULL), 0);
    assert_int_equal(http_gate.done, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        close(waits[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_to_wait_is_asked_again_by_a_worker),
        cmocka_unit_test(who_it_is_may_have_to_be_waited_for),
        cmocka_unit_test(a_full_queue_is_503_at_once_and_the_loop_goes_on),
        cmocka_unit_test(no_answer_is_lost_doubled_or_somebody_elses),
        cmocka_unit_test(it_closes_under_load),
        cmocka_unit_test(closing_waits_for_handlers_and_drops_the_queue),
    };
    return http_run_tests(tests, PR_COUNT(tests));
}
