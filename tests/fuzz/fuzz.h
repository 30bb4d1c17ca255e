/* What the fuzz targets share. Each target is one file with
 * LLVMFuzzerTestOneInput; libFuzzer drives it in the tree "fuzz", replay.c with
 * the kept inputs in every other. */
#ifndef PRISM_FUZZ_H
#define PRISM_FUZZ_H

#include "prism/graph_read.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Stops the fuzzer: this input breaks a promise. */
#define FUZZ_CHECK(cond)                                                                           \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fuzz_broken(#cond, __FILE__, __LINE__);                                                \
    } while (0)
_Noreturn void fuzz_broken(const char *what, const char *file, int line);

/* The bytes as a file in memory; its path, the same one every time. */
const char *fuzz_file(const uint8_t *data, size_t n);

/* Reads the file and builds its graph; what is accepted must be sound, what is
 * refused must say why. Returns what the reader said. */
enum pr_code fuzz_graph(const char *path, enum graph_format format);

#endif
