#include "io/region/lock.h"

#include "io/each.h"

#include "prism/io/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 3000, THREADS = 16, LEAVE_MS = 3000, TURN_MS = 20, NAME = 256 };

struct node {
    char host[PR_HOST];
    int port;
    bool silent, primary; /* primary: that owns slots */
    struct dr_region_point at;
};

enum what { LOOK, LOCK, ADMIT };

struct run {
    const struct dr_site *site;
    enum what what;
    struct node *node;
    size_t nodes;
    pthread_mutex_t mu; /* out */
    struct dr_lock *out;
};

static struct pr_redis_auth auth_of(const struct dr_site *s)
{
    return (struct pr_redis_auth){ s->user, s->password };
}

static bool kept(const struct dr_site *s, const char *user)
{
    if (strcmp(user, s->user) == 0)
        return true;
    for (size_t i = 0; i < s->keeps; i++)
        if (strcmp(user, s->keep[i]) == 0)
            return true;
    return false;
}

/* --- users ---------------------------------------------------------------------------------------
 */

/* "user NAME on ...": name of a line of ACL LIST. */
static bool user_of(const redisReply *line, char name[NAME], bool *on)
{
    char state[8];
    if (line->type != REDIS_REPLY_STRING || sscanf(line->str, "user %255s %7s", name, state) != 2)
        return false;
    *on = strcmp(state, "on") == 0;
    return true;
}

typedef enum pr_code each_user(const struct run *r, struct pr_redis *c, const char *name, bool on,
                               size_t *changed, struct pr_err *err);

static enum pr_code for_users(const struct run *r, struct pr_redis *c, each_user *fn,
                              size_t *changed, struct pr_err *err)
{
    PR_AUTO(redisReply) *all = NULL;
    char name[NAME];
    bool on = false;
    enum pr_code rc = pr_redis_command(c, &all, err, "ACL LIST");
    for (size_t i = 0; rc == PR_OK && i < all->elements; i++) {
        if (!user_of(all->element[i], name, &on))
            return pr_fail(err, PR_EDATA, "ACL LIST answered something else");
        if (!kept(r->site, name) && strcmp(name, DR_LOCK_USER) != 0)
            rc = fn(r, c, name, on, changed, err);
    }
    return rc;
}

static enum pr_code simple(struct pr_redis *c, struct pr_err *err, const char *format,
                           const char *a, const char *b)
{
    PR_AUTO(redisReply) *reply = NULL;
    return pr_redis_command(c, &reply, err, format, a, b);
}

/* The note first: killed in between, it is one too many, of a user who was on. */
static enum pr_code turn_off(const struct run *r, struct pr_redis *c, const char *name, bool on,
                             size_t *changed, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    (void)r;
    if (on) {
        rc = simple(c, err, "ACL SETUSER %s off ~%s", DR_LOCK_USER, name);
        if (rc == PR_OK)
            rc = simple(c, err, "ACL SETUSER %s %s", name, "off");
        *changed += rc == PR_OK;
    }
    /* Who is connected stays so when it is turned off. Links of replicas are none of these. */
    if (rc == PR_OK)
        rc = simple(c, err, "CLIENT KILL USER %s TYPE %s", name, "normal");
    return rc == PR_OK ? simple(c, err, "CLIENT KILL USER %s TYPE %s", name, "pubsub") : rc;
}

static enum pr_code is_off(const struct run *r, struct pr_redis *c, const char *name, bool on,
                           size_t *changed, struct pr_err *err)
{
    (void)r;
    (void)c;
    (void)changed;
    return on ? pr_fail(err, PR_ECONFLICT, "user %.60s is on again", name) : PR_OK;
}

/* Of who is not kept: how many connections there are, and one's user. */
static enum pr_code count_clients(const struct run *r, struct pr_redis *c, const char *type,
                                  size_t *n, char name[NAME], struct pr_err *err)
{
    PR_AUTO(redisReply) *all = NULL;
    const enum pr_code rc = pr_redis_command(c, &all, err, "CLIENT LIST TYPE %s", type);
    if (rc != PR_OK)
        return rc;
    for (const char *at = all->str; at != NULL && (at = strstr(at, " user=")) != NULL;) {
        at += strlen(" user=");
        char user[NAME];
        (void)snprintf(user, sizeof user, "%.*s", (int)strcspn(at, " \n"), at);
        if (kept(r->site, user))
            continue;
        ++*n;
        memcpy(name, user, NAME);
    }
    return PR_OK;
}

