/* Decisions, what came of them, and settings of fleets in PostgreSQL; and what each role may. */
#include "t.h"

#include "io/decisions.h"
#include "io/policies.h"

#include "autoscale_store_stage.h"

#include <stdio.h>
#include <string.h>

static const int64_t NOW = STAGE_NOW, DAY = STAGE_DAY_MS;

static struct autoscale_stage stage;

static const char *sql(const char *text)
{
    return autoscale_stage_sql(&stage, text);
}

static int setup(void **state)
{
    (void)state;
    autoscale_stage_open(&stage);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    autoscale_stage_close(&stage);
    return 0;
}

/* --- decisions ----------------------------------------------------------- */

static struct autoscale_decision_row decision(int64_t at_ms, const char *move)
{
    return (struct autoscale_decision_row){ .fleet = "hot",
                                            .at_ms = at_ms,
                                            .settings_version = 1,
                                            .from = 48,
                                            .to = 51,
                                            .move = move,
                                            .why = "because",
                                            .alarm_why = "",
                                            .input = "{\"x\": -0.0, \"x\":1.10}",
                                            .decision = "{ }" };
}

static int64_t put_decision(int64_t at_ms, const char *move)
{
    struct autoscale_decision_row d = decision(at_ms, move);
    struct pr_err err = { 0 };
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &d, &err), &err);
    return d.id;
}

static struct autoscale_decision_row load_decision(int64_t id)
{
    struct autoscale_decision_row d;
    struct pr_err err = { 0 };
    assert_ok(autoscale_decision_load(stage.db, &stage.arena, id, &d, &err), &err);
    return d;
}

static void who_lost_the_lease_writes_nothing(void **state)
{
    (void)state;
    struct autoscale_decision_row d = decision(NOW, "hold");
    const struct autoscale_action a = { NOW, 1, 2 };
    const struct autoscale_state st = { 3, "{}", NOW, NULL };
    int64_t deleted;
    struct pr_err err = { 0 };
    sql("UPDATE leases SET epoch = epoch + 1 WHERE name = 'autoscale'");
    assert_int_equal(autoscale_decision_put(stage.db, &stage.lease, &d, &err), PR_EFENCED);
    assert_int_equal(autoscale_decision_advance(stage.db, &stage.lease, 1,
                                                AUTOSCALE_DECISION_ACTING, NULL, 0, &err),
                     PR_EFENCED);
    assert_int_equal(autoscale_action_put(stage.db, &stage.lease, "hot", &a, 0, &err), PR_EFENCED);
    assert_int_equal(autoscale_state_put(stage.db, &stage.lease, "hot", &st, &err), PR_EFENCED);
    assert_int_equal(autoscale_decisions_forget(stage.db, &stage.lease, NOW, 1, &deleted, &err),
                     PR_EFENCED);
    sql("UPDATE leases SET epoch = epoch - 1 WHERE name = 'autoscale'");
    assert_string_equal(sql("SELECT count(*) FROM autoscale_decisions"), "0");
}

static void a_decision_comes_back_to_the_byte(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_decision_row d = decision(NOW, "out"), same = d, other = d;
    d.alarm = true;
    d.alarm_why = "at max";
    same.alarm = true;
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &d, &err), &err);
    const struct autoscale_decision_row got = load_decision(d.id);
    assert_string_equal(got.input, "{\"x\": -0.0, \"x\":1.10}");
    assert_string_equal(got.decision, "{ }");
    assert_string_equal(got.fleet, "hot");
    assert_string_equal(got.move, "out");
    assert_string_equal(got.why, "because");
    assert_string_equal(got.alarm_why, "at max");
    assert_true(got.alarm);
    assert_int_equal(got.at_ms, NOW);
    assert_int_equal(got.from, 48);
    assert_int_equal(got.to, 51);
    assert_int_equal(got.state, AUTOSCALE_DECISION_DECIDED);
    assert_null(got.report);
    assert_int_equal(got.plan_id, 0);
    assert_true(got.revision > 0);
    /* again: the same one; another for that time: no */
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &same, &err), &err);
    assert_int_equal(same.id, d.id);
    other.decision = "{}";
    assert_int_equal(autoscale_decision_put(stage.db, &stage.lease, &other, &err), PR_EEXISTS);
    assert_string_equal(sql("SELECT count(*) FROM autoscale_decisions"), "1");
    other.at_ms++;
    other.input = "{";
    assert_int_equal(autoscale_decision_put(stage.db, &stage.lease, &other, &err), PR_EINVAL);
    other.input = "{}";
    other.move = "sideways";
    assert_int_equal(autoscale_decision_put(stage.db, &stage.lease, &other, &err), PR_EINVAL);
    assert_int_equal(autoscale_decision_load(stage.db, &stage.arena, d.id + 1000, &other, &err),
                     PR_ENOTFOUND);
}

