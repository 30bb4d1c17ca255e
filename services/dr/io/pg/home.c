#include "io/pg/home.h"

#include "io/store.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_S = 15, PASS = 2 * 32 + 1 };

static const char BACKREST[] = "/usr/bin/pgbackrest";

/* --- connections -------------------------------------------------------------------------------
 */

static const char *instead(const char *const *over, const char *name, bool *found)
{
    for (; over != NULL && *over != NULL; over += 2)
        if (strcmp(*over, name) == 0) {
            *found = true;
            return over[1];
        }
    *found = false;
    return NULL;
}

static PQconninfoOption *parse(const char *uri, struct pr_err *err)
{
    char *why = NULL;
    PQconninfoOption *all = PQconninfoParse(uri, &why);
    if (all == NULL) /* its words may quote a password */
        pr_fail(err, why != NULL ? PR_EINVAL : PR_ENOMEM, "PRISM_DR_PG_URI is no connection URI");
    PQfreemem(why);
    return all;
}

enum pr_code dr_pg_conninfo(const char *uri, const char *const *over, char **out,
                            struct pr_err *err)
{
    struct pr_buf text;
    PQconninfoOption *all = parse(uri, err);
    if (all == NULL)
        return err != NULL ? err->code : PR_EINVAL;
    pr_buf_init(&text, 0);
    for (const PQconninfoOption *o = all; o->keyword != NULL; o++) {
        bool found;
        const char *value = instead(over, o->keyword, &found);
        if (!found)
            value = o->val;
        if (strcmp(o->keyword, "options") == 0) {
            char options[1024];
            (void)snprintf(options, sizeof options, "%s -c synchronous_commit=local",
                           value != NULL ? value : "");
            dr_pg_add_conninfo(&text, o->keyword, options);
        } else if (value != NULL)
            dr_pg_add_conninfo(&text, o->keyword, value);
    }
    PQconninfoFree(all);
    *out = text.failed ? NULL : text.data;
    if (text.failed)
        pr_buf_done(&text);
    return *out != NULL ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory for a connection string");
}

static bool ours(const char *var)
{
    return strncmp(var, "PG", 2) == 0 || strncmp(var, "PRISM_", 6) == 0;
}

enum pr_code dr_pg_env(const char *conninfo, char ***out, struct pr_err *err)
{
    size_t n = 0, room = 8;
    PQconninfoOption *all = parse(conninfo, err);
    if (all == NULL)
        return err != NULL ? err->code : PR_EINVAL;
    for (char **e = environ; *e != NULL; e++)
        room++;
    for (const PQconninfoOption *o = all; o->keyword != NULL; o++)
        room++;
    char **env = calloc(room, sizeof *env);
    bool ok = env != NULL;
    for (char **e = environ; ok && *e != NULL; e++)
        if (!ours(*e))
            ok = (env[n++] = strdup(*e)) != NULL;
    for (const PQconninfoOption *o = all; ok && o->keyword != NULL; o++)
        if (o->envvar != NULL && o->val != NULL && strcmp(o->envvar, "PGAPPNAME") != 0 &&
            strcmp(o->envvar, "PGOPTIONS") != 0)
            ok = asprintf(&env[n++], "%s=%s", o->envvar, o->val) > 0;
    ok = ok && (env[n++] = strdup("PGAPPNAME=" DR_PG_STANDBY)) != NULL &&
         (env[n++] = strdup("LC_ALL=C.UTF-8")) != NULL;
    PQconninfoFree(all);
    *out = env;
    return ok ? PR_OK : pr_fail(err, PR_ENOMEM, "no memory for an environment");
}

void dr_pg_env_free(char **env)
{
    for (char **e = env; e != NULL && *e != NULL; e++)
        free(*e);
    free(env);
}

/* --- files -------------------------------------------------------------------------------------
 */

enum pr_code dr_pg_write_file(const char *path, unsigned mode, const struct pr_buf *text,
                              struct pr_err *err)
{
    char part[DR_PG_PATH + 32];
    (void)snprintf(part, sizeof part, "%s.%d.new", path, (int)getpid());
    (void)unlink(part);
    const int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool ok = fd >= 0;
    for (size_t at = 0; ok && at < text->len;) {
        const ssize_t n = write(fd, text->data + at, text->len - at);
        ok = n > 0;
        at += ok ? (size_t)n : 0;
    }
    ok = ok && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0)
        ok = false;
    if (ok && rename(part, path) == 0)
        return PR_OK;
    const int why = errno;
    if (fd >= 0)
        (void)unlink(part);
    return pr_fail(err, PR_EUNAVAIL, "%s: %s", path, strerror(why));
}

