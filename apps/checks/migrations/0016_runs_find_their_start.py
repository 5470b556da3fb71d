from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checks", "0015_a_look_after_the_wait"),
    ]

    operations = [
        # Pings wait while it is built: it reads all that are kept, and writes entries of those alone that name a run.
        migrations.AddIndex(
            model_name="ping",
            index=models.Index(
                condition=models.Q(("run_id__isnull", False)),
                fields=["watched", "run_id", "-number"],
                name="checks_ping_by_run",
            ),
        ),
    ]
