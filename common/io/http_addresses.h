/* How many connections each address has. Thread-safe. */
#ifndef PRISM_HTTP_ADDRESSES_H
#define PRISM_HTTP_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>

struct pr_addresses;

struct pr_addresses *pr_addresses_new(unsigned each); /* NULL: out of memory */
void pr_addresses_free(struct pr_addresses *a);       /* NULL is fine */
/* address: [n], n 4 or 16. False: it has as many as it may, or there is no memory. */
bool pr_addresses_add(struct pr_addresses *a, const unsigned char *address, size_t n);
void pr_addresses_remove(struct pr_addresses *a, const unsigned char *address, size_t n);

#endif
