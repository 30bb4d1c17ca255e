/* Running prism-load and prism-workload in tests, and looking into the store. */
#ifndef PRISM_TEST_DP_TOOLS_H
#define PRISM_TEST_DP_TOOLS_H

#include "prism/io/redis.h"
#include "t.h"

#include "it.h"

#include <jansson.h>

#define PARTITIONS      64
#define PARTITIONS_TEXT "64"

extern struct pr_cluster *admin; /* between tools_start and tools_stop */

/* Group fixtures: an empty store with the function library. */
int tools_start(void **state);
int tools_stop(void **state);

/* Makes the node at port a primary again and waits until every node says so:
 * zones are as the other tests expect them. */
void fail_back(int port);

/* Environment of a tool as a user of the stack: "CLIENT_REDIS", "REBALANCE_REDIS". */
const char *const *tool_env(const char *user);
/* Runs a tool with --json; its last line comes back parsed. */
json_t *run_tool(const char *user, const char *const *argv, int want_status);
long long number(const json_t *o, const char *key);
double real(const json_t *o, const char *key);
/* The line is {"error": ... says ...}, without "done"; frees it. */
void assert_error(json_t *line, const char *says);

/* A file in the stack's directory; the path is valid until the next call. */
const char *put_file(const char *name, const char *text);

/* A command with the key of a vertex in place of %s: in a partition, or at home
 * (partition < 0). */
redisReply *ask_vertex(const char *id, int partition, const char *fmt);
/* A field of a vertex at home; NULL when absent. Valid until the next call. */
const char *field(const char *id, const char *name);

#endif
