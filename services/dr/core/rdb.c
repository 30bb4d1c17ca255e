#include "core/rdb.h"

#include <string.h>

enum { MAGIC = 9, AUX = 0xFA, RESIZE = 0xFB, SELECT = 0xFE, END = 0xFF, FUNCTION = 0xF5 };

struct reader {
    const uint8_t *at;
    size_t left;
    bool dry; /* it ends in the middle of something */
    bool bad;
};

static uint8_t byte(struct reader *r)
{
    if (r->left == 0) {
        r->dry = true;
        return 0;
    }
    r->left--;
    return *r->at++;
}

static uint64_t big_endian(struct reader *r, int n)
{
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 8 | byte(r);
    return v;
}

/* *special: an integer or a compressed string follows in place of a length. */
static uint64_t length(struct reader *r, bool *special)
{
    const uint8_t first = byte(r);
    *special = first >> 6 == 3;
    if (first >> 6 == 0 || *special)
        return first & 0x3F;
    if (first >> 6 == 1)
        return (uint64_t)(first & 0x3F) << 8 | byte(r);
    if (first != 0x80 && first != 0x81)
        r->bad = true;
    return big_endian(r, first == 0x81 ? 8 : 4);
}

static void skip(struct reader *r, uint64_t n)
{
    if (n > r->left) {
        r->dry = true;
        n = r->left;
    }
    r->at += n;
    r->left -= (size_t)n;
}

/* out (room 0: nobody wants it) gets strings that are stored as they are. */
static void string(struct reader *r, char *out, size_t room)
{
    enum { INT8, INT16, INT32, LZF };
    bool special;
    const uint64_t n = length(r, &special);
    if (!special) {
        if (room > 0) {
            const size_t take = n < room - 1 ? (size_t)n : room - 1;
            const size_t there = take < r->left ? take : r->left;
            memcpy(out, r->at, there);
            out[there] = '\0';
        }
        skip(r, n);
    } else if (n <= INT32) {
        skip(r, (uint64_t)1 << n);
    } else if (n == LZF) {
        const uint64_t packed = length(r, &special);
        (void)length(r, &special);
        skip(r, packed);
    } else {
        r->bad = true;
    }
}

static bool resize(struct reader *r, struct dr_rdb_head *out)
{
    bool special;
    out->keys = length(r, &special);
    out->has_keys = !special;
    (void)length(r, &special);
    return true;
}

static void aux(struct reader *r, struct dr_rdb_head *out)
{
    char name[32] = "", value[sizeof out->version] = "";
    string(r, name, sizeof name);
    string(r, value, sizeof value);
    if (strcmp(name, "redis-ver") == 0 || strcmp(name, "valkey-ver") == 0)
        memcpy(out->version, value, sizeof value);
}

bool dr_rdb_head(const void *data, size_t n, struct dr_rdb_head *out)
{
    struct reader r = { .at = data, .left = n };
    bool done = false, special;
    *out = (struct dr_rdb_head){ .whole = false };
    if (n < MAGIC)
        return true;
    if (memcmp(data, "REDIS", 5) != 0 && memcmp(data, "VALKEY", 6) != 0)
        return false;
    skip(&r, MAGIC);
    while (!done && !r.dry && !r.bad) {
        const uint8_t op = byte(&r);
        if (op == AUX)
            aux(&r, out);
        else if (op == FUNCTION)
            string(&r, NULL, 0);
        else if (op == SELECT)
            r.bad = length(&r, &special) != 0; /* a cluster has no other database */
        else if (op == RESIZE)
            done = resize(&r, out);
        else if (!r.dry)
            done = true; /* the end, or a key: nobody said how many */
    }
    out->whole = done && !r.dry;
    if (!out->whole)
        out->has_keys = false;
    return !r.bad;
}
