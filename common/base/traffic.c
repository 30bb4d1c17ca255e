#include "prism/traffic.h"

#include "prism/slot.h"

#include <math.h>
#include <string.h>

enum { HEAD = 2, ROW_HEAD = 4, WEIGHT = 4 };

static void put_u16(struct pr_buf *b, unsigned v)
{
    const unsigned char le[2] = { (unsigned char)(v & 0xff), (unsigned char)(v >> 8 & 0xff) };
    pr_buf_add(b, le, sizeof le);
}

static void put_weight(struct pr_buf *b, double weight)
{
    const float f = (float)weight;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    pr_buf_u32le(b, bits);
}

static unsigned get_u16(const unsigned char *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static double get_weight(const unsigned char *p)
{
    const uint32_t bits = get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

static size_t row_bytes(unsigned blocks)
{
    return ROW_HEAD + (size_t)WEIGHT * (blocks + 1);
}

void pr_traffic_begin(struct pr_buf *b, unsigned blocks)
{
    put_u16(b, blocks);
}

void pr_traffic_add(struct pr_buf *b, const struct pr_traffic_row *row, unsigned blocks)
{
    put_u16(b, row->slot);
    put_u16(b, row->block);
    put_weight(b, row->self);
    for (unsigned i = 0; i < blocks; i++)
        put_weight(b, row->to[i]);
}

void pr_traffic_at(const struct pr_traffic *t, size_t i, struct pr_traffic_row *out)
{
    const unsigned char *p = t->blob + HEAD + i * row_bytes(t->blocks);
    out->slot = (uint16_t)get_u16(p);
    out->block = (uint16_t)get_u16(p + 2);
    out->self = get_weight(p + ROW_HEAD);
    for (unsigned b = 0; b < t->blocks; b++)
        out->to[b] = get_weight(p + ROW_HEAD + (size_t)WEIGHT * (b + 1));
}

static bool is_weight(double v)
{
    return isfinite(v) && v >= 0;
}

static enum pr_code check_row(const struct pr_traffic *t, size_t i, int last_slot,
                              struct pr_traffic_row *row, struct pr_err *err)
{
    pr_traffic_at(t, i, row);
    if (row->slot >= PR_SLOTS || (int)row->slot <= last_slot)
        return pr_fail(err, PR_EDATA, "traffic row %zu: slot %u is out of range or order", i,
                       row->slot);
    if (row->block >= t->blocks)
        return pr_fail(err, PR_EDATA, "traffic row %zu: block %u of %u", i, row->block, t->blocks);
    bool ok = is_weight(row->self);
    for (unsigned b = 0; b < t->blocks; b++)
        ok = ok && is_weight(row->to[b]);
    return ok ? PR_OK : pr_fail(err, PR_EDATA, "traffic row %zu: a weight is no number", i);
}

enum pr_code pr_traffic_open(const void *blob, size_t bytes, struct pr_traffic *out,
                             struct pr_err *err)
{
    struct pr_traffic t = { .blob = blob };
    if (bytes >= HEAD)
        t.blocks = get_u16(t.blob);
    if (t.blocks == 0 || t.blocks > PR_TRAFFIC_BLOCKS || (bytes - HEAD) % row_bytes(t.blocks) != 0)
        return pr_fail(err, PR_EDATA, "%zu bytes are no traffic between slots", bytes);
    t.rows = (bytes - HEAD) / row_bytes(t.blocks);
    struct pr_traffic_row row;
    enum pr_code rc = PR_OK;
    int last = -1;
    for (size_t i = 0; i < t.rows && rc == PR_OK; i++) {
        rc = check_row(&t, i, last, &row, err);
        last = row.slot;
    }
    if (rc == PR_OK)
        *out = t;
    return rc;
}
