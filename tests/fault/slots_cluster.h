/* The cluster as its nodes tell it, and the audit at the end of every case. */
#ifndef SLOTS_CLUSTER_H
#define SLOTS_CLUSTER_H

#include "it.h"

#include "prism/io/redis.h"

enum { SLOTS_SHARDS = 3, SLOTS_SHARD_NODES = 3 };

/* NULL: nobody answers within half a second. Freed by the caller. */
redisContext *slots_dial(int port);
/* One command; the first line of a status, error, or text reply goes to out. false:
 * no answer. */
bool slots_ask(int port, char *out, size_t n, const char *format, ...);
bool slots_say(int port, const char *format, ...);      /* wants OK, or a number */
bool slots_topology(int port, struct pr_topology *out); /* as that node sees it */

struct slots_shard { /* shard i was made of the i-th, i+3rd and i+6th node */
    int port[SLOTS_SHARD_NODES];
    int primary; /* port; 0: none answers as one */
    char id[PR_NODE_ID];
};
void slots_shards(struct slots_shard out[SLOTS_SHARDS]);
int slots_shard_of(int port);
void slots_server_name(int port, char name[32]); /* "redis-<port>" */

/* The slot that this node has open towards or from another; -1 none, -2 no answer.
 * Of several the first. */
int slots_open_slot(redisContext *c, bool migrating);
long slots_keys_in(redisContext *c, int slot); /* -1: no answer */

/* Brings the first node of every shard back to its head, all servers being up. */
void slots_roles_home(void);

/* What a case that failed left open; its keys are about to be deleted. */
void slots_close_all(void);

/* Awaits: every slot is served, by the one node that all nodes name, none is open,
 * every node is in step, and all know who is whose replica. */
void slots_agree(void);
/* The same, and then: every key is where its slot is, none is missing. what: says
 * what is wrong when false. */
bool slots_audit(char *what, size_t n);

#endif
