from django.db import migrations, models

# A ping moves its heartbeat's deadline. While that stood in an index, PostgreSQL wrote the row's entries in every index with
# each ping. What stands in one now is `wake_at`: when the sweep has to look, never later than the deadline. It follows the
# deadline where it would be later, and where it has fallen so far behind that the sweep would look in vain. A trigger sees
# to that, so that it holds for processes of the release before, too.
WAKE = """
ALTER TABLE checks_heartbeat SET (fillfactor = 70);
ALTER TABLE checks_heartbeat NO FORCE ROW LEVEL SECURITY; -- the owner has no tenant open, and would change nothing
UPDATE checks_heartbeat SET wake_at = deadline_at WHERE deadline_at IS NOT NULL;
ALTER TABLE checks_heartbeat FORCE ROW LEVEL SECURITY;

CREATE FUNCTION checks_set_alarm() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.wake_at := NEW.deadline_at;
    RETURN NEW;
END $$;

CREATE TRIGGER checks_heartbeat_set_alarm BEFORE INSERT OR UPDATE OF deadline_at, wake_at ON checks_heartbeat
FOR EACH ROW WHEN (NEW.deadline_at IS NOT NULL AND (
    NEW.wake_at IS NULL OR NEW.wake_at > NEW.deadline_at
    OR NEW.deadline_at - NEW.wake_at > NEW.wake_at - NEW.last_ping_at
)) EXECUTE FUNCTION checks_set_alarm();
"""
NO_WAKE = """
DROP TRIGGER checks_heartbeat_set_alarm ON checks_heartbeat;
DROP FUNCTION checks_set_alarm();
ALTER TABLE checks_heartbeat RESET (fillfactor);
"""

# What each batch of pings asks of the database. Functions, since these keep their plans: no other way to keep one goes
# through a pooler, and planning took a quarter of a batch's time. Keys are the way in, however many pings come.
PLANS = "SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off"
FUNCTIONS = f"""
-- The state before the heartbeat, in the order of ids: as people's changes and the sweep lock them.
CREATE FUNCTION checks_lock_heartbeats(tokens text[]) RETURNS TABLE (
    token varchar, check_id uuid, tenant_id uuid, version integer, state varchar, pings bigint, last_ping_at timestamptz,
    last_start_at timestamptz, last_start_run uuid, last_duration interval, deadline_at timestamptz, is_doubtful boolean
) LANGUAGE plpgsql {PLANS} AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT beat.token, beat.check_id, beat.tenant_id, watched.version, standing.state, beat.pings, beat.last_ping_at,
           beat.last_start_at, beat.last_start_run, beat.last_duration, beat.deadline_at, beat.is_doubtful
    FROM checks_heartbeat AS beat
    JOIN checks_checkstate AS standing ON standing.check_id = beat.check_id
    JOIN checks_check AS watched ON watched.id = beat.check_id
    WHERE beat.token = ANY (tokens)
    ORDER BY beat.check_id FOR UPDATE OF standing FOR UPDATE OF beat;
END $$;

-- One array per column; a check's last ping brings what its heartbeat is then.
CREATE FUNCTION checks_keep_pings(
    check_ids uuid[], tenant_ids uuid[], numbers bigint[], ats timestamptz[], signals text[], exit_statuses smallint[],
    run_ids uuid[], durations interval[], methods text[], source_ips inet[], agents text[], body_sizes integer[],
    bodies bytea[], last_ping_ats timestamptz[], last_start_ats timestamptz[], last_start_runs uuid[],
    last_durations interval[], deadline_ats timestamptz[], are_doubtful boolean[]
) RETURNS void LANGUAGE plpgsql {PLANS} AS $$
BEGIN
    INSERT INTO checks_ping (check_id, number, tenant_id, at, signal, exit_status, run_id, duration, method, source_ip,
                             agent, body_bytes, body)
    SELECT * FROM unnest(check_ids, numbers, tenant_ids, ats, signals, exit_statuses, run_ids, durations, methods,
                         source_ips, agents, body_sizes, bodies);
    UPDATE checks_heartbeat AS beat
    SET pings = last.number, last_ping_at = last.last_ping_at, last_start_at = last.last_start_at,
        last_start_run = last.last_start_run, last_duration = last.last_duration, deadline_at = last.deadline_at,
        is_doubtful = last.is_doubtful
    FROM (
        SELECT DISTINCT ON (heard.check_id) *
        FROM unnest(check_ids, numbers, last_ping_ats, last_start_ats, last_start_runs, last_durations, deadline_ats,
                    are_doubtful)
            AS heard (check_id, number, last_ping_at, last_start_at, last_start_run, last_duration, deadline_at, is_doubtful)
        ORDER BY heard.check_id, heard.number DESC
    ) AS last
    WHERE beat.check_id = last.check_id;
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION checks_lock_heartbeats;
DROP FUNCTION checks_keep_pings;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("checks", "0013_strays_find_their_day"),
    ]

    operations = [
        migrations.AddField(
            model_name="heartbeat",
            name="wake_at",
            field=models.DateTimeField(
                help_text="When the sweep has to look: no later than the deadline. The database sets it.", null=True
            ),
        ),
        migrations.RunSQL(WAKE, NO_WAKE),
        migrations.RemoveIndex(model_name="heartbeat", name="checks_heartbeat_deadline"),
        migrations.AddIndex(
            model_name="heartbeat",
            index=models.Index(
                condition=models.Q(("wake_at__isnull", False)), fields=["wake_at"], name="checks_heartbeat_wake"
            ),
        ),
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
    ]
