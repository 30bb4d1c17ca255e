#include "ctl.h"

#include <errno.h>
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
    printf("Usage: prismctl [--url URL] [--token TOKEN | --token-file FILE] [-o json|table] "
           "COMMAND\n\n");
    for (size_t i = 0; i < ctl_command_count; i++)
        if (group == NULL || strcmp(group, ctl_commands[i].group) == 0)
            print_command(&ctl_commands[i]);
    printf("\nEnvironment: PRISM_API_URL, PRISM_TOKEN, PRISM_TOKEN_FILE.\n"
           "Exit status: 0 ok, 1 failed, 2 usage or bad request, 3 no connection, 4 denied,\n"
           "5 not found, 6 conflict, 130 interrupted (what was started goes on).\n");
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
    char line[600];
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return ctl_complain(CTL_USAGE, "token file %s: %s", path, strerror(errno));
    bool got = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    if (!got)
        return ctl_complain(CTL_USAGE, "token file %s is empty", path);
    line[strcspn(line, "\r\n")] = '\0';
    free(ctl->token);
    ctl->token = strdup(line);
    return CTL_OK;
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

/* Options of prismctl itself, up to the command; returns its index or -1. */
static int global_options(struct ctl *ctl, int argc, char **argv, int *code)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *v;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            usage(NULL);
            *code = CTL_OK;
            return -1;
        }
        if ((v = value_of("--url", argc, argv, &i)) != NULL) {
            ctl->url = v;
        } else if ((v = value_of("--token-file", argc, argv, &i)) != NULL) {
            if ((*code = read_token(ctl, v)) != CTL_OK)
                return -1;
        } else if ((v = value_of("--token", argc, argv, &i)) != NULL) {
            free(ctl->token);
            ctl->token = strdup(v);
        } else if ((v = value_of("-o", argc, argv, &i)) != NULL &&
                   (strcmp(v, "json") == 0 || strcmp(v, "table") == 0)) {
            ctl->json = strcmp(v, "json") == 0;
        } else {
            *code = ctl_complain(CTL_USAGE, "bad option %s; see prismctl --help", argv[i]);
            return -1;
        }
    }
    return i;
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
            ctl->json = strcmp(argv[++i], "json") == 0;
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

static int run(struct ctl *ctl, int argc, char **argv)
{
    static struct ctl_line line; /* large */
    int code = CTL_OK;
    int at = global_options(ctl, argc, argv, &code);
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
    return code == CTL_OK ? line.command->run(ctl, &line) : code;
}

int main(int argc, char **argv)
{
    struct ctl ctl = { .url = getenv("PRISM_API_URL") };
    const char *token = getenv("PRISM_TOKEN"), *file = getenv("PRISM_TOKEN_FILE");
    int code = CTL_OK;
    if (ctl.url == NULL)
        ctl.url = "http://127.0.0.1:8080";
    if (token != NULL)
        ctl.token = strdup(token);
    else if (file != NULL)
        code = read_token(&ctl, file);

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
    free(ctl.token);
    return code;
}
