/* Service shell: settings, log, metrics, /livez /readyz /metrics, NATS, start
 * checks, drain on SIGTERM. main: open, run, close (see docs/explanation/architecture.md).
 *
 * Threads: main waits for signals and ticks; HTTP threads; NATS callbacks only
 * enqueue; workers own one PostgreSQL connection each. */
#ifndef PRISM_IO_SERVICE_H
#define PRISM_IO_SERVICE_H

#include "prism/io/bus.h"
#include "prism/io/config.h"
#include "prism/io/db.h"
#include "prism/io/http.h"
#include "prism/io/metrics.h"
#include "prism/io/outbox.h"

#define CONFIG(...) PR_CFG_FIELD(__VA_ARGS__)
struct pr_common_config {
#include "prism/io/common_config.def"
};
#undef CONFIG

struct pr_service_def {
    const char *name;                /* "placement" */
    const struct pr_cfg_row *config; /* own rows; offsets into config_out */
    size_t n_config;
    void *config_out; /* zeroed struct of the service */
    const struct pr_metric_row *metrics;
    size_t n_metrics;
    /* Further routes beside /livez /readyz /metrics (metadata-api); may be 0. With tls they have a
     * listener of their own, at its bind and port, and the probes' has nothing else; else they are
     * beside the probes, and bind and port are those of PRISM_HTTP_*. */
    const struct pr_http_options *http;
    /* NULL, or called once the settings are read, before anything listens: fills in what of http
     * follows from them. PR_EINVAL: the service does not start. */
    enum pr_code (*configured)(void *ctx, const struct pr_common_config *common,
                               struct pr_err *err);
    void *configured_ctx;
    bool relay; /* runs an outbox relay */
    /* Runs as soon as NATS answers: it has work that needs no PostgreSQL, and ticks that
     * cannot be done without fail with PR_EUNAVAIL. /readyz says 503 until PostgreSQL answers. */
    bool without_db;
};

struct pr_service {
    struct pr_service_def def;
    struct pr_common_config common;
    struct pr_metrics *metrics;
    struct pr_bus *bus;    /* connected, or reconnecting */
    struct pr_db *db;      /* main thread's own connection */
    struct pr_http *http;  /* probes, and the routes of def.http without TLS */
    struct pr_http *https; /* those with TLS; else NULL */
    struct pr_relay *relay;
    char instance[64]; /* "<name>-<host>-<pid>": lease holder name */
    void *internal;
};

/* Handles --help, --version, --print-config (returns PR_ECANCELED after
 * printing). Bad settings: all printed to stderr, PR_EINVAL. Waits for
 * PostgreSQL (not with def->without_db) and NATS (logging what is missing, /readyz
 * 503 meanwhile) until they answer or SIGTERM comes. */
PR_CHECKED enum pr_code pr_service_open(struct pr_service *svc, const struct pr_service_def *def,
                                        int argc, char **argv, struct pr_err *err);
/* Calls tick(ctx) every tick_ms until SIGTERM/SIGINT, then drains: once it
 * returns, no HTTP or NATS handler runs, the relay has stopped, and svc->http,
 * ->https, ->bus and ->relay are NULL (svc->db stays open until pr_service_close). Routes
 * of def->http answer 503 until it is called, so their ctx may be made between
 * open and run. A tick that fails with a retryable code is logged and tried
 * again; any other ends the run. */
PR_CHECKED enum pr_code pr_service_run(struct pr_service *svc,
                                       enum pr_code (*tick)(void *ctx, int64_t now_ms,
                                                            struct pr_err *err),
                                       void *ctx, int tick_ms, struct pr_err *err);
/* The same drain, for a start that fails after handlers were registered: call
 * it first in the shell's close. Doing it twice is harmless. */
void pr_service_drain(struct pr_service *svc);
void pr_service_close(struct pr_service *svc); /* accepts what was never opened */
/* main's exit status: PR_OK and PR_ECANCELED (--help, or SIGTERM while starting)
 * are success; anything else is logged as service.failed. */
int pr_service_exit(enum pr_code rc, const struct pr_err *err);
bool pr_service_stopping(const struct pr_service *svc);
/* Own readiness: reason NULL or "" clears; name is static. Shown by /readyz. */
void pr_service_not_ready(struct pr_service *svc, const char *name, const char *reason);

#endif
