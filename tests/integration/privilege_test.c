/* Least privilege: every PostgreSQL role, NATS user and Redis user is refused
 * what is not its own. Each table has controls that must be allowed: a user who
 * can do nothing at all would pass the rest. */
#include "t.h"

#include "it.h"

#include <libpq-fe.h>
#include <nats/nats.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct attempt {
    const char *user, *what;
    bool allowed;
};

static size_t mistakes;

static void judge(const struct attempt *a, bool allowed, const char *why)
{
    if (allowed == a->allowed)
        return;
    mistakes++;
    print_error("%s %s: %s (%s)\n", a->user, allowed ? "may" : "may not", a->what, why);
}

/* --- PostgreSQL --------------------------------------------------------- */
#define RUN                                                                                        \
    "INSERT INTO placement_runs (operation_id, source, created_by) "                               \
    "VALUES (gen_random_uuid(), '{}', 'x')"
#define TRAFFIC      "INSERT INTO slot_traffic VALUES (1, 'before', '')"
#define ROUTES(kind) "INSERT INTO route_bases VALUES ('" kind "', 1, 0, 0, '')"
#define MOVE                                                                                       \
    "INSERT INTO moves (plan_id, batch, src_node, dst_node, vertices, ids) "                       \
    "VALUES (1, 1, 'a', 'b', 0, '')"
#define SHARD "INSERT INTO shards (id, primary_id, slots) VALUES ('s', 'n', 0)"
#define AUDIT "INSERT INTO audit (principal, action, resource) VALUES ('x', 'y', 'z')"
/* The audit trail and the changes: nobody rewrites what was. */
#define HISTORY(user)                                                                              \
    { user, "UPDATE audit SET principal = 'x'", false }, { user, "DELETE FROM audit", false },     \
        { user, "TRUNCATE audit", false }, { user, "DROP TABLE audit", false },                    \
        { user, "ALTER TABLE audit DISABLE TRIGGER ALL", false },                                  \
        { user,                                                                                    \
          "INSERT INTO changes (resource, type, revision, state) "                                 \
          "VALUES ('x', 'created', 1, '')",                                                        \
          false },                                                                                 \
        { user, "UPDATE changes SET state = ''", false },                                          \
    {                                                                                              \
        user, "TRUNCATE changes", false                                                            \
    }
#define OUTBOX "INSERT INTO outbox (subject, payload) VALUES ('prism.evt.x', '')"
#define FLEET_PLAN                                                                                 \
    "INSERT INTO plans (operation_id, kind, goal, created_by) "                                    \
    "VALUES (gen_random_uuid(), 'fleet', '{}', 'x')"
#define STEP "INSERT INTO steps (plan_id, step, wave, kind) VALUES (1, 1, 1, 'meet')"
#define PIN  "INSERT INTO pins (kind, value, created_by) VALUES ('slot', '1', 'x')"
#define PLAN                                                                                       \
    "INSERT INTO plans (operation_id, run_id, created_by) "                                        \
    "VALUES (gen_random_uuid(), 1, 'x')"
#define DELTA "INSERT INTO route_deltas (plan_id, batch, entries, blob) VALUES (1, 1, 0, '')"
#define FAILED_OVER                                                                                \
    "INSERT INTO dr_failovers VALUES (1, 'a', 'b', 'x', 1, now(), now(), now(), 0, 0, 1, '{}') "   \
    "ON CONFLICT (id, begun_at) DO UPDATE SET report = excluded.report, attempts = "               \
    "excluded.attempts"
#define SCALED "INSERT INTO autoscale_fleets (name, settings, changed_by) VALUES ('f', '{}', 'x')"
#define TOKEN  "INSERT INTO api_tokens (name, hash, role) VALUES ('x', 'x', 'admin')"

