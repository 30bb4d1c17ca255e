#include "prism/crc32c.h"

#include "t.h"

#include <string.h>

static void known_sums(void **state)
{
    (void)state;
    uint8_t zeros[32] = { 0 }, ones[32], up[32];

    memset(ones, 0xff, sizeof ones);
    for (size_t i = 0; i < sizeof up; i++)
        up[i] = (uint8_t)i;
    const struct {
        const void *p;
        size_t n;
        uint32_t want;
    } row[] = {
        /* RFC 3720, B.4 */
        { zeros, 32, 0x8a9136aa },
        { ones, 32, 0x62a8ab43 },
        { up, 32, 0x46dd794e },
        { "123456789", 9, 0xe3069283 },
        { "", 0, 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++)
        assert_int_equal(pr_crc32c(0, row[i].p, row[i].n), row[i].want);
}

/* Bit by bit, as the polynomial says. */
static uint32_t slowly(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

static void pieces_make_the_whole(void **state)
{
    (void)state;
    uint8_t data[259];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof data; n++)
        assert_int_equal(pr_crc32c(0, data, n), slowly(data, n));
    const uint32_t whole = pr_crc32c(0, data, sizeof data);
    for (size_t cut = 0; cut <= sizeof data; cut++)
        assert_int_equal(pr_crc32c(pr_crc32c(0, data, cut), data + cut, sizeof data - cut), whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_sums),
        cmocka_unit_test(pieces_make_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
