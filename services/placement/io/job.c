#include "io/job.h"

#include "core/parts.h"
#include "core/traffic.h"
#include "engine/community.h"
#include "io/load.h"
#include "io/memory.h"
#include "io/report_json.h"
#include "io/run_table.h"
#include "io/source.h"
#include "io/store_read.h"
#include "prism/io/clock.h"
#include "prism/io/log.h"
#include "prism/v1/placement.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
    ASK_EVERY_MS = 200, /* whether to stop; progress is told at every second asking */
    LAST_TRY = 15       /* deliveries; some short of what the bus takes for a crashing handler */
};

struct job {
    struct placement_worker *w;
    const struct pr_msg *msg;
    struct placement_run_row row;
    struct placement_source source;
    struct pr_pool *pool;
    uint64_t budget_bytes, estimate_bytes;
    struct placement_graph graph;
    struct placement_loaded loaded;
    uint16_t *fixed; /* [graph.n]; NULL: none */
    struct placement_result result;
    struct placement_communities communities;
    struct pr_buf traffic_before, traffic_after; /* between slots; empty: not counted */
    bool computed;                               /* result is to be freed */
    bool canceled; /* by the user; else a stop was asked of the service */
    enum placement_phase phase;
    double phase_s[PLACEMENT_PHASES];
    int64_t started_us, phase_us, asked_us; /* monotonic */
    unsigned asked;
};

/* --- progress and cancellation -------------------------------------------- */

static void enter(struct job *j, enum placement_phase phase, int64_t now_us)
{
    j->phase_s[j->phase] += (double)(now_us - j->phase_us) / 1e6;
    j->phase = phase;
    j->phase_us = now_us;
}

/* What the run is worth is not lost to a progress row that cannot be written. */
static void tell(struct job *j, enum placement_phase phase, double done, int64_t now_us)
{
    struct pr_err err;
    enum pr_code rc;
    if (j->asked++ % 2 == 0) {
        const double ratio = placement_progress(phase, done);
        const double spent_s = (double)(now_us - j->started_us) / 1e6;
        const double eta_s = ratio < 0.02 ? -1 : spent_s * (1 - ratio) / ratio;
        rc = placement_run_progress(j->w->db, j->row.operation_id, placement_phase_name(phase),
                                    ratio, eta_s, &j->canceled, &err);
    } else {
        rc = placement_run_canceling(j->w->db, j->row.operation_id, &j->canceled, &err);
    }
    if (rc != PR_OK)
        pr_warn(PR_EV("placement.progress_failed"), PR_I("run", j->row.id), PR_E(&err));
}

/* The engine asks very often, PostgreSQL is asked now and then. */
static bool go_on(void *ctx, enum placement_phase phase, double done)
{
    struct job *j = ctx;
    const int64_t now_us = pr_mono_us();
    if (phase != j->phase)
        enter(j, phase, now_us);
    if (j->asked_us == 0 || now_us - j->asked_us >= ASK_EVERY_MS * 1000) {
        j->asked_us = now_us;
        tell(j, phase, done, now_us);
    }
    return !j->canceled && !pr_service_stopping(j->w->svc);
}

static bool reading(void *ctx, double done)
{
    return go_on(ctx, PLACEMENT_READ, done);
}

static bool building(void *ctx, double done)
{
    return go_on(ctx, PLACEMENT_BUILD, done);
}

static bool cutting(void *ctx, double done)
{
    return go_on(ctx, PLACEMENT_CUT, done);
}

static enum pr_code step(struct job *j, enum placement_phase phase, struct pr_err *err)
{
    if (go_on(j, phase, 0))
        return PR_OK;
    return pr_fail(err, PR_ECANCELED, "canceled before phase %s", placement_phase_name(phase));
}

/* --- the phases ----------------------------------------------------------- */