static void a_later_move_supersedes_what_is_not_finished(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    sql("TRUNCATE autoscale_decisions");
    const int64_t first = put_decision(NOW, "out"), held = put_decision(NOW + 1, "hold");
    assert_int_equal(load_decision(first).state,
                     AUTOSCALE_DECISION_DECIDED); /* holding leaves it be */
    assert_int_equal(load_decision(held).state, AUTOSCALE_DECISION_DONE);
    assert_ok(autoscale_decision_advance(stage.db, &stage.lease, first, AUTOSCALE_DECISION_ACTING,
                                         NULL, 0, &err),
              &err);
    const int64_t second = put_decision(NOW + 2, "in");
    assert_int_equal(load_decision(first).state, AUTOSCALE_DECISION_SUPERSEDED);
    assert_int_equal(load_decision(second).state, AUTOSCALE_DECISION_DECIDED);
    assert_int_equal(load_decision(held).state, AUTOSCALE_DECISION_DONE);
    put_decision(NOW - 5, "out"); /* an earlier time, stored late */
    assert_int_equal(load_decision(second).state, AUTOSCALE_DECISION_DECIDED);
    struct autoscale_decision_row elsewhere = decision(NOW + 9, "out");
    elsewhere.fleet = "proxies";
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &elsewhere, &err), &err);
    assert_int_equal(load_decision(second).state, AUTOSCALE_DECISION_DECIDED);
    assert_int_equal(autoscale_decision_advance(stage.db, &stage.lease, first,
                                                AUTOSCALE_DECISION_DONE, NULL, 0, &err),
                     PR_ECONFLICT);
    assert_non_null(strstr(err.text, "superseded"));
}

static void every_state_and_every_step(void **state)
{
    (void)state;
    static const bool allowed[AUTOSCALE_DECISION_STATES][AUTOSCALE_DECISION_STATES] = {
        /* to: decided, acting, done, failed, superseded */
        { true, true, false, true, true },    /* decided */
        { false, true, true, true, true },    /* acting */
        { false, false, true, false, false }, /* done */
        { false, false, false, true, false }, /* failed */
        { false, false, false, false, true }, /* superseded */
    };
    const int64_t id = put_decision(NOW + 100, "out");
    for (int from = 0; from < AUTOSCALE_DECISION_STATES; from++)
        for (int to = 0; to < AUTOSCALE_DECISION_STATES; to++) {
            char text[160];
            struct pr_err err = { 0 };
            snprintf(
                text, sizeof text, "UPDATE autoscale_decisions SET state = '%s' WHERE id = %lld",
                autoscale_decision_state_name((enum autoscale_decision_state)from), (long long)id);
            sql(text);
            const enum pr_code rc = autoscale_decision_advance(
                stage.db, &stage.lease, id, (enum autoscale_decision_state)to, NULL, 0, &err);
            assert_int_equal(rc, allowed[from][to] ? PR_OK : PR_ECONFLICT);
            assert_int_equal(load_decision(id).state, allowed[from][to] ? to : from);
        }
    struct pr_err err = { 0 };
    enum autoscale_decision_state s;
    assert_int_equal(autoscale_decision_advance(stage.db, &stage.lease, id + 99,
                                                AUTOSCALE_DECISION_ACTING, NULL, 0, &err),
                     PR_ENOTFOUND);
    assert_int_equal(autoscale_decision_state_parse("gone", &s, &err), PR_EINVAL);
}

