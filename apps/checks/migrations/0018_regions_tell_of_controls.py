from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checks", "0017_unknown_heartbeats_are_judged"),
    ]

    operations = [
        migrations.AddField(
            model_name="region",
            name="has_controls",
            field=models.BooleanField(
                help_text="Whether its prober was given any; null where it has not told.", null=True
            ),
        ),
    ]