static enum pr_code make_dirs(const struct dr_pg_home *h, struct pr_err *err)
{
    static const char *const SUB[] = { "", "/wal", "/lock", "/spool" };
    for (size_t i = 0; i < PR_COUNT(SUB); i++) {
        char path[DR_PG_PATH + 8];
        (void)snprintf(path, sizeof path, "%s%s", h->dir, SUB[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return pr_fail(err, PR_EUNAVAIL, "PRISM_DR_PG_PATH: %s: %s", path, strerror(errno));
    }
    return PR_OK;
}

/* Another key than that of the containers, and always the same from it. */
static void repository_pass(const uint8_t key[DR_AES_KEY], char out[PASS])
{
    static const char WHAT[] = "prism: pgBackRest repository";
    uint8_t mac[32];
    unsigned n = sizeof mac;
    (void)HMAC(EVP_sha256(), key, DR_AES_KEY, (const uint8_t *)WHAT, sizeof WHAT - 1, mac, &n);
    for (size_t i = 0; i < sizeof mac; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", mac[i]);
}

static enum pr_code write_files(struct dr_pg_home *h, const char *user, int port,
                                struct pr_err *err)
{
    const struct dr_config *cfg = h->cfg;
    struct dr_store store;
    char pass[PASS];
    struct pr_buf text;
    enum pr_code rc = dr_store_init(&store, cfg, err);
    if (rc != PR_OK) {
        dr_store_done(&store);
        return rc;
    }
    if (store.codec.aes_key != NULL)
        repository_pass(store.aes_key, pass);
    const struct dr_pg_conf c = { .endpoint = cfg->s3_endpoint,
                                  .bucket = cfg->s3_bucket,
                                  .region = cfg->s3_region,
                                  .access = cfg->s3_access_key,
                                  .secret = cfg->s3_secret_key,
                                  .path_style = cfg->s3_path_style,
                                  .ca_file = cfg->s3_ca_file,
                                  .prefix = cfg->s3_prefix,
                                  .cluster = cfg->cluster,
                                  .pass = store.codec.aes_key != NULL ? pass : NULL,
                                  .dir = h->dir,
                                  .data = cfg->pg_data,
                                  .user = user,
                                  .port = port,
                                  .queue_bytes = cfg->pg_queue_bytes,
                                  .retain_days = (int)cfg->pg_retain_days,
                                  .timeout_s = TIMEOUT_S };
    pr_buf_init(&text, 0);
    rc = dr_pg_conf_write(&c, &text, err);
    if (rc == PR_OK)
        rc = dr_pg_write_file(h->conf, 0600, &text, err);
    if (rc == PR_OK)
        rc = dr_pg_fetch_script(BACKREST, h->conf, h->wal, &text, err);
    if (rc == PR_OK)
        rc = dr_pg_write_file(h->fetch, 0700, &text, err);
    if (text.data != NULL)
        explicit_bzero(text.data, text.cap);
    pr_buf_done(&text);
    explicit_bzero(pass, sizeof pass);
    dr_store_done(&store);
    return rc;
}

/* By the number in its path. */
static enum pr_code find_bin(struct dr_pg_home *h, struct pr_err *err)
{
    glob_t found = { 0 };
    long best = -1;
    (void)snprintf(h->bin, sizeof h->bin, "%s", h->cfg->pg_bin);
    if (h->bin[0] != '\0')
        return PR_OK;
    (void)glob("/usr/lib/postgresql/*/bin/pg_receivewal", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        const long v = strtol(path + strlen("/usr/lib/postgresql/"), NULL, 10);
        if (v > best) {
            best = v;
            (void)snprintf(h->bin, sizeof h->bin, "%.*s", (int)(strrchr(path, '/') - path), path);
        }
    }
    globfree(&found);
    return best >= 0 ? PR_OK
                     : pr_fail(err, PR_EUNAVAIL,
                               "no PostgreSQL in /usr/lib/postgresql: "
                               "PRISM_DR_PG_BIN_PATH");
}

static enum pr_code read_uri(struct dr_pg_home *h, char user[128], int *port, struct pr_err *err)
{
    PQconninfoOption *all = parse(h->cfg->pg_uri, err);
    if (all == NULL)
        return err != NULL ? err->code : PR_EINVAL;
    *port = 5432;
    for (const PQconninfoOption *o = all; o->keyword != NULL; o++) {
        if (o->val == NULL)
            continue;
        if (strcmp(o->keyword, "user") == 0)
            (void)snprintf(user, 128, "%s", o->val);
        if (strcmp(o->keyword, "dbname") == 0)
            (void)snprintf(h->app, sizeof h->app, "%s", o->val);
        if (strcmp(o->keyword, "port") == 0)
            *port = (int)strtol(o->val, NULL, 10);
    }
    PQconninfoFree(all);
    if (user[0] == '\0' || h->app[0] == '\0')
        return pr_fail(err, PR_EINVAL, "PRISM_DR_PG_URI names no user, or no database");
    return PR_OK;
}

enum pr_code dr_pg_home_open(struct dr_pg_home *h, const struct dr_config *cfg, struct pr_err *err)
{
    char user[128] = "";
    int port = 0;
    *h = (struct dr_pg_home){ .cfg = cfg };
    if (cfg->pg_uri[0] == '\0')
        return pr_fail(err, PR_EINVAL, "PRISM_DR_PG_URI is not set");
    if (cfg->pg_dir[0] != '/')
        return pr_fail(err, PR_EINVAL, "PRISM_DR_PG_PATH is no absolute path");
    (void)snprintf(h->dir, sizeof h->dir, "%s", cfg->pg_dir);
    (void)snprintf(h->conf, sizeof h->conf, "%s/pgbackrest.conf", cfg->pg_dir);
    (void)snprintf(h->wal, sizeof h->wal, "%s/wal", cfg->pg_dir);
    (void)snprintf(h->fetch, sizeof h->fetch, "%s/fetch-wal", cfg->pg_dir);
    (void)snprintf(h->config, sizeof h->config, "--config=%s", h->conf);
    if (cfg->pg_include[0] != '\0')
        (void)snprintf(h->include, sizeof h->include, "--config-include-path=%s", cfg->pg_include);
    enum pr_code rc = read_uri(h, user, &port, err);
    if (rc == PR_OK)
        rc = find_bin(h, err);
    if (rc == PR_OK && access(BACKREST, X_OK) != 0)
        rc = pr_fail(err, PR_EUNAVAIL, "%s: %s", BACKREST, strerror(errno));
    if (rc == PR_OK)
        rc = make_dirs(h, err);
    if (rc == PR_OK)
        rc = write_files(h, user, port, err);
    return rc == PR_OK ? dr_pg_env(cfg->pg_uri, &h->env, err) : rc;
}

void dr_pg_home_close(struct dr_pg_home *h)
{
    dr_pg_env_free(h->env);
    h->env = NULL;
}
