#include "ctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_command(const struct ctl_command *c)
{
    char line[512];
    size_t n =
        (size_t)snprintf(line, sizeof line, "%s%s%s%s%s", c->group, c->verb == NULL ? "" : " ",
                         c->verb == NULL ? "" : c->verb, c->args[0] == '\0' ? "" : " ", c->args);
    for (size_t i = 0; i < CTL_MAX_OPTIONS && c->option[i].name != NULL && n < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, " [--%s%s%s]", c->option[i].name,
                              c->option[i].value == NULL ? "" : " ",
                              c->option[i].value == NULL ? "" : c->option[i].value);
    printf("  %s\n      %s\n", line, c->help);
}

static void usage(const char *group)
{
    printf("Usage: prismctl [OPTION...] COMMAND\n\n");
    for (size_t i = 0; i < ctl_global_count; i++)
        printf("  %s %s\n      %s\n", ctl_globals[i].name, ctl_globals[i].value,
               ctl_globals[i].help);
    printf("\n");
    for (size_t i = 0; i < ctl_command_count; i++)
        if (group == NULL || strcmp(group, ctl_commands[i].group) == 0)
            print_command(&ctl_commands[i]);
    printf("\nEnvironment (an option goes before it, and it before the current context):\n");
    for (size_t i = 0; i < ctl_environment_count; i++)
        printf("  %-19s %s\n", ctl_environment[i].name, ctl_environment[i].help);
    printf("\nExit status:\n");
    for (size_t i = 0; i < ctl_exit_count; i++)
        printf("  %-3d %s\n", ctl_exits[i].code, ctl_exits[i].help);
}

const char *ctl_opt(const struct ctl_line *line, const char *name)
{
    const struct ctl_option *o = line->command->option;
    for (size_t i = 0; i < CTL_MAX_OPTIONS && o[i].name != NULL; i++)
        if (strcmp(o[i].name, name) == 0)
            return line->option[i];
    return NULL;
}

void ctl_opt_all(const struct ctl_line *line, const char *name, bool split, json_t *into)
{
    const struct ctl_option *o = line->command->option;
    for (size_t i = 0; i < line->n_given; i++) {
        const char *at = line->given[i].value;
        if (strcmp(o[line->given[i].option].name, name) != 0)
            continue;
        while (split && strchr(at, ',') != NULL) {
            json_array_append_new(into, json_stringn(at, strcspn(at, ",")));
            at += strcspn(at, ",") + 1;
        }
        json_array_append_new(into, json_string(at));
    }
}

/* The token is one line of the file. */
static int read_token(struct ctl *ctl, const char *path)
{
    char *line = NULL;
    size_t cap = 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return ctl_complain(CTL_USAGE, "token file %s: %s", path, strerror(errno));
    const bool got = getline(&line, &cap, f) > 0;
    fclose(f);
    if (!got) {
        free(line);
        return ctl_complain(CTL_USAGE, "token file %s is empty", path);
    }
    line[strcspn(line, "\r\n")] = '\0';
    free(ctl->token);
    ctl->token = line;
    return CTL_OK;
}

/* The API takes no longer one. */
static int check_token(const struct ctl *ctl)
{
    enum { TOKEN_BYTES = 8191 };
    return ctl->token == NULL || strlen(ctl->token) <= TOKEN_BYTES
               ? CTL_OK
               : ctl_complain(CTL_USAGE, "the token has %zu bytes; %d is the most",
                              strlen(ctl->token), TOKEN_BYTES);
}

/* --name VALUE and --name=VALUE: the value, or NULL when arg is not --name.
 * *i moves on when the value is the next argument. */
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
    const char *arg = argv[*i];
    size_t n = strlen(name);
    if (strncmp(arg, name, n) != 0 || (arg[n] != '\0' && arg[n] != '='))
        return NULL;
    if (arg[n] == '=')
        return arg + n + 1;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static bool take_format(struct ctl *ctl, const char *v)
{
    if (strcmp(v, "table") != 0 && strcmp(v, "json") != 0 && strcmp(v, "yaml") != 0)
        return false;
    ctl->json = strcmp(v, "table") != 0;
    ctl_print_as_yaml(strcmp(v, "yaml") == 0);
    return true;
}

/* Where the API is and who we are, as options say it; NULL where they do not. */
struct given {
    const char *context, *url, *token, *token_file, *ca, *cert, *key;
};

