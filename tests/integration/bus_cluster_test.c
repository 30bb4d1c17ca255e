/* Three NATS servers, of which any one may die: every stream is kept by all, nothing that was
 * acknowledged is lost, and who consumes or watches goes on. */
#include "t.h"

#include "it.h"
#include "nats_session.h"
#include "prism/io/bus.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS = 3, PATIENCE_MS = 60000 };

static struct {
    char dir[64], url[SERVERS][40], urls[200];
    int port[SERVERS], route[SERVERS];
    pid_t pid[SERVERS];
} nats;

static const char CONFIG[] = "listen: 127.0.0.1:%d\n"
                             "server_name: \"n%d\"\n"
                             "jetstream { store_dir: \"%s/n%d\" }\n"
                             "cluster { name: \"three\", listen: 127.0.0.1:%d, routes: [\n"
                             "  \"nats://127.0.0.1:%d\", \"nats://127.0.0.1:%d\",\n"
                             "  \"nats://127.0.0.1:%d\" ] }\n";

static void start_server(int n)
{
    char path[100];
    (void)snprintf(path, sizeof path, "%s/n%d.conf", nats.dir, n);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, CONFIG, nats.port[n], n, nats.dir, n, nats.route[n], nats.route[0],
                  nats.route[1], nats.route[2]);
    assert_int_equal(fclose(f), 0);
    nats.pid[n] = nats_spawn(path);
}

struct attempt {
    struct pr_bus *bus;
    int replicas;
    struct pr_err err;
};

static bool is_set_up(void *ctx)
{
    struct attempt *t = ctx;
    return pr_bus_setup(t->bus, t->replicas, &t->err) == PR_OK;
}

static struct pr_bus *open_bus(void)
{
    struct pr_bus *bus = NULL;
    struct pr_err err = { 0 };
    const struct pr_bus_options o = { .url = nats.urls, .name = "it" };
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    return bus;
}

/* Also once more while all is well: the servers elect before they take streams. */
static void set_up(int replicas)
{
    struct attempt t = { .bus = open_bus(), .replicas = replicas };
    const bool done = it_await(is_set_up, &t, PATIENCE_MS);
    pr_bus_close(t.bus);
    if (!done)
        fail_msg("replicas %d: %s", replicas, t.err.text);
}

/* Unlike those before it: none of them is in use yet. */
static int fresh_port(int before)
{
    static int given[2 * SERVERS];
    int port = 0;
    for (bool fresh = false; !fresh;) {
        port = it_free_port();
        fresh = true;
        for (int i = 0; i < before; i++)
            fresh = fresh && given[i] != port;
    }
    return given[before] = port;
}

static int start(void **state)
{
    (void)state;
    (void)snprintf(nats.dir, sizeof nats.dir, "/tmp/prism-nats3-XXXXXX");
    assert_non_null(mkdtemp(nats.dir));
    size_t used = 0;
    for (int n = 0; n < SERVERS; n++) {
        nats.port[n] = fresh_port(2 * n);
        nats.route[n] = fresh_port(2 * n + 1);
        (void)snprintf(nats.url[n], sizeof nats.url[n], "nats://127.0.0.1:%d", nats.port[n]);
        used += (size_t)snprintf(nats.urls + used, sizeof nats.urls - used, "%s%s",
                                 n > 0 ? "," : "", nats.url[n]);
    }
    for (int n = 0; n < SERVERS; n++)
        start_server(n);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    const char *argv[] = { "/bin/rm", "-rf", nats.dir, NULL };
    for (int n = 0; n < SERVERS; n++)
        if (nats.pid[n] != 0)
            it_kill(nats.pid[n]);
    return it_run(NULL, argv, NULL, 0, 10000);
}

/* --- what the servers say --------------------------------------------------------------- */
static void session_open(struct nats_session *s)
{
    const char *servers[SERVERS];
    for (int n = 0; n < SERVERS; n++)
        servers[n] = nats.url[n];
    nats_session_open(s, servers, SERVERS, NULL, NULL);
}

/* Replicas of the stream when all of them are current, else 0. */
static int current_replicas(const char *stream)
{
    struct nats_session s;
    jsStreamInfo *si = NULL;
    int replicas = 0;
    session_open(&s);
    if (js_GetStreamInfo(&si, s.js, stream, NULL, NULL) == NATS_OK) {
        replicas = (int)si->Config->Replicas;
        for (int i = 0; i < si->Cluster->ReplicasLen; i++)
            if (!si->Cluster->Replicas[i]->Current || si->Cluster->Replicas[i]->Offline)
                replicas = 0;
    }
    jsStreamInfo_Destroy(si);
    nats_session_close(&s);
    return replicas;
}

static const char *const STREAMS[] = { "PRISM_EVT", "PRISM_CMD", "PRISM_METRICS", "PRISM_EDGES",
                                       "PRISM_DLQ" };

static bool all_current(void *ctx)
{
    const int *want = ctx;
    for (size_t i = 0; i < PR_COUNT(STREAMS); i++)
        if (current_replicas(STREAMS[i]) != *want)
            return false;
    return true;
}

static void await_replicas(int want)
{
    if (!it_await(all_current, &want, PATIENCE_MS))
        fail_msg("the streams do not have %d current replicas", want);
}

