#include "io/store.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum pr_code keys(void *arg, int64_t now_ms, struct pr_s3_keys *out, struct pr_err *err)
{
    (void)now_ms;
    (void)err;
    *out = *(const struct pr_s3_keys *)arg;
    return PR_OK;
}

/* 64 hex digits, and white space after them. */
static enum pr_code read_key(const char *path, uint8_t key[DR_AES_KEY], struct pr_err *err)
{
    char text[2 * DR_AES_KEY + 8] = "";
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return pr_fail(err, PR_EINVAL, "PRISM_DR_KEY_PATH: %s: %s", path, strerror(errno));
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        n--;
    if (n != 2 * DR_AES_KEY || strspn(text, "0123456789abcdefABCDEF") < n)
        return pr_fail(err, PR_EINVAL, "PRISM_DR_KEY_PATH: %s: it does not hold 64 hex digits",
                       path);
    for (size_t i = 0; i < DR_AES_KEY; i++) {
        unsigned byte;
        (void)sscanf(text + 2 * i, "%2x", &byte);
        key[i] = (uint8_t)byte;
    }
    return PR_OK;
}

enum pr_code dr_store_init(struct dr_store *s, const struct dr_config *cfg, struct pr_err *err)
{
    *s = (struct dr_store){ .codec = { .zstd_level = (int)cfg->zstd_level } };
    (void)snprintf(s->keys.access, sizeof s->keys.access, "%s", cfg->s3_access_key);
    (void)snprintf(s->keys.secret, sizeof s->keys.secret, "%s", cfg->s3_secret_key);
    s->s3 = (struct pr_s3_store){ .endpoint = cfg->s3_endpoint,
                                  .bucket = cfg->s3_bucket,
                                  .region = cfg->s3_region,
                                  .prefix = cfg->s3_prefix,
                                  .path_style = cfg->s3_path_style,
                                  .ca_file = cfg->s3_ca_file[0] != '\0' ? cfg->s3_ca_file : NULL,
                                  .keys = keys,
                                  .keys_arg = &s->keys };
    if (cfg->key_file[0] == '\0')
        return PR_OK;
    s->codec.aes_key = s->aes_key;
    return read_key(cfg->key_file, s->aes_key, err);
}
