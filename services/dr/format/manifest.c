#include "format/manifest.h"

#include "core/bytes.h"

#include <jansson.h>
#include <stdlib.h>

enum { FORMAT = 1, HEX = 2 * DR_HASH };

static bool owns(const struct dr_generation *g, int slot)
{
    return slot < DR_SLOTS && (g->slots[slot / 8] >> (slot % 8) & 1) != 0;
}

static void add_hex(struct pr_buf *b, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pr_buf_printf(b, "%02x", p[i]);
}

static void add_slots(struct pr_buf *b, const struct dr_generation *g)
{
    const char *comma = "";
    pr_buf_str(b, " \"slots\": [");
    for (int s = 0; s < DR_SLOTS; s++) {
        if (!owns(g, s))
            continue;
        const int first = s;
        while (owns(g, s + 1))
            s++;
        pr_buf_printf(b, "%s[%d, %d]", comma, first, s);
        comma = ", ";
    }
    pr_buf_str(b, "],\n");
}

static void add_parts(struct pr_buf *b, const struct dr_generation *g)
{
    pr_buf_str(b, " \"parts\": [\n");
    for (size_t i = 0; i < g->parts; i++) {
        const struct dr_part *p = &g->part[i];
        pr_buf_printf(b,
                      "  {\"bytes\": %llu, \"stored_bytes\": %llu, \"flags\": %u, "
                      "\"crc32c\": \"%08x\", \"sha256\": \"",
                      (unsigned long long)p->bytes, (unsigned long long)p->stored_bytes, p->flags,
                      p->crc32c);
        add_hex(b, p->sha256, DR_HASH);
        pr_buf_str(b, i + 1 < g->parts ? "\"},\n" : "\"}],\n");
    }
}

/* Behind the text that it is of. */
static void add_check(struct pr_buf *b)
{
    uint8_t check[DR_HASH];
    if (b->failed)
        return;
    dr_sha256(b->data, b->len, check);
    pr_buf_str(b, " \"check\": \"");
    add_hex(b, check, DR_HASH);
    pr_buf_str(b, "\"}\n");
}

enum pr_code dr_generation_write(const struct dr_generation *g, struct pr_buf *out,
                                 struct pr_err *err)
{
    char id[DR_GENERATION];
    const char *wrong = dr_generation_wrong(g);
    if (wrong != NULL)
        return pr_fail(err, PR_EINVAL, "manifest: %s cannot be", wrong);
    dr_generation_print(&g->id, id);
    pr_buf_reset(out);
    pr_buf_printf(out,
                  "{\"format\": %d,\n \"cluster\": \"%s\",\n \"shard\": \"%s\",\n"
                  " \"group\": \"%s\",\n \"generation\": \"%s\",\n \"replid\": \"%s\",\n"
                  " \"offset\": %llu,\n \"begun_ms\": %lld,\n \"ended_ms\": %lld,\n"
                  " \"source\": \"%s\",\n \"server_version\": \"%s\",\n",
                  FORMAT, g->cluster, g->shard, g->group, id, g->replid,
                  (unsigned long long)g->offset, (long long)g->begun_ms, (long long)g->ended_ms,
                  g->source, g->server_version);
    if (g->keys == UINT64_MAX)
        pr_buf_str(out, " \"keys\": null,\n");
    else
        pr_buf_printf(out, " \"keys\": %llu,\n", (unsigned long long)g->keys);
    pr_buf_printf(out, " \"slot_epoch\": %llu,\n", (unsigned long long)g->slot_epoch);
    add_slots(out, g);
    add_parts(out, g);
    pr_buf_str(out, " \"chain\": \"");
    add_hex(out, g->chain, DR_HASH);
    pr_buf_str(out, "\",\n");
    add_check(out);
    if (!out->failed)
        return PR_OK;
    return out->max_bytes != 0
               ? pr_fail(err, PR_EFULL, "manifest: more than %zu bytes", out->max_bytes)
               : pr_fail(err, PR_ENOMEM, "manifest: no memory");
}

/* The member that was asked for and is not as it should be; NULL: none so far. */
struct reader {
    const char *bad;
};

static json_t *member(struct reader *r, const json_t *o, const char *name, json_type type)
{
    json_t *v = json_object_get(o, name);
    if (r->bad == NULL && (v == NULL || json_typeof(v) != type))
        r->bad = name;
    return r->bad == NULL ? v : NULL;
}

static int64_t whole(struct reader *r, const json_t *o, const char *name)
{
    const json_t *v = member(r, o, name, JSON_INTEGER);
    return v == NULL ? 0 : (int64_t)json_integer_value(v);
}

static uint64_t count(struct reader *r, const json_t *o, const char *name)
{
    const int64_t v = whole(r, o, name);
    if (v < 0)
        r->bad = name;
    return v < 0 ? 0 : (uint64_t)v;
}

static uint32_t small(struct reader *r, const json_t *o, const char *name)
{
    const uint64_t v = count(r, o, name);
    if (v > UINT32_MAX)
        r->bad = name;
    return (uint32_t)v;
}

static void text(struct reader *r, const json_t *o, const char *name, char *out, size_t room)
{
    const json_t *v = member(r, o, name, JSON_STRING);
    if (v == NULL)
        return;
    if (json_string_length(v) >= room)
        r->bad = name;
    else
        memcpy(out, json_string_value(v), json_string_length(v) + 1);
}

/* bytes <= DR_HASH */
static void hex(struct reader *r, const json_t *o, const char *name, uint8_t *out, size_t bytes)
{
    char digits[HEX + 1] = "";
    text(r, o, name, digits, 2 * bytes + 1);
    for (size_t i = 0; r->bad == NULL && i < bytes; i++) {
        uint64_t byte;
        if (!dr_get_hex(digits + 2 * i, 2, &byte))
            r->bad = name;
        else
            out[i] = (uint8_t)byte;
    }
}

