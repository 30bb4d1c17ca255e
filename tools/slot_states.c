/* Prints the state machine of a slot's move as Markdown, for tools/docs.sh. */
#include "core/slot/machine.h"

#include <stdio.h>
#include <stdlib.h>

static bool same(const struct rebalance_slot_row *a, const struct rebalance_slot_row *b)
{
    const bool stays = a->from == a->to && b->from == b->to;
    return a->event == b->event && a->effect == b->effect && (a->to == b->to || stays);
}

/* Rows of one event that differ only in where they start are one line. */
static size_t line(const struct rebalance_slot_row *row, size_t n, size_t at)
{
    size_t end = at + 1;
    while (end < n && same(&row[at], &row[end]))
        end++;
    printf("| `%s` | ", rebalance_slot_event_name(row[at].event));
    for (size_t i = at; i < end; i++)
        printf("%s%s", i > at ? ", " : "", rebalance_slot_state_name(row[i].from));
    const bool stays = end > at + 1 && row[at].from == row[at].to && row[end - 1].to != row[at].to;
    printf(" | %s | `%s` | %s |\n", stays ? "the same" : rebalance_slot_state_name(row[at].to),
           rebalance_slot_effect_name(row[at].effect), row[at].why);
    return end;
}

int main(void)
{
    size_t n;
    const struct rebalance_slot_row *row = rebalance_slot_table(&n);

    printf("| what the cluster reports | in state | next state | effect | why |\n"
           "| --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < n;)
        i = line(row, n, i);
    printf("\nWhile keys go back, `%s` stands for `%s`. In `%s`, `%s` and `%s` nothing happens any "
           "more.\n",
           rebalance_slot_state_name(REBALANCE_SLOT_VERIFIED),
           rebalance_slot_state_name(REBALANCE_SLOT_ROLLED_BACK),
           rebalance_slot_state_name(REBALANCE_SLOT_VERIFIED),
           rebalance_slot_state_name(REBALANCE_SLOT_ROLLED_BACK),
           rebalance_slot_state_name(REBALANCE_SLOT_STUCK));
    return EXIT_SUCCESS;
}