static void reports_and_plans_are_kept_until_there_are_others(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const int64_t id = put_decision(NOW + 200, "out");
    assert_ok(autoscale_decision_advance(stage.db, &stage.lease, id, AUTOSCALE_DECISION_ACTING,
                                         "{\"told\": 51}", 7, &err),
              &err);
    assert_ok(autoscale_decision_advance(stage.db, &stage.lease, id, AUTOSCALE_DECISION_ACTING,
                                         NULL, 0, &err),
              &err);
    assert_string_equal(load_decision(id).report, "{\"told\": 51}");
    assert_int_equal(load_decision(id).plan_id, 7);
    assert_ok(autoscale_decision_advance(stage.db, &stage.lease, id, AUTOSCALE_DECISION_DONE,
                                         "{\"is\": 51}", 0, &err),
              &err);
    assert_string_equal(load_decision(id).report, "{\"is\": 51}");
    assert_int_equal(load_decision(id).plan_id, 7);
}

static void pages_go_back_in_time(void **state)
{
    (void)state;
    struct autoscale_decision_row *row;
    size_t n, seen = 0, pages = 0;
    struct pr_err err = { 0 };
    sql("TRUNCATE autoscale_decisions");
    for (int i = 0; i < 10; i++)
        put_decision(NOW + i, i % 2 == 0 ? "hold" : "out");
    struct autoscale_decision_page page = { .fleet = "hot", .limit = 4 };
    int64_t last = INT64_MAX;
    do {
        assert_ok(autoscale_decision_list(stage.db, &stage.arena, &page, &row, &n, &err), &err);
        for (size_t i = 0; i < n; i++) {
            assert_true(row[i].id < last);
            assert_null(row[i].input);
            last = row[i].id;
        }
        page.before_id = last;
        seen += n;
        pages += n > 0;
    } while (n > 0);
    assert_int_equal(seen, 10);
    assert_int_equal(pages, 3);
    page = (struct autoscale_decision_page){ .limit = 1000, .moves_only = true };
    assert_ok(autoscale_decision_list(stage.db, &stage.arena, &page, &row, &n, &err), &err);
    assert_int_equal(n, 5);
    page.open_only = true;
    assert_ok(autoscale_decision_list(stage.db, &stage.arena, &page, &row, &n, &err), &err);
    assert_int_equal(n, 1); /* each superseded the one before */
    assert_int_equal(row[0].at_ms, NOW + 9);
    page.limit = 1001;
    assert_int_equal(autoscale_decision_list(stage.db, &stage.arena, &page, &row, &n, &err),
                     PR_EINVAL);
}

/* Decision, what is carried on, the action and the event are one transaction. */
static void moving_decision_is_an_action_and_an_event(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    const struct autoscale_state after = { 51, "[]", NOW, NULL };
    sql("TRUNCATE autoscale_decisions, autoscale_actions, autoscale_state, outbox");
    struct autoscale_decision_row d = decision(NOW, "out");
    d.from = 48;
    d.to = 51;
    d.after = &after;
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &d, &err), &err);
    assert_string_equal(sql("SELECT from_instances || ' ' || to_instances || ' ' || (decision_id = "
                            "(SELECT max(id) FROM autoscale_decisions)) FROM autoscale_actions"),
                        "48 51 true");
    assert_string_equal(sql("SELECT desired FROM autoscale_state"), "51");
    assert_string_equal(sql("SELECT string_agg(subject, ' ') FROM outbox"),
                        "prism.evt.autoscale.decision");
    const int64_t first = d.id;
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &d, &err), &err); /* again */
    assert_string_equal(sql("SELECT count(*) FROM outbox"), "1");

    d = decision(NOW + 1, "in");
    d.advice = true;
    assert_ok(autoscale_decision_put(stage.db, &stage.lease, &d, &err), &err);
    assert_int_equal(d.state, AUTOSCALE_DECISION_DONE);
    assert_int_equal(load_decision(first).state, AUTOSCALE_DECISION_DECIDED);
    assert_string_equal(sql("SELECT count(*) FROM autoscale_actions"), "1");

    sql("TRUNCATE outbox");
    assert_ok(autoscale_decision_advance(stage.db, &stage.lease, first, AUTOSCALE_DECISION_ACTING,
                                         "{}", 0, &err),
              &err);
    assert_ok(autoscale_decision_advance(stage.db, &stage.lease, first, AUTOSCALE_DECISION_ACTING,
                                         "{\"is\": 1}", 0, &err),
              &err); /* the report alone: no event */
    assert_string_equal(sql("SELECT count(*) FROM outbox"), "1");
    put_decision(NOW + 2, "out"); /* and supersedes: two events */
    assert_string_equal(sql("SELECT count(*) FROM outbox"), "3");
}

