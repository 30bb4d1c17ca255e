/* Settings of the service for tests: none is set. */
#ifndef PRISM_TEST_AUTOSCALE_SETTINGS_STAGE_H
#define PRISM_TEST_AUTOSCALE_SETTINGS_STAGE_H

#include "t.h"

#include "io/settings.h"

#include <string.h>

/* Every text is empty, every number 0. */
static inline struct autoscale_config nothing(void)
{
    static char empty[] = "";
    struct autoscale_config c = { .clock_rate = 1 };
    for (size_t i = 0; i < autoscale_config_count; i++)
        if (autoscale_config_rows[i].type == PR_CFG_STR)
            memcpy((char *)&c + autoscale_config_rows[i].offset, &(char *){ empty },
                   sizeof(char *));
    return c;
}

#endif
