/* Two in one, by the first byte: any bytes behind the first ones of a packed
 * file; or a whole file packed and cut off, which must never be taken for whole.
 * Second and third byte of those: how much is cut off. */
#include "fuzz.h"

#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

static size_t pack_gzip(const uint8_t *data, size_t n, uint8_t *out, size_t cap)
{
    z_stream z = { .zalloc = NULL };
    FUZZ_CHECK(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    uint8_t *in = malloc(n + 1);
    FUZZ_CHECK(in != NULL);
    memcpy(in, data, n);
    z.next_in = in;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    FUZZ_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    const size_t packed = z.total_out;
    (void)deflateEnd(&z);
    free(in);
    return packed;
}

static size_t pack(unsigned tool, const uint8_t *data, size_t n, uint8_t *out, size_t cap)
{
    size_t packed = 0;
    if (tool == 0) {
        FUZZ_CHECK(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, data, n, out, &packed, cap) ==
                   LZMA_OK);
    } else if (tool == 1) {
        packed = pack_gzip(data, n, out, cap);
    } else {
        packed = ZSTD_compress(out, cap, data, n, 1);
        FUZZ_CHECK(!ZSTD_isError(packed));
    }
    return packed;
}

static void cut_off(unsigned tool, const uint8_t *data, size_t n)
{
    const size_t cap = 2 * n + 1024, by = (size_t)data[0] | (size_t)data[1] << 8;
    uint8_t *const out = malloc(cap);
    FUZZ_CHECK(out != NULL);
    const size_t packed = pack(tool, data + 2, n - 2, out, cap);
    const enum pr_code plain = fuzz_graph(fuzz_file(data + 2, n - 2), GRAPH_SNAP);
    const enum pr_code whole = fuzz_graph(fuzz_file(out, packed), GRAPH_SNAP);
    /* what begins as a packed file does is unpacked once, not twice */
    FUZZ_CHECK(plain == whole || plain == PR_EDATA || whole == PR_EDATA);
    if (by > 0 && by <= packed)
        FUZZ_CHECK(fuzz_graph(fuzz_file(out, packed - by), GRAPH_SNAP) != PR_OK);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 3 && data[0] < 3)
        cut_off(data[0], data + 1, n - 1);
    else if (n > 0)
        (void)fuzz_graph(fuzz_file(data + 1, n - 1), (enum graph_format)(GRAPH_SNAP + data[0] % 4));
    return 0;
}
