/* Prints the state machine of a slot's move and the rules of jobs as Markdown, for
 * tools/docs.sh. */
#include "core/slot/job.h"
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

static void phases(enum rebalance_job_dialect dialect, bool import)
{
    size_t n;
    const struct rebalance_job_state *s = rebalance_job_states(&n);
    printf("| %s, the %s's word |", dialect == REBALANCE_JOB_VALKEY ? "Valkey" : "Redis",
           import ? "target" : "source");
    for (int p = REBALANCE_JOB_RUNNING; p < REBALANCE_JOB_PHASES; p++) {
        bool first = true;
        for (size_t i = 0; i < n; i++)
            if (s[i].dialect == dialect && s[i].import == import &&
                s[i].phase == (enum rebalance_job_phase)p) {
                printf("%s`%s`", first ? " " : ", ", s[i].name);
                first = false;
            }
        printf(" |");
    }
    printf("\n");
}

static void jobs(void)
{
    size_t n;
    const struct rebalance_job_row *row = rebalance_job_table(&n);
    printf("\n## Where the server moves slots itself\n\n"
           "Rows of slots that a job of the server moves (column `atomic`) are `handoff` from "
           "before the job is\nasked for until its slots are `verified`, or planned again. What "
           "happens next follows from what both\nprimaries report: who owns the slots, and what "
           "jobs there are.\n\n"
           "| what the cluster reports | effect | why |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < n; i++)
        printf("| `%s` | `%s` | %s |\n", rebalance_job_event_name(row[i].event),
               rebalance_job_effect_name(row[i].effect), row[i].why);
    printf("\nAfter `hand` the slots are moved by the table above. What the servers call a job's "
           "states, and what\neach means; one that is not listed counts as running:\n\n| |");
    for (int p = REBALANCE_JOB_RUNNING; p < REBALANCE_JOB_PHASES; p++)
        printf(" %s |", rebalance_job_phase_name((enum rebalance_job_phase)p));
    printf("\n|");
    for (int p = 0; p < REBALANCE_JOB_PHASES; p++)
        printf(" --- |");
    printf("\n");
    for (int import = 0; import < 2; import++)
        phases(REBALANCE_JOB_VALKEY, import);
    for (int import = 0; import < 2; import++)
        phases(REBALANCE_JOB_REDIS, import);
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
    jobs();
    return EXIT_SUCCESS;
}