/* Options of prismctl itself, up to the command; returns its index or -1. */
static int global_options(struct ctl *ctl, struct given *t, int argc, char **argv, int *code)
{
    const struct {
        const char *name, **value;
    } row[] = {
        { "--context", &t->context },       { "--url", &t->url },    { "--token", &t->token },
        { "--token-file", &t->token_file }, { "--ca-file", &t->ca }, { "--cert-file", &t->cert },
        { "--key-file", &t->key },
    };
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *v = NULL;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            usage(NULL);
            *code = CTL_OK;
            return -1;
        }
        size_t k = 0;
        while (k < sizeof row / sizeof row[0] &&
               (v = value_of(row[k].name, argc, argv, &i)) == NULL)
            k++;
        if (v != NULL)
            *row[k].value = v;
        else if ((v = value_of("-o", argc, argv, &i)) == NULL || !take_format(ctl, v)) {
            *code = ctl_complain(CTL_USAGE, "bad option %s; see prismctl --help", argv[i]);
            return -1;
        }
    }
    return i;
}

/* Is this address of this machine alone, or a way that nobody can listen on? */
static bool is_private(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL;
    const bool read = u != NULL &&
                      curl_url_set(u, CURLUPART_URL, url, CURLU_GUESS_SCHEME) == CURLUE_OK &&
                      curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                      curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    struct in_addr v4;
    const bool is = read && (strcmp(scheme, "https") == 0 || strcmp(host, "localhost") == 0 ||
                             strcmp(host, "[::1]") == 0 ||
                             (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127));
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return is;
}

/* Whoever listens on the way would have it. */
static int check_way(const struct ctl *ctl)
{
    const char *anyway = getenv("PRISM_INSECURE_HTTP");
    if (ctl->token == NULL || is_private(ctl->url) || (anyway != NULL && strcmp(anyway, "1") == 0))
        return CTL_OK;
    return ctl_complain(CTL_USAGE,
                        "%s: a token would go there unencrypted; use https, or set "
                        "PRISM_INSECURE_HTTP=1 where nobody can listen",
                        ctl->url);
}

/* Nobody reads it in the list of processes any longer than it takes to get here. */
static char *token_of(const char *arg)
{
    char *copy = arg == NULL || *arg == '\0' ? NULL : strdup(arg);
    if (arg != NULL)
        explicit_bzero((char *)(uintptr_t)arg, strlen(arg));
    return copy;
}

static char *copy_of(const char *s)
{
    return s == NULL || *s == '\0' ? NULL : strdup(s);
}

/* An option goes before a context that was named, that before the environment, that before the
 * current context. */
static int settle(struct ctl *ctl, const struct given *g)
{
    const char *name = g->context != NULL ? g->context : getenv("PRISM_CONTEXT");
    struct ctl_target t = { copy_of(g->url), copy_of(g->token_file), copy_of(g->ca),
                            copy_of(g->cert), copy_of(g->key) };
    int code = CTL_OK;
    ctl->token = token_of(g->token);
    if (name != NULL && *name != '\0')
        code = ctl_context_apply(name, &t);
    if (t.url == NULL)
        t.url = copy_of(getenv("PRISM_API_URL"));
    if (t.ca == NULL)
        t.ca = copy_of(getenv("PRISM_CA_FILE"));
    if (t.cert == NULL && t.key == NULL)
        t.key = copy_of(getenv("PRISM_KEY_FILE"));
    if (t.cert == NULL)
        t.cert = copy_of(getenv("PRISM_CERT_FILE"));
    if (ctl->token == NULL && t.token_file == NULL)
        ctl->token = copy_of(getenv("PRISM_TOKEN"));
    if (ctl->token == NULL && t.token_file == NULL)
        t.token_file = copy_of(getenv("PRISM_TOKEN_FILE"));
    if (code == CTL_OK)
        code = ctl_context_apply(NULL, &t);
    if (code == CTL_OK && ctl->token == NULL && t.token_file != NULL)
        code = read_token(ctl, t.token_file);
    if (code == CTL_OK)
        code = check_token(ctl);
    free(t.token_file);
    ctl->ca = t.ca;
    ctl->cert = t.cert;
    ctl->key = t.key;
    ctl->url = t.url != NULL ? t.url : strdup("http://127.0.0.1:8080");
    return code == CTL_OK ? check_way(ctl) : code;
}

static const struct ctl_command *find_command(const char *group, const char *verb, bool *known)
{
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if (strcmp(c->group, group) != 0)
            continue;
        *known = true;
        if (c->verb == NULL || (verb != NULL && strcmp(c->verb, verb) == 0))
            return c;
    }
    return NULL;
}

