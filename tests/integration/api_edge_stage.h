/* What lets people in, for tests: a CA, certificates, an identity provider with an https server. */
#ifndef API_EDGE_STAGE_H
#define API_EDGE_STAGE_H

#include "api_fixture.h"
#include "pki.h"

#include <rhonabwy.h>
#include <stdatomic.h>

#define EDGE_ISSUER   "https://idp.example/realm"
#define EDGE_AUDIENCE "prism"

/* --- keys and tokens ------------------------------------------------------------- */
struct edge_key {
    jwk_t *priv, *pub;
    char kid[32];
};
/* type: R_KEY_TYPE_RSA, ..._EC, ..._EDDSA. */
struct edge_key edge_key(int type, unsigned bits, const char *kid);
void edge_key_free(struct edge_key *k);
/* {"keys": [...]} of n keys; static, until the next call. */
const char *edge_set(const struct edge_key *const *keys, size_t n);

/* A token with these claims (JSON), signed; kid NULL: none in the header; header: more members as
 * JSON, or NULL. Static, until the eighth call after it. */
const char *edge_sign(const struct edge_key *k, jwa_alg alg, const char *kid, const char *header,
                      const char *claims);
/* Claims of somebody with a role, good for so many seconds; static like edge_sign. */
const char *edge_claims(const char *sub, const char *role, long good_s);
/* As edge_sign of edge_claims, RS256 or what the key is of. */
const char *edge_token(const struct edge_key *k, const char *sub, const char *role);
/* Parts of our own making, not encoded yet; sign NULL: an empty last part. Static. */
const char *edge_raw(const char *header, const char *claims, const char *sign);

/* --- the identity provider --------------------------------------------------------- */
extern atomic_int edge_asked;      /* how often its keys were read */
extern char edge_port_url[64];     /* https://localhost:PORT/keys; from the first edge_idp_up on */
void edge_idp_up(const char *set); /* or changes what it says */
void edge_idp_says(int status, const char *body);
void edge_idp_down(void);
void edge_idp_hangs(void); /* takes connections, and never says a word */

/* --- calls --------------------------------------------------------------------------- */
extern struct reply edge_r;
long edge_get(const char *token, const char *path); /* as the bearer of token; NULL: without */
void edge_assert_in(const char *token);             /* may look at nodes, or the test fails */
/* What every program that this test started has logged; allocated. */
char *edge_log(void);

extern struct pki_ca *edge_ca;
extern char edge_ca_file[PKI_PATH], edge_cert_file[PKI_PATH], edge_key_file[PKI_PATH];
void edge_pki(void); /* makes them, once */

/* --- a service that takes tokens of the identity provider -------------------------------- */
/* The provider says these keys; more: further settings of the service, NULL-terminated. */
int edge_jwt_setup(void **state, const struct edge_key *const *keys, size_t n,
                   const char *const *more);
int edge_jwt_teardown(void **state, struct edge_key *const *keys, size_t n); /* frees them, too */

#endif
