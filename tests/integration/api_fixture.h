/* A metadata-api of the real binary on a fresh database, and calls to it. */
#ifndef API_FIXTURE_H
#define API_FIXTURE_H

#include "t.h"

#include "it.h"

#include <jansson.h>

enum { API_PARTITIONS = 64 };

struct api_fixture {
    char uri[IT_URI]; /* superuser */
    struct it_service service;
    /* Over TLS, when ca is set: https://localhost:tls_port, trusting that file, known by cert (a
     * file with its key; NULL: by none). */
    const char *ca, *cert;
    int tls_port;
};
extern struct api_fixture fx;
/* More settings of the service, "NAME=VALUE", NULL-terminated; set before the set-up. */
extern const char *const *api_settings;

/* cmocka group fixtures. Empty: migrations and tokens only. Small: 64
 * partitions, zones a, b, c, three shards n1+n4, n2+n5, n3+n6. Tokens are
 * "tok-viewer", "tok-operator", "tok-admin", "tok-expired", "tok-revoked". */
int api_empty_setup(void **state);
int api_small_setup(void **state);
int api_teardown(void **state); /* the service must end with status 0 */

struct reply {
    long status;
    json_t *j; /* NULL: no JSON body */
    char *text;
    char etag[64], location[256], challenge[128], age[32], replayed[16], type[64], retry_after[16],
        warning[64];
};
/* role: "viewer", ... or NULL for no token. body: NULL for none. header: more
 * header lines, parted by line feeds, or NULL. Frees what r held. */
void api_call(struct reply *r, const char *role, const char *method, const char *path,
              const char *body, const char *header);
void api_reply_done(struct reply *r);
const char *api_str(const struct reply *r, const char *member); /* fails when absent */
long long api_int(const struct reply *r, const char *member);

/* First cell of SQL as superuser. */
const char *api_sql(const char *fmt, ...) PR_PRINTF(1, 2);
/* A route blob of one entry as a bytea literal. */
const char *api_blob(const char *vertex, unsigned partition);
unsigned api_home(const char *vertex);

/* Runs prismctl with words (no blanks in them) as a role (NULL: no token, no address) and more of
 * the environment (NULL-terminated, or NULL); its exit status. What it wrote goes to out. */
int api_ctl(const char *role, const char *const *env, const char *line, char *out, size_t n);

/* A plan that an operator has asked for; its number. */
long long api_balance_plan(struct reply *r);
/* Looks at a plan as a viewer; rest: "/steps?wave=2". */
void api_look_at_plan(struct reply *r, long long id, const char *rest, int status);

#define assert_status(r, want)                                                                     \
    do {                                                                                           \
        if ((r)->status != (want))                                                                 \
            fail_msg("status %ld, want %d: %s", (r)->status, (want),                               \
                     (r)->text == NULL ? "" : (r)->text);                                          \
    } while (0)

#endif
