/* A stored decision as an explanation, and as a note for whoever is on call. */
#include "t.h"

#include "prism/buf.h"
#include "rest_scale.h"

#include <stdio.h>
#include <string.h>

static json_t *explained;
static struct pr_buf note;

static int forget(void **state)
{
    (void)state;
    json_decref(explained);
    explained = NULL;
    pr_buf_done(&note);
    return 0;
}

/* Facts with ' for ". */
static void explain(const char *text)
{
    json_error_t at;
    char *copy = strdup(text);
    assert_non_null(copy);
    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *facts = json_loads(copy, 0, &at);
    if (facts == NULL)
        fail_msg("%s at %d", at.text, at.column);
    explained = api_decision_explained(facts);
    assert_non_null(explained);
    json_decref(facts);
    free(copy);
    pr_buf_init(&note, 0);
    api_decision_note(explained, &note);
    assert_false(note.failed);
}

/* "leaves.nodes.0.why" */
static const json_t *member(const char *path)
{
    const json_t *o = explained;
    char name[64];
    while (o != NULL && *path != '\0') {
        const size_t n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        o = json_is_array(o) ? json_array_get(o, (size_t)atoi(name)) : json_object_get(o, name);
        path += n + (path[n] == '.');
    }
    return o;
}

static void assert_text(const char *path, const char *want)
{
    const char *got = json_string_value(member(path));
    if (got == NULL || strcmp(got, want) != 0)
        fail_msg("%s: %s", path, got == NULL ? "no text" : got);
}

static void assert_whole(const char *path, json_int_t want)
{
    if (!json_is_integer(member(path)) || json_integer_value(member(path)) != want)
        fail_msg("%s: %lld", path, (long long)json_integer_value(member(path)));
}

static void assert_none(const char *path)
{
    if (!json_is_null(member(path)))
        fail_msg("%s is not null", path);
}

static void assert_says(const char *line)
{
    if (strstr(note.data, line) == NULL)
        fail_msg("'%s' is not in\n%s", line, note.data);
}

static void assert_silent_about(const char *word)
{
    if (strstr(note.data, word) != NULL)
        fail_msg("'%s' is in\n%s", word, note.data);
}

#define ROW(move, from, to, state)                                                                 \
    "'row':{'id':17,'fleet':'redis','at':'2026-11-21T10:05:00+00:00','settingsVersion':3,"         \
    "'move':'" move "','from':" #from ",'to':" #to ",'why':'','alarm':false,'alarmWhy':null,"      \
    "'state':'" state                                                                              \
    "','advice':false,'planId':null,'updatedAt':'2026-11-21T10:05:12.5+00:00','revision':9}"

/* --- inward, of whole shards -------------------------------------------------------------- */

