/* JSON as YAML, for -o yaml: block style, strings quoted unless they are plainly words. */
#include "ctl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a reader of YAML 1.1 or 1.2 takes for something else than text. */
static bool reserved(const char *s)
{
    static const char *const words[] = { "true", "false", "null", "yes", "no", "on",
                                         "off",  "y",     "n",    "nan", "inf" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

static bool plain(const char *s)
{
    if (!isalpha((unsigned char)*s) || reserved(s))
        return false;
    for (; *s != '\0'; s++)
        if (!isalnum((unsigned char)*s) && strchr("_-./", *s) == NULL)
            return false;
    return true;
}

static void scalar(const json_t *j)
{
    if (json_is_string(j) && plain(json_string_value(j))) {
        puts(json_string_value(j));
        return;
    }
    char *text = ctl_json_text(j, JSON_COMPACT); /* JSON's scalars, [] and {} are YAML's */
    puts(text == NULL ? "null" : text);
    free(text);
}

static bool is_block(const json_t *j)
{
    return (json_is_object(j) && json_object_size(j) > 0) ||
           (json_is_array(j) && json_array_size(j) > 0);
}

static void block(const json_t *j, int depth, bool after_dash);

static void member(const char *name, const json_t *value, int depth)
{
    json_t *key = json_string(name);
    char *quoted = plain(name) ? NULL : json_dumps(key, JSON_ENCODE_ANY);
    printf("%s:", quoted == NULL ? name : quoted);
    free(quoted);
    json_decref(key);
    if (is_block(value)) {
        putchar('\n');
        block(value, depth + 1, false);
    } else {
        putchar(' ');
        scalar(value);
    }
}

/* after_dash: the first line stands behind "- " already. */
static void block(const json_t *j, int depth, bool after_dash)
{
    const char *name;
    json_t *value;
    size_t i;
    json_object_foreach((json_t *)j, name, value)
    {
        printf("%*s", after_dash ? 0 : 2 * depth, "");
        after_dash = false;
        member(name, value, depth);
    }
    json_array_foreach(j, i, value)
    {
        printf("%*s- ", after_dash ? 0 : 2 * depth, "");
        after_dash = false;
        if (is_block(value))
            block(value, depth + 1, true);
        else
            scalar(value);
    }
}

void ctl_yaml_write(const json_t *j)
{
    if (is_block(j))
        block(j, 0, false);
    else
        scalar(j);
}
