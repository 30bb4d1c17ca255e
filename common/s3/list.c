#include "s3_private.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool s3_own_key(const struct pr_s3 *s, const struct pr_xml *x, const char *name, char **key)
{
    const struct pr_xml *k = pr_xml_child(x, name);
    const size_t prefix = strlen(s->store.prefix);

    if (k == NULL)
        return false;
    *key = (char *)(uintptr_t)k->text; /* the tree is ours, in an arena */
    if (!s3_decode(*key) || strncmp(*key, s->store.prefix, prefix) != 0)
        return false;
    *key += prefix;
    return true;
}

static bool number(const char *text, uint64_t *out)
{
    unsigned long long v;
    int end = 0;

    if (text[0] < '0' || text[0] > '9' || sscanf(text, "%20llu%n", &v, &end) != 1 ||
        text[end] != '\0')
        return false;
    *out = v;
    return true;
}

static bool entry_of(const struct pr_s3 *s, const struct pr_xml *x, char etag[PR_S3_ETAG],
                     struct pr_s3_entry *e)
{
    char *key = NULL;

    *e = (struct pr_s3_entry){ .etag = "" };
    if (strcmp(x->name, "CommonPrefixes") == 0) {
        e->folded = true;
        const bool ok = s3_own_key(s, x, "Prefix", &key);
        e->key = key;
        return ok;
    }
    s3_etag(pr_xml_text(x, "ETag"), etag);
    e->etag = etag;
    if (!s3_own_key(s, x, "Key", &key) || !number(pr_xml_text(x, "Size"), &e->size_bytes) ||
        !pr_time_parse(pr_xml_text(x, "LastModified"), &e->modified_ms))
        return false;
    e->key = key;
    return true;
}

struct walk {
    struct pr_s3 *s;
    const struct pr_s3_list *what;
    pr_s3_entry_fn *each;
    void *arg;
    struct pr_arena arena;
    char *next; /* the token of the next page; NULL: there is none */
    bool enough;
};

/* Objects and folded ones stand in the page apart; they are told in the order of keys. */
static const struct pr_xml *next_of(const struct pr_xml *x, const char *name)
{
    while (x != NULL && strcmp(x->name, name) != 0)
        x = x->next;
    return x;
}

static enum pr_code tell(struct walk *w, const struct s3_request *q, const struct pr_xml *root,
                         struct pr_err *err)
{
    char etag[PR_S3_ETAG], unused[PR_S3_ETAG];
    struct pr_s3_entry object, folded;
    const struct pr_xml *o = next_of(root->child, "Contents"),
                        *f = next_of(root->child, "CommonPrefixes");
    bool has_o = false, has_f = false;

    while (o != NULL || f != NULL) {
        if ((o != NULL && !has_o && !(has_o = entry_of(w->s, o, etag, &object))) ||
            (f != NULL && !has_f && !(has_f = entry_of(w->s, f, unused, &folded))))
            return s3_fail(w->s, q, PR_EDATA, err, "the listing has an entry that is none");
        const bool first = has_o && (!has_f || strcmp(object.key, folded.key) < 0);
        if (!w->each(w->arg, first ? &object : &folded)) {
            w->enough = true;
            return PR_OK;
        }
        if (first) {
            o = next_of(o->next, "Contents");
            has_o = false;
        } else {
            f = next_of(f->next, "CommonPrefixes");
            has_f = false;
        }
    }
    return PR_OK;
}

/* Where the next page begins; kept outside of the arena, which that page empties. */
static enum pr_code go_on(struct walk *w, const struct s3_request *q, const struct pr_xml *root,
                          struct pr_err *err)
{
    const bool more = strcmp(pr_xml_text(root, "IsTruncated"), "true") == 0;
    const char *token = more ? pr_xml_text(root, "NextContinuationToken") : "";

    if (more && (token[0] == '\0' || (w->next != NULL && strcmp(token, w->next) == 0)))
        return s3_fail(w->s, q, PR_EDATA, err, "the listing goes on, and does not say where");
    free(w->next);
    w->next = more ? strdup(token) : NULL;
    return more && w->next == NULL ? pr_fail(err, PR_ENOMEM, "no memory") : PR_OK;
}

static enum pr_code page(struct walk *w, const char *prefix, const char *after, struct pr_err *err)
{
    struct pr_s3 *s = w->s;
    struct s3_request q = { .method = "GET" };
    struct s3_answer a;
    const struct pr_xml *root = NULL;
    char size[16];

    (void)snprintf(size, sizeof size, "%d", s->store.page);
    s3_request_query(&q, "list-type", "2");
    s3_request_query(&q, "encoding-type", "url");
    s3_request_query(&q, "max-keys", size);
    s3_request_query(&q, "prefix", prefix);
    s3_request_query(&q, "delimiter", w->what->delimiter);
    if (w->next != NULL)
        s3_request_query(&q, "continuation-token", w->next);
    else
        s3_request_query(&q, "start-after", after);
    enum pr_code rc = s3_call(s, &q, NULL, NULL, &a, err);
    pr_arena_reset(&w->arena);
    if (rc == PR_OK)
        rc = s3_parse(s, &q, &w->arena, "ListBucketResult", &root, err);
    if (rc == PR_OK)
        rc = go_on(w, &q, root, err);
    return rc == PR_OK ? tell(w, &q, root, err) : rc;
}

enum pr_code pr_s3_list(struct pr_s3 *s, const struct pr_s3_list *what, pr_s3_entry_fn *each,
                        void *arg, struct pr_err *err)
{
    struct walk w = { .s = s, .what = what, .each = each, .arg = arg };
    char prefix[PR_S3_KEY_MAX + 1], after[PR_S3_KEY_MAX + 1];
    const bool from = what->start_after != NULL && what->start_after[0] != '\0';
    enum pr_code rc = s3_join(s, what->prefix, prefix, err);

    if (rc == PR_OK)
        rc = s3_join(s, what->start_after, after, err);
    if (rc != PR_OK)
        return rc;
    pr_arena_init(&w.arena, (size_t)4 * S3_ANSWER_MAX);
    do {
        rc = page(&w, prefix, from ? after : NULL, err);
    } while (rc == PR_OK && w.next != NULL && !w.enough);
    free(w.next);
    pr_arena_done(&w.arena);
    return rc;
}
