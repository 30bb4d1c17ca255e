#include "prism/io/tls.h"

#include "prism/io/file.h"
#include "tls_internal.h"

#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 256 * 1024, CHAIN = 16 };

/* One state of the files; immutable. */
struct material {
    int refs; /* lock of struct pr_tls */
    gnutls_x509_crt_t chain[CHAIN];
    unsigned links;
    gnutls_x509_privkey_t key;
    gnutls_x509_trust_list_t clients; /* NULL: they are not asked */
    int64_t expires_ms;
};

struct source {
    char *setting, *path;
    struct pr_stamp stamp;
};
enum { CERT, KEY, CLIENT_CA, SOURCES };

struct pr_tls {
    struct source source[SOURCES];
    bool asks, client_required;
    char *priorities;
    pthread_mutex_t lock;
    struct material *now; /* lock */
    _Atomic uint64_t version;
};

static enum pr_code read_source(const struct source *s, struct pr_buf *out, struct pr_err *err)
{
    return pr_file_read(s->setting, s->path, FILE_BYTES, out, err);
}

static gnutls_datum_t datum(const struct pr_buf *b)
{
    return (gnutls_datum_t){ (unsigned char *)b->data, (unsigned)b->len };
}

/* ---- material ---- */

static void material_free(struct material *m)
{
    if (m == NULL)
        return;
    for (unsigned i = 0; i < m->links; i++)
        gnutls_x509_crt_deinit(m->chain[i]);
    if (m->key != NULL)
        gnutls_x509_privkey_deinit(m->key);
    if (m->clients != NULL)
        gnutls_x509_trust_list_deinit(m->clients, 1);
    free(m);
}

static struct material *take(struct pr_tls *t)
{
    pthread_mutex_lock(&t->lock);
    struct material *m = t->now;
    m->refs++;
    pthread_mutex_unlock(&t->lock);
    return m;
}

static void give(struct pr_tls *t, struct material *m)
{
    pthread_mutex_lock(&t->lock);
    const bool last = --m->refs == 0;
    pthread_mutex_unlock(&t->lock);
    if (last)
        material_free(m);
}

static enum pr_code unfit(const struct source *s, const char *what, int rc, struct pr_err *err)
{
    return pr_fail(err, PR_EINVAL, "%s: %s: %s (%s)", s->setting, s->path, what,
                   gnutls_strerror(rc));
}

