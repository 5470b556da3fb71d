from django.apps.registry import Apps
from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# A check is judged again at the moment when one of its regions has been unable to measure for too long. Of regions that have
# been so since before anybody looked for it, that moment is past: they are counted from their last result, and it comes again.
# Rivals: probers and people, who lock turns in this order, too.
BEGIN_ANEW = """
WITH blind AS MATERIALIZED (
    SELECT turn.check_id, turn.region_id
    FROM checks_turn AS turn JOIN checks_check AS watched ON watched.id = turn.check_id
    WHERE turn.tenant_id = %(tenant)s AND turn.last_verdict = %(unknown)s AND turn.run_since_at < turn.last_result_at
      AND cardinality(watched.regions) > 1
    ORDER BY turn.check_id, turn.region_id FOR NO KEY UPDATE OF turn
)
UPDATE checks_turn AS turn SET run_since_at = turn.last_result_at
FROM blind WHERE turn.check_id = blind.check_id AND turn.region_id = blind.region_id
"""
UNKNOWN = 3  # what `Verdict.UNKNOWN` was when this was written


def begin_anew(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Work through the tenants, each by itself: nobody waits for long, and the owner sees the rows of an open tenant alone."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenants_tenant")
        for (tenant,) in cursor.fetchall():
            with transaction.atomic(using=connection.alias):
                cursor.execute("SET LOCAL lock_timeout = '5s'")
                cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant)])
                cursor.execute(BEGIN_ANEW, {"tenant": tenant, "unknown": UNKNOWN})


class Migration(migrations.Migration):
    atomic = False  # a start that was killed goes on where it stopped

    dependencies = [
        ("checks", "0018_regions_tell_of_controls"),
    ]

    operations = [
        migrations.RunPython(begin_anew, migrations.RunPython.noop),
    ]
