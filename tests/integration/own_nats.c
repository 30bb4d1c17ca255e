#include "t.h"

#include "it.h"
#include "nats_session.h"
#include "own_nats.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char CONFIG[] =
    "listen: 127.0.0.1:%d\n"
    "jetstream { store_dir: \"%s\" }\n"
    "authorization { users: [\n"
    "{ user: tester, password: t }\n"
    "{ user: admin, password: a, permissions: {\n"
    "  publish: { allow: [\"$JS.API.STREAM.INFO.*\", \"$JS.API.STREAM.CREATE.*\",\n"
    "    \"$JS.API.STREAM.UPDATE.*\", \"$JS.API.CONSUMER.CREATE.>\",\n"
    "    \"$JS.API.CONSUMER.DURABLE.CREATE.>\"] }\n"
    "  subscribe: { allow: [\"_INBOX_admin.>\"] } } }\n"
    "{ user: placement, password: p%s, permissions: {\n"
    "  publish: { allow: [\"prism.evt.placement.>\", \"prism.dlq.placement\",\n"
    "    \"$JS.API.CONSUMER.INFO.PRISM_CMD.placement\", \"$JS.ACK.PRISM_CMD.placement.>\"] }\n"
    "  subscribe: { allow: [\"_INBOX_placement.>\", \"prism.deliver.placement placement\",\n"
    "    \"prism.rpc.placement.* placement\"] }\n"
    "  allow_responses: { max: 1, expires: \"1m\" } } }\n"
    "{ user: rebalance, password: r, permissions: {\n"
    "  publish: { allow: [\"prism.evt.rebalance.>\", \"prism.evt.topology.>\",\n"
    "    \"prism.dlq.rebalance\", \"$JS.API.CONSUMER.INFO.PRISM_CMD.rebalance\",\n"
    "    \"$JS.ACK.PRISM_CMD.rebalance.>\"] }\n"
    "  subscribe: { allow: [\"_INBOX_rebalance.>\", \"prism.deliver.rebalance rebalance\",\n"
    "    \"prism.rpc.rebalance.* rebalance\"] }\n"
    "  allow_responses: { max: 1, expires: \"1m\" } } }\n"
    "{ user: metadata-api, password: m, permissions: {\n"
    "  publish: { allow: [\"prism.cmd.placement.>\", \"prism.cmd.rebalance.>\",\n"
    "    \"prism.rpc.>\", \"$JS.API.CONSUMER.CREATE.PRISM_EVT\",\n"
    "    \"$JS.API.CONSUMER.CREATE.PRISM_EVT.>\", \"$JS.API.CONSUMER.INFO.*.*\",\n"
    "    \"$JS.API.STREAM.INFO.*\", \"$JS.ACK.PRISM_EVT.>\",\n"
    "    \"$JS.API.CONSUMER.CREATE.PRISM_EDGES\", \"$JS.API.CONSUMER.CREATE.PRISM_EDGES.>\",\n"
    "    \"$JS.ACK.PRISM_EDGES.>\"] }\n"
    "  subscribe: { allow: [\"_INBOX_metadata-api.>\"] } } }\n"
    "] }\n";

static bool answers(void *ctx)
{
    const struct own_nats *n = ctx;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)n->port) };
    char hello[5] = "";
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool up = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
              read(fd, hello, 4) == 4 && strcmp(hello, "INFO") == 0;
    if (fd >= 0)
        close(fd);
    return up;
}

void own_nats_restart(struct own_nats *n)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/nats.conf", n->dir);
    n->pid = nats_spawn(path);
    assert_true(it_await(answers, n, 10000));
}

void own_nats_lock_out_placement(const struct own_nats *n, bool locked)
{
    char path[200], store[200];
    (void)snprintf(path, sizeof path, "%s/nats.conf", n->dir);
    (void)snprintf(store, sizeof store, "%s/store", n->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, CONFIG, n->port, store, locked ? "x" : "");
    assert_int_equal(fclose(f), 0);
}

void own_nats_start(struct own_nats *n)
{
    n->port = it_free_port();
    (void)snprintf(n->url, sizeof n->url, "nats://127.0.0.1:%d", n->port);
    (void)snprintf(n->dir, sizeof n->dir, "/tmp/prism-nats-XXXXXX");
    assert_non_null(mkdtemp(n->dir));
    own_nats_lock_out_placement(n, false);
    own_nats_restart(n);

    own_nats_set_up(n);
}

void own_nats_set_up(const struct own_nats *n)
{
    struct pr_err err = { 0 };
    struct pr_bus *admin = own_nats_bus(n, "admin");
    assert_ok(pr_bus_setup(admin, 0, &err), &err);
    assert_ok(pr_bus_setup(admin, 0, &err), &err); /* again changes nothing */
    assert_ok(pr_bus_ready(admin, &err), &err);    /* nothing was refused */
    pr_bus_close(admin);
}

