import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checks", "0010_pings_without_foreign_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="turn",
            name="runs",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), null=True, size=None),
        ),
        # The column stays while processes of the release before write it; a later release drops it.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField(model_name="checkstate", name="false_failure_ratio")],
        ),
    ]
