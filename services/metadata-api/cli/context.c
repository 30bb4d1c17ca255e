/* Contexts: names for a server, the file of a token, and the CA to trust. Kept in a file that holds
 * no secret itself. */
#include "ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

/* False: there is no place for it. */
static bool file_path(char out[PATH_BYTES])
{
    const char *file = getenv("PRISM_CONTEXTS"), *xdg = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int n = file != NULL   ? snprintf(out, PATH_BYTES, "%s", file)
            : xdg != NULL  ? snprintf(out, PATH_BYTES, "%s/prism/contexts.json", xdg)
            : home != NULL ? snprintf(out, PATH_BYTES, "%s/.config/prism/contexts.json", home)
                           : PATH_BYTES;
    return n > 0 && n < PATH_BYTES;
}

/* {"current": NAME, "contexts": {NAME: {...}}}; an empty one when there is no file yet. NULL after
 * complaining. */
static json_t *load(void)
{
    char path[PATH_BYTES];
    json_error_t at;
    if (!file_path(path) || access(path, F_OK) != 0)
        return json_pack("{s:n,s:{}}", "current", "contexts");
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &at);
    if (json_is_object(all) && json_is_object(json_object_get(all, "contexts")))
        return all;
    (void)ctl_complain(CTL_USAGE, "contexts file %s: %s", path,
                       all == NULL ? at.text : "no member contexts");
    json_decref(all);
    return NULL;
}

static void make_parent(const char *path)
{
    char dir[PATH_BYTES];
    snprintf(dir, sizeof dir, "%s", path);
    for (char *p = strchr(dir + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        (void)mkdir(dir, 0700); /* there already, or opening the file says what is wrong */
        *p = '/';
    }
}

/* Another one in its place at once: a reader sees the old or the new. */
static int save(const json_t *all)
{
    char path[PATH_BYTES], fresh[PATH_BYTES + 16];
    if (!file_path(path))
        return ctl_complain(CTL_USAGE, "no place for contexts: set PRISM_CONTEXTS or HOME");
    make_parent(path);
    snprintf(fresh, sizeof fresh, "%s.XXXXXX", path);
    int fd = mkstemp(fresh); /* readable by nobody else */
    bool ok = fd >= 0 && json_dumpfd(all, fd, JSON_INDENT(2)) == 0 && fsync(fd) == 0;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    ok = ok && rename(fresh, path) == 0;
    if (ok)
        return CTL_OK;
    int fault = errno;
    if (fd >= 0)
        (void)unlink(fresh);
    return ctl_complain(CTL_FAILED, "contexts file %s: %s", path, strerror(fault));
}

static void take(const json_t *context, const char *member, char **to)
{
    const char *value = json_string_value(json_object_get(context, member));
    if (*to == NULL && value != NULL)
        *to = strdup(value);
}

int ctl_context_apply(const char *name, struct ctl_target *t)
{
    json_t *all = load();
    if (all == NULL)
        return CTL_USAGE;
    const char *wanted = name != NULL ? name : json_string_value(json_object_get(all, "current"));
    const json_t *context =
        wanted == NULL ? NULL : json_object_get(json_object_get(all, "contexts"), wanted);
    int code = name != NULL && context == NULL
                   ? ctl_complain(CTL_USAGE, "no context %s; see prismctl context list", name)
                   : CTL_OK;
    const char *url = json_string_value(json_object_get(context, "url"));
    const bool its_own = url == NULL || t->url == NULL || strcmp(url, t->url) == 0;
    take(context, "url", &t->url);
    if (its_own) /* a token is for the server that it was set with, and for no other */
        take(context, "tokenFile", &t->token_file);
    take(context, "caFile", &t->ca);
    if (t->cert == NULL) /* a key belongs to its certificate */
        take(context, "keyFile", &t->key);
    take(context, "certFile", &t->cert);
    json_decref(all);
    return code;
}

int ctl_context_list(struct ctl *ctl, const struct ctl_line *line)
{
    static const struct ctl_column columns[] = {
        { "CURRENT", "current" },      { "NAME", "name" },      { "URL", "url" },
        { "TOKEN FILE", "tokenFile" }, { "CA FILE", "caFile" }, { "CERT FILE", "certFile" },
    };
    json_t *all = load(), *items = json_array(), *context;
    const char *name;
    (void)line;
    if (all == NULL) {
        json_decref(items);
        return CTL_USAGE;
    }
    const char *current = json_string_value(json_object_get(all, "current"));
    json_object_foreach(json_object_get(all, "contexts"), name, context)
    {
        json_t *item = json_copy(context);
        json_object_set_new(item, "name", json_string(name));
        json_object_set_new(item, "current",
                            json_boolean(current != NULL && strcmp(current, name) == 0));
        json_array_append_new(items, item);
    }
    json_t *list = json_pack("{s:o}", "items", items);
    ctl_print_list(ctl, list, columns, sizeof columns / sizeof columns[0]);
    json_decref(list);
    json_decref(all);
    return CTL_OK;
}

static void set(json_t *context, const struct ctl_line *line, const char *option,
                const char *member)
{
    const char *value = ctl_opt(line, option);
    if (value != NULL && strcmp(value, "-") == 0)
        json_object_del(context, member);
    else if (value != NULL)
        json_object_set_new(context, member, json_string(value));
}

int ctl_context_set(struct ctl *ctl, const struct ctl_line *line)
{
    json_t *all = load();
    (void)ctl;
    if (all == NULL)
        return CTL_USAGE;
    json_t *contexts = json_object_get(all, "contexts");
    json_t *context = json_object_get(contexts, line->arg[0]);
    if (!json_is_object(context)) {
        context = json_object();
        json_object_set_new(contexts, line->arg[0], context);
    }
    set(context, line, "url", "url");
    set(context, line, "token-file", "tokenFile");
    set(context, line, "ca-file", "caFile");
    set(context, line, "cert-file", "certFile");
    set(context, line, "key-file", "keyFile");
    if (!json_is_string(json_object_get(all, "current")))
        json_object_set_new(all, "current", json_string(line->arg[0]));
    int code = save(all);
    json_decref(all);
    return code;
}

/* The one that is meant must be there. */
static json_t *load_with(const char *name)
{
    json_t *all = load();
    if (all != NULL && json_object_get(json_object_get(all, "contexts"), name) != NULL)
        return all;
    if (all != NULL)
        (void)ctl_complain(CTL_NOT_FOUND, "no context %s", name);
    json_decref(all);
    return NULL;
}

int ctl_context_use(struct ctl *ctl, const struct ctl_line *line)
{
    json_t *all = load_with(line->arg[0]);
    (void)ctl;
    if (all == NULL)
        return CTL_NOT_FOUND;
    json_object_set_new(all, "current", json_string(line->arg[0]));
    int code = save(all);
    json_decref(all);
    return code;
}

int ctl_context_delete(struct ctl *ctl, const struct ctl_line *line)
{
    json_t *all = load_with(line->arg[0]);
    (void)ctl;
    if (all == NULL)
        return CTL_NOT_FOUND;
    const char *current = json_string_value(json_object_get(all, "current"));
    if (current != NULL && strcmp(current, line->arg[0]) == 0)
        json_object_set_new(all, "current", json_null());
    json_object_del(json_object_get(all, "contexts"), line->arg[0]);
    int code = save(all);
    json_decref(all);
    return code;
}
