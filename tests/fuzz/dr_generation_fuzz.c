/* Any text as a manifest, by the first byte: as it is, or with its own check put behind it, so
 * that what lies behind that is met, too. What is read can be written, and reads the same again. */
#include "fuzz.h"

#include "format/manifest.h"

#include <stdlib.h>
#include <string.h>

static void again(struct dr_generation *g)
{
    struct dr_generation got;
    struct pr_buf text, twice;
    struct pr_err err;
    pr_buf_init(&text, 0);
    pr_buf_init(&twice, 0);
    FUZZ_CHECK(dr_generation_write(g, &text, &err) == PR_OK);
    FUZZ_CHECK(dr_generation_read(text.data, text.len, &got, &err) == PR_OK);
    FUZZ_CHECK(dr_generation_write(&got, &twice, &err) == PR_OK);
    FUZZ_CHECK(text.len == twice.len && memcmp(text.data, twice.data, text.len) == 0);
    FUZZ_CHECK(memcmp(g->slots, got.slots, sizeof got.slots) == 0 && g->keys == got.keys);
    dr_generation_done(&got);
    pr_buf_done(&text);
    pr_buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dr_generation g;
    struct pr_err err = { .text = "" };
    struct pr_buf text;
    if (n == 0)
        return 0;
    pr_buf_init(&text, 0);
    pr_buf_add(&text, data + 1, n - 1);
    if (data[0] % 2 != 0) {
        uint8_t check[DR_HASH];
        dr_sha256(text.data, text.len, check);
        pr_buf_str(&text, " \"check\": \"");
        for (size_t i = 0; i < DR_HASH; i++)
            pr_buf_printf(&text, "%02x", check[i]);
        pr_buf_str(&text, "\"}\n");
    }
    const enum pr_code rc = dr_generation_read(text.data, text.len, &g, &err);
    if (rc == PR_OK) {
        again(&g);
        dr_generation_done(&g);
    } else {
        FUZZ_CHECK(rc == PR_EDATA && err.code == rc && err.text[0] != '\0');
    }
    pr_buf_done(&text);
    return 0;
}
