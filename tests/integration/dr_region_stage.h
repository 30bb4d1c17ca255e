/* Two sites: east is the fixture's cluster, west one of the test's own; one database, in which the
 * nodes of the owner are; a bucket; the dr service of either. */
#ifndef PRISM_DR_REGION_STAGE_H
#define PRISM_DR_REGION_STAGE_H

#include "dr_ledger.h"
#include "dr_restore_stage.h"

enum { REGION_AWAIT_MS = 120000, REGION_OUT = 16384 };

struct region_stage {
    struct own_cluster west;
    int east[IT_MAX_NODES];
    size_t easts;
    char dir[64], sites[96];
    char east_more[900], west_more[900]; /* members of the sites: ",\"postgres\":..." */
    struct it_service service;           /* dr of the site that owns the store; pid 0: none */
};
extern struct region_stage region;

int region_stage_open(void **state);
int region_stage_close(void **state);
/* Everything as if there never was a fail-over: empty, another name in the bucket, and the dr
 * service of east ships. */
void region_stage_fresh(void);

/* Hooks: NULL: none. ghost: east has a node more, which never answers. */
void region_sites(const char *west_switch, bool ghost);
void region_service_start(const char *site); /* until it ships every shard */
void region_service_stop(void);

/* Every node of east dies, and stays down; comes back with the users of its file, and the site's
 * own one, which in earnest is of the file too. */
void region_east_down(void);
void region_east_up(void);

/* prism-dr failover ARG...; NULL-terminated. Its JSON to out. Exit status. */
int region_failover(char *out, const char *const *arg);
pid_t region_failover_spawn(const char *const *arg, const char *endpoint);
/* The text behind "name": of JSON, up to a comma or brace. */
void region_json(const char *json, const char *name, char *out, size_t n);

/* As the sites' own user. */
redisContext *region_redis(int port);
/* May the user that clients have log in there? */
bool region_user_gets_in(int port);
bool region_locked_out(void *ports); /* int[]: 0 at its end; nobody gets in anywhere */
int *region_east(void);              /* for that */
int *region_west(void);
/* Entries of a line of the ledger at a site; fails when there is a hole. */
uint64_t region_entries(const int *ports, const struct dr_ledger_line *l);
/* Every line: what was said to be durable is there, and (of: not NULL) all that is at `of`. */
void region_check(const int *ports, const int *of);

#endif
