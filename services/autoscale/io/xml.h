/* An XML answer as a small tree. Document types, and with them entities, are refused; so is
 * what is deeper or larger than any answer of an API. */
#ifndef AUTOSCALE_XML_H
#define AUTOSCALE_XML_H

#include "prism/arena.h"
#include "prism/err.h"

#include <stddef.h>

struct autoscale_xml {
    const char *name; /* without a prefix */
    const char *text; /* of this element itself, blanks at both ends cut; "" none */
    const struct autoscale_xml *child, *next; /* in the document's order */
    struct autoscale_xml *last_, *parent_;    /* while it is read */
};

/* The tree lives in the arena. PR_EDATA: not well-formed; names the line. */
PR_CHECKED enum pr_code autoscale_xml_parse(const char *bytes, size_t n, struct pr_arena *arena,
                                            const struct autoscale_xml **root, struct pr_err *err);

/* All of these take NULL for "nothing there" and answer it with NULL or "". */
const struct autoscale_xml *autoscale_xml_child(const struct autoscale_xml *x, const char *name);
const struct autoscale_xml *autoscale_xml_next(const struct autoscale_xml *x); /* same name */
/* A path of names, "Error/Code". */
const struct autoscale_xml *autoscale_xml_at(const struct autoscale_xml *x, const char *path);
const char *autoscale_xml_text(const struct autoscale_xml *x, const char *path);

#endif
