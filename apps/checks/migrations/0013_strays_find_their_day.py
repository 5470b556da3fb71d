from django.db import migrations

# Results of a day that had no partition yet (a machine that was off for a week, a clock that was wrong) lie in the default
# one, and PostgreSQL then refuses to make that day's: they go there with it. Row-level security is forced on the owner, too,
# so the default one is opened to its owner while they are taken out; the transaction holds it for itself alone meanwhile.
MAKE = """
CREATE OR REPLACE FUNCTION checks_make_partitions(days_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
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
    END LOOP;
    ALTER TABLE checks_result_default FORCE ROW LEVEL SECURITY;
    RETURN made;
END $$;

ALTER FUNCTION checks_drop_partitions(integer) SET search_path = public, pg_temp;
"""
MAKE_AS_BEFORE = """
CREATE OR REPLACE FUNCTION checks_make_partitions(days_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE day date; made integer := 0; name text;
BEGIN
    FOR day IN SELECT generate_series(current_date - 1, current_date + days_ahead, interval '1 day')::date LOOP
        name := 'checks_result_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I PARTITION OF checks_result FOR VALUES FROM (%L) TO (%L)',
                       name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

ALTER FUNCTION checks_drop_partitions(integer) SET search_path = public;
"""


class Migration(migrations.Migration):
    dependencies = [("checks", "0012_agents_own_words")]

    operations = [migrations.RunSQL(MAKE, MAKE_AS_BEFORE)]