static const struct attempt sql[] = {
    HISTORY("placement"),
    HISTORY("rebalance"),
    HISTORY("autoscale"),
    HISTORY("dr"),
    HISTORY("metadata-api"),
    { "metadata-api", "SELECT * FROM audit", true },
    { "metadata-api", "SELECT * FROM changes", true },
    { "metadata-api", "DELETE FROM changes WHERE at < now() - interval '1 day'", true },
    { "placement", "SELECT * FROM changes", false },
    { "placement", "UPDATE changes_floor SET id = 0", false },
    { "placement", "SELECT * FROM zones", true },
    { "placement", "INSERT INTO hints VALUES (1, 0, 'a', 1)", true },
    { "placement", ROUTES("target"), true },
    { "placement", TRAFFIC, true },
    { "placement", "UPDATE slot_traffic SET blob = ''", false },
    { "placement", "UPDATE placement_runs SET state = 'done'", true },
    { "placement", AUDIT, true },
    { "placement", OUTBOX, true },
    { "placement", ROUTES("current"), false },
    { "placement", RUN, false },
    { "placement", PLAN, false },
    { "placement", MOVE, false },
    { "placement", DELTA, false },
    { "placement", SHARD, false },
    { "placement", "INSERT INTO zones (id) VALUES ('x')", false },
    { "placement", "UPDATE nodes SET state = 'up'", false },
    { "placement", "UPDATE operations SET created_by = 'x'", false },
    { "placement", "INSERT INTO node_returns (node_id, follows) VALUES ('n', true)", false },
    { "placement", "UPDATE operations SET progress = '{}'", false },
    { "placement", "SELECT * FROM api_tokens", false },
    { "placement", "SELECT * FROM audit", false },
    { "placement", "SELECT nextval('move_epochs')", false },
    { "placement", "CREATE TABLE mine (x int)", false },
    { "placement", "SET ROLE prism_rebalance", false },
    { "placement", "COPY zones TO PROGRAM 'true'", false },
    { "placement", "SELECT * FROM pg_authid", false },

    { "rebalance", "SELECT * FROM hints", true },
    { "rebalance", ROUTES("current"), true },
    { "rebalance", DELTA, true },
    { "rebalance", MOVE, true },
    { "rebalance", SHARD, true },
    { "rebalance", "SELECT nextval('move_epochs')", true },
    { "rebalance", "UPDATE nodes SET state = 'up'", true },
    { "rebalance", "UPDATE plans SET state = 'running'", true },
    { "rebalance", AUDIT, true },
    { "rebalance", ROUTES("target"), false },
    { "rebalance", "INSERT INTO hints VALUES (1, 0, 'a', 1)", false },
    { "rebalance", "SELECT * FROM slot_traffic", true },
    { "rebalance", TRAFFIC, false },
    { "rebalance", "INSERT INTO node_returns (node_id, follows) VALUES ('n', true)", true },
    { "rebalance", "DELETE FROM node_returns", true },
    { "rebalance", "UPDATE operations SET progress = '{}'", true },
    { "rebalance", "UPDATE placement_runs SET state = 'done'", false },
    { "rebalance", FLEET_PLAN, true }, /* standing orders make plans */
    { "rebalance", STEP, true },
    { "rebalance", "UPDATE steps SET state = 'verified'", true },
    { "rebalance", "UPDATE policies SET halted = false", false },
    { "rebalance", PIN, false },
    { "rebalance", "DELETE FROM steps", true }, /* of plans that are long over */
    { "rebalance", "DELETE FROM plans", false },
    { "rebalance", "DELETE FROM moves", false },
    { "rebalance", "INSERT INTO nodes (id, host, port) VALUES ('n', 'h', 1)", false },
    { "rebalance", "UPDATE nodes SET host = 'x'", false },
    { "rebalance", "SELECT * FROM api_tokens", false },
    { "rebalance", "DROP TABLE moves", false },
    { "rebalance", "SET ROLE prism_metadata_api", false },
    { "rebalance", "SELECT pg_read_file('PG_VERSION')", false },

    { "dr", ROUTES("current"), true }, /* made anew after a restore, with the epochs above them */
    { "dr", "DELETE FROM route_deltas", true },
    { "dr", "SELECT setval('move_epochs', 7)", true },
    { "dr", "DELETE FROM nodes", true }, /* a region fail-over: another site's come instead */
    { "dr", "DELETE FROM shards", true },
    { "dr", "DELETE FROM slots", true },
    { "dr", "DELETE FROM dr_groups", true },
    { "dr", "DELETE FROM dr_gives", true },
    { "dr", "INSERT INTO zones (id) VALUES ('z') ON CONFLICT DO NOTHING", true },
    { "dr", "INSERT INTO nodes (id, host, port, zone_id) VALUES ('n', 'h', 1, NULL)", true },
    { "dr", FAILED_OVER, true },
    { "dr", "UPDATE dr_failovers SET rto_ms = 0", false },
    { "dr", "DELETE FROM dr_failovers", false },
    { "dr", "UPDATE nodes SET host = 'x'", false },
    { "dr", "UPDATE zones SET capacity_ratio = 0", false },
    { "dr", "DELETE FROM zones", false },
    { "dr", SHARD, false },
    { "dr", ROUTES("target"), false },
    { "dr", DELTA, false },
    { "dr", MOVE, false },
    { "dr", PLAN, false },

    { "autoscale", "SELECT settings FROM autoscale_fleets", true },
    { "autoscale", "UPDATE autoscale_state SET desired = 1", true },
    { "autoscale", "UPDATE autoscale_decisions SET state = 'acting'", true },
    { "autoscale", "INSERT INTO nodes (id, host, port) VALUES ('n', 'h', 1)", true },
    { "autoscale", "DELETE FROM nodes WHERE id = 'x'", true },
    { "autoscale", FLEET_PLAN, true },
    { "autoscale", "UPDATE plans SET state = 'canceled'", true },
    { "autoscale", "UPDATE operations SET cancel_requested = true", true },
    { "autoscale", "SELECT halted FROM policies", true },
    { "autoscale", AUDIT, true },
    { "autoscale", OUTBOX, true },
    { "autoscale", SCALED, false },
    { "autoscale", "UPDATE autoscale_fleets SET enabled = true", false },
    { "autoscale", "UPDATE autoscale_decisions SET decision = '{}'", false },
    { "autoscale", "UPDATE autoscale_settings SET settings = '{}'", false },
    { "autoscale", "DELETE FROM autoscale_samples", true }, /* that a clock ahead has left */
    { "autoscale", "SELECT report FROM placement_runs", true },
    { "autoscale", "UPDATE placement_runs SET state = 'done'", false },
    { "autoscale", "DELETE FROM autoscale_settings", false },
    { "autoscale", "UPDATE nodes SET state = 'up'", false },
    { "autoscale", "UPDATE plans SET approved_by = 'x'", false },
    { "autoscale", "UPDATE plans SET goal = '{}'", false },
    { "autoscale", "UPDATE operations SET state = 'done'", false },
    { "autoscale", "UPDATE policies SET halted = false", false },
    { "autoscale", STEP, false },
    { "autoscale", SHARD, false },
    { "autoscale", "SELECT * FROM api_tokens", false },
    { "autoscale", "DROP TABLE autoscale_decisions", false },

    { "metadata-api", "SELECT * FROM api_tokens", true },
    { "metadata-api", "INSERT INTO zones (id) VALUES ('x')", true },
    { "metadata-api", RUN, true },
    { "metadata-api", AUDIT, true },
    { "metadata-api", OUTBOX, true },
    { "metadata-api", TOKEN, true },
    { "metadata-api", FLEET_PLAN, true },
    { "metadata-api", PIN, true },
    { "metadata-api", "UPDATE policies SET halted = true", true },
    { "metadata-api", "UPDATE plans SET params = '{}'", true },
    { "metadata-api", "SELECT count(*), max(state) FROM steps", true },
    { "metadata-api", "SELECT in_flight FROM steps", false },
    { "metadata-api", "UPDATE plans SET goal = '{}'", false },
    { "metadata-api", "UPDATE steps SET state = 'planned'", false },
    { "metadata-api", STEP, false },
    { "metadata-api", "UPDATE slot_history SET to_shard = 'x'", false },
    { "metadata-api", "DELETE FROM policies", false },
    { "metadata-api", ROUTES("current"), false },
    { "metadata-api", ROUTES("target"), false },
    { "metadata-api", MOVE, false },
    { "metadata-api", DELTA, false },
    { "metadata-api", SHARD, false },
    { "metadata-api", SCALED, true },
    { "metadata-api", "UPDATE autoscale_fleets SET enabled = false", true },
    { "metadata-api", "SELECT input FROM autoscale_decisions", true },
    { "metadata-api", "UPDATE autoscale_fleets SET version = 7", false },
    { "metadata-api", "DELETE FROM autoscale_fleets", false },
    { "metadata-api", "UPDATE autoscale_settings SET settings = '{}'", false },
    { "metadata-api", "UPDATE autoscale_decisions SET state = 'done'", false },
    { "metadata-api", "DELETE FROM autoscale_samples", false },
    { "metadata-api", "DELETE FROM autoscale_actions", false },
    { "metadata-api", "UPDATE autoscale_state SET desired = 0", false },
    { "metadata-api", "SELECT autoscale_partitions('autoscale_samples', now(), 1, '8 days')",
      false },
    { "metadata-api", "UPDATE plans SET summary = '{}'", false },
    { "metadata-api", "UPDATE api_tokens SET role = 'admin'", false },
    { "metadata-api", "INSERT INTO store (partitions) VALUES (1)", false },
    { "metadata-api", "TRUNCATE zones", false },
    { "metadata-api", "SET ROLE postgres", false },
};

