#include "core/vote.h"

const char *autoscale_move_name(enum autoscale_move m)
{
    switch (m) {
    case AUTOSCALE_HOLD:
        return "hold";
    case AUTOSCALE_OUT:
        return "out";
    case AUTOSCALE_IN:
        return "in";
    case AUTOSCALE_UNKNOWN:
        return "unknown";
    }
    return "?";
}
