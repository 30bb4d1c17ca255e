/* Lets the simulator (tests/sim) compile the cores with one rule of the
 * protocol taken out, to see that it then finds a violation. The cores as
 * shipped are compiled without PRISM_SIM_RULES: every rule is the constant true. */
#ifndef PRISM_DP_RULES_H
#define PRISM_DP_RULES_H

#include <stdbool.h>

enum core_rule {
    RULE_REFUSED_STOPS,    /* mover: take refused: touch nothing */
    RULE_ADOPT_OWN_STUB,   /* mover: STUB d:E' of this move goes forward with E' */
    RULE_CLAIM_IS_NO_MOVE, /* mover: a stub of epoch 0 is a claim, not this move */
    RULE_MOVING_IS_KNOWN,  /* client: absent where a stub of epoch > 0 led: moving */
    RULE_CACHE_ASKS_HOME,  /* client: absent where a cache pointed: ask home */
    RULE_EXISTING_ONLY,    /* client: creates only after following epoch 0 */
    CORE_RULES
};

#ifdef PRISM_SIM_RULES
extern bool core_rule_off[CORE_RULES];
#define RULE(name) (!core_rule_off[RULE_##name])
#else
#define RULE(name) true
#endif

#endif
