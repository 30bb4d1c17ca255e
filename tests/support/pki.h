/* Certificates for tests: a CA, and what it signs, as PEM files. Whatever fails ends the test. */
#ifndef PRISM_PKI_H
#define PRISM_PKI_H

#include <stdbool.h>
#include <stdint.h>

enum { PKI_PATH = 512 };

struct pki_ca;
struct pki_ca *pki_ca_new(const char *name);
void pki_ca_free(struct pki_ca *ca); /* NULL is fine */
void pki_ca_write(const struct pki_ca *ca, const char *path);

struct pki_want {
    const char *cn;
    const char *uri;         /* of the subject; NULL: none */
    bool server;             /* for localhost and 127.0.0.1; else of a client */
    int64_t from_s, until_s; /* after now; until_s 0: in a day */
};
/* Each file is there at once, whole; key_path NULL: into the file of the certificate. */
void pki_issue(const struct pki_ca *ca, const struct pki_want *want, const char *cert_path,
               const char *key_path);

/* A fresh directory, gone when the program ends; and a path in it, at out. */
const char *pki_dir(void);
const char *pki_path(char out[PKI_PATH], const char *name);
void pki_write(const char *path, const char *text); /* in its place at once */

#endif
