#include "io/region/sites.h"

#include "core/keys.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_MAX = 2048, HOOK_S = 60, HOOK_MAX_S = 3600, NODES_MAX = 4096 };

struct reader {
    const char *path;
    struct pr_err *err;
    enum pr_code rc;
};

static bool wrong(struct reader *r, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The first stays. */
static bool wrong(struct reader *r, const char *where, const char *format, ...)
{
    char text[160];
    va_list ap;
    if (r->rc != PR_OK)
        return false;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    r->rc = pr_fail(r->err, PR_EINVAL, "%s: %s %s", r->path, where, text);
    return false;
}

/* Only those of names (NULL-terminated). */
static bool members(struct reader *r, const json_t *o, const char *where, const char *const *names)
{
    const char *name;
    json_t *v;
    if (!json_is_object(o))
        return wrong(r, where, "is no object");
    json_object_foreach((json_t *)(uintptr_t)o, name, v)
    {
        size_t i = 0;
        while (names[i] != NULL && strcmp(names[i], name) != 0)
            i++;
        if (names[i] == NULL)
            return wrong(r, where, "has a member \"%.40s\", which there is not", name);
    }
    return true;
}

/* NULL: it is not there, which is wrong when it must be, or no string. */
static const char *text(struct reader *r, const json_t *o, const char *where, const char *name,
                        bool must)
{
    const json_t *v = json_object_get(o, name);
    if (v == NULL && !must)
        return NULL;
    if (v == NULL) {
        (void)wrong(r, where, "lacks \"%s\"", name);
        return NULL;
    }
    if (!json_is_string(v) || json_string_length(v) == 0 ||
        strlen(json_string_value(v)) != json_string_length(v)) {
        (void)wrong(r, where, "\"%s\" is no text", name);
        return NULL;
    }
    return json_string_value(v);
}

/* Texts of an array, and a NULL behind them; owned. */
static const char **list(struct reader *r, const json_t *o, const char *where, const char *name,
                         size_t *n)
{
    const json_t *a = json_object_get(o, name);
    *n = json_array_size(a);
    const char **out = calloc(*n + 1, sizeof *out);
    if (a != NULL && !json_is_array(a))
        (void)wrong(r, where, "\"%s\" is no array", name);
    if (out == NULL)
        r->rc = r->rc != PR_OK ? r->rc : pr_fail(r->err, PR_ENOMEM, "no memory for %s", r->path);
    for (size_t i = 0; out != NULL && i < *n; i++) {
        out[i] = json_string_value(json_array_get(a, i));
        if (out[i] == NULL)
            (void)wrong(r, where, "\"%s\" holds something else than text", name);
    }
    return out;
}

/* What a file holds, without the white space behind it. The text belongs to the document. */
static const char *secret(struct reader *r, json_t *o, const char *where, const char *member,
                          const char *path)
{
    char data[SECRET_MAX + 1] = "";
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        (void)wrong(r, where, "\"%s\": %.80s: %s", member, path, strerror(errno));
        return NULL;
    }
    size_t n = fread(data, 1, SECRET_MAX, f);
    fclose(f);
    while (n > 0 && isspace((unsigned char)data[n - 1]))
        data[--n] = '\0';
    if (n == 0 || strlen(data) != n)
        (void)wrong(r, where, "\"%s\": %.80s is empty, or no text", member, path);
    else if (json_object_set_new(o, " secret", json_string(data)) != 0)
        (void)wrong(r, where, "\"%s\": %.80s is no UTF-8", member, path);
    explicit_bzero(data, sizeof data);
    return json_string_value(json_object_get(o, " secret"));
}

/* --- Redis --------------------------------------------------------------------------------------
 */

static void read_node(struct reader *r, const json_t *o, const char *site, size_t i,
                      struct dr_site_node *n)
{
    static const char *const NAMES[] = { "id", "address", "zone", NULL };
    char where[128], *end = NULL;
    (void)snprintf(where, sizeof where, "site \"%s\": redis.nodes[%zu]", site, i);
    if (!members(r, o, where, NAMES))
        return;
    const char *address = text(r, o, where, "address", true);
    n->id = text(r, o, where, "id", true);
    n->zone = text(r, o, where, "zone", true);
    if (r->rc != PR_OK)
        return;
    const char *colon = strrchr(address, ':');
    const size_t host = colon != NULL ? (size_t)(colon - address) : 0;
    const long port = colon != NULL ? strtol(colon + 1, &end, 10) : 0;
    if (host == 0 || host >= sizeof n->host || end == colon + 1 || *end != '\0' || port < 1 ||
        port > 65535)
        (void)wrong(r, where, "\"address\" is no host:port: %.80s", address);
    else if (!dr_name_ok(n->id))
        (void)wrong(r, where, "\"id\" is not 1 to 63 of letters, digits, . _ -");
    else {
        memcpy(n->host, address, host);
        n->host[host] = '\0';
        n->port = (int)port;
    }
}

