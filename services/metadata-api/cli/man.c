/* What holds for every command, and the manual page, from that and the table of commands. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

const struct ctl_note ctl_globals[] = {
    { "--context", "NAME", "A server that is known by a name; see context list" },
    { "--url", "URL", "The API's address" },
    { "--token", "TOKEN",
      "What the API knows you by; better in a file, for others see command lines" },
    { "--token-file", "FILE", "The same, as the first line of a file" },
    { "--ca-file", "FILE",
      "The CA that signed the server's certificate, if the system does not know it" },
    { "--cert-file", "FILE", "A certificate that the server knows us by, in PEM" },
    { "--key-file", "FILE", "Its key; that of --cert-file when it is in the same file" },
    { "-o", "table|json|yaml", "How answers are written; may stand behind the command, too" },
};
const size_t ctl_global_count = sizeof ctl_globals / sizeof ctl_globals[0];

const struct ctl_note ctl_environment[] = {
    { "PRISM_CONTEXT", "NAME", "As --context" },
    { "PRISM_API_URL", "URL", "As --url" },
    { "PRISM_TOKEN", "TOKEN", "As --token" },
    { "PRISM_TOKEN_FILE", "FILE", "As --token-file" },
    { "PRISM_CA_FILE", "FILE", "As --ca-file" },
    { "PRISM_CERT_FILE", "FILE", "As --cert-file" },
    { "PRISM_KEY_FILE", "FILE", "As --key-file" },
    { "PRISM_INSECURE_HTTP", "1", "Send a token over plain HTTP also to another machine" },
    { "PRISM_CONTEXTS", "FILE", "Where contexts are kept, not ~/.config/prism/contexts.json" },
};
const size_t ctl_environment_count = sizeof ctl_environment / sizeof ctl_environment[0];

const struct ctl_exit_note ctl_exits[] = {
    { CTL_OK, "ok" },
    { CTL_FAILED, "failed" },
    { CTL_USAGE, "usage or bad request" },
    { CTL_CONNECT, "no connection, or too busy, or something that the API needs is down" },
    { CTL_DENIED, "denied" },
    { CTL_NOT_FOUND, "not found" },
    { CTL_CONFLICT, "conflict, or changed meanwhile, or not kept any more" },
    { CTL_INTERRUPTED, "interrupted; what was started goes on" },
};
const size_t ctl_exit_count = sizeof ctl_exits / sizeof ctl_exits[0];

/* Text of a line: backslashes and hyphens are what they are. */
static void text(const char *s)
{
    for (; *s != '\0'; s++)
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else
            putchar(*s);
}

static void line_of(const char *s)
{
    if (*s == '.' || *s == '\'')
        fputs("\\&", stdout);
    text(s);
    putchar('\n');
}

static void command(const struct ctl_command *c)
{
    fputs(".TP\n\\fB", stdout);
    text(c->group);
    if (c->verb != NULL) {
        putchar(' ');
        text(c->verb);
    }
    fputs("\\fR", stdout);
    if (c->args[0] != '\0') {
        fputs(" \\fI", stdout);
        text(c->args);
        fputs("\\fR", stdout);
    }
    for (size_t i = 0; i < CTL_MAX_OPTIONS && c->option[i].name != NULL; i++) {
        fputs(" [\\fB\\-\\-", stdout);
        text(c->option[i].name);
        fputs("\\fR", stdout);
        if (c->option[i].value != NULL) {
            fputs(" \\fI", stdout);
            text(c->option[i].value);
            fputs("\\fR", stdout);
        }
        putchar(']');
    }
    putchar('\n');
    line_of(c->help);
}

int ctl_man(struct ctl *ctl, const struct ctl_line *line)
{
    (void)ctl;
    (void)line;
    printf(".TH PRISMCTL 1 \"\" \"prismctl %s\" \"Prism\"\n.SH NAME\nprismctl \\- the REST API "
           "of Prism from a shell\n.SH SYNOPSIS\n.B prismctl\n[\\fIOPTION\\fR...] "
           "\\fICOMMAND\\fR\n.SH OPTIONS\n",
           PRISM_VERSION);
    for (size_t i = 0; i < ctl_global_count; i++) {
        fputs(".TP\n\\fB", stdout);
        text(ctl_globals[i].name);
        printf("\\fR \\fI%s\\fR\n", ctl_globals[i].value);
        line_of(ctl_globals[i].help);
    }
    puts(".SH COMMANDS");
    for (size_t i = 0; i < ctl_command_count; i++)
        command(&ctl_commands[i]);
    puts(".SH EXIT STATUS");
    for (size_t i = 0; i < ctl_exit_count; i++) {
        printf(".TP\n.B %d\n", ctl_exits[i].code);
        line_of(ctl_exits[i].help);
    }
    puts(".SH ENVIRONMENT");
    for (size_t i = 0; i < ctl_environment_count; i++) {
        printf(".TP\n.B %s\n", ctl_environment[i].name);
        line_of(ctl_environment[i].help);
    }
    return CTL_OK;
}