static void each_role_of_postgresql_is_refused_what_is_not_its_own(void **state)
{
    (void)state;
    char uri[IT_URI], role[IT_URI];

    it_database("privilege", uri);
    mistakes = 0;
    for (size_t i = 0; i < PR_COUNT(sql); i++) {
        it_role_uri(uri, sql[i].user, role);
        PGconn *pg = PQconnectdb(role);
        PGresult *begun = PQexec(pg, "BEGIN"), *r = PQexec(pg, sql[i].what); /* never committed */
        const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        /* 42501: no privilege, row-level security included. A missing row that a
         * foreign key wants is past the question of privilege. */
        bool denied = code != NULL && strcmp(code, "42501") == 0;
        bool worked = code == NULL || strcmp(code, "23503") == 0;

        if (!denied && !worked) {
            mistakes++;
            print_error("%s: %s: %s\n", sql[i].user, sql[i].what, PQerrorMessage(pg));
        }
        judge(&sql[i], !denied, PQerrorMessage(pg));
        PQclear(r);
        PQclear(begun);
        PQfinish(pg);
    }
    assert_int_equal(mistakes, 0);
}

static void a_wrong_password_opens_nothing(void **state)
{
    (void)state;
    char uri[IT_URI], role[IT_URI];

    it_database("wrongpw", uri);
    it_role_uri(uri, "placement", role);
    char *at = strchr(role, '@');
    at[-1] = at[-1] == '0' ? '1' : '0';
    PGconn *pg = PQconnectdb(role);
    assert_int_equal(PQstatus(pg), CONNECTION_BAD);
    PQfinish(pg);
}

