/* Where AWS keys come from: settings, a role that is assumed with a web identity (EKS: IAM roles
 * for service accounts), the container's endpoint (ECS, EKS Pod Identity), or the instance's
 * metadata (IMDSv2); the first that is set. Keys that expire are asked for
 * again in time. May be shared by threads. */
#ifndef PRISM_WEB_AWS_KEYS_H
#define PRISM_WEB_AWS_KEYS_H

#include "prism/web/http.h"

#include <stdbool.h>
#include <stdint.h>

struct pr_aws_source {
    struct pr_aws_keys keys;        /* access "": not set */
    char role_arn[2049];            /* AWS_ROLE_ARN */
    char role_session[65];          /* AWS_ROLE_SESSION_NAME */
    char web_token_file[512];       /* AWS_WEB_IDENTITY_TOKEN_FILE, read anew each time; "" none */
    char sts_url[512];              /* where the role is assumed */
    char sts_ca_file[512];          /* certificates to trust there; "": the system's */
    char container_url[512];        /* AWS_CONTAINER_CREDENTIALS_..._URI; "" none */
    char container_token[512];      /* AWS_CONTAINER_AUTHORIZATION_TOKEN; "" none */
    char container_token_file[512]; /* ..._TOKEN_FILE, read anew each time; "" none */
    char metadata_url[256];         /* http://169.254.169.254; "": not asked */
    long timeout_ms;                /* of one question */
};

/* What the rows of prism/web/aws_settings.def hold; borrowed. */
struct pr_aws_settings {
    const char *region, *access_key, *secret_key, *session_token, *web_token, *role_arn,
        *role_session, *sts_url, *container_path, *container_url, *container_token, *metadata_url,
        *ca_file;
    int64_t timeout_ms; /* of one question */
};
/* Of a struct that has those rows. session: the name in CloudTrail unless it is set. */
#define PR_AWS_SETTINGS(cfg, session, ms)                                                          \
    ((struct pr_aws_settings){                                                                     \
        (cfg)->aws_region, (cfg)->aws_access_key, (cfg)->aws_secret_key, (cfg)->aws_session_token, \
        (cfg)->aws_web_token, (cfg)->aws_role_arn,                                                 \
        (cfg)->aws_role_session[0] != '\0' ? (cfg)->aws_role_session : (session),                  \
        (cfg)->aws_sts_url, (cfg)->aws_container_path, (cfg)->aws_container_url,                   \
        (cfg)->aws_container_token, (cfg)->aws_metadata_url, (cfg)->aws_ca_file, (ms) })
/* PR_EINVAL: keys would be asked for over plain http of another machine; names the setting. */
PR_CHECKED enum pr_code pr_aws_settings_check(const struct pr_aws_settings *set,
                                              struct pr_err *err);
/* PR_EINVAL: one is too long, or no path. */
PR_CHECKED enum pr_code pr_aws_source_of(const struct pr_aws_settings *set,
                                         struct pr_aws_source *out, struct pr_err *err);

struct pr_aws_keyring;

/* PR_EINVAL: no source is set, or not all of one. Nothing is asked yet. */
PR_CHECKED enum pr_code pr_aws_keyring_open(const struct pr_aws_source *from,
                                            struct pr_aws_keyring **out, struct pr_err *err);
void pr_aws_keyring_close(struct pr_aws_keyring *ring); /* NULL is welcome */

/* now_ms: Unix epoch. PR_EDENIED: the source gives none. */
PR_CHECKED enum pr_code pr_aws_keys(struct pr_aws_keyring *ring, int64_t now_ms,
                                    struct pr_aws_keys *out, struct pr_err *err);
/* The service called these keys expired or unknown: true when there is somebody to ask for
 * others next time. */
bool pr_aws_keys_refused(struct pr_aws_keyring *ring, const struct pr_aws_keys *these);

/* AssumeRoleWithWebIdentity, asked once. PR_EDENIED: the token or the role is refused. */
PR_CHECKED enum pr_code pr_aws_web_identity(const struct pr_aws_source *from,
                                            struct pr_aws_keys *keys, int64_t *expires_ms,
                                            struct pr_err *err);

#endif
