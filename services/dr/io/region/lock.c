#include "io/region/lock.h"

#include "io/each.h"

#include "prism/io/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMEOUT_MS = 3000,
    THREADS = 16,
    LEAVE_MS = 3000,
    TURN_MS = 20,
    NAME = 256,
    ADMIT_TRIES = 3
};

struct node {
    char host[PR_HOST];
    int port;
    bool silent, refused, primary; /* primary: that owns slots */
    char why[64];                  /* of refused */
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

struct at_node {
    const struct run *r;
    struct pr_redis *c;
    const char *note; /* ADMIT: as it was read */
    bool multi;       /* ADMIT: what is asked for is queued */
    size_t changed;
};
typedef enum pr_code each_user(struct at_node *a, const char *name, bool on, struct pr_err *err);

static enum pr_code for_users(struct at_node *a, each_user *fn, struct pr_err *err)
{
    PR_AUTO(redisReply) *all = NULL;
    char name[NAME];
    bool on = false;
    enum pr_code rc = pr_redis_command(a->c, &all, err, "ACL LIST");
    for (size_t i = 0; rc == PR_OK && i < all->elements; i++) {
        if (!user_of(all->element[i], name, &on))
            return pr_fail(err, PR_EDATA, "ACL LIST answered something else");
        if (!kept(a->r->site, name) && strcmp(name, DR_LOCK_USER) != 0)
            rc = fn(a, name, on, err);
    }
    return rc;
}

static enum pr_code simple(struct pr_redis *c, struct pr_err *err, const char *format,
                           const char *a, const char *b)
{
    PR_AUTO(redisReply) *reply = NULL;
    return pr_redis_command(c, &reply, err, format, a, b);
}

/* What was queued since MULTI, all of it. */
static enum pr_code exec(struct pr_redis *c, redisReply **done, struct pr_err *err)
{
    enum pr_code rc = pr_redis_command(c, done, err, "EXEC");
    if (rc == PR_OK && (*done)->type != REDIS_REPLY_ARRAY)
        rc = pr_fail(err, PR_EDATA, "EXEC answered something else");
    for (size_t i = 0; rc == PR_OK && i < (*done)->elements; i++)
        rc = pr_redis_reply_code((*done)->element[i], err);
    return rc;
}

/* Together with its note, or somebody who lets in would forget the one and leave the other. */
static enum pr_code note_and_turn_off(struct at_node *a, const char *name, struct pr_err *err)
{
    PR_AUTO(redisReply) *done = NULL;
    enum pr_code rc = simple(a->c, err, "MULTI", "", "");
    if (rc == PR_OK)
        rc = simple(a->c, err, "ACL SETUSER %s off ~%s", DR_LOCK_USER, name);
    if (rc == PR_OK)
        rc = simple(a->c, err, "ACL SETUSER %s %s", name, "off");
    if (rc == PR_OK)
        rc = exec(a->c, &done, err);
    a->changed += rc == PR_OK;
    return rc;
}

static enum pr_code turn_off(struct at_node *a, const char *name, bool on, struct pr_err *err)
{
    enum pr_code rc = on ? note_and_turn_off(a, name, err) : PR_OK;
    /* Who is connected stays so when it is turned off. Links of replicas are none of these. */
    if (rc == PR_OK)
        rc = simple(a->c, err, "CLIENT KILL USER %s TYPE %s", name, "normal");
    return rc == PR_OK ? simple(a->c, err, "CLIENT KILL USER %s TYPE %s", name, "pubsub") : rc;
}

static enum pr_code is_off(struct at_node *a, const char *name, bool on, struct pr_err *err)
{
    (void)a;
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
    const char *at = all->str == NULL ? "" : all->str;
    while ((at = strstr(at, " user=")) != NULL) {
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

static bool has_note(const char *note, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = strchr(note, '~'); at != NULL; at = strchr(at, '~')) {
        at++;
        if (strncmp(at, name, n) == 0 && (at[n] == ' ' || at[n] == '\0'))
            return true;
    }
    return false;
}

static enum pr_code begin_multi(struct at_node *a, struct pr_err *err)
{
    const enum pr_code rc = a->multi ? PR_OK : simple(a->c, err, "MULTI", "", "");
    a->multi = true;
    return rc;
}

static enum pr_code turn_on(struct at_node *a, const char *name, bool on, struct pr_err *err)
{
    if (on || !has_note(a->note, name))
        return PR_OK;
    enum pr_code rc = begin_multi(a, err);
    if (rc == PR_OK)
        rc = simple(a->c, err, "ACL SETUSER %s %s", name, "on");
    a->changed += rc == PR_OK;
    return rc;
}

/* --- a node ------------------------------------------------------------------------------------
 */

static enum pr_code lock_node(struct at_node *a, struct pr_err *err)
{
    enum pr_code rc = for_users(a, turn_off, err);
    if (rc == PR_OK)
        rc = for_users(a, is_off, err);
    return rc == PR_OK ? await_gone(a->r, a->c, err) : rc;
}

/* "~a ~b" */
static enum pr_code put_back(struct at_node *a, const char *note, struct pr_err *err)
{
    enum pr_code rc = PR_OK;
    for (const char *at = strchr(note, '~'); rc == PR_OK && at != NULL; at = strchr(at + 1, '~')) {
        char one[NAME];
        (void)snprintf(one, sizeof one, "%.*s", (int)strcspn(at, " "), at);
        rc = simple(a->c, err, "ACL SETUSER %s off %s", DR_LOCK_USER, one);
    }
    return rc;
}

/* Who is noted, and the note, in one. Who was noted since it was read is still off, and must not be
 * forgotten. */
static enum pr_code admit_noted(struct at_node *a, bool *all, struct pr_err *err)
{
    PR_AUTO(redisReply) *note = NULL;
    PR_AUTO(redisReply) *done = NULL;
    enum pr_code rc = pr_redis_command(a->c, &note, err, "ACL GETUSER " DR_LOCK_USER);
    a->note = rc == PR_OK ? noted(note) : NULL;
    a->multi = false;
    *all = true;
    if (a->note == NULL)
        return rc;
    rc = for_users(a, turn_on, err);
    if (rc == PR_OK)
        rc = begin_multi(a, err);
    if (rc == PR_OK)
        rc = simple(a->c, err, "ACL GETUSER %s%s", DR_LOCK_USER, "");
    if (rc == PR_OK)
        rc = simple(a->c, err, "ACL DELUSER %s%s", DR_LOCK_USER, "");
    if (rc == PR_OK)
        rc = exec(a->c, &done, err);
    if (rc == PR_OK && done->elements < 2)
        rc = pr_fail(err, PR_EDATA, "EXEC answered something else");
    const char *then = rc == PR_OK ? noted(done->element[done->elements - 2]) : NULL;
    *all = then == NULL || strcmp(then, a->note) == 0;
    return *all ? rc : put_back(a, then, err);
}

static enum pr_code admit_node(struct at_node *a, struct pr_err *err)
{
    for (int i = 0; i < ADMIT_TRIES; i++) {
        bool all = true;
        const enum pr_code rc = admit_noted(a, &all, err);
        if (rc != PR_OK || all)
            return rc;
    }
    return pr_fail(err, PR_ECONFLICT, "somebody locks users out at the same time");
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
    struct at_node a = { .r = r };
    (void)s3;
    enum pr_code rc = pr_redis_open(&a.c, n->host, n->port, &auth, TIMEOUT_MS, err);
    if (rc == PR_OK && r->what == LOCK)
        rc = lock_node(&a, err);
    if (rc == PR_OK && r->what == LOCK)
        rc = where_is_it(n, a.c, err);
    if (rc == PR_OK && r->what == ADMIT)
        rc = admit_node(&a, err);
    n->silent = rc == PR_EUNAVAIL || rc == PR_ETIMEOUT; /* perhaps it went away meanwhile */
    n->refused = rc == PR_EDENIED;
    if (n->refused) { /* Redis's own words: who and where stands before them */
        const char *colon = strrchr(err->text, ':');
        (void)snprintf(n->why, sizeof n->why, "%.63s", colon != NULL ? colon + 1 : err->text);
    }
    pr_redis_close(a.c);
    pthread_mutex_lock(&r->mu);
    *(r->what == LOCK ? &r->out->users : &r->out->users_on) += a.changed;
    pthread_mutex_unlock(&r->mu);
    return rc == PR_OK || n->silent || n->refused
               ? PR_OK
               : pr_wrap(err, rc, "redis %s:%d", n->host, n->port);
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
        const bool missed = n->silent || n->refused;
        if (missed && at < sizeof out->silent_names)
            at += (size_t)snprintf(out->silent_names + at, sizeof out->silent_names - at,
                                   "%s%s:%d%s%s", at > 0 ? ", " : "", n->host, n->port,
                                   n->refused ? ":" : "", n->why);
        out->silent += missed;
        out->refused += n->refused;
        if (!missed && n->primary)
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
