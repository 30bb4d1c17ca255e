#include "io/store.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ASK_KEYS_MS = 5000 };

/* Whatever is wrong with who gives the keys: of the bucket and what is in it that says nothing, as
 * a refusal or damage would. */
static enum pr_code keys(void *ring, int64_t now_ms, struct pr_aws_keys *out, struct pr_err *err)
{
    const enum pr_code rc = pr_aws_keys(ring, now_ms, out, err);
    return rc == PR_OK || rc == PR_ENOMEM ? rc : pr_wrap(err, PR_EUNAVAIL, "keys of the bucket");
}

static void keys_refused(void *ring, const struct pr_aws_keys *these)
{
    (void)pr_aws_keys_refused(ring, these);
}

/* The service's own key goes before whatever AWS_* say. */
static enum pr_code open_ring(struct dr_store *s, const struct dr_config *cfg, struct pr_err *err)
{
    struct pr_aws_source from;
    struct pr_aws_settings set = PR_AWS_SETTINGS(cfg, "prism-dr", ASK_KEYS_MS);
    if (cfg->s3_access_key[0] != '\0') {
        set.access_key = cfg->s3_access_key;
        set.secret_key = cfg->s3_secret_key;
        set.session_token = "";
    }
    enum pr_code rc = pr_aws_source_of(&set, &from, err);
    if (rc == PR_OK)
        rc = pr_aws_keyring_open(&from, &s->ring, err);
    explicit_bzero(&from, sizeof from);
    return rc == PR_OK ? rc : pr_wrap(err, rc, "PRISM_DR_S3_ACCESS_KEY_ID");
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
    const enum pr_code rc = open_ring(s, cfg, err);
    if (rc != PR_OK)
        return rc;
    s->s3 = (struct pr_s3_store){ .endpoint = cfg->s3_endpoint,
                                  .bucket = cfg->s3_bucket,
                                  .region = cfg->s3_region,
                                  .prefix = cfg->s3_prefix,
                                  .path_style = cfg->s3_path_style,
                                  .ca_file = cfg->s3_ca_file[0] != '\0' ? cfg->s3_ca_file : NULL,
                                  .keys = keys,
                                  .keys_refused = keys_refused,
                                  .keys_arg = s->ring };
    if (cfg->key_file[0] == '\0')
        return PR_OK;
    s->codec.aes_key = s->aes_key;
    return read_key(cfg->key_file, s->aes_key, err);
}

void dr_store_done(struct dr_store *s)
{
    pr_aws_keyring_close(s->ring);
    explicit_bzero(s, sizeof *s);
}