static void make_seeds(struct reader *r, struct dr_site *s)
{
    const size_t room = s->nodes * (PR_HOST + 8);
    size_t at = 0;
    s->seeds = malloc(room);
    for (size_t i = 0; s->seeds != NULL && i < s->nodes; i++)
        at += (size_t)snprintf(s->seeds + at, room - at, "%s%s:%d", i > 0 ? "," : "",
                               s->node[i].host, s->node[i].port);
    if (s->seeds == NULL)
        r->rc = pr_fail(r->err, PR_ENOMEM, "no memory for %s", r->path);
}

static void read_redis(struct reader *r, json_t *o, struct dr_site *s)
{
    static const char *const NAMES[] = { "nodes", "user", "password_path", "keep", NULL };
    char where[128];
    (void)snprintf(where, sizeof where, "site \"%s\": redis", s->name);
    const json_t *nodes = json_object_get(o, "nodes");
    if (!members(r, o, where, NAMES))
        return;
    if (!json_is_array(nodes) || json_array_size(nodes) < 1 || json_array_size(nodes) > NODES_MAX) {
        (void)wrong(r, where, "\"nodes\" is no array of 1 to %d nodes", NODES_MAX);
        return;
    }
    s->nodes = json_array_size(nodes);
    s->node = calloc(s->nodes, sizeof *s->node);
    for (size_t i = 0; s->node != NULL && i < s->nodes; i++)
        read_node(r, json_array_get(nodes, i), s->name, i, &s->node[i]);
    /* The default user will not do: a lock-out would leave it on, for whoever logs in as nobody. */
    s->user = text(r, o, where, "user", true);
    const char *path = text(r, o, where, "password_path", true);
    if (r->rc == PR_OK)
        s->password = secret(r, o, where, "password_path", path);
    s->keep = list(r, o, where, "keep", &s->keeps);
    if (r->rc == PR_OK && s->node != NULL)
        make_seeds(r, s);
}

/* --- PostgreSQL and hooks ------------------------------------------------------------------------
 */

static void read_postgres(struct reader *r, json_t *o, struct dr_site *s)
{
    static const char *const NAMES[] = { "uri", "uri_path", "data", "options", "settings", NULL };
    char where[128];
    size_t n;
    (void)snprintf(where, sizeof where, "site \"%s\": postgres", s->name);
    if (!members(r, o, where, NAMES))
        return;
    const char *path = text(r, o, where, "uri_path", false);
    s->pg_uri = text(r, o, where, "uri", false);
    if ((path == NULL) == (s->pg_uri == NULL))
        (void)wrong(r, where, "has not one of \"uri\" and \"uri_path\"");
    else if (path != NULL)
        s->pg_uri = secret(r, o, where, "uri_path", path);
    s->pg_data = text(r, o, where, "data", true);
    if (r->rc == PR_OK && s->pg_data[0] != '/')
        (void)wrong(r, where, "\"data\" is no absolute path");
    s->pg_options = text(r, o, where, "options", false);
    s->pg_setting = list(r, o, where, "settings", &n);
    for (size_t i = 0; r->rc == PR_OK && i < n; i++)
        if (strchr(s->pg_setting[i], '=') == NULL)
            (void)wrong(r, where, "\"settings\": \"%.40s\" is no name=value", s->pg_setting[i]);
}

const char *dr_hook_name(enum dr_hook h)
{
    static const char *const NAME[DR_HOOKS] = { "stop", "start", "switch" };
    return NAME[h];
}

static void read_hooks(struct reader *r, const json_t *o, struct dr_site *s)
{
    static const char *const NAMES[] = { "stop", "start", "switch", "timeout_s", NULL };
    char where[128];
    const json_t *limit = json_object_get(o, "timeout_s");
    (void)snprintf(where, sizeof where, "site \"%s\": hooks", s->name);
    if (!members(r, o, where, NAMES))
        return;
    for (int h = 0; h < DR_HOOKS; h++) {
        s->hook[h] = text(r, o, where, dr_hook_name((enum dr_hook)h), false);
        if (r->rc == PR_OK && s->hook[h] != NULL && s->hook[h][0] != '/')
            (void)wrong(r, where, "\"%s\" is no absolute path", dr_hook_name((enum dr_hook)h));
    }
    if (limit != NULL && (!json_is_integer(limit) || json_integer_value(limit) < 1 ||
                          json_integer_value(limit) > HOOK_MAX_S))
        (void)wrong(r, where, "\"timeout_s\" is not 1 to %d", HOOK_MAX_S);
    else if (limit != NULL)
        s->hook_ms = (int)json_integer_value(limit) * 1000;
}

