#include "prism/io/config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 64 * 1024, SHOWN_BYTES = 60 };

static const char *const type_name[] = { "text", "integer", "number", "true or false" };

/* A limit as people write it: 65535, 0.5. */
static void limit_text(char out[32], double v)
{
    if (v == floor(v) && fabs(v) < 1e15)
        (void)snprintf(out, 32, "%.0f", v);
    else
        (void)snprintf(out, 32, "%g", v);
}

static void problem(struct pr_buf *to, const char *name, const char *fmt, ...) PR_PRINTF(3, 4);

static void problem(struct pr_buf *to, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' '; /* one line a problem */
    pr_buf_printf(to, "%s: %s\n", name, text);
}

/* The value as a message may show it: never a secret, never long. */
static const char *shown(const struct pr_cfg_row *r, const char *value, char out[SHOWN_BYTES + 8])
{
    if (r->flags & PR_CFG_SECRET)
        return "(secret)";
    int n = snprintf(out, SHOWN_BYTES, "\"%s", value);
    (void)strcat(out, n >= SHOWN_BYTES ? "...\"" : "\"");
    return out;
}

/* Content of a secrets file without its last newline; NULL and a problem. */
static char *read_value_file(const char *name, const char *path, struct pr_buf *problems)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        problem(problems, name, "cannot open %.200s: %s", path, strerror(errno));
        return NULL;
    }
    char *text = malloc(MAX_FILE_BYTES + 1);
    errno = 0;
    size_t n = text == NULL ? 0 : fread(text, 1, MAX_FILE_BYTES + 1, f);
    int failed = ferror(f) ? errno : 0;
    (void)fclose(f);
    if (text == NULL || failed != 0)
        problem(problems, name, "cannot read %.200s: %s", path,
                strerror(text == NULL ? ENOMEM : failed));
    else if (n > MAX_FILE_BYTES)
        problem(problems, name, "%.200s is larger than %d bytes", path, MAX_FILE_BYTES);
    else if (memchr(text, '\0', n) != NULL)
        problem(problems, name, "%.200s contains a NUL byte", path);
    else {
        if (n > 0 && text[n - 1] == '\n')
            n--;
        if (n > 0 && text[n - 1] == '\r')
            n--;
        text[n] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

/* The text of a setting, malloc; NULL when it has none or a problem was told. */
static char *value_text(const struct pr_cfg_row *r, char *(*get)(const char *),
                        struct pr_buf *problems)
{
    char file_name[160];
    (void)snprintf(file_name, sizeof file_name, "%s_FILE", r->name);
    const char *direct = get(r->name), *path = get(file_name);

    if (direct != NULL && path != NULL) {
        problem(problems, r->name, "set together with %s; set one of them", file_name);
        return NULL;
    }
    if (path != NULL)
        return read_value_file(file_name, path, problems);
    if (direct == NULL)
        direct = r->dflt;
    if (direct == NULL) {
        problem(problems, r->name, "required but not set, nor is %s (%s)", file_name, r->help);
        return NULL;
    }
    char *copy = strdup(direct);
    if (copy == NULL)
        problem(problems, r->name, "out of memory");
    return copy;
}

static void set_string(const struct pr_cfg_row *r, char **field, char **text,
                       struct pr_buf *problems)
{
    char lo[32], hi[32];
    size_t n = strlen(*text);
    if ((double)n < r->min || (double)n > r->max) {
        limit_text(lo, r->min);
        limit_text(hi, r->max);
        problem(problems, r->name, "%zu bytes long, want %s to %s (%s)", n, lo, hi, r->help);
        return;
    }
    free(*field);
    *field = *text;
    *text = NULL;
}

/* True when text is one number and nothing else. */
static bool parse_number(const struct pr_cfg_row *r, const char *text, pr_cfg_INT *i, double *v)
{
    const char *allowed = r->type == PR_CFG_INT ? "+-0123456789" : "+-0123456789.eE";
    char *end = NULL;
    if (text[0] == '\0' || text[strspn(text, allowed)] != '\0')
        return false; /* no blanks, hexadecimal, NaN or infinity */
    errno = 0;
    if (r->type == PR_CFG_INT) {
        long long whole = strtoll(text, &end, 10);
        *i = whole;
        /* out of the type's range: outside every row's range too */
        *v = errno == ERANGE ? (whole < 0 ? -INFINITY : INFINITY) : (double)whole;
    } else
        *v = strtod(text, &end);
    return end != text && *end == '\0';
}

static void set_number(const struct pr_cfg_row *r, void *field, const char *text,
                       struct pr_buf *problems)
{
    char lo[32], hi[32], show[SHOWN_BYTES + 8];
    const char *space = r->unit[0] == '\0' ? "" : " ";
    pr_cfg_INT whole = 0;
    double v = 0;
    limit_text(lo, r->min);
    limit_text(hi, r->max);
    if (!parse_number(r, text, &whole, &v))
        problem(problems, r->name, "%s is not %s, want %s to %s%s%s", shown(r, text, show),
                r->type == PR_CFG_INT ? "an integer" : "a number", lo, hi, space, r->unit);
    else if (!(v >= r->min && v <= r->max))
        problem(problems, r->name, "%s is outside %s to %s%s%s", shown(r, text, show), lo, hi,
                space, r->unit);
    else if (r->type == PR_CFG_INT)
        *(pr_cfg_INT *)field = whole;
    else
        *(pr_cfg_REAL *)field = v;
}

static void set_bool(const struct pr_cfg_row *r, pr_cfg_BOOL *field, const char *text,
                     struct pr_buf *problems)
{
    char show[SHOWN_BYTES + 8];
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        *field = true;
    else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        *field = false;
    else
        problem(problems, r->name, "%s is not true, false, 1 or 0", shown(r, text, show));
}

enum pr_code pr_config_load(const struct pr_cfg_row *rows, size_t n, void *out,
                            char *(*get)(const char *), struct pr_buf *problems)
{
    size_t before = problems->len;
    for (size_t i = 0; i < n; i++) {
        const struct pr_cfg_row *r = &rows[i];
        void *field = (char *)out + r->offset;
        char *text = value_text(r, get, problems);
        if (text == NULL)
            continue;
        if (r->type == PR_CFG_STR)
            set_string(r, field, &text, problems);
        else if (r->type == PR_CFG_BOOL)
            set_bool(r, field, text, problems);
        else
            set_number(r, field, text, problems);
        free(text);
    }
    return problems->len > before || problems->failed ? PR_EINVAL : PR_OK;
}

void pr_config_free(const struct pr_cfg_row *rows, size_t n, void *cfg)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].type == PR_CFG_STR) {
            char **field = (char **)(void *)((char *)cfg + rows[i].offset);
            free(*field);
            *field = NULL;
        }
}