/* --- NATS --------------------------------------------------------------- */
/* "pub SUBJECT", "sub SUBJECT" or "sub SUBJECT QUEUE" */
static const struct attempt nats[] = {
    { "placement", "pub prism.evt.placement.finished", true },
    { "placement", "pub prism.dlq.placement", true },
    { "placement", "sub prism.deliver.placement placement", true },
    { "placement", "sub prism.rpc.placement.hint placement", true },
    { "placement", "sub _INBOX_placement.x", true },
    { "placement", "pub prism.evt.rebalance.routes", false },
    { "placement", "pub prism.cmd.placement.run", false },
    { "placement", "pub prism.cmd.rebalance.execute", false },
    { "placement", "pub prism.dlq.rebalance", false },
    { "placement", "pub $JS.API.STREAM.DELETE.PRISM_EVT", false },
    { "placement", "pub $JS.API.STREAM.PURGE.PRISM_CMD", false },
    { "placement", "pub $JS.ACK.PRISM_CMD.rebalance.1.1.1.1.0", false },
    { "placement", "sub prism.deliver.rebalance rebalance", false },
    { "placement", "sub prism.cmd.>", false },
    { "placement", "sub _INBOX_rebalance.>", false },
    { "placement", "sub >", false },

    { "autoscale", "pub prism.evt.autoscale.decision", true },
    { "autoscale", "pub prism.evt.topology.changed", true },
    { "autoscale", "pub $JS.API.CONSUMER.INFO.PRISM_CMD.placement", true },
    { "autoscale", "sub prism.deliver.autoscale autoscale", true },
    { "autoscale", "sub prism.rpc.autoscale.check autoscale", true },
    { "autoscale", "pub prism.evt.rebalance.plan", false },
    { "autoscale", "pub prism.cmd.rebalance.execute", false },
    { "autoscale", "pub prism.metrics.member", false },
    { "autoscale", "pub $JS.API.CONSUMER.DELETE.PRISM_METRICS.autoscale", false },
    { "autoscale", "pub $JS.ACK.PRISM_CMD.rebalance.1.1.1.1.0", false },
    { "autoscale", "sub prism.rpc.rebalance.explain autoscale", false },
    { "autoscale", "sub prism.deliver.rebalance rebalance", false },
    { "autoscale", "sub >", false },

    { "rebalance", "pub prism.evt.rebalance.routes", true },
    { "rebalance", "pub prism.evt.topology.changed", true },
    { "rebalance", "sub prism.deliver.rebalance rebalance", true },
    { "rebalance", "sub prism.rpc.rebalance.explain rebalance", true },
    { "rebalance", "pub prism.evt.placement.finished", false },
    { "rebalance", "sub prism.rpc.placement.hint rebalance", false },
    { "rebalance", "pub prism.cmd.rebalance.execute", false },
    { "rebalance", "pub $JS.API.CONSUMER.DELETE.PRISM_CMD.placement", false },
    { "rebalance", "sub prism.deliver.placement placement", false },
    { "rebalance", "sub prism.rpc.>", false },
    { "rebalance", "sub _INBOX_metadata-api.>", false },

    { "metadata-api", "pub prism.cmd.placement.run", true },
    { "metadata-api", "pub prism.cmd.rebalance.execute", true },
    { "metadata-api", "pub $JS.API.STREAM.INFO.PRISM_DLQ", true },
    { "metadata-api", "pub $JS.API.CONSUMER.INFO.PRISM_CMD.placement", true },
    { "metadata-api", "pub $JS.API.STREAM.INFO.OTHERS", false },
    { "metadata-api", "pub $JS.API.CONSUMER.INFO.OTHERS.x", false },
    { "metadata-api", "pub $JS.API.CONSUMER.INFO.PRISM_CMD.x", false },
    { "metadata-api", "sub _INBOX_metadata-api.x", true },
    { "metadata-api", "pub prism.evt.rebalance.routes", false },
    { "metadata-api", "pub prism.evt.placement.finished", false },
    { "metadata-api", "pub $JS.API.STREAM.CREATE.MINE", false },
    { "metadata-api", "pub $JS.API.STREAM.PURGE.PRISM_CMD", false },
    { "metadata-api", "pub $JS.API.CONSUMER.DELETE.PRISM_CMD.placement", false },
    { "metadata-api", "sub prism.deliver.rebalance rebalance", false },
    { "metadata-api", "sub prism.cmd.>", false },
    { "metadata-api", "sub _INBOX_admin.>", false },

    { "client", "pub prism.edges.access", true },
    { "client", "pub prism.edges.other", false },
    { "client", "pub prism.cmd.rebalance.execute", false },
    { "client", "sub prism.edges.>", false },

    { "admin", "pub $JS.API.STREAM.INFO.PRISM_CMD", true },
    { "admin", "sub _INBOX_placement.>", false },
    { "admin", "sub $SYS.>", false },
};

