/* UTF-8: what is a character, what a cut leaves, what is put in the place of other bytes. */
#include "t.h"

#include "prism/text.h"

#include <stdio.h>
#include <string.h>

static void characters_are_as_long_as_unicode_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t want;
    } row[] = {
        { "a", 1 },
        { "\x7f", 1 },
        { "\x80", 0 },
        { "\xc1\xbf", 0 }, /* overlong */
        { "\xc2\x80", 2 },
        { "\xdf\xbf", 2 },
        { "\xc3", 0 },
        { "\xc3(", 0 },
        { "\xe0\x9f\xbf", 0 },
        { "\xe0\xa0\x80", 3 },
        { "\xed\x9f\xbf", 3 },
        { "\xed\xa0\x80", 0 }, /* a surrogate */
        { "\xe2\x82", 0 },
        { "\xe2\x82(", 0 },
        { "\xf0\x8f\xbf\xbf", 0 },
        { "\xf0\x90\x80\x80", 4 },
        { "\xf4\x8f\xbf\xbf", 4 },
        { "\xf4\x90\x80\x80", 0 },
        { "\xf5\x80\x80\x80", 0 },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const size_t got = pr_utf8_length(row[i].text, strlen(row[i].text));
        if (got != row[i].want)
            fail_msg("row %zu: %zu, want %zu", i, got, row[i].want);
    }
}

static void a_character_that_was_cut_goes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } row[] = {
        { "", "" },
        { "a", "a" },
        { "a\xc3", "a" },
        { "a\xc3\xbc", "a\xc3\xbc" },
        { "a\xe2", "a" },
        { "a\xe2\x82", "a" },
        { "a\xe2\x82\xac", "a\xe2\x82\xac" },
        { "\xf0\x9f\x98", "" },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "\xc3\xbc\xf0\x9f", "\xc3\xbc" },
        { "\x80", "\x80" }, /* cut off at its front: not ours */
        { "\x80\x80\x80\x80\x80", "\x80\x80\x80\x80\x80" },
        { "a\xff", "a\xff" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%s", row[i].text);
        pr_utf8_trim(text);
        if (strcmp(text, row[i].want) != 0)
            fail_msg("row %zu: %zu bytes, want %zu", i, strlen(text), strlen(row[i].want));
    }
    for (size_t room = 1; room <= 12; room++) { /* whatever the room, what is left is whole */
        char text[12];
        (void)snprintf(text, room, "%s", "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80z");
        pr_utf8_trim(text);
        for (size_t at = 0, n = strlen(text); at < n;) {
            const size_t length = pr_utf8_length(text + at, n - at);
            assert_true(length > 0);
            at += length;
        }
        assert_true(strlen(text) + 4 >= room);
    }
}

static void other_bytes_become_question_marks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } row[] = {
        { "", "" },
        { "a\xc3\xbc", "a\xc3\xbc" },
        { "a\xc3", "a?" },
        { "\xc3z", "?z" },
        { "\xe2\x82z", "??z" },
        { "\xff\xc3\xbc\x80", "?\xc3\xbc?" },
        { "\xed\xa0\x80", "???" },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%s", row[i].text);
        pr_utf8_mend(text, strlen(text));
        assert_string_equal(text, row[i].want);
    }
    char zero[3] = { '\0', '\xc3', '\0' };
    pr_utf8_mend(zero, sizeof zero);
    assert_memory_equal(zero, "\0?", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_are_as_long_as_unicode_says),
        cmocka_unit_test(a_character_that_was_cut_goes),
        cmocka_unit_test(other_bytes_become_question_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
