/* Prints the steps of a region fail-over as Markdown, for tools/docs.sh. */
#include "core/region.h"

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    printf("| | step | what it does | done when |\n| --- | --- | --- | --- |\n");
    for (int i = 0; i < DR_REGION_STEPS; i++)
        printf("| %d | `%s` | %s | %s |\n", i + 1, dr_region_row[i].name, dr_region_row[i].does,
               dr_region_row[i].done_when);
    printf("\n## When it stops\n\n| at | do | what abort takes back |\n| --- | --- | --- |\n");
    for (int i = 0; i < DR_REGION_STEPS; i++) {
        const char *undo = dr_region_row[i].undo;
        printf("| `%s` | %s | %s |\n", dr_region_row[i].name, dr_region_row[i].person,
               undo != NULL             ? undo
               : i == DR_REGION_PROMOTE ? "too late once it was begun with PostgreSQL"
               : i > DR_REGION_PROMOTE  ? "too late once it was begun"
                                        : "nothing was changed");
    }
    return ferror(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