void own_nats_forget(const struct own_nats *n)
{
    char store[200];
    (void)snprintf(store, sizeof store, "%s/store", n->dir);
    const char *argv[] = { "/bin/rm", "-rf", store, NULL };
    assert_int_equal(it_run(NULL, argv, NULL, 0, 10000), 0);
}

void own_nats_kill(struct own_nats *n)
{
    it_kill(n->pid);
    n->pid = 0;
}

void own_nats_stop(struct own_nats *n)
{
    const char *argv[] = { "/bin/rm", "-rf", n->dir, NULL };
    if (n->pid != 0)
        it_kill(n->pid);
    n->pid = 0;
    assert_int_equal(it_run(NULL, argv, NULL, 0, 10000), 0);
}

static bool is_ready(void *ctx)
{
    return pr_bus_ready(ctx, NULL) == PR_OK;
}

bool own_nats_await_ready(struct pr_bus *bus, int timeout_ms)
{
    return it_await(is_ready, bus, timeout_ms);
}

struct pr_bus *own_nats_bus(const struct own_nats *n, const char *user)
{
    struct pr_bus *bus = NULL;
    struct pr_err err = { 0 };
    char password[2] = { user[0], '\0' };
    struct pr_bus_options o = { .url = n->url, .user = user, .password = password, .name = user };
    assert_ok(pr_bus_open(&bus, &o, &err), &err);
    assert_true(own_nats_await_ready(bus, 10000));
    return bus;
}

/* --- as tester ------------------------------------------------------------ */

static void session_open(struct nats_session *s, const struct own_nats *n)
{
    const char *url = n->url;
    nats_session_open(s, &url, 1, "tester", "t");
}

uint64_t own_nats_stream_messages(const struct own_nats *n, const char *stream)
{
    struct nats_session s;
    jsStreamInfo *si = NULL;
    session_open(&s, n);
    assert_int_equal(js_GetStreamInfo(&si, s.js, stream, NULL, NULL), NATS_OK);
    uint64_t messages = si->State.Msgs;
    jsStreamInfo_Destroy(si);
    nats_session_close(&s);
    return messages;
}

void own_nats_purge(const struct own_nats *n, const char *stream)
{
    struct nats_session s;
    session_open(&s, n);
    assert_int_equal(js_PurgeStream(s.js, stream, NULL, NULL), NATS_OK);
    nats_session_close(&s);
}

void own_nats_add_durable(const struct own_nats *n, const char *stream, const char *durable,
                          const char *filter, int ack_wait_ms)
{
    struct nats_session s;
    jsConsumerConfig cfg;
    char deliver[96];
    (void)snprintf(deliver, sizeof deliver, "prism.deliver.%s", durable);
    session_open(&s, n);
    assert_int_equal(jsConsumerConfig_Init(&cfg), NATS_OK);
    cfg.Durable = durable;
    cfg.DeliverSubject = deliver;
    cfg.DeliverGroup = durable;
    cfg.FilterSubject = filter;
    cfg.AckPolicy = js_AckExplicit;
    cfg.AckWait = ack_wait_ms * INT64_C(1000000);
    assert_int_equal(js_AddConsumer(NULL, s.js, stream, &cfg, NULL, NULL), NATS_OK);
    nats_session_close(&s);
}

void own_nats_delete_durable(const struct own_nats *n, const char *stream, const char *durable)
{
    struct nats_session s;
    session_open(&s, n);
    assert_int_equal(js_DeleteConsumer(s.js, stream, durable, NULL, NULL), NATS_OK);
    nats_session_close(&s);
}

bool own_nats_bound(const struct own_nats *n, const char *stream, const char *durable)
{
    struct nats_session s;
    jsConsumerInfo *ci = NULL;
    session_open(&s, n);
    assert_int_equal(js_GetConsumerInfo(&ci, s.js, stream, durable, NULL, NULL), NATS_OK);
    bool bound = ci->PushBound;
    jsConsumerInfo_Destroy(ci);
    nats_session_close(&s);
    return bound;
}

static void copy_header(natsMsg *m, const char *key, char *out, size_t n)
{
    const char *value = NULL;
    assert_int_equal(natsMsgHeader_Get(m, key, &value), NATS_OK);
    (void)snprintf(out, n, "%s", value);
}

void own_nats_last_letter(const struct own_nats *n, struct own_letter *out)
{
    struct nats_session s;
    natsMsg *m = NULL;
    session_open(&s, n);
    assert_int_equal(js_GetLastMsg(&m, s.js, "PRISM_DLQ", "prism.dlq.>", NULL, NULL), NATS_OK);
    (void)snprintf(out->at, sizeof out->at, "%s", natsMsg_GetSubject(m));
    (void)snprintf(out->text, sizeof out->text, "%.*s", natsMsg_GetDataLength(m),
                   natsMsg_GetData(m));
    copy_header(m, "Prism-Subject", out->subject, sizeof out->subject);
    copy_header(m, "Prism-Reason", out->reason, sizeof out->reason);
    copy_header(m, "Prism-Msg-Id", out->id, sizeof out->id);
    natsMsg_Destroy(m);
    nats_session_close(&s);
}