static void print_value(const struct pr_cfg_row *r, const void *field, FILE *to)
{
    switch (r->type) {
    case PR_CFG_STR: {
        const char *s = *(char *const *)field;
        if (r->flags & PR_CFG_SECRET)
            (void)fputs(s != NULL && s[0] != '\0' ? "(set)" : "(unset)", to);
        else
            (void)fputs(s == NULL ? "" : s, to);
        return;
    }
    case PR_CFG_INT:
        (void)fprintf(to, "%lld", (long long)*(const pr_cfg_INT *)field);
        return;
    case PR_CFG_REAL:
        (void)fprintf(to, "%.10g", *(const pr_cfg_REAL *)field);
        return;
    case PR_CFG_BOOL:
        (void)fputs(*(const pr_cfg_BOOL *)field ? "true" : "false", to);
        return;
    }
}

/* # help
 * # integer, 0 to 65535 ms; default 10
 * NAME=value */
void pr_config_print(const struct pr_cfg_row *rows, size_t n, const void *cfg, FILE *to)
{
    for (size_t i = 0; i < n; i++) {
        const struct pr_cfg_row *r = &rows[i];
        char lo[32], hi[32];
        limit_text(lo, r->min);
        limit_text(hi, r->max);
        (void)fprintf(to, "%s# %s\n# %s", i == 0 ? "" : "\n", r->help, type_name[r->type]);
        if (r->type == PR_CFG_STR)
            (void)fprintf(to, ", %s to %s bytes", lo, hi);
        else if (r->type != PR_CFG_BOOL)
            (void)fprintf(to, ", %s to %s", lo, hi);
        if (r->unit[0] != '\0')
            (void)fprintf(to, " %s", r->unit);
        if (r->dflt == NULL)
            (void)fputs("; required", to);
        else
            (void)fprintf(to, "; default %s", r->dflt[0] == '\0' ? "empty" : r->dflt);
        if (r->flags & PR_CFG_SECRET)
            (void)fprintf(to, "; secret, better from the file named by %s_FILE", r->name);
        (void)fprintf(to, "\n%s=", r->name);
        print_value(r, (const char *)cfg + r->offset, to);
        (void)fputc('\n', to);
    }
}
