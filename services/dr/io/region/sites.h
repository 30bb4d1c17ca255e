/* The two sites of a store, as the file PRISM_DR_SITES_PATH describes them:
 *
 *   { "sites": [ { "name": "east",
 *       "redis": { "nodes": [ { "id": "n1", "address": "10.1.0.11:6379", "zone": "a" } ],
 *                  "user": "admin", "password_path": "/etc/prism/redis", "keep": ["dr", "replica"]
 * }, "postgres": { "uri_path": "/etc/prism/pg", "data": "/var/lib/postgresql/15/main", "options":
 * "-p 5433", "settings": ["port=5433"] }, "hooks": { "stop": "/p", "start": "/p", "switch": "/p",
 * "timeout_s": 60 } }, ... ] }
 *
 * docs/reference/sites.md says what each means. */
#ifndef DR_SITES_H
#define DR_SITES_H

#include "prism/err.h"
#include "prism/io/redis.h"

enum dr_hook { DR_HOOK_STOP, DR_HOOK_START, DR_HOOK_SWITCH, DR_HOOKS };

struct dr_site_node {
    const char *id, *zone;
    char host[PR_HOST];
    int port;
};
struct dr_site {
    const char *name;
    struct dr_site_node *node; /* [nodes], at least one */
    size_t nodes;
    char *seeds;                 /* "host:port,..." of all of them */
    const char *user, *password; /* of who may do everything there */
    const char **keep;           /* [keeps] users that a lock-out leaves on, with `user` */
    size_t keeps;
    const char *pg_uri;               /* of a superuser; NULL: no PostgreSQL is described */
    const char *pg_data, *pg_options; /* data directory; options NULL: none */
    const char **pg_setting;          /* "name=value", NULL-terminated */
    const char *hook[DR_HOOKS];       /* programs; NULL: none */
    int hook_ms;
};
struct dr_sites { /* owned: dr_sites_done */
    struct dr_site site[2];
    void *json;
};

/* PR_EINVAL: names the file, the member, and what is wrong with it. */
PR_CHECKED enum pr_code dr_sites_read(const char *path, struct dr_sites *out, struct pr_err *err);
void dr_sites_done(struct dr_sites *s); /* zeroed is fine */
/* NULL: there is none. *other: may be NULL. */
const struct dr_site *dr_sites_find(const struct dr_sites *s, const char *name,
                                    const struct dr_site **other);
const char *dr_hook_name(enum dr_hook h);

#endif
