#include "api_grant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* "admin  CN=x" without what is around it; false after saying what is wrong. */
static bool read_line(const char *s, size_t n, struct api_grant *out, const char **why)
{
    static const char *const kinds[] = { "CN=", "DNS=", "EMAIL=", "URI=", "claim=" };
    char role[16];
    size_t role_n = 0;
    while (role_n < n && !blank(s[role_n]))
        role_n++;
    (void)snprintf(role, sizeof role, "%.*s", (int)(role_n < sizeof role ? role_n : 0), s);
    if (!api_role_parse(role, &out->role)) {
        *why = "does not begin with viewer, operator or admin";
        return false;
    }
    while (role_n < n && blank(s[role_n]))
        role_n++;
    if (n - role_n >= sizeof out->name) {
        *why = "has a name of more than 255 bytes";
        return false;
    }
    (void)snprintf(out->name, sizeof out->name, "%.*s", (int)(n - role_n), s + role_n);
    for (size_t i = 0; i < PR_COUNT(kinds); i++) {
        const size_t kind_n = strlen(kinds[i]);
        if (strncmp(out->name, kinds[i], kind_n) == 0 && out->name[kind_n] != '\0')
            return true;
    }
    *why = "names nobody: want CN=, DNS=, EMAIL=, URI= or claim=, and a name";
    return false;
}

/* One line from *at on, trimmed; false at the end of the text. */
static bool next_line(const char *text, size_t n, size_t *at, const char **line, size_t *line_n)
{
    if (*at >= n)
        return false;
    const char *end = memchr(text + *at, '\n', n - *at);
    *line = text + *at;
    *line_n = end == NULL ? n - *at : (size_t)(end - *line);
    *at += *line_n + 1;
    while (*line_n > 0 && blank((*line)[0])) {
        (*line)++;
        (*line_n)--;
    }
    while (*line_n > 0 && blank((*line)[*line_n - 1]))
        (*line_n)--;
    return true;
}

enum pr_code api_grants_read(struct api_grants *out, const char *text, size_t n, struct pr_err *err)
{
    struct api_grants g = { 0 };
    const char *line, *why;
    size_t at = 0, line_n, lines = 1;
    enum pr_code rc = memchr(text, '\0', n) != NULL ? pr_fail(err, PR_EINVAL, "a NUL byte") : PR_OK;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    g.row = calloc(lines, sizeof *g.row);
    if (rc == PR_OK && g.row == NULL)
        rc = pr_fail(err, PR_ENOMEM, "table of roles");
    for (size_t i = 1; rc == PR_OK && next_line(text, n, &at, &line, &line_n); i++) {
        if (line_n == 0 || line[0] == '#')
            continue;
        if (g.n == API_GRANT_MAX)
            rc = pr_fail(err, PR_EINVAL, "more than %d names", API_GRANT_MAX);
        else if (!read_line(line, line_n, &g.row[g.n], &why))
            rc = pr_fail(err, PR_EINVAL, "line %zu %s", i, why);
        else
            g.n++;
    }
    if (rc == PR_OK)
        *out = g;
    else
        free(g.row);
    return rc;
}

void api_grants_done(struct api_grants *g)
{
    free(g->row);
    *g = (struct api_grants){ 0 };
}

enum api_role api_grant_of_name(const struct api_grants *g, const char *name)
{
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->row[i].name, name) == 0)
            return g->row[i].role;
    return API_NOBODY;
}

enum api_role api_grant_of_claim(const struct api_grants *g, const char *value)
{
    enum api_role role = API_NOBODY;
    if (g->by_name)
        return api_role_parse(value, &role) ? role : API_NOBODY;
    for (size_t i = 0; i < g->n; i++)
        if (strncmp(g->row[i].name, "claim=", 6) == 0 && strcmp(g->row[i].name + 6, value) == 0 &&
            g->row[i].role > role)
            role = g->row[i].role;
    return role;
}
