#include "pki.h"

#include "t.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct pki_ca {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
};

#define must(call)                                                                                 \
    do {                                                                                           \
        const int must_rc = (call);                                                                \
        if (must_rc < 0)                                                                           \
            fail_msg("%s: %s", #call, gnutls_strerror(must_rc));                                   \
    } while (0)

/* --- files ----------------------------------------------------------------- */

static char dir[PKI_PATH];

static int delete_one(const char *path, const struct stat *s, int kind, struct FTW *at)
{
    (void)s;
    (void)kind;
    (void)at;
    return remove(path);
}

static void delete_all(void)
{
    (void)nftw(dir, delete_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *pki_dir(void)
{
    if (dir[0] == '\0') {
        (void)snprintf(dir, sizeof dir, "/tmp/prism-pki-XXXXXX");
        assert_non_null(mkdtemp(dir));
        atexit(delete_all);
    }
    return dir;
}

const char *pki_path(char out[PKI_PATH], const char *name)
{
    assert_true(snprintf(out, PKI_PATH, "%.300s/%.200s", pki_dir(), name) < PKI_PATH);
    return out;
}

void pki_write(const char *path, const char *text)
{
    char fresh[PKI_PATH + 8];
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = fopen(fresh, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static char *pem_of_crt(gnutls_x509_crt_t crt)
{
    gnutls_datum_t pem;
    must(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem));
    char *text = strndup((const char *)pem.data, pem.size);
    gnutls_free(pem.data);
    assert_non_null(text);
    return text;
}

static char *pem_of_key(gnutls_x509_privkey_t key)
{
    gnutls_datum_t pem;
    must(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem));
    char *text = strndup((const char *)pem.data, pem.size);
    gnutls_free(pem.data);
    assert_non_null(text);
    return text;
}

/* --- certificates ------------------------------------------------------------ */

static gnutls_x509_privkey_t fresh_key(void)
{
    gnutls_x509_privkey_t key;
    must(gnutls_x509_privkey_init(&key));
    must(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                      GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    return key;
}

static gnutls_x509_crt_t fresh_crt(gnutls_x509_privkey_t key, const char *cn, int64_t from_s,
                                   int64_t until_s)
{
    static uint32_t serial = 1;
    gnutls_x509_crt_t crt;
    const uint32_t number = htonl(++serial + (uint32_t)getpid() * 1000u);
    must(gnutls_x509_crt_init(&crt));
    must(gnutls_x509_crt_set_version(crt, 3));
    must(gnutls_x509_crt_set_serial(crt, &number, sizeof number));
    must(gnutls_x509_crt_set_key(crt, key));
    must(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, cn,
                                       (unsigned)strlen(cn)));
    must(gnutls_x509_crt_set_activation_time(crt, time(NULL) + from_s));
    must(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + until_s));
    return crt;
}

struct pki_ca *pki_ca_new(const char *name)
{
    struct pki_ca *ca = calloc(1, sizeof *ca);
    assert_non_null(ca);
    ca->key = fresh_key();
    ca->crt = fresh_crt(ca->key, name, -60, 86400);
    must(gnutls_x509_crt_set_ca_status(ca->crt, 1));
    must(gnutls_x509_crt_set_key_usage(ca->crt, GNUTLS_KEY_KEY_CERT_SIGN));
    must(gnutls_x509_crt_sign2(ca->crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0));
    return ca;
}

void pki_ca_free(struct pki_ca *ca)
{
    if (ca == NULL)
        return;
    gnutls_x509_crt_deinit(ca->crt);
    gnutls_x509_privkey_deinit(ca->key);
    free(ca);
}

void pki_ca_write(const struct pki_ca *ca, const char *path)
{
    char *text = pem_of_crt(ca->crt);
    pki_write(path, text);
    free(text);
}

static void name_it(gnutls_x509_crt_t crt, const struct pki_want *w)
{
    if (w->uri != NULL)
        must(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, w->uri,
                                                  (unsigned)strlen(w->uri), GNUTLS_FSAN_APPEND));
    if (w->server) {
        const uint32_t loopback = htonl(INADDR_LOOPBACK);
        must(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "localhost", 9,
                                                  GNUTLS_FSAN_APPEND));
        must(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &loopback,
                                                  sizeof loopback, GNUTLS_FSAN_APPEND));
    }
    must(gnutls_x509_crt_set_key_purpose_oid(
        crt, w->server ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0));
    must(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE));
}

void pki_issue(const struct pki_ca *ca, const struct pki_want *w, const char *cert_path,
               const char *key_path)
{
    gnutls_x509_privkey_t key = fresh_key();
    gnutls_x509_crt_t crt = fresh_crt(key, w->cn, w->from_s == 0 ? -60 : w->from_s,
                                      w->until_s == 0 ? 86400 : w->until_s);
    name_it(crt, w);
    must(gnutls_x509_crt_sign2(crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0));
    char *cert_text = pem_of_crt(crt), *key_text = pem_of_key(key), *both = NULL;
    if (key_path != NULL) {
        pki_write(key_path, key_text);
        pki_write(cert_path, cert_text);
    } else {
        assert_true(asprintf(&both, "%s%s", cert_text, key_text) > 0);
        pki_write(cert_path, both);
    }
    free(both);
    free(cert_text);
    free(key_text);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}