static void slots(struct reader *r, const json_t *o, struct dr_generation *g)
{
    const json_t *all = member(r, o, "slots", JSON_ARRAY);
    json_int_t next = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *range = json_array_get(all, i), *first = json_array_get(range, 0),
                     *last = json_array_get(range, 1);
        const json_int_t from = json_integer_value(first), to = json_integer_value(last);
        if (json_array_size(range) != 2 || !json_is_integer(first) || !json_is_integer(last) ||
            from < next || to < from || to >= DR_SLOTS) {
            r->bad = "slots";
            return;
        }
        for (json_int_t s = from; s <= to; s++)
            g->slots[s / 8] |= (uint8_t)(1 << (s % 8));
        next = to + 2; /* those that touch are written as one */
    }
}

static enum pr_code parts(struct reader *r, const json_t *o, struct dr_generation *g,
                          struct pr_err *err)
{
    const json_t *all = member(r, o, "parts", JSON_ARRAY);
    const size_t n = json_array_size(all);
    if (all == NULL || n > DR_PARTS_MAX) {
        r->bad = r->bad == NULL ? "parts" : r->bad;
        return PR_OK;
    }
    g->part = calloc(n + 1, sizeof *g->part);
    if (g->part == NULL)
        return pr_fail(err, PR_ENOMEM, "manifest: no memory for %zu parts", n);
    g->parts = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(all, i);
        struct dr_part *p = &g->part[i];
        uint8_t crc[4] = { 0 };
        p->bytes = count(r, v, "bytes");
        p->stored_bytes = count(r, v, "stored_bytes");
        p->flags = small(r, v, "flags");
        hex(r, v, "crc32c", crc, sizeof crc);
        p->crc32c =
            (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | crc[3];
        hex(r, v, "sha256", p->sha256, DR_HASH);
        if (r->bad == NULL && json_object_size(v) != 5)
            r->bad = "parts";
    }
    return PR_OK;
}

static enum pr_code read_members(const json_t *o, struct dr_generation *g, struct pr_err *err)
{
    struct reader r = { NULL };
    char id[DR_GENERATION] = "";
    uint8_t check[DR_HASH];
    if (whole(&r, o, "format") != FORMAT || r.bad != NULL)
        return pr_fail(err, PR_EDATA, "manifest: no format, or another than %d", FORMAT);
    text(&r, o, "cluster", g->cluster, sizeof g->cluster);
    text(&r, o, "shard", g->shard, sizeof g->shard);
    text(&r, o, "group", g->group, sizeof g->group);
    text(&r, o, "generation", id, sizeof id);
    text(&r, o, "replid", g->replid, sizeof g->replid);
    g->offset = count(&r, o, "offset");
    g->begun_ms = whole(&r, o, "begun_ms");
    g->ended_ms = whole(&r, o, "ended_ms");
    text(&r, o, "source", g->source, sizeof g->source);
    text(&r, o, "server_version", g->server_version, sizeof g->server_version);
    g->keys = json_is_null(json_object_get(o, "keys")) ? UINT64_MAX : count(&r, o, "keys");
    g->slot_epoch = count(&r, o, "slot_epoch");
    slots(&r, o, g);
    hex(&r, o, "chain", g->chain, DR_HASH);
    hex(&r, o, "check", check, DR_HASH);
    const enum pr_code rc = parts(&r, o, g, err);
    if (rc != PR_OK)
        return rc;
    if (r.bad == NULL && !dr_generation_parse(id, &g->id))
        r.bad = "generation";
    if (r.bad == NULL)
        r.bad = dr_generation_wrong(g);
    if (r.bad == NULL && json_object_size(o) != 17)
        r.bad = "a member that is not known here";
    return r.bad == NULL ? PR_OK : pr_fail(err, PR_EDATA, "manifest: %s cannot be", r.bad);
}

/* The text ends as add_check ends it. */
static bool check_ok(const char *json, size_t n)
{
    enum { TAIL = sizeof " \"check\": \"\"}\n" - 1 + HEX };
    struct pr_buf same;
    if (n < TAIL)
        return false;
    pr_buf_init(&same, 0);
    pr_buf_add(&same, json, n - TAIL);
    add_check(&same);
    const bool ok = !same.failed && memcmp(same.data + n - TAIL, json + n - TAIL, TAIL) == 0;
    pr_buf_done(&same);
    return ok;
}

enum pr_code dr_generation_read(const char *json, size_t n, struct dr_generation *out,
                                struct pr_err *err)
{
    struct dr_generation g = { .parts = 0 };
    json_error_t why;
    if (!check_ok(json, n))
        return pr_fail(err, PR_EDATA, "manifest: its check does not agree: damaged or cut off");
    json_t *o = json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
    if (o == NULL)
        return pr_fail(err, PR_EDATA, "manifest: line %d, column %d: %.160s", why.line, why.column,
                       why.text);
    enum pr_code rc = read_members(o, &g, err);
    json_decref(o);
    if (rc == PR_OK) {
        uint8_t chain[DR_HASH];
        memcpy(chain, g.chain, DR_HASH);
        dr_generation_seal(&g);
        if (memcmp(chain, g.chain, DR_HASH) != 0)
            rc = pr_fail(err, PR_EDATA, "manifest: its chain does not agree with the rest");
    }
    if (rc == PR_OK)
        *out = g;
    else
        dr_generation_done(&g);
    return rc;
}
