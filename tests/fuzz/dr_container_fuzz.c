/* Any bytes as a container, by the first of them: as they are, or with the check of head and
 * index mended so that what lies behind it is met, too. What is read and opened can be written
 * and reads the same again; what is refused says why. */
#include "fuzz.h"

#include "core/container.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 20 };

static const uint8_t key[DR_AES_KEY] = { 7, 31, 42, 255, 1 };

static void check_refusal(enum pr_code rc, const struct pr_err *err)
{
    FUZZ_CHECK(rc == PR_EDATA || rc == PR_EDENIED || rc == PR_EFULL);
    FUZZ_CHECK(err->code == rc && err->text[0] != '\0');
    for (const char *p = err->text; *p != '\0'; p++)
        FUZZ_CHECK(*p >= ' ' && *p <= '~');
}

static void mend(uint8_t *data, size_t n)
{
    if (n < dr_container_head_bytes(0))
        return;
    const size_t pieces = (size_t)data[12] | (size_t)data[13] << 8;
    const size_t head = dr_container_head_bytes(pieces);
    if (head <= n)
        dr_sha256(data, head - DR_HASH, data + head - DR_HASH);
}

/* Opened pieces without what hid and packed them. */
static void again(const struct dr_container *c, const char *const *raw)
{
    struct dr_container copy = *c, got;
    const void **data = calloc(c->pieces + 1, sizeof *data);
    struct dr_piece *piece = calloc(c->pieces + 1, sizeof *piece);
    struct pr_buf out;
    struct pr_err err;
    uint8_t check[DR_HASH], same[DR_HASH];
    size_t need;
    FUZZ_CHECK(data != NULL && piece != NULL);
    memcpy(piece, c->piece, c->pieces * sizeof *piece);
    copy.piece = piece;
    for (size_t i = 0; i < c->pieces; i++)
        data[i] = raw[i];
    pr_buf_init(&out, 0);
    FUZZ_CHECK(dr_container_write(&copy, data, NULL, &out, check, &err) == PR_OK);
    FUZZ_CHECK(dr_container_read(out.data, out.len, out.len, &got, same, &need, &err) == PR_OK);
    FUZZ_CHECK(need <= out.len && got.pieces == c->pieces && got.seq == c->seq);
    FUZZ_CHECK(memcmp(check, same, DR_HASH) == 0);
    FUZZ_CHECK(memcmp(got.piece, piece, c->pieces * sizeof *piece) == 0);
    free(got.piece);
    free(piece);
    free(data);
    pr_buf_done(&out);
}

static void open_all(const struct dr_container *c, const uint8_t *data)
{
    const struct dr_codec codec = { .aes_key = key };
    struct pr_buf *room = calloc(c->pieces + 1, sizeof *room);
    const char **raw = calloc(c->pieces + 1, sizeof *raw);
    size_t opened = 0;
    FUZZ_CHECK(room != NULL && raw != NULL);
    for (size_t i = 0; i < c->pieces; i++) {
        const struct dr_piece *p = &c->piece[i];
        struct pr_err err = { .text = "" };
        pr_buf_init(&room[i], MOST);
        const enum pr_code rc =
            dr_piece_view(c, i, data + p->at, p->stored_bytes, &codec, &room[i], &raw[i], &err);
        if (rc != PR_OK) {
            check_refusal(rc, &err);
            continue;
        }
        FUZZ_CHECK(raw[i] != NULL);
        opened++;
    }
    if (opened == c->pieces)
        again(c, raw);
    for (size_t i = 0; i < c->pieces; i++)
        pr_buf_done(&room[i]);
    free(room);
    free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dr_container c;
    struct pr_err err = { .text = "" };
    uint8_t check[DR_HASH];
    size_t need = 0;
    if (n == 0)
        return 0;
    uint8_t *copy = malloc(n);
    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data + 1, n - 1);
    if (data[0] % 2 != 0)
        mend(copy, n - 1);
    const enum pr_code rc = dr_container_read(copy, n - 1, n - 1, &c, check, &need, &err);
    if (rc == PR_OK) {
        FUZZ_CHECK(need <= n - 1); /* all of it was there */
        open_all(&c, copy);
        free(c.piece);
    } else {
        check_refusal(rc, &err);
    }
    free(copy);
    return 0;
}