static natsConnection *nats_as(const char *user, const char *password)
{
    natsOptions *o = NULL;
    natsConnection *nc = NULL;

    assert_int_equal(natsOptions_Create(&o), NATS_OK);
    assert_int_equal(natsOptions_SetURL(o, it_env("IT_NATS_URL")), NATS_OK);
    if (user != NULL)
        assert_int_equal(natsOptions_SetUserInfo(o, user, password), NATS_OK);
    if (natsConnection_Connect(&nc, o) != NATS_OK)
        nc = NULL;
    natsOptions_Destroy(o);
    return nc;
}

static const char *nats_password(const char *user)
{
    if (strcmp(user, "placement") == 0)
        return it_env("IT_PLACEMENT_NATS_PASSWORD");
    if (strcmp(user, "rebalance") == 0)
        return it_env("IT_REBALANCE_NATS_PASSWORD");
    if (strcmp(user, "autoscale") == 0)
        return it_env("IT_AUTOSCALE_NATS_PASSWORD");
    if (strcmp(user, "metadata-api") == 0)
        return it_env("IT_METADATA_API_NATS_PASSWORD");
    if (strcmp(user, "client") == 0)
        return it_env("IT_CLIENT_NATS_PASSWORD");
    return it_env("IT_NATS_ADMIN_PASSWORD");
}

