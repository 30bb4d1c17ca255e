/* What tests of the autoscale service share: its provider, which is a directory with a file for
 * each node, a consumer's backlog as its load, and its decisions. It runs sixty times as fast as
 * life: a minute of its policies is a second. */
#ifndef AUTOSCALE_SERVICE_STAGE_H
#define AUTOSCALE_SERVICE_STAGE_H

#include "t.h"

#include "it.h"

#include "prism/io/bus.h"

enum { AWAIT_MS = 60000, BACKLOG = 200 };

/* Parts of a fleet's settings: out with a backlog of more than 50, in with less than 10. */
#define STAGE_ZONES                                                                                \
    "\"zones\": [{\"name\": \"a\"}, {\"name\": \"b\"}], \"zone_loss_pct\": 0, \"boot_ms\": "       \
    "60000, "                                                                                      \
    "\"move_ms\": 0"
#define STAGE_POLICIES                                                                             \
    "\"policies\": [{\"policy\": \"rules\", \"rules\": [{\"metric\": \"backlog\", \"threshold\": " \
    "50, "                                                                                         \
    "\"step_pct\": 50, \"sustained_ms\": 120000, \"cooldown_ms\": 120000}, {\"metric\": "          \
    "\"backlog\", "                                                                                \
    "\"threshold\": 10, \"step_pct\": -50, \"sustained_ms\": 180000, \"cooldown_ms\": "            \
    "180000}]}], "                                                                                 \
    "\"budget\": {\"actions_per_day\": 0, \"flaps_per_day\": 0}, \"sources\": [{\"kind\": "        \
    "\"jetstream\", \"stream\": \"PRISM_CMD\", \"consumer\": \"placement\"}]"

extern char uri[IT_URI], dir[64]; /* the database; the provider's nodes */
extern struct pr_bus *bus;        /* as admin */

void stage_open(void); /* no service, and no nodes */
void stage_close(void);
void start(struct it_service *s);
void backlog(int messages); /* from now on */
bool leads(void *service);

PR_PRINTF(1, 2) const char *text(const char *format, ...); /* one cell; valid until the next call */
long number(const char *sql);
const char *last_decisions(void);                  /* in words */
void await_sql(const char *want, const char *sql); /* names the decisions when it never comes */

/* Files of the provider: see autoscale_service_nodes.sh. */
void put(const char *name, const char *content);
void away(const char *name);
int lines_of_log(const char *begin);
int nodes(void);

#endif