/* --- all -----------------------------------------------------------------------------------------
 */

static void read_site(struct reader *r, json_t *o, size_t i, struct dr_site *s)
{
    static const char *const NAMES[] = { "name", "redis", "postgres", "hooks", NULL };
    char where[32];
    (void)snprintf(where, sizeof where, "sites[%zu]", i);
    if (!members(r, o, where, NAMES))
        return;
    s->name = text(r, o, where, "name", true);
    s->hook_ms = HOOK_S * 1000;
    if (s->name == NULL)
        return;
    if (!dr_name_ok(s->name))
        (void)wrong(r, where, "\"name\" is not 1 to 63 of letters, digits, . _ -");
    else if (json_object_get(o, "redis") == NULL)
        (void)wrong(r, where, "lacks \"redis\"");
    else
        read_redis(r, json_object_get(o, "redis"), s);
    if (json_object_get(o, "postgres") != NULL)
        read_postgres(r, json_object_get(o, "postgres"), s);
    if (json_object_get(o, "hooks") != NULL)
        read_hooks(r, json_object_get(o, "hooks"), s);
}

/* Nobody may be of both sides: it would be locked out and filled. Within one a node twice is a
 * mistake in writing, and what was meant is missing. */
static void check_nodes(struct reader *r, const struct dr_sites *s)
{
    for (size_t a = 0; a < s->site[0].nodes + s->site[1].nodes; a++)
        for (size_t b = 0; b < a; b++) {
            const bool second_a = a >= s->site[0].nodes, second_b = b >= s->site[0].nodes;
            const struct dr_site_node *x = second_a ? &s->site[1].node[a - s->site[0].nodes]
                                                    : &s->site[0].node[a],
                                      *y = second_b ? &s->site[1].node[b - s->site[0].nodes]
                                                    : &s->site[0].node[b];
            if (x->port == y->port && strcmp(x->host, y->host) == 0)
                (void)wrong(r, "redis.nodes:", "%s:%d is there twice", x->host, x->port);
            else if (second_a == second_b && strcmp(x->id, y->id) == 0)
                (void)wrong(r, "redis.nodes:", "the id %s is there twice", x->id);
        }
}

static void check_both(struct reader *r, const struct dr_sites *s)
{
    const struct dr_site *a = &s->site[0], *b = &s->site[1];
    if (strcmp(a->name, b->name) == 0)
        (void)wrong(r, "sites:", "both have the name \"%s\"", a->name);
    else if ((a->pg_uri == NULL) != (b->pg_uri == NULL))
        (void)wrong(r, "sites:", "\"postgres\" is described for one of them, not for both");
    else if (a->pg_uri != NULL && strcmp(a->pg_uri, b->pg_uri) == 0)
        (void)wrong(r, "sites:", "both have the same PostgreSQL");
    check_nodes(r, s);
}

enum pr_code dr_sites_read(const char *path, struct dr_sites *out, struct pr_err *err)
{
    static const char *const NAMES[] = { "sites", NULL };
    struct reader r = { path, err, PR_OK };
    json_error_t why;
    *out = (struct dr_sites){ .json = NULL };
    if (path[0] == '\0')
        return pr_fail(err, PR_EINVAL, "PRISM_DR_SITES_PATH is not set");
    json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (o == NULL)
        return pr_fail(err, PR_EINVAL, "%s: line %d: %.120s", path, why.line, why.text);
    out->json = o;
    const json_t *sites = json_object_get(o, "sites");
    if (members(&r, o, "the document", NAMES) && json_array_size(sites) != 2)
        (void)wrong(&r, "\"sites\"", "is no array of two");
    for (size_t i = 0; r.rc == PR_OK && i < 2; i++)
        read_site(&r, json_array_get(sites, i), i, &out->site[i]);
    if (r.rc == PR_OK)
        check_both(&r, out);
    if (r.rc != PR_OK)
        dr_sites_done(out);
    return r.rc;
}

void dr_sites_done(struct dr_sites *s)
{
    for (size_t i = 0; i < 2; i++) {
        free(s->site[i].node);
        free(s->site[i].seeds);
        free(s->site[i].keep);
        free(s->site[i].pg_setting);
    }
    json_decref(s->json);
    *s = (struct dr_sites){ .json = NULL };
}

const struct dr_site *dr_sites_find(const struct dr_sites *s, const char *name,
                                    const struct dr_site **other)
{
    for (size_t i = 0; i < 2; i++)
        if (strcmp(s->site[i].name, name) == 0) {
            if (other != NULL)
                *other = &s->site[1 - i];
            return &s->site[i];
        }
    return NULL;
}
