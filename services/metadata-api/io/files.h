/* Files that are part of the program: the dashboard, and the description as a page. Made from
 * dashboard/ and docs/ at build time (CMakeLists.txt, embed.cmake). */
#ifndef METADATA_API_FILES_H
#define METADATA_API_FILES_H

#include <stddef.h>

struct api_file {
    const char *path, *type; /* "/ui/app.js", "text/javascript; charset=utf-8" */
    const char *text;        /* NUL-terminated */
    const char *etag;        /* quoted; of the text */
};
extern const struct api_file api_files[];
extern const size_t api_file_count;

#endif
