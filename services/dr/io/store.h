/* The bucket and how things are stored in it, as the settings say; for the service and for the
 * commands. */
#ifndef DR_STORE_H
#define DR_STORE_H

#include "io/settings.h"

#include "core/container.h"

#include "prism/s3/s3.h"
#include "prism/web/aws_keys.h"

struct dr_store {
    struct pr_s3_store s3;
    struct pr_aws_keyring *ring; /* of s3's keys */
    uint8_t aes_key[DR_AES_KEY];
    struct dr_codec codec; /* aes_key: of this struct, or NULL */
};
/* cfg is borrowed for as long. PR_EINVAL: the key file is not 64 hex digits, or cannot be read; or
 * nothing says where the bucket's keys come from. dr_store_done in any case, once nothing is open
 * on it. */
PR_CHECKED enum pr_code dr_store_init(struct dr_store *s, const struct dr_config *cfg,
                                      struct pr_err *err);
void dr_store_done(struct dr_store *s); /* zeroed, or done before: nothing */

#endif