static enum pr_code read_chain(struct pr_tls *t, struct material *m, struct pr_err *err)
{
    const struct source *s = &t->source[CERT];
    struct pr_buf text;
    enum pr_code rc = read_source(s, &text, err);
    if (rc == PR_OK) {
        const gnutls_datum_t pem = datum(&text);
        unsigned n = CHAIN;
        const int got = gnutls_x509_crt_list_import(m->chain, &n, &pem, GNUTLS_X509_FMT_PEM,
                                                    GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
        if (got <= 0)
            rc = unfit(s, "holds no PEM certificates", got, err);
        else {
            m->links = (unsigned)got;
            m->expires_ms = (int64_t)gnutls_x509_crt_get_expiration_time(m->chain[0]) * 1000;
        }
    }
    pr_file_forget(&text);
    return rc;
}

/* The key as GnuTLS pairs it with the certificate. */
static enum pr_code match(struct pr_tls *t, struct material *m, struct pr_err *err)
{
    const struct source *cert = &t->source[CERT], *key = &t->source[KEY];
    gnutls_certificate_credentials_t pair = NULL;
    int rc = gnutls_certificate_allocate_credentials(&pair);
    if (rc == GNUTLS_E_SUCCESS) {
        rc = gnutls_certificate_set_x509_key(pair, m->chain, (int)m->links, m->key);
        gnutls_certificate_free_credentials(pair);
    }
    if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return pr_fail(err, PR_EINVAL, "%s: %s is not the key of the certificate in %s (%s)",
                       key->setting, key->path, cert->path, cert->setting);
    return rc < 0 ? unfit(key, "does not go with the certificate", rc, err) : PR_OK;
}

static enum pr_code read_key(struct pr_tls *t, struct material *m, struct pr_err *err)
{
    const struct source *s = &t->source[KEY];
    struct pr_buf text;
    enum pr_code rc = read_source(s, &text, err);
    if (rc == PR_OK && gnutls_x509_privkey_init(&m->key) != GNUTLS_E_SUCCESS)
        rc = pr_fail(err, PR_ENOMEM, "TLS key");
    if (rc == PR_OK) {
        const gnutls_datum_t pem = datum(&text);
        const int got =
            gnutls_x509_privkey_import2(m->key, &pem, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
        if (got < 0)
            rc = unfit(s, "holds no PEM key that is not encrypted", got, err);
    }
    pr_file_forget(&text);
    return rc == PR_OK ? match(t, m, err) : rc;
}

static enum pr_code read_clients(struct pr_tls *t, struct material *m, struct pr_err *err)
{
    const struct source *s = &t->source[CLIENT_CA];
    struct pr_buf text;
    enum pr_code rc = read_source(s, &text, err);
    if (rc == PR_OK && gnutls_x509_trust_list_init(&m->clients, 0) != GNUTLS_E_SUCCESS)
        rc = pr_fail(err, PR_ENOMEM, "TLS client CA");
    if (rc == PR_OK) {
        const gnutls_datum_t pem = datum(&text);
        const int got =
            gnutls_x509_trust_list_add_trust_mem(m->clients, &pem, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
        if (got <= 0)
            rc = unfit(s, "holds no PEM certificates", got, err);
    }
    pr_file_forget(&text);
    return rc;
}

/* Stamps first: what is replaced while it is read is read again. */
static enum pr_code read_all(struct pr_tls *t, struct material **out, struct pr_err *err)
{
    struct material *m = calloc(1, sizeof *m);
    if (m == NULL)
        return pr_fail(err, PR_ENOMEM, "TLS");
    m->refs = 1;
    for (size_t i = 0; i < SOURCES; i++)
        if (t->source[i].path[0] != '\0')
            t->source[i].stamp = pr_stamp_of(t->source[i].path);
    enum pr_code rc = read_chain(t, m, err);
    if (rc == PR_OK)
        rc = read_key(t, m, err);
    if (rc == PR_OK && t->asks)
        rc = read_clients(t, m, err);
    if (rc == PR_EUNAVAIL || rc == PR_ENOMEM)
        t->source[CERT].stamp = (struct pr_stamp){ .there = false }; /* look at all again */
    if (rc != PR_OK) {
        material_free(m);
        return rc;
    }
    *out = m;
    return PR_OK;
}

/* ---- life ---- */

static enum pr_code check_priorities(const struct pr_tls_options *o, struct pr_err *err)
{
    gnutls_priority_t p = NULL;
    const char *at = NULL;
    const unsigned *list = NULL;
    if (gnutls_priority_init(&p, o->priorities, &at) != GNUTLS_E_SUCCESS)
        return pr_fail(err, PR_EINVAL, "%s: GnuTLS does not know \"%.40s\"", o->priorities_setting,
                       at == NULL ? o->priorities : at);
    const int n = gnutls_priority_protocol_list(p, &list);
    enum pr_code rc = n > 0 ? PR_OK
                            : pr_fail(err, PR_EINVAL, "%s: \"%.80s\" has no version of TLS",
                                      o->priorities_setting, o->priorities);
    for (int i = 0; rc == PR_OK && i < n; i++)
        if (list[i] != GNUTLS_TLS1_2 && list[i] != GNUTLS_TLS1_3)
            rc = pr_fail(err, PR_EINVAL, "%s: \"%.80s\" allows %s; TLS 1.2 is the least",
                         o->priorities_setting, o->priorities,
                         gnutls_protocol_get_name((gnutls_protocol_t)list[i]));
    gnutls_priority_deinit(p);
    return rc;
}

static bool keep(struct source *s, const struct pr_tls_file *f)
{
    s->setting = strdup(f->setting == NULL ? "" : f->setting);
    s->path = strdup(f->path == NULL ? "" : f->path);
    return s->setting != NULL && s->path != NULL;
}

enum pr_code pr_tls_open(struct pr_tls **out, const struct pr_tls_options *o, struct pr_err *err)
{
    enum pr_code rc = check_priorities(o, err);
    if (rc != PR_OK)
        return rc;
    struct pr_tls *t = calloc(1, sizeof *t);
    if (t == NULL)
        return pr_fail(err, PR_ENOMEM, "TLS");
    (void)pthread_mutex_init(&t->lock, NULL);
    t->client_required = o->client_required;
    t->priorities = strdup(o->priorities);
    if (!keep(&t->source[CERT], &o->cert) || !keep(&t->source[KEY], &o->key) ||
        !keep(&t->source[CLIENT_CA], &o->client_ca) || t->priorities == NULL)
        rc = pr_fail(err, PR_ENOMEM, "TLS");
    else {
        t->asks = t->source[CLIENT_CA].path[0] != '\0';
        rc = read_all(t, &t->now, err);
    }
    if (rc != PR_OK) {
        pr_tls_close(t);
        return rc;
    }
    *out = t;
    return PR_OK;
}

enum pr_code pr_tls_look(struct pr_tls *t, bool *fresh, struct pr_err *err)
{
    struct material *m = NULL;
    bool changed = false;
    *fresh = false;
    for (size_t i = 0; i < SOURCES; i++) {
        const struct source *s = &t->source[i];
        const struct pr_stamp now = pr_stamp_of(s->path);
        changed = changed || (s->path[0] != '\0' && !pr_stamp_same(&now, &s->stamp));
    }
    if (!changed)
        return PR_OK;
    enum pr_code rc = read_all(t, &m, err);
    if (rc != PR_OK)
        return rc;
    pthread_mutex_lock(&t->lock);
    struct material *old = t->now;
    t->now = m;
    pthread_mutex_unlock(&t->lock);
    atomic_fetch_add(&t->version, 1);
    give(t, old);
    *fresh = true;
    return PR_OK;
}

uint64_t pr_tls_version(struct pr_tls *t)
{
    return atomic_load(&t->version);
}

int64_t pr_tls_expires_ms(struct pr_tls *t)
{
    struct material *m = take(t);
    const int64_t ms = m->expires_ms;
    give(t, m);
    return ms;
}

void pr_tls_close(struct pr_tls *t)
{
    if (t == NULL)
        return;
    material_free(t->now);
    for (size_t i = 0; i < SOURCES; i++) {
        free(t->source[i].setting);
        free(t->source[i].path);
    }
    free(t->priorities);
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

const char *pr_tls_priorities(const struct pr_tls *t)
{
    return t->priorities;
}

/* ---- handshakes ---- */

/* The present certificate, copied, so that replacing it need not wait for anybody. */
int pr_tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                    gnutls_pcert_st **certs, unsigned int *n, gnutls_ocsp_data_st **ocsp,
                    unsigned int *ocsp_n, gnutls_privkey_t *key, unsigned int *flags)
{
    struct pr_tls *t = gnutls_session_get_ptr(session);
    (void)info;
    struct material *m = take(t);
    unsigned done = 0;
    *certs = gnutls_calloc(m->links, sizeof **certs);
    int rc = *certs == NULL ? GNUTLS_E_MEMORY_ERROR : gnutls_privkey_init(key);
    const bool has_key = rc == GNUTLS_E_SUCCESS;
    while (rc == GNUTLS_E_SUCCESS && done < m->links) {
        rc = gnutls_pcert_import_x509(&(*certs)[done], m->chain[done], 0);
        done += rc == GNUTLS_E_SUCCESS;
    }
    if (rc == GNUTLS_E_SUCCESS)
        rc = gnutls_privkey_import_x509(*key, m->key, GNUTLS_PRIVKEY_IMPORT_COPY);
    *n = done;
    *ocsp = NULL;
    *ocsp_n = 0;
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    give(t, m);
    if (rc == GNUTLS_E_SUCCESS)
        return 0;
    for (unsigned i = 0; i < done; i++)
        gnutls_pcert_deinit(&(*certs)[i]);
    gnutls_free(*certs);
    if (has_key)
        gnutls_privkey_deinit(*key);
    return -1;
}

/* Certificates that a client shows; how many, 0 when there are none or they cannot be read. */
static unsigned client_chain(gnutls_session_t session, gnutls_x509_crt_t *chain)
{
    unsigned shown = 0, n = 0;
    const gnutls_datum_t *der = gnutls_certificate_get_peers(session, &shown);
    if (der == NULL || shown > CHAIN)
        return 0;
    for (; n < shown; n++) {
        if (gnutls_x509_crt_init(&chain[n]) != GNUTLS_E_SUCCESS)
            break;
        if (gnutls_x509_crt_import(chain[n], &der[n], GNUTLS_X509_FMT_DER) == GNUTLS_E_SUCCESS)
            continue;
        gnutls_x509_crt_deinit(chain[n]);
        break;
    }
    if (n == shown)
        return n;
    while (n > 0)
        gnutls_x509_crt_deinit(chain[--n]);
    return 0;
}

/* Is it for clients, not over, and signed by the CA that is there now? */
static bool is_good(struct pr_tls *t, gnutls_x509_crt_t *chain, unsigned n)
{
    unsigned verdict = GNUTLS_CERT_INVALID;
    struct material *m = take(t);
    gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
                                      .data = (void *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT };
    const int rc =
        gnutls_x509_trust_list_verify_crt2(m->clients, chain, n, &purpose, 1, 0, &verdict, NULL);
    give(t, m);
    return rc == GNUTLS_E_SUCCESS && verdict == 0;
}

static int verify_client(gnutls_session_t session)
{
    struct pr_tls *t = gnutls_session_get_ptr(session);
    gnutls_x509_crt_t chain[CHAIN];
    unsigned shown = 0;
    if (gnutls_certificate_get_peers(session, &shown) == NULL || shown == 0)
        return t->client_required ? GNUTLS_E_CERTIFICATE_REQUIRED : 0;
    const unsigned n = client_chain(session, chain);
    const bool good = n > 0 && is_good(t, chain, n);
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(chain[i]);
    return good ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

void pr_tls_begin(struct pr_tls *t, gnutls_session_t session)
{
    gnutls_session_set_ptr(session, t);
    if (!t->asks)
        return;
    gnutls_certificate_server_set_request(session, t->client_required ? GNUTLS_CERT_REQUIRE
                                                                      : GNUTLS_CERT_REQUEST);
    gnutls_session_set_verify_function(session, verify_client);
}

/* ---- who a client is ---- */

static void add_name(struct pr_tls_peer *p, const char *kind, const char *text, size_t n)
{
    if (p->n == PR_TLS_NAMES || n == 0 || n + strlen(kind) + 2 > PR_TLS_NAME)
        return;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return; /* a NUL in a name is how another one is feigned */
    (void)snprintf(p->name[p->n++], PR_TLS_NAME, "%s=%.*s", kind, (int)n, text);
}

static void read_names(gnutls_x509_crt_t crt, struct pr_tls_peer *p)
{
    char text[PR_TLS_NAME];
    for (unsigned i = 0;; i++) {
        size_t n = sizeof text;
        const int kind = gnutls_x509_crt_get_subject_alt_name(crt, i, text, &n, NULL);
        if (kind == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue; /* too long to be anybody's */
        if (kind < 0)
            break;
        if (kind == GNUTLS_SAN_URI)
            add_name(p, "URI", text, n);
        else if (kind == GNUTLS_SAN_DNSNAME)
            add_name(p, "DNS", text, n);
        else if (kind == GNUTLS_SAN_RFC822NAME)
            add_name(p, "EMAIL", text, n);
    }
    size_t n = sizeof text;
    if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &n) == 0)
        add_name(p, "CN", text, n);
}

bool pr_tls_peer_read(struct pr_tls *t, gnutls_session_t session, struct pr_tls_peer *out)
{
    gnutls_x509_crt_t chain[CHAIN];
    out->n = 0;
    const unsigned n = t->asks ? client_chain(session, chain) : 0;
    const bool good = n > 0 && is_good(t, chain, n);
    if (good) {
        out->expires_ms = (int64_t)gnutls_x509_crt_get_expiration_time(chain[0]) * 1000;
        read_names(chain[0], out);
    }
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(chain[i]);
    return good;
}
