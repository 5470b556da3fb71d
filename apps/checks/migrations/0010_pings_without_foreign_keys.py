import django.db.models.deletion
from django.db import migrations

import apps.core.tenancy

# PostgreSQL asks two tables about each new row of a table with two foreign keys, which was a third of what a ping cost it.
# A ping is only added by who holds the lock of its heartbeat, and what goes with a deleted heartbeat is deleted here, after
# its lock was had: a statement in a trigger sees all that was committed until then.
DROP_KEYS = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'checks_ping'::regclass AND contype = 'f' LOOP
        EXECUTE format('ALTER TABLE checks_ping DROP CONSTRAINT %I', name);
    END LOOP;
END $$;
"""
DELETE_WITH_HEARTBEAT = """
CREATE FUNCTION checks_forget_pings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM checks_ping AS ping USING gone WHERE ping.check_id = gone.check_id;
    RETURN NULL;
END $$;

CREATE TRIGGER checks_heartbeat_forget_pings AFTER DELETE ON checks_heartbeat
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION checks_forget_pings();
"""
KEEP_WITHOUT_HEARTBEAT = """
DROP TRIGGER checks_heartbeat_forget_pings ON checks_heartbeat;
DROP FUNCTION checks_forget_pings();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("checks", "0009_index_of_groups"),
        ("tenants", "0002_invitation_letters"),
    ]

    operations = [
        migrations.RunSQL(DELETE_WITH_HEARTBEAT, KEEP_WITHOUT_HEARTBEAT),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(DROP_KEYS, migrations.RunSQL.noop)],
            state_operations=[
                migrations.AlterField(
                    model_name="ping",
                    name="watched",
                    field=apps.core.tenancy.TenantForeignKey(
                        db_column="check_id",
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="checks.check",
                    ),
                ),
                migrations.AlterField(
                    model_name="ping",
                    name="tenant",
                    field=apps.core.tenancy.TenantKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
    ]
