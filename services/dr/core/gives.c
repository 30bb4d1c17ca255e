#include "core/gives.h"

#include "core/container.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HEAD[] = "prism-dr gives 1\n", CHECK[] = "check ";

static bool has(const uint8_t *slots, int slot)
{
    return (slots[slot / 8] >> slot % 8 & 1) != 0;
}

static void print_hash(const void *data, size_t n, char out[2 * DR_HASH + 1])
{
    uint8_t hash[DR_HASH];
    dr_sha256(data, n, hash);
    for (size_t i = 0; i < DR_HASH; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

void dr_gives_print(const struct dr_gives *g, struct pr_buf *out)
{
    const size_t begin = out->len;
    char hash[2 * DR_HASH + 1];
    const char *comma = "";
    pr_buf_printf(out, "%sat %" PRId64 "\ngiver %s\ntaker %s\nslots ", HEAD, g->at_ms, g->giver,
                  g->taker);
    for (int s = 0; s < DR_SLOTS; s++) {
        if (!has(g->slots, s))
            continue;
        int end = s;
        while (end + 1 < DR_SLOTS && has(g->slots, end + 1))
            end++;
        pr_buf_printf(out, end > s ? "%s%d-%d" : "%s%d", comma, s, end);
        comma = ",";
        s = end;
    }
    pr_buf_str(out, "\n");
    if (out->failed)
        return;
    print_hash(out->data + begin, out->len - begin, hash);
    pr_buf_printf(out, "%s%s\n", CHECK, hash);
}

static enum pr_code wrong(struct pr_err *err)
{
    return pr_fail(err, PR_EDATA, "it does not say which shard takes which slots");
}

/* The rest of a line that begins so; NULL: it does not. */
static char *line(char **at, const char *word)
{
    char *begin = *at, *end = strchr(begin, '\n');
    const size_t n = strlen(word);
    if (end == NULL || strncmp(begin, word, n) != 0 || begin[n] != ' ')
        return NULL;
    *end = '\0';
    *at = end + 1;
    return begin + n + 1;
}

static bool read_slots(const char *text, uint8_t *slots)
{
    while (*text != '\0') {
        char *end;
        const long first = strtol(text, &end, 10);
        long last = first;
        if (end == text)
            return false;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        if (first < 0 || last < first || last >= DR_SLOTS || (*end != ',' && *end != '\0'))
            return false;
        for (long s = first; s <= last; s++)
            slots[s / 8] |= (uint8_t)(1u << s % 8);
        text = end + (*end == ',');
    }
    return true;
}

static enum pr_code read_lines(char *text, struct dr_gives *g, struct pr_err *err)
{
    char *at = text + sizeof HEAD - 1, *end;
    const char *ms = line(&at, "at"), *giver = ms != NULL ? line(&at, "giver") : NULL,
               *taker = giver != NULL ? line(&at, "taker") : NULL,
               *slots = taker != NULL ? line(&at, "slots") : NULL;
    if (slots == NULL || *at != '\0' || !dr_name_ok(giver) || !dr_name_ok(taker) ||
        !read_slots(slots, g->slots))
        return wrong(err);
    g->at_ms = strtoll(ms, &end, 10);
    memcpy(g->giver, giver, strlen(giver) + 1);
    memcpy(g->taker, taker, strlen(taker) + 1);
    return end != ms && *end == '\0' ? PR_OK : wrong(err);
}

enum pr_code dr_gives_parse(const char *text, size_t n, struct dr_gives *out, struct pr_err *err)
{
    const size_t tail = sizeof CHECK - 1 + (size_t)2 * DR_HASH + 1;
    char hash[2 * DR_HASH + 1];
    struct dr_gives g = { .at_ms = 0 };
    if (n < sizeof HEAD - 1 + tail || n > DR_GIVES_MAX ||
        memcmp(text, HEAD, sizeof HEAD - 1) != 0 || memchr(text, '\0', n) != NULL)
        return wrong(err);
    const char *check = text + n - tail;
    print_hash(text, n - tail, hash);
    if (memcmp(check, CHECK, sizeof CHECK - 1) != 0 ||
        memcmp(check + sizeof CHECK - 1, hash, (size_t)2 * DR_HASH) != 0 || text[n - 1] != '\n')
        return pr_fail(err, PR_EDATA, "its check is wrong: it was changed");
    char *copy = malloc(n - tail + 1);
    if (copy == NULL)
        return pr_fail(err, PR_ENOMEM, "no memory for %zu bytes", n);
    memcpy(copy, text, n - tail);
    copy[n - tail] = '\0';
    const enum pr_code rc = read_lines(copy, &g, err);
    free(copy);
    if (rc == PR_OK)
        *out = g;
    return rc;
}