static int take_option(struct ctl_line *line, int argc, char **argv, int *i)
{
    const struct ctl_option *o = line->command->option;
    for (size_t k = 0; k < CTL_MAX_OPTIONS && o[k].name != NULL; k++) {
        char name[64];
        snprintf(name, sizeof name, "--%s", o[k].name);
        if (o[k].value == NULL && strcmp(argv[*i], name) == 0) {
            line->option[k] = "";
            return CTL_OK;
        }
        if (o[k].value == NULL)
            continue;
        const char *v = value_of(name, argc, argv, i);
        if (v != NULL) {
            line->option[k] = v;
            if (line->n_given == CTL_MAX_GIVEN)
                return ctl_complain(CTL_USAGE, "too many options");
            line->given[line->n_given].option = k;
            line->given[line->n_given++].value = v;
            return CTL_OK;
        }
    }
    return ctl_complain(CTL_USAGE, "bad option %s of %s; see prismctl --help", argv[*i],
                        line->command->group);
}

static int parse_command(struct ctl *ctl, struct ctl_line *line, int argc, char **argv, int at)
{
    const struct ctl_command *c = line->command;
    bool only_args = false;
    for (int i = at; i < argc; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0) {
            only_args = true;
        } else if (!only_args && strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
            if (!take_format(ctl, argv[++i]))
                return ctl_complain(CTL_USAGE, "-o is table, json or yaml, not %s", argv[i]);
        } else if (!only_args && argv[i][0] == '-' && argv[i][1] == '-') {
            if (take_option(line, argc, argv, &i) != CTL_OK)
                return CTL_USAGE;
        } else if (line->n_args == c->max_args || line->n_args == CTL_MAX_ARGS) {
            return ctl_complain(CTL_USAGE, "too many arguments: %s", argv[i]);
        } else {
            line->arg[line->n_args++] = argv[i];
        }
    }
    if (line->n_args < c->min_args)
        return ctl_complain(CTL_USAGE, "%s%s%s needs %s", c->group, c->verb == NULL ? "" : " ",
                            c->verb == NULL ? "" : c->verb, c->args);
    return CTL_OK;
}

/* These need neither server nor token, and must work when what names them is wrong. */
static bool calls_nobody(const struct ctl_command *c)
{
    static const char *const groups[] = { "context", "version", "completion", "man", "cost" };
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (strcmp(groups[i], c->group) == 0)
            return true;
    return false;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    static struct ctl_line line; /* large */
    int code = CTL_OK;
    struct given target = { 0 };
    int at = global_options(ctl, &target, argc, argv, &code);
    if (at < 0)
        return code;
    if (at == argc) {
        usage(NULL);
        return CTL_USAGE;
    }
    bool known = false;
    const char *verb = at + 1 < argc ? argv[at + 1] : NULL;
    line.command = find_command(argv[at], verb, &known);
    if (line.command == NULL && known) {
        usage(argv[at]);
        return verb != NULL && strcmp(verb, "--help") == 0 ? CTL_OK : CTL_USAGE;
    }
    if (line.command == NULL)
        return ctl_complain(CTL_USAGE, "unknown command %s; see prismctl --help", argv[at]);
    code = parse_command(ctl, &line, argc, argv, at + (line.command->verb == NULL ? 1 : 2));
    if (code == CTL_OK && !calls_nobody(line.command))
        code = settle(ctl, &target);
    if (code != CTL_OK)
        return code;
    ctl->dry = ctl_opt(&line, "dry-run") != NULL;
    /* These watch by themselves. */
    const bool itself = line.command->run == ctl_events || line.command->run == ctl_failover;
    return ctl_opt(&line, "watch") != NULL && !itself ? ctl_watch(ctl, &line)
                                                      : line.command->run(ctl, &line);
}

int main(int argc, char **argv)
{
    struct ctl ctl = { 0 };
    int code = CTL_OK;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    ctl.curl = curl_easy_init();
    if (ctl.curl == NULL)
        code = ctl_complain(CTL_FAILED, "libcurl does not start");
    if (code == CTL_OK)
        code = run(&ctl, argc, argv);
    if (fflush(stdout) != 0 && code == CTL_OK)
        code = ctl_complain(CTL_FAILED, "standard output: %s", strerror(errno));
    curl_easy_cleanup(ctl.curl);
    curl_global_cleanup();
    free(ctl.url);
    free(ctl.token);
    free(ctl.ca);
    free(ctl.cert);
    free(ctl.key);
    return code;
}
