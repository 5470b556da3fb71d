from django.apps.registry import Apps
from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# What the release before let out of maintenance as unknown, and waited for no report of: jobs that had been down before. With
# a deadline the sweep judges them. A job that was resumed has reported nothing since, and is waited for still.
# Rivals: pings, the sweep, people. The state before the heartbeat, in the order of ids, as they lock them.
AWAKEN = """
WITH stuck AS MATERIALIZED (
    SELECT beat.check_id
    FROM checks_heartbeat AS beat JOIN checks_checkstate AS standing ON standing.check_id = beat.check_id
    WHERE beat.tenant_id = %(tenant)s AND standing.state = 'unknown' AND beat.last_ping_at IS NOT NULL
      AND beat.deadline_at IS NULL AND NOT beat.is_doubtful
    ORDER BY beat.check_id FOR UPDATE OF standing FOR UPDATE OF beat
)
UPDATE checks_heartbeat AS beat SET deadline_at = now() FROM stuck WHERE beat.check_id = stuck.check_id
"""


def awaken(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Work through the tenants, each by itself: nobody waits for long, and the owner sees the rows of an open tenant alone."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenants_tenant")
        for (tenant,) in cursor.fetchall():
            with transaction.atomic(using=connection.alias):
                cursor.execute("SET LOCAL lock_timeout = '5s'")
                cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant)])
                cursor.execute(AWAKEN, {"tenant": tenant})


class Migration(migrations.Migration):
    atomic = False  # a start that was killed goes on where it stopped: what is awake is not touched again

    dependencies = [
        ("checks", "0016_runs_find_their_start"),
    ]

    operations = [
        migrations.RunPython(awaken, migrations.RunPython.noop),
    ]
