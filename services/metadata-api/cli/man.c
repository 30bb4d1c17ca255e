/* The manual page, from the table of commands. */
#include "ctl.h"

#include <stdio.h>
#include <string.h>

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
