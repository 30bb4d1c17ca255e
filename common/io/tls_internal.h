/* How the HTTP server uses struct pr_tls. */
#ifndef PRISM_TLS_INTERNAL_H
#define PRISM_TLS_INTERNAL_H

#include "prism/arena.h"
#include "prism/io/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

/* Before the handshake: what session asks of its client. */
void pr_tls_begin(struct pr_tls *t, gnutls_session_t session);
/* gnutls_certificate_retrieve_function3 of such sessions. */
gnutls_certificate_retrieve_function3 pr_tls_retrieve;
const char *pr_tls_priorities(const struct pr_tls *t);

enum { PR_TLS_NAMES = 16, PR_TLS_NAME = 256 };
/* Names of a client, from its certificate: "URI=spiffe://...", "DNS=...", "EMAIL=...", "CN=...". */
struct pr_tls_peer {
    int64_t expires_ms;
    size_t n;
    char name[PR_TLS_NAMES][PR_TLS_NAME];
};
/* Of a session whose handshake is done; false: it has shown no certificate, or one that is not good
 * any more by the CA that is there now. */
bool pr_tls_peer_read(struct pr_tls *t, gnutls_session_t session, struct pr_tls_peer *out);

#endif
