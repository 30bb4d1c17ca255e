#include "core/keys.h"

#include "core/bytes.h"

#include <stdio.h>

enum { N_MAX = 0xffff, PART_MAX = 0xfffff };

int dr_generation_compare(const struct dr_generation_id *a, const struct dr_generation_id *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return a->n < b->n ? -1 : a->n > b->n;
}

bool dr_name_ok(const char *name)
{
    const size_t n = strnlen(name, DR_NAME);
    if (n == 0 || n == DR_NAME || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char c = name[i];
        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' &&
            c != '_' && c != '-')
            return false;
    }
    return true;
}

bool dr_generation_ok(const struct dr_generation_id *id)
{
    return id->n >= 1 && id->n <= N_MAX;
}

void dr_generation_print(const struct dr_generation_id *id, char out[DR_GENERATION])
{
    (void)snprintf(out, DR_GENERATION, "%016llx-%04x", (unsigned long long)id->epoch,
                   id->n & N_MAX);
}

bool dr_generation_parse(const char *text, struct dr_generation_id *out)
{
    uint64_t epoch, n;
    if (strnlen(text, DR_GENERATION) != DR_GENERATION - 1 || text[16] != '-' ||
        !dr_get_hex(text, 16, &epoch) || !dr_get_hex(text + 17, 4, &n) || n == 0)
        return false;
    *out = (struct dr_generation_id){ .epoch = epoch, .n = (uint32_t)n };
    return true;
}

bool dr_replid_ok(const char *replid)
{
    uint64_t half;
    return strnlen(replid, DR_REPLID) == DR_REPLID - 1 && dr_get_hex(replid, 16, &half) &&
           dr_get_hex(replid + 16, 16, &half) && dr_get_hex(replid + 32, 8, &half);
}

static bool is_named(enum dr_key_kind kind)
{
    return kind == DR_KEY_LOG || kind == DR_KEY_BASE || kind == DR_KEY_GENERATION;
}

static enum pr_code check(const struct dr_key *k, struct pr_err *err)
{
    if (!dr_name_ok(k->cluster))
        return pr_fail(err, PR_EINVAL, "cluster \"%.63s\": not 1 to 63 of A-Z a-z 0-9 . _ -",
                       k->cluster);
    if (is_named(k->kind) && !dr_name_ok(k->name))
        return pr_fail(err, PR_EINVAL, "%s \"%.63s\": not 1 to 63 of A-Z a-z 0-9 . _ -",
                       k->kind == DR_KEY_LOG ? "group" : "shard", k->name);
    if (k->kind != DR_KEY_BASE && k->kind != DR_KEY_GENERATION)
        return PR_OK;
    if (!dr_generation_ok(&k->generation))
        return pr_fail(err, PR_EINVAL, "generation %u: not 1 to %d", k->generation.n, N_MAX);
    if (k->kind == DR_KEY_BASE && k->part > PART_MAX)
        return pr_fail(err, PR_EINVAL, "part %u: over %d", k->part, PART_MAX);
    return PR_OK;
}

enum pr_code dr_key_print(const struct dr_key *k, char out[DR_KEY], struct pr_err *err)
{
    char generation[DR_GENERATION];
    const enum pr_code rc = check(k, err);
    if (rc != PR_OK)
        return rc;
    dr_generation_print(&k->generation, generation);
    switch (k->kind) {
    case DR_KEY_LOG:
        (void)snprintf(out, DR_KEY, "%s/log/%s/%016llx/%016llx", k->cluster, k->name,
                       (unsigned long long)k->epoch, (unsigned long long)k->seq);
        return PR_OK;
    case DR_KEY_BASE:
        (void)snprintf(out, DR_KEY, "%s/base/%s/%s/%05x", k->cluster, k->name, generation, k->part);
        return PR_OK;
    case DR_KEY_GENERATION:
        (void)snprintf(out, DR_KEY, "%s/gen/%s/%s", k->cluster, k->name, generation);
        return PR_OK;
    case DR_KEY_MAP:
    case DR_KEY_FAILOVER:
        (void)snprintf(out, DR_KEY, "%s/%s/%016llx/%016llx", k->cluster,
                       k->kind == DR_KEY_MAP ? "map" : "failover", (unsigned long long)k->epoch,
                       (unsigned long long)k->seq);
        return PR_OK;
    case DR_KEY_SITE:
        (void)snprintf(out, DR_KEY, "%s/site/%016llx", k->cluster, (unsigned long long)k->epoch);
        return PR_OK;
    }
    return pr_fail(err, PR_EINVAL, "key of kind %d: there is none", (int)k->kind);
}

enum { SEGMENTS = 5 };

/* Copies of the parts between slashes; 0: too many, or one too long. */
static size_t split(const char *text, char segment[SEGMENTS][DR_NAME])
{
    size_t n = 0, used = 0;
    for (;; text++) {
        if (*text == '/' || *text == '\0') {
            segment[n++][used] = '\0';
            used = 0;
            if (*text == '\0')
                return n;
            if (n == SEGMENTS)
                return 0;
        } else if (used == DR_NAME - 1) {
            return 0;
        } else {
            segment[n][used++] = *text;
        }
    }
}

static bool number(const char *text, size_t digits, uint64_t *out)
{
    return strlen(text) == digits && dr_get_hex(text, digits, out);
}

bool dr_key_parse(const char *text, struct dr_key *out)
{
    static const struct {
        const char *word;
        enum dr_key_kind kind;
        size_t segments;
    } kinds[] = {
        { "log", DR_KEY_LOG, 5 }, { "base", DR_KEY_BASE, 5 }, { "gen", DR_KEY_GENERATION, 4 },
        { "map", DR_KEY_MAP, 4 }, { "site", DR_KEY_SITE, 3 }, { "failover", DR_KEY_FAILOVER, 4 },
    };
    char s[SEGMENTS][DR_NAME];
    struct dr_key k = { .part = 0 };
    const size_t n = split(text, s);
    if (n < 3)
        return false;
    size_t i = 0;
    while (i < PR_COUNT(kinds) && (kinds[i].segments != n || strcmp(kinds[i].word, s[1]) != 0))
        i++;
    if (i == PR_COUNT(kinds) || !dr_name_ok(s[0]))
        return false;
    k.kind = kinds[i].kind;
    memcpy(k.cluster, s[0], DR_NAME);
    if (!is_named(k.kind)) {
        if (!number(s[2], 16, &k.epoch) || (k.kind != DR_KEY_SITE && !number(s[3], 16, &k.seq)))
            return false;
        *out = k;
        return true;
    }
    if (!dr_name_ok(s[2]))
        return false;
    memcpy(k.name, s[2], DR_NAME);
    uint64_t part = 0;
    if (k.kind == DR_KEY_LOG ? !number(s[3], 16, &k.epoch) || !number(s[4], 16, &k.seq)
                             : !dr_generation_parse(s[3], &k.generation))
        return false;
    if (k.kind == DR_KEY_BASE && !number(s[4], 5, &part))
        return false;
    k.part = (uint32_t)part;
    *out = k;
    return true;
}
