#include "format/pg_info.h"

#include "core/pg_verdict.h"

#include "prism/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT = 24 };

/* pgBackRest quotes what it could not read as it is: bytes that are no UTF-8, and control
 * characters, which JSON has not. */
static json_t *parse(const char *text, size_t n, struct pr_err *err)
{
    json_error_t why;
    char *copy = malloc(n + 1);
    if (copy == NULL) {
        pr_fail(err, PR_ENOMEM, "no memory for what pgBackRest says");
        return NULL;
    }
    memcpy(copy, text, n);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)copy[i] < ' ')
            copy[i] = ' ';
    pr_utf8_mend(copy, n);
    json_t *root = json_loadb(copy, n, 0, &why);
    free(copy);
    if (root == NULL)
        pr_fail(err, PR_EDATA, "pgBackRest: no JSON: %s at %d", why.text, why.position);
    return root;
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *t = json_string_value(json_object_get(o, name));
    return t != NULL ? t : "";
}

static void copy(char *out, size_t n, const char *text)
{
    (void)snprintf(out, n, "%s", text);
    pr_utf8_trim(out);
}

/* The last one is the server's as it is now. */
static void read_database(const json_t *stanza, struct dr_pg_repo *out)
{
    const json_t *all = json_object_get(stanza, "db");
    const json_t *db = json_array_get(all, json_array_size(all) - 1);
    if (db == NULL)
        return;
    out->system_id = (uint64_t)json_integer_value(json_object_get(db, "system-id"));
    (void)snprintf(out->archive, sizeof out->archive, "%.8s-%lld", text_of(db, "version"),
                   (long long)json_integer_value(json_object_get(db, "id")));
}

static enum pr_code read_backup(const json_t *b, struct dr_pg_repo *out, struct pr_err *err)
{
    const json_t *stop = json_object_get(json_object_get(b, "timestamp"), "stop");
    const json_t *of = json_object_get(json_object_get(b, "info"), "repository");
    const json_t *bad = json_object_get(b, "error");
    const char *label = text_of(b, "label"), *type = text_of(b, "type");
    if (!json_is_integer(stop) || label[0] == '\0' || type[0] == '\0')
        return pr_fail(err, PR_EDATA, "pgBackRest: backup \"%.40s\" without time or type", label);
    const int64_t at_ms = json_integer_value(stop) * 1000;
    const bool full = strcmp(type, "full") == 0;
    out->bytes += json_integer_value(json_object_get(of, "delta"));
    out->damaged += json_is_true(bad);
    out->fulls += full;
    out->others += !full;
    if (full && at_ms > out->full_ms)
        out->full_ms = at_ms;
    if (out->oldest_ms == 0 || at_ms < out->oldest_ms)
        out->oldest_ms = at_ms;
    if (at_ms >= out->any_ms) {
        out->any_ms = at_ms;
        copy(out->newest, sizeof out->newest, label);
    }
    return PR_OK;
}

/* 0 ok; 1 no stanza; 2 no backup; 3 no stanza in that repository; 4 differing; 5 cipher differing;
 * 99 whatever else, of which the repository's own status tells. */
static void judge(const json_t *stanza, struct dr_pg_repo *out)
{
    const json_t *status = json_object_get(stanza, "status");
    const json_t *first = json_array_get(json_object_get(stanza, "repo"), 0);
    const json_t *of_repo = json_object_get(first, "status");
    const int code = (int)json_integer_value(json_object_get(status, "code"));
    const json_t *lock = json_object_get(json_object_get(status, "lock"), "backup");
    out->busy = json_is_true(json_object_get(lock, "held"));
    if (code == 0 || code == 2 || code == 1 || code == 3) {
        out->state = code == 0   ? DR_PG_REPO_OK
                     : code == 2 ? DR_PG_REPO_NO_BACKUP
                                 : DR_PG_REPO_EMPTY;
        return;
    }
    const char *words = text_of(of_repo, "message");
    words = words[0] != '\0' ? words : text_of(status, "message");
    out->state = DR_PG_REPO_ERROR;
    out->code = dr_pg_verdict(words, strlen(words), out->words);
}

static enum pr_code read_stanza(const json_t *stanza, struct dr_pg_repo *out, struct pr_err *err)
{
    const json_t *b;
    size_t i;
    enum pr_code rc = PR_OK;
    if (!json_is_integer(json_object_get(json_object_get(stanza, "status"), "code")))
        return pr_fail(err, PR_EDATA, "pgBackRest: no status");
    judge(stanza, out);
    read_database(stanza, out);
    json_array_foreach(json_object_get(stanza, "backup"), i, b) if (rc == PR_OK) rc =
        read_backup(b, out, err);
    return rc;
}

enum pr_code dr_pg_info_read(const char *json, size_t n, struct dr_pg_repo *out, struct pr_err *err)
{
    struct dr_pg_repo r = { .state = DR_PG_REPO_EMPTY };
    struct pr_err why = { 0 };
    json_t *root = parse(json, n, &why);
    enum pr_code rc = why.code;
    if (root != NULL && !json_is_array(root))
        rc = pr_fail(&why, PR_EDATA, "pgBackRest: no list");
    if (rc == PR_OK && json_array_size(root) > 0)
        rc = read_stanza(json_array_get(root, 0), &r, &why);
    json_decref(root);
    if (rc != PR_OK)
        return pr_fail(err, rc, "%s", why.text);
    *out = r;
    return PR_OK;
}

enum pr_code dr_pg_list_read(const char *json, size_t n, void (*each)(void *ctx, const char *name),
                             void *ctx, struct pr_err *err)
{
    struct pr_err why = { 0 };
    json_t *root = parse(json, n, &why), *value;
    const char *key;
    if (root != NULL && !json_is_object(root))
        (void)pr_fail(&why, PR_EDATA, "pgBackRest: no directory");
    if (why.code == PR_OK)
        json_object_foreach(root, key, value)
        {
            char name[SEGMENT + 1] = "";
            if (strspn(key, "0123456789ABCDEF") != SEGMENT || key[SEGMENT] != '-')
                continue;
            memcpy(name, key, SEGMENT);
            each(ctx, name);
        }
    json_decref(root);
    return why.code == PR_OK ? PR_OK : pr_fail(err, why.code, "%s", why.text);
}
