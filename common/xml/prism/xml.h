/* An XML answer as a small tree. Document types, and with them entities, are refused; so is
 * what is deeper or larger than any answer of an API. */
#ifndef PRISM_XML_H
#define PRISM_XML_H

#include "prism/arena.h"
#include "prism/err.h"

#include <stddef.h>

struct pr_xml {
    const char *name; /* without a prefix */
    const char *text; /* of this element itself, blanks at both ends cut; "" none */
    const struct pr_xml *child, *next; /* in the document's order */
    struct pr_xml *last_, *parent_;    /* while it is read */
};

/* The tree lives in the arena. PR_EDATA: not well-formed; names the line. */
PR_CHECKED enum pr_code pr_xml_parse(const char *bytes, size_t n, struct pr_arena *arena,
                                     const struct pr_xml **root, struct pr_err *err);

/* All of these take NULL for "nothing there" and answer it with NULL or "". */
const struct pr_xml *pr_xml_child(const struct pr_xml *x, const char *name);
const struct pr_xml *pr_xml_next(const struct pr_xml *x); /* same name */
/* A path of names, "Error/Code". */
const struct pr_xml *pr_xml_at(const struct pr_xml *x, const char *path);
const char *pr_xml_text(const struct pr_xml *x, const char *path);

#endif
