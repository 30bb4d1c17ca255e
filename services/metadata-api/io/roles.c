#include "roles.h"

#include "prism/io/file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 1 << 20 };

struct api_roles {
    char *setting, *path;
    struct pr_stamp stamp;
    pthread_rwlock_t lock;
    struct api_grants grants; /* lock */
    _Atomic uint64_t version;
};

static void replace(struct api_roles *r, struct api_grants grants)
{
    pthread_rwlock_wrlock(&r->lock);
    api_grants_done(&r->grants);
    r->grants = grants;
    pthread_rwlock_unlock(&r->lock);
    atomic_fetch_add(&r->version, 1);
}

static enum pr_code read_file(struct api_roles *r, struct pr_err *err)
{
    struct api_grants grants = { 0 };
    struct pr_buf text = { 0 };
    enum pr_code rc = PR_OK;
    r->stamp = pr_stamp_of(r->path);
    if (!r->stamp.there || r->stamp.size > 0) /* an empty file is a table of nobody */
        rc = pr_file_read(r->setting, r->path, FILE_BYTES, &text, err);
    if (rc == PR_OK && text.len > 0 &&
        (rc = api_grants_read(&grants, text.data, text.len, err)) != PR_OK)
        rc = pr_wrap(err, rc, "%s: %s", r->setting, r->path);
    pr_file_forget(&text);
    if (rc == PR_OK)
        replace(r, grants);
    else if (rc == PR_EUNAVAIL)
        r->stamp = (struct pr_stamp){ .there = false }; /* it may be fine: look again */
    return rc;
}

enum pr_code api_roles_open(struct api_roles **out, const char *setting, const char *path,
                            struct pr_err *err)
{
    struct api_roles *r = calloc(1, sizeof *r);
    if (r == NULL)
        return pr_fail(err, PR_ENOMEM, "table of roles");
    (void)pthread_rwlock_init(&r->lock, NULL);
    r->setting = strdup(setting);
    r->path = strdup(path);
    r->grants.by_name = path[0] == '\0';
    enum pr_code rc = r->setting == NULL || r->path == NULL
                          ? pr_fail(err, PR_ENOMEM, "table of roles")
                      : path[0] == '\0' ? PR_OK
                                        : read_file(r, err);
    if (rc == PR_OK)
        *out = r;
    else
        api_roles_close(r);
    return rc;
}

enum pr_code api_roles_look(struct api_roles *r, bool *fresh, struct pr_err *err)
{
    *fresh = false;
    if (r->path[0] == '\0')
        return PR_OK;
    const struct pr_stamp now = pr_stamp_of(r->path);
    if (pr_stamp_same(&now, &r->stamp))
        return PR_OK;
    if (!now.there) { /* whoever takes the table away takes the roles away */
        r->stamp = now;
        replace(r, (struct api_grants){ 0 });
        return pr_fail(err, PR_ENOTFOUND, "%s: %s is gone: nobody has a role by it", r->setting,
                       r->path);
    }
    const enum pr_code rc = read_file(r, err);
    *fresh = rc == PR_OK;
    return rc;
}

void api_roles_close(struct api_roles *r)
{
    if (r == NULL)
        return;
    api_grants_done(&r->grants);
    (void)pthread_rwlock_destroy(&r->lock);
    free(r->setting);
    free(r->path);
    free(r);
}

static enum api_role look_up(struct api_roles *r, const char *what,
                             enum api_role (*in)(const struct api_grants *, const char *))
{
    pthread_rwlock_rdlock(&r->lock);
    const enum api_role role = in(&r->grants, what);
    pthread_rwlock_unlock(&r->lock);
    return role;
}

enum api_role api_role_of_name(struct api_roles *r, const char *name)
{
    return look_up(r, name, api_grant_of_name);
}

enum api_role api_role_of_claim(struct api_roles *r, const char *value)
{
    return look_up(r, value, api_grant_of_claim);
}

uint64_t api_roles_version(const struct api_roles *r)
{
    return atomic_load(&r->version);
}
