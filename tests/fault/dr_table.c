/* The words of the command line, seeds, counts and the closing table. */
#include "dr_cases.h"

#include "t.h"

#include "prism/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dr_counts dr_counts = { .seed = 20261121, .strikes = 1 };

static void usage(const char *word)
{
    (void)fprintf(stderr, "%s: want seed=N, strikes=N or only=PATTERN\n", word);
    exit(2);
}

static void read_word(const char *word)
{
    const char *value = strchr(word, '=');
    if (value == NULL)
        usage(word);
    else if (strncmp(word, "seed=", 5) == 0)
        dr_counts.seed = strtoull(value + 1, NULL, 10);
    else if (strncmp(word, "strikes=", 8) == 0)
        dr_counts.strikes = strtol(value + 1, NULL, 10);
    else if (strncmp(word, "only=", 5) == 0)
        cmocka_set_test_filter(value + 1);
    else
        usage(word);
}

void dr_read_words(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        read_word(argv[i]);
    print_message("seed %llu\n", (unsigned long long)dr_counts.seed);
}

/* --- the table ----------------------------------------------------------------------------------
 */

enum { CASES = 64 };

static struct row {
    const char *name;
    long struck, of[DR_OUTCOMES], alarms;
    int64_t begun_us, took_us;
} row[CASES];
static size_t rows;

long dr_strikes(long in_the_long_run)
{
    const long n = in_the_long_run * dr_counts.strikes / 10;
    return n > 1 && dr_counts.strikes > 1 ? n : 1;
}

struct pr_rng dr_rng(const char *words, long strike)
{
    struct pr_rng rng;
    uint64_t x = dr_counts.seed;
    for (const char *p = words; *p != '\0'; p++)
        x = pr_mix64(x ^ (uint64_t)(unsigned char)*p);
    pr_rng_init(&rng, pr_mix64(x ^ (uint64_t)strike));
    return rng;
}

void dr_struck(enum dr_outcome outcome)
{
    row[rows - 1].struck++;
    row[rows - 1].of[outcome]++;
}

void dr_alarmed(void)
{
    row[rows - 1].alarms++;
}

static struct {
    long restores;
    uint64_t writes;
} compared;

void dr_compared(uint64_t writes)
{
    compared.restores++;
    compared.writes += writes;
}

void dr_table_begin(const char *name)
{
    assert_true(rows < CASES);
    row[rows++] = (struct row){ .name = name, .begun_us = pr_mono_us() };
}

void dr_table_end(void)
{
    row[rows - 1].took_us = pr_mono_us() - row[rows - 1].begun_us;
}

static void print_row(const char *name, const struct row *r)
{
    print_message("%-40s %6ld %8ld %8ld %9ld %7ld %6.1f\n", name, r->struck, r->of[DR_RESUMED],
                  r->of[DR_REFUSED], r->of[DR_PREVIOUS], r->alarms, (double)r->took_us / 1e6);
}

void dr_table_print(void)
{
    struct row sum = { .name = "all" };
    print_message("%-40s %6s %8s %8s %9s %7s %6s\n", "case", "faults", "resumed", "refused",
                  "previous", "alarms", "s");
    for (size_t i = 0; i < rows; i++) {
        print_row(row[i].name, &row[i]);
        sum.struck += row[i].struck;
        sum.alarms += row[i].alarms;
        sum.took_us += row[i].took_us;
        for (int k = 0; k < DR_OUTCOMES; k++)
            sum.of[k] += row[i].of[k];
    }
    print_row("all", &sum);
    /* ./dev test shows this line of a test that passed */
    print_message("%ld faults: %ld gone on from, %ld refused, %ld made up for by what was before; "
                  "%ld restores had all of the %llu writes in the ledger; seed %llu\n",
                  sum.struck, sum.of[DR_RESUMED], sum.of[DR_REFUSED], sum.of[DR_PREVIOUS],
                  compared.restores, (unsigned long long)compared.writes,
                  (unsigned long long)dr_counts.seed);
}