static enum pr_code read_graph(struct job *j, struct pr_err *err)
{
    enum pr_code rc =
        placement_source_parse(j->row.source, j->row.params, j->w->cfg, &j->source, err);
    if (rc == PR_OK)
        rc = placement_run_reference(j->w->db, &j->row, &j->source.params.reference_ratio, err);
    if (rc == PR_OK)
        rc = placement_pool_open((uint64_t)j->w->cfg->threads, &j->pool, err);
    if (rc != PR_OK)
        return rc;
    j->budget_bytes = placement_budget((uint64_t)j->w->cfg->memory_mib);
    const struct placement_read in = { .path = j->source.path,
                                       .format = j->source.format,
                                       .pool = j->pool,
                                       .budget_bytes = j->budget_bytes,
                                       .read = { reading, j },
                                       .build = { building, j } };
    return placement_graph_read(&in, &j->graph, err);
}

/* Of the steps of a run, which follow each other, the one that takes most. */
static uint64_t engine_bytes(const struct job *j)
{
    const struct placement_graph *g = &j->graph;
    const struct placement_store *s = &j->loaded.store;
    const unsigned threads = pr_pool_threads(j->pool);
    if (j->source.kind == PLACEMENT_EVALUATE)
        return 0;
    if (j->source.kind == PLACEMENT_COMMUNITIES)
        return placement_communities_bytes(g->n, g->arcs, g->weight != NULL, threads);
    const uint64_t cut =
        placement_partition_bytes(g->n, g->arcs, g->weight != NULL, s->zones, threads);
    if (!j->source.params.by_locality)
        return cut;
    double sum = 0, largest = 0;
    for (uint32_t z = 0; z < s->zones; z++) {
        const double ratio = s->zone[z].capacity_ratio;
        sum += ratio;
        largest = ratio > largest ? ratio : largest;
    }
    const double share = sum > 0 ? largest / sum * (1 + j->source.params.imbalance) : 1;
    const uint64_t numbering = 16 * (uint64_t)g->n; /* which part overlaps which number */
    const uint64_t parts = placement_parts_bytes(g, share, s->partitions, threads) + numbering;
    return parts > cut ? parts : cut;
}

/* Before anything long begins. */
static enum pr_code afford(struct job *j, struct pr_err *err)
{
    const uint64_t places = 32 * (uint64_t)j->graph.n; /* hashes, partitions, zones, targets */
    return placement_afford(&j->graph, places + engine_bytes(j), j->budget_bytes,
                            &j->estimate_bytes, err);
}

