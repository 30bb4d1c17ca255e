#include "prism/crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* The table is linear: eight entries make the others. */
#define ROW(i)                                                                                     \
    (((i)&1 ? 0xf26b8303U : 0) ^ ((i)&2 ? 0xe13b70f7U : 0) ^ ((i)&4 ? 0xc79a971fU : 0) ^           \
     ((i)&8 ? 0x8ad958cfU : 0) ^ ((i)&16 ? 0x105ec76fU : 0) ^ ((i)&32 ? 0x20bd8edeU : 0) ^         \
     ((i)&64 ? 0x417b1dbcU : 0) ^ ((i)&128 ? 0x82f63b78U : 0))
#define ROW4(i)  ROW(i), ROW((i) + 1), ROW((i) + 2), ROW((i) + 3)
#define ROW16(i) ROW4(i), ROW4((i) + 4), ROW4((i) + 8), ROW4((i) + 12)
#define ROW64(i) ROW16(i), ROW16((i) + 16), ROW16((i) + 32), ROW16((i) + 48)

static const uint32_t TABLE[256] = { ROW64(0), ROW64(64), ROW64(128), ROW64(192) };

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        crc = TABLE[(crc ^ p[i]) & 0xff] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
/* SSE 4.2 has the very polynomial: ten times as fast. */
__attribute__((target("sse4.2"))) static uint32_t by_machine(uint32_t crc, const uint8_t *p,
                                                             size_t n)
{
    uint64_t c = crc, word;

    for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        c = __builtin_ia32_crc32di(c, word);
    }
    crc = (uint32_t)c;
    for (; n > 0; n--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}

static int machine_has_it(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0;
}
#endif

uint32_t pr_crc32c(uint32_t before, const void *data, size_t n)
{
#if defined(__x86_64__)
    /* Asked once: in a virtual machine the question is slow. */
    static _Atomic int has; /* 0: not asked, 1: no, 2: yes */
    int known = has;

    if (known == 0)
        has = known = machine_has_it() ? 2 : 1;
    if (known == 2)
        return ~by_machine(~before, data, n);
#endif
    return ~by_table(~before, data, n);
}
