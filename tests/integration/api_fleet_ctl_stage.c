#include "api_fleet_ctl_stage.h"

#include <string.h>

/* A plan is proposed with steps (moves of them) once it is asked for, and done
 * once it is executed; what is drained or replaced is gone then. refuse: words. */
static const char planner[] =
    "CREATE OR REPLACE FUNCTION it_plan() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF NEW.kind = 'rebalance.plan' THEN "
    "INSERT INTO steps (plan_id, step, wave, kind, slot, src_node, dst_node, bytes, why) "
    "SELECT split_part(NEW.resource, '/', 3)::bigint, i, 1, 'slot', i, 'n1', 'n2', 1000, 'it' "
    "FROM generate_series(1, (SELECT moves FROM it_orders)) i; "
    "UPDATE plans SET state = CASE WHEN (SELECT refuse FROM it_orders) IS NULL THEN 'proposed' "
    "ELSE 'failed' END, error = (SELECT refuse FROM it_orders), summary = "
    "'{\"goal\": \"it\", \"steps\": 3, \"kinds\": {\"slot\": 3}, \"slots\": 3, \"bytes\": "
    "1300000000, "
    "\"copied_bytes\": 2600000000, \"cross_zone_bytes\": 1300000000, \"waves\": 1, "
    "\"duration_s\": 95, \"uneven_before\": 0.31, \"uneven_after\": 0.04, \"open_slots\": 0, "
    "\"hot_before\": null, \"hot_after\": null, "
    "\"gain\": {\"cross_share_before\": null, \"saved_usd_per_month\": 0.0, \"saved_usd\": 0.0, "
    "\"rezoned_slots\": 0, \"run_id\": null}, "
    "\"verdict\": {\"worth_it\": true, \"why\": \"more even\", \"move_usd\": 0.013, "
    "\"horizon_days\": 30}, "
    "\"more_notes\": 4, \"notes\": [{\"slot\": 17, \"text\": \"is pinned\"}]}' "
    "WHERE id = split_part(NEW.resource, '/', 3)::bigint; "
    "NEW.state := CASE WHEN (SELECT refuse FROM it_orders) IS NULL THEN 'done' ELSE 'failed' END; "
    "NEW.error := (SELECT refuse FROM it_orders); END IF; "
    "IF NEW.kind = 'rebalance.execute' AND (SELECT carries_out FROM it_orders) THEN "
    "NEW.state := 'done'; NEW.progress_ratio := 1; END IF; RETURN NEW; END $$";
static const char executor[] =
    "CREATE OR REPLACE FUNCTION it_execute() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF NEW.state = 'approved' AND NEW.execute_operation_id IS NOT NULL AND "
    "(SELECT carries_out FROM it_orders) THEN "
    "NEW.state := 'done'; NEW.started_at := now(); "
    "UPDATE steps SET state = 'verified' WHERE plan_id = NEW.id; "
    "UPDATE nodes SET state = 'gone', slots = 0 WHERE (NEW.goal->>'kind' = 'drain' AND "
    "NEW.goal->'nodes' ? id) OR (NEW.goal->>'kind' = 'replace' AND id = NEW.goal->>'node'); "
    "UPDATE nodes SET state = 'up', role = 'replica' WHERE NEW.goal->>'kind' = 'join' AND "
    "NEW.goal->'nodes' ? id; END IF; RETURN NEW; END $$";

void fleet_orders(int moves, bool carries_out, const char *refuse)
{
    api_sql("UPDATE it_orders SET moves = %d, carries_out = %s, refuse = nullif('%s', '')", moves,
            carries_out ? "true" : "false", refuse == NULL ? "" : refuse);
}

int fleet_setup(void **state)
{
    char out[64];
    int rc = api_small_setup(state);
    api_sql("CREATE TABLE it_orders (moves int, carries_out boolean, refuse text)");
    api_sql("INSERT INTO it_orders VALUES (3, true, NULL)");
    api_sql("GRANT SELECT ON it_orders TO PUBLIC");
    it_sql(fx.uri, planner, out, sizeof out);
    it_sql(fx.uri, executor, out, sizeof out);
    api_sql("ALTER FUNCTION it_plan() SECURITY DEFINER");
    api_sql("ALTER FUNCTION it_execute() SECURITY DEFINER");
    api_sql("CREATE TRIGGER it_plan BEFORE INSERT ON operations FOR EACH ROW EXECUTE FUNCTION "
            "it_plan()");
    api_sql("CREATE TRIGGER it_execute BEFORE UPDATE ON plans FOR EACH ROW EXECUTE FUNCTION "
            "it_execute()");
    return rc;
}
