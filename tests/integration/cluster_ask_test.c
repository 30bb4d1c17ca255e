/* Learning the topology when most of those who could tell are dead or silent. */
#include "t.h"

#include "prism/io/clock.h"
#include "prism/io/redis.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TIMEOUT_MS = 2000, MOST_HOSTS = 320, CLIENTS = 8, TEXT = 64 * 1024 };

/* One that listens on loopback. Silent: its clients connect and never hear a word. */
struct host {
    int fd, port;
    pthread_t thread;
    bool speaks;
    char *says; /* NULL: silent; else the answer to CLUSTER NODES */
};
static struct host hosts[MOST_HOSTS];
static size_t n_hosts;
static atomic_int asked; /* hosts that answered somebody */
static atomic_bool over;

static void answer(const struct host *h, int client)
{
    char in[512], head[32];
    const ssize_t n = read(client, in, sizeof in - 1);
    if (n <= 0)
        return;
    in[n] = '\0';
    if (strstr(in, "NODES") == NULL)
        return;
    atomic_fetch_add(&asked, 1);
    const int k = snprintf(head, sizeof head, "$%zu\r\n", strlen(h->says));
    assert_int_equal(write(client, head, (size_t)k), k);
    assert_int_equal(write(client, h->says, strlen(h->says)), strlen(h->says));
    assert_int_equal(write(client, "\r\n", 2), 2);
}

static void *serve(void *arg)
{
    const struct host *h = arg;
    struct pollfd fd[1 + CLIENTS] = { { .fd = h->fd, .events = POLLIN } };
    nfds_t n = 1;
    while (!atomic_load(&over)) {
        if (poll(fd, n, 20) <= 0)
            continue;
        for (nfds_t i = 1; i < n; i++)
            if ((fd[i].revents & POLLIN) != 0)
                answer(h, fd[i].fd);
        if (fd[0].revents != 0 && n <= CLIENTS)
            fd[n++] = (struct pollfd){ .fd = accept(h->fd, NULL, NULL), .events = POLLIN };
    }
    for (nfds_t i = 1; i < n; i++)
        close(fd[i].fd);
    return NULL;
}

