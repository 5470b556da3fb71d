"""The second and third wall, read from PostgreSQL's catalogue: no table, key, view or role may have slipped through."""

import pytest
from django.conf import settings
from django.db import connection, connections, transaction

from apps.core.checks import role_errors

pytestmark = pytest.mark.django_db

TENANT_TABLES = """
SELECT pg_class.oid, relname, relispartition, relrowsecurity AND relforcerowsecurity AS is_forced
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = 'public' AND relkind IN ('r', 'p')
  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id' AND NOT attisdropped)
"""
UNFORCED = f"SELECT relname FROM ({TENANT_TABLES}) AS t WHERE NOT is_forced ORDER BY 1"
WITHOUT_POLICIES = f"""
SELECT relname FROM ({TENANT_TABLES}) AS t WHERE NOT relispartition AND ARRAY['system_rows', 'tenant_rows'] <> ARRAY(
    SELECT polname::text FROM pg_policy WHERE polrelid = t.oid AND polqual IS NOT NULL AND polwithcheck IS NOT NULL ORDER BY 1
) ORDER BY 1
"""
LOOSE_POLICIES = """
SELECT tablename, policyname, roles::text, qual FROM pg_policies WHERE schemaname = 'public' AND NOT (
    policyname = 'tenant_rows' AND roles = '{{public}}' AND qual = with_check AND permissive = 'PERMISSIVE'
    AND qual = '(tenant_id = ( SELECT (NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid AS "nullif"))'
    OR policyname = 'system_rows' AND roles = ARRAY['{system}'::name]
) ORDER BY 1
"""
KEYS_WITHOUT_TENANT = f"""
WITH tenant_table AS ({TENANT_TABLES})
SELECT source.relname, constraint_row.conname FROM pg_constraint AS constraint_row
JOIN tenant_table AS source ON source.oid = conrelid
JOIN tenant_table AS target ON target.oid = confrelid
WHERE contype = 'f' AND NOT EXISTS (
    SELECT FROM unnest(conkey) AS number JOIN pg_attribute ON attrelid = conrelid AND attnum = number
    WHERE attname = 'tenant_id'
) ORDER BY 1, 2
"""
LEAKING_VIEWS = """
SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = 'public' AND (relkind = 'm'
   OR relkind = 'v' AND NOT coalesce(reloptions, '{}') && ARRAY['security_invoker=true', 'security_invoker=on']) ORDER BY 1
"""
DEFINER_FUNCTIONS = """
SELECT proname FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname = 'public' AND prosecdef
  AND NOT (proname = ANY ({known}) AND 'search_path=public, pg_temp' = ANY (proconfig)
           AND NOT has_function_privilege('public', pg_proc.oid, 'EXECUTE')) ORDER BY 1
"""
# Run as the owner of the tables, take a number only, fix their search path, and may be called by our roles alone.
KNOWN_DEFINERS = {
    "checks_make_partitions": "the product's roles may not create tables",
    "checks_drop_partitions": "the product's roles may not drop tables",
}
HOLES = """
CREATE TABLE hole_open (id uuid PRIMARY KEY, tenant_id uuid);
CREATE TABLE hole_key (id uuid PRIMARY KEY, tenant_id uuid, open_id uuid REFERENCES hole_open);
ALTER TABLE hole_key ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON hole_key USING (true) WITH CHECK (true);
CREATE POLICY system_rows ON hole_key TO public USING (true) WITH CHECK (true);
CREATE VIEW hole_view AS SELECT * FROM hole_key;
CREATE FUNCTION hole_function() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
"""


def names(sql: str, alias: str = "default") -> list[str]:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]


def loose_policies() -> str:
    return LOOSE_POLICIES.format(system=settings.DB_SYSTEM_ROLE)


def definer_functions() -> str:
    return DEFINER_FUNCTIONS.format(known=f"ARRAY{list(KNOWN_DEFINERS)}::name[]")


def test_there_are_tenant_tables_to_judge() -> None:
    assert "tenants_membership" in names(f"SELECT relname FROM ({TENANT_TABLES}) AS t")


def test_every_tenant_table_forces_row_level_security() -> None:
    assert names(UNFORCED) == []


def test_every_tenant_table_has_both_policies_and_no_other() -> None:
    assert names(WITHOUT_POLICIES) == []
    assert names(loose_policies()) == []


def test_every_key_between_tenant_tables_includes_the_tenant() -> None:
    assert names(KEYS_WITHOUT_TENANT) == []


def test_no_view_or_function_runs_with_its_owners_rights() -> None:
    assert names(LEAKING_VIEWS) == []
    assert names(definer_functions()) == []


def test_no_role_of_the_product_passes_by_the_walls() -> None:
    assert role_errors(connection) == []


@pytest.mark.django_db(databases=["default", "owner"])
def test_planted_holes_are_found() -> None:
    found: dict[str, list[str]] = {}
    with transaction.atomic(using="owner"):
        with connections["owner"].cursor() as cursor:
            cursor.execute(HOLES)
        for sql in (
            UNFORCED,
            WITHOUT_POLICIES,
            loose_policies(),
            KEYS_WITHOUT_TENANT,
            LEAKING_VIEWS,
            definer_functions(),
        ):
            found[sql] = names(sql, "owner")
        transaction.set_rollback(True, using="owner")

    assert list(found.values()) == [
        ["hole_open"],
        ["hole_open"],
        ["hole_key", "hole_key"],
        ["hole_key"],
        ["hole_view"],
        ["hole_function"],
    ]
