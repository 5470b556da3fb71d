from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checks", "0008_hindsight"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="check",
            index=models.Index(
                condition=models.Q(("kind", "group")), fields=["tenant", "id"], name="checks_check_groups"
            ),
        ),
    ]
