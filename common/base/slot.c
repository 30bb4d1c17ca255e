#include "prism/slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

uint16_t pr_crc16(const void *p, size_t n)
{
    /* Nibble table of CRC16/XMODEM (polynomial 0x1021): small and fast enough
     * for keys of a few dozen bytes. */
    static const uint16_t table[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
    };
    const unsigned char *c = p;
    unsigned crc = 0;
    for (size_t i = 0; i < n; i++) {
        crc = ((crc << 4) & 0xffff) ^ table[((crc >> 12) ^ (c[i] >> 4)) & 15];
        crc = ((crc << 4) & 0xffff) ^ table[((crc >> 12) ^ c[i]) & 15];
    }
    return (uint16_t)crc;
}

uint16_t pr_slot_of_key(const void *key, size_t n)
{
    const char *k = key;
    const char *open = memchr(k, '{', n);
    if (open != NULL) {
        const char *tag = open + 1;
        const char *close = memchr(tag, '}', n - (size_t)(tag - k));
        if (close != NULL && close != tag)
            return pr_crc16(tag, (size_t)(close - tag)) % PR_SLOTS;
    }
    return pr_crc16(k, n) % PR_SLOTS;
}

uint16_t pr_partition_slot(uint32_t p)
{
    char tag[16];
    int n = snprintf(tag, sizeof tag, "p%" PRIu32, p);
    return pr_crc16(tag, (size_t)n) % PR_SLOTS;
}

uint64_t pr_vertex_hash(const void *id, size_t n)
{
    return XXH64(id, n, 0);
}

uint32_t pr_home_partition(uint64_t vertex_hash, uint32_t partitions)
{
    return (uint32_t)(vertex_hash % partitions);
}

bool pr_vertex_id_valid(const char *id, size_t n)
{
    if (n == 0 || n > PR_MAX_ID_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (id[i] < 0x21 || id[i] > 0x7e || id[i] == '{' || id[i] == '}')
            return false;
    return true;
}

static size_t put_decimal(char *out, uint64_t v)
{
    char tmp[20];
    size_t n = 0;
    do
        tmp[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    for (size_t i = 0; i < n; i++)
        out[i] = tmp[n - 1 - i];
    return n;
}

/* Built by hand: snprintf is a tenth of the mover's and loader's CPU. */
static size_t put_key(char *out, uint32_t p, char kind, const char *id, size_t id_len)
{
    size_t n = 0;
    out[n++] = '{';
    out[n++] = 'p';
    n += put_decimal(out + n, p);
    out[n++] = '}';
    out[n++] = kind;
    out[n++] = ':';
    if (id_len > PR_MAX_ID_BYTES)
        id_len = PR_MAX_ID_BYTES;
    memcpy(out + n, id, id_len);
    return n + id_len;
}

size_t pr_key_vertex(char out[PR_MAX_KEY_BYTES], uint32_t p, const char *id, size_t id_len)
{
    size_t n = put_key(out, p, 'v', id, id_len);
    out[n] = '\0';
    return n;
}

size_t pr_key_staging(char out[PR_MAX_KEY_BYTES], uint32_t p, const char *id, size_t id_len,
                      uint64_t epoch)
{
    size_t n = put_key(out, p, 'g', id, id_len);
    out[n++] = ':';
    n += put_decimal(out + n, epoch);
    out[n] = '\0';
    return n;
}

/* "{p<p>}<kind>:" and at least one byte more: where that begins, or 0. */
static size_t parse_tag(const char *key, size_t n, char kind, uint32_t *p)
{
    const char after[] = { '}', kind, ':' };
    size_t i = 2;
    uint64_t part = 0;
    if (n < 6 || key[0] != '{' || key[1] != 'p')
        return 0;
    for (; i < n && key[i] >= '0' && key[i] <= '9'; i++) {
        part = part * 10 + (uint64_t)(key[i] - '0');
        if (part >= PR_MAX_PARTITIONS)
            return 0;
    }
    if (i == 2 || (key[2] == '0' && i > 3) || n - i < 4 || memcmp(key + i, after, 3) != 0)
        return 0;
    *p = (uint32_t)part;
    return i + 3;
}

bool pr_key_parse_vertex(const char *key, size_t n, uint32_t *p, const char **id, size_t *id_len)
{
    uint32_t part;
    const size_t i = parse_tag(key, n, 'v', &part);
    if (i == 0 || !pr_vertex_id_valid(key + i, n - i))
        return false;
    *p = part;
    *id = key + i;
    *id_len = n - i;
    return true;
}

/* The id may hold a colon itself: the epoch is behind the last one. */
bool pr_key_parse_staging(const char *key, size_t n, uint32_t *p, const char **id, size_t *id_len,
                          uint64_t *epoch)
{
    enum { DIGITS = 16 }; /* epochs stay below 2^53 */
    uint32_t part;
    const size_t i = parse_tag(key, n, 'g', &part);
    size_t colon = n;
    uint64_t e = 0;
    while (colon > i && key[colon - 1] >= '0' && key[colon - 1] <= '9')
        colon--;
    if (i == 0 || colon == n || n - colon > DIGITS || colon <= i || key[colon - 1] != ':' ||
        (key[colon] == '0' && n - colon > 1) || !pr_vertex_id_valid(key + i, colon - 1 - i))
        return false;
    for (size_t k = colon; k < n; k++)
        e = e * 10 + (uint64_t)(key[k] - '0');
    *p = part;
    *id = key + i;
    *id_len = colon - 1 - i;
    *epoch = e;
    return true;
}