static const char INWARD[] = "{" ROW(
    "in", 54, 51,
    "acting") ",'report':{'outcome':'waiting','wanted':51,'has':54,'coming':0,"
              "'leaving':3,'missing':0,'why':'3 are drained','actuator':'aws'},"
              "'plan':{'id':12,'state':'running','error':null},"
              "'supersededBy':null,"
              "'decision':{'fleet':'redis','at_ms':1795255500000,'move':'in','from':54,'to':51,"
              "'units_from':18,'units_to':17,'why':'54 -> 51 instances (18 -> 17 units of 3); "
              "adaptive load "
              "of 20.1 needs 45; limited: floor 48 (min "
              "48)','alarm':false,'alarm_why':'','deciding':0,"
              "'limited':'floor 48 (min 48)','floor':48,'floor_why':'min 48','places':["
              "{'zone':'us-west-2a','group':'redis-a-1','give':1,'get':0,'back':0},"
              "{'zone':'us-west-2b','group':null,'give':2,'get':0,'back':0}],"
              "'cost_month_before':39735.36,'cost_month_after':37527.84,'useful_ms':600000,'advice'"
              ":'',"
              "'policy':'adaptive','rule':'in after 45 min','observed':37.2,'threshold':56,"
              "'window_ms':180000,'cooldown_until_ms':0,'leaves':['n7','n8','n9'],'returns':[],"
              "'votes':[{'policy':'adaptive','move':'in','desired':51,'wanted':45,'rule':'in after "
              "45 min',"
              "'observed':37.2,'threshold':56,'window_ms':180000,'cooldown_until_ms':0,'limited':'"
              "whole "
              "units','why':'load of 20.1 needs 45'},"
              "{'policy':'rules','move':'hold','desired':54,'wanted':54,'rule':'cpu<40 for 15 min',"
              "'observed':41.5,'threshold':40,'window_ms':900000,'cooldown_until_ms':1795256100000,"
              "'limited':'','why':'41.5 is not below 40'},"
              "{'policy':'hpa','move':'unknown','desired':54,'wanted':54,'rule':'','observed':null,"
              "'threshold':null,'window_ms':0,'cooldown_until_ms':0,'limited':'','why':''}]},"
              "'input':{'fleet':{'name':'redis','unit':3,'min':48,'max':1000,'zone_loss_pct':100},"
              "'view':{'now_ms':1795255500000,'desired':54,'serving':54,'samples':[{'at_ms':"
              "1795255440000,"
              "'cpu_pct':38},{'at_ms':1795255500000,'cpu_pct':37.2,'network_bps':8.1e9,'load':20.1,"
              "'silent':2}]},'nodes':["
              "{'id':'n1','shard':'s1','zone':'us-west-2a','primary':true,'bytes':4000000000},"
              "{'id':'n7','shard':'s3','zone':'us-west-2a','group':'redis-a-1','primary':true,"
              "'bytes':1200000000},"
              "{'id':'n8','shard':'s3','zone':'us-west-2b','bytes':1200000000},"
              "{'id':'n9','shard':'s3','zone':'us-west-2b','bytes':1200000000,'failed':true}]}}";

static void every_part_is_a_member(void **state)
{
    (void)state;
    explain(INWARD);
    assert_whole("id", 17);
    assert_whole("units.size", 3);
    assert_whole("units.to", 17);
    assert_text("why.policy", "adaptive");
    assert_text("why.rule", "in after 45 min");
    assert_whole("why.windowS", 180);
    assert_none("why.cooldownUntil");
    assert_text("why.limited", "floor 48 (min 48)");
    assert_int_equal(json_array_size(member("votes")), 3);
    assert_true(json_is_true(member("votes.0.decides")));
    assert_false(json_is_true(member("votes.1.decides")));
    assert_whole("votes.0.wanted", 45);
    assert_text("votes.1.cooldownUntil", "2026-11-21T10:15:00Z");
    assert_none("votes.2.observed");
    assert_none("votes.2.rule");
    assert_whole("floors.instances", 48);
    assert_whole("floors.max", 1000);
    assert_text("places.0.group", "redis-a-1");
    assert_none("places.1.group");
    assert_whole("places.1.leave", 2);
    assert_text("seen.at", "2026-11-21T10:05:00Z");
    assert_whole("seen.minutes", 2);
    assert_whole("seen.silent", 2);
    assert_none("seen.backlog");
    assert_true(json_real_value(member("cost.usdPerMonthChange")) < -2207.51);
    assert_true(json_real_value(member("cost.usdPerMonthChange")) > -2207.53);
    assert_none("usefulInS"); /* nobody new has to help */
    assert_none("alarm");
}

static void who_leaves_has_a_reason_and_a_size(void **state)
{
    (void)state;
    explain(INWARD);
    assert_text("leaves.nodes.0.id", "n7");
    assert_text("leaves.nodes.0.shard", "s3");
    assert_true(json_is_true(member("leaves.nodes.0.primary")));
    assert_text("leaves.nodes.0.why", "its shard is among those with the fewest bytes to move");
    assert_text("leaves.nodes.2.why", "has failed");
    assert_whole("leaves.bytes", 1200000000); /* a shard's data once */
    assert_whole("leaves.leastBytesStaying", 4000000000);
    assert_says("1.2 GB to move; the least that stays has 4.0 GB");
    assert_says("leave      n7 (us-west-2a, primary of s3, 1.2 GB)\n");
    assert_says("n9 (us-west-2b, replica of s3, 1.2 GB): has failed");
}

