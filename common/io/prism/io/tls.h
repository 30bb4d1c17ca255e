/* What a TLS server shows its clients, and asks of them: certificate, key and the CA of clients,
 * from files that may be replaced while it runs. Connections that are there go on; those that come
 * see the new ones. On GnuTLS. */
#ifndef PRISM_IO_TLS_H
#define PRISM_IO_TLS_H

#include "prism/err.h"

#include <stdbool.h>
#include <stdint.h>

struct pr_tls; /* thread-safe */

/* Borrowed until pr_tls_open returns. setting: its name, for errors. */
struct pr_tls_file {
    const char *setting, *path;
};

struct pr_tls_options {
    struct pr_tls_file cert;      /* PEM: the server's, then those that lead to the CA */
    struct pr_tls_file key;       /* PEM, not encrypted */
    struct pr_tls_file client_ca; /* PEM; path "": clients are not asked for a certificate */
    bool client_required;         /* no connection without one; else one that comes must be good */
    const char *priorities;       /* of GnuTLS; nothing below TLS 1.2 */
    const char *priorities_setting;
};

/* PR_EINVAL: a file cannot be read or is not what it should be, the key is not that of the
 * certificate, priorities are wrong or too weak; named by setting and path. */
PR_CHECKED enum pr_code pr_tls_open(struct pr_tls **out, const struct pr_tls_options *o,
                                    struct pr_err *err);
/* Looks whether the files were replaced. Those that do not fit one another are left alone: what
 * was there stays, err says why, once for each time that they change; those that cannot be read for
 * the moment (PR_EUNAVAIL, PR_ENOMEM) are tried again each time. *fresh: taken over. */
PR_CHECKED enum pr_code pr_tls_look(struct pr_tls *t, bool *fresh, struct pr_err *err);
int64_t pr_tls_expires_ms(struct pr_tls *t); /* of the certificate; Unix epoch */
uint64_t pr_tls_version(struct pr_tls *t);   /* grows when the files were replaced */
void pr_tls_close(struct pr_tls *t);         /* after the servers that use it; NULL is fine */

#endif
