from django.db import migrations

# Whoever waits for a row that an edit holds reads that row anew afterwards, and no other: a check's version was still the
# one of before, and the deadline that the edit had just set was overwritten by one of the old settings. Hence two
# statements: the second has a snapshot of its own, taken when all is held. `CREATE OR REPLACE` forgets a function's
# settings, so they are said again.
PLANS = "SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off"
SIGNATURE_OF_LOCK = f"""
CREATE OR REPLACE FUNCTION checks_lock_heartbeats(tokens text[]) RETURNS TABLE (
    token varchar, check_id uuid, tenant_id uuid, version integer, state varchar, pings bigint, last_ping_at timestamptz,
    last_start_at timestamptz, last_start_run uuid, last_duration interval, deadline_at timestamptz, is_doubtful boolean
) LANGUAGE plpgsql {PLANS} AS $$
#variable_conflict use_column
"""
READ = """
    RETURN QUERY
    SELECT beat.token, beat.check_id, beat.tenant_id, watched.version, standing.state, beat.pings, beat.last_ping_at,
           beat.last_start_at, beat.last_start_run, beat.last_duration, beat.deadline_at, beat.is_doubtful
    FROM checks_heartbeat AS beat
    JOIN checks_checkstate AS standing ON standing.check_id = beat.check_id
    JOIN checks_check AS watched ON watched.id = beat.check_id
"""
LOCK = f"""{SIGNATURE_OF_LOCK}
DECLARE held uuid[];
BEGIN
    -- The state before the heartbeat, in the order of ids: as people's changes and the sweep lock them.
    held := ARRAY(
        SELECT beat.check_id
        FROM checks_heartbeat AS beat JOIN checks_checkstate AS standing ON standing.check_id = beat.check_id
        WHERE beat.token = ANY (tokens)
        ORDER BY beat.check_id FOR UPDATE OF standing FOR UPDATE OF beat
    );
{READ} WHERE beat.check_id = ANY (held);
END $$;
"""  # noqa: S608 - constants of this module alone
LOCK_AS_BEFORE = f"""{SIGNATURE_OF_LOCK}
BEGIN
{READ} WHERE beat.token = ANY (tokens)
    ORDER BY beat.check_id FOR UPDATE OF standing FOR UPDATE OF beat;
END $$;
"""

# The partition for strays is looked at by its size, and what was deleted from it leaves that as it was: one stray result had
# the job lock all results at each of its rounds, for good. What is empty is emptied of its pages, too. And whoever waits for
# that lock holds up everybody who stores or reads results meanwhile: better none of it than for long, the job comes again.
BODY = """
DECLARE days date[]; day date; made integer := 0; name text;
BEGIN
    days := ARRAY(SELECT generate_series(current_date - 1, current_date + days_ahead, interval '1 day')::date);
    IF pg_relation_size('checks_result_default') = 0 AND NOT EXISTS (
        SELECT FROM unnest(days) AS each WHERE to_regclass('public.checks_result_' || to_char(each, 'YYYYMMDD')) IS NULL
    ) THEN
        RETURN 0;
    END IF;
    -- The parent first, as whoever reads or writes results.
    LOCK TABLE ONLY checks_result, ONLY checks_result_default IN ACCESS EXCLUSIVE MODE;
    ALTER TABLE checks_result_default NO FORCE ROW LEVEL SECURITY;
    days := ARRAY(SELECT unnest(days) UNION SELECT due_at::date FROM checks_result_default);
    FOREACH day IN ARRAY days LOOP
        name := 'checks_result_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        CREATE TEMPORARY TABLE strays (LIKE public.checks_result) ON COMMIT DROP;
        WITH gone AS (DELETE FROM checks_result_default WHERE due_at >= day AND due_at < day + 1 RETURNING *)
        INSERT INTO pg_temp.strays SELECT * FROM gone;
        EXECUTE format('CREATE TABLE public.%I PARTITION OF checks_result FOR VALUES FROM (%L) TO (%L)',
                       name, day::timestamptz, (day + 1)::timestamptz);
        EXECUTE format('INSERT INTO public.%I SELECT * FROM pg_temp.strays', name);
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        DROP TABLE pg_temp.strays;
        made := made + 1;
    END LOOP;{then}
    ALTER TABLE checks_result_default FORCE ROW LEVEL SECURITY;
    RETURN made;
END $$;
"""
SIGNATURE = """
CREATE OR REPLACE FUNCTION checks_make_partitions(days_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC'"""
THEN = """
    IF NOT EXISTS (SELECT FROM checks_result_default) THEN
        TRUNCATE ONLY checks_result_default;
    END IF;"""
PATIENCE = "SET lock_timeout = '3s'"
MAKE = f"""{SIGNATURE} {PATIENCE} AS $${BODY.replace("{then}", THEN)}
ALTER FUNCTION checks_drop_partitions(integer) {PATIENCE};
"""
MAKE_AS_BEFORE = f"""{SIGNATURE} AS $${BODY.replace("{then}", "")}
ALTER FUNCTION checks_drop_partitions(integer) RESET lock_timeout;
"""

# Heartbeats that nobody edited since periods are told in units say theirs as "1 day, 0:00:00" still: found by that alone.
# The owner has no tenant open, and would change nothing while row-level security is forced. Whoever reads the table for long,
# such as a dump, makes this start fail after a while instead of having everybody wait behind it.
RESPELL = r"""
SET LOCAL lock_timeout = '5s';
ALTER TABLE checks_check NO FORCE ROW LEVEL SECURITY;
UPDATE checks_check AS watched SET target = concat_ws(' ',
    nullif(coalesce(old.parts[1], '0')::integer, 0) || ' d', nullif(old.parts[2]::integer, 0) || ' h',
    nullif(old.parts[3]::integer, 0) || ' min', nullif(old.parts[4]::integer, 0) || ' s')
FROM (
    SELECT id, regexp_match(target, '^(?:(\d{1,3}) days?, )?(\d{1,2}):(\d\d):(\d\d)$') AS parts
    FROM checks_check WHERE kind = 'heartbeat'
) AS old
WHERE old.id = watched.id AND old.parts IS NOT NULL;
ALTER TABLE checks_check FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("checks", "0014_cheaper_pings"),
    ]

    operations = [
        migrations.RunSQL(LOCK, LOCK_AS_BEFORE),
        migrations.RunSQL(MAKE, MAKE_AS_BEFORE),
        migrations.RunSQL(RESPELL, migrations.RunSQL.noop),
    ]
