#include "placement_stage.h"

#include "prism/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char dir[64], graph_path[96], uri[IT_URI];
struct pr_bus *bus;
struct it_service service;
static struct pr_bus *listener; /* as metadata-api: may watch events */

struct seen seen = { .mu = PTHREAD_MUTEX_INITIALIZER };

/* --- the stage ------------------------------------------------------------ */

static enum pr_code on_finished(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    (void)ctx;
    Prism__V1__PlacementFinishedEvent *e =
        prism__v1__placement_finished_event__unpack(NULL, msg->len, msg->data);
    if (e == NULL)
        return pr_fail(err, PR_EDATA, "not a PlacementFinishedEvent");
    pthread_mutex_lock(&seen.mu);
    seen.last = *e;
    snprintf(seen.state, sizeof seen.state, "%s", e->state);
    seen.finished++;
    pthread_mutex_unlock(&seen.mu);
    prism__v1__placement_finished_event__free_unpacked(e, NULL);
    return PR_OK;
}

static void write_graph(void)
{
    struct pr_rng rng;
    FILE *f = fopen(graph_path, "w");
    assert_non_null(f);
    pr_rng_init(&rng, 20261121);
    fprintf(f, "# three groups\n");
    for (unsigned v = 0; v < GROUP * GROUPS; v++)
        for (unsigned i = 0; i < 8; i++) { /* one edge in eight leaves the group */
            const unsigned group = i == 0 ? (unsigned)pr_rng_below(&rng, GROUPS) : v / GROUP;
            fprintf(f, "%u\t%u\n", v, group * GROUP + (unsigned)pr_rng_below(&rng, GROUP));
        }
    assert_int_equal(fclose(f), 0);
}

void sql(const char *text)
{
    char cell[8];
    it_sql(uri, text, cell, sizeof cell);
}

void assert_sql(const char *text, const char *want)
{
    char cell[512];
    it_sql(uri, text, cell, sizeof cell);
    if (strcmp(cell, want) != 0)
        fail_msg("%s: \"%s\", want \"%s\"", text, cell, want);
}

long number(const char *text)
{
    char cell[64];
    it_sql(uri, text, cell, sizeof cell);
    return strtol(cell, NULL, 10);
}

/* 64 partitions, three zones, slot n in zone n mod 3; no runs. */
int fresh_store(void **state)
{
    (void)state;
    sql("TRUNCATE placement_runs, hints, route_bases, route_deltas, slot_traffic, plans, "
        "operations, "
        "outbox, processed, store, slots, nodes, zones CASCADE");
    sql("INSERT INTO store (partitions) VALUES (64)");
    sql("INSERT INTO zones (id) VALUES ('a'), ('b'), ('c')");
    sql("INSERT INTO slots (slot, shard_id, node_id, zone_id) "
        "SELECT s, 'n', 'n', (ARRAY['a','b','c'])[s % 3 + 1] FROM generate_series(0, 16383) s");
    return 0;
}

void start_service(void)
{
    char setting[600], role[IT_URI];
    snprintf(setting, sizeof setting, "PRISM_PLACEMENT_DATA_DIRS=/nowhere:%s:%s/tests/data", dir,
             PRISM_SOURCE_DIR);
    const char *const extra[] = { setting, "PRISM_PLACEMENT_HINT_REFRESH_MS=10", NULL };
    it_role_uri(uri, "placement", role);
    it_service(&service, "placement", role, extra);
}