/* Capacities and fixed vertices, as the run wants them. */
static enum pr_code read_wishes(struct job *j, struct pr_err *err)
{
    const struct placement_store *s = &j->loaded.store;
    const char *zone[PLACEMENT_MAX_ZONES];
    enum pr_code rc = placement_source_capacity(&j->source, &j->loaded.store, err);
    if (rc == PR_OK && j->source.fixed_path[0] != '\0')
        rc = placement_pins_read(&j->source.pins, j->source.fixed_path, err);
    if (rc != PR_OK || j->source.pins.n == 0)
        return rc;
    for (uint32_t z = 0; z < s->zones; z++)
        zone[z] = s->zone[z].id;
    j->fixed = malloc(j->graph.n * sizeof *j->fixed);
    if (j->fixed == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for %zu fixed vertices", j->source.pins.n);
    return placement_pins_apply(&j->source.pins, &j->graph, zone, s->zones, j->fixed, err);
}

static enum pr_code find_communities(struct job *j, struct pr_err *err)
{
    const struct placement_communities_input in = { .graph = &j->graph,
                                                    .method = PLACEMENT_LEIDEN,
                                                    .resolution = 1,
                                                    .seed = j->source.params.seed,
                                                    .pool = j->pool,
                                                    .watch = { cutting, j } };
    uint32_t *community = malloc(j->graph.n * sizeof *community);
    if (community == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for the communities");
    enum pr_code rc = placement_communities(&in, community, &j->communities, err);
    free(community); /* its figures are the answer */
    return rc;
}

/* What a later change of the fleet is weighed with. */
static enum pr_code count_traffic(struct job *j, struct pr_err *err)
{
    enum pr_code rc = placement_traffic(&j->graph, &j->loaded.store, j->result.current, j->pool,
                                        &j->traffic_before, err);
    if (rc == PR_OK && j->source.kind == PLACEMENT_RUN)
        rc = placement_traffic(&j->graph, &j->loaded.store, j->result.partition, j->pool,
                               &j->traffic_after, err);
    return rc;
}

static enum pr_code compute(struct job *j, struct pr_err *err)
{
    const struct placement_input in = {
        .graph = &j->graph,
        .store = &j->loaded.store,
        .today = &j->loaded.today,
        .fixed = j->fixed,
        .params = j->source.params,
        .pool = j->pool,
        .go_on = go_on,
        .ctx = j,
    };
    enum pr_code rc = read_wishes(j, err);
    if (rc == PR_OK)
        rc = afford(j, err);
    if (rc == PR_OK)
        rc = step(j, PLACEMENT_CUT, err);
    if (rc == PR_OK && j->source.kind == PLACEMENT_COMMUNITIES)
        rc = find_communities(j, err);
    if (rc != PR_OK)
        return rc;
    rc = j->source.kind == PLACEMENT_RUN ? placement_compute(&in, &j->result, err)
                                         : placement_measure(&in, &j->result, err);
    j->computed = rc == PR_OK;
    if (rc == PR_OK && j->source.kind != PLACEMENT_COMMUNITIES)
        rc = count_traffic(j, err);
    if (rc == PR_OK)
        rc = step(j, PLACEMENT_WRITE, err);
    return rc;
}

static void measure(struct job *j, const char *state)
{
    struct pr_metrics *m = j->w->svc->metrics;
    pr_metrics_add(m, M_RUNS, state, 1);
    if (!j->computed || j->source.kind != PLACEMENT_RUN)
        return;
    pr_metrics_observe(m, M_RUN_SECONDS, NULL, (double)(pr_mono_us() - j->started_us) / 1e6);
    pr_metrics_set(m, M_VERTICES, NULL, j->graph.n);
    pr_metrics_set(m, M_EDGES, NULL, (double)(j->graph.arcs / 2));
    pr_metrics_set(m, M_CROSS_SHARE, "before", j->result.before.cross_share);
    pr_metrics_set(m, M_CROSS_SHARE, "after", j->result.after.cross_share);
    pr_metrics_set(m, M_MOVES, NULL, (double)j->result.moves);
}

static enum pr_code end(struct job *j, const struct placement_ending *e, struct pr_err *err)
{
    bool ended = false;
    enum pr_code rc = placement_run_end(j->w->db, e, &ended, err);
    if (rc != PR_OK)
        return rc;
    if (!ended) {
        pr_info(PR_EV("placement.run_already_ended"), PR_I("run", j->row.id));
        return PR_OK;
    }
    measure(j, e->state);
    pr_info(PR_EV("placement.run_ended"), PR_I("run", j->row.id), PR_S("state", e->state),
            PR_S("error", e->error == NULL ? "" : e->error), PR_I("vertices", e->vertices),
            PR_I("moves", e->result == NULL ? 0 : e->result->moves),
            PR_R("seconds", (double)(pr_mono_us() - j->started_us) / 1e6));
    return PR_OK;
}

static enum pr_code end_done(struct job *j, struct pr_err *err)
{
    const bool targets = j->source.kind == PLACEMENT_RUN;
    const struct placement_report_input in = {
        .kind = j->source.kind,
        .graph = &j->graph,
        .store = &j->loaded.store,
        .params = &j->source.params,
        .result = &j->result,
        .communities = &j->communities,
        .cfg = j->w->cfg,
        .phase_s = j->phase_s,
        .threads = pr_pool_threads(j->pool),
        .peak_memory_bytes = placement_peak_bytes(),
        .estimate_bytes = j->estimate_bytes,
        .budget_bytes = j->budget_bytes,
    };
    char *report = placement_report_json(&in);
    if (report == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for the report");
    const struct placement_ending e = {
        .row = &j->row,
        .event_id = j->msg->id,
        .state = "done",
        .report = report,
        .traffic_before = j->traffic_before.len > 0 ? &j->traffic_before : NULL,
        .traffic_after = j->traffic_after.len > 0 ? &j->traffic_after : NULL,
        .store = targets ? &j->loaded.store : NULL,
        .result = targets ? &j->result : NULL,
        .vertices = j->graph.n,
        .keep_runs = j->w->cfg->keep_runs,
    };
    enum pr_code rc = end(j, &e, err);
    free(report);
    return rc;
}

static enum pr_code end_badly(struct job *j, const char *state, const char *why, struct pr_err *err)
{
    const struct placement_ending e = {
        .row = &j->row, .event_id = j->msg->id, .state = state, .error = why
    };
    return end(j, &e, err);
}

/* From the row to the targets written. */
static enum pr_code carry_out(struct job *j, struct pr_err *err)
{
    placement_peak_reset();
    enum pr_code rc = read_graph(j, err);
    if (rc == PR_OK)
        rc = placement_load(j->w->db, &j->loaded, err);
    if (rc == PR_OK)
        rc = compute(j, err);
    if (rc == PR_OK)
        rc = end_done(j, err);
    return rc;
}

/* What failed by itself ends the run; what may work later is tried again, but
 * not for ever: a run must not stay "running". */
static enum pr_code settle(struct job *j, enum pr_code rc, struct pr_err *why, struct pr_err *err)
{
    if (rc == PR_OK)
        return PR_OK;
    if (rc == PR_ECANCELED && j->canceled)
        return end_badly(j, "canceled", NULL, err);
    if (rc == PR_ECANCELED)
        return pr_fail(err, PR_ECANCELED, "stopping: run %lld will be computed again",
                       (long long)j->row.id);
    if (pr_retryable(rc) && j->msg->deliveries < LAST_TRY)
        return pr_fail(err, rc, "%s", why->text);
    return end_badly(j, "failed", why->text, err);
}

static enum pr_code run(struct placement_worker *w, const struct pr_msg *msg, int64_t run_id,
                        struct pr_err *err)
{
    struct job *j = calloc(1, sizeof *j); /* its figures are large */
    if (j == NULL)
        return pr_fail(err, PR_ENOMEM, "out of memory for run %lld", (long long)run_id);
    j->w = w;
    j->msg = msg;
    j->started_us = j->phase_us = pr_mono_us();