static void old_ones_are_forgotten_but_not_open_ones(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    int64_t deleted = -1;
    sql("TRUNCATE autoscale_decisions, autoscale_actions");
    put_decision(NOW - 30 * DAY - 1, "hold");
    put_decision(NOW - 30 * DAY, "hold");
    const int64_t open = put_decision(NOW - 40 * DAY, "out");
    const struct autoscale_action old = { NOW - 31 * DAY, 1, 2 }, young = { NOW - DAY, 2, 3 };
    assert_ok(autoscale_action_put(stage.db, &stage.lease, "hot", &old, open, &err), &err);
    assert_ok(autoscale_action_put(stage.db, &stage.lease, "hot", &young, 0, &err), &err);
    assert_ok(autoscale_decisions_forget(stage.db, &stage.lease, NOW, 0, &deleted, &err), &err);
    assert_int_equal(deleted, 0);
    assert_ok(autoscale_decisions_forget(stage.db, &stage.lease, NOW, 30, &deleted, &err), &err);
    assert_int_equal(deleted, 3); /* the open one's own action is old, too */
    assert_int_equal(load_decision(open).state, AUTOSCALE_DECISION_DECIDED);
    assert_string_equal(sql("SELECT count(*) FROM autoscale_actions"), "1");

    /* By a clock that is a year ahead of the database's nothing is older than it is. */
    const int64_t today =
        strtoll(sql("SELECT (extract(epoch FROM now()) * 1000)::bigint"), NULL, 10);
    const struct autoscale_action recent = { today - DAY, 2, 3 };
    put_decision(today - DAY, "hold");
    assert_ok(autoscale_action_put(stage.db, &stage.lease, "hot", &recent, 0, &err), &err);
    assert_ok(
        autoscale_decisions_forget(stage.db, &stage.lease, today + 365 * DAY, 30, &deleted, &err),
        &err);
    assert_string_equal(sql("SELECT (SELECT count(*) FROM autoscale_decisions WHERE at > now() - "
                            "interval '2 days') + (SELECT count(*) FROM autoscale_actions)"),
                        "2");
}

static void actions_and_state(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_action *a, x = { NOW, 48, 51 };
    struct autoscale_state s = { 51, "{\"m\": -0.0}", NOW, "{\"at_ms\": 7}" };
    size_t n;
    sql("TRUNCATE autoscale_actions, autoscale_state");
    assert_ok(autoscale_action_put(stage.db, &stage.lease, "hot", &x, 3, &err), &err);
    x.to = 99;
    assert_ok(autoscale_action_put(stage.db, &stage.lease, "hot", &x, 3, &err),
              &err); /* changes nothing */
    assert_ok(autoscale_actions_load(stage.db, &stage.arena, "hot", NOW - 1, NOW, &a, &n, &err),
              &err);
    assert_int_equal(n, 1);
    assert_int_equal(a[0].to, 51);
    assert_ok(autoscale_actions_load(stage.db, &stage.arena, "hot", NOW, NOW + 1, &a, &n, &err),
              &err);
    assert_int_equal(n, 0);

    assert_int_equal(autoscale_state_load(stage.db, &stage.arena, "hot", &s, &err), PR_ENOTFOUND);
    assert_ok(autoscale_state_put(stage.db, &stage.lease, "hot", &s, &err), &err);
    const struct autoscale_state before = { 1, "{}", NOW - 1, NULL };
    assert_ok(autoscale_state_put(stage.db, &stage.lease, "hot", &before, &err), &err);
    assert_ok(autoscale_state_load(stage.db, &stage.arena, "hot", &s, &err), &err);
    assert_int_equal(s.desired, 51);
    assert_string_equal(s.memory, "{\"m\": -0.0}");
    assert_int_equal(s.evaluated_ms, NOW);
    assert_string_equal(s.members, "{\"at_ms\": 7}");
    s.members = NULL;
    assert_ok(autoscale_state_put(stage.db, &stage.lease, "hot", &s, &err), &err);
    assert_ok(autoscale_state_load(stage.db, &stage.arena, "hot", &s, &err), &err);
    assert_null(s.members);
    assert_int_equal(autoscale_state_put(stage.db, &stage.lease, "nosuch", &before, &err),
                     PR_ECONFLICT);
}

