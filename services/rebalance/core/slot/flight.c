#include "core/slot/flight.h"

#include <string.h>

enum { HISTORY = REBALANCE_ID - 1, POINT = HISTORY + 8, PRINT = 8 };
static const uint32_t PRINTED = UINT32_C(1) << 31, IS_POINT = UINT32_C(1) << 30;

void rebalance_in_flight_add(struct pr_buf *b, const void *key, size_t len)
{
    pr_buf_u32le(b, (uint32_t)len);
    pr_buf_add(b, key, len);
}

void rebalance_in_flight_print(struct pr_buf *b, const void *key, size_t len, uint64_t print)
{
    if (print == 0) {
        rebalance_in_flight_add(b, key, len);
        return;
    }
    pr_buf_u32le(b, (uint32_t)len | PRINTED);
    pr_buf_add(b, key, len);
    pr_buf_u64le(b, print);
}

void rebalance_in_flight_point(struct pr_buf *b, const struct rebalance_written *point)
{
    char history[HISTORY] = { 0 };
    memcpy(history, point->history, strnlen(point->history, HISTORY));
    pr_buf_u32le(b, IS_POINT);
    pr_buf_add(b, history, HISTORY);
    pr_buf_u64le(b, (uint64_t)point->offset);
}

static uint64_t number_at(const unsigned char *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* Bytes of what begins with this length, after it. */
static size_t size_of(uint32_t length)
{
    if (length == IS_POINT)
        return POINT;
    return (size_t)(length & ~PRINTED) + ((length & PRINTED) != 0 ? PRINT : 0);
}

enum pr_code rebalance_in_flight_open(const void *data, size_t len, struct rebalance_in_flight *out,
                                      struct pr_err *err)
{
    *out = (struct rebalance_in_flight){ 0 };
    struct rebalance_in_flight r = { .data = data, .len = len };
    for (size_t at = 0; at < len;) {
        if (len - at < 4)
            return pr_fail(err, PR_EDATA, "keys in flight: %zu bytes after key %zu, want a length",
                           len - at, r.keys);
        const uint32_t length = (uint32_t)number_at(r.data + at, 4);
        if (size_of(length) > len - at - 4)
            return pr_fail(err, PR_EDATA, "keys in flight: key %zu of %zu bytes, %zu are left",
                           r.keys + 1, size_of(length), len - at - 4);
        r.keys += length != IS_POINT;
        at += 4 + size_of(length);
    }
    *out = r;
    return PR_OK;
}

bool rebalance_in_flight_next(struct rebalance_in_flight *r, const char **key, size_t *len)
{
    while (r->at < r->len) {
        const uint32_t length = (uint32_t)number_at(r->data + r->at, 4);
        const unsigned char *is = r->data + r->at + 4;
        r->at += 4 + size_of(length);
        if (length == IS_POINT) {
            memcpy(r->sent.point.history, is, HISTORY);
            r->sent.point.offset = (long long)number_at(is + HISTORY, 8);
            continue;
        }
        *len = length & ~PRINTED;
        *key = (const char *)is;
        r->sent.print = (length & PRINTED) != 0 ? number_at(is + *len, PRINT) : 0;
        return true;
    }
    return false;
}

bool rebalance_in_flight_find(const struct rebalance_in_flight *r, const void *key, size_t len,
                              struct rebalance_sent *sent)
{
    struct rebalance_in_flight all = { .data = r->data, .len = r->len, .keys = r->keys };
    const char *k;
    size_t n;
    while (rebalance_in_flight_next(&all, &k, &n)) {
        if (n != len || memcmp(k, key, len) != 0)
            continue;
        if (sent != NULL)
            *sent = all.sent;
        return true;
    }
    return false;
}

void rebalance_in_flight_part(const void *data, size_t len, struct pr_buf *keys,
                              struct pr_buf *prints)
{
    struct rebalance_in_flight r;
    bool any = false;
    pr_buf_reset(keys);
    pr_buf_reset(prints);
    if (rebalance_in_flight_open(data, len, &r, NULL) != PR_OK) {
        pr_buf_add(keys, data, len); /* it was recorded like this: it stays a record */
        return;
    }
    for (size_t at = 0; at < len;) {
        const uint32_t length = (uint32_t)number_at(r.data + at, 4);
        const unsigned char *is = r.data + at + 4;
        at += 4 + size_of(length);
        if (length == IS_POINT) {
            pr_buf_u32le(prints, IS_POINT);
            pr_buf_add(prints, is, POINT);
            continue;
        }
        const size_t n = length & ~PRINTED;
        rebalance_in_flight_add(keys, is, n);
        pr_buf_u32le(prints, length & PRINTED);
        pr_buf_add(prints, is + n, size_of(length) - n);
        any = any || (length & PRINTED) != 0;
    }
    if (!any)
        pr_buf_reset(prints);
}

/* False: they do not fit. */
static bool join(struct rebalance_in_flight *keys, const unsigned char *p, size_t len,
                 struct pr_buf *out)
{
    const char *key;
    size_t n;
    for (size_t at = 0; at < len;) {
        const uint32_t tag = len - at < 4 ? UINT32_MAX : (uint32_t)number_at(p + at, 4);
        if ((tag != 0 && tag != PRINTED && tag != IS_POINT) || size_of(tag) > len - at - 4)
            return false;
        if (tag == IS_POINT) {
            pr_buf_add(out, p + at, 4 + POINT);
        } else {
            if (!rebalance_in_flight_next(keys, &key, &n) || keys->sent.print != 0)
                return false;
            rebalance_in_flight_print(out, key, n, tag == 0 ? 0 : number_at(p + at + 4, PRINT));
        }
        at += 4 + size_of(tag);
    }
    return !rebalance_in_flight_next(keys, &key, &n);
}

void rebalance_in_flight_join(const void *keys, size_t len, const void *prints, size_t prints_len,
                              struct pr_buf *out)
{
    struct rebalance_in_flight r;
    pr_buf_reset(out);
    if (rebalance_in_flight_open(keys, len, &r, NULL) == PR_OK && join(&r, prints, prints_len, out))
        return;
    pr_buf_reset(out);
    pr_buf_add(out, keys, len);
}