static void the_note_reads_from_what_to_what_came_of_it(void **state)
{
    (void)state;
    explain(INWARD);
    static const char *const lines[] = {
        "Decision 17, fleet redis, 2026-11-21 10:05:00 UTC: in, 54 -> 51 instances (18 -> 17 units "
        "of 3)\n",
        "outcome    acting since 2026-11-21 10:05:12: it is being carried out\n",
        "           plan 12 (its slots) is running\n",
        "           wanted 51, has 54, coming 0, leaving 3, missing 0\n",
        "           waiting: 3 are drained\n",
        "why        54 -> 51 instances (18 -> 17 units of 3)\n",
        "           adaptive load of 20.1 needs 45\n",
        "           limited: floor 48 (min 48)\n",
        "seen       54 wanted, 54 serve, CPU 37.2 %, network 8.1 Gbit/s, load 20.1 members, 2 are "
        "silent (minute to 2026-11-21 10:05:00)\n",
        "votes      * adaptive in         51 (asked for 45)  in after 45 min, observed 37.2 "
        "against "
        "56 over 3 min\n",
        "             limited: whole units\n",
        "             rules    hold       54  cpu<40 for 15 min, observed 41.5 against 40 over 15 "
        "min, cools down until 10:15:00\n",
        "             41.5 is not below 40\n",
        "             hpa      unknown    54  no rule spoke\n",
        "floor      48 (min 48); the settings allow 48 to 1000\n",
        "places     us-west-2a, redis-a-1: 1 leave\n",
        "           us-west-2b: 2 leave\n",
        "leave      n7 ",
        "cost       $ 39,735 -> $ 37,528 a month (-$ 2,208)\n",
        "settings   version 3\n",
    };
    const char *from = note.data;
    for (size_t i = 0; i < PR_COUNT(lines); i++) {
        const char *found = strstr(from, lines[i]);
        if (found == NULL)
            fail_msg("no '%s' in its place in\n%s", lines[i], note.data);
        from = found + 1;
    }
    assert_silent_about("helps");
    assert_silent_about("ALARM");
}

/* --- outward, single nodes ------------------------------------------------------------------ */

static void outward_says_when_it_helps_and_at_which_price(void **state)
{
    (void)state;
    explain("{" ROW("out", 48, 60,
                    "superseded") ",'supersededBy':18,"
                                  "'decision':{'at_ms':1795255500000,'deciding':-1,'why':'48 -> 60 "
                                  "instances; no policy "
                                  "asked for it: loss of a zone','floor':60,'floor_why':'loss of a "
                                  "zone','policy':null,"
                                  "'places':[{'zone':'a','group':null,'give':0,'get':10,'back':2}],"
                                  "'useful_ms':300000,"
                                  "'cost_month_before':11913.6,'cost_month_after':14892,'advice':'"
                                  "CPU-bound: larger',"
                                  "'leaves':[],'returns':['p3','p4'],'votes':[{'policy':'queue','"
                                  "move':'hold','desired':48,"
                                  "'wanted':48,'rule':'','observed':null,'threshold':null}]},"
                                  "'input':{'fleet':{'unit':1,'min':48,'max':1000},'view':{'"
                                  "desired':48,'serving':40}}}");
    assert_none("why.policy");
    assert_whole("usefulInS", 300);
    assert_text("usefulAt", "2026-11-21T10:10:00Z");
    assert_whole("outcome.supersededBy", 18);
    assert_none("seen.at");
    assert_says("UTC: out, 48 -> 60 instances\n");
    assert_says("decision 18 took its place");
    assert_says("48 wanted, 40 serve; nothing was measured\n");
    assert_says("no policy decides this: a floor, a limit or the schedule does\n");
    assert_says("places     a: 10 join, 2 return\n");
    assert_says("return     p3, p4: their drain is called off\n");
    assert_says("cost       $ 11,914 -> $ 14,892 a month (+$ 2,978)\n");
    assert_says("helps      in 5 min, from 10:10:00 UTC on\n");
    assert_says("advice     CPU-bound: larger\n");
}

