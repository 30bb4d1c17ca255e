/* A provider played by autoscale_server.py, the actuator that talks to it, and a clock of the
 * test's own: waiting costs no time and is written down. */
#ifndef AUTOSCALE_PROVIDER_H
#define AUTOSCALE_PROVIDER_H

#include "io/actuators/actuator.h"
#include "io/actuators/retry.h"

#include <stdio.h>
#include <sys/types.h>

enum { GAPS = 64, SAID = 1 << 20 };

struct provider {
    pid_t pid;
    int port;
    FILE *to, *from;
    char url[64];

    struct autoscale_actuator *actuator;
    struct autoscale_report report;
    struct pr_err err;
    bool sent;

    int64_t now_ms;    /* of the pace's clock */
    int64_t gap[GAPS]; /* waited so far */
    size_t gaps;
    size_t stop_at; /* this gap is not waited, but ends everything; GAPS: none */
    char dir[32];   /* for files of the test; removed with it */
};

/* kind: "aws" or "kubernetes"; with a certificate it speaks TLS. Fails the test when it does
 * not come up. Stopped by provider_stop, and in any case with the test. */
void provider_start(struct provider *p, const char *kind, const char *cert, const char *key);
void provider_stop(struct provider *p); /* and closes the actuator */

/* One command (see the server); its answer. Fails the test unless it was understood. */
const char *provider_tell(struct provider *p, const char *fmt, ...) PR_PRINTF(2, 3);
/* The requests since last asked, each "name arguments status", separated by ";". */
const char *provider_log(struct provider *p);
/* How often a text occurs in a log. */
int times_said(const char *log, const char *what);

/* Waits by the test's clock: 200 ms doubling up to 10 s, at most 60 s, seed 1; 5 s for one
 * question. */
struct autoscale_pace provider_pace(struct provider *p);

/* Another actuator in place of the one that there is; fails the test. */
void provider_open(struct provider *p, const struct autoscale_provider *settings);
/* Its calls: what was sent into p->sent, reports into p->report, words into p->err. */
enum pr_code provider_set(struct provider *p, size_t target, int n);
enum pr_code provider_terminate(struct provider *p, size_t target, const char *id, int after);
enum pr_code provider_describe(struct provider *p);
/* That fault for the next so many requests of that name. */
void provider_fault(struct provider *p, const char *name, int times, const char *what);

/* describe into p->report; settles the target against that order, given at 0. */
struct autoscale_settlement provider_settle(struct provider *p, size_t target, int from, int to);
/* Runs a program to its end in the directory; fails the test unless it succeeds. */
void provider_run(const char *const *argv);
void provider_write(struct provider *p, const char *name, const char *text, char path[64]);

#endif