int open_stage(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const struct pr_bus_options admin = { .url = it_env("IT_NATS_URL"),
                                          .user = it_env("IT_NATS_ADMIN_USER"),
                                          .password = it_env("IT_NATS_ADMIN_PASSWORD"),
                                          .name = "placement-test" };
    const struct pr_bus_options api = { .url = it_env("IT_NATS_URL"),
                                        .user = it_env("IT_METADATA_API_NATS_USER"),
                                        .password = it_env("IT_METADATA_API_NATS_PASSWORD"),
                                        .name = "placement-test-listener" };
    snprintf(dir, sizeof dir, "/tmp/prism-placement-test.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(graph_path, sizeof graph_path, "%s/groups.txt", dir);
    write_graph();
    it_bus_reset();
    it_database("placement", uri);
    fresh_store(NULL);
    assert_ok(pr_bus_open(&bus, &admin, &err), &err);
    assert_ok(pr_bus_open(&listener, &api, &err), &err);
    assert_ok(pr_bus_watch(listener, "PRISM_EVT", "prism.evt.placement.>", on_finished, NULL, &err),
              &err);
    start_service();
    return 0;
}

int close_stage(void **state)
{
    (void)state;
    char path[600];
    const int status = it_stop(service.pid);
    pr_bus_close(bus);
    pr_bus_close(listener);
    static const char *const file[] = { "groups.txt", "bad.txt", "outside.txt" };
    for (size_t i = 0; i < PR_COUNT(file); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, file[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
    return status == 0 ? 0 : -1;
}

/* --- what a user does ------------------------------------------------------ */

long add_run(const char *source, const char *params)
{
    char text[1024];
    snprintf(text, sizeof text,
             "WITH o AS (INSERT INTO operations (kind, resource, created_by) VALUES "
             "('placement.run', 'placement/runs', 'test') RETURNING id) "
             "INSERT INTO placement_runs (operation_id, source, params, created_by) "
             "SELECT id, '%s', '%s', 'test' FROM o RETURNING id",
             source, params);
    return number(text);
}

long add_groups_run(void)
{
    char source[400];
    snprintf(source, sizeof source, "{\"file\": \"%s\", \"format\": \"snap\"}", graph_path);
    return add_run(source, "{\"seed\": 7}");
}

void command(long run, const char *msg_id)
{
    uint8_t packed[64];
    struct pr_err err = { 0 };
    Prism__V1__PlacementRunRequest r = PRISM__V1__PLACEMENT_RUN_REQUEST__INIT;
    r.run_id = (uint64_t)run;
    const size_t n = prism__v1__placement_run_request__pack(&r, packed);
    assert_ok(pr_bus_publish(bus, "prism.cmd.placement.run", packed, n, msg_id, NULL, &err), &err);
}

bool ended(void *ctx)
{
    char text[128];
    snprintf(text, sizeof text,
             "SELECT count(*) FROM placement_runs WHERE id = %ld AND finished_at IS NOT NULL",
             *(long *)ctx);
    return number(text) == 1;
}

/* Sends the command and waits until the run has ended; its id. */
long carried_out(long run)
{
    char msg_id[64];
    snprintf(msg_id, sizeof msg_id, "test-%ld-%d", run, (int)getpid());
    command(run, msg_id);
    if (!it_await(ended, &run, AWAIT_MS))
        fail_msg("run %ld has not ended", run);
    return run;
}

void assert_run(long run, const char *column, const char *want)
{
    char text[512];
    snprintf(text, sizeof text, "SELECT %s FROM placement_runs r WHERE id = %ld", column, run);
    assert_sql(text, want);
}

bool announced(void *ctx)
{
    pthread_mutex_lock(&seen.mu);
    const bool is = seen.last.run_id == (uint64_t) * (long *)ctx;
    pthread_mutex_unlock(&seen.mu);
    return is;
}

/* Carries out a run's targets as rebalance would: half folded into the bases,
 * the rest as one delta. */
void carry_out_moves(long run)
{
    char text[512];
    snprintf(text, sizeof text,
             "INSERT INTO route_bases SELECT 'current', 0, home, entries, blob FROM route_bases "
             "WHERE kind = 'target' AND run_id = %ld AND home < 32",
             run);
    sql(text);
    snprintf(text, sizeof text,
             "INSERT INTO route_deltas (plan_id, batch, entries, blob) "
             "SELECT 1, home, entries, blob FROM route_bases "
             "WHERE kind = 'target' AND run_id = %ld AND home >= 32",
             run);
    sql(text);
}