static void what_is_waited_for_is_said(void **state)
{
    (void)state;
    explain(
        "{" ROW("in", 54, 51, "acting") ",'decision':{},'input':{},'report':{'phase':'draining',"
                                        "'outcome':'waiting','alarm':true,'why':'plan 12 is "
                                        "paused: stuck','strays':['i-1'],"
                                        "'carry':{'phase':'draining','leavers':[{'id':'n7','out_ms'"
                                        ":5,'told_ms':6},{'id':'n8',"
                                        "'out_ms':5,'told_ms':0},{'id':'n9','out_ms':0,'told_ms':0}"
                                        "],'failing':'n9 has no "
                                        "group','why':'plan 12 is paused: stuck'}}}");
    assert_says("\nALARM      plan 12 is paused: stuck\n");
    assert_says("           draining, waiting: plan 12 is paused: stuck\n");
    assert_says("           3 leave: 2 serve nothing any more, 1 were told to end\n");
    assert_says("           cannot be done: n9 has no group\n");
    assert_says("           1 run and are in no use: see -o json\n");
}

static void advice_is_not_said_to_be_carried_out(void **state)
{
    (void)state;
    explain("{'row':{'id':17,'fleet':'f','at':'2026-11-21T10:05:00+00:00','move':'out','from':48,"
            "'to':54,'state':'done','advice':true,'updatedAt':'2026-11-21T10:05:00+00:00'},"
            "'decision':{},'input':{}}");
    assert_says("outcome    advice: nobody carries it out");
    assert_silent_about("carried out:");
}

static void what_comes_back_helps_at_once(void **state)
{
    (void)state;
    explain("{" ROW("out", 3, 4, "done") ",'decision':{'at_ms':1795255500000,'useful_ms':0},"
                                         "'input':{}}");
    assert_says("helps      at once\n");
    assert_says("carried out");
}

/* --- nothing to do, and nothing known -------------------------------------------------------- */

static void holding_says_only_why(void **state)
{
    (void)state;
    explain("{" ROW(
        "hold", 48, 48,
        "done") ",'report':null,"
                "'decision':{'at_ms':1795255500000,'deciding':0,'why':'stays at 48 "
                "instances','places':"
                "[],'leaves':[],'returns':[],'useful_ms':600000,'cost_month_before':35320.32,"
                "'cost_month_after':35320.32,'votes':[]},'input':{'fleet':{'unit':3}}}");
    assert_says("UTC: stays at 48 instances\n");
    assert_silent_about("outcome");
    assert_silent_about("leave");
    assert_silent_about("helps");
    assert_text("outcome.text", "nothing had to be done");
}

static void an_alarm_stands_on_top(void **state)
{
    (void)state;
    explain("{'row':{'id':1,'fleet':'f','at':'2026-11-21T10:05:00Z','move':'unknown','from':48,"
            "'to':48,'state':'done','alarmWhy':'30 of 48 members are silent; nothing has been "
            "measured for 3 min'},'decision':{},'input':{}}");
    assert_says("UTC: cannot tell, stays at 48 instances\n"
                "ALARM      30 of 48 members are silent\n"
                "           nothing has been measured for 3 min\n");
    assert_text("alarm", "30 of 48 members are silent; nothing has been measured for 3 min");
}

