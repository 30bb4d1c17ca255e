/* Database, service and plans of the fault suite; and what every case ends with. */
#ifndef SLOTS_SCENE_H
#define SLOTS_SCENE_H

#include "slots_clients.h"
#include "slots_cluster.h"
#include "slots_keys.h"

#include "prism/rng.h"

enum { SLOTS_AWAIT_MS = 90000, SLOTS_SERVICES = 2, SLOTS_PLAN = 24 };

struct slots_plan {
    long id;
    int from, to; /* shards */
    uint16_t slot[SLOTS_PLAN];
    size_t slots; /* that it moves */
    int64_t began_us;
    char state[16], error[256]; /* as it ended */
};

struct slots_scene {
    char uri[IT_URI];
    struct pr_cluster *cluster; /* as admin */
    struct it_service service[SLOTS_SERVICES];
    bool runs[SLOTS_SERVICES];
    bool spoilt; /* a case failed: load everything anew before the next */
};
extern struct slots_scene slots_scene;

int slots_scene_open(void **state);
int slots_scene_close(void **state);
/* Before each case: everything up, keys loaded, clients at work. After each:
 * whatever was struck is mended. */
int slots_case_begin(void **state);
int slots_case_end(void **state);

/* Service i, ready; extra may be NULL. */
void slots_service_start(int i, const char *const *extra);
void slots_service_kill(int i);
int slots_lease_holder(void); /* index of the service that has the executor's lease; -1 none */

/* SQL while PostgreSQL may be away: false then, or when there is no row. */
bool slots_cell(char *out, size_t n, const char *format, ...) PR_PRINTF(3, 4);
long slots_number(const char *format, ...) PR_PRINTF(1, 2); /* -1: no answer */

/* Proposes and starts a plan that moves hot slots between two shards (seeded; from
 * and to -1: any). params: JSON. state: what is awaited of the proposal. */
void slots_plan_propose(struct slots_plan *p, struct pr_rng *rng, int from, int to,
                        const char *params, const char *state);
void slots_plan_execute(struct slots_plan *p);
void slots_plan_start(struct slots_plan *p, struct pr_rng *rng, const char *params);
bool slots_plan_over(struct slots_plan *p); /* done, failed, canceled, or stuck: paused, why */
void slots_plan_await(struct slots_plan *p, const char *state); /* over, and that is how */
void slots_plan_order(const struct slots_plan *p, const char *state);
void slots_plan_cancel(const struct slots_plan *p);

/* Stops the clients, and asserts what holds after every case: the audit, and no
 * acknowledged write lost. The clients start again. label: for the line it prints. */
struct slots_traffic slots_verify(const char *label, const struct slots_plan *p);

#endif