static struct host *new_host(void)
{
    struct host *h = &hosts[n_hosts++];
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    assert_true(n_hosts <= MOST_HOSTS);
    *h = (struct host){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
    assert_true(h->fd >= 0);
    assert_int_equal(bind(h->fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(h->fd, 16), 0);
    assert_int_equal(getsockname(h->fd, (struct sockaddr *)&at, &len), 0);
    h->port = ntohs(at.sin_port);
    return h;
}

static void speak(struct host *h, const char *says)
{
    h->says = strdup(says);
    assert_non_null(h->says);
    h->speaks = true;
    assert_int_equal(pthread_create(&h->thread, NULL, serve, h), 0);
}

static int begin(void **state)
{
    (void)state;
    n_hosts = 0;
    atomic_store(&asked, 0);
    atomic_store(&over, false);
    return 0;
}

static int end(void **state)
{
    (void)state;
    atomic_store(&over, true);
    for (size_t i = 0; i < n_hosts; i++) {
        if (hosts[i].speaks)
            pthread_join(hosts[i].thread, NULL);
        close(hosts[i].fd);
        free(hosts[i].says);
    }
    return 0;
}

/* --- what they say ------------------------------------------------------------------- */

/* Ids grow with i, so that the topology has them in this order. */
static size_t line(char *out, size_t size, size_t i, int port, const char *flags, const char *slots)
{
    const int n = snprintf(out, size, "%040zx 127.0.0.1:%d@1 %s - 0 0 %zu connected%s\n", i, port,
                           flags, i, slots);
    assert_true(n > 0 && (size_t)n < size);
    return (size_t)n;
}

/* silent primaries without slots, and one that serves all of them; it is the last. self: who
 * says so, as an index; beyond: a newcomer that serves nothing. */
static void view(char out[TEXT], const struct host *const *host, size_t n, size_t self,
                 const struct host *newcomer)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        at += line(out + at, TEXT - at, i + 1, host[i]->port,
                   i == self ? "myself,master" : "master", i + 1 == n ? " 0-16383" : "");
    if (newcomer != NULL)
        (void)line(out + at, TEXT - at, n + 1, newcomer->port, "myself,master", "");
}

static size_t owned(const struct pr_cluster *c)
{
    const struct pr_topology *t = pr_cluster_topology(c);
    size_t n = 0;
    for (size_t s = 0; s < PR_COUNT(t->slot_owner); s++)
        n += t->slot_owner[s] >= 0;
    return n;
}

static int64_t open_ms(struct pr_cluster **c, const char *seeds, enum pr_code *rc,
                       struct pr_err *err)
{
    const int64_t began_us = pr_mono_us();
    *c = NULL;
    *rc = pr_cluster_open(c, seeds, NULL, TIMEOUT_MS, err);
    return (pr_mono_us() - began_us) / 1000;
}

static void add_seed(char *seeds, size_t size, const struct host *h)
{
    const size_t n = strlen(seeds);
    snprintf(seeds + n, size - n, "%s127.0.0.1:%d", n > 0 ? "," : "", h->port);
}

/* --- cases --------------------------------------------------------------------------------- */

static void silent_seeds_cost_a_moment_each(void **state)
{
    (void)state;
    static char text[TEXT];
    char seeds[512] = "";
    struct pr_cluster *c;
    struct pr_err err = { .text = "" };
    enum pr_code rc;
    for (int i = 0; i < 8; i++)
        add_seed(seeds, sizeof seeds, new_host());
    const struct host *good = new_host();
    add_seed(seeds, sizeof seeds, good);
    view(text, &good, 1, 0, NULL);
    speak(&hosts[n_hosts - 1], text);
    const int64_t ms = open_ms(&c, seeds, &rc, &err);
    assert_ok(rc, &err);
    assert_int_equal(owned(c), 16384);
    pr_cluster_close(c);
    print_message("  8 silent seeds before it: %lld ms\n", (long long)ms);
    assert_true(ms < TIMEOUT_MS);
}

/* dead: refuse; silent: accept and say nothing. The one that knows comes last. */
static void asks(size_t silent, size_t dead, bool knows, int64_t most_ms)
{
    static const struct host *all[MOST_HOSTS];
    static char text[TEXT];
    char seeds[64] = "";
    struct pr_cluster *c;
    struct pr_err err = { .text = "" };
    enum pr_code rc;
    size_t n = 0;
    for (size_t i = 0; i < silent + dead; i++) {
        struct host *h = new_host();
        if (i % 2 == 1 && dead > 0) { /* the port is free again: nobody listens */
            close(h->fd);
            h->fd = -1;
            dead--;
            silent++;
        }
        all[n++] = h;
    }
    struct host *good = new_host(), *seed = new_host();
    all[n++] = good;
    if (knows) {
        view(text, all, n, n - 1, NULL);
        speak(good, text);
    }
    view(text, all, n, n, seed);
    speak(seed, text);
    add_seed(seeds, sizeof seeds, seed);
    const int64_t ms = open_ms(&c, seeds, &rc, &err);
    assert_ok(rc, &err);
    assert_int_equal(owned(c), 16384); /* of whoever is believed */
    assert_int_equal(pr_cluster_topology(c)->idle, !knows);
    assert_int_equal(pr_cluster_topology(c)->nodes, knows ? n : n + 1);
    pr_cluster_close(c);
    print_message("  %zu that say nothing: %lld ms\n", n - 1, (long long)ms);
    assert_true(ms < most_ms);
}

static void idle_seed_leads_to_the_one_that_serves(void **state)
{
    (void)state;
    asks(60, 20, true, TIMEOUT_MS);
}

static void more_than_may_be_open_at_once(void **state)
{
    (void)state;
    asks(300, 0, true, 3 * TIMEOUT_MS);
}

static void view_of_an_idle_seed_is_taken_when_nobody_else_answers(void **state)
{
    (void)state;
    asks(40, 20, false, 2 * TIMEOUT_MS);
}

static void nobody_answers_within_one_time_out(void **state)
{
    (void)state;
    char seeds[512] = "", name[32];
    struct pr_cluster *c;
    struct pr_err err = { .text = "" };
    enum pr_code rc;
    for (int i = 0; i < 5; i++)
        add_seed(seeds, sizeof seeds, new_host());
    const int64_t ms = open_ms(&c, seeds, &rc, &err);
    assert_int_equal(rc, PR_EUNAVAIL);
    for (size_t i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "127.0.0.1:%d", hosts[i].port);
        if (strstr(err.text, name) == NULL)
            fail_msg("'%s' does not name %s", err.text, name);
    }
    assert_true(ms >= TIMEOUT_MS && ms < 2 * TIMEOUT_MS);
}

/* The text of a large cluster is long: it is not asked for everywhere. */
static void few_are_asked_while_they_answer(void **state)
{
    (void)state;
    static const struct host *all[20];
    static char text[TEXT];
    char seeds[512] = "";
    struct pr_cluster *c;
    struct pr_err err = { .text = "" };
    enum pr_code rc;
    for (size_t i = 0; i < PR_COUNT(all); i++) {
        all[i] = new_host();
        add_seed(seeds, sizeof seeds, all[i]);
    }
    for (size_t i = 0; i < PR_COUNT(all); i++) {
        const struct host *one = all[i];
        view(text, &one, 1, 0, NULL);
        speak(&hosts[i], text);
    }
    open_ms(&c, seeds, &rc, &err);
    assert_ok(rc, &err);
    pr_cluster_close(c);
    assert_true(atomic_load(&asked) < (int)PR_COUNT(all) / 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(silent_seeds_cost_a_moment_each),
        TEST(idle_seed_leads_to_the_one_that_serves),
        TEST(more_than_may_be_open_at_once),
        TEST(view_of_an_idle_seed_is_taken_when_nobody_else_answers),
        TEST(nobody_answers_within_one_time_out),
        TEST(few_are_asked_while_they_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