static void why_there_and_what_nobody_knows_are_said(void **state)
{
    (void)state;
    explain("{" ROW(
        "in", 12, 9,
        "decided") ",'decision':{'leaves':['n1'],'places':[{'zone':'a',"
                   "'group':null,'get':3,'give':0,'back':0,'primaries':2}],'place_why':'primaries "
                   "of new "
                   "shards: a 2, where the fewest are; 1 of 4 shards leave: s1'},'input':{'fleet':"
                   "{'unit':3},'nodes':[{'id':'n1','shard':'s1','zone':'a','primary':true,'slots':"
                   "4096,"
                   "'unsized':true},{'id':'n2','shard':'s2','zone':'a','primary':true,'unsized':"
                   "true}]}}");
    assert_whole("places.0.primaries", 2);
    assert_says(
        "a: 3 join, primaries: 2\n           primaries of new shards: a 2, where the fewest "
        "are\n           1 of 4 shards leave: s1\n");
    assert_none("leaves.nodes.0.bytes");
    assert_whole("leaves.nodes.0.slots", 4096);
    assert_none("leaves.leastBytesStaying"); /* unknown is not the least */
    assert_says("n1 (a, primary of s1, 4096 slots): nobody knows its bytes");
}

static void more_leavers_than_fit_are_counted(void **state)
{
    (void)state;
    static char text[16384];
    size_t n = (size_t)snprintf(text, sizeof text,
                                "{" ROW("in", 48, 18, "decided") ",'decision':{"
                                                                 "'leaves':[");
    for (int i = 0; i < 30; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s'p%d'", i == 0 ? "" : ",", i);
    n += (size_t)snprintf(text + n, sizeof text - n, "]},'input':{'fleet':{'unit':1},'nodes':[");
    for (int i = 0; i < 48; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s{'id':'p%d','zone':'a'}",
                              i == 0 ? "" : ",", i);
    snprintf(text + n, sizeof text - n, "]}}");
    explain(text);
    assert_int_equal(json_array_size(member("leaves.nodes")), 30);
    assert_says("p11 (a, 0 B): holds nothing that would have to be moved\n           and 18 more");
    assert_says("nobody has acted on it yet");
    assert_says("failed nodes first, then the fewest bytes to move");
}

/* What another version wrote, or somebody broke, is explained as far as it can be read. */
static void what_is_missing_or_of_another_type_does_no_harm(void **state)
{
    static const char *const facts[] = {
        "{}",
        "{'row':null,'decision':null,'input':null}",
        "{'row':{},'decision':[],'input':'x'}",
        "{'row':{'from':1,'to':2},'decision':{'votes':[1,null,{}],'places':{},'leaves':[1,'x'],"
        "'returns':'n','deciding':7,'useful_ms':'long','cost_month_before':'dear'},"
        "'input':{'nodes':[1,{}],'view':{'samples':[]},'fleet':3},'plan':7,'told':[],'report':1}",
    };
    for (size_t i = 0; i < PR_COUNT(facts); i++) {
        explain(facts[i]);
        assert_non_null(note.data);
        assert_says("Decision ");
        forget(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_part_is_a_member, forget),
        cmocka_unit_test_teardown(who_leaves_has_a_reason_and_a_size, forget),
        cmocka_unit_test_teardown(the_note_reads_from_what_to_what_came_of_it, forget),
        cmocka_unit_test_teardown(outward_says_when_it_helps_and_at_which_price, forget),
        cmocka_unit_test_teardown(what_is_waited_for_is_said, forget),
        cmocka_unit_test_teardown(advice_is_not_said_to_be_carried_out, forget),
        cmocka_unit_test_teardown(what_comes_back_helps_at_once, forget),
        cmocka_unit_test_teardown(holding_says_only_why, forget),
        cmocka_unit_test_teardown(an_alarm_stands_on_top, forget),
        cmocka_unit_test_teardown(why_there_and_what_nobody_knows_are_said, forget),
        cmocka_unit_test_teardown(more_leavers_than_fit_are_counted, forget),
        cmocka_unit_test_teardown(what_is_missing_or_of_another_type_does_no_harm, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
