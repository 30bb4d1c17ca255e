/* Bodies that are made while they are sent: they rest without a thread, and hear the bell. */
#include "http_stage.h"

#include "prism/io/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS = 100, WORKERS = 2, NEWS = 200, BLOCK_BYTES = 4096, BIG_BYTES = 300 * 1024 };

static struct pr_http_bell bell;
static atomic_int news, ended, begun; /* numbers 1..news are to be told */

struct stream {
    int told;
    bool last; /* it ends with the next thing to tell */
};

static bool more(void *ctx, struct pr_buf *out)
{
    struct stream *s = ctx;
    const int until = atomic_load(&news);
    if (s->told < 0) {
        s->told = 0;
        pr_buf_str(out, "begin ");
        return true;
    }
    const bool some = s->told < until;
    while (s->told < until && out->len < BLOCK_BYTES)
        pr_buf_printf(out, "%d ", ++s->told);
    return !(some && s->last && s->told == until);
}

static void end(void *ctx)
{
    atomic_fetch_add(&ended, 1);
    free(ctx);
}

static void tell(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    struct stream *s = calloc(1, sizeof *s);
    (void)ctx;
    s->told = -1;
    s->last = strcmp(req->param[0], "once") == 0;
    atomic_fetch_add(&begun, 1);
    res->content_type = "text/plain";
    res->stream = (struct pr_http_stream){ more, end, s };
    /* cppcheck-suppress memleak ; end() frees it */
}

/* More than a socket takes at once, in pieces. */
static bool more_big(void *ctx, struct pr_buf *out)
{
    int *left = ctx;
    for (int i = 0; i < 10000 && *left > 0; i++, --*left)
        pr_buf_printf(out, "%c", 'a' + *left % 26);
    return *left > 0;
}

static void tell_big(void *ctx, const struct pr_http_req *req, struct pr_http_res *res)
{
    int *left = malloc(sizeof *left);
    (void)ctx;
    (void)req;
    *left = BIG_BYTES;
    res->stream = (struct pr_http_stream){ more_big, end, left };
    /* cppcheck-suppress memleak ; end() frees it */
}

static struct pr_http *serve(int loops, int queue)
{
    static const struct pr_http_route routes[] = { { "GET", "/tell/{how}", tell, 0 },
                                                   { "GET", "/big", tell_big, 0 } };
    struct pr_http_options o = http_options();
    o.routes = routes;
    o.n_routes = PR_COUNT(routes);
    o.loops = loops;
    o.workers = WORKERS;
    o.queue = queue;
    o.bell = &bell;
    atomic_store(&news, 0);
    atomic_store(&ended, 0);
    atomic_store(&begun, 0);
    return http_start(o);
}

static int listen_to(const struct pr_http *h, const char *how)
{
    char asks[128];
    const int s = http_dial(h);
    (void)snprintf(asks, sizeof asks, "GET /tell/%s HTTP/1.1\r\nHost: a\r\n\r\n", how);
    assert_int_equal(send(s, asks, strlen(asks), MSG_NOSIGNAL), (ssize_t)strlen(asks));
    return s;
}

/* All that comes, until it has these words; without the sizes of chunks between. */
static void hear(int s, struct pr_buf *heard, const char *words)
{
    char block[8192];
    while (heard->len == 0 || strstr(heard->data, words) == NULL) {
        const ssize_t n = recv(s, block, sizeof block, 0);
        if (n <= 0)
            fail_msg("no \"%s\" after \"%.200s\"", words, heard->len > 0 ? heard->data : "");
        pr_buf_add(heard, block, (size_t)n);
        pr_buf_add(heard, "", 1);
        heard->len--;
    }
}

static void each_hears_everything_once(void **state)
{
    (void)state;
    for (int loops = 1; loops <= 2; loops++) {
        struct pr_http *h = serve(loops, 1);
        struct pr_buf heard[STREAMS];
        int s[STREAMS];
        for (int i = 0; i < STREAMS; i++) {
            pr_buf_init(&heard[i], 0);
            s[i] = listen_to(h, "on");
            hear(s[i], &heard[i], "begin ");
        }
        for (int i = 0; i < NEWS; i++) {
            atomic_fetch_add(&news, 1);
            pr_http_ring(&bell);
        }
        for (int i = 0; i < STREAMS; i++) {
            char last[32];
            (void)snprintf(last, sizeof last, "%d \r\n", NEWS);
            hear(s[i], &heard[i], last);
            int next = 1; /* words that are numbers between chunk sizes: only ours have a blank */
            for (const char *at = strstr(heard[i].data, "begin ") + 6; *at != '\0';) {
                const size_t n = strcspn(at, " \r");
                if (n > 0 && at[n] == ' ')
                    assert_int_equal(atoi(at), next++);
                at += n + (at[n] != '\0');
                at += *at == '\n';
            }
            assert_int_equal(next, NEWS + 1);
        }
        assert_int_equal(atomic_load(&ended), 0);
        pr_http_close(h);
        assert_int_equal(atomic_load(&ended), STREAMS);
        for (int i = 0; i < STREAMS; i++) {
            close(s[i]);
            pr_buf_done(&heard[i]);
        }
    }
}

