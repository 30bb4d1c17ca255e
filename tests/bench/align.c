#include "align.h"

#include <string.h>

enum { MOST_COLUMNS = 24 };

/* The cells of a line "| a | b |"; returns how many. */
static unsigned split(const char *line, size_t n, const char **cell, size_t *length)
{
    unsigned cells = 0;
    for (size_t at = 1; at < n && cells < MOST_COLUMNS; cells++) {
        const char *end = memchr(line + at, '|', n - at);
        const size_t stop = end == NULL ? n : (size_t)(end - line);
        size_t from = at, to = stop;
        while (from < to && line[from] == ' ')
            from++;
        while (to > from && line[to - 1] == ' ')
            to--;
        cell[cells] = line + from;
        length[cells] = to - from;
        at = stop + 1;
    }
    return cells;
}

static void print_row(FILE *f, const char *line, size_t n, const size_t *width)
{
    const char *cell[MOST_COLUMNS];
    size_t length[MOST_COLUMNS];
    const unsigned cells = split(line, n, cell, length);
    for (unsigned i = 0; i < cells; i++) {
        if (length[i] >= 3 && memcmp(cell[i], "---", 3) == 0)
            for (size_t dash = 0; dash < width[i] + 2; dash++)
                fputc('-', f);
        else
            fprintf(f, "%-*.*s  ", (int)width[i], (int)length[i], cell[i]);
    }
    fputc('\n', f);
}

/* A table from its first line on; returns where it ends. */
static const char *print_table(FILE *f, const char *table)
{
    size_t width[MOST_COLUMNS] = { 0 };
    const char *end = table, *cell[MOST_COLUMNS];
    size_t length[MOST_COLUMNS];
    for (; *end == '|'; end += strcspn(end, "\n"), end += *end == '\n') {
        const unsigned cells = split(end, strcspn(end, "\n"), cell, length);
        for (unsigned i = 0; i < cells; i++)
            width[i] = length[i] > width[i] ? length[i] : width[i];
    }
    while (table < end) {
        const size_t n = strcspn(table, "\n");
        print_row(f, table, n, width);
        table += n + (table[n] == '\n');
    }
    return end;
}

void align_tables(FILE *f, const char *markdown)
{
    while (*markdown != '\0') {
        const size_t n = strcspn(markdown, "\n");
        if (*markdown == '|') {
            markdown = print_table(f, markdown);
        } else {
            fprintf(f, "%.*s\n", (int)n, markdown);
            markdown += n + (markdown[n] == '\n');
        }
    }
}
