/* Pins that are accepted are as many as there are lines of two words, and every
 * one of them names a vertex and a zone that fits. */
#include "fuzz.h"

#include "io/pins.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct placement_pins p = { 0 };
    struct pr_err err = { .text = "" };
    const enum pr_code rc = placement_pins_read(&p, fuzz_file(data, n), &err);
    if (rc != PR_OK)
        FUZZ_CHECK(rc == PR_EDATA && err.text[0] != '\0');
    for (size_t i = 0; i < p.n; i++) {
        const char *zone = p.pin[i].zone, *end = memchr(zone, '\0', sizeof p.pin[i].zone);
        FUZZ_CHECK(end != NULL && end > zone);
        FUZZ_CHECK(strpbrk(zone, " \t\r\n") == NULL);
    }
    placement_pins_done(&p);
    return 0;
}