/* The server reports a refusal before it answers the flush's ping. */
static bool nats_try(const char *user, const char *what, char *why, size_t n)
{
    natsConnection *nc = nats_as(user, nats_password(user));
    natsSubscription *sub = NULL;
    const char *text = NULL;
    char verb[8], subject[128], queue[64];
    int words = sscanf(what, "%7s %127s %63s", verb, subject, queue);

    assert_non_null(nc);
    if (strcmp(verb, "pub") == 0)
        assert_int_equal(natsConnection_Publish(nc, subject, "{}", 2), NATS_OK);
    else if (words == 3)
        assert_int_equal(natsConnection_QueueSubscribeSync(&sub, nc, subject, queue), NATS_OK);
    else
        assert_int_equal(natsConnection_SubscribeSync(&sub, nc, subject), NATS_OK);
    assert_int_equal(natsConnection_FlushTimeout(nc, 5000), NATS_OK);
    bool allowed = natsConnection_GetLastError(nc, &text) == NATS_OK;
    snprintf(why, n, "%s", text != NULL ? text : "");
    natsSubscription_Destroy(sub);
    natsConnection_Destroy(nc);
    return allowed;
}

static void each_user_of_nats_is_refused_what_is_not_its_own(void **state)
{
    (void)state;
    char why[256];

    mistakes = 0;
    for (size_t i = 0; i < PR_COUNT(nats); i++)
        judge(&nats[i], nats_try(nats[i].user, nats[i].what, why, sizeof why), why);
    assert_int_equal(mistakes, 0);
    assert_null(nats_as(NULL, NULL));
    assert_null(nats_as("placement", "wrong"));
    it_bus_reset(); /* takes away what the controls published */
}

/* --- Redis -------------------------------------------------------------- */
static const struct attempt redis[] = {
    { "client", "HMGET {p1}v:1 _m _v", true },
    { "client", "FCALL prism_write 1 {p1}v:1 1 o:2 1", true },
    { "client", "FCALL prism_load 1 {p1}v:1 o:2 1", true },
    { "client", "FCALL_RO prism_get 1 {p1}v:1 _v", true },
    { "client", "CLUSTER NODES", true },
    { "client", "WAIT 0 1", true },
    { "client", "FCALL prism_take 1 {p1}v:1 7", false },
    { "client", "FCALL prism_fence 1 {p1}v:1 1 2 7", false },
    { "client", "FCALL prism_promote 2 {p1}v:1 {p1}g:1:7 7", false },
    { "client", "FCALL prism_route 1 {p1}v:1 2 7", false },
    { "client", "FCALL prism_write 1 other 1 o:2 1", false },
    { "client", "HMGET {p1}g:1:7 _v", false },
    { "client", "HSET other a b", false },
    { "client", "SET {p1}v:1 x", false },
    { "client", "DEL {p1}v:1", false },
    { "client", "RENAME {p1}v:1 {p1}v:2", false },
    { "client", "DUMP {p1}v:1", false },
    { "client", "SCAN 0", false },
    { "client", "KEYS *", false },
    { "client", "EVAL x 0", false },
    { "client", "PUBLISH x y", false },
    { "client", "FLUSHALL", false },
    { "client", "FUNCTION FLUSH", false },
    { "client", "ACL SETUSER me on +@all ~*", false },
    { "client", "CONFIG SET maxmemory 1", false },
    { "client", "CONFIG GET masterauth", false },
    { "client", "CONFIG GET maxmemory-policy", false },
    { "client", "CLUSTER FAILOVER", false },
    { "client", "SHUTDOWN NOSAVE", false },

    { "rebalance", "SCAN 0", true },
    { "rebalance", "CLUSTER NODES", true },
    { "rebalance", "ACL LIST", true },
    { "rebalance", "FCALL_RO prism_get 1 {p1}v:1 _v", true },
    { "autoscale", "INFO", true },
    { "autoscale", "PING", true },
    { "autoscale", "CLUSTER NODES", true },
    { "autoscale", "GET {p1}v:1", false },
    { "autoscale", "SCAN 0", false },
    { "autoscale", "CONFIG GET maxmemory", false },
    { "autoscale", "CLUSTER FORGET 0000000000000000000000000000000000000000", false },
    { "autoscale", "ACL LIST", false },
    { "autoscale", "SHUTDOWN NOSAVE", false },

    { "rebalance", "FCALL prism_write 1 {p1}v:1 1 o:2 1", false },
    { "rebalance", "FCALL prism_create 1 {p1}v:1 1 o:2 1", false },
    { "rebalance", "FCALL prism_delete 1 {p1}v:1", false },
    { "rebalance", "HSET {p1}v:1 a b", false },
    { "rebalance", "DEL {p1}v:1", false },
    { "rebalance", "HMGET other a", false },
    { "rebalance", "FLUSHALL", false },
    { "rebalance", "FUNCTION FLUSH", false },
    { "rebalance", "CONFIG SET appendonly no", false },
    { "rebalance", "CLUSTER RESET HARD", false },
    { "rebalance", "SHUTDOWN NOSAVE", false },

    { "admin", "FUNCTION LIST", true },
    { "admin", "CONFIG GET maxmemory-policy", true },
};