/* Long before the quarter of a second that they are asked after without it. */
static void the_bell_is_heard_at_once_and_without_it_they_are_asked(void **state)
{
    (void)state;
    struct pr_http *h = serve(1, 1);
    struct pr_buf heard;
    int64_t best_us = INT64_MAX, us;
    pr_buf_init(&heard, 0);
    const int s = listen_to(h, "on");
    hear(s, &heard, "begin ");
    for (int i = 1; i <= 10; i++) {
        char words[16];
        (void)snprintf(words, sizeof words, "%d \r\n", i);
        const int64_t from_us = pr_mono_us();
        atomic_store(&news, i);
        pr_http_ring(&bell);
        hear(s, &heard, words);
        us = pr_mono_us() - from_us;
        best_us = us < best_us ? us : best_us;
    }
    assert_true(best_us < 100 * 1000);
    atomic_store(&news, 11); /* nobody rings */
    hear(s, &heard, "11 \r\n");
    close(s);
    pr_buf_done(&heard);
    pr_http_close(h);
    pr_http_ring(&bell); /* nobody hears */
}

static void the_last_words_end_the_body_and_the_connection_goes_on(void **state)
{
    (void)state;
    struct pr_http *h = serve(1, 1);
    CURL *c = curl_easy_init();
    atomic_store(&news, 3);
    for (int i = 0; i < 3; i++) {
        struct http_reply r;
        assert_int_equal(http_ask(c, &r, h, "GET", "/tell/once", NULL, 0, NULL), CURLE_OK);
        assert_string_equal(r.body.data, "begin 1 2 3 ");
        assert_int_equal(r.connects, i == 0);
        http_forget(&r);
        assert_int_equal(http_ask(c, &r, h, "GET", "/big", NULL, 0, NULL), CURLE_OK);
        assert_int_equal(r.body.len, BIG_BYTES);
        for (size_t k = 0; k < r.body.len; k++)
            assert_int_equal(r.body.data[k], 'a' + (int)(BIG_BYTES - k) % 26);
        http_forget(&r);
    }
    curl_easy_cleanup(c);
    pr_http_close(h);
    assert_int_equal(atomic_load(&ended), 6);
}

static void *ring(void *arg)
{
    const atomic_bool *stop = arg;
    while (!atomic_load(stop)) {
        atomic_fetch_add(&news, 1);
        pr_http_ring(&bell);
        usleep(50);
    }
    return NULL;
}

/* While the bell rings, some listen, some go, and the server closes. */
static void it_closes_while_the_bell_rings(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct pr_http *h = serve(1 + i % 2, STREAMS);
        atomic_bool stop = false;
        pthread_t ringer;
        int s[STREAMS];
        assert_int_equal(pthread_create(&ringer, NULL, ring, &stop), 0);
        for (int k = 0; k < STREAMS; k++) {
            s[k] = listen_to(h, k % 5 == 0 ? "once" : "on");
            if (k % 3 == 0) {
                close(s[k]);
                s[k] = -1;
            }
        }
        while (atomic_load(&begun) < STREAMS / 3)
            usleep(1000);
        pr_http_close(h);
        assert_int_equal(atomic_load(&ended), atomic_load(&begun));
        atomic_store(&stop, true);
        assert_int_equal(pthread_join(ringer, NULL), 0);
        for (int k = 0; k < STREAMS; k++)
            if (s[k] >= 0)
                close(s[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_hears_everything_once),
        cmocka_unit_test(the_bell_is_heard_at_once_and_without_it_they_are_asked),
        cmocka_unit_test(the_last_words_end_the_body_and_the_connection_goes_on),
        cmocka_unit_test(it_closes_while_the_bell_rings),
    };
    pr_http_bell_init(&bell);
    const int failed = http_run_tests(tests, PR_COUNT(tests));
    pr_http_bell_done(&bell);
    return failed;
}