/* --- settings ------------------------------------------------------------ */

static enum pr_code save(struct pr_db *by, const char *fleet, const char *settings, int64_t seen,
                         int64_t *version, struct pr_err *err)
{
    const struct autoscale_policy_change c = {
        .fleet = fleet, .settings = settings, .enabled = true, .by = "ann", .if_version = seen
    };
    return autoscale_policy_save(by, &c, version, err);
}

static void settings_have_versions_and_none_is_lost(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    struct autoscale_policy_row row, *rows;
    int64_t v = 0;
    size_t n;
    assert_ok(save(stage.api, "tier", "{\"min\": 48}", 0, &v, &err), &err);
    assert_int_equal(v, 1);
    assert_int_equal(save(stage.api, "tier", "{}", 0, &v, &err), PR_EEXISTS);
    assert_ok(save(stage.api, "tier", "{\"min\": 60}", 1, &v, &err), &err);
    assert_int_equal(v, 2);
    assert_int_equal(save(stage.api, "tier", "{\"min\": 70}", 1, &v, &err), PR_ECONFLICT);
    assert_non_null(strstr(err.text, "version 2 holds, not 1"));
    assert_ok(save(stage.api, "tier", "{\"min\":60}", 2, &v, &err),
              &err); /* the same: no new version */
    assert_int_equal(v, 2);
    assert_int_equal(save(stage.api, "nosuch", "{}", 1, &v, &err), PR_ENOTFOUND);
    assert_int_equal(save(stage.api, "tier", "{", 2, &v, &err), PR_EINVAL);
    assert_int_equal(save(stage.api, "tier", "[]", 2, &v, &err), PR_ECONFLICT);
    assert_int_equal(save(stage.api, "Bad Name", "{}", 0, &v, &err), PR_ECONFLICT);

    assert_ok(autoscale_policy_load(stage.db, &stage.arena, "tier", 0, &row, &err), &err);
    assert_int_equal(row.version, 2);
    assert_string_equal(row.settings, "{\"min\": 60}");
    assert_string_equal(row.changed_by, "ann");
    assert_true(row.enabled && row.changed_ms > NOW);
    assert_ok(autoscale_policy_load(stage.db, &stage.arena, "tier", 1, &row, &err), &err);
    assert_string_equal(row.settings, "{\"min\": 48}");
    assert_int_equal(autoscale_policy_load(stage.db, &stage.arena, "tier", 3, &row, &err),
                     PR_ENOTFOUND);
    assert_int_equal(autoscale_policy_load(stage.db, &stage.arena, "nosuch", 0, &row, &err),
                     PR_ENOTFOUND);

    const struct autoscale_policy_change off = { "tier", "{\"min\": 60}", false, "bob", 2 };
    assert_ok(autoscale_policy_save(stage.api, &off, &v, &err), &err);
    assert_int_equal(v, 3);
    assert_ok(autoscale_policy_history(stage.db, &stage.arena, "tier", 0, 10, &rows, &n, &err),
              &err);
    assert_int_equal(n, 3);
    assert_int_equal(rows[0].version, 3);
    assert_false(rows[0].enabled);
    assert_string_equal(rows[0].changed_by, "bob");
    assert_ok(autoscale_policy_history(stage.db, &stage.arena, "tier", 3, 1, &rows, &n, &err),
              &err);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].version, 2);
    assert_ok(autoscale_policies_list(stage.db, &stage.arena, NULL, 2, &rows, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(rows[0].fleet, "hot");
    assert_ok(autoscale_policies_list(stage.db, &stage.arena, rows[1].fleet, 2, &rows, &n, &err),
              &err);
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].fleet, "tier");
}