/* A client that is killed goes when the server gets to it. */
static enum pr_code await_gone(const struct run *r, struct pr_redis *c, struct pr_err *err)
{
    const int64_t until_us = pr_mono_us() + LEAVE_MS * 1000;
    for (;;) {
        char name[NAME] = "";
        size_t n = 0;
        enum pr_code rc = count_clients(r, c, "normal", &n, name, err);
        if (rc == PR_OK)
            rc = count_clients(r, c, "pubsub", &n, name, err);
        if (rc != PR_OK || n == 0)
            return rc;
        if (pr_mono_us() >= until_us)
            return pr_fail(err, PR_ECONFLICT, "%zu connections are left, one of user %.60s", n,
                           name);
        (void)poll(NULL, 0, TURN_MS);
    }
}

/* "~a ~b" of the note. */
static const char *noted(const redisReply *note)
{
    for (size_t i = 0; note->type == REDIS_REPLY_ARRAY && i + 1 < note->elements; i += 2)
        if (note->element[i]->str != NULL && strcmp(note->element[i]->str, "keys") == 0)
            return note->element[i + 1]->str;
    return NULL;
}

static enum pr_code turn_on(const struct run *r, struct pr_redis *c, const char *name, bool on,
                            size_t *changed, struct pr_err *err)
{
    PR_AUTO(redisReply) *note = NULL;
    const size_t n = strlen(name);
    const enum pr_code rc = pr_redis_command(c, &note, err, "ACL GETUSER " DR_LOCK_USER);
    const char *at = rc == PR_OK ? noted(note) : NULL;
    (void)r;
    for (; !on && at != NULL && *at != '\0'; at += strcspn(at, "~")) {
        at++; /* ~ */
        if (strncmp(at, name, n) == 0 && (at[n] == ' ' || at[n] == '\0')) {
            ++*changed;
            return simple(c, err, "ACL SETUSER %s %s", name, "on");
        }
    }
    return rc;
}

/* --- a node ------------------------------------------------------------------------------------
 */

static enum pr_code lock_node(const struct run *r, struct pr_redis *c, size_t *changed,
                              struct pr_err *err)
{
    enum pr_code rc = for_users(r, c, turn_off, changed, err);
    if (rc == PR_OK)
        rc = for_users(r, c, is_off, changed, err);
    return rc == PR_OK ? await_gone(r, c, err) : rc;
}

static enum pr_code admit_node(const struct run *r, struct pr_redis *c, size_t *changed,
                               struct pr_err *err)
{
    const enum pr_code rc = for_users(r, c, turn_on, changed, err);
    return rc == PR_OK ? simple(c, err, "ACL DELUSER %s%s", DR_LOCK_USER, "") : rc;
}

static enum pr_code where_is_it(struct node *n, struct pr_redis *c, struct pr_err *err)
{
    PR_AUTO(redisReply) *info = NULL;
    PR_AUTO(redisReply) *slots = NULL;
    enum pr_code rc = pr_redis_command(c, &info, err, "INFO replication");
    if (rc == PR_OK)
        rc = pr_redis_command(c, &slots, err, "CLUSTER NODES");
    if (rc != PR_OK)
        return rc;
    const char *id = strstr(info->str, "master_replid:"),
               *offset = strstr(info->str, "master_repl_offset:"),
               *self = strstr(slots->str, "myself,master");
    if (id == NULL || offset == NULL ||
        sscanf(id, "master_replid:%40[0-9a-f]", n->at.replid) != 1 ||
        strlen(n->at.replid) != sizeof n->at.replid - 1)
        return pr_fail(err, PR_EDATA, "INFO replication answered something else");
    n->at.offset = strtoull(offset + strlen("master_repl_offset:"), NULL, 10);
    if (self != NULL) { /* slots stand behind "connected" */
        const char *end = strchr(self, '\n'), *link = strstr(self, " connected ");
        n->primary = link != NULL && (end == NULL || link < end);
    }
    return PR_OK;
}

