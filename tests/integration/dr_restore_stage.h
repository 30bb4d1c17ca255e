/* A Redis Cluster of the test's own, to restore into, and a look at what it holds. */
#ifndef PRISM_DR_RESTORE_STAGE_H
#define PRISM_DR_RESTORE_STAGE_H

#include "dr_stage.h"
#include "rebalance_stage.h"

enum { OWN_PRIMARIES = 4, OWN_NODES = 5 }; /* the last is a replica of the first */

struct own_cluster {
    pid_t pid[OWN_NODES];
    int port[OWN_NODES];
    char dir[64], seeds[64];
};
void own_cluster_start(struct own_cluster *c); /* returns when every node says it is ok */
void own_cluster_stop(struct own_cluster *c);  /* fine when it was not started */
/* Every key of the primaries. */
long own_cluster_keys(const struct own_cluster *c);
/* prism_version on the node: "OK 1", "RESTORING ...", "Function not found ..." */
void own_cluster_version(const struct own_cluster *c, int node, char *out, size_t n);

/* Of a vertex of the stage: how often it is LIVE, where, and what home says. */
struct own_seen {
    int live;
    uint32_t at;
    long n;       /* field p:n */
    long home_to; /* partition of the stub at home; -1: none */
};
/* seen: [STAGE_VERTICES]. Returns how many staging keys there are. */
long own_cluster_look(const struct own_cluster *c, struct own_seen *seen);

/* prism-dr with these arguments (NULL-terminated) and dr.env; its output to out. */
int own_dr(const char *const *args, char *out, size_t n);
/* The number behind "name": in JSON text; fails the test when it is not there. */
long own_json(const char *json, const char *name);

#endif