/* The server that has the (only) watch of PRISM_EVT. */
static int server_of_watch(void)
{
    struct nats_session s;
    jsConsumerInfoList *all = NULL;
    int server = -1;
    session_open(&s);
    assert_int_equal(js_Consumers(&all, s.js, "PRISM_EVT", NULL, NULL), NATS_OK);
    for (int i = 0; i < all->Count; i++)
        if (all->List[i]->Config->Durable == NULL && all->List[i]->Cluster != NULL)
            server = all->List[i]->Cluster->Leader[1] - '0';
    jsConsumerInfoList_Destroy(all);
    nats_session_close(&s);
    assert_in_range(server, 0, SERVERS - 1);
    return server;
}

/* --- consuming, watching ---------------------------------------------------------------- */
enum { NUMBERS = 1000 };
struct heard { /* which numbers came */
    pthread_mutex_t lock;
    bool number[NUMBERS];
    int below; /* to be awaited: all of them */
};

static enum pr_code hear(void *ctx, const struct pr_msg *m, struct pr_err *err)
{
    struct heard *h = ctx;
    char text[16];
    (void)err;
    (void)snprintf(text, sizeof text, "%.*s", (int)m->len, (const char *)m->data);
    const long n = strtol(text, NULL, 10);
    pthread_mutex_lock(&h->lock);
    if (n >= 0 && n < NUMBERS)
        h->number[n] = true;
    pthread_mutex_unlock(&h->lock);
    return PR_OK;
}

static bool heard_all(void *ctx)
{
    struct heard *h = ctx;
    bool all = true;
    pthread_mutex_lock(&h->lock);
    for (int n = 0; n < h->below; n++)
        all = all && h->number[n];
    pthread_mutex_unlock(&h->lock);
    return all;
}

struct post {
    struct pr_bus *bus;
    const char *subject;
    int number;
    struct pr_err err;
};

/* As the outbox does: the same again until it is acknowledged. */
static bool posted(void *ctx)
{
    struct post *p = ctx;
    char text[16], id[64];
    (void)snprintf(text, sizeof text, "%d", p->number);
    (void)snprintf(id, sizeof id, "%s-%d", p->subject, p->number);
    return pr_bus_publish(p->bus, p->subject, text, strlen(text), id, NULL, &p->err) == PR_OK;
}

static void post(struct pr_bus *bus, const char *subject, int first, int below)
{
    for (int n = first; n < below; n++) {
        struct post p = { .bus = bus, .subject = subject, .number = n };
        if (!it_await(posted, &p, PATIENCE_MS))
            fail_msg("%s %d: %s", subject, n, p.err.text);
    }
}

static void await_heard(struct heard *h, int below, const char *whom)
{
    h->below = below;
    if (!it_await(heard_all, h, PATIENCE_MS))
        fail_msg("%s did not hear all of the first %d", whom, below);
}

/* --- cases ------------------------------------------------------------------------------ */
static void replicas_are_as_asked_and_else_as_they_are(void **state)
{
    (void)state;
    set_up(0);
    await_replicas(1); /* new ones */
    set_up(3);
    await_replicas(3);
    set_up(0);
    await_replicas(3);
}

static void more_replicas_than_servers_are_refused_by_name(void **state)
{
    (void)state;
    struct attempt t = { .bus = open_bus(), .replicas = 5 };
    it_await(is_set_up, &t, 2000);
    pr_bus_close(t.bus);
    assert_int_equal(t.err.code, PR_EINVAL);
    assert_non_null(strstr(t.err.text, "stream PRISM_"));
    await_replicas(3);
}

/* Each in turn, the one with the watch first: that one lives on one server alone. */
static void any_server_may_die(void **state)
{
    (void)state;
    static struct heard commands = { .lock = PTHREAD_MUTEX_INITIALIZER },
                        events = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct pr_err err = { 0 };
    struct pr_bus *bus = open_bus(), *service = open_bus();
    int sent = 0;
    assert_ok(pr_bus_consume(service, "PRISM_CMD", "placement", 1, hear, &commands, &err), &err);
    assert_ok(pr_bus_watch(service, "PRISM_EVT", "prism.evt.>", hear, &events, &err), &err);
    for (int round = 0; round < SERVERS; round++) {
        const int before = round == 0 ? 0 : 20; /* the first watch dies before it has seen any */
        post(bus, "prism.cmd.placement.run", sent, sent + before);
        post(bus, "prism.evt.topology.changed", sent, sent + before);
        const int dies = (server_of_watch() + round) % SERVERS;
        if (round == 1) /* in good order: the others are told */
            assert_int_equal(it_stop(nats.pid[dies]), 1);
        else
            it_kill(nats.pid[dies]);
        nats.pid[dies] = 0;
        post(bus, "prism.cmd.placement.run", sent + before, sent + 40);
        post(bus, "prism.evt.topology.changed", sent + before, sent + 40);
        sent += 40;
        await_heard(&commands, sent, "the consumer");
        await_heard(&events, sent, "the watch");
        start_server(dies);
        await_replicas(3);
    }
    pr_bus_close(service);
    pr_bus_close(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_are_as_asked_and_else_as_they_are),
        cmocka_unit_test(more_replicas_than_servers_are_refused_by_name),
        cmocka_unit_test(any_server_may_die),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