    enum pr_code rc = placement_run_start(w->db, run_id, &j->row, err);
    if (rc == PR_OK && j->row.cancel_requested && !j->row.finished) {
        rc = end_badly(j, "canceled", NULL, err);
    } else if (rc == PR_OK && !j->row.finished) {
        struct pr_err why = { 0 };
        pr_info(PR_EV("placement.run_started"), PR_I("run", run_id),
                PR_I("delivery", msg->deliveries));
        rc = settle(j, carry_out(j, &why), &why, err);
    }

    placement_run_row_done(&j->row);
    placement_source_done(&j->source);
    placement_graph_done(&j->graph);
    pr_pool_free(j->pool);
    free(j->fixed);
    placement_loaded_done(&j->loaded);
    pr_buf_done(&j->traffic_before);
    pr_buf_done(&j->traffic_after);
    if (j->computed)
        placement_result_done(&j->result);
    free(j);
    /* PostgreSQL away for a while is not the command's fault: no dead letter. */
    if (!pr_retryable(rc))
        return rc;
    const struct pr_err why = *err;
    return pr_fail(err, PR_ECANCELED, "%.200s: will be tried again", why.text);
}

enum pr_code placement_job(void *ctx, const struct pr_msg *msg, struct pr_err *err)
{
    Prism__V1__PlacementRunRequest *request =
        prism__v1__placement_run_request__unpack(NULL, msg->len, msg->data);
    if (request == NULL)
        return pr_fail(err, PR_EDATA, "%s: not a PlacementRunRequest (%zu bytes)", msg->subject,
                       msg->len);
    const uint64_t run_id = request->run_id;
    prism__v1__placement_run_request__free_unpacked(request, NULL);
    if (run_id == 0 || run_id > INT64_MAX)
        return pr_fail(err, PR_EDATA, "%s: run id %llu", msg->subject, (unsigned long long)run_id);
    return run(ctx, msg, (int64_t)run_id, err);
}
