"""Bars of days are read from flips, by an index alone; the rollups' index for them goes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("checks", "0006_agents")]

    operations = [
        migrations.AddIndex(
            model_name="flip",
            index=models.Index(
                fields=["watched", "at"], include=("tenant", "sequence", "before", "after"), name="checks_flip_days"
            ),
        ),
        migrations.RemoveIndex(model_name="dayrollup", name="checks_dayrollup_bars"),
    ]
