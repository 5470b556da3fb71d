from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Pings come in while the index is built: it reads all that are kept, and writes entries of those alone that name a run.
    atomic = False

    dependencies = [
        ("checks", "0015_a_look_after_the_wait"),
    ]

    operations = [
        # What a start that was killed left of it: no query reads it, and its name is taken.
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS checks_ping_by_run", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="ping",
            index=models.Index(
                condition=models.Q(("run_id__isnull", False)),
                fields=["watched", "run_id", "-number"],
                name="checks_ping_by_run",
            ),
        ),
    ]
