/* replay DIRECTORY: the target with every file in it, and with none. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int replay(const char *dir, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        return 1;
    }
    enum { MOST = 1 << 20 };
    uint8_t *data = malloc(MOST);
    FUZZ_CHECK(data != NULL);
    const size_t n = fread(data, 1, MOST, f);
    (void)fclose(f);
    (void)fprintf(stderr, "%s\n", name);
    (void)LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0, count = 0;
    DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
    if (d == NULL) {
        (void)fprintf(stderr, "usage: replay DIRECTORY\n");
        return 2;
    }
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            failed |= replay(argv[1], e->d_name);
            count++;
        }
    (void)closedir(d);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    (void)printf("%d inputs\n", count);
    return failed != 0 || count == 0;
}