static void a_version_number_is_never_given_out_again(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    int64_t v = 0;
    sql("DELETE FROM autoscale_fleets WHERE name = 'tier'");
    assert_ok(save(stage.api, "tier", "{}", 0, &v, &err), &err);
    assert_int_equal(v, 4);
}

static void each_role_may_do_its_own_and_no_more(void **state)
{
    (void)state;
    struct pr_err err = { 0 };
    static const struct {
        bool as_api;
        const char *sql;
        bool allowed;
    } row[] = {
        { true, "SELECT count(*) FROM autoscale_decisions", true },
        { true, "SELECT count(*) FROM autoscale_readings", true },
        { true, "SELECT count(*) FROM autoscale_state", true },
        { true, "UPDATE autoscale_fleets SET version = 9", false },
        { true, "DELETE FROM autoscale_fleets", false },
        { true, "INSERT INTO autoscale_settings SELECT * FROM autoscale_settings", false },
        { true, "UPDATE autoscale_settings SET changed_by = 'x'", false },
        { true, "UPDATE autoscale_decisions SET state = 'done'", false },
        { true, "SELECT autoscale_partitions('autoscale_samples', now(), 1, '7 days')", false },
        { false, "SELECT count(*) FROM autoscale_settings", true },
        { false, "SELECT count(*) FROM nodes, zones, plans", true },
        { false, "INSERT INTO audit (principal, action, resource) VALUES ('x', 'y', 'z')", true },
        { false, "INSERT INTO outbox (subject, payload) VALUES ('prism.evt.x', '')", true },
        { false, "UPDATE autoscale_fleets SET settings = '{}'", false },
        { false, "UPDATE autoscale_decisions SET input = '{}'", false },
        { false, "UPDATE autoscale_decisions SET decision = '{}'", false },
        { false, "UPDATE autoscale_readings SET cpu_pct = 0", false },
        { false, "DELETE FROM autoscale_samples WHERE false", true }, /* of the future */
        { true, "DELETE FROM autoscale_samples WHERE false", false },
        { false, "DELETE FROM autoscale_settings", false },
        { false, "DROP TABLE autoscale_readings", false },
        { false, "CREATE TABLE mine (x int)", false },
        { false, "UPDATE plans SET goal = '{}'", false },
        { false, "UPDATE nodes SET host = 'x'", false },
        { false, "SELECT * FROM api_tokens", false },
        { false, "SELECT * FROM audit", false },
    };
    for (size_t i = 0; i < PR_COUNT(row); i++) {
        const enum pr_code rc =
            pr_db_exec(row[i].as_api ? stage.api : stage.db, row[i].sql, NULL, 0, NULL, &err);
        if (rc != (row[i].allowed ? PR_OK : PR_EDENIED))
            fail_msg("%s: %s (%s)", row[i].sql, pr_code_name(rc), err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_lost_the_lease_writes_nothing),
        cmocka_unit_test(a_decision_comes_back_to_the_byte),
        cmocka_unit_test(a_later_move_supersedes_what_is_not_finished),
        cmocka_unit_test(every_state_and_every_step),
        cmocka_unit_test(reports_and_plans_are_kept_until_there_are_others),
        cmocka_unit_test(pages_go_back_in_time),
        cmocka_unit_test(moving_decision_is_an_action_and_an_event),
        cmocka_unit_test(old_ones_are_forgotten_but_not_open_ones),
        cmocka_unit_test(actions_and_state),
        cmocka_unit_test(settings_have_versions_and_none_is_lost),
        cmocka_unit_test(a_version_number_is_never_given_out_again),
        cmocka_unit_test(each_role_may_do_its_own_and_no_more),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
