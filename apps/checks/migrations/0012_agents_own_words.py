import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checks", "0011_runs_of_failures"),
    ]

    operations = [
        migrations.AddField(
            model_name="agent",
            name="kinds",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=60),
                help_text="Which kinds of checks it runs.",
                null=True,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="agent",
            name="is_limited",
            field=models.BooleanField(help_text="Whether it has an allow-list.", null=True),
        ),
        migrations.AddField(
            model_name="agent",
            name="allow_list",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=80),
                help_text="What it may probe, where it tells.",
                null=True,
                size=None,
            ),
        ),
        # The database knows the defaults: processes of the release before insert agents without these columns.
        migrations.AddField(
            model_name="agent",
            name="lost",
            field=models.PositiveBigIntegerField(
                db_default=0, default=0, help_text="Turns whose time had passed before it could start them."
            ),
        ),
        migrations.AddField(
            model_name="agent",
            name="lost_at",
            field=models.DateTimeField(help_text="When it told of lost turns last.", null=True),
        ),
        migrations.AddField(
            model_name="agent",
            name="late_ms",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="How late the latest start was before its last sign of life.",
            ),
        ),
    ]