static bool redis_try(const char *user, const char *password, const char *what, char *why, size_t n)
{
    int port[IT_MAX_NODES];

    it_redis_ports(port);
    redisContext *c = it_redis_user(port[0], user, password);
    redisReply *r = redisCommand(c, what);
    assert_non_null(r);
    /* any other answer (MOVED, no such function) is past the question */
    bool denied = r->type == REDIS_REPLY_ERROR && strncmp(r->str, "NOPERM", 6) == 0;
    snprintf(why, n, "%s", r->str != NULL ? r->str : "");
    freeReplyObject(r);
    redisFree(c);
    return !denied;
}

static const char *redis_password(const char *user)
{
    if (strcmp(user, "client") == 0)
        return it_env("IT_CLIENT_REDIS_PASSWORD");
    if (strcmp(user, "rebalance") == 0)
        return it_env("IT_REBALANCE_REDIS_PASSWORD");
    if (strcmp(user, "autoscale") == 0)
        return it_env("IT_AUTOSCALE_REDIS_PASSWORD");
    return it_env("IT_REDIS_ADMIN_PASSWORD");
}

static void each_user_of_redis_is_refused_what_is_not_its_own(void **state)
{
    (void)state;
    char why[256];

    it_cluster_await(30000);
    mistakes = 0;
    for (size_t i = 0; i < PR_COUNT(redis); i++) {
        const char *user = redis[i].user;

        judge(&redis[i], redis_try(user, redis_password(user), redis[i].what, why, sizeof why),
              why);
    }
    assert_int_equal(mistakes, 0);
}

static void expect_error(redisContext *c, const char *command, const char *prefix)
{
    redisReply *r = redisCommand(c, command);

    assert_non_null(r);
    assert_int_equal(r->type, REDIS_REPLY_ERROR);
    if (strncmp(r->str, prefix, strlen(prefix)) != 0)
        fail_msg("%s: %s", command, r->str);
    freeReplyObject(r);
}

static void redis_answers_nobody_without_a_name_and_password(void **state)
{
    (void)state;
    int port[IT_MAX_NODES];
    size_t n = it_redis_ports(port);

    for (size_t i = 0; i < n; i++) {
        redisContext *c = redisConnect("127.0.0.1", port[i]);

        assert_non_null(c);
        assert_int_equal(c->err, 0);
        expect_error(c, "PING", "NOAUTH");
        expect_error(c, "CLUSTER NODES", "NOAUTH");
        expect_error(c, "AUTH default x", "WRONGPASS");
        expect_error(c, "AUTH client wrong", "WRONGPASS");
        redisFree(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_of_postgresql_is_refused_what_is_not_its_own),
        cmocka_unit_test(a_wrong_password_opens_nothing),
        cmocka_unit_test(each_user_of_nats_is_refused_what_is_not_its_own),
        cmocka_unit_test(each_user_of_redis_is_refused_what_is_not_its_own),
        cmocka_unit_test(redis_answers_nobody_without_a_name_and_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