static enum pr_code visit(void *ctx, struct pr_s3 *s3, size_t i, struct pr_err *err)
{
    struct run *r = ctx;
    struct node *n = &r->node[i];
    const struct pr_redis_auth auth = auth_of(r->site);
    struct pr_redis *c = NULL;
    size_t changed = 0;
    (void)s3;
    enum pr_code rc = pr_redis_open(&c, n->host, n->port, &auth, TIMEOUT_MS, err);
    n->silent = rc == PR_EUNAVAIL || rc == PR_ETIMEOUT;
    if (n->silent)
        return PR_OK;
    if (rc == PR_OK && r->what == LOCK)
        rc = lock_node(r, c, &changed, err);
    if (rc == PR_OK && r->what == LOCK)
        rc = where_is_it(n, c, err);
    if (rc == PR_OK && r->what == ADMIT)
        rc = admit_node(r, c, &changed, err);
    n->silent = rc == PR_EUNAVAIL || rc == PR_ETIMEOUT; /* it went away meanwhile */
    pr_redis_close(c);
    pthread_mutex_lock(&r->mu);
    *(r->what == LOCK ? &r->out->users : &r->out->users_on) += changed;
    pthread_mutex_unlock(&r->mu);
    return rc == PR_OK || n->silent ? PR_OK : pr_wrap(err, rc, "redis %s:%d", n->host, n->port);
}

/* --- all nodes -----------------------------------------------------------------------------------
 */

static bool known(const struct run *r, const char *host, int port)
{
    for (size_t i = 0; i < r->nodes; i++)
        if (r->node[i].port == port && strcmp(r->node[i].host, host) == 0)
            return true;
    return false;
}

static enum pr_code add_node(struct run *r, const char *host, int port, struct pr_err *err)
{
    struct node *more = realloc(r->node, (r->nodes + 1) * sizeof *more);
    if (more == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu nodes", r->nodes + 1);
    r->node = more;
    r->node[r->nodes] = (struct node){ .port = port };
    (void)snprintf(r->node[r->nodes++].host, PR_HOST, "%s", host);
    return PR_OK;
}

/* Those that the file lacks: a client finds them, too. Asked of the first that answers; one that
 * no node of the file knows is in another cluster. */
static enum pr_code discover(struct run *r, struct pr_err *err)
{
    const struct pr_redis_auth auth = auth_of(r->site);
    struct pr_cluster *c = NULL;
    struct pr_err unsaid;
    enum pr_code rc = PR_OK;
    for (size_t i = 0; rc == PR_OK && i < r->site->nodes; i++)
        rc = add_node(r, r->site->node[i].host, r->site->node[i].port, err);
    if (rc != PR_OK || pr_cluster_open(&c, r->site->seeds, &auth, TIMEOUT_MS, &unsaid) != PR_OK)
        return rc;
    const struct pr_topology *map = pr_cluster_topology(c);
    for (size_t i = 0; rc == PR_OK && i < map->nodes; i++)
        if (map->node[i].host[0] != '\0' && !map->node[i].failed &&
            !known(r, map->node[i].host, map->node[i].port))
            rc = add_node(r, map->node[i].host, map->node[i].port, err);
    pr_cluster_close(c);
    return rc;
}

static enum pr_code sum_up(struct run *r, struct pr_err *err)
{
    struct dr_lock *out = r->out;
    size_t at = 0;
    out->nodes = r->nodes;
    out->point = calloc(r->nodes, sizeof *out->point);
    if (out->point == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu nodes", r->nodes);
    for (size_t i = 0; i < r->nodes; i++) {
        const struct node *n = &r->node[i];
        if (n->silent && at < sizeof out->silent_names)
            at += (size_t)snprintf(out->silent_names + at, sizeof out->silent_names - at, "%s%s:%d",
                                   at > 0 ? ", " : "", n->host, n->port);
        out->silent += n->silent;
        if (!n->silent && n->primary)
            out->point[out->points++] = n->at;
    }
    return PR_OK;
}

static enum pr_code go(const struct dr_site *s, enum what what, struct dr_lock *out,
                       struct pr_err *err)
{
    struct run r = { .site = s, .what = what, .mu = PTHREAD_MUTEX_INITIALIZER, .out = out };
    *out = (struct dr_lock){ .nodes = 0 };
    enum pr_code rc = discover(&r, err);
    if (rc == PR_OK)
        rc = dr_each(NULL, NULL, THREADS, r.nodes, visit, &r, err);
    if (rc == PR_OK)
        rc = sum_up(&r, err);
    free(r.node);
    return rc;
}

enum pr_code dr_lock_out(const struct dr_site *s, struct dr_lock *out, struct pr_err *err)
{
    return go(s, LOCK, out, err);
}

enum pr_code dr_lock_admit(const struct dr_site *s, struct dr_lock *out, struct pr_err *err)
{
    return go(s, ADMIT, out, err);
}

enum pr_code dr_lock_look(const struct dr_site *s, struct dr_lock *out, struct pr_err *err)
{
    return go(s, LOOK, out, err);
}

void dr_lock_done(struct dr_lock *l)
{
    free(l->point);
    *l = (struct dr_lock){ .nodes = 0 };
}
